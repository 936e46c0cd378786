//! The Bernoulli distribution.

use wengert_core::{BinaryOps, Elementwise, Float, MovementOps, Operand, Random, UnaryOps, Var};

/// The distribution over 0 and 1 in which 1 has the probability `sigmoid(logits)`.
///
/// <https://docs.pytorch.org/docs/stable/distributions.html#bernoulli>
///
/// ```
/// use wengert_core::{Tensor, evaluate};
/// use wengert_nn::distributions::Bernoulli;
///
/// let log_prob = evaluate(|tape| {
///     let coin = Bernoulli::new(tape.constant(&Tensor::<f64>::from([0.0, 0.0])));
///     coin.log_prob(&Tensor::from([0.0, 1.0]))
/// });
/// assert_eq!(log_prob, Tensor::from([-2f64.ln(), -2f64.ln()]));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Bernoulli<'t, F: Float = f32> {
    logits: Var<'t, F>,
}

impl<'t, F: Float> Bernoulli<'t, F> {
    /// Returns the distribution with these logits, of any shape.
    pub fn new(logits: Var<'t, F>) -> Self {
        Self { logits }
    }

    /// Records a draw of zeros and ones, which counts as a constant.
    ///
    /// # Panics
    /// If the tape has no key.
    #[track_caller]
    pub fn sample(&self) -> Var<'t, F> {
        let noise = self.logits.tape().random(self.logits.shape(), Random::Uniform);
        noise.less(self.logits.stop_gradient().sigmoid())
    }

    /// Records the logarithm of the probability of `x`, which is 0 or 1: `-x softplus(-logits) - (1 - x) softplus(logits)`.
    #[track_caller]
    pub fn log_prob(&self, x: impl Operand<Var<'t, F>>) -> Var<'t, F> {
        let x = x.beside(&self.logits);
        -mean([x, -x + 1.0], self.surprises())
    }

    /// Records the entropy, `p softplus(-logits) + (1 - p) softplus(logits)` with `p = sigmoid(logits)`.
    #[track_caller]
    pub fn entropy(&self) -> Var<'t, F> {
        mean(self.probabilities(), self.surprises())
    }

    /// Records the divergence of `other` from this distribution, `KL(self || other)`: the expected difference of the
    /// logarithms of their probabilities.
    #[track_caller]
    pub fn kl_divergence(&self, other: &Self) -> Var<'t, F> {
        let ([one, zero], [other_one, other_zero]) = (self.surprises(), other.surprises());
        mean(self.probabilities(), [other_one - one, other_zero - zero])
    }

    /// The probabilities of 1 and of 0.
    fn probabilities(&self) -> [Var<'t, F>; 2] {
        [self.logits.sigmoid(), (-self.logits).sigmoid()]
    }

    /// The negative logarithms of the probabilities of 1 and of 0.
    fn surprises(&self) -> [Var<'t, F>; 2] {
        [(-self.logits).softplus(), self.logits.softplus()]
    }
}

/// The mean of a function of 1 and of 0. An outcome of probability 0 does not count, whatever its value.
#[track_caller]
fn mean<'t, F: Float>(
    [one, zero]: [Var<'t, F>; 2],
    [of_one, of_zero]: [Var<'t, F>; 2],
) -> Var<'t, F> {
    one.mul_no_nan(&of_one) + zero.mul_no_nan(&of_zero)
}
