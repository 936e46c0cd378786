//! Adam with momenta of the gradient and of its change.

use serde::{Deserialize, Serialize};
use wengert_core::Float;

use crate::optim::elements::{Elements, MapProof};
use crate::optim::range::{InvalidSetting, at_least_zero, fractions};
use crate::optim::rule::{Rule, StepContext};
use crate::optim::transform::RuleList;

pub(super) fn list<L: RuleList>(list: L) -> L {
    list.rule::<Adan>()
}

/// Adan: adaptive Nesterov momentum.
///
/// ```text
/// d = g - g of the update before, d = 0 at first
/// m = beta1 m + (1 - beta1) g
/// v = beta2 v + (1 - beta2) d
/// n = beta3 n + (1 - beta3) (g + beta2 d)^2
/// w = (m / (1 - beta1^t) + beta2 v / (1 - beta2^t)) / (sqrt(n / (1 - beta3^t)) + eps)
/// u = (w + weight_decay p) / (1 + lr weight_decay), or w + weight_decay p with no_prox
/// ```
///
/// Xie et al. 2022, algorithm 1 without restarts, <https://arxiv.org/abs/2208.06677>, whose decays are 1 minus these;
/// names and bias corrections are those of the authors' program, <https://github.com/sail-sg/Adan>.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Adan {
    /// Decays of `m`, `v` and `n`, each at least 0 and below 1. Default: 0.98, 0.92, 0.99.
    pub betas: [f64; 3],
    /// Added to the denominator after bias correction, outside the square root. At least 0. Default: 1e-8.
    pub eps: f64,
    /// Weight decay, at least 0. Default: 0.
    pub weight_decay: f64,
    /// Whether weight decay is that of AdamW, in place of the proximal step. Default: false.
    pub no_prox: bool,
}

impl Default for Adan {
    fn default() -> Self {
        Adan { betas: [0.98, 0.92, 0.99], eps: 1e-8, weight_decay: 0.0, no_prox: false }
    }
}

impl Rule for Adan {
    const KIND: &'static str = "adan";
    const LR: f64 = 1e-3;
    const FORMULA: &'static str = "d = g - the g before; m = beta1 m + (1 - beta1) g; v = beta2 v + (1 - beta2) d; n = \
         beta3 n + (1 - beta3) (g + beta2 d)^2; w = (m / (1 - beta1^t) + beta2 v / (1 - beta2^t)) \
         / (sqrt(n / (1 - beta3^t)) + eps); u = (w + weight_decay p) / (1 + lr weight_decay), or \
         w + weight_decay p with no_prox";

    fn check(&self) -> Result<(), InvalidSetting> {
        fractions("betas", &self.betas)?;
        at_least_zero("eps", self.eps)?;
        at_least_zero("weight_decay", self.weight_decay)
    }

    fn state(&self) -> &'static [&'static str] {
        &["exp_avg", "exp_avg_diff", "exp_avg_sq", "previous_grad"]
    }

    #[inline(always)]
    fn apply<F: Float>(&self, context: StepContext, elements: Elements<'_, F>) -> MapProof {
        let [(past1, present1), (past2, present2), (past3, present3)] =
            self.betas.map(|beta| (F::of(beta), F::of(1.0 - beta)));
        let [seen1, seen2, seen3] = self.betas.map(|beta| context.bias_correction(beta));
        let (of_m, of_v) = (F::of(1.0 / seen1), F::of(self.betas[1] / seen2));
        let (correct, eps) = (F::of(1.0 / seen3.sqrt()), F::of(self.eps));
        let decay = F::of(self.weight_decay);
        let shrink = if self.no_prox { 1.0 } else { 1.0 + context.lr * self.weight_decay };
        let shrink = F::of(1.0 / shrink);
        let first = context.count == 1;
        elements.map(|g, p, [m, v, n, before]| {
            let d = if first { F::ZERO } else { g - before };
            let m = past1 * m + present1 * g;
            let v = past2 * v + present2 * d;
            let ahead = g + past2 * d;
            let n = past3 * n + present3 * ahead * ahead;
            let w = (of_m * m + of_v * v) / (correct * n.sqrt() + eps);
            (shrink * (w + decay * p), [m, v, n, g])
        })
    }
}
