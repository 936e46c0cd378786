//! The categorical distribution.

use wengert_core::{BinaryOps, Float, IndexOps, MovementOps, ReduceOps, UnaryOps, Var};

use super::gumbel;
use crate::{Target, Targets, validate};

/// The distribution over classes with the probabilities `softmax(logits)`. The last axis of the logits is that of the
/// classes; its other axes are those of independent distributions.
///
/// A logit of minus infinity is a class of probability 0.
///
/// <https://docs.pytorch.org/docs/stable/distributions.html#categorical>
///
/// ```
/// use wengert_core::{Tensor, evaluate};
/// use wengert_nn::distributions::Categorical;
///
/// let logits = Tensor::<f64>::from([[0.0, 0.0], [1.0, 1.0]]);
/// let log_prob = evaluate(|tape| Categorical::new(tape.constant(&logits)).log_prob([1, 0]));
/// assert!(log_prob.as_slice().iter().all(|x| (x + 2f64.ln()).abs() < 1e-15));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Categorical<'t, F: Float = f32> {
    log_probs: Var<'t, F>,
}

impl<'t, F: Float> Categorical<'t, F> {
    /// Returns the distribution with these logits, `[.., classes]`.
    ///
    /// # Panics
    /// If the logits have no axis.
    #[track_caller]
    pub fn new(logits: Var<'t, F>) -> Self {
        Self { log_probs: logits.log_softmax() }
    }

    /// Records a draw, which counts as a constant: `[.., classes]` with 1 at the class that was drawn and 0 elsewhere.
    /// [`Tensor::argmax`](wengert_core::Tensor::argmax) of its value is the class.
    ///
    /// It is the place of the largest sum of a log-probability and Gumbel noise (Gumbel 1954).
    ///
    /// # Panics
    /// If the tape has no key.
    #[track_caller]
    pub fn sample(&self) -> Var<'t, F> {
        let scores = self.perturbed().stop_gradient();
        let largest = scores.equal(scores.max_axes(-1, true));
        // The first of equal sums.
        largest * largest.cumsum(-1).equal(1.0)
    }

    /// Records a reparametrised draw of the relaxed distribution: the softmax of log-probabilities and Gumbel noise,
    /// divided by `temperature` (Jang et al. 2017, <https://arxiv.org/abs/1611.01144>, Maddison et al. 2017). Towards
    /// temperature 0 it tends to [`sample`](Self::sample).
    ///
    /// # Panics
    /// If the temperature is not above 0, or the tape has no key.
    #[track_caller]
    pub fn gumbel_softmax(&self, temperature: f64) -> Var<'t, F> {
        let temperature = validate::positive("Categorical: temperature", temperature);
        (self.perturbed() / temperature).softmax()
    }

    /// Returns the log-probabilities, each with Gumbel noise added.
    #[track_caller]
    fn perturbed(&self) -> Var<'t, F> {
        self.log_probs + gumbel::noise(self.log_probs.tape(), self.log_probs.shape())
    }

    /// Records the logarithm of the probability of classes `[..]`, or of a draw of [`sample`](Self::sample)
    /// `[.., classes]`.
    ///
    /// # Panics
    /// If there is not one class for each distribution, or a class is out of range.
    #[track_caller]
    pub fn log_prob(&self, classes: impl Targets<'t, F>) -> Var<'t, F> {
        match classes.beside(self.log_probs) {
            Target::Labels(classes) => self.log_probs.pick(classes),
            Target::Soft(draw) => draw.where_cond(self.log_probs, 0.0).sum_axes(-1, false),
        }
    }

    /// Records the entropy, the sum of `-p ln(p)` over the classes.
    #[track_caller]
    pub fn entropy(&self) -> Var<'t, F> {
        -self.expect(self.log_probs)
    }

    /// Records the divergence of `other` from this distribution, `KL(self || other)`: the sum of `p ln(p / q)` over the
    /// classes. It is infinite if `other` never draws a class that this distribution draws.
    #[track_caller]
    pub fn kl_divergence(&self, other: &Self) -> Var<'t, F> {
        self.expect(self.log_probs - other.log_probs)
    }

    /// Returns the mean of a function of the class. A class of probability 0 does not count, whatever its value.
    #[track_caller]
    fn expect(&self, values: Var<'t, F>) -> Var<'t, F> {
        let probs = self.log_probs.exp();
        probs.where_cond(probs * values, 0.0).sum_axes(-1, false)
    }
}
