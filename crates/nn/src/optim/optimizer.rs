//! The driver: it owns the steps, and what rules and schedules remember.

use std::path::Path;

use wengert_core::{
    Float, Gradients, Leaf, LeafMut, Param, ParamId, Params, Path as Place, Tensor,
};

use super::chain::{Chain, ChainState, sum_of_squares};
use super::recipe::Plan;
use super::rule::SolverState;
use super::transform::Transform;
use super::{ConfigError, NonFinite, Recipe, Registry, StepContext, UnusedParameters};

/// A recipe at work on one model: what its rules remember, by parameter name.
///
/// ```
/// use wengert_core::{Tensor, UnaryOps, Param, MovementOps, ReduceOps, gradients};
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
    /// That of the parameters which no group names, then those of the groups.
    pub(super) plans: Vec<PlanState<F>>,
    pub(super) states: Vec<ParamState<F>>,
    pub(super) steps: u64,
    pub(super) skipped: u64,
    /// The sum of the gradients that wait for others, and their number.
    pub(super) accumulated: Option<(Gradients<F>, u64)>,
    /// What a solver remembers.
    pub(super) solver_state: SolverState<F>,
}

/// A plan at work.
#[derive(Debug)]
pub(super) struct PlanState<F: Float> {
    /// `None` where nothing is done: in a frozen group, and where a solver takes its place.
    pub(super) chain: Option<Chain<F>>,
    /// What the schedule remembers.
    pub(super) schedule: Vec<f64>,
}

/// What is kept of one parameter.
#[derive(Debug)]
pub(super) struct ParamState<F: Float> {
    pub(super) name: String,
    /// The parameter that had this name at the last step, so that names are compared only when the
    /// model is another.
    pub(super) id: ParamId,
    /// The number of its plan.
    pub(super) plan: usize,
    /// `None` if it is frozen.
    pub(super) slots: Option<ChainState<F>>,
    /// Where a chain with a barrier in the middle leaves the update between its phases.
    pub(super) update: Option<Tensor<F>>,
}

impl<F: Float> Optimizer<F> {
    /// An optimizer that has not made a step.
    pub fn new(recipe: Recipe) -> Self {
        let run = |plan: Option<&Plan>| PlanState {
            chain: plan
                .filter(|plan| !plan.chain[0].is_solver())
                .map(|plan| Chain::new(&plan.chain)),
            schedule: plan.map_or(Vec::new(), |plan| plan.lr.state()),
        };
        let groups = recipe.groups().iter().map(|group| group.plan());
        Self {
            plans: [Some(&recipe.plan)].into_iter().chain(groups).map(run).collect(),
            recipe,
            states: Vec::new(),
            steps: 0,
            skipped: 0,
            accumulated: None,
            solver_state: SolverState::new(),
        }
    }

    /// The optimizer that a TOML text describes; see [`Recipe`].
    ///
    /// # Errors
    /// When the text is not TOML, or not a recipe; the error tells where and what was expected.
    pub fn from_toml(text: &str) -> Result<Self, ConfigError> {
        Recipe::from_toml(text).map(Self::new)
    }

    /// The same, with the rules and schedules of `registry`.
    ///
    /// # Errors
    /// As [`Optimizer::from_toml`].
    pub fn from_toml_with(registry: &Registry, text: &str) -> Result<Self, ConfigError> {
        Recipe::from_toml_with(registry, text).map(Self::new)
    }

    /// The optimizer that a TOML file describes; see [`Recipe`].
    ///
    /// # Errors
    /// When the file cannot be read, or as [`Optimizer::from_toml`].
    pub fn load(path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        Recipe::load(path).map(Self::new)
    }

    /// The same, with the rules and schedules of `registry`.
    ///
    /// # Errors
    /// As [`Optimizer::load`].
    pub fn load_with(registry: &Registry, path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        Recipe::load_with(registry, path).map(Self::new)
    }

    /// What this optimizer was made from.
    pub fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    /// Steps made so far. Gradients that were accumulated count together, those that were skipped not.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// How many gradients were not finite, and skipped ([`NonFinite::Skip`]).
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// The learning rate of the next step, of the parameters that no group names.
    pub fn lr(&self) -> f64 {
        self.recipe.lr().at_with(self.steps, &self.plans[0].schedule)
    }

    /// Shows the schedules a metric, such as the loss on held-out data; those that reduce the rate on a
    /// plateau go by it, others do not look.
    pub fn report_metric(&mut self, metric: f64) {
        for (plan, running) in plans(&self.recipe).zip(&mut self.plans) {
            if let Some(plan) = plan {
                plan.lr.report_metric(metric, &mut running.schedule);
            }
        }
    }

