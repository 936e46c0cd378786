//! The rules of the library, in order of complexity.
//!
//! In the formulas `g` is the update that arrives (the gradient, when the rule comes first), `u`
//! the one that leaves, `p` the parameter, and `t` counts the updates of this parameter from 1.
//! The driver ends with `p <- p - lr u`. Settings carry PyTorch's names and defaults.

use serde::{Deserialize, Serialize};
use wengert_core::Float;

use super::elements::{Elements, Mapped};
use super::rule::{At, Reach, Rule};
use super::setting::{BadSetting, above_zero, at_least_zero, fraction};

/// Weight decay: `u = g + weight_decay p`.
///
/// Before a rule it is the gradient of an L2 penalty, `weight_decay / 2 |p|^2`; after it, it is
/// decoupled: `p <- p - lr weight_decay p`, whatever the rule makes of the gradient (Loshchilov and
/// Hutter 2019, <https://arxiv.org/abs/1711.05101>).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WeightDecay {
    /// The weight of the parameter beside the gradient, at least 0.
    pub weight_decay: f64,
}

impl Default for WeightDecay {
    fn default() -> Self {
        WeightDecay { weight_decay: 0.01 }
    }
}

impl Rule for WeightDecay {
    const KIND: &'static str = "weight_decay";

    fn check(&self) -> Result<(), BadSetting> {
        at_least_zero("weight_decay", self.weight_decay)
    }

    #[inline(always)]
    fn apply<F: Float>(&self, _: At, elements: Elements<'_, F>) -> Mapped {
        let weight_decay = F::of(self.weight_decay);
        elements.map(|g, p, []| (g + weight_decay * p, []))
    }
}

/// Clipping by global norm: `u = g min(1, max_norm / (|g| + 1e-6))`, with `|g|` the Euclidean norm
/// over all parameters of the model.
///
/// PyTorch's `clip_grad_norm_`, <https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.clip_grad_norm_.html>;
/// Pascanu et al. 2013, <https://arxiv.org/abs/1211.5063>. A norm that is NaN makes the whole
/// update NaN, so that it is noticed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClipNorm {
    /// The longest update that passes unchanged, above 0.
    pub max_norm: f64,
}

impl Default for ClipNorm {
    fn default() -> Self {
        ClipNorm { max_norm: 1.0 }
    }
}

impl Rule for ClipNorm {
    const KIND: &'static str = "clip_norm";

    fn check(&self) -> Result<(), BadSetting> {
        above_zero("max_norm", self.max_norm)
    }

    fn reach(&self) -> Reach {
        Reach::Model
    }

    #[inline(always)]
    fn apply<F: Float>(&self, at: At, elements: Elements<'_, F>) -> Mapped {
        let scale = self.max_norm / (at.norm + 1e-6);
        // Not `min`, which would turn a NaN into 1.
        let scale = F::of(if scale > 1.0 { 1.0 } else { scale });
        elements.map(|g, _, []| (scale * g, []))
    }
}

/// Gradient descent, plain or with momentum.
///
/// ```text
/// v = g                                at t = 1
/// v = momentum v + (1 - dampening) g   afterwards
/// u = v, or g + momentum v with nesterov
/// ```
///
/// With momentum 0, `u = g` and nothing is remembered. The rate is outside of `v`, as in PyTorch,
/// <https://docs.pytorch.org/docs/stable/generated/torch.optim.SGD.html>; Sutskever et al. 2013,
/// <https://proceedings.mlr.press/v28/sutskever13.html>, has it inside.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sgd {
    /// The weight of the past, at least 0; 0 turns momentum off.
    pub momentum: f64,
    /// What the present is weakened by, at least 0.
    pub dampening: f64,
    /// Whether to look ahead along `v`; needs momentum, and no dampening.
    pub nesterov: bool,
}

impl Rule for Sgd {
    const KIND: &'static str = "sgd";

    fn check(&self) -> Result<(), BadSetting> {
        at_least_zero("momentum", self.momentum)?;
        at_least_zero("dampening", self.dampening)?;
        if self.nesterov && self.momentum == 0.0 {
            return Err(BadSetting::new("nesterov", "needs a momentum above 0, found 0"));
        }
        if self.nesterov && self.dampening != 0.0 {
            let message = format!("needs a dampening of 0, found {:?}", self.dampening);
            return Err(BadSetting::new("nesterov", message));
        }
        Ok(())
    }

    fn memory(&self) -> &'static [&'static str] {
        if self.momentum == 0.0 { &[] } else { &["momentum_buffer"] }
    }

    #[inline(always)]
    fn apply<F: Float>(&self, at: At, elements: Elements<'_, F>) -> Mapped {
        if self.momentum == 0.0 {
            return elements.map(|g, _, []| (g, []));
        }
        let momentum = F::of(self.momentum);
        let present = F::of(if at.count == 1 { 1.0 } else { 1.0 - self.dampening });
        let nesterov = self.nesterov;
        elements.map(|g, _, [v]| {
            let v = momentum * v + present * g;
            (if nesterov { g + momentum * v } else { v }, [v])
        })
    }
}

