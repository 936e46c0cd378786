//! Dropout.

use wengert_core::{Float, Noise, Var, params_generic};

use crate::Module;

/// In training sets each element to 0 with probability `p` and multiplies the others by `1 / (1 - p)`; in
/// evaluation the identity. Draws from the tape's key.
///
/// <https://docs.pytorch.org/docs/stable/generated/torch.nn.Dropout.html>
#[derive(Clone, Copy, Debug)]
pub struct Dropout {
    /// The probability.
    pub p: f64,
}

params_generic! { plain Dropout {; p } }

impl Dropout {
    /// With this probability.
    ///
    /// # Panics
    /// If it is not between 0 and 1.
    #[track_caller]
    pub fn new(p: f64) -> Self {
        assert!((0.0..=1.0).contains(&p), "Dropout: a probability of {p}");
        Self { p }
    }
}

impl<F: Float> Module<F> for Dropout {
    #[track_caller]
    fn forward<'t>(&self, x: Var<'t, F>) -> Var<'t, F> {
        let _layer = x.tape().layer("Dropout");
        if self.p == 0.0 || !x.tape().is_training() {
            return x;
        }
        let kept = 1.0 - self.p;
        let scale = if kept > 0.0 { kept.recip() } else { 0.0 };
        x * x.tape().noise(x.shape(), Noise::Bernoulli(kept)) * scale
    }
}
