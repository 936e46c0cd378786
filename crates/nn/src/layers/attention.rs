//! Attention: scaled dot products, and the layer with several heads.

use rand::Rng;
use wengert_core::{
    BinaryOps, Float, IndexOps, MatmulOps, MovementOps, Operand, Param, ReduceOps, Tensor, Var,
    params_generic,
};

use super::positions::RotaryPositions;
use super::{forward_field, mismatch, refuse};
use crate::{Dropout, Linear, Module, init, masks, validate};

const MULTI_HEAD: &str = "MultiheadAttention";

/// Scaled dot-product attention, `softmax(q k^T * scale + mask) v`.
///
/// * Inputs: queries `[.., time, width]`, keys `[.., keys, width]`, values `[.., keys, value_width]`.
///   Output: `[.., time, value_width]`.
///
/// <https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.scaled_dot_product_attention.html>,
/// Vaswani et al. 2017, <https://arxiv.org/abs/1706.03762>.
///
/// ```
/// use wengert_core::{Tensor, evaluate};
/// use wengert_nn::{Attention, masks};
///
/// let x = Tensor::<f32>::eye(3);
/// let y = evaluate(|tape| {
///     let x = tape.constant(&x);
///     Attention::new().causal().forward(x, x, x)
/// });
/// // The first query sees the first key alone.
/// assert_eq!(y.as_slice()[..3], [1.0, 0.0, 0.0]);
///
/// let mask = masks::causal(3, 3);
/// let masked = evaluate(|tape| {
///     let x = tape.constant(&x);
///     Attention::new().masked(&mask).forward(x, x, x)
/// });
/// assert_eq!(masked, y);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Attention {
    /// Whether query `i` sees only the keys up to key `i`. Default: false.
    pub causal: bool,
    /// The probability with which a weight is dropped in training. Default: 0.
    pub dropout: f64,
    /// The factor of the products of queries and keys. Default: `1 / sqrt(width)`.
    pub scale: Option<f64>,
}

impl Attention {
    /// Returns an attention in which every query sees every key.
    pub fn new() -> Self {
        Self::default()
    }

    /// Hides from query `i` the keys after key `i`.
    pub fn causal(self) -> Self {
        Self { causal: true, ..self }
    }

    /// Sets the probability with which a weight is dropped in training. Default: 0.
    ///
    /// # Panics
    /// If `p` is outside `0..=1`.
    #[track_caller]
    pub fn dropout(self, p: f64) -> Self {
        Self { dropout: validate::fraction("Attention: dropout", p), ..self }
    }

    /// Sets the factor of the products of queries and keys. Default: `1 / sqrt(width)`.
    pub fn scale(self, scale: f64) -> Self {
        Self { scale: Some(scale), ..self }
    }

    /// Adds a mask: a tensor or a variable that broadcasts to `[.., time, keys]`; see [`masks`].
    pub fn masked<M>(self, mask: M) -> Masked<Self, M> {
        Masked { layer: self, mask }
    }

