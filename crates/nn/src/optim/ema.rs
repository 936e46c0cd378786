//! A model with the moving averages of its parameters in their place.

use wengert_core::{Float, ParamId, Params, Tensor};

use super::Rule;
use super::optimizer::{Optimizer, plans};
use super::rules::Ema;

impl<F: Float> Optimizer<F> {
    /// Runs `f` on the model with the moving averages of its parameters in their place
    /// (`average = 0.999` in the recipe): to evaluate or to save it. Parameters that were not updated
    /// yet stand for themselves.
    ///
    /// # Panics
    /// If the recipe keeps no average.
    #[track_caller]
    pub fn with_ema<M: Params<F> + ?Sized, R>(&self, model: &mut M, f: impl FnOnce(&M) -> R) -> R {
        let mut transforms = plans(&self.recipe).flatten().flat_map(|plan| &plan.chain);
        let keeps = transforms.any(|transform| transform.kind() == Ema::KIND);
        assert!(keeps, "with_ema: the recipe keeps no average; say `average = 0.999`");
        let mut own = Vec::new();
        model.for_each_param_mut(&mut |place, param| {
            let name = place.to_string();
            let state = self.states.iter().find(|state| state.name == name);
            let average = state.and_then(|state| {
                let chain = self.plans[state.plan].chain.as_ref()?;
                chain.average(param.value().shape(), state.slots.as_ref()?)
            });
            if let Some(average) = average {
                own.push((param.id(), std::mem::replace(param.value_mut(), average)));
            }
        });
        let averaged = Averaged { model, own };
        f(averaged.model)
    }
}

/// A model with averages in place of its parameters, for as long as this is there.
struct Averaged<'m, F: Float, M: Params<F> + ?Sized> {
    model: &'m mut M,
    own: Vec<(ParamId, Tensor<F>)>,
}

// On drop, so that a panic in between leaves the model as it was.
impl<F: Float, M: Params<F> + ?Sized> Drop for Averaged<'_, F, M> {
    fn drop(&mut self) {
        let mut own = self.own.drain(..).peekable();
        self.model.for_each_param_mut(&mut |_, param| {
            if let Some((_, value)) = own.next_if(|(id, _)| *id == param.id()) {
                *param.value_mut() = value;
            }
        });
    }
}
