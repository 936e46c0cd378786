//! The uniform distribution.

use wengert_core::{BinaryOps, Float, MovementOps, Operand, Random, Shape, UnaryOps, Var};

use super::broadcast;

/// The uniform distribution from `low` to `high`.
///
/// <https://docs.pytorch.org/docs/stable/distributions.html#uniform>
///
/// ```
/// use wengert_core::{Tensor, evaluate};
/// use wengert_nn::distributions::Uniform;
///
/// let log_prob = evaluate(|tape| {
///     let uniform = Uniform::new(tape.constant(&Tensor::<f64>::scalar(0.0)), 4.0);
///     uniform.log_prob(&Tensor::from([-1.0, 0.0, 3.0, 4.0]))
/// });
/// let inside = -4f64.ln();
/// assert_eq!(log_prob, Tensor::from([-f64::INFINITY, inside, inside, -f64::INFINITY]));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Uniform<'t, F: Float = f32> {
    low: Var<'t, F>,
    high: Var<'t, F>,
    shape: Shape,
}

impl<'t, F: Float> Uniform<'t, F> {
    /// Returns the distribution over `low..high`; both broadcast.
    ///
    /// # Panics
    /// If they do not broadcast.
    #[track_caller]
    pub fn new(low: Var<'t, F>, high: impl Operand<Var<'t, F>>) -> Self {
        let (low, high, shape) = broadcast("Uniform", low, high);
        Self { low, high, shape }
    }

    /// Records a draw, `low + (high - low) * noise`.
    ///
    /// # Panics
    /// If the tape has no key.
    #[track_caller]
    pub fn rsample(&self) -> Var<'t, F> {
        self.low + (self.high - self.low) * self.low.tape().random(self.shape, Random::Uniform)
    }

    /// Records a draw that counts as a constant.
    ///
    /// # Panics
    /// If the tape has no key.
    #[track_caller]
    pub fn sample(&self) -> Var<'t, F> {
        self.rsample().stop_gradient()
    }

    /// Records the logarithm of the density: `-ln(high - low)` from `low` on and below `high`, minus infinity elsewhere.
    #[track_caller]
    pub fn log_prob(&self, x: impl Operand<Var<'t, F>>) -> Var<'t, F> {
        let x = x.beside(&self.low);
        let inside = x.greater_equal(self.low) * x.less(self.high);
        inside.where_cond(0.0, f64::NEG_INFINITY) - self.entropy()
    }

    /// Records the entropy, `ln(high - low)`.
    #[track_caller]
    pub fn entropy(&self) -> Var<'t, F> {
        (self.high - self.low).ln()
    }

    /// Records the divergence of `other` from this distribution, `KL(self || other)`: the logarithm of the ratio of the
    /// lengths, or infinity if `other` does not contain this interval.
    #[track_caller]
    pub fn kl_divergence(&self, other: &Self) -> Var<'t, F> {
        let inside = other.low.less_equal(self.low) * other.high.greater_equal(self.high);
        inside.where_cond(other.entropy() - self.entropy(), f64::INFINITY)
    }
}