/// Adagrad: each element's rate falls with the squares that it has seen.
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
    /// How fast the rate falls with `t`, at least 0.
    pub lr_decay: f64,
    /// What `s` is before the first step, at least 0.
    pub initial_accumulator_value: f64,
    /// Keeps the quotient finite, at least 0; outside of the root.
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

    fn check(&self) -> Result<(), BadSetting> {
        at_least_zero("lr_decay", self.lr_decay)?;
        at_least_zero("initial_accumulator_value", self.initial_accumulator_value)?;
        at_least_zero("eps", self.eps)
    }

    fn memory(&self) -> &'static [&'static str] {
        &["sum"]
    }

    fn initial(&self, _: usize) -> f64 {
        self.initial_accumulator_value
    }

    #[inline(always)]
    fn apply<F: Float>(&self, at: At, elements: Elements<'_, F>) -> Mapped {
        let eps = F::of(self.eps);
        let rate = F::of(1.0 / (1.0 + at.count.saturating_sub(1) as f64 * self.lr_decay));
        elements.map(|g, _, [s]| {
            let s = s + g * g;
            (rate * g / (s.sqrt() + eps), [s])
        })
    }
}

/// RMSProp: each element is divided by the running root mean square of its gradients.
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
/// <https://docs.pytorch.org/docs/stable/generated/torch.optim.RMSprop.html>. TensorFlow has eps
/// inside of the root. A difference `v - m^2` that rounding makes negative counts as 0, where
/// PyTorch gives NaN.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RmsProp {
    /// The weight of the past in the averages, at least 0 and below 1.
    pub alpha: f64,
    /// Keeps the quotient finite, at least 0.
    pub eps: f64,
    /// Whether to divide by the standard deviation in place of the root mean square.
    pub centered: bool,
    /// The weight of past updates, at least 0; 0 turns momentum off.
    pub momentum: f64,
    /// Whether eps is added under the root, as TensorFlow does.
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

    fn check(&self) -> Result<(), BadSetting> {
        fraction("alpha", self.alpha)?;
        at_least_zero("eps", self.eps)?;
        at_least_zero("momentum", self.momentum)
    }

    fn memory(&self) -> &'static [&'static str] {
        match (self.centered, self.momentum > 0.0) {
            (false, false) => &["square_avg"],
            (false, true) => &["square_avg", "momentum_buffer"],
            (true, false) => &["square_avg", "grad_avg"],
            (true, true) => &["square_avg", "grad_avg", "momentum_buffer"],
        }
    }

    #[inline(always)]
    fn apply<F: Float>(&self, _: At, elements: Elements<'_, F>) -> Mapped {
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

/// Adam, and AMSGrad.
///
/// ```text
/// m = beta1 m + (1 - beta1) g
/// v = beta2 v + (1 - beta2) g^2
/// w = v, or max(w, v) with amsgrad
/// u = m / (1 - beta1^t) / (sqrt(w / (1 - beta2^t)) + eps)
/// ```
///
/// Kingma and Ba 2015, <https://arxiv.org/abs/1412.6980>; AMSGrad: Reddi et al. 2018,
/// <https://openreview.net/forum?id=ryQu7f-RZ>, with the maximum taken before the correction, as
/// PyTorch does, <https://docs.pytorch.org/docs/stable/generated/torch.optim.Adam.html>. AdamW is
/// this rule followed by [`WeightDecay`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Adam {
    /// The weight of the past in `m` and in `v`, each at least 0 and below 1.
    pub betas: [f64; 2],
    /// Keeps the quotient finite, at least 0; outside of the root, after the correction.
    pub eps: f64,
    /// Whether to divide by the largest `v` so far.
    pub amsgrad: bool,
}

impl Default for Adam {
    fn default() -> Self {
        Adam { betas: [0.9, 0.999], eps: 1e-8, amsgrad: false }
    }
}

impl Rule for Adam {
    const KIND: &'static str = "adam";

    fn check(&self) -> Result<(), BadSetting> {
        for (i, &beta) in self.betas.iter().enumerate() {
            fraction("betas", beta).map_err(|bad| bad.at(i))?;
        }
        at_least_zero("eps", self.eps)
    }

    fn memory(&self) -> &'static [&'static str] {
        if self.amsgrad {
            &["exp_avg", "exp_avg_sq", "max_exp_avg_sq"]
        } else {
            &["exp_avg", "exp_avg_sq"]
        }
    }

    #[inline(always)]
    fn apply<F: Float>(&self, at: At, elements: Elements<'_, F>) -> Mapped {
        let [beta1, beta2] = self.betas;
        let (past1, present1) = (F::of(beta1), F::of(1.0 - beta1));
        let (past2, present2) = (F::of(beta2), F::of(1.0 - beta2));
        let correct1 = F::of(1.0 / at.bias_correction(beta1));
        let correct2 = F::of(1.0 / at.bias_correction(beta2).sqrt());
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