    /// Whether the groups of the recipe fit a model: each pattern names at least one parameter.
    ///
    /// # Errors
    /// With the first pattern that names none, where it stands, and the names that there are.
    pub fn check(&self, model: &(impl Params<F> + ?Sized)) -> Result<(), ConfigError> {
        if self.recipe.groups().is_empty() {
            return Ok(());
        }
        let mut names = Vec::new();
        model.visit(Place::ROOT, &mut |place, leaf| {
            if let Leaf::Param(_) = leaf {
                names.push(place.to_string());
            }
        });
        self.recipe.check_names(&names)
    }

    /// Updates the parameters of a model in place from their gradients, and puts the new values of
    /// its buffers in place. Frozen parameters stay as they are.
    ///
    /// # Panics
    /// If a parameter received no gradient, with the names of all such, unless the recipe says
    /// `unused_parameters = "skip"`; the model is untouched then. If a gradient has another shape
    /// than its parameter, or is not finite and the recipe says `non_finite = "error"`. If a pattern of
    /// a group names no parameter ([`Optimizer::check`] tells beforehand), or the recipe is a solver
    /// that calls the loss itself.
    #[track_caller]
    pub fn step(&mut self, model: &mut (impl Params<F> + ?Sized), grads: &Gradients<F>) {
        if let Some(solver) = self.solver() {
            panic!("step: `{}` calls the loss itself; use `minimize`", solver.kind());
        }
        if self.states.is_empty()
            && let Err(error) = self.check(model)
        {
            panic!("step: {error}");
        }
        if !self.accepts(model, grads) {
            self.skipped += 1;
            return;
        }
        let all = self.recipe.accumulate();
        if all == 1 {
            self.update(model, grads);
        } else {
            let number = match &mut self.accumulated {
                None => self.accumulated.insert((grads.clone(), 1)).1,
                Some((sum, number)) => {
                    *sum += grads;
                    *number += 1;
                    *number
                }
            };
            if number >= all
                && let Some((sum, number)) = self.accumulated.take()
            {
                self.update(model, &(sum / number as f64));
            }
        }
        if !grads.updates().is_empty() {
            remember(model, grads);
        }
    }

    /// Whether the recipe takes these gradients, finite or not.
    #[track_caller]
    fn accepts(&self, model: &(impl Params<F> + ?Sized), grads: &Gradients<F>) -> bool {
        match self.recipe.non_finite() {
            NonFinite::Ignore => true,
            NonFinite::Skip => grads.is_finite(),
            NonFinite::Error if grads.is_finite() => true,
            NonFinite::Error => {
                let mut names = Vec::new();
                model.visit(Place::ROOT, &mut |place, leaf| {
                    if let Leaf::Param(param) = leaf
                        && grads.get(param).is_some_and(|g| !g.is_finite())
                    {
                        names.push(place.to_string());
                    }
                });
                panic!(
                    "step: the gradient is not finite at {}; `gradients_checked` finds where that \
                     began",
                    names.join(", ")
                )
            }
        }
    }

    #[track_caller]
    fn update(&mut self, model: &mut (impl Params<F> + ?Sized), grads: &Gradients<F>) {
        if self.recipe.unused_parameters() == UnusedParameters::Error {
            let mut missing = grads.missing(model);
            missing.retain(|name| !self.is_frozen(name));
            assert!(
                missing.is_empty(),
                "step: no gradient arrived at {}; freeze what is not trained, or say \
                 unused_parameters = \"skip\"",
                missing.join(", ")
            );
        }
        let (recipe, step) = (&self.recipe, self.steps);
        let chains = || self.plans.iter().filter_map(|plan| plan.chain.as_ref());
        let phases = chains().map(Chain::phases).max().unwrap_or(0);
        for phase in 0..phases {
            let mut norm = 0.0;
            if chains().any(|chain| chain.needs_norm(phase)) {
                let mut squares = 0.0;
                each(recipe, &self.plans, &mut self.states, model, grads, |to| {
                    if to.chain.needs_norm(phase) {
                        let update = to.update.as_ref().unwrap_or(to.gradient);
                        squares += sum_of_squares(update.as_slice());
                    }
                });
                norm = squares.sqrt();
            }
            each(recipe, &self.plans, &mut self.states, model, grads, |to| {
                let mut context = StepContext::new(step, to.lr(step));
                context.norm = norm;
                let last = to.chain.phases() - 1;
                if phase < last {
                    let update = to.update.get_or_insert_with(|| to.gradient.clone());
                    to.chain.advance(phase, context, update, to.param.value(), to.slots);
                } else if phase == last {
                    let own = to.update.take();
                    let update = own.as_ref().unwrap_or(to.gradient);
                    to.chain.finish(context, update, to.param.value_mut(), to.slots);
                }
            });
        }
        self.steps += 1;
    }

