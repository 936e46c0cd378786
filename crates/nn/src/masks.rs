//! Masks of attention.
//!
//! A mask is added to the scores: 0 where a query may see a key, minus infinity where it may not. Masks
//! broadcast to `[batch, heads, time, keys]`, and the sum of two masks hides what either hides.
//!
//! ```
//! use wengert_core::Tensor;
//! use wengert_nn::masks;
//!
//! let mask = masks::causal::<f32>(2, 2) + masks::from_bool(&Tensor::from([[1.0, 0.0], [0.0, 0.0]]));
//! let inf = f32::INFINITY;
//! assert_eq!(mask, Tensor::from([[-inf, -inf], [0.0, 0.0]]));
//! ```

use wengert_core::{BinaryOps, Float, MovementOps, ShapeError, Tensor};

/// Returns a mask that hides keys where `hidden` is not 0.
///
/// * Shape: `[time, keys]`, or any other that broadcasts to `[batch, heads, time, keys]`.
///
/// This is the boolean `attn_mask` of PyTorch's `MultiheadAttention`, where True hides a key.
pub fn from_bool<F: Float>(hidden: &Tensor<F>) -> Tensor<F> {
    hidden.where_cond(f64::NEG_INFINITY, 0.0)
}

/// Returns a mask that hides the keys which only pad their sequence, from all queries and heads.
///
/// * `padding`: `[batch, keys]`, not 0 where a key is padding. Mask: `[batch, 1, 1, keys]`.
///
/// This is the boolean `key_padding_mask` of PyTorch's `MultiheadAttention`.
///
/// # Panics
/// If `padding` has another number of axes.
#[track_caller]
pub fn key_padding<F: Float>(padding: &Tensor<F>) -> Tensor<F> {
    match *padding.shape() {
        [batch, keys] => from_bool(&padding.reshape([batch, 1, 1, keys])),
        _ => {
            let message = format!("expected [batch, keys], found {:?}", padding.shape());
            ShapeError::new(message).in_operation("key_padding").raise()
        }
    }
}

/// Returns the mask `[time, keys]` that hides from query `i` the keys after key `i`.
pub fn causal<F: Float>(time: usize, keys: usize) -> Tensor<F> {
    let hidden = F::of(f64::NEG_INFINITY);
    Tensor::from_fn([time, keys], |i| if i % keys > i / keys { hidden } else { F::ZERO })
}
