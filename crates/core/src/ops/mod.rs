//! The operations: each a forward and its derivative, side by side.

mod arg;
pub mod binary;
mod choose;
mod conv;
pub(crate) mod diagonal;
mod einsum;
pub mod elementwise;
mod functions;
mod fused;
mod gather;
mod index;
mod matmul;
mod operators;
pub(crate) mod pad;
mod pool;
pub(crate) mod rearrange;
pub(crate) mod reduce;
pub(crate) mod scan;
pub(crate) mod slice;
pub(crate) mod statistics;

pub use binary::{
    Above, Add, Atan2, Binary, Div, Equal, Gate, Greater, GreaterEqual, Hypot, Less, LessEqual,
    Maximum, Minimum, Mul, NotEqual, Pow, Same, Sub,
};
pub use choose::Where;
pub use conv::{Conv, ConvBias, ConvInput, ConvWeight, Convolution, Padding, Pair};
pub use diagonal::Triangle;
pub use einsum::einsum;
pub use elementwise::Scalar;
pub use fused::{Linear, LogSoftmax};
pub use gather::{Embedding, Gather, IndexAdd, IndexSelect, MaskedFill, Scatter};
pub use index::{Pick, Place};
pub use matmul::Matmul;
pub use operators::TensorOperand;
pub use pool::{AvgPool, AvgSpread, GatherWinners, MaxPool, Pooling, ScatterWinners, Windows};
pub use rearrange::{Concat, Expand, Narrow, Permute, Reshape, StopGradient, Widen};
pub use reduce::{Max, Sum};
pub use scan::{Cumsum, Recurrence};
pub use slice::{Spaced, Strided};
pub use statistics::{Center, FlatPower, LogSumExp};
