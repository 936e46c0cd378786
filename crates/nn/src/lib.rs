//! Layers, losses and optimizers on the tape of `wengert-core`.
#![warn(missing_docs)]

pub mod init;
mod layers;
mod loss;
mod module;
pub mod optim;

pub use layers::{Gelu, Linear, Relu, Sigmoid, Silu, Tanh};
pub use loss::{Loss, Reduction};
pub use module::{Module, Sequential};
