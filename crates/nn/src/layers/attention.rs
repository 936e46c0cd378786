//! Attention: scaled dot products, and the layer with several heads.

use rand::Rng;
use wengert_core::{
    BinaryOps, Float, IndexOps, MatmulOps, MovementOps, Operand, Param, ReduceOps, ShapeError,
    Tensor, Var, params_generic,
};

use super::positions::RotaryPositions;
use crate::{Dropout, Linear, Module, init, masks};

/// Scaled dot-product attention, `softmax(q k^T / sqrt(width) + mask) v`; Vaswani et al. 2017. The
/// queries are `[.., time, width]`, keys and values `[.., keys, width]`, and the result has a row for each
/// query.
///
/// <https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.scaled_dot_product_attention.html>
///
/// ```
/// use wengert_core::{Tensor, evaluate};
/// use wengert_nn::Attention;
///
/// let y = evaluate(|tape| {
///     let x = tape.constant(&Tensor::<f32>::eye(3));
///     Attention::new().causal().attend(x, x, x)
/// });
/// // The first query sees the first key alone.
/// assert_eq!(y.as_slice()[..3], [1.0, 0.0, 0.0]);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct Attention {
    /// Whether query `i` sees the keys up to number `i` only.
    pub causal: bool,
    /// In training this share of the weights is dropped.
    pub dropout: f64,
    /// What the products are multiplied by; `1 / sqrt(width)` unless told otherwise.
    pub scale: Option<f64>,
}

impl Attention {
    /// Every query sees every key, nothing is dropped.
    pub fn new() -> Self {
        Self::default()
    }

    /// Query `i` sees the keys up to number `i` only.
    pub fn causal(self) -> Self {
        Self { causal: true, ..self }
    }

    /// In training this share of the weights is dropped.
    pub fn dropout(self, p: f64) -> Self {
        Self { dropout: p, ..self }
    }

    /// The products are multiplied by this, in place of `1 / sqrt(width)`.
    pub fn scale(self, scale: f64) -> Self {
        Self { scale: Some(scale), ..self }
    }

    /// For each query the mean of the values, weighted by how well their keys fit.
    ///
    /// # Panics
    /// If the widths of queries and keys differ, or the numbers of keys and values do.
    #[track_caller]
    pub fn attend<'t, F: Float>(
        self,
        query: Var<'t, F>,
        key: Var<'t, F>,
        value: Var<'t, F>,
    ) -> Var<'t, F> {
        let mut scores = self.scores(query, key);
        if self.causal {
            let [time, keys] = last_two(scores);
            scores = scores + &masks::causal(time, keys);
        }
        self.weigh(scores.softmax(), value)
    }

    /// The same with a mask that is added to the scaled products and broadcasts to `[.., time, keys]`; see
    /// [`masks`]. A query that sees no key has the result 0, and gradients 0.
    ///
    /// # Panics
    /// As [`Attention::attend`], and if the mask does not broadcast.
    #[track_caller]
    pub fn attend_masked<'t, F: Float>(
        self,
        query: Var<'t, F>,
        key: Var<'t, F>,
        value: Var<'t, F>,
        mask: impl Operand<Var<'t, F>>,
    ) -> Var<'t, F> {
        let (scores, mask) = (self.scores(query, key), mask.beside(&query));
        let (own, given) = (scores.shape(), mask.shape());
        if !given.expands_to(own) {
            let message = format!("mask {given:?} does not repeat into {own:?} [.., time, keys]");
            ShapeError::new(message).in_operation("Attention").raise();
        }
        let mut scores = scores + mask;
        if self.causal {
            let [time, keys] = last_two(scores);
            scores = scores + &masks::causal(time, keys);
        }
        // Without a key a row of softmax is 0 / 0. Such rows are made any others before and 0 afterwards,
        // so that neither their values nor their derivatives go anywhere.
        let best = scores.stop_gradient().max_axes(-1, true);
        let blind = best.equal(f64::NEG_INFINITY);
        self.weigh(scores.masked_fill(blind, 0.0).softmax().masked_fill(blind, 0.0), value)
    }

    /// The scaled products `[.., time, keys]`.
    #[track_caller]
    fn scores<'t, F: Float>(self, query: Var<'t, F>, key: Var<'t, F>) -> Var<'t, F> {
        let (q, k) = (query.shape(), key.shape());
        if q.rank() < 2 || k.rank() < 2 || q.last() != k.last() {
            let message = format!("queries {q:?} and keys {k:?} are not [.., time, width]");
            ShapeError::new(message).in_operation("Attention").raise();
        }
        let width = q[q.rank() - 1] as f64;
        let scale = self.scale.unwrap_or(width.sqrt().recip());
        // The queries are scaled, because there are fewer of them than of products.
        (query * scale).matmul_transposed(key)
    }

    #[track_caller]
    fn weigh<'t, F: Float>(self, weights: Var<'t, F>, value: Var<'t, F>) -> Var<'t, F> {
        let weights =
            if self.dropout > 0.0 { Dropout::new(self.dropout).forward(weights) } else { weights };
        weights.matmul(value)
    }
}

fn last_two<F: Float>(x: Var<'_, F>) -> [usize; 2] {
    let shape = x.shape();
    [shape[shape.rank() - 2], shape[shape.rank() - 1]]
}

