//! Rules that divide each element by the size of its gradients.

use serde::{Deserialize, Serialize};
use wengert_core::Float;

use crate::optim::elements::{Elements, MapProof};
use crate::optim::range::{InvalidSetting, at_least_zero, fraction};
use crate::optim::rule::{Rule, StepContext, UnreadRows};
use crate::optim::transform::RuleList;

pub(super) fn list<L: RuleList>(list: L) -> L {
    list.rule::<Adagrad>().rule::<RmsProp>().rule::<Adadelta>()
}

/// Adagrad: the rate of each element falls with the sum of its squared gradients.
///
/// ```text
/// s = s + g^2                          s = initial_accumulator_value at first
/// u = g / (sqrt(s) + eps) / (1 + (t - 1) lr_decay)
/// ```
///
/// Duchi et al. 2011, <https://jmlr.org/papers/v12/duchi11a.html>;
/// <https://docs.pytorch.org/docs/stable/generated/torch.optim.Adagrad.html>.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Adagrad {
    /// Decay of the rate with `t`, at least 0. Default: 0.
    pub lr_decay: f64,
    /// Initial value of `s`, at least 0. Default: 0.
    pub initial_accumulator_value: f64,
    /// Added to the denominator, outside the square root. At least 0. Default: 1e-10.
    pub eps: f64,
}

impl Default for Adagrad {
    fn default() -> Self {
        Adagrad { lr_decay: 0.0, initial_accumulator_value: 0.0, eps: 1e-10 }
    }
}

impl Rule for Adagrad {
    const KIND: &'static str = "adagrad";
    const LR: f64 = 1e-2;
    const FORMULA: &'static str = "s = s + g^2; u = g / (sqrt(s) + eps) / (1 + (t - 1) lr_decay)";

    fn check(&self) -> Result<(), InvalidSetting> {
        at_least_zero("lr_decay", self.lr_decay)?;
        at_least_zero("initial_accumulator_value", self.initial_accumulator_value)?;
        at_least_zero("eps", self.eps)
    }

    fn state(&self) -> &'static [&'static str] {
        &["sum"]
    }

    fn initial(&self, _: usize) -> f64 {
        self.initial_accumulator_value
    }

    fn unread_rows(&self) -> UnreadRows {
        // Without `eps` the update of a row that was never read is 0 / 0.
        let is_divisor = self.eps >= f64::from(f32::MIN_POSITIVE);
        if is_divisor { UnreadRows::Unchanged } else { UnreadRows::Updated }
    }

    #[inline(always)]
    fn apply<F: Float>(&self, context: StepContext, elements: Elements<'_, F>) -> MapProof {
        let eps = F::of(self.eps);
        let rate = F::of(1.0 / (1.0 + context.count.saturating_sub(1) as f64 * self.lr_decay));
        elements.map(|g, _, [s]| {
            let s = s + g * g;
            (rate * g / (s.sqrt() + eps), [s])
        })
    }
}

/// RMSProp: each element is divided by the root mean square of its recent gradients.
///
/// ```text
/// v = alpha v + (1 - alpha) g^2
/// m = alpha m + (1 - alpha) g          if centered, else 0
/// u = g / (sqrt(v - m^2) + eps)        or g / sqrt(v - m^2 + eps) with eps_inside_sqrt
/// u = b = momentum b + u               if momentum > 0
/// ```
///
/// Tieleman and Hinton 2012, <https://www.cs.toronto.edu/~tijmen/csc321/slides/lecture_slides_lec6.pdf>;
/// centered: Graves 2013, <https://arxiv.org/abs/1308.0850>;
/// <https://docs.pytorch.org/docs/stable/generated/torch.optim.RMSprop.html>. A difference
/// `v - m^2` that rounding makes negative counts as 0; PyTorch gives NaN.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RmsProp {
    /// Decay of `v` and `m`, at least 0 and below 1. Default: 0.99.
    pub alpha: f64,
    /// Added to the denominator, at least 0. Default: 1e-8.
    pub eps: f64,
    /// Whether to divide by the standard deviation instead of the root mean square. Default: false.
    pub centered: bool,
    /// Decay of past updates, at least 0. Default: 0, no momentum.
    pub momentum: f64,
    /// Whether eps is added inside the square root, as in TensorFlow. Default: false.
    pub eps_inside_sqrt: bool,
}

