//! The operations: each a forward and its derivative, side by side.

pub mod binary;
mod choose;
pub mod elementwise;
mod functions;
mod fused;
mod index;
mod matmul;
mod operators;
pub(crate) mod rearrange;
pub(crate) mod reduce;

pub use binary::{
    Above, Add, Atan2, Binary, Div, Equal, Gate, Greater, GreaterEqual, Hypot, Less, LessEqual,
    Maximum, Minimum, Mul, NotEqual, Pow, Same, Sub,
};
pub use choose::Where;
pub use elementwise::Scalar;
pub use fused::{Linear, LogSoftmax};
pub use index::{Pick, Place};
pub use matmul::Matmul;
pub use operators::TensorOperand;
pub use rearrange::{Concat, Expand, Narrow, Permute, Reshape, Widen};
pub use reduce::{Max, Sum};
