//! The normal distribution.

use std::f64::consts::TAU;

use wengert_core::{Float, MovementOps, Operand, Random, Shape, UnaryOps, Var};

use super::broadcast;

/// The normal distribution with this mean and standard deviation.
///
/// <https://docs.pytorch.org/docs/stable/distributions.html#normal>
///
/// ```
/// use wengert_core::{ReduceOps, Tensor, seeded};
/// use wengert_nn::distributions::Normal;
///
/// let tape = seeded(1).tape();
/// let std = tape.variable(&Tensor::<f64>::scalar(0.5));
/// let normal = Normal::new(tape.constant(&Tensor::zeros([3])), std);
/// let x = normal.rsample();
/// // The derivative of a draw by the standard deviation is the noise.
/// let by_std = wengert_core::grad(x.sum(), &[std])[0];
/// let noise = x.value().as_slice().iter().sum::<f64>() / 0.5;
/// assert!((by_std.value().item() - noise).abs() < 1e-12);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Normal<'t, F: Float = f32> {
    mean: Var<'t, F>,
    std: Var<'t, F>,
    shape: Shape,
}

impl<'t, F: Float> Normal<'t, F> {
    /// Returns the distribution with this mean and standard deviation, which broadcast.
    ///
    /// # Panics
    /// If they do not broadcast.
    #[track_caller]
    pub fn new(mean: Var<'t, F>, std: impl Operand<Var<'t, F>>) -> Self {
        let (mean, std, shape) = broadcast("Normal", mean, std);
        Self { mean, std, shape }
    }

    /// Records a draw, `mean + std * noise`.
    ///
    /// # Panics
    /// If the tape has no key.
    #[track_caller]
    pub fn rsample(&self) -> Var<'t, F> {
        self.mean + self.std * self.mean.tape().random(self.shape, Random::Normal)
    }

    /// Records a draw that counts as a constant.
    ///
    /// # Panics
    /// If the tape has no key.
    #[track_caller]
    pub fn sample(&self) -> Var<'t, F> {
        self.rsample().stop_gradient()
    }

    /// Records the logarithm of the density, `-((x - mean) / std)^2 / 2 - ln(std) - ln(2 pi) / 2`.
    #[track_caller]
    pub fn log_prob(&self, x: impl Operand<Var<'t, F>>) -> Var<'t, F> {
        let z = (x.beside(&self.mean) - self.mean) / self.std;
        z.square() * -0.5 - self.std.ln() - TAU.ln() / 2.0
    }

    /// Records the entropy, `ln(std) + (1 + ln(2 pi)) / 2`.
    #[track_caller]
    pub fn entropy(&self) -> Var<'t, F> {
        (self.std.ln() + (1.0 + TAU.ln()) / 2.0).expand(self.shape)
    }

    /// Records the divergence of `other` from this distribution, `KL(self || other)`: with the ratio `r` of the standard
    /// deviations and the distance `d` of the means in those of `other`, `(r^2 + d^2 - 1) / 2 - ln(r)`.
    #[track_caller]
    pub fn kl_divergence(&self, other: &Self) -> Var<'t, F> {
        let ratio = self.std / other.std;
        let distance = (self.mean - other.mean) / other.std;
        (ratio.square() + distance.square() - 1.0) * 0.5 - ratio.ln()
    }
}