impl Default for RmsProp {
    fn default() -> Self {
        RmsProp { alpha: 0.99, eps: 1e-8, centered: false, momentum: 0.0, eps_inside_sqrt: false }
    }
}

impl Rule for RmsProp {
    const KIND: &'static str = "rmsprop";
    const LR: f64 = 1e-2;
    const FORMULA: &'static str = "v = alpha v + (1 - alpha) g^2; u = g / (sqrt(v - m^2) + eps), where m is 0 or, centered, \
         the average of g; with momentum u = b = momentum b + ..";

    fn check(&self) -> Result<(), InvalidSetting> {
        fraction("alpha", self.alpha)?;
        at_least_zero("eps", self.eps)?;
        at_least_zero("momentum", self.momentum)
    }

    fn state(&self) -> &'static [&'static str] {
        match (self.centered, self.momentum > 0.0) {
            (false, false) => &["square_avg"],
            (false, true) => &["square_avg", "momentum_buffer"],
            (true, false) => &["square_avg", "grad_avg"],
            (true, true) => &["square_avg", "grad_avg", "momentum_buffer"],
        }
    }

    #[inline(always)]
    fn apply<F: Float>(&self, _: StepContext, elements: Elements<'_, F>) -> MapProof {
        let (past, present) = (F::of(self.alpha), F::of(1.0 - self.alpha));
        let momentum = F::of(self.momentum);
        let outside = F::of(if self.eps_inside_sqrt { 0.0 } else { self.eps });
        let inside = F::of(if self.eps_inside_sqrt { self.eps } else { 0.0 });
        let average = |old: F, new: F| past * old + present * new;
        let root = |square: F| (square + inside).sqrt() + outside;
        let variance = |v: F, m: F| {
            let variance = v - m * m;
            if variance < F::ZERO { F::ZERO } else { variance }
        };
        match (self.centered, self.momentum > 0.0) {
            (false, false) => elements.map(|g, _, [v]| {
                let v = average(v, g * g);
                (g / root(v), [v])
            }),
            (false, true) => elements.map(|g, _, [v, b]| {
                let v = average(v, g * g);
                let b = momentum * b + g / root(v);
                (b, [v, b])
            }),
            (true, false) => elements.map(|g, _, [v, m]| {
                let (v, m) = (average(v, g * g), average(m, g));
                (g / root(variance(v, m)), [v, m])
            }),
            (true, true) => elements.map(|g, _, [v, m, b]| {
                let (v, m) = (average(v, g * g), average(m, g));
                let b = momentum * b + g / root(variance(v, m));
                (b, [v, m, b])
            }),
        }
    }
}

/// Adadelta: steps are scaled by the root mean square of past steps over that of past gradients.
///
/// ```text
/// v = rho v + (1 - rho) g^2
/// u = g sqrt(d + eps) / sqrt(v + eps)
/// d = rho d + (1 - rho) u^2
/// ```
///
/// Zeiler 2012, <https://arxiv.org/abs/1212.5701>;
/// <https://docs.pytorch.org/docs/stable/generated/torch.optim.Adadelta.html>.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Adadelta {
    /// Decay of `v` and `d`, at least 0 and below 1. Default: 0.9.
    pub rho: f64,
    /// Added inside both square roots, at least 0; it makes the first step differ from 0. Default: 1e-6.
    pub eps: f64,
}

impl Default for Adadelta {
    fn default() -> Self {
        Adadelta { rho: 0.9, eps: 1e-6 }
    }
}

impl Rule for Adadelta {
    const KIND: &'static str = "adadelta";
    const LR: f64 = 1.0;
    const FORMULA: &'static str = "v = rho v + (1 - rho) g^2; u = g sqrt(d + eps) / sqrt(v + eps); d = rho d + (1 - rho) \
         u^2";

    fn check(&self) -> Result<(), InvalidSetting> {
        fraction("rho", self.rho)?;
        at_least_zero("eps", self.eps)
    }

    fn state(&self) -> &'static [&'static str] {
        &["square_avg", "acc_delta"]
    }

    #[inline(always)]
    fn apply<F: Float>(&self, _: StepContext, elements: Elements<'_, F>) -> MapProof {
        let (past, present, eps) = (F::of(self.rho), F::of(1.0 - self.rho), F::of(self.eps));
        elements.map(|g, _, [v, d]| {
            let v = past * v + present * g * g;
            let u = g * (d + eps).sqrt() / (v + eps).sqrt();
            (u, [v, past * d + present * u * u])
        })
    }
}
