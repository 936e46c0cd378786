//! The optimizer: what users call. `driver.rs` has the step itself.

use wengert_core::{Float, Gradients, Params, Path, Tensor};

use super::chain::{Chain, ChainState};
use super::compiled::Compiled;
use super::error::ConfigError;
use super::recipe::{Plan, Recipe};
use super::rule::SolverState;
use super::transform::Transform;

/// Updates the parameters of a model from their gradients, as a [`Recipe`] describes.
///
/// Made for one model: the state of its rules goes by parameter name.
///
/// ```
/// use wengert_core::{Tensor, UnaryOps, Param, ReduceOps, gradients};
/// use wengert_nn::optim::Optimizer;
///
/// let mut x = Param::new(Tensor::<f64>::from([3.0, -2.0]));
/// let mut optimizer = Optimizer::from_toml("kind = 'sgd'\nlr = 0.1")?;
/// for _ in 0..100 {
///     let (_, grads) = gradients(|tape| tape.param(&x).square().sum());
///     optimizer.step(&mut x, &grads);
/// }
/// assert!(x.value().as_slice().iter().all(|x| x.abs() < 1e-8));
/// # Ok::<(), wengert_nn::optim::ConfigError>(())
/// ```
#[derive(Debug)]
pub struct Optimizer<F: Float = f32> {
    pub(super) recipe: Recipe,
    /// The plan of the parameters outside of all groups, then those of the groups.
    pub(super) plans: Vec<PlanState<F>>,
    pub(super) params: Vec<ParamState<F>>,
    pub(super) steps: u64,
    pub(super) skipped: u64,
    /// Sum of the gradients of an unfinished accumulation, and their number.
    pub(super) accumulated: Option<(Gradients<F>, u64)>,
    pub(super) solver_state: SolverState<F>,
}

/// State of a plan.
#[derive(Debug)]
pub(super) struct PlanState<F: Float> {
    /// `None` for a frozen group, and for a solver.
    pub(super) chain: Option<Chain<F>>,
    pub(super) schedule: Vec<f64>,
}

/// State of a parameter.
#[derive(Debug)]
pub(super) struct ParamState<F: Float> {
    pub(super) name: String,
    /// The parameter that had this name at the last step. Names are compared only if the model is
    /// another one.
    pub(super) id: wengert_core::ParamId,
    /// Index of its plan.
    pub(super) plan: usize,
    /// `None` for a frozen parameter.
    pub(super) chain: Option<ChainState<F>>,
    /// The update between two phases of a chain.
    pub(super) update: Option<Tensor<F>>,
}

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
    /// For the first pattern that matches none, with its position and the names in the model.
    pub fn check(&self, model: &dyn Params<F>) -> Result<(), ConfigError> {
        if self.recipe.groups().is_empty() {
            return Ok(());
        }
        let mut names = Vec::new();
        model.visit(Path::ROOT, &mut |path, leaf| {
            if let wengert_core::Leaf::Param(_) = leaf {
                names.push(path.to_string());
            }
        });
        self.recipe.check_names(&names)
    }

    /// Updates the parameters of a model in place from their gradients, and stores the new values of its
    /// buffers. Frozen parameters stay unchanged.
    ///
    /// # Panics
    /// * If a parameter received no gradient, with the names of all such, unless the recipe has
    ///   `unused_parameters = "skip"`. The model stays unchanged.
    /// * If a gradient is not finite and the recipe has `non_finite = "error"`. The model stays unchanged.
    /// * If a gradient and its parameter differ in shape.
    /// * If a pattern of a group matches no parameter; [`Optimizer::check`] tells beforehand.
    /// * If the recipe is a solver, which needs [`Optimizer::minimize`].
    #[track_caller]
    pub fn step(&mut self, model: &mut dyn Params<F>, grads: &Gradients<F>) {
        if let Err(mistake) = (Compiled::of().step)(self, model, grads) {
            panic!("step: {mistake}");
        }
    }

    /// Returns the solver that takes the place of the chain, if the recipe is one.
    pub(super) fn solver(&self) -> Option<&Transform> {
        self.recipe.plan.solver()
    }

    /// Returns whether the parameter of this name is in a frozen group.
    pub(super) fn is_frozen(&self, name: &str) -> bool {
        self.recipe.group_of(name).is_some_and(|group| self.recipe.groups()[group].plan().is_none())
    }
}

/// Returns the plans of a recipe: that of the parameters outside of all groups, then those of the groups.
pub(super) fn plans(recipe: &Recipe) -> impl Iterator<Item = Option<&Plan>> {
    [Some(&recipe.plan)].into_iter().chain(recipe.groups().iter().map(|group| group.plan()))
}
