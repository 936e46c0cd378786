#![doc = include_str!("../README.md")]
#![warn(missing_docs, clippy::print_stdout, clippy::print_stderr)]

pub use wengert_core as core;
pub use wengert_nn as nn;

pub use wengert_core::{
    Arithmetic, Axes, AxisList, Check, Checked, Cotangent, Diagonals, Elementary, Elementwise,
    Float, IndexOp, Indices, Leaf, LeafMut, ManyOp, Mismatch, Op, Operand, Paddings, ParamId,
    Params, Path, Rearrangements, Reductions, Scans, Seeded, Shape, ShapeError, Slices, Statistics,
    Value, check_gradients, check_model, evaluate, grad, gradients, gradients_with, ops, rand,
    seeded, vectorized, vjp,
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
            Diagonals, Elementary, Gelu, Indices, Loss, Module, Paddings, Params, Rearrangements,
            Reduction, Reductions, Relu, Scans, Shape, Sigmoid, Silu, Slices, Statistics, Tanh,
            evaluate, grad, gradients, gradients_with, init, seeded, vjp,
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