    /// The solver that takes the place of the chain, if the recipe is one.
    pub(super) fn solver(&self) -> Option<&Transform> {
        self.recipe.chain().first().filter(|transform| transform.is_solver())
    }

    /// Whether the parameter of this name is in a frozen group.
    pub(super) fn is_frozen(&self, name: &str) -> bool {
        self.recipe.group_of(name).is_some_and(|group| self.recipe.groups()[group].plan().is_none())
    }
}

/// The plans of a recipe: that of the parameters which no group names, then those of the groups.
pub(super) fn plans(recipe: &Recipe) -> impl Iterator<Item = Option<&Plan>> {
    [Some(&recipe.plan)].into_iter().chain(recipe.groups().iter().map(|group| group.plan()))
}

/// A parameter that a step comes to, and all that belongs to it.
struct ParamStep<'a, F: Float> {
    recipe: &'a Recipe,
    running: &'a PlanState<F>,
    plan: usize,
    chain: &'a Chain<F>,
    slots: &'a mut ChainState<F>,
    update: &'a mut Option<Tensor<F>>,
    param: &'a mut Param<F>,
    gradient: &'a Tensor<F>,
}

impl<F: Float> ParamStep<'_, F> {
    fn lr(&self, step: u64) -> f64 {
        let plan = match self.plan {
            0 => Some(&self.recipe.plan),
            group => self.recipe.groups()[group - 1].plan(),
        };
        plan.map_or(0.0, |plan| plan.lr.at_with(step, &self.running.schedule))
    }
}

/// Calls `f` for each parameter that is trained and received a gradient.
#[track_caller]
fn each<F: Float>(
    recipe: &Recipe,
    plans: &[PlanState<F>],
    states: &mut Vec<ParamState<F>>,
    model: &mut (impl Params<F> + ?Sized),
    grads: &Gradients<F>,
    mut f: impl FnMut(ParamStep<'_, F>),
) {
    let (mut expected, mut hint) = (0, 0);
    model.for_each_param_mut(&mut |place, param| {
        if param.is_frozen() {
            return;
        }
        let Some(found) = grads.find(param.id(), hint) else { return };
        hint = found + 1;
        let gradient = &grads.as_slice()[found].1;
        let (own, given) = (param.value().shape(), gradient.shape());
        assert!(own == given, "step: {place} has shape {own:?}, its gradient {given:?}");
        if states.get(expected).is_none_or(|state| state.id != param.id()) {
            expected = find_state(recipe, plans, states, place, param);
        }
        let ParamState { plan, slots, update, .. } = &mut states[expected];
        expected += 1;
        let (running, plan) = (&plans[*plan], *plan);
        if let (Some(chain), Some(slots)) = (&running.chain, slots) {
            f(ParamStep { recipe, running, plan, chain, slots, update, param, gradient });
        }
    });
}

/// The state of a parameter by its name, made if it is new.
#[cold]
fn find_state<F: Float>(
    recipe: &Recipe,
    plans: &[PlanState<F>],
    states: &mut Vec<ParamState<F>>,
    place: Place<'_>,
    param: &Param<F>,
) -> usize {
    let (name, id) = (place.to_string(), param.id());
    let found = states.iter().position(|state| state.name == name).unwrap_or_else(|| {
        let plan = recipe.group_of(&name).map_or(0, |group| group + 1);
        let slots = plans[plan].chain.as_ref().map(|chain| chain.slots(param.value().shape()));
        states.push(ParamState { name, id, plan, slots, update: None });
        states.len() - 1
    });
    states[found].id = id;
    found
}

/// Puts the new values of buffers in place.
pub(super) fn remember<F: Float>(model: &mut (impl Params<F> + ?Sized), grads: &Gradients<F>) {
    model.visit_mut(Place::ROOT, &mut |_, leaf| {
        if let LeafMut::Buffer(buffer) = leaf
            && let Some((_, value)) = grads.updates().iter().rfind(|(id, _)| *id == buffer.id())
        {
            buffer.set(value.clone());
        }
    });
}
