//! Adam and its relatives.

use serde::{Deserialize, Serialize};
use wengert_core::Float;

use super::WeightDecay;
use crate::optim::elements::{Elements, MapProof};
use crate::optim::range::{InvalidSetting, at_least_zero, fractions};
use crate::optim::rule::{Rule, StepContext};
use crate::optim::transform::{Alias, RuleList, Transform};

pub(super) fn list<L: RuleList>(list: L) -> L {
    list.rule::<Adam>()
        .variant::<Adam>("amsgrad", "amsgrad = true")
        .alias::<AdamW>()
        .rule::<Adamax>()
        .rule::<NAdam>()
        .rule::<RAdam>()
}

/// Adam, with AMSGrad as an option.
///
/// ```text
/// m = beta1 m + (1 - beta1) g
/// v = beta2 v + (1 - beta2) g^2
/// w = v, or max(w, v) with amsgrad
/// u = m / (1 - beta1^t) / (sqrt(w / (1 - beta2^t)) + eps)
/// ```
///
/// Kingma and Ba 2015, <https://arxiv.org/abs/1412.6980>; AMSGrad: Reddi et al. 2018,
/// <https://openreview.net/forum?id=ryQu7f-RZ>, with the maximum taken before the bias correction as in
/// PyTorch, <https://docs.pytorch.org/docs/stable/generated/torch.optim.Adam.html>.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Adam {
    /// Decays of `m` and of `v`, each at least 0 and below 1. Default: 0.9, 0.999.
    pub betas: [f64; 2],
    /// Added to the denominator after bias correction, outside the square root. At least 0. Default: 1e-8.
    pub eps: f64,
    /// Whether to divide by the largest `v` so far. Default: false.
    pub amsgrad: bool,
}

impl Default for Adam {
    fn default() -> Self {
        Adam { betas: [0.9, 0.999], eps: 1e-8, amsgrad: false }
    }
}

impl Rule for Adam {
    const KIND: &'static str = "adam";
    const LR: f64 = 1e-3;
    const FORMULA: &'static str = "m = beta1 m + (1 - beta1) g; v = beta2 v + (1 - beta2) g^2; u = m / (1 - beta1^t) / \
         (sqrt(v / (1 - beta2^t)) + eps)";

    fn check(&self) -> Result<(), InvalidSetting> {
        fractions("betas", &self.betas)?;
        at_least_zero("eps", self.eps)
    }

    fn state(&self) -> &'static [&'static str] {
        if self.amsgrad {
            &["exp_avg", "exp_avg_sq", "max_exp_avg_sq"]
        } else {
            &["exp_avg", "exp_avg_sq"]
        }
    }

    #[inline(always)]
    fn apply<F: Float>(&self, context: StepContext, elements: Elements<'_, F>) -> MapProof {
        let [beta1, beta2] = self.betas;
        let (past1, present1) = (F::of(beta1), F::of(1.0 - beta1));
        let (past2, present2) = (F::of(beta2), F::of(1.0 - beta2));
        let correct1 = F::of(1.0 / context.bias_correction(beta1));
        let correct2 = F::of(1.0 / context.bias_correction(beta2).sqrt());
        let eps = F::of(self.eps);
        let averages = |g: F, m: F, v: F| (past1 * m + present1 * g, past2 * v + present2 * g * g);
        let update = |m: F, w: F| correct1 * m / (correct2 * w.sqrt() + eps);
        if self.amsgrad {
            elements.map(|g, _, [m, v, w]| {
                let (m, v) = averages(g, m, v);
                // Not `max`, which would drop a NaN.
                let w = if w >= v { w } else { v };
                (update(m, w), [m, v, w])
            })
        } else {
            elements.map(|g, _, [m, v]| {
                let (m, v) = averages(g, m, v);
                (update(m, v), [m, v])
            })
        }
    }
}

/// AdamW: [`Adam`], then decoupled [`WeightDecay`].
///
/// Loshchilov and Hutter 2019, <https://arxiv.org/abs/1711.05101>;
/// <https://docs.pytorch.org/docs/stable/generated/torch.optim.AdamW.html>.
///
/// ```
/// use wengert_nn::optim::{Adam, AdamW, Recipe, WeightDecay};
/// let recipe = Recipe::alias(1e-3, AdamW { weight_decay: 0.1, ..AdamW::default() });
/// let chain = Recipe::new(1e-3, Adam::default()).then(WeightDecay { weight_decay: 0.1 });
/// assert_eq!(recipe, chain);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AdamW {
    /// Decays of `m` and of `v` in [`Adam`], each at least 0 and below 1. Default: 0.9, 0.999.
    pub betas: [f64; 2],
    /// Added to the denominator of [`Adam`], at least 0. Default: 1e-8.
    pub eps: f64,
    /// Whether to divide by the largest `v` so far. Default: false.
    pub amsgrad: bool,
    /// Decoupled weight decay, at least 0. Default: 0.01.
    pub weight_decay: f64,
}