    /// Records for each query the mean of the values, weighted by the softmax of its scores.
    ///
    /// # Panics
    /// If the widths of queries and keys differ, or the numbers of keys and values.
    #[track_caller]
    pub fn forward<'t, F: Float>(
        self,
        query: Var<'t, F>,
        key: Var<'t, F>,
        value: Var<'t, F>,
    ) -> Var<'t, F> {
        let scores = self.hide_later_keys(self.scores(query, key));
        self.average(scores.softmax(), value)
    }

    #[track_caller]
    fn forward_masked<'t, F: Float>(
        self,
        [query, key, value]: [Var<'t, F>; 3],
        mask: impl Operand<Var<'t, F>>,
    ) -> Var<'t, F> {
        let (scores, mask) = (self.scores(query, key), mask.beside(&query));
        let (expected, found) = (scores.shape(), mask.shape());
        if !found.expands_to(expected) {
            let message =
                format!("mask {found:?} does not broadcast to {expected:?} [.., time, keys]");
            refuse("Attention", query, message);
        }
        if expected.last() == Some(&0) {
            return self.average(scores, value);
        }
        let scores = self.hide_later_keys(scores + mask);
        if expected.last() == Some(&0) {
            // Without any key there is no largest score; the average of no values is 0.
            return self.average(scores, value);
        }
        // The softmax of a row without keys is 0 / 0. Such a row gets other scores before the softmax and
        // the weight 0 after it, so that its values and its derivatives are 0.
        let largest = scores.stop_gradient().max_axes(-1, true);
        let is_empty = largest.equal(f64::NEG_INFINITY);
        let weights = scores.masked_fill(is_empty, 0.0).softmax().masked_fill(is_empty, 0.0);
        self.average(weights, value)
    }

    /// Returns the scaled products of queries and keys, `[.., time, keys]`.
    #[track_caller]
    fn scores<'t, F: Float>(self, query: Var<'t, F>, key: Var<'t, F>) -> Var<'t, F> {
        let (q, k) = (query.shape(), key.shape());
        if q.rank() < 2 || k.rank() < 2 || q.last() != k.last() {
            let message = format!(
                "expected queries [.., time, width] and keys [.., keys, width], found {q:?} and {k:?}"
            );
            refuse("Attention", query, message);
        }
        let width = q[q.rank() - 1] as f64;
        let scale = self.scale.unwrap_or(width.sqrt().recip());
        // The queries are scaled, because there are fewer of them than of products.
        (query * scale).matmul_transposed(key)
    }

    /// Adds the causal mask, if the attention is causal.
    #[track_caller]
    fn hide_later_keys<F: Float>(self, scores: Var<'_, F>) -> Var<'_, F> {
        if !self.causal {
            return scores;
        }
        let shape = scores.shape();
        let (time, keys) = (shape[shape.rank() - 2], shape[shape.rank() - 1]);
        scores + &masks::causal(time, keys)
    }

    /// Returns the averages of the values by these weights, some of which are dropped in training.
    #[track_caller]
    fn average<'t, F: Float>(self, weights: Var<'t, F>, value: Var<'t, F>) -> Var<'t, F> {
        if self.dropout == 0.0 {
            return weights.matmul(value);
        }
        Dropout::new(self.dropout).forward(weights).matmul(value)
    }
}

/// Attention with several heads, each on its share of the width.
///
/// Queries, keys and values are projected, split into heads, attended by [`Attention`], joined and
/// projected again. `layer.forward(x, x, x)` is self-attention. The layer is also a [`Module`] for
/// self-attention, for example in a [`Sequential`](crate::Sequential).
///
/// * Inputs: queries `[.., time, embed_dim]`, keys and values `[.., keys, embed_dim]`. Output:
///   `[.., time, embed_dim]`. This is PyTorch's `batch_first=True`.
/// * Parameters: `in_proj_weight` `[3 * embed_dim, embed_dim]` for queries, keys and values, initially
///   Xavier uniform; `in_proj_bias` `[3 * embed_dim]`, initially 0; `out_proj.weight`
///   `[embed_dim, embed_dim]`, initially uniform within `1 / sqrt(embed_dim)`; `out_proj.bias`
///   `[embed_dim]`, initially 0.
///
/// <https://docs.pytorch.org/docs/stable/generated/torch.nn.MultiheadAttention.html>
///
/// ```
/// use rand::{SeedableRng, rngs::ChaCha8Rng};
/// use wengert_core::{Tensor, evaluate};
/// use wengert_nn::{MultiHeadAttention, masks};
///
/// let layer = MultiHeadAttention::<f32>::new(8, 2, &mut ChaCha8Rng::seed_from_u64(0));
/// let (queries, memory) = (Tensor::ones([4, 5, 8]), Tensor::ones([4, 7, 8]));
/// let mask = masks::key_padding(&Tensor::zeros([4, 7]));
/// let y = evaluate(|tape| {
///     let memory = tape.constant(&memory);
///     layer.masked(&mask).forward(tape.constant(&queries), memory, memory)
/// });
/// assert_eq!(y.shape(), [4, 5, 8].into());
/// ```
#[derive(Clone, Debug)]
pub struct MultiHeadAttention<F: Float = f32> {
    /// Shape `[3 * embed_dim, embed_dim]`, for queries, keys and values.
    pub in_proj_weight: Param<F>,
    /// Shape `[3 * embed_dim]`.
    pub in_proj_bias: Option<Param<F>>,
    /// The projection of the joined heads.
    pub out_proj: Linear<F>,
    /// The number of heads.
    pub num_heads: usize,
    /// The attention of each head.
    pub attention: Attention,
    /// The rotation of the queries and keys of each head by their positions. Default: none.
    pub rotary: Option<RotaryPositions<F>>,
}

