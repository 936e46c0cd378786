//! The block of a transformer.

use rand::Rng;
use wengert_core::{Float, LayerName, Operand, UnaryOps, Var, params_generic};

use super::attention::Masked;
use super::forward_field;
use crate::{Dropout, LayerNorm, Linear, Module, MultiHeadAttention, validate};

const NAME: &str = "TransformerEncoderLayer";

/// The block of a transformer: self-attention and a feed-forward network, each with a residual connection
/// and a normalization.
///
/// * Normalized after each part, as in Vaswani et al. 2017, <https://arxiv.org/abs/1706.03762>:
///   `x = norm1(x + attention(x))`, then `norm2(x + linear2(relu(linear1(x))))`.
/// * With [`TransformerBlock::norm_first`]: `x = x + attention(norm1(x))`, then
///   `x + linear2(relu(linear1(norm2(x))))`.
/// * With [`TransformerBlock::causal`] it is the block of a decoder such as GPT.
/// * Input and output: `[.., time, d_model]`. This is PyTorch's `batch_first=True`.
/// * Parameters: those of `self_attn`, `linear1`, `linear2`, `norm1` and `norm2`, as in PyTorch.
///
/// PyTorch's default is `dropout=0.1`, here it is 0:
/// <https://docs.pytorch.org/docs/stable/generated/torch.nn.TransformerEncoderLayer.html>.
///
/// ```
/// use rand::{SeedableRng, rngs::ChaCha8Rng};
/// use wengert_nn::{TransformerBlock, check_shapes};
///
/// let rng = &mut ChaCha8Rng::seed_from_u64(0);
/// let block = TransformerBlock::<f32>::new(8, 2, 32, rng).causal().norm_first();
/// assert_eq!(check_shapes(&block, [4, 10, 8]), Ok([4, 10, 8].into()));
/// ```
#[derive(Clone, Debug)]
pub struct TransformerBlock<F: Float = f32> {
    /// The self-attention.
    pub self_attn: MultiHeadAttention<F>,
    /// The first layer of the feed-forward network, `d_model` to `dim_feedforward`.
    pub linear1: Linear<F>,
    /// The second layer of the feed-forward network, `dim_feedforward` to `d_model`.
    pub linear2: Linear<F>,
    /// The normalization of the self-attention.
    pub norm1: LayerNorm<F>,
    /// The normalization of the feed-forward network.
    pub norm2: LayerNorm<F>,
    /// Whether the normalizations come before their part. Default: false.
    pub norm_first: bool,
    /// The function between the linear layers. Default: `relu`.
    pub activation: for<'t> fn(Var<'t, F>) -> Var<'t, F>,
    /// Dropout of the outputs of both parts, and between the linear layers. Default: 0.
    pub dropout: Dropout,
}

params_generic! {
    TransformerBlock { self_attn, linear1, linear2, norm1, norm2; norm_first, activation, dropout }
}

impl<F: Float> TransformerBlock<F> {
    /// Returns a block drawn from `rng`: width `d_model`, `nhead` heads, and `dim_feedforward` numbers
    /// between the linear layers.
    ///
    /// # Panics
    /// If the heads do not divide the width.
    #[track_caller]
    pub fn new(d_model: usize, nhead: usize, dim_feedforward: usize, rng: &mut impl Rng) -> Self {
        Self {
            self_attn: MultiHeadAttention::new(d_model, nhead, rng),
            linear1: Linear::new(d_model, dim_feedforward, rng),
            linear2: Linear::new(dim_feedforward, d_model, rng),
            norm1: LayerNorm::new([d_model]),
            norm2: LayerNorm::new([d_model]),
            norm_first: false,
            activation: |x| x.relu(),
            dropout: Dropout::new(0.0),
        }
    }

    /// Hides from position `i` the positions after it.
    pub fn causal(self) -> Self {
        Self { self_attn: self.self_attn.causal(), ..self }
    }

    /// Normalizes before each part instead of after it. Deep models then train more easily.
    pub fn norm_first(self) -> Self {
        Self { norm_first: true, ..self }
    }

    /// Sets the function between the linear layers: `.activation(|x| x.gelu())`. Default: `relu`.
    pub fn activation(self, activation: for<'t> fn(Var<'t, F>) -> Var<'t, F>) -> Self {
        Self { activation, ..self }
    }

    /// Sets the probability of dropout: of attention weights, of the outputs of both parts, and between
    /// the linear layers. Default: 0.
    ///
    /// # Panics
    /// If `p` is outside `0..=1`.
    #[track_caller]
    pub fn dropout(self, p: f64) -> Self {
        validate::fraction("TransformerEncoderLayer: dropout", p);
        Self { self_attn: self.self_attn.dropout(p), dropout: Dropout::new(p), ..self }
    }

    /// Adds a mask: a tensor or a variable that broadcasts to `[.., nhead, time, time]`; see
    /// [`masks`](crate::masks).
    pub fn masked<M>(&self, mask: M) -> Masked<&Self, M> {
        Masked { layer: self, mask }
    }

    /// Returns the input of the self-attention.
    #[track_caller]
    fn before_attention<'t>(&self, x: Var<'t, F>) -> Var<'t, F> {
        if self.norm_first { forward_field("norm1", &self.norm1, x) } else { x }
    }

    /// Returns the output of the block, given its input and the output of the self-attention.
    #[track_caller]
    fn after_attention<'t>(&self, x: Var<'t, F>, attended: Var<'t, F>) -> Var<'t, F> {
        let x = x + self.dropout.forward(attended);
        if self.norm_first {
            return x + self.feed_forward(forward_field("norm2", &self.norm2, x));
        }
        let x = forward_field("norm1", &self.norm1, x);
        forward_field("norm2", &self.norm2, x + self.feed_forward(x))
    }

    #[track_caller]
    fn feed_forward<'t>(&self, x: Var<'t, F>) -> Var<'t, F> {
        let inner = (self.activation)(forward_field("linear1", &self.linear1, x));
        let inner = self.dropout.forward(inner);
        self.dropout.forward(forward_field("linear2", &self.linear2, inner))
    }
}

impl<F: Float> Module<F> for TransformerBlock<F> {
    #[track_caller]
    fn forward<'t>(&self, x: Var<'t, F>) -> Var<'t, F> {
        let _layer = x.tape().layer(NAME);
        let y = self.before_attention(x);
        self.after_attention(x, forward_field("self_attn", &self.self_attn, y))
    }
}

impl<F: Float, M> Masked<&TransformerBlock<F>, M> {
    /// Records the block with the mask.
    ///
    /// # Panics
    /// If the width of `x` is not `d_model`, or the mask does not broadcast to `[.., nhead, time, time]`.
    #[track_caller]
    pub fn forward<'t>(self, x: Var<'t, F>) -> Var<'t, F>
    where
        M: Operand<Var<'t, F>>,
    {
        let Self { layer, mask } = self;
        let _layer = x.tape().layer(NAME);
        let y = layer.before_attention(x);
        let attended = {
            let _part = x.tape().layer(LayerName::Field("self_attn"));
            layer.self_attn.masked(mask).forward(y, y, y)
        };
        layer.after_attention(x, attended)
    }
}
