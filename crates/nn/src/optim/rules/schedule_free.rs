//! Averaging in place of a schedule.

use serde::{Deserialize, Serialize};
use wengert_core::Float;

use crate::optim::elements::{Elements, MapProof};
use crate::optim::range::{InvalidSetting, at_least_zero, fractions};
use crate::optim::rule::{Rule, StepContext};
use crate::optim::transform::RuleList;

pub(super) fn list<L: RuleList>(list: L) -> L {
    list.rule::<ScheduleFreeAdamW>()
}

/// Schedule-free AdamW: the gradient is taken between a sequence `z` of plain steps and its average `x`, so that the
/// rate needs no schedule but a warm-up.
///
/// ```text
/// v = beta2 v + (1 - beta2) g^2
/// d = g / (sqrt(v / (1 - beta2^t)) + eps) + weight_decay p
/// c = w / (sum of w so far),   w = t^r lr^weight_lr_power
/// u = (1 - beta1 (1 - c)) d - c (z - p) / lr
/// z = z - lr d,   z = p at first
/// x = z + (p - z) / beta1
/// ```
///
/// The parameters hold `p = (1 - beta1) z + beta1 x` while the model is trained.
/// [`Optimizer::with_ema`](crate::optim::Optimizer::with_ema) evaluates it with `x`. The statistics of a batch norm
/// are those of `p`.
///
/// It must be the last transform of its chain but [`Ema`](super::Ema): a change behind it would reach `p` and not `z`.
///
/// Defazio et al. 2024, algorithm 1, <https://arxiv.org/abs/2405.15682>; the authors' `AdamWScheduleFree`,
/// <https://github.com/facebookresearch/schedule_free>, which takes the largest rate so far for `lr` in `w`. That
/// differs once the rate falls.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ScheduleFreeAdamW {
    /// Share of `x` in the point of the gradient, above 0, and decay of `v`, each below 1. Default: 0.9, 0.999.
    pub betas: [f64; 2],
    /// Added to the denominator after bias correction, outside the square root. At least 0. Default: 1e-8.
    pub eps: f64,
    /// Decoupled weight decay, at least 0. Default: 0.
    pub weight_decay: f64,
    /// Power of `t` in the weights of the average, at least 0. Default: 0.
    pub r: f64,
    /// Power of the rate in the weights of the average, at least 0. Default: 2.
    pub weight_lr_power: f64,
}

impl Default for ScheduleFreeAdamW {
    fn default() -> Self {
        ScheduleFreeAdamW {
            betas: [0.9, 0.999],
            eps: 1e-8,
            weight_decay: 0.0,
            r: 0.0,
            weight_lr_power: 2.0,
        }
    }
}

impl ScheduleFreeAdamW {
    /// Returns the weight of this step in the average.
    fn weight(&self, context: StepContext) -> f64 {
        (context.count as f64).powf(self.r) * context.lr.powf(self.weight_lr_power)
    }
}

impl Rule for ScheduleFreeAdamW {
    const KIND: &'static str = "schedule_free_adamw";
    const LR: f64 = 2.5e-3;
    const FORMULA: &'static str = "v as in adam; d = g / (sqrt(v / (1 - beta2^t)) + eps) + weight_decay p; w = t^r \
         lr^weight_lr_power, c = w / the sum of all w; u = (1 - beta1 (1 - c)) d - c (z - p) / \
         lr; z = z - lr d, z = p at first; in evaluation z + (p - z) / beta1";

    fn check(&self) -> Result<(), InvalidSetting> {
        fractions("betas", &self.betas)?;
        if self.betas[0] == 0.0 {
            let message = "expected a number above 0 and below 1, found 0.0";
            return Err(InvalidSetting::new("betas", message).at(0));
        }
        at_least_zero("eps", self.eps)?;
        at_least_zero("weight_decay", self.weight_decay)?;
        at_least_zero("r", self.r)?;
        at_least_zero("weight_lr_power", self.weight_lr_power)
    }

    fn ends_chain(&self) -> bool {
        true
    }

    fn state(&self) -> &'static [&'static str] {
        &["z", "exp_avg_sq"]
    }

    fn number(&self) -> Option<(&'static str, f64)> {
        Some(("weight_sum", 0.0))
    }

    fn next_number(&self, context: StepContext, weight_sum: f64) -> f64 {
        weight_sum + self.weight(context)
    }

    #[inline(always)]
    fn apply<F: Float>(&self, context: StepContext, elements: Elements<'_, F>) -> MapProof {
        let [beta1, beta2] = self.betas;
        let (past, present) = (F::of(beta2), F::of(1.0 - beta2));
        let correct = F::of(1.0 / context.bias_correction(beta2).sqrt());
        let (eps, decay, lr) = (F::of(self.eps), F::of(self.weight_decay), F::of(context.lr));
        // A rate of 0, with which a warm-up begins, has no weight and moves nothing.
        let seen = context.lr > 0.0 && context.number > 0.0;
        let share = if seen { self.weight(context) / context.number } else { 0.0 };
        let of_d = F::of(1.0 - beta1 * (1.0 - share));
        let of_z = F::of(if seen { share / context.lr } else { 0.0 });
        let first = context.count == 1;
        elements.map(|g, p, [z, v]| {
            let z = if first { p } else { z };
            let v = past * v + present * g * g;
            let d = g / (correct * v.sqrt() + eps) + decay * p;
            (of_d * d - of_z * (z - p), [z - lr * d, v])
        })
    }

    fn evaluated<F: Float>(&self, p: F, state: &[F]) -> Option<F> {
        let z = state[0];
        Some(z + (p - z) / F::of(self.betas[0]))
    }
}
