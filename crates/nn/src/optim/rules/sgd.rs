//! Rules that follow the gradient, or its sign.

use serde::{Deserialize, Serialize};
use wengert_core::Float;

use crate::optim::range::{InvalidSetting, at_least_zero, fractions};
use crate::optim::{Elements, MapProof, Rule, StepContext};

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

/// Lion: only the sign of a running average moves the parameter.
///
/// ```text
/// u = sign(beta1 m + (1 - beta1) g)
/// m = beta2 m + (1 - beta2) g
/// ```
///
/// Chen et al. 2023, <https://arxiv.org/abs/2302.06675>. Its weight decay is decoupled, 0 where none
/// is given. A NaN stays NaN.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Lion {
    /// The weight of the past in the update and in what is remembered, each at least 0 and below 1.
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
