//! The operations, each a forward and its derivative side by side, and the methods that apply them.
//!
//! A file holds either one trait of methods (`functions`, `movement`, `reduce`, `order`, `matmul`, `linalg`, `index`, `window`) or the
//! operations of one subject. The imports between them run one way: functions of numbers first, then broadcasting,
//! movement, reductions, products and windows.

mod broadcast;
mod choose;
mod conv;
mod conv_transpose;
mod einsum;
mod elementwise;
mod factor;
mod functions;
mod gather;
mod index;
mod interpolate;
mod linalg;
mod matmul;
mod movement;
mod operand;
mod operators;
mod order;
mod pairs;
mod place;
mod pool;
mod rearrange;
mod reduce;
mod scan;
mod slice;
mod softmax;
mod statistics;
mod window;

pub(crate) use broadcast::sum_to;
pub use broadcast::{Expand, Reshape, Sum};
pub use choose::{PutChosen, TakeChosen};
pub use conv::{Conv, ConvBias, ConvInput, ConvOptions, ConvWeight, Padding, Pair};
pub use conv_transpose::ConvTransposeOptions;
pub use einsum::einsum;
pub use elementwise::{BinaryOp, Elementwise, Scalar, UnaryOp, Where};
pub use factor::{Cholesky, Cofactors, Det, Eigh, Inv, Qr, SlogDet, Solve, SolveTriangular};
pub use functions::*;
pub use gather::{
    Embedding, Gather, IndexAdd, IndexSelect, MaskedFill, Pick, PlaceOneHot, Scatter,
};
pub use index::IndexOps;
pub use interpolate::{Interpolate, InterpolateBackward};
pub use linalg::LinalgOps;
pub use matmul::{Linear, Matmul, MatmulOps};
pub use movement::MovementOps;
pub use operand::Operand;
pub(crate) use operators::{left_operators, operate, operators};
pub use order::OrderOps;
pub use pairs::{Add, MulNoNan, Sub};
pub use place::{PlaceSlices, Slice};
pub use pool::{AvgPool, AvgPoolBackward, MaxPool, MaxPoolBackward, MaxPoolGather, Pooling};
pub use rearrange::{Concat, Permute, StopGradient, Triangle};
pub use reduce::ReduceOps;
pub use scan::{Cumsum, Prod, Recurrence};
pub use slice::{Narrow, PadZeros, SliceScatter, StridedSlice};
pub use softmax::{LogSoftmax, LogSumExp, Softmax};
pub use statistics::{EuclideanNorm, Max, NormPow, Normalize, SubtractMean};
pub use window::WindowOps;
