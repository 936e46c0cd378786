//! Layers, losses and optimizers on the tape of `wengert-core`.

pub mod init;
mod layers;
mod loss;
mod module;

pub use layers::{Gelu, Linear, Relu, Sigmoid, Silu, Tanh};
pub use loss::{Loss, Reduction};
pub use module::{Module, Sequential};
