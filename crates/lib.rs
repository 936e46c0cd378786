//! wengert computes derivatives of any order for tensor programs, and trains small models on a CPU.
//!
//! ```
//! use wengert::check_gradients;
//! use wengert::f64::prelude::*;
//!
//! fn f(x: Var<'_>) -> Var<'_> {
//!     x.prod().square() // (a b)^2 for x = [a, b]
//! }
//!
//! let tape = Tape::new();
//! let x = tape.variable(&tensor![1.0, 2.0]);
//! assert_eq!(grad(f(x), &[x])[0].value(), tensor![8.0, 4.0]);
//! assert_eq!(hessian(f(x), x).value(), tensor![[8.0, 8.0], [8.0, 2.0]]);
//!
//! // Compares derivatives of orders one and two with finite differences.
//! check_gradients(|x| f(x[0]), &[tensor![1.0, 2.0]])?;
//! # Ok::<(), wengert::Mismatch>(())
//! ```
//!
//! # Where to start
//!
//! | to | use |
//! | --- | --- |
//! | hold numbers | [`Tensor`], [`Indices`] for labels and tokens |
//! | compute with them | methods of [`Tensor`] and [`Var`]: [`UnaryOps`], [`BinaryOps`], [`MatmulOps`], [`ReduceOps`], [`MovementOps`], [`IndexOps`], [`WindowOps`], [`einsum`] |
//! | differentiate | [`gradients`] for training; [`Tape`], [`Var`], [`grad`], [`hessian`], [`jvp`], [`hvp`] for any order |
//! | check derivatives | [`check_gradients`], [`check_model`] |
//! | write a model | [`Param`], [`params!`](prelude::params), [`Module`], layers such as [`Linear`] and [`Sequential`]: all are in [`nn`] |
//! | compute a loss | methods of [`Loss`], such as [`cross_entropy`](Loss::cross_entropy) |
//! | train it | [`Optimizer`], configured by TOML: [`optim`] |
//! | look at it | [`summary`], [`check_shapes`], [`eval_shape`] |
//! | save and load it | `io`, with the feature of that name |
//! | add to the library | [`Op`], [`UnaryOp`], [`Module`], [`optim::Rule`], [`optim::Schedule`]: [`guide::extending`] |
//!
//! # Two preludes
//!
//! Import [`prelude`] to work in single precision, or [`f64::prelude`] to work in double precision. Both
//! have the same names, with the precision filled in: [`prelude::Tensor`] is [`Tensor<f32>`](Tensor). At
//! the root of the crate, types are generic over the precision [`Float`].
//!
//! # Guides
//!
//! The pages of [`guide`] are the documents of the repository: [everything by task](guide::api), [coming
//! from PyTorch](guide::from_pytorch), [optimizers](guide::optimizers), [extending](guide::extending) and
//! [design decisions](guide::design).
#![doc = concat!("The [examples](", env!("CARGO_PKG_REPOSITORY"), "/tree/main/examples) are a course.")]
//!
//! # Features
//!
//! | feature | adds |
//! | --- | --- |
//! | `io` | weights and optimizer state in safetensors files, `.npy` and `.npz`: the module `io` |
//! | `ndarray` | conversions between tensors and arrays of the crate `ndarray`; includes `io` |
//! | `serde` | `Serialize` and `Deserialize` for tensors, as shape and data |
//! | `proptest` | strategies for property tests: the module `core::testing` |
#![warn(missing_docs, clippy::print_stdout, clippy::print_stderr)]

pub use wengert_core as core;
#[cfg(feature = "io")]
pub use wengert_io as io;
pub use wengert_nn as nn;

pub use wengert_core::{
    Against, Arithmetic, Axes, AxisList, BinaryOp, BinaryOps, Buffer, Check, Checked, ConvOptions,
    Cotangent, Elementwise, Float, Flow, Gradients, IndexOp, IndexOps, Indices, LayerTrace, Leaf,
    LeafMut, ManyOp, MatmulOps, Mismatch, MovementOps, NotFinite, Op, Operand, Padding, Param,
    ParamId, Params, Path, Pooling, Random, ReduceOps, ReshapeTo, Seeded, Shape, ShapeError,
    ShapeTrace, Tape, Tensor, UnaryOp, UnaryOps, Value, Var, WindowOps, check_gradients,
    check_model, einsum, eval_shape, evaluate, grad, gradients, gradients_checked, gradients_with,
    hessian, hvp, jacobian, jvp, ops, rand, seeded, vectorized, vjp,
};
pub use wengert_nn::optim::Optimizer;
pub use wengert_nn::{
    Linear, Loss, Module, Pattern, Recurrent, RecurrentBuilder, RecurrentCell, Reduction, Row,
    Sequential, Summary, Target, Targets, check_shapes, init, masks, optim, summary, summary_of,
};