impl Default for AdamW {
    fn default() -> Self {
        let Adam { betas, eps, amsgrad } = Adam::default();
        AdamW { betas, eps, amsgrad, weight_decay: 0.01 }
    }
}

impl Alias for AdamW {
    const KIND: &'static str = "adamw";
    const LR: f64 = 1e-3;

    fn transforms(self) -> Result<Vec<Transform>, InvalidSetting> {
        let AdamW { betas, eps, amsgrad, weight_decay } = self;
        let adam = Transform::rule(Adam { betas, eps, amsgrad })?;
        Ok([adam].into_iter().chain(WeightDecay::unless_zero(weight_decay)?).collect())
    }
}

/// Adamax: Adam with the largest gradient in place of the root mean square.
///
/// ```text
/// m = beta1 m + (1 - beta1) g
/// w = max(beta2 w, |g| + eps)
/// u = m / (1 - beta1^t) / w
/// ```
///
/// Kingma and Ba 2015, section 7.1, <https://arxiv.org/abs/1412.6980>;
/// <https://docs.pytorch.org/docs/stable/generated/torch.optim.Adamax.html>.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Adamax {
    /// Decays of `m` and of `w`, each at least 0 and below 1. Default: 0.9, 0.999.
    pub betas: [f64; 2],
    /// Added to the magnitude of the gradient, at least 0. Default: 1e-8.
    pub eps: f64,
}

impl Default for Adamax {
    fn default() -> Self {
        Adamax { betas: [0.9, 0.999], eps: 1e-8 }
    }
}

impl Rule for Adamax {
    const KIND: &'static str = "adamax";
    const LR: f64 = 2e-3;
    const FORMULA: &'static str =
        "m as in adam; w = max(beta2 w, abs(g) + eps); u = m / (1 - beta1^t) / w";

    fn check(&self) -> Result<(), InvalidSetting> {
        fractions("betas", &self.betas)?;
        at_least_zero("eps", self.eps)
    }

    fn state(&self) -> &'static [&'static str] {
        &["exp_avg", "exp_inf"]
    }

    #[inline(always)]
    fn apply<F: Float>(&self, context: StepContext, elements: Elements<'_, F>) -> MapProof {
        let [beta1, beta2] = self.betas;
        let (past, present) = (F::of(beta1), F::of(1.0 - beta1));
        let correct = F::of(1.0 / context.bias_correction(beta1));
        let (decay, eps) = (F::of(beta2), F::of(self.eps));
        elements.map(|g, _, [m, w]| {
            let m = past * m + present * g;
            let (old, new) = (decay * w, g.abs() + eps);
            // Not `max`, which would drop a NaN.
            let w = if old >= new { old } else { new };
            (correct * m / w, [m, w])
        })
    }
}

/// NAdam: Adam with Nesterov's momentum, whose coefficient grows with `t`.
///
/// ```text
/// mu(t) = beta1 (1 - 0.96^(t momentum_decay) / 2),   M(t) = mu(1) mu(2) .. mu(t)
/// m = beta1 m + (1 - beta1) g
/// v = beta2 v + (1 - beta2) g^2
/// u = (mu(t + 1) m / (1 - M(t + 1)) + (1 - mu(t)) g / (1 - M(t)))
///     / (sqrt(v / (1 - beta2^t)) + eps)
/// ```
///
/// Dozat 2016, <https://openreview.net/forum?id=OM0jvwB8jIp57ZJjtNEZ>;
/// <https://docs.pytorch.org/docs/stable/generated/torch.optim.NAdam.html>.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NAdam {
    /// Decays of `m` and of `v`, each at least 0 and below 1. Default: 0.9, 0.999.
    pub betas: [f64; 2],
    /// Added to the denominator, outside the square root. At least 0. Default: 1e-8.
    pub eps: f64,
    /// Rate at which `mu` grows towards beta1, at least 0. Default: 0.004.
    pub momentum_decay: f64,
}

impl Default for NAdam {
    fn default() -> Self {
        NAdam { betas: [0.9, 0.999], eps: 1e-8, momentum_decay: 4e-3 }
    }
}

impl NAdam {
    fn mu(&self, t: u64) -> f64 {
        self.betas[0] * (1.0 - 0.5 * 0.96f64.powf(t as f64 * self.momentum_decay))
    }
}

impl Rule for NAdam {
    const KIND: &'static str = "nadam";
    const LR: f64 = 2e-3;
    const FORMULA: &'static str = "m, v as in adam; mu(t) = beta1 (1 - 0.96^(t momentum_decay) / 2), M(t) their product; u \
         = (mu(t + 1) m / (1 - M(t + 1)) + (1 - mu(t)) g / (1 - M(t))) / (sqrt(v / (1 - beta2^t)) \
         + eps)";

    fn check(&self) -> Result<(), InvalidSetting> {
        fractions("betas", &self.betas)?;
        at_least_zero("eps", self.eps)?;
        at_least_zero("momentum_decay", self.momentum_decay)
    }

