#![doc = include_str!("../README.md")]
#![warn(missing_docs, clippy::print_stdout, clippy::print_stderr)]

pub use wengert_core as core;
pub use wengert_nn as nn;

pub use wengert_core::{
    Against, Arithmetic, Array, Axes, AxisList, Check, Checked, Convolution, Cotangent, Diagonals,
    Elementary, Elementwise, Float, Flow, IndexOp, Indices, Leaf, LeafMut, ManyOp, Mismatch, Noise,
    NotFinite, Op, Operand, Padding, Paddings, ParamId, Params, Path, Pooling, Rearrangements,
    Reductions, Scans, Seeded, Shape, ShapeError, Slices, Statistics, Value, Windows,
    check_gradients, check_model, einsum, evaluate, grad, gradients, gradients_checked,
    gradients_with, hessian, hvp, jacobian, jvp, ops, rand, seeded, vectorized, vjp,
};
pub use wengert_nn::{
    AdaptiveAvgPool1d, AdaptiveAvgPool2d, AdaptiveMaxPool1d, AdaptiveMaxPool2d, Attention,
    AvgPool1d, AvgPool2d, Celu, Dropout, Dropout2d, Elu, Flatten, Gelu, GeluTanh, Hardsigmoid,
    Hardswish, Hardtanh, Identity, LeakyRelu, LogSigmoid, LogSoftmax, Loss, MaxPool1d, MaxPool2d,
    Mish, Module, Recurrent, RecurrentBuilder, RecurrentCell, Reduction, Relu, Relu6, Residual,
    Selu, Sigmoid, Silu, Softmax, Softplus, Softsign, Tanh, Upsample, init, masks, optim,
};

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
        /// A recurrent layer; its state is one tensor.
        pub type Rnn = wengert_nn::Rnn<$F>;
        /// Long short-term memory; its state is two tensors.
        pub type Lstm = wengert_nn::Lstm<$F>;
        /// The gated recurrent unit; its state is one tensor.
        pub type Gru = wengert_nn::Gru<$F>;
        /// Attention with several heads.
        pub type MultiHeadAttention = wengert_nn::MultiHeadAttention<$F>;
        /// The block that transformers are stacked of.
        pub type TransformerBlock = wengert_nn::TransformerBlock<$F>;
        /// Positions added as waves.
        pub type SinusoidalPositions = wengert_nn::SinusoidalPositions<$F>;
        /// Positions as turns of queries and keys.
        pub type RotaryPositions = wengert_nn::RotaryPositions<$F>;
        /// Batch normalisation of `[n, c]` or `[n, c, l]`.
        pub type BatchNorm1d = wengert_nn::BatchNorm1d<$F>;
        /// Batch normalisation of `[n, c, h, w]`.
        pub type BatchNorm2d = wengert_nn::BatchNorm2d<$F>;
        /// A convolution of `[n, c, l]`.
        pub type Conv1d = wengert_nn::Conv1d<$F>;
        /// A convolution of `[n, c, h, w]`.
        pub type Conv2d = wengert_nn::Conv2d<$F>;
        /// Vectors for tokens.
        pub type Embedding = wengert_nn::Embedding<$F>;
        /// Normalisation of groups of channels.
        pub type GroupNorm = wengert_nn::GroupNorm<$F>;
        /// A function as a module.
        pub type Lambda = wengert_nn::Lambda<$F>;
        /// Normalisation over the last axes.
        pub type LayerNorm = wengert_nn::LayerNorm<$F>;
        /// Relu with learned slopes.
        pub type PRelu = wengert_nn::PRelu<$F>;
        /// Normalisation by the root of the mean square.
        pub type RmsNorm = wengert_nn::RmsNorm<$F>;
        /// A recipe at work on a model.
        pub type Optimizer = wengert_nn::optim::Optimizer<$F>;
        /// Modules one after the other.
        pub type Sequential = wengert_nn::Sequential<$F>;

        pub use crate::{
            AdaptiveAvgPool1d, AdaptiveAvgPool2d, AdaptiveMaxPool1d, AdaptiveMaxPool2d, Attention,
            AvgPool1d, AvgPool2d, Celu, Convolution, Diagonals, Dropout, Dropout2d, Elementary,
            Elu, Flatten, Gelu, GeluTanh, Hardsigmoid, Hardswish, Hardtanh, Identity, Indices,
            LeakyRelu, LogSigmoid, LogSoftmax, Loss, MaxPool1d, MaxPool2d, Mish, Module, Padding,
            Paddings, Params, Pooling, Rearrangements, Reduction, Reductions, Relu, Relu6,
            Residual, Scans, Selu, Shape, Sigmoid, Silu, Slices, Softmax, Softplus, Softsign,
            Statistics, Tanh, Upsample, Windows, einsum, evaluate, grad, gradients,
            gradients_checked, gradients_with, hessian, hvp, init, jacobian, jvp, masks, seeded,
            vjp,
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
