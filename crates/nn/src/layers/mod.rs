//! Layers. Most are a [`Module`]: one variable in, one out.
//!
//! Parameters have PyTorch's names and initial distributions, so that its checkpoints load by name.
//! Layers without parameters have no precision; the others take it as a type parameter, which the
//! preludes of the crate `wengert` fill in.

// A new layer has its file, its `mod` and `pub use` here, and a row below if it holds tensors.

use std::fmt::Display;

use wengert_core::{Float, LayerName, MovementOps, Shape, ShapeError, Var};

use crate::Module;

mod activation;
mod attention;
mod batch_norm;
mod containers;
mod conv_transpose;
mod convolution;
mod dropout;
mod embedding;
mod linear;
mod norm;
mod pooling;
mod positions;
mod recurrent;
mod transformer;

pub use activation::*;
pub use attention::*;
pub use batch_norm::*;
pub use containers::*;
pub use conv_transpose::*;
pub use convolution::*;
pub use dropout::*;
pub use embedding::*;
pub use linear::*;
pub use norm::*;
pub use pooling::*;
pub use positions::*;
pub use recurrent::*;
pub use transformer::*;

/// Declares the layers that hold tensors under the names of one precision, for a prelude.
#[doc(hidden)]
#[macro_export]
macro_rules! layers_of_precision {
    ($F:ty) => {
        /// Modules one after the other.
        pub type Sequential = $crate::Sequential<$F>;
        /// A function as a module.
        pub type Lambda = $crate::Lambda<$F>;
        /// A fully connected layer.
        pub type Linear = $crate::Linear<$F>;
        /// A convolution of `[n, channels, length]`.
        pub type Conv1d = $crate::Conv1d<$F>;
        /// A convolution of `[n, channels, height, width]`.
        pub type Conv2d = $crate::Conv2d<$F>;
        /// A transposed convolution of `[n, channels, length]`.
        pub type ConvTranspose1d = $crate::ConvTranspose1d<$F>;
        /// A transposed convolution of `[n, channels, height, width]`.
        pub type ConvTranspose2d = $crate::ConvTranspose2d<$F>;
        /// A vector for each token.
        pub type Embedding = $crate::Embedding<$F>;
        /// A ReLU whose slope below 0 is trained.
        pub type PRelu = $crate::PRelu<$F>;
        /// Batch normalization of `[n, channels]` or `[n, channels, length]`.
        pub type BatchNorm1d = $crate::BatchNorm1d<$F>;
        /// Batch normalization of `[n, channels, height, width]`.
        pub type BatchNorm2d = $crate::BatchNorm2d<$F>;
        /// Normalization over the last axes.
        pub type LayerNorm = $crate::LayerNorm<$F>;
        /// Normalization of groups of channels.
        pub type GroupNorm = $crate::GroupNorm<$F>;
        /// Normalization by the root mean square of the last axes.
        pub type RmsNorm = $crate::RmsNorm<$F>;
        /// A recurrent layer with one state.
        pub type Rnn = $crate::Rnn<$F>;
        /// Long short-term memory, a recurrent layer with two states.
        pub type Lstm = $crate::Lstm<$F>;
        /// A gated recurrent unit, a recurrent layer with one state.
        pub type Gru = $crate::Gru<$F>;
        /// Attention with several heads.
        pub type MultiHeadAttention = $crate::MultiHeadAttention<$F>;
        /// Self-attention and a feed-forward network: the block of a transformer.
        pub type TransformerBlock = $crate::TransformerBlock<$F>;
        /// Positions, added as sines and cosines.
        pub type SinusoidalPositions = $crate::SinusoidalPositions<$F>;
        /// Positions, as rotations of queries and keys.
        pub type RotaryPositions = $crate::RotaryPositions<$F>;
    };
}

/// Picks the name of a layer that exists over one and over two axes.
const fn name_by_axes(axes: usize, [one, two]: [&'static str; 2]) -> &'static str {
    match axes {
        1 => one,
        2 => two,
        _ => panic!("there is no such layer over more than two axes"),
    }
}

/// Reshapes `[channels]`, one number for each channel, so that it broadcasts along axis 1 of shape `x`.
#[track_caller]
fn along_channels<F: Float>(each: Var<'_, F>, x: Shape) -> Var<'_, F> {
    let mut shape = [1; wengert_core::MAX_RANK];
    shape[0] = x[1];
    each.reshape(&shape[..x.rank() - 1])
}

/// Records the output of the layer in a field, which messages and summaries then name.
#[track_caller]
fn forward_field<'t, F: Float>(
    field: &'static str,
    layer: &impl Module<F>,
    x: Var<'t, F>,
) -> Var<'t, F> {
    let _part = x.tape().layer(LayerName::Field(field));
    layer.forward(x)
}

/// Panics with a shape mistake of a layer.
#[cold]
#[track_caller]
fn refuse<F: Float>(layer: &str, x: Var<'_, F>, message: String) -> ! {
    x.tape().raise(ShapeError::new(message).in_operation(layer))
}

/// Panics with a shape mistake: the input that the layer expected, and the shape that it found.
#[cold]
#[track_caller]
fn mismatch<F: Float>(layer: &str, x: Var<'_, F>, expected: impl Display) -> ! {
    refuse(layer, x, format!("expected input {expected}, found {:?}", x.shape()))
}

/// Checks that a bias has one number for each output.
#[track_caller]
fn expect_bias(layer: &str, bias: Option<Shape>, outputs: usize) {
    if let Some(found) = bias {
        assert!(*found == [outputs], "{layer}: bias: expected shape [{outputs}], found {found:?}");
    }
}
