//! LAMB: Adam with a trust ratio for each layer. Used by `12_lamb.rs`.

use serde::{Deserialize, Serialize};
use wengert::Float;
use wengert::optim::{
    Adam, Alias, Elements, InvalidSetting, MapProof, Rule, Scope, StepContext, Transform,
    WeightDecay, range,
};

/// Scales the update of a parameter to the norm of the parameter: `u = g |p| / |g|`, or `u = g` if one of
/// the norms is 0.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrustRatio {}

impl Rule for TrustRatio {
    const KIND: &'static str = "trust_ratio";

    fn scope(&self) -> Scope {
        Scope::Tensor
    }

    fn apply<F: Float>(&self, context: StepContext, elements: Elements<'_, F>) -> MapProof {
        let both = context.norm > 0.0 && context.param_norm > 0.0;
        let ratio = F::of(if both { context.param_norm / context.norm } else { 1.0 });
        elements.map(|g, _, []| (ratio * g, []))
    }
}

/// LAMB: [`Adam`], then decoupled [`WeightDecay`], then [`TrustRatio`].
///
/// You et al. 2020, algorithm 2, <https://arxiv.org/abs/1904.00962>; optax's `lamb`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Lamb {
    /// Decays of the averages of `g` and `g^2`, each at least 0 and below 1. Default: 0.9, 0.999.
    pub betas: [f64; 2],
    /// Added to the denominator of Adam, at least 0. Default: 1e-6.
    pub eps: f64,
    /// Decoupled weight decay, at least 0. Default: 0.
    pub weight_decay: f64,
}

impl Default for Lamb {
    fn default() -> Self {
        Lamb { betas: [0.9, 0.999], eps: 1e-6, weight_decay: 0.0 }
    }
}

impl Alias for Lamb {
    const KIND: &'static str = "lamb";

    fn transforms(self) -> Result<Vec<Transform>, InvalidSetting> {
        range::at_least_zero("weight_decay", self.weight_decay)?;
        Ok(vec![
            Transform::rule(Adam { betas: self.betas, eps: self.eps, amsgrad: false })?,
            Transform::rule(WeightDecay { weight_decay: self.weight_decay })?,
            Transform::rule(TrustRatio {})?,
        ])
    }
}
