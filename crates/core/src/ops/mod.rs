//! The operations: each a forward and its derivative, side by side.

pub mod binary;
pub mod elementwise;
mod fused;
mod gather;
mod index;
mod matmul;
mod operators;
pub(crate) mod rearrange;
pub(crate) mod reduce;

pub use binary::{Above, Add, Binary, Div, Gate, Maximum, Minimum, Mul, Same, Sub};
pub use elementwise::Scalar;
pub use fused::{Linear, LogSoftmax};
pub use gather::{Embedding, Gather, IndexAdd, IndexSelect, MaskedFill, Scatter};
pub use index::{Pick, Place};
pub use matmul::Matmul;
pub use operators::TensorOperand;
pub use rearrange::{Concat, Expand, Narrow, Permute, Reshape, Widen};
pub use reduce::{Max, Sum};
