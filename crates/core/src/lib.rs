//! The tape-based reverse-mode core of wengert.

mod float;
mod kernels;
mod math;

pub use float::Float;
pub use kernels::vectorized;