    fn state(&self) -> &'static [&'static str] {
        &["exp_avg", "exp_avg_sq"]
    }

    fn number(&self) -> Option<(&'static str, f64)> {
        Some(("mu_product", 1.0))
    }

    fn next_number(&self, context: StepContext, mu_product: f64) -> f64 {
        // In single precision, as in PyTorch, so that the results agree to the last digits.
        f64::from(mu_product as f32 * self.mu(context.count) as f32)
    }

    #[inline(always)]
    fn apply<F: Float>(&self, context: StepContext, elements: Elements<'_, F>) -> MapProof {
        let [(past1, present1), (past2, present2)] =
            self.betas.map(|beta| (F::of(beta), F::of(1.0 - beta)));
        let correct = F::of(1.0 / context.bias_correction(self.betas[1]).sqrt());
        let (t, product) = (context.count, context.number);
        let ahead = self.mu(t + 1);
        let of_m = F::of(ahead / (1.0 - product * ahead));
        let of_g = F::of((1.0 - self.mu(t)) / (1.0 - product));
        let eps = F::of(self.eps);
        elements.map(|g, _, [m, v]| {
            let m = past1 * m + present1 * g;
            let v = past2 * v + present2 * g * g;
            ((of_m * m + of_g * g) / (correct * v.sqrt() + eps), [m, v])
        })
    }
}

/// RAdam: Adam that ignores `v` until its variance is low enough.
///
/// ```text
/// m = beta1 m + (1 - beta1) g
/// v = beta2 v + (1 - beta2) g^2
/// n = 2 / (1 - beta2) - 1,   rho = n - 2 t beta2^t / (1 - beta2^t)
/// r = sqrt((rho - 4) (rho - 2) n / ((n - 4) (n - 2) rho))
/// u = m / (1 - beta1^t)                                              while rho <= 5
/// u = m / (1 - beta1^t) r sqrt(1 - beta2^t) / (sqrt(v) + eps)        afterwards
/// ```
///
/// Liu et al. 2020, <https://arxiv.org/abs/1908.03265>; eps is placed as in PyTorch,
/// <https://docs.pytorch.org/docs/stable/generated/torch.optim.RAdam.html>.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RAdam {
    /// Decays of `m` and of `v`, each at least 0 and below 1. Default: 0.9, 0.999.
    pub betas: [f64; 2],
    /// Added to the denominator, outside the square root. At least 0. Default: 1e-8.
    pub eps: f64,
}

impl Default for RAdam {
    fn default() -> Self {
        RAdam { betas: [0.9, 0.999], eps: 1e-8 }
    }
}

impl RAdam {
    /// Returns `r sqrt(1 - beta2^t)`, or `None` while `rho <= 5`.
    fn rectification(&self, context: StepContext) -> Option<f64> {
        let (beta, t, seen) =
            (self.betas[1], context.count as f64, context.bias_correction(self.betas[1]));
        let n = 2.0 / (1.0 - beta) - 1.0;
        let rho = n - 2.0 * t * (1.0 - seen) / seen;
        let r = ((rho - 4.0) * (rho - 2.0) * n / ((n - 4.0) * (n - 2.0) * rho)).sqrt();
        (rho > 5.0).then_some(r * seen.sqrt())
    }
}

impl Rule for RAdam {
    const KIND: &'static str = "radam";
    const LR: f64 = 1e-3;
    const FORMULA: &'static str = "m, v as in adam; n = 2 / (1 - beta2) - 1, rho = n - 2 t beta2^t / (1 - beta2^t); u = m / \
         (1 - beta1^t) while rho <= 5, then times r sqrt(1 - beta2^t) / (sqrt(v) + eps) with r^2 \
         = (rho - 4) (rho - 2) n / ((n - 4) (n - 2) rho)";

    fn check(&self) -> Result<(), InvalidSetting> {
        fractions("betas", &self.betas)?;
        at_least_zero("eps", self.eps)
    }

    fn state(&self) -> &'static [&'static str] {
        &["exp_avg", "exp_avg_sq"]
    }

    #[inline(always)]
    fn apply<F: Float>(&self, context: StepContext, elements: Elements<'_, F>) -> MapProof {
        let [(past1, present1), (past2, present2)] =
            self.betas.map(|beta| (F::of(beta), F::of(1.0 - beta)));
        let correct = 1.0 / context.bias_correction(self.betas[0]);
        let averages = |g: F, m: F, v: F| (past1 * m + present1 * g, past2 * v + present2 * g * g);
        match self.rectification(context) {
            None => {
                let correct = F::of(correct);
                elements.map(|g, _, [m, v]| {
                    let (m, v) = averages(g, m, v);
                    (correct * m, [m, v])
                })
            }
            Some(factor) => {
                let (rate, eps) = (F::of(correct * factor), F::of(self.eps));
                elements.map(|g, _, [m, v]| {
                    let (m, v) = averages(g, m, v);
                    (rate * m / (v.sqrt() + eps), [m, v])
                })
            }
        }
    }
}
