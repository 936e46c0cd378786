//! Vectors for tokens.

use rand::Rng;
use wengert_core::{Float, IndexOps, Indices, MatmulOps, Param, Tape, Tensor, Var, params_generic};

/// A vector for each token: positions `[..]` to `[.., width]`.
///
/// An output layer that shares this weight (weight tying) is [`Embedding::attend`]. A parameter puts
/// itself on a tape once, so that the gradients of both uses add up:
///
/// ```
/// use rand::{SeedableRng, rngs::ChaCha8Rng};
/// use wengert_core::{Tensor, ReduceOps, gradients};
/// use wengert_nn::Embedding;
///
/// let tokens = Embedding::<f64>::new(5, 3, &mut ChaCha8Rng::seed_from_u64(0));
/// let x = Tensor::ones([1, 3]);
/// let read = |grads: wengert_core::Gradients<f64>| grads.get(&tokens.weight).unwrap().clone();
/// let input = gradients(|tape| tokens.forward(tape, [1]).sum()).1;
/// let output = gradients(|tape| tokens.attend(tape.constant(&x)).sum()).1;
/// let both = gradients(|tape| {
///     tokens.forward(tape, [1]).sum() + tokens.attend(tape.constant(&x)).sum()
/// }).1;
/// assert_eq!(read(both), read(input) + read(output));
/// ```
///
/// <https://docs.pytorch.org/docs/stable/generated/torch.nn.Embedding.html>
#[derive(Clone, Debug)]
pub struct Embedding<F: Float = f32> {
    /// Shape `[tokens, width]`.
    pub weight: Param<F>,
    padding_idx: Option<usize>,
}

impl<F: Float> Embedding<F> {
    /// So many tokens of this width, standard normal, PyTorch's default.
    pub fn new(tokens: usize, width: usize, rng: &mut impl Rng) -> Self {
        Self::from_tensor(Tensor::randn([tokens, width], rng))
    }

    /// A layer with these vectors.
    ///
    /// # Panics
    /// If the weight is no matrix.
    #[track_caller]
    pub fn from_tensor(weight: Tensor<F>) -> Self {
        let shape = weight.shape();
        assert!(shape.rank() == 2, "Embedding: weight {shape:?} is no matrix [tokens, width]");
        Self { weight: weight.into(), padding_idx: None }
    }

    /// This token stands for nothing: its vector becomes 0, and receives gradient 0 where it is read.
    ///
    /// # Panics
    /// If there is no such token.
    #[track_caller]
    pub fn padding_idx(mut self, token: usize) -> Self {
        let &[tokens, width] = &*self.weight.value().shape() else { unreachable!("a matrix") };
        assert!(token < tokens, "Embedding: padding_idx {token} of {tokens} tokens");
        self.weight.value_mut().as_mut_slice()[token * width..][..width].fill(F::ZERO);
        Self { padding_idx: Some(token), ..self }
    }

    /// The vectors of these tokens.
    ///
    /// # Panics
    /// If a token is out of range; the message names it and its place.
    #[track_caller]
    pub fn forward<'t>(&self, tape: &'t Tape<F>, tokens: impl Into<Indices>) -> Var<'t, F> {
        let _layer = tape.layer("Embedding");
        tape.param(&self.weight).embedding(tokens, self.padding_idx)
    }

    /// `x weight^T`, a logit for each token: `[.., width]` to `[.., tokens]`.
    #[track_caller]
    pub fn attend<'t>(&self, x: Var<'t, F>) -> Var<'t, F> {
        x.matmul_transposed(&self.weight)
    }
}

params_generic! { Embedding { weight; padding_idx } }
