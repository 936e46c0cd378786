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
//! | compute with them | methods of [`Tensor`] and [`Var`]: [`UnaryOps`], [`BinaryOps`], [`MatmulOps`], [`LinalgOps`], [`ReduceOps`], [`OrderOps`], [`MovementOps`], [`IndexOps`], [`WindowOps`], [`einsum`] |
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
//! from PyTorch](guide::from_pytorch), [optimizers](guide::optimizers), [training from a file](guide::training),
//! [extending](guide::extending) and [design decisions](guide::design).
#![doc = concat!("The [examples](", env!("CARGO_PKG_REPOSITORY"), "/tree/main/examples) are a course.")]
//!
//! # Features
//!
//! | feature | adds |
//! | --- | --- |
//! | `io` | weights and optimizer state in safetensors files, `.npy` and `.npz`: the module `io` |
//! | `train` | data files, batches, metrics, training that resumes, reports, sweeps: the module `train`; includes `io` |
//! | `ndarray` | conversions between tensors and arrays of the crate `ndarray`; includes `io` |
//! | `serde` | `Serialize` and `Deserialize` for tensors, as shape and data |
//! | `proptest` | strategies for property tests: the module `core::testing` |
//! | `symbol` | numbers that stand for expressions, to read the code of a function as a formula: the module `core::symbol` |
#![warn(missing_docs, clippy::print_stdout, clippy::print_stderr)]

pub use wengert_core as core;
#[cfg(feature = "io")]
pub use wengert_io as io;
pub use wengert_nn as nn;
#[cfg(feature = "train")]
pub use wengert_train as train;

pub use wengert_core::{
    Against, Arithmetic, Axes, AxisList, BinaryOp, BinaryOps, Buffer, Check, Checked, ConvOptions,
    CostSum, Cotangent, Elementwise, Float, Flow, Gradients, IndexOp, IndexOps, Indices, Input,
    InputLeaf, InputTape, LayerName, LayerTrace, Leaf, LeafMut, LeafNode, LinalgOps, ManyOp,
    MatmulOps, Mismatch, MovementOps, NotFinite, Op, OpCost, Operand, OrderOps, Outputs, Padding,
    Param, ParamId, Params, Path, Pooling, Profile, Program, Random, ReduceOps, ReshapeTo, Seeded,
    SeededProgram, Shape, ShapeError, ShapeTrace, Tape, Tensor, UnaryOp, UnaryOps, Value, Var,
    WindowOps, check_gradients, check_model, custom_vjp, einsum, empty_cache, eval_shape, evaluate,
    grad, gradients, gradients_checked, gradients_with, hessian, hvp, jacobian, jvp, ops, profile,
    rand, seeded, vectorized, vjp,
};
pub use wengert_nn::optim::Optimizer;
pub use wengert_nn::{
    Linear, Loss, Module, Pattern, Recurrent, RecurrentBuilder, RecurrentCell, Reduction, Row,
    Sequential, Summary, Target, Targets, check_shapes, distributions, init, masks, optim, summary,
    summary_of,
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

/// The documentation that both preludes share.
macro_rules! contents {
    () => {
        "| for | names |\n\
         | --- | --- |\n\
         | tensors | [`Tensor`], [`tensor!`](tensor), [`Indices`], [`Shape`] |\n\
         | their methods | [`UnaryOps`], [`BinaryOps`], [`MatmulOps`], [`LinalgOps`], [`ReduceOps`], [`OrderOps`], [`MovementOps`], [`IndexOps`], [`WindowOps`], [`einsum`] |\n\
         | derivatives | [`gradients`], [`evaluate`], [`seeded`], [`Gradients`], [`Program`]; [`Tape`], [`Var`], [`grad`], [`vjp`], [`jvp`], [`hvp`], [`jacobian`], [`hessian`] |\n\
         | models | [`Param`], [`Buffer`], [`params!`](params), [`Params`], [`Module`], [`Sequential`], [`init`], [`summary`](summary()), [`check_shapes`] |\n\
         | layers | [`Linear`], [`Conv2d`], [`BatchNorm2d`], [`Dropout`], [`Embedding`], [`Lstm`], [`MultiHeadAttention`], [`TransformerBlock`] and more below |\n\
         | losses | the methods of [`Loss`], and structs with their settings, such as [`CrossEntropy`] |\n\
         | training | [`Optimizer`] |\n"
    };
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

        #[doc = concat!(
            "Training step that is recorded once and run again.\n\nThis is [`core::Program`](crate::core::Program) for `",
            stringify!($F), "`.",
        )]
        pub type Program<'a, M, I> = crate::core::Program<'a, M, I, $F>;

        pub use crate::core::{
            BinaryOps, ConvOptions, IndexOps, Indices, LinalgOps, MatmulOps, MovementOps, OrderOps, Padding, Params,
            Pooling, ReduceOps, Shape, UnaryOps, WindowOps, einsum, evaluate, grad, gradients,
            gradients_checked, gradients_with, hessian, hvp, jacobian, jvp, vjp,
        };

        #[doc = concat!(
            "Gives [`gradients`], [`evaluate`] and tapes a key for random layers.\n\n",
            "This is [`core::seeded`](crate::core::seeded()) for `", stringify!($F), "`.",
        )]
        pub fn seeded(seed: u64) -> crate::core::Seeded<$F> {
            crate::core::seeded(seed)
        }

        crate::nn::layers_of_precision!($F);
        crate::nn::losses_of_precision!($F);
        pub use crate::nn::layers::*;
        pub use crate::nn::loss::*;
        pub use crate::nn::{Module, check_shapes, distributions, init, masks, summary};
    };
}

