//! LAMB: Adam, with a rate for each layer.

use serde::{Deserialize, Serialize};
use wengert::Float;
use wengert::optim::{
    Adam, At, BadSetting, Composite, Elements, Link, Mapped, Reach, Rule, WeightDecay, setting,
};

/// A step as long as the parameter itself, times the rate: `u = g |p| / |g|`, or `g` where one of the
/// norms is 0.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrustRatio {}

impl Rule for TrustRatio {
    const KIND: &'static str = "trust_ratio";

    fn reach(&self) -> Reach {
        Reach::Tensor
    }

    fn apply<F: Float>(&self, at: At, elements: Elements<'_, F>) -> Mapped {
        let known = at.norm > 0.0 && at.param_norm > 0.0;
        let ratio = F::of(if known { at.param_norm / at.norm } else { 1.0 });
        elements.map(|g, _, []| (ratio * g, []))
    }
}

/// LAMB: Adam, decoupled weight decay, and the trust ratio over both.
///
/// You et al. 2020, algorithm 2, <https://arxiv.org/abs/1904.00962>; optax' `lamb`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Lamb {
    /// The weight of the past in the averages of `g` and `g^2`.
    pub betas: [f64; 2],
    /// Keeps Adam's quotient finite.
    pub eps: f64,
    /// The weight of the parameter beside Adam's update, at least 0.
    pub weight_decay: f64,
}

impl Default for Lamb {
    fn default() -> Self {
        Lamb { betas: [0.9, 0.999], eps: 1e-6, weight_decay: 0.0 }
    }
}

impl Composite for Lamb {
    const KIND: &'static str = "lamb";

    fn links(self) -> Result<Vec<Link>, BadSetting> {
        setting::at_least_zero("weight_decay", self.weight_decay)?;
        Ok(vec![
            Link::rule(Adam { betas: self.betas, eps: self.eps, amsgrad: false })?,
            Link::rule(WeightDecay { weight_decay: self.weight_decay })?,
            Link::rule(TrustRatio {})?,
        ])
    }
}
