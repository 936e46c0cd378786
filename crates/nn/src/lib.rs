//! Layers, losses and optimizers on the tape of `wengert-core`. Users take it through the crate
//! `wengert`.
//!
//! * A [`Module`] maps one variable to another and shows its parameters by dotted name. There are
//!   [`Linear`], convolutions, pools, norms, activations, and [`Sequential`]; a model of your own is a struct, `params!`, and one
//!   method.
//! * [`Loss`] gives predictions their losses as methods, with a [`Reduction`].
//! * [`init`] draws initial weights from a generator that you hand over.
//! * [`optim`] has the optimizers: rules in a chain, chosen by a recipe in TOML.
#![warn(missing_docs, clippy::print_stdout, clippy::print_stderr)]

pub mod init;
mod layers;
mod loss;
pub mod masks;
mod module;
pub mod optim;
mod pattern;

pub use layers::{
    AdaptiveAvgPool1d, AdaptiveAvgPool2d, AdaptiveMaxPool1d, AdaptiveMaxPool2d, Attention,
    AvgPool1d, AvgPool2d, BatchNorm1d, BatchNorm2d, Celu, Conv1d, Conv2d, Dropout, Dropout2d, Elu,
    Embedding, Flatten, Gelu, GeluTanh, GroupNorm, Gru, GruCell, Hardsigmoid, Hardswish, Hardtanh,
    Identity, Lambda, LayerNorm, LeakyRelu, Linear, LogSigmoid, LogSoftmax, Lstm, LstmCell,
    MaxPool1d, MaxPool2d, Mish, MultiHeadAttention, PRelu, Recurrent, RecurrentBuilder,
    RecurrentCell, Relu, Relu6, Residual, RmsNorm, Rnn, RnnCell, RotaryPositions, Selu, Sigmoid,
    Silu, SinusoidalPositions, Softmax, Softplus, Softsign, Tanh, TransformerBlock, Upsample,
};
pub use loss::{Loss, Reduction};
pub use module::{Module, Sequential};
pub use pattern::Pattern;