pub mod prelude {
    //! Single precision: everything a model needs, with `f32` filled in.
    //!
    #![doc = contents!()]
    //!
    //! The literal `1.0` in `tensor![1.0]` has no precision of its own: the prelude decides it. A program
    //! changes its precision by importing [`wengert::f64::prelude`](crate::f64::prelude) instead.
    //!
    //! ```
    //! use wengert::prelude::*;
    //!
    //! let x: Tensor = tensor![[1.0, 2.0]];
    //! let layer = Linear::from_tensors(tensor![[3.0, 4.0]], None);
    //! let y = evaluate(|tape| layer.forward(tape.constant(&x)));
    //! assert_eq!(y, tensor![[11.0]]);
    //! ```

    precision!(f32);
    pub use wengert_core::{params_f32 as params, tensor_f32 as tensor};
}

/// Double precision. Contains nothing but a [`prelude`](f64::prelude) with the names of
/// [`wengert::prelude`](crate::prelude).
pub mod f64 {
    pub mod prelude {
        //! Double precision: everything a model needs, with `f64` filled in.
        //!
        #![doc = contents!()]
        //!
        //! This prelude has the names of [`wengert::prelude`](crate::prelude), with one difference.
        //! The trait [`Module`](crate::Module) defaults to `f32`, so write
        //! `impl Module<f64> for Net`.
        //!
        //! ```
        //! use wengert::f64::prelude::*;
        //!
        //! struct Double;
        //! params! { Double {} }
        //!
        //! impl Module<f64> for Double {
        //!     fn forward<'t>(&self, x: Var<'t>) -> Var<'t> {
        //!         x * 2.0
        //!     }
        //! }
        //! let y = evaluate(|tape| Double.forward(tape.constant(&tensor![0.1])));
        //! assert_eq!(y, tensor![0.2]);
        //! ```

        precision!(f64);
        pub use wengert_core::{params_f64 as params, tensor_f64 as tensor};
    }
}

/// Guides: the documents of the repository's folder `docs`. Their programs run as tests.
pub mod guide {
    /// Defines a page. In Markdown the first definition of a link wins, so these links lead to pages of
    /// rustdoc, and those at the end of a document lead to files of the repository.
    macro_rules! page {
        ($name:ident, $document:literal) => {
            #[doc = concat!(
                "[extending.md]: crate::guide::extending\n",
                "[from_pytorch.md]: crate::guide::from_pytorch\n",
                "[optimizers.md]: crate::guide::optimizers\n",
                "[training.md]: crate::guide::training\n",
                "[cluster.md]: crate::guide::cluster\n",
                "[math.md]: ", env!("CARGO_PKG_REPOSITORY"), "/blob/main/docs/math.md\n",
                "[CONTRIBUTING.md]: ", env!("CARGO_PKG_REPOSITORY"), "/blob/main/CONTRIBUTING.md\n",
                "[recipe.schema.json]: ",
                env!("CARGO_PKG_REPOSITORY"),
                "/blob/main/docs/recipe.schema.json\n",
                "[six_recipes.svg]: ", env!("CARGO_PKG_REPOSITORY"), "/raw/main/docs/six_recipes.svg\n",
                "[examples]: ", env!("CARGO_PKG_REPOSITORY"), "/tree/main/examples\n",
                "[`Tensor`]: crate::Tensor\n",
                "[`Indices`]: crate::Indices\n",
                "[`Shape`]: crate::Shape\n",
                "[`UnaryOps`]: crate::UnaryOps\n",
                "[`IndexOps`]: crate::IndexOps\n",
                "[`MatmulOps`]: crate::MatmulOps\n",
                "[`BinaryOps`]: crate::BinaryOps\n",
                "[`LinalgOps`]: crate::LinalgOps\n",
                "[`OrderOps`]: crate::OrderOps\n",
                "[`ReduceOps`]: crate::ReduceOps\n",
                "[`MovementOps`]: crate::MovementOps\n",
                "[`WindowOps`]: crate::WindowOps\n",
                "[`Tape`]: crate::Tape\n",
                "[`Var`]: crate::Var\n",
                "[`Gradients`]: crate::Gradients\n",
                "[`Program`]: crate::Program\n",
                "[`Check`]: crate::Check\n",
                "[`Param`]: crate::Param\n",
                "[`Params`]: crate::Params\n",
                "[`Module`]: crate::Module\n",
                "[`Linear`]: crate::Linear\n",
                "[`Sequential`]: crate::Sequential\n",
                "[`Loss`]: crate::Loss\n",
                "[`Optimizer`]: crate::Optimizer\n",
            )]
            #[doc = include_str!($document)]
            pub mod $name {}
        };
    }

    page!(api, "../docs/api.md");
    page!(from_pytorch, "../docs/from_pytorch.md");
    page!(optimizers, "../docs/optimizers.md");
    page!(training, "../docs/training.md");
    page!(extending, "../docs/extending.md");
    page!(cluster, "../docs/cluster.md");
    page!(design, "../docs/design.md");
}

/// The programs of the README run as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
