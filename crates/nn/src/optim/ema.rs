//! Puts the moving averages of parameters in their place.

use wengert_core::{Float, ParamId, Params, Tensor};

use super::driver::Optimizer;

/// Values of parameters by identity.
pub(super) type Values<F> = Vec<(ParamId, Tensor<F>)>;

impl<F: Float> Optimizer<F> {
    /// Replaces the parameters with their averages, as far as there are any, and returns their own values.
    pub(super) fn swap_ema(&self, model: &mut dyn Params<F>) -> Values<F> {
        let mut own = Vec::new();
        model.for_each_param_mut(&mut |path, param| {
            let name = path.to_string();
            let shape = param.value().shape();
            let state = self.params.iter().find(|state| state.name == name && state.shape == shape);
            let average = state.and_then(|state| {
                let chain = self.plans[state.plan].chain.as_ref()?;
                chain.average(shape, state.chain.as_ref()?)
            });
            if let Some(average) = average {
                own.push((param.id(), std::mem::replace(param.value_mut(), average)));
            }
        });
        own
    }
}
