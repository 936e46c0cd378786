//! A model with the moving averages of its parameters in their place.

use wengert_core::{Float, Params};

use super::compiled::{Checked, Compiled, Values};
use super::optimizer::{Optimizer, plans};
use super::rule::Rule;
use super::rules::Ema;

impl<F: Float> Optimizer<F> {
    /// Calls `f` with the model, whose parameters hold their moving averages meanwhile, to evaluate or
    /// save it. The recipe keeps averages with `ema = 0.999`. A parameter that was never updated keeps
    /// its value.
    ///
    /// ```
    /// use wengert_core::{Param, ReduceOps, Tensor, UnaryOps, gradients};
    /// use wengert_nn::optim::Optimizer;
    ///
    /// let mut x = Param::new(Tensor::<f64>::from([1.0]));
    /// let mut optimizer = Optimizer::from_toml("kind = 'sgd'\nlr = 0.25\nema = 0.5")?;
    /// for _ in 0..2 {
    ///     let (_, grads) = gradients(|tape| tape.param(&x).square().sum());
    ///     optimizer.step(&mut x, &grads);
    /// }
    /// // The values after the steps are 0.5 and 0.25; the average begins with the first.
    /// assert_eq!(optimizer.with_ema(&mut x, |x| x.value().to_vec()), [0.375]);
    /// assert_eq!(x.value().to_vec(), [0.25]);
    /// # Ok::<(), wengert_nn::optim::ConfigError>(())
    /// ```
    ///
    /// # Panics
    /// If the recipe keeps no average.
    #[track_caller]
    pub fn with_ema<M: Params<F>, R>(&self, model: &mut M, f: impl FnOnce(&M) -> R) -> R {
        let own = match (Compiled::of().swap_ema)(self, model) {
            Ok(own) => own,
            Err(mistake) => panic!("with_ema: {mistake}"),
        };
        let averaged = Averaged { model, own };
        f(averaged.model)
    }

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

/// A model whose parameters hold their averages until this value is dropped.
struct Averaged<'m, F: Float, M: Params<F>> {
    model: &'m mut M,
    own: Values<F>,
}

// On drop, so that the model is restored after a panic too.
impl<F: Float, M: Params<F>> Drop for Averaged<'_, F, M> {
    fn drop(&mut self) {
        let mut own = self.own.drain(..).peekable();
        self.model.for_each_param_mut(&mut |_, param| {
            if let Some((_, value)) = own.next_if(|(id, _)| *id == param.id()) {
                *param.value_mut() = value;
            }
        });
    }
}
