//! The Gumbel distribution.

use wengert_core::{Float, MovementOps, Operand, Random, Shape, Tape, UnaryOps, Var};

use super::broadcast;

/// The Gumbel distribution with this location and scale: that of the largest of many draws.
///
/// The divergence of two of them needs the gamma function and is missing.
///
/// <https://docs.pytorch.org/docs/stable/distributions.html#gumbel>
///
/// ```
/// use wengert_core::{Tensor, evaluate};
/// use wengert_nn::distributions::Gumbel;
///
/// let log_prob = evaluate(|tape| {
///     let gumbel = Gumbel::new(tape.constant(&Tensor::<f64>::scalar(0.5)), 2.0);
///     gumbel.log_prob(0.5)
/// });
/// assert_eq!(log_prob.item(), -1.0 - 2f64.ln());
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Gumbel<'t, F: Float = f32> {
    loc: Var<'t, F>,
    scale: Var<'t, F>,
    shape: Shape,
}

/// The mean of the standard Gumbel distribution.
const EULER: f64 = 0.577_215_664_901_532_9;

impl<'t, F: Float> Gumbel<'t, F> {
    /// Returns the distribution with this location and scale, which broadcast.
    ///
    /// # Panics
    /// If they do not broadcast.
    #[track_caller]
    pub fn new(loc: Var<'t, F>, scale: impl Operand<Var<'t, F>>) -> Self {
        let (loc, scale, shape) = broadcast("Gumbel", loc, scale);
        Self { loc, scale, shape }
    }

    /// Records a draw, `loc - scale * ln(-ln(noise))`.
    ///
    /// # Panics
    /// If the tape has no key.
    #[track_caller]
    pub fn rsample(&self) -> Var<'t, F> {
        self.loc + self.scale * noise(self.loc.tape(), self.shape)
    }

    /// Records a draw that counts as a constant.
    ///
    /// # Panics
    /// If the tape has no key.
    #[track_caller]
    pub fn sample(&self) -> Var<'t, F> {
        self.rsample().stop_gradient()
    }

    /// Records the logarithm of the density, `-z - exp(-z) - ln(scale)` with `z = (x - loc) / scale`.
    #[track_caller]
    pub fn log_prob(&self, x: impl Operand<Var<'t, F>>) -> Var<'t, F> {
        // Of the opposite sign.
        let z = (self.loc - x.beside(&self.loc)) / self.scale;
        z - z.exp() - self.scale.ln()
    }

    /// Records the entropy, `ln(scale) + 1 + gamma` with Euler's constant.
    #[track_caller]
    pub fn entropy(&self) -> Var<'t, F> {
        (self.scale.ln() + (1.0 + EULER)).expand(self.shape)
    }
}

/// Records draws of the standard Gumbel distribution.
#[track_caller]
pub(super) fn noise<F: Float>(tape: &Tape<F>, shape: Shape) -> Var<'_, F> {
    // A uniform draw may be 0, whose logarithm is infinite.
    let uniform = tape.random(shape, Random::Uniform).clamp_min(f64::from(f32::MIN_POSITIVE));
    -(-uniform.ln()).ln()
}