/// Defines `Name`, the type `home::Name` in one precision, for each line.
macro_rules! aliases {
    ($F:ident: $($summary:literal $home:ident::$Name:ident,)*) => {$(
        #[doc = $summary]
        #[doc = concat!(
            "\n\nThis is [`", stringify!($home), "::", stringify!($Name), "`](crate::",
            stringify!($home), "::", stringify!($Name), ") for `", stringify!($F), "`.",
        )]
        pub type $Name = crate::$home::$Name<$F>;
    )*};
}

/// Defines the contents of a prelude.
macro_rules! precision {
    ($F:ident) => {
        aliases! { $F:
            "Dense tensor." core::Tensor,
            "Record of operations, which differentiates them." core::Tape,
            "Trained tensor of a model." core::Param,
            "Tensor that a layer updates without a gradient, such as a running mean." core::Buffer,
            "Gradients of a loss, one for each parameter." core::Gradients,
            "Optimizer of a model." optim::Optimizer,
        }

        #[doc = concat!(
            "Variable on a tape.\n\nThis is [`core::Var`](crate::core::Var) for `", stringify!($F), "`."
        )]
        pub type Var<'t> = crate::core::Var<'t, $F>;

        pub use crate::core::{
            BinaryOps, ConvOptions, IndexOps, Indices, MatmulOps, MovementOps, Padding, Params,
            Pooling, ReduceOps, Shape, UnaryOps, WindowOps, einsum, evaluate, grad, gradients,
            gradients_checked, gradients_with, hessian, hvp, jacobian, jvp, seeded, vjp,
        };
        crate::nn::layers_of_precision!($F);
        crate::nn::losses_of_precision!($F);
        pub use crate::nn::layers::*;
        pub use crate::nn::loss::*;
        pub use crate::nn::{Module, check_shapes, init, masks, summary};
    };
}

/// Single precision: everything a model needs, with `f32` filled in.
///
/// Contains tensors and tapes, the traits with their methods, functions that differentiate, layers,
/// losses, [`Optimizer`](prelude::Optimizer), and the macros [`tensor!`](prelude::tensor) and
/// [`params!`](prelude::params). The literal `1.0` in `tensor![1.0]` has no precision of its own: the
/// prelude decides it. A program changes its precision by importing [`f64::prelude`] instead.
///
/// ```
/// use wengert::prelude::*;
///
/// let x: Tensor = tensor![[1.0, 2.0], [3.0, 4.0]];
/// let layer = Linear::from_tensors(x.clone(), None);
/// assert_eq!(evaluate(|tape| layer.forward(tape.constant(&x))), tensor![[5.0, 11.0], [11.0, 25.0]]);
/// ```
pub mod prelude {
    precision!(f32);
    pub use wengert_core::{params_f32 as params, tensor_f32 as tensor};
}

/// Double precision. Contains nothing but a [`prelude`](f64::prelude) with the names of
/// [`wengert::prelude`](crate::prelude).
pub mod f64 {
    /// Double precision: everything a model needs, with `f64` filled in.
    ///
    /// Has the names of [`wengert::prelude`](crate::prelude). One difference: the trait
    /// [`Module`](crate::Module) is for `f32` unless told, so write `impl Module<f64> for Net`.
    ///
    /// ```
    /// use wengert::f64::prelude::*;
    ///
    /// struct Double;
    /// params! { Double {} }
    ///
    /// impl Module<f64> for Double {
    ///     fn forward<'t>(&self, x: Var<'t>) -> Var<'t> {
    ///         x * 2.0
    ///     }
    /// }
    /// assert_eq!(evaluate(|tape| Double.forward(tape.constant(&tensor![0.1]))), tensor![0.2]);
    /// ```
    pub mod prelude {
        precision!(f64);
        pub use wengert_core::{params_f64 as params, tensor_f64 as tensor};
    }
}

/// Guides: the documents of the repository's folder `docs`. Their programs run as tests.
pub mod guide {
    #[doc = include_str!("../docs/api.md")]
    pub mod api {}

    #[doc = include_str!("../docs/from_pytorch.md")]
    pub mod from_pytorch {}

    #[doc = include_str!("../docs/optimizers.md")]
    pub mod optimizers {}

    #[doc = include_str!("../docs/extending.md")]
    pub mod extending {}

    #[doc = include_str!("../docs/design.md")]
    pub mod design {}
}

/// The programs of the README run as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
