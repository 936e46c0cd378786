//! Vectors for tokens.

use rand::Rng;
use wengert_core::{Float, IndexOps, Indices, MatmulOps, Param, Tape, Tensor, Var, params_generic};

/// A table with a vector for each token.
///
/// * Input: tokens `[..]`, as [`Indices`]. Output: `[.., embedding_dim]`.
/// * Parameters: `weight` `[num_embeddings, embedding_dim]`, initially standard normal.
///
/// <https://docs.pytorch.org/docs/stable/generated/torch.nn.Embedding.html>
///
/// [`Embedding::logits`] is an output layer with this weight. The gradients of both uses add up.
///
/// ```
/// use rand::{SeedableRng, rngs::ChaCha8Rng};
/// use wengert_core::evaluate;
/// use wengert_nn::Embedding;
///
/// let embedding = Embedding::<f64>::new(5, 3, &mut ChaCha8Rng::seed_from_u64(0));
/// let vectors = evaluate(|tape| embedding.forward(tape, [4, 0]));
/// assert_eq!(vectors, embedding.weight.value().take_rows(&[4, 0]));
/// let logits = evaluate(|tape| embedding.logits(embedding.forward(tape, [4, 0])));
/// assert_eq!(logits.shape(), [2, 5].into());
/// ```
#[derive(Clone, Debug)]
pub struct Embedding<F: Float = f32> {
    /// Shape `[num_embeddings, embedding_dim]`.
    pub weight: Param<F>,
    padding_idx: Option<usize>,
}

impl<F: Float> Embedding<F> {
    /// Returns a table drawn from `rng`.
    pub fn new(num_embeddings: usize, embedding_dim: usize, rng: &mut impl Rng) -> Self {
        Self::from_tensor(Tensor::randn([num_embeddings, embedding_dim], rng))
    }

    /// Returns a table with these vectors.
    ///
    /// # Panics
    /// If the weight is not `[num_embeddings, embedding_dim]`.
    #[track_caller]
    pub fn from_tensor(weight: Tensor<F>) -> Self {
        let shape = weight.shape();
        assert!(
            shape.rank() == 2,
            "Embedding: weight: expected shape [num_embeddings, embedding_dim], found {shape:?}"
        );
        Self { weight: weight.into(), padding_idx: None }
    }

    /// Declares a token as padding: its vector becomes 0 and receives gradient 0 from lookups.
    ///
    /// # Panics
    /// If there is no such token.
    #[track_caller]
    pub fn padding_idx(mut self, token: usize) -> Self {
        let &[tokens, width] = &*self.weight.value().shape() else { unreachable!("a matrix") };
        assert!(token < tokens, "Embedding: padding_idx {token} is out of range (0..{tokens})");
        self.weight.value_mut().as_mut_slice()[token * width..][..width].fill(F::ZERO);
        Self { padding_idx: Some(token), ..self }
    }

    /// Records the vectors of these tokens: `[..]` to `[.., embedding_dim]`.
    ///
    /// # Panics
    /// If a token is out of range; the message has the token and its position.
    #[track_caller]
    pub fn forward<'t>(&self, tape: &'t Tape<F>, tokens: impl Into<Indices>) -> Var<'t, F> {
        let _layer = tape.layer("Embedding");
        tape.param(&self.weight).embedding(tokens, self.padding_idx)
    }

    /// Records a logit for each token, `x weight^T`: `[.., embedding_dim]` to `[.., num_embeddings]`.
    ///
    /// # Panics
    /// If the last axis of `x` is not `embedding_dim`.
    #[track_caller]
    pub fn logits<'t>(&self, x: Var<'t, F>) -> Var<'t, F> {
        let _layer = x.tape().layer("Embedding");
        x.matmul_transposed(&self.weight)
    }
}

params_generic! { Embedding { weight; padding_idx } }
