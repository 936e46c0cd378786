//! The block that transformers are stacked of.

use rand::Rng;
use wengert_core::{Float, Operand, UnaryOps, Var, params_generic};

use crate::{Dropout, LayerNorm, Linear, Module, MultiHeadAttention};

/// Self-attention and two linear layers, each added to what went in and normalised; from
/// `[.., time, width]` to the same. This is PyTorch's `TransformerEncoderLayer` with `batch_first=True`,
/// parameters named as there. With [`TransformerBlock::causal`] it is the block of a decoder such as GPT.
///
/// * Normalised afterwards (Vaswani et al. 2017): `x = norm1(x + attention(x))`,
///   `norm2(x + linear2(relu(linear1(x))))`.
/// * With [`TransformerBlock::norm_first`]: `x = x + attention(norm1(x))`,
///   `x + linear2(relu(linear1(norm2(x))))`.
///
/// <https://docs.pytorch.org/docs/stable/generated/torch.nn.TransformerEncoderLayer.html>
#[derive(Clone, Debug)]
pub struct TransformerBlock<F: Float = f32> {
    /// Attention of the sequence to itself.
    pub self_attn: MultiHeadAttention<F>,
    /// From the width to the wider layer.
    pub linear1: Linear<F>,
    /// And back.
    pub linear2: Linear<F>,
    /// Beside the attention.
    pub norm1: LayerNorm<F>,
    /// Beside the linear layers.
    pub norm2: LayerNorm<F>,
    /// Whether the norms come before what they stand beside.
    pub norm_first: bool,
    /// Between the linear layers.
    pub activation: for<'t> fn(Var<'t, F>) -> Var<'t, F>,
    /// On both branches, and between the linear layers.
    pub dropout: Dropout,
}

params_generic! {
    TransformerBlock { self_attn, linear1, linear2, norm1, norm2; norm_first, activation, dropout }
}

impl<F: Float> TransformerBlock<F> {
    /// With `feedforward` numbers between the linear layers, normalised afterwards, with relu, without
    /// dropout (PyTorch has 0.1 unless told otherwise).
    ///
    /// # Panics
    /// If the heads do not divide the width.
    #[track_caller]
    pub fn new(width: usize, heads: usize, feedforward: usize, rng: &mut impl Rng) -> Self {
        Self {
            self_attn: MultiHeadAttention::new(width, heads, rng),
            linear1: Linear::new(width, feedforward, rng),
            linear2: Linear::new(feedforward, width, rng),
            norm1: LayerNorm::new([width]),
            norm2: LayerNorm::new([width]),
            norm_first: false,
            activation: |x| x.relu(),
            dropout: Dropout::new(0.0),
        }
    }

    /// Position `i` sees the positions up to itself only.
    pub fn causal(self) -> Self {
        Self { self_attn: self.self_attn.causal(), ..self }
    }

    /// The norms come before what they stand beside, which trains more easily in deep models.
    pub fn norm_first(self) -> Self {
        Self { norm_first: true, ..self }
    }

    /// Another function between the linear layers: `.activation(|x| x.gelu())`.
    pub fn activation(self, activation: for<'t> fn(Var<'t, F>) -> Var<'t, F>) -> Self {
        Self { activation, ..self }
    }

    /// In training this share is dropped: of the attention's weights, of both branches, and of what is
    /// between the linear layers.
    pub fn dropout(self, p: f64) -> Self {
        Self { self_attn: self.self_attn.dropout(p), dropout: Dropout::new(p), ..self }
    }

    /// With a mask that is added to the attention's scaled products and broadcasts to
    /// `[.., heads, time, time]`; see [`masks`](crate::masks).
    ///
    /// # Panics
    /// If the width is another than the block's, or the mask does not broadcast.
    #[track_caller]
    pub fn forward_masked<'t>(&self, x: Var<'t, F>, mask: impl Operand<Var<'t, F>>) -> Var<'t, F> {
        let _layer = x.tape().layer("TransformerEncoderLayer");
        let y = if self.norm_first { self.norm1.forward(x) } else { x };
        self.after_attention(x, self.self_attn.attend_masked(y, y, y, mask))
    }

    /// What the block makes of its input and of what the attention made of it.
    #[track_caller]
    fn after_attention<'t>(&self, x: Var<'t, F>, attended: Var<'t, F>) -> Var<'t, F> {
        let x = x + self.dropout.forward(attended);
        if self.norm_first {
            return x + self.feedforward(self.norm2.forward(x));
        }
        let x = self.norm1.forward(x);
        self.norm2.forward(x + self.feedforward(x))
    }

    #[track_caller]
    fn feedforward<'t>(&self, x: Var<'t, F>) -> Var<'t, F> {
        let inner = (self.activation)(self.linear1.forward(x));
        self.dropout.forward(self.linear2.forward(self.dropout.forward(inner)))
    }
}

impl<F: Float> Module<F> for TransformerBlock<F> {
    #[track_caller]
    fn forward<'t>(&self, x: Var<'t, F>) -> Var<'t, F> {
        let _layer = x.tape().layer("TransformerEncoderLayer");
        let y = if self.norm_first { self.norm1.forward(x) } else { x };
        self.after_attention(x, self.self_attn.forward(y))
    }
}