params_generic! {
    MultiHeadAttention { in_proj_weight, in_proj_bias, out_proj; num_heads, attention, rotary }
}

impl<F: Float> MultiHeadAttention<F> {
    /// Returns a layer drawn from `rng`, in which every query sees every key.
    ///
    /// # Panics
    /// If the heads do not divide the width.
    #[track_caller]
    pub fn new(embed_dim: usize, num_heads: usize, rng: &mut impl Rng) -> Self {
        assert!(
            num_heads > 0 && embed_dim.is_multiple_of(num_heads),
            "{MULTI_HEAD}: {num_heads} heads do not divide a width of {embed_dim}"
        );
        let in_proj_weight = init::xavier_uniform([3 * embed_dim, embed_dim], rng);
        let mut out_proj = Linear::new(embed_dim, embed_dim, rng);
        out_proj.bias = Some(Tensor::zeros([embed_dim]).into());
        Self {
            in_proj_weight: in_proj_weight.into(),
            in_proj_bias: Some(Tensor::zeros([3 * embed_dim]).into()),
            out_proj,
            num_heads,
            attention: Attention::new(),
            rotary: None,
        }
    }

    /// Removes the biases: PyTorch's `bias=False`.
    pub fn without_bias(self) -> Self {
        Self { in_proj_bias: None, out_proj: self.out_proj.without_bias(), ..self }
    }

    /// Hides from position `i` the positions after it.
    pub fn causal(self) -> Self {
        Self { attention: self.attention.causal(), ..self }
    }

    /// Sets the probability with which an attention weight is dropped in training. Default: 0.
    ///
    /// # Panics
    /// If `p` is outside `0..=1`.
    #[track_caller]
    pub fn dropout(self, p: f64) -> Self {
        Self { attention: self.attention.dropout(p), ..self }
    }

    /// Rotates the queries and keys of each head by their positions. The width of the table is that of a
    /// head, `embed_dim / num_heads`.
    pub fn rotary(self, positions: RotaryPositions<F>) -> Self {
        Self { rotary: Some(positions), ..self }
    }

    /// Adds a mask: a tensor or a variable that broadcasts to `[.., num_heads, time, keys]`; see [`masks`].
    pub fn masked<M>(&self, mask: M) -> Masked<&Self, M> {
        Masked { layer: self, mask }
    }

