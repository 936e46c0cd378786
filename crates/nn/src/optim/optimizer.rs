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
use super::report::{LoadReport, RestoreError};
use super::state::OptimizerState;

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
    /// other schedules ignore it, so that a program may always report one.
    ///
    /// If the rate follows a metric, a program has 2000 steps to report the first one; then [`Optimizer::step`]
    /// panics. Before a longer first epoch, report the metric of the model as it is.
    ///
    /// [`Plateau`]: super::Plateau
    pub fn report_metric(&mut self, metric: f64) {
        self.metric_due = u64::MAX;
        for (plan, state) in plans(&self.recipe).zip(&mut self.plans) {
            if let Some(plan) = plan {
                plan.lr.report_metric(metric, &mut state.schedule);
            }
        }
    }

    /// Checks that the recipe fits a model: each pattern of a group matches at least one parameter, each group has a
    /// parameter that belongs to no earlier group, and each rule accepts the shapes of its parameters.
    ///
    /// # Errors
    /// Returns an error for the first pattern that matches no parameter, group without one of its own, or rule that
    /// refuses a shape, with its position.
    pub fn check(&self, model: &dyn Params<F>) -> Result<(), ConfigError> {
        let (mut names, mut trained) = (Vec::new(), Vec::new());
        model.visit(Path::ROOT, &mut |path, leaf| {
            if let Leaf::Param(param) = leaf {
                names.push(path.to_string());
                if !param.is_frozen() {
                    trained.push((path.to_string(), param.value().shape()));
                }
            }
        });
        self.recipe.check_names(&names)?;
        self.recipe.check_shapes(&trained)
    }

    /// Updates the parameters of a model in place from their gradients, and stores the new values of its
    /// buffers. Frozen parameters stay unchanged.
    ///
    /// # Panics
    /// In each of these cases the model and the optimizer stay unchanged:
    ///
    /// * A parameter received no gradient, unless the recipe has `unused_parameters = "skip"`.
    ///   The message names all such parameters.
    /// * A gradient is not finite and the recipe has `non_finite = "error"`.
    /// * A gradient and its parameter differ in shape.
    /// * A parameter has not the shape that it had at the steps before.
    /// * A pattern of a group matches no parameter, or a rule refuses the shape of one; [`Optimizer::check`] finds this
    ///   beforehand.
    /// * The rate follows a metric, and none was reported in 2000 steps; see [`Optimizer::report_metric`].
    /// * The recipe is a solver, which needs [`Optimizer::minimize`].
    ///
    /// It also panics if a [`TensorRule`](super::TensorRule) returns an update of another shape. Parameters before
    /// this one are updated then.
    #[track_caller]
    pub fn step(&mut self, model: &mut dyn Params<F>, grads: &Gradients<F>) {
        if let Err(mistake) = (Compiled::of().step)(self, model, grads) {
            panic!("step: {mistake}");
        }
    }

    /// Makes a step of the gradients that wait for an accumulation to be complete, if there are any. Call it after
    /// the last batch, if the number of batches may not be a multiple of `accumulate`.
    ///
    /// ```
    /// use wengert_core::{Param, Tensor, gradients};
    /// use wengert_nn::optim::Optimizer;
    ///
    /// let mut x = Param::new(Tensor::<f64>::scalar(1.0));
    /// let mut optimizer = Optimizer::from_toml("kind = 'sgd'\nlr = 0.5\naccumulate = 4")?;
    /// for factor in [1.0, 2.0] {
    ///     let (_, grads) = gradients(|tape| tape.param(&x) * factor);
    ///     optimizer.step(&mut x, &grads);
    /// }
    /// assert_eq!((optimizer.steps(), x.value().item()), (0, 1.0));
    /// optimizer.flush(&mut x);
    /// assert_eq!((optimizer.steps(), x.value().item()), (1, 0.25));
    /// # Ok::<(), wengert_nn::optim::ConfigError>(())
    /// ```
    ///
    /// # Panics
    /// In the cases of [`Optimizer::step`].
    #[track_caller]
    pub fn flush(&mut self, model: &mut dyn Params<F>) {
        if let Err(mistake) = (Compiled::of().flush)(self, model) {
            panic!("flush: {mistake}");
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
    /// In the cases of [`Optimizer::step`], except that the recipe may be a solver. If a solver's step panics, in
    /// `loss` too, the model stays unchanged.
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

    /// Calls `f` with the model while its parameters hold their values for evaluation, to evaluate or save it.
    ///
    /// These are the moving averages of a recipe with `ema = 0.999`, or those of
    /// [`ScheduleFreeAdamW`](super::ScheduleFreeAdamW); see [`Rule::evaluated`](super::Rule::evaluated). Under any other
    /// recipe `f` gets the model as it is, so evaluate in this way whatever the recipe is. A parameter whose average has
    /// not begun keeps its value.
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
    pub fn with_ema<M: Params<F>, R>(&self, model: &mut M, f: impl FnOnce(&M) -> R) -> R {
        let own = (Compiled::of().swap_ema)(self, model);
        let averaged = Averaged { model, own };
        f(averaged.model)
    }

    /// Returns the state for this model, by name.
    pub fn state(&self, model: &dyn Params<F>) -> OptimizerState<F> {
        (Compiled::of().state)(self, model)
    }

    /// Restores the state of an optimizer. Training continues as if it had not been interrupted.
    ///
    /// # Errors
    /// If the recipe and the model need what the state lacks, the state has names that they do not have, a shape
    /// differs, or a number is out of range. The optimizer is unchanged then. After a change of the recipe, use
    /// [`Optimizer::restore_lenient`].
    pub fn restore(
        &mut self,
        model: &dyn Params<F>,
        state: OptimizerState<F>,
    ) -> Result<(), RestoreError> {
        (Compiled::of().restore)(self, model, state)
    }

    /// Restores everything that fits by name from the state of an optimizer with a similar recipe, and reports the
    /// rest, which starts anew.
    ///
    /// ```
    /// use wengert_core::{Param, Tensor, gradients};
    /// use wengert_nn::optim::Optimizer;
    ///
    /// let mut x = vec![Param::new(Tensor::<f64>::scalar(1.0))];
    /// let mut adam = Optimizer::from_toml("kind = 'adam'")?;
    /// let (_, grads) = gradients(|tape| tape.param(&x[0]) * 2.0);
    /// adam.step(&mut x, &grads);
    ///
    /// let mut averaged = Optimizer::from_toml("kind = 'adam'\nema = 0.99")?;
    /// assert!(averaged.restore(&x, adam.state(&x)).is_err());
    /// let report = averaged.restore_lenient(&x, adam.state(&x));
    /// assert_eq!(report.missing, ["0/ema.average", "0/ema.count"]);
    /// # Ok::<(), wengert_nn::optim::ConfigError>(())
    /// ```
    pub fn restore_lenient(
        &mut self,
        model: &dyn Params<F>,
        state: OptimizerState<F>,
    ) -> LoadReport {
        (Compiled::of().restore_lenient)(self, model, state)
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
