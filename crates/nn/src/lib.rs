//! Layers, losses and optimizers on the tape of `wengert-core`. Users take it through the crate
//! `wengert`.
//!
//! * A [`Module`] maps one variable to another and shows its parameters by dotted name. There are
//!   [`Linear`], convolutions, pools, norms, recurrent layers, attention, activations, and
//!   [`Sequential`]; a model of your own is a struct, `params!`, and one method.
//! * [`Loss`] gives predictions their losses as methods: `x.mse(&y)` is the mean,
//!   `x.mse_with(&y, Reduction::Sum)` the sum. A loss that has more to set has a struct of settings,
//!   such as [`CrossEntropy`], which stands where the [`Reduction`] stands.
//! * [`init`] draws initial weights from a generator that you hand over.
//! * [`summary`] prints what a model is made of; [`check_shapes`] tells whether an input fits, beforehand.
//! * [`optim`] has the optimizers: rules in a chain, chosen by a recipe in TOML.
#![warn(missing_docs, clippy::print_stdout, clippy::print_stderr)]

pub mod init;
mod layers;
mod loss;
pub mod masks;
mod module;
pub mod optim;
mod pattern;
mod summary;

pub use layers::{
    AdaptiveAvgPool1d, AdaptiveAvgPool2d, AdaptiveMaxPool1d, AdaptiveMaxPool2d, Attention,
    AvgPool1d, AvgPool2d, BatchNorm1d, BatchNorm2d, Celu, Conv1d, Conv2d, Dropout, Dropout2d, Elu,
    Embedding, Flatten, Gelu, GeluTanh, GroupNorm, Gru, GruCell, Hardsigmoid, Hardswish, Hardtanh,
    Identity, Lambda, LayerNorm, LeakyRelu, Linear, LogSigmoid, LogSoftmax, Lstm, LstmCell, Masked,
    MaxPool1d, MaxPool2d, Mish, MultiHeadAttention, PRelu, Recurrent, RecurrentBuilder,
    RecurrentCell, Relu, Relu6, Residual, RmsNorm, Rnn, RnnCell, RotaryPositions, Selu, Sigmoid,
    Silu, SinusoidalPositions, Softmax, Softplus, Softsign, Tanh, TransformerBlock, Upsample,
};
pub use loss::{
    Bce, BceWithLogits, CosineEmbedding, CrossEntropy, GaussianNll, HingeEmbedding, Huber, KlDiv,
    Loss, MarginRanking, MultiMargin, Nll, PoissonNll, Reduction, SmoothL1, Target, Targets,
    TripletMargin,
};
pub use module::{Module, Sequential};
pub use pattern::Pattern;
pub use summary::{Row, Summary, check_shapes, summary, summary_of};
