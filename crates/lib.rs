#![doc = include_str!("../README.md")]
#![warn(missing_docs, clippy::print_stdout, clippy::print_stderr)]

pub use wengert_core as core;
#[cfg(feature = "io")]
pub use wengert_io as io;
pub use wengert_nn as nn;

pub use wengert_core::{
    Against, Arithmetic, Axes, AxisList, BinaryOp, BinaryOps, Check, Checked, ConvOptions,
    Cotangent, Elementwise, Float, Flow, IndexOp, IndexOps, Indices, LayerTrace, Leaf, LeafMut,
    ManyOp, MatmulOps, Mismatch, MovementOps, NotFinite, Op, Operand, Padding, ParamId, Params,
    Path, Pooling, Random, ReduceOps, ReshapeTo, Seeded, Shape, ShapeError, ShapeTrace, Tensor,
    UnaryOp, UnaryOps, Value, WindowOps, check_gradients, check_model, einsum, eval_shape,
    evaluate, grad, gradients, gradients_checked, gradients_with, hessian, hvp, jacobian, jvp, ops,
    rand, seeded, vectorized, vjp,
};
pub use wengert_nn::*;

/// The types of one precision under the names that users write.
macro_rules! precision {
    ($F:ty) => {
        /// A dense tensor.
        pub type Tensor = wengert_core::Tensor<$F>;
        /// A tape.
        pub type Tape = wengert_core::Tape<$F>;
        /// A value on a tape.
        pub type Var<'t> = wengert_core::Var<'t, $F>;
        /// A trained tensor.
        pub type Param = wengert_core::Param<$F>;
        /// A remembered tensor.
        pub type Buffer = wengert_core::Buffer<$F>;
        /// The gradients of a loss.
        pub type Gradients = wengert_core::Gradients<$F>;
        /// A recipe at work on a model.
        pub type Optimizer = wengert_nn::optim::Optimizer<$F>;

        wengert_nn::layers_of_precision!($F);
        wengert_nn::losses_of_precision!($F);
        pub use wengert_nn::layers::*;
        pub use wengert_nn::loss::*;

        pub use crate::{
            BinaryOps, ConvOptions, IndexOps, Indices, MatmulOps, Module, MovementOps, Padding,
            Params, Pooling, ReduceOps, Shape, UnaryOps, WindowOps, check_shapes, einsum, evaluate,
            grad, gradients, gradients_checked, gradients_with, hessian, hvp, init, jacobian, jvp,
            masks, seeded, summary, vjp,
        };
    };
}

/// All that a model needs, in single precision.
pub mod prelude {
    precision!(f32);
    pub use wengert_core::{params_f32 as params, tensor_f32 as tensor};
}

/// The same names as in the crate, in double precision.
pub mod f64 {
    /// All that a model needs, in double precision.
    pub mod prelude {
        precision!(f64);
        pub use wengert_core::{params_f64 as params, tensor_f64 as tensor};
    }
}

/// The guide to operations of one's own runs as a test.
#[cfg(doctest)]
#[doc = include_str!("../docs/adding_an_op.md")]
pub struct AddingAnOp;

/// The page for those who come from PyTorch, whose programs run as tests.
#[cfg(doctest)]
#[doc = include_str!("../docs/from_pytorch.md")]
pub struct FromPyTorch;
