//! The methods of [`Optimizer`].
//!
//! They are thin. Each calls a function that is compiled with this crate (`compiled.rs`), and panics at the caller's
//! line if that function returns a mistake.

use wengert_core::{Float, Gradients, Leaf, Params, Path};

use super::compiled::Compiled;
use super::driver::{Optimizer, plans};
use super::ema::Values;
use super::error::ConfigError;
use super::minimize::ModelLoss;
use super::recipe::Recipe;
use super::state::{LoadReport, OptimizerState};

impl<F: Float> Optimizer<F> {
    /// Creates an optimizer that has not made a step.
    pub fn new(recipe: Recipe) -> Self {
        (Compiled::of().new)(recipe)
    }

    /// Returns the recipe.
    pub fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    /// Returns the number of steps so far. Accumulated gradients count once, skipped ones do not count.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Returns the number of gradients skipped because they were not finite
    /// ([`NonFinite::Skip`](super::NonFinite::Skip)).
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// Returns the learning rate of the next step, for the parameters outside of all groups.
    pub fn lr(&self) -> f64 {
        self.recipe.lr().at_with(self.steps, &self.plans[0].schedule)
    }

    /// Reports a metric, such as the loss on held-out data, to the schedules. [`Plateau`] depends on it;
    /// other schedules ignore it.
    ///
    /// [`Plateau`]: super::Plateau
    pub fn report_metric(&mut self, metric: f64) {
        for (plan, state) in plans(&self.recipe).zip(&mut self.plans) {
            if let Some(plan) = plan {
                plan.lr.report_metric(metric, &mut state.schedule);
            }
        }
    }

    /// Checks that the groups of the recipe fit a model: each pattern matches at least one parameter.
    ///
    /// # Errors
    /// Returns an error for the first pattern that matches no parameter, with its position and the
    /// names in the model.
    pub fn check(&self, model: &dyn Params<F>) -> Result<(), ConfigError> {
        if self.recipe.groups().is_empty() {
            return Ok(());
        }
        let mut names = Vec::new();
        model.visit(Path::ROOT, &mut |path, leaf| {
            if let Leaf::Param(_) = leaf {
                names.push(path.to_string());
            }
        });
        self.recipe.check_names(&names)
    }

    /// Updates the parameters of a model in place from their gradients, and stores the new values of its
    /// buffers. Frozen parameters stay unchanged.
    ///
    /// # Panics
    /// * If a parameter received no gradient, unless the recipe has `unused_parameters = "skip"`.
    ///   The message names all such parameters. The model stays unchanged.
    /// * If a gradient is not finite and the recipe has `non_finite = "error"`. The model stays unchanged.
    /// * If a gradient and its parameter differ in shape.
    /// * If a pattern of a group matches no parameter; [`Optimizer::check`] finds this beforehand.
    /// * If the recipe is a solver, which needs [`Optimizer::minimize`].
    #[track_caller]
    pub fn step(&mut self, model: &mut dyn Params<F>, grads: &Gradients<F>) {
        if let Err(mistake) = (Compiled::of().step)(self, model, grads) {
            panic!("step: {mistake}");
        }
    }

    /// Makes one step on the loss that `loss` computes, and returns the loss before the step. It works for every
    /// recipe, so configuration alone can select a solver.
    ///
    /// ```
    /// use wengert_core::{Param, ReduceOps, Tensor, UnaryOps, gradients};
    /// use wengert_nn::optim::Optimizer;
    ///
    /// let mut x = Param::new(Tensor::<f64>::from([3.0]));
    /// let mut optimizer = Optimizer::from_toml("kind = 'sgd'\nlr = 0.5")?;
    /// let before = optimizer.minimize(&mut x, |x| gradients(|tape| tape.param(x).square().sum()));
    /// assert_eq!((before, x.value().to_vec()), (9.0, vec![0.0]));
    /// # Ok::<(), wengert_nn::optim::ConfigError>(())
    /// ```
    ///
    /// # Panics
    /// In the cases of [`Optimizer::step`], except that the recipe may be a solver.
    #[track_caller]
    pub fn minimize<M: Params<F>>(
        &mut self,
        model: &mut M,
        mut loss: impl FnMut(&M) -> (F, Gradients<F>),
    ) -> F {
        if self.solver().is_none() {
            let (value, grads) = loss(model);
            self.step(model, &grads);
            return value;
        }
        match (Compiled::of().minimize)(self, &mut ModelLoss { model, loss }) {
            Ok(value) => value,
            Err(mistake) => panic!("minimize: {mistake}"),
        }
    }

    /// Calls `f` with the model while its parameters hold their moving averages, to evaluate or save it. A recipe
    /// with `ema = 0.999` keeps these averages. A parameter that was never updated keeps its value.
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

    /// Returns the state for this model, by name.
    pub fn state(&self, model: &dyn Params<F>) -> OptimizerState<F> {
        (Compiled::of().state)(self, model)
    }

    /// Restores the state of an optimizer with the same or a similar recipe: everything that fits by
    /// name. If the report is complete, training continues as if it had not been interrupted.
    pub fn restore(&mut self, model: &dyn Params<F>, state: OptimizerState<F>) -> LoadReport {
        (Compiled::of().restore)(self, model, state)
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
