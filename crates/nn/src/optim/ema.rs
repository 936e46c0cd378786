//! Puts the values of parameters for evaluation in their place.

use wengert_core::{Float, ParamId, Params, Tensor};

use super::driver::Optimizer;

/// Values of parameters by identity.
pub(super) type Values<F> = Vec<(ParamId, Tensor<F>)>;

impl<F: Float> Optimizer<F> {
    /// Replaces the parameters with their values for evaluation, as far as there are any, and returns their own.
    pub(super) fn swap_ema(&self, model: &mut dyn Params<F>) -> Values<F> {
        let mut own = Vec::new();
        model.for_each_param_mut(&mut |path, param| {
            let name = path.to_string();
            let shape = param.value().shape();
            let state = self.params.iter().find(|state| state.name == name && state.shape == shape);
            let evaluated = state.and_then(|state| {
                let chain = self.plans[state.plan].chain.as_ref()?;
                chain.evaluated(param.value(), state.chain.as_ref()?)
            });
            if let Some(evaluated) = evaluated {
                own.push((param.id(), std::mem::replace(param.value_mut(), evaluated)));
            }
        });
        own
    }
}
