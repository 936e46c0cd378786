//! An optimizer rule of one's own.

use serde::{Deserialize, Serialize};
use wengert::Float;
use wengert::optim::{At, BadSetting, Elements, Mapped, Rule, setting::fraction};

/// Lion, which keeps the sign of a running average only (<https://arxiv.org/abs/2302.06675>).
#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Lion {
    betas: [f64; 2],
}

impl Default for Lion {
    fn default() -> Self {
        Lion { betas: [0.9, 0.99] }
    }
}

impl Rule for Lion {
    const KIND: &'static str = "lion";
    const LR: f64 = 1e-4;

    fn check(&self) -> Result<(), BadSetting> {
        let mut betas = self.betas.iter().enumerate();
        betas.try_for_each(|(i, &beta)| fraction("betas", beta).map_err(|bad| bad.at(i)))
    }

    fn memory(&self) -> &'static [&'static str] {
        &["exp_avg"]
    }

    #[inline(always)]
    fn apply<F: Float>(&self, _: At, elements: Elements<'_, F>) -> Mapped {
        let average = |beta: f64, m: F, g: F| F::of(beta) * m + F::of(1.0 - beta) * g;
        let [beta1, beta2] = self.betas;
        elements.map(|g, _, [m]| {
            let c = average(beta1, m, g);
            let sign = if c > F::ZERO {
                F::ONE
            } else if c < F::ZERO {
                -F::ONE
            } else {
                c
            };
            (sign, [average(beta2, m, g)])
        })
    }
}
