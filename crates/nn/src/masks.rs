//! Masks of attention: what is added to the scaled products, 0 where a query sees a key and minus infinity
//! where it does not. They broadcast, and two of them add up to both.

use wengert_core::{BinaryOps, Float, MovementOps, ShapeError, Tensor};

/// Minus infinity where `blocked` is not 0: of shape `[time, keys]`, or any that broadcasts to
/// `[batch, heads, time, keys]`. It is PyTorch's boolean `attn_mask` of `MultiheadAttention`, in which
/// True blocks.
pub fn blocked<F: Float>(blocked: &Tensor<F>) -> Tensor<F> {
    blocked.where_cond(f64::NEG_INFINITY, 0.0)
}

/// From `[batch, keys]`, not 0 where a key only fills up its sequence, the mask
/// `[batch, 1, 1, keys]` that hides such keys from all queries of all heads: PyTorch's boolean
/// `key_padding_mask`.
///
/// # Panics
/// If `padding` is no matrix.
#[track_caller]
pub fn key_padding<F: Float>(padding: &Tensor<F>) -> Tensor<F> {
    match *padding.shape() {
        [batch, keys] => blocked(&padding.reshape([batch, 1, 1, keys])),
        _ => {
            let message = format!("{:?} is not [batch, keys]", padding.shape());
            ShapeError::new(message).in_operation("key_padding").raise()
        }
    }
}

/// Query `i` sees the keys up to number `i`: `[time, keys]`.
pub fn causal<F: Float>(time: usize, keys: usize) -> Tensor<F> {
    let blocked = F::of(f64::NEG_INFINITY);
    Tensor::from_fn([time, keys], |i| if i % keys > i / keys { blocked } else { F::ZERO })
}
