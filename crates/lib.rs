#![doc = include_str!("../README.md")]
#![warn(missing_docs, clippy::print_stdout, clippy::print_stderr)]

pub use wengert_core as core;
pub use wengert_nn as nn;
#[cfg(feature = "train")]
pub use wengert_train as train;

pub use wengert_core::{
    Against, Arithmetic, Array, Axes, AxisList, Check, Checked, Convolution, Cotangent, Diagonals,
    Elementary, Elementwise, Float, Flow, IndexOp, Indices, Leaf, LeafMut, ManyOp, Mismatch, Noise,
    NotFinite, Op, Operand, Padding, Paddings, ParamId, Params, Path, Pooling, Rearrangements,
    Reductions, Scans, Seeded, Shape, ShapeError, Slices, Statistics, Value, Windows,
    check_gradients, check_model, einsum, evaluate, grad, gradients, gradients_checked,
    gradients_with, hessian, hvp, jacobian, jvp, ops, rand, seeded, vectorized, vjp,
};
pub use wengert_nn::{Gelu, Loss, Module, Reduction, Relu, Sigmoid, Silu, Tanh, init, optim};

/// The types of one precision under the names that users write.
macro_rules! precision {
    ($F:ty) => {
        /// A dense tensor.
        pub type Tensor = wengert_core::Array<$F>;
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
        /// A fully connected layer.
        pub type Linear = wengert_nn::Linear<$F>;
        /// A recipe at work on a model.
        pub type Optimizer = wengert_nn::optim::Optimizer<$F>;
        /// Modules one after the other.
        pub type Sequential = wengert_nn::Sequential<$F>;

        pub use crate::{
            Convolution, Diagonals, Elementary, Gelu, Indices, Loss, Module, Padding, Paddings,
            Params, Pooling, Rearrangements, Reduction, Reductions, Relu, Scans, Shape, Sigmoid,
            Silu, Slices, Statistics, Tanh, Windows, einsum, evaluate, grad, gradients,
            gradients_checked, gradients_with, hessian, hvp, init, jacobian, jvp, seeded, vjp,
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
