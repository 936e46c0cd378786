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
pub use wengert_nn::{
    AdaptiveAvgPool1d, AdaptiveAvgPool2d, AdaptiveMaxPool1d, AdaptiveMaxPool2d, Attention,
    AvgPool1d, AvgPool2d, Celu, CosineEmbedding, Dropout, Dropout2d, Elu, Flatten, GaussianNll,
    Gelu, GeluTanh, Hardsigmoid, Hardswish, Hardtanh, HingeEmbedding, Huber, Identity, KlDiv,
    LeakyRelu, LogSigmoid, LogSoftmax, Loss, MarginRanking, MaxPool1d, MaxPool2d, Mish, Module,
    Pattern, PoissonNll, Recurrent, RecurrentBuilder, RecurrentCell, Reduction, Relu, Relu6,
    Residual, Row, Selu, Sigmoid, Silu, SmoothL1, Softmax, Softplus, Softsign, Summary, Tanh,
    Target, Targets, TripletMargin, Upsample, check_shapes, init, masks, optim, summary,
    summary_of,
};

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
        /// A fully connected layer.
        pub type Linear = wengert_nn::Linear<$F>;
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
        /// A recipe at work on a model.
        pub type Optimizer = wengert_nn::optim::Optimizer<$F>;
        /// Modules one after the other.
        pub type Sequential = wengert_nn::Sequential<$F>;

        /// Settings of a binary cross-entropy of probabilities.
        pub type Bce = wengert_nn::Bce<$F>;
        /// Settings of a binary cross-entropy of logits.
        pub type BceWithLogits = wengert_nn::BceWithLogits<$F>;
        /// Settings of a cross-entropy.
        pub type CrossEntropy = wengert_nn::CrossEntropy<$F>;
        /// Settings of a margin between classes.
        pub type MultiMargin = wengert_nn::MultiMargin<$F>;
        /// Settings of a negative log-likelihood.
        pub type Nll = wengert_nn::Nll<$F>;

        pub use crate::{
            AdaptiveAvgPool1d, AdaptiveAvgPool2d, AdaptiveMaxPool1d, AdaptiveMaxPool2d, Attention,
            AvgPool1d, AvgPool2d, BinaryOps, Celu, ConvOptions, CosineEmbedding, Dropout,
            Dropout2d, Elu, Flatten, GaussianNll, Gelu, GeluTanh, Hardsigmoid, Hardswish, Hardtanh,
            HingeEmbedding, Huber, Identity, IndexOps, Indices, KlDiv, LeakyRelu, LogSigmoid,
            LogSoftmax, Loss, MarginRanking, MatmulOps, MaxPool1d, MaxPool2d, Mish, Module,
            MovementOps, Padding, Params, PoissonNll, Pooling, ReduceOps, Reduction, Relu, Relu6,
            Residual, Selu, Shape, Sigmoid, Silu, SmoothL1, Softmax, Softplus, Softsign, Tanh,
            TripletMargin, UnaryOps, Upsample, WindowOps, check_shapes, einsum, evaluate, grad,
            gradients, gradients_checked, gradients_with, hessian, hvp, init, jacobian, jvp, masks,
            seeded, summary, vjp,
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
