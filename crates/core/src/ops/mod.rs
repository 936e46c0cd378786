//! The operations: each a forward and its derivative, side by side.

mod arg;
pub mod binary;
mod choose;
mod conv;
mod diagonal;
mod einsum;
pub mod elementwise;
mod functions;
mod fused;
mod gather;
mod index;
mod matmul;
mod movement;
mod operators;
mod pad;
mod pool;
pub(crate) mod rearrange;
mod reduce;
mod reductions;
mod scan;
mod slice;
mod statistics;

pub use binary::{
    Add, Atan2, BinaryOp, Div, Equal, EqualNan, Greater, GreaterEqual, GreaterHalf, Hypot, Less,
    LessEqual, Maximum, Minimum, Mul, MulNoNan, NotEqual, Pow, Sub,
};
pub use choose::Where;
pub use conv::{Conv, ConvBias, ConvInput, ConvOptions, ConvWeight, Padding, Pair};
pub use diagonal::Triangle;
pub use einsum::einsum;
pub use elementwise::{Scalar, UnaryOp, UnaryOps};
pub use fused::{Linear, LogSoftmax};
pub use gather::{Embedding, Gather, IndexAdd, IndexSelect, MaskedFill, Scatter};
pub use index::{Pick, PlaceOneHot};
pub use matmul::Matmul;
pub use movement::MovementOps;
pub use operators::TensorOperand;
pub use pool::{
    AvgPool, AvgPoolBackward, MaxPool, MaxPoolBackward, MaxPoolGather, Pooling, WindowOps,
};
pub use rearrange::{Concat, Expand, Narrow, PadZeros, Permute, Reshape, StopGradient};
pub(crate) use reduce::sum_to;
pub use reduce::{Max, Sum};
pub use reductions::ReduceOps;
pub use scan::{Cumsum, Recurrence};
pub use slice::{StridedPlace, StridedSlice};
pub use statistics::{LogSumExp, NormPow, SubtractMean};
