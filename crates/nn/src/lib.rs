//! Layers, losses and optimizers on the tape of `wengert-core`. Users take it through the crate
//! `wengert`.
//!
//! * A [`Module`] maps one variable to another and shows its parameters by dotted name. There are
//!   [`Linear`], activations, and [`Sequential`]; a model of your own is a struct, `params!`, and one
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
    Attention, Dropout, Gelu, Gru, GruCell, LayerNorm, Linear, Lstm, LstmCell, MultiHeadAttention,
    Recurrent, RecurrentBuilder, RecurrentCell, Relu, Rnn, RnnCell, RotaryPositions, Sigmoid, Silu,
    SinusoidalPositions, Tanh, TransformerBlock,
};
pub use loss::{Loss, Reduction};
pub use module::{Module, Sequential};
pub use pattern::Pattern;
