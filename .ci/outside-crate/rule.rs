//! An optimizer rule of a user's crate.

use serde::{Deserialize, Serialize};
use wengert::Float;
use wengert::optim::{Elements, InvalidSetting, MapProof, Rule, StepContext, range::fraction};

/// Signum: the sign of a running average of the gradient (<https://arxiv.org/abs/1802.04434>).
#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Signum {
    momentum: f64,
}

impl Default for Signum {
    fn default() -> Self {
        Signum { momentum: 0.9 }
    }
}

impl Rule for Signum {
    const KIND: &'static str = "signum";
    const LR: f64 = 1e-4;

    fn check(&self) -> Result<(), InvalidSetting> {
        fraction("momentum", self.momentum)
    }

    fn state(&self) -> &'static [&'static str] {
        &["exp_avg"]
    }

    #[inline(always)]
    fn apply<F: Float>(&self, _: StepContext, elements: Elements<'_, F>) -> MapProof {
        let (past, present) = (F::of(self.momentum), F::of(1.0 - self.momentum));
        elements.map(|g, _, [m]| {
            let m = past * m + present * g;
            let sign = if m > F::ZERO {
                F::ONE
            } else if m < F::ZERO {
                -F::ONE
            } else {
                m
            };
            (sign, [m])
        })
    }
}
