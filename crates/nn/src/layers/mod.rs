//! Layers, one file each.

mod activation;
mod linear;

pub use activation::{Gelu, Relu, Sigmoid, Silu, Tanh};
pub use linear::Linear;
