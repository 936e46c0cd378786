//! The operations: each a forward and its derivative, side by side.

mod arg;
pub mod binary;
pub(crate) mod diagonal;
pub mod elementwise;
mod fused;
mod index;
mod matmul;
mod operators;
pub(crate) mod pad;
pub(crate) mod rearrange;
pub(crate) mod reduce;
pub(crate) mod scan;
pub(crate) mod slice;
pub(crate) mod statistics;

pub use binary::{Above, Add, Binary, Div, Gate, Maximum, Minimum, Mul, Same, Sub};
pub use diagonal::Triangle;
pub use elementwise::Scalar;
pub use fused::{Linear, LogSoftmax};
pub use index::{Pick, Place};
pub use matmul::Matmul;
pub use operators::TensorOperand;
pub use rearrange::{Concat, Expand, Narrow, Permute, Reshape, Widen};
pub use reduce::{Max, Sum};
pub use scan::{Cumsum, Recurrence};
pub use slice::{Spaced, Strided};
pub use statistics::{Center, FlatPower, LogSumExp};
