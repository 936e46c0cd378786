//! Layers, one file each.

mod activation;
mod attention;
mod dropout;
mod layer_norm;
mod linear;
mod positions;
mod recurrent;
mod transformer;

pub use activation::{Gelu, Relu, Sigmoid, Silu, Tanh};
pub use attention::{Attention, MultiHeadAttention};
pub use dropout::Dropout;
pub use layer_norm::LayerNorm;
pub use linear::Linear;
pub use positions::{RotaryPositions, SinusoidalPositions};
pub use recurrent::{
    Gru, GruCell, Lstm, LstmCell, Recurrent, RecurrentBuilder, RecurrentCell, Rnn, RnnCell,
};
pub use transformer::TransformerBlock;