/// Attention with several heads, each on its share of the width; from `[.., time, width]` to the same. As a
/// [`Module`] it is self-attention. This is PyTorch with `batch_first=True`, parameters named as there:
/// `in_proj_weight`, `in_proj_bias`, `out_proj.weight`, `out_proj.bias`. Keys and values have the width
/// of the queries.
///
/// <https://docs.pytorch.org/docs/stable/generated/torch.nn.MultiheadAttention.html>
#[derive(Clone, Debug)]
pub struct MultiHeadAttention<F: Float = f32> {
    /// Shape `[3 * width, width]`: for queries, keys, values.
    pub in_proj_weight: Param<F>,
    /// Shape `[3 * width]`.
    pub in_proj_bias: Option<Param<F>>,
    /// From the heads side by side to the output.
    pub out_proj: Linear<F>,
    /// The number of heads.
    pub heads: usize,
    /// Causality, dropout and scale.
    pub attention: Attention,
    /// Turns the queries and keys of each head by their positions.
    pub rotary: Option<RotaryPositions<F>>,
}

params_generic! {
    MultiHeadAttention { in_proj_weight, in_proj_bias, out_proj; heads, attention, rotary }
}

impl<F: Float> MultiHeadAttention<F> {
    /// Every query sees every key. The input weight is Xavier uniform, the output weight uniform within
    /// `1 / sqrt(width)`, biases are zero, as in PyTorch.
    ///
    /// # Panics
    /// If the heads do not divide the width.
    #[track_caller]
    pub fn new(width: usize, heads: usize, rng: &mut impl Rng) -> Self {
        let divides = heads > 0 && width.is_multiple_of(heads);
        assert!(divides, "MultiheadAttention: {heads} heads do not divide a width of {width}");
        let in_proj_weight = init::xavier_uniform([3 * width, width], rng);
        let mut out_proj = Linear::new(width, width, rng);
        out_proj.bias = Some(Tensor::zeros([width]).into());
        Self {
            in_proj_weight: in_proj_weight.into(),
            in_proj_bias: Some(Tensor::zeros([3 * width]).into()),
            out_proj,
            heads,
            attention: Attention::new(),
            rotary: None,
        }
    }

    /// This layer without its biases.
    pub fn without_bias(self) -> Self {
        Self { in_proj_bias: None, out_proj: self.out_proj.without_bias(), ..self }
    }

    /// Position `i` sees the positions up to itself only.
    pub fn causal(self) -> Self {
        Self { attention: self.attention.causal(), ..self }
    }

    /// In training this share of the weights is dropped.
    pub fn dropout(self, p: f64) -> Self {
        Self { attention: self.attention.dropout(p), ..self }
    }

    /// Queries and keys of each head are turned by their positions; the table's width is that of a
    /// head.
    pub fn rotary(self, positions: RotaryPositions<F>) -> Self {
        Self { rotary: Some(positions), ..self }
    }

    /// Queries `[.., time, width]` attend to keys and values `[.., keys, width]`, which may come from
    /// another sequence.
    ///
    /// # Panics
    /// If a width is another than the layer's, or the other extents disagree.
    #[track_caller]
    pub fn attend<'t>(&self, query: Var<'t, F>, key: Var<'t, F>, value: Var<'t, F>) -> Var<'t, F> {
        let _layer = query.tape().layer("MultiheadAttention");
        let [q, k, v] = self.projected([query, key, value]);
        self.joined(self.attention.attend(q, k, v))
    }

    /// The same with a mask that is added to the scaled products and broadcasts to
    /// `[.., heads, time, keys]`; see [`masks`].
    ///
    /// # Panics
    /// As [`MultiHeadAttention::attend`], and if the mask does not broadcast.
    #[track_caller]
    pub fn attend_masked<'t>(
        &self,
        query: Var<'t, F>,
        key: Var<'t, F>,
        value: Var<'t, F>,
        mask: impl Operand<Var<'t, F>>,
    ) -> Var<'t, F> {
        let _layer = query.tape().layer("MultiheadAttention");
        let [q, k, v] = self.projected([query, key, value]);
        self.joined(self.attention.attend_masked(q, k, v, mask))
    }

    /// Queries, keys and values of the heads, `[.., heads, time, width / heads]`.
    #[track_caller]
    fn projected<'t>(&self, x: [Var<'t, F>; 3]) -> [Var<'t, F>; 3] {
        let tape = x[0].tape();
        let weight = tape.param(&self.in_proj_weight);
        let bias = self.in_proj_bias.as_ref().map(|bias| tape.param(bias));
        let (mut heads, width) = (x, weight.shape()[1]);
        for (part, x) in heads.iter_mut().enumerate() {
            let shape = x.shape();
            if shape.rank() < 2 || shape[shape.rank() - 1] != width {
                let message = format!("input {shape:?} is not [.., time, {width}]");
                ShapeError::new(message).in_operation("MultiheadAttention").raise();
            }
            let weight = weight.narrow(0, part * width, width);
            let y = match bias {
                Some(bias) => x.linear(weight, bias.narrow(0, part * width, width)),
                None => x.matmul_transposed(weight),
            };
            let (time, each) = (&shape[..shape.rank() - 1], width / self.heads);
            let split = [time, &[self.heads, each]].concat();
            *x = y.reshape(split.as_slice()).transpose(-3, -2);
            if let (0 | 1, Some(positions)) = (part, &self.rotary) {
                *x = positions.forward(*x);
            }
        }
        heads
    }

    /// The heads side by side, projected to the output.
    #[track_caller]
    fn joined<'t>(&self, heads: Var<'t, F>) -> Var<'t, F> {
        self.out_proj.forward(heads.transpose(-3, -2).flatten_axes(-2, -1))
    }
}

impl<F: Float> Module<F> for MultiHeadAttention<F> {
    /// Self-attention: the sequence is queries, keys and values.
    #[track_caller]
    fn forward<'t>(&self, x: Var<'t, F>) -> Var<'t, F> {
        self.attend(x, x, x)
    }
}
