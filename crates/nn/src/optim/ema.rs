//! Puts the moving averages of parameters in their place.

use wengert_core::{Float, ParamId, Params, Tensor};

use super::driver::{Checked, Optimizer, plans};
use super::rule::Rule;
use super::rules::Ema;

/// Values of parameters by identity.
pub(super) type Values<F> = Vec<(ParamId, Tensor<F>)>;

impl<F: Float> Optimizer<F> {
    /// Replaces the parameters with their averages, and returns their own values.
    pub(super) fn swap_ema(&self, model: &mut dyn Params<F>) -> Checked<Values<F>> {
        let mut transforms = plans(&self.recipe).flatten().flat_map(|plan| &plan.chain);
        if !transforms.any(|transform| transform.kind() == Ema::KIND) {
            return Err("the recipe keeps no average; say `ema = 0.999`".into());
        }
        let mut own = Vec::new();
        model.for_each_param_mut(&mut |path, param| {
            let name = path.to_string();
            let state = self.params.iter().find(|state| state.name == name);
            let average = state.and_then(|state| {
                let chain = self.plans[state.plan].chain.as_ref()?;
                chain.average(param.value().shape(), state.chain.as_ref()?)
            });
            if let Some(average) = average {
                own.push((param.id(), std::mem::replace(param.value_mut(), average)));
            }
        });
        Ok(own)
    }
}
