//! Layers: what belongs together in a file.

use wengert_core::{Float, MovementOps, Shape, Var};

mod activation;
mod attention;
mod batch_norm;
mod containers;
mod convolution;
mod dropout;
mod embedding;
mod linear;
mod norm;
mod pooling;
mod positions;
mod recurrent;
mod transformer;

pub use activation::{
    Celu, Elu, Gelu, GeluTanh, Hardsigmoid, Hardswish, Hardtanh, LeakyRelu, LogSigmoid, LogSoftmax,
    Mish, PRelu, Relu, Relu6, Selu, Sigmoid, Silu, Softmax, Softplus, Softsign, Tanh,
};
pub use attention::{Attention, Masked, MultiHeadAttention};
pub use batch_norm::{BatchNorm1d, BatchNorm2d};
pub use containers::{Flatten, Identity, Lambda, Residual};
pub use convolution::{Conv1d, Conv2d};
pub use dropout::{Dropout, Dropout2d};
pub use embedding::Embedding;
pub use linear::Linear;
pub use norm::{GroupNorm, LayerNorm, RmsNorm};
pub use pooling::{
    AdaptiveAvgPool1d, AdaptiveAvgPool2d, AdaptiveMaxPool1d, AdaptiveMaxPool2d, AvgPool1d,
    AvgPool2d, MaxPool1d, MaxPool2d, Upsample,
};
pub use positions::{RotaryPositions, SinusoidalPositions};
pub use recurrent::{
    Gru, GruCell, Lstm, LstmCell, Recurrent, RecurrentBuilder, RecurrentCell, Rnn, RnnCell,
};
pub use transformer::TransformerBlock;

/// One number for each channel, shaped to meet axis 1 of `x`.
#[track_caller]
fn along_channels<F: Float>(each: Var<'_, F>, x: Shape) -> Var<'_, F> {
    let mut shape = [1; wengert_core::MAX_RANK];
    shape[0] = x[1];
    each.reshape(&shape[..x.rank() - 1])
}