    /// Records the attention of queries `[.., time, embed_dim]` to keys and values `[.., keys, embed_dim]`.
    ///
    /// # Panics
    /// If a width is not `embed_dim`, or the numbers of keys and values differ.
    #[track_caller]
    pub fn forward<'t>(&self, query: Var<'t, F>, key: Var<'t, F>, value: Var<'t, F>) -> Var<'t, F> {
        let _layer = query.tape().layer(MULTI_HEAD);
        let [q, k, v] = self.split_into_heads([query, key, value]);
        self.join_heads(self.attention.forward(q, k, v))
    }

    /// Returns the projected queries, keys and values, `[.., num_heads, time, width / num_heads]` each.
    #[track_caller]
    fn split_into_heads<'t>(&self, inputs: [Var<'t, F>; 3]) -> [Var<'t, F>; 3] {
        let tape = inputs[0].tape();
        let weight = tape.param(&self.in_proj_weight);
        let bias = self.in_proj_bias.as_ref().map(|bias| tape.param(bias));
        let (mut heads, width) = (inputs, weight.shape()[1]);
        for (part, x) in heads.iter_mut().enumerate() {
            let shape = x.shape();
            if shape.rank() < 2 || shape[shape.rank() - 1] != width {
                mismatch(MULTI_HEAD, *x, format_args!("[.., time, {width}]"));
            }
            let weight = weight.narrow(0, part * width, width);
            let y = match bias {
                Some(bias) => x.linear(weight, bias.narrow(0, part * width, width)),
                None => x.matmul_transposed(weight),
            };
            let (time, head_width) = (&shape[..shape.rank() - 1], width / self.num_heads);
            let split = [time, &[self.num_heads, head_width]].concat();
            *x = y.reshape(split.as_slice()).transpose(-3, -2);
            if let (0 | 1, Some(positions)) = (part, &self.rotary) {
                *x = positions.forward(*x);
            }
        }
        heads
    }

    /// Returns the projection of the heads, joined along the width.
    #[track_caller]
    fn join_heads<'t>(&self, heads: Var<'t, F>) -> Var<'t, F> {
        let joined = heads.transpose(-3, -2).flatten_axes(-2, -1);
        forward_field("out_proj", &self.out_proj, joined)
    }
}

impl<F: Float> Module<F> for MultiHeadAttention<F> {
    /// Records self-attention: `x` is queries, keys and values.
    #[track_caller]
    fn forward<'t>(&self, x: Var<'t, F>) -> Var<'t, F> {
        self.forward(x, x, x)
    }
}

/// A layer with a mask, returned by `masked`. Its `forward` takes the inputs of the layer's
/// `forward`.
///
/// A query that sees no key has the output 0 and gradients 0.
///
/// ```
/// use wengert_core::{Tensor, evaluate};
/// use wengert_nn::{Attention, masks};
///
/// let mask = masks::from_bool(&Tensor::<f64>::from([[0.0, 1.0], [1.0, 1.0]]));
/// let y = evaluate(|tape| {
///     let x = tape.constant(&Tensor::eye(2));
///     Attention::new().masked(&mask).forward(x, x, x)
/// });
/// assert_eq!(y, Tensor::from([[1.0, 0.0], [0.0, 0.0]]));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Masked<L, M> {
    pub(super) layer: L,
    pub(super) mask: M,
}

impl<M> Masked<Attention, M> {
    /// Records [`Attention::forward`] with the mask.
    ///
    /// # Panics
    /// If the shapes do not fit, or the mask does not broadcast to `[.., time, keys]`.
    #[track_caller]
    pub fn forward<'t, F: Float>(
        self,
        query: Var<'t, F>,
        key: Var<'t, F>,
        value: Var<'t, F>,
    ) -> Var<'t, F>
    where
        M: Operand<Var<'t, F>>,
    {
        self.layer.forward_masked([query, key, value], self.mask)
    }
}

impl<F: Float, M> Masked<&MultiHeadAttention<F>, M> {
    /// Records [`MultiHeadAttention::forward`] with the mask.
    ///
    /// # Panics
    /// If the shapes do not fit, or the mask does not broadcast to `[.., num_heads, time, keys]`.
    #[track_caller]
    pub fn forward<'t>(self, query: Var<'t, F>, key: Var<'t, F>, value: Var<'t, F>) -> Var<'t, F>
    where
        M: Operand<Var<'t, F>>,
    {
        let Self { layer, mask } = self;
        let _layer = query.tape().layer(MULTI_HEAD);
        let heads = layer.split_into_heads([query, key, value]);
        layer.join_heads(layer.attention.forward_masked(heads, mask))
    }
}
