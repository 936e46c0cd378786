//! Rules that follow the gradient, or its sign.

use serde::{Deserialize, Serialize};
use wengert_core::Float;

use super::WeightDecay;
use crate::optim::elements::{Elements, MapProof};
use crate::optim::range::{InvalidSetting, at_least_zero, fractions};
use crate::optim::rule::{Rule, StepContext, UnreadRows};
use crate::optim::transform::{Alias, RuleList, Transform};

pub(super) fn list<L: RuleList>(list: L) -> L {
    list.rule::<Sgd>()
        .variant::<Sgd>("momentum", "momentum = 0.9")
        .variant::<Sgd>("nesterov", "momentum = 0.9\nnesterov = true")
        .alias::<LionW>()
}

/// Gradient descent, plain or with momentum.
///
/// ```text
/// v = g                                at t = 1
/// v = momentum v + (1 - dampening) g   afterwards
/// u = v, or g + momentum v with nesterov
/// ```
///
/// With momentum 0, `u = g` and there is no state. As in PyTorch,
/// <https://docs.pytorch.org/docs/stable/generated/torch.optim.SGD.html>, the learning rate is not part
/// of `v`; in Sutskever et al. 2013, <https://proceedings.mlr.press/v28/sutskever13.html>, it is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sgd {
    /// Decay of `v`, at least 0. Default: 0, no momentum.
    pub momentum: f64,
    /// Dampening: reduces the gradient's share in `v`; at least 0. Default: 0.
    pub dampening: f64,
    /// Whether to use Nesterov's momentum; requires momentum, and no dampening. Default: false.
    pub nesterov: bool,
}

impl Rule for Sgd {
    const KIND: &'static str = "sgd";
    const LR: f64 = 1e-3;
    const FORMULA: &'static str = "v = momentum v + (1 - dampening) g, v = g at first; u = v, or g + momentum v with \
         nesterov";

    fn check(&self) -> Result<(), InvalidSetting> {
        at_least_zero("momentum", self.momentum)?;
        at_least_zero("dampening", self.dampening)?;
        if self.nesterov && self.momentum == 0.0 {
            return Err(InvalidSetting::new("nesterov", "needs a momentum above 0, found 0"));
        }
        if self.nesterov && self.dampening != 0.0 {
            let message = format!("needs a dampening of 0, found {:?}", self.dampening);
            return Err(InvalidSetting::new("nesterov", message));
        }
        Ok(())
    }

    fn state(&self) -> &'static [&'static str] {
        if self.momentum == 0.0 { &[] } else { &["momentum_buffer"] }
    }

    fn unread_rows(&self) -> UnreadRows {
        if self.momentum == 0.0 { UnreadRows::Unchanged } else { UnreadRows::Updated }
    }

    #[inline(always)]
    fn apply<F: Float>(&self, context: StepContext, elements: Elements<'_, F>) -> MapProof {
        if self.momentum == 0.0 {
            return elements.map(|g, _, []| (g, []));
        }
        let momentum = F::of(self.momentum);
        let present = F::of(if context.count == 1 { 1.0 } else { 1.0 - self.dampening });
        let nesterov = self.nesterov;
        elements.map(|g, _, [v]| {
            let v = momentum * v + present * g;
            (if nesterov { g + momentum * v } else { v }, [v])
        })
    }
}

/// Lion: the sign of an exponential moving average.
///
/// ```text
/// u = sign(beta1 m + (1 - beta1) g)
/// m = beta2 m + (1 - beta2) g
/// ```
///
/// Chen et al. 2023, <https://arxiv.org/abs/2302.06675>. In TOML, `lion` is [`LionW`], with weight decay.
/// NaN stays NaN.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Lion {
    /// Decays of `m`, in the update and in the state, each at least 0 and below 1. Default: 0.9, 0.99.
    pub betas: [f64; 2],
}

impl Default for Lion {
    fn default() -> Self {
        Lion { betas: [0.9, 0.99] }
    }
}

impl Rule for Lion {
    const KIND: &'static str = "lion";
    const LR: f64 = 1e-4;
    const FORMULA: &'static str = "u = sign(beta1 m + (1 - beta1) g); m = beta2 m + (1 - beta2) g";

    fn check(&self) -> Result<(), InvalidSetting> {
        fractions("betas", &self.betas)
    }

    fn state(&self) -> &'static [&'static str] {
        &["exp_avg"]
    }

    #[inline(always)]
    fn apply<F: Float>(&self, _: StepContext, elements: Elements<'_, F>) -> MapProof {
        let [(past1, present1), (past2, present2)] =
            self.betas.map(|beta| (F::of(beta), F::of(1.0 - beta)));
        let sign = |x: F| {
            if x > F::ZERO {
                F::ONE
            } else if x < F::ZERO {
                -F::ONE
            } else {
                x
            }
        };
        elements.map(|g, _, [m]| (sign(past1 * m + present1 * g), [past2 * m + present2 * g]))
    }
}

/// Lion with decoupled weight decay: [`Lion`], then [`WeightDecay`]. In TOML: `lion`.
///
/// Chen et al. 2023, algorithm 2, <https://arxiv.org/abs/2302.06675>.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LionW {
    /// Decays of [`Lion`].
    pub betas: [f64; 2],
    /// Decoupled weight decay, at least 0. Default: 0.
    pub weight_decay: f64,
}

impl Default for LionW {
    fn default() -> Self {
        LionW { betas: Lion::default().betas, weight_decay: 0.0 }
    }
}

impl Alias for LionW {
    const KIND: &'static str = "lion";
    const LR: f64 = Lion::LR;

    fn transforms(self) -> Result<Vec<Transform>, InvalidSetting> {
        let lion = Transform::rule(Lion { betas: self.betas })?;
        Ok([lion].into_iter().chain(WeightDecay::unless_zero(self.weight_decay)?).collect())
    }
}
