//! A step of the optimizer: each parameter through the chain of its plan, phase by phase.

use wengert_core::{Float, Gradients, Leaf, LeafMut, Param, ParamId, Params, Path, Shape, Tensor};

use super::by_rows::read_rows;
use super::chain::{Chain, ChainState};
use super::chunks::sum_of_squares;
use super::recipe::{NonFinite, Plan, Recipe, UnusedParameters};
use super::rule::{SolverState, StepContext};
use super::transform::Transform;

/// Result of a function that a method of [`Optimizer`] calls. An `Err` is a mistake of the caller: the
/// method panics with it, so that the message shows the line of the user.
pub(super) type Checked<T> = Result<T, String>;

/// Optimizer of one model: it updates parameters from their gradients, as a [`Recipe`] describes.
///
/// It keeps the state of the rules by parameter name.
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
    /// The step that needs a metric, if a schedule follows one.
    pub(super) metric_due: u64,
    /// Memory for the rows of a parameter.
    rows: Vec<usize>,
}

/// Steps within which a schedule that follows a metric needs the first one; see [`Optimizer::report_metric`].
pub const METRIC_WITHIN: u64 = 2000;

/// State of a plan.
#[derive(Debug)]
pub(super) struct PlanState<F: Float> {
    /// `None` for a frozen group, and for a solver.
    pub(super) chain: Option<Chain<F>>,
    pub(super) schedule: Vec<f64>,
    /// The learning rate of this step.
    pub(super) lr: f64,
}

/// State of a parameter.
#[derive(Debug)]
pub(super) struct ParamState<F: Float> {
    pub(super) name: String,
    pub(super) shape: Shape,
    /// The parameter that had this name at the last step. Names are compared only if the model is
    /// another one.
    pub(super) id: ParamId,
    /// Index of its plan.
    pub(super) plan: usize,
    /// `None` for a frozen parameter.
    pub(super) chain: Option<ChainState<F>>,
    /// The update between two phases of a chain.
    pub(super) update: Option<Tensor<F>>,
}

impl<F: Float> Optimizer<F> {
    pub(super) fn made(recipe: Recipe) -> Self {
        let state = |plan: Option<&Plan>| PlanState {
            chain: plan.filter(|plan| plan.solver().is_none()).map(|plan| Chain::new(&plan.chain)),
            schedule: plan.map_or(Vec::new(), |plan| plan.lr.state()),
            lr: 0.0,
        };
        Self {
            plans: plans(&recipe).map(state).collect(),
            recipe,
            params: Vec::new(),
            steps: 0,
            skipped: 0,
            accumulated: None,
            solver_state: SolverState::new(),
            metric_due: METRIC_WITHIN,
            rows: Vec::new(),
        }
    }

    pub(super) fn try_step(
        &mut self,
        model: &mut dyn Params<F>,
        grads: &Gradients<F>,
    ) -> Checked<()> {
        if let Some(solver) = self.solver() {
            return Err(format!("`{}` calls the loss itself; use `minimize`", solver.kind()));
        }
        self.check_start(model)?;
        self.set_step()?;
        let waiting = self.accumulated.as_ref().map_or(0, |(_, waiting)| *waiting);
        let is_due = waiting + 1 >= self.recipe.accumulate();
        self.check_gradients(model, Some(grads), is_due)?;
        if !self.accepts(model, grads)? {
            self.skipped += 1;
            return Ok(());
        }
        match self.accumulated.take() {
            None if is_due => self.update(model, grads)?,
            None => self.accumulated = Some((grads.clone(), 1)),
            Some((mut sum, waiting)) => {
                sum += grads;
                if is_due {
                    self.update(model, &(sum / (waiting + 1) as f64))?;
                } else {
                    self.accumulated = Some((sum, waiting + 1));
                }
            }
        }
        if !grads.updates().is_empty() {
            update_buffers(model, grads);
        }
        Ok(())
    }

    pub(super) fn try_flush(&mut self, model: &mut dyn Params<F>) -> Checked<()> {
        if self.accumulated.is_some() {
            self.check_start(model)?;
            self.set_step()?;
            self.check_gradients(model, None, true)?;
        }
        match self.accumulated.take() {
            Some((sum, waiting)) => self.update(model, &(sum / waiting as f64)),
            None => Ok(()),
        }
    }

    /// Checks what a step needs besides gradients: names in the recipe, and a metric for the schedules.
    pub(super) fn check_start(&self, model: &dyn Params<F>) -> Checked<()> {
        if self.params.is_empty() && self.solver_state.is_empty() {
            self.check(model).map_err(|error| error.to_string())?;
        }
        if self.steps < self.metric_due {
            return Ok(());
        }
        let mut plans = plans(&self.recipe).flatten();
        match plans.find(|plan| plan.lr.follows_a_metric()) {
            None => Ok(()),
            Some(plan) => Err(format!(
                "the schedule `{}` follows a metric, and none was reported in {METRIC_WITHIN} steps; call \
                 `report_metric`, for example before the first epoch and after each one",
                plan.lr.kind()
            )),
        }
    }

    /// Gives the rates, and the settings that follow schedules, their values for the next step.
    fn set_step(&mut self) -> Checked<()> {
        for (plan, state) in plans(&self.recipe).zip(&mut self.plans) {
            if let (Some(plan), Some(chain)) = (plan, &mut state.chain) {
                state.lr = plan.lr.at_with(self.steps, &state.schedule);
                chain.try_set_step(self.steps).map_err(|invalid| chain.out_of_range(&invalid))?;
            }
        }
        Ok(())
    }

    /// Starts to wait for the first metric.
    pub(super) fn restart_wait_for_metric(&mut self) {
        self.metric_due = self.steps + METRIC_WITHIN;
    }

    /// Checks new and waiting gradients against the model, before a step changes anything.
    ///
    /// If an update `is_due`, each parameter needs a gradient, unless the recipe says otherwise.
    fn check_gradients(
        &self,
        model: &dyn Params<F>,
        grads: Option<&Gradients<F>>,
        is_due: bool,
    ) -> Checked<()> {
        let waiting = self.accumulated.as_ref().map(|(sum, _)| sum);
        let needs_all = is_due && self.recipe.unused_parameters() == UnusedParameters::Error;
        let (mut mistake, mut missing) = (None, Vec::new());
        let (mut hint, mut waiting_hint, mut next) = (0, 0, 0);
        let mut waits_for_other_model = waiting.is_some_and(|sum| !sum.as_slice().is_empty());
        model.visit(Path::ROOT, &mut |path, leaf| {
            let Leaf::Param(param) = leaf else { return };
            if param.is_frozen() {
                return;
            }
            let mut find = |grads: Option<&Gradients<F>>, hint: &mut usize| {
                let Some(grads) = grads else { return false };
                let Some(found) = grads.find(param.id(), *hint) else { return false };
                *hint = found + 1;
                check_shape(&mut mistake, path, param, &grads.as_slice()[found].1);
                true
            };
            let is_waiting = find(waiting, &mut waiting_hint);
            waits_for_other_model &= !is_waiting;
            let has_gradient = find(grads, &mut hint) || is_waiting;
            if !has_gradient {
                if needs_all {
                    missing.push(path.to_string());
                }
                return;
            }
            let by_id = place_of(&self.params, param.id(), next);
            let Some(place) = by_id.or_else(|| place_of_name(&self.params, &path.to_string()))
            else {
                return;
            };
            next = place + 1;
            let made_for = &self.params[place].shape;
            if *made_for != param.value().shape() {
                mistake.get_or_insert_with(|| {
                    let found = param.value().shape();
                    format!("state of {path}: made for shape {made_for:?}, found {found:?}")
                });
            }
        });
        if waits_for_other_model {
            return Err("the gradients that wait for an accumulation are those of another model; `flush` that \
                        one first"
                .into());
        }
        missing.retain(|name| !self.is_frozen(name));
        if let Some(mistake) = mistake {
            return Err(mistake);
        }
        if missing.is_empty() { Ok(()) } else { Err(no_gradient(&missing)) }
    }

    /// Returns whether the recipe uses these gradients, finite or not.
    pub(super) fn accepts(&self, model: &dyn Params<F>, grads: &Gradients<F>) -> Checked<bool> {
        match self.recipe.non_finite() {
            NonFinite::Ignore => Ok(true),
            NonFinite::Skip => Ok(grads.is_finite()),
            NonFinite::Error if grads.is_finite() => Ok(true),
            NonFinite::Error => {
                let mut names = Vec::new();
                model.visit(Path::ROOT, &mut |path, leaf| {
                    if let Leaf::Param(param) = leaf
                        && grads.get(param).is_some_and(|g| !g.is_finite())
                    {
                        names.push(path.to_string());
                    }
                });
                Err(format!(
                    "the gradient is not finite at {}; `gradients_checked` finds where that began",
                    names.join(", ")
                ))
            }
        }
    }

    /// Updates the model from gradients that were checked.
    fn update(&mut self, model: &mut dyn Params<F>, grads: &Gradients<F>) -> Checked<()> {
        // A step that failed in a rule from outside may have left some.
        self.params.iter_mut().for_each(|state| state.update = None);
        let (recipe, step, rows) = (&self.recipe, self.steps, &mut self.rows);
        let chains = || self.plans.iter().filter_map(|plan| plan.chain.as_ref());
        // The first barriers of all chains measure together, then the second ones, and so on. A parameter
        // whose chain has fewer of them is measured by its gradient.
        let most = chains().map(Chain::phases).max().unwrap_or(0);
        for barrier in 0..=most {
            if chains().all(|chain| chain.phase_behind(barrier).is_none()) {
                continue;
            }
            let mut norm = 0.0;
            if barrier > 0 {
                let mut squares = 0.0;
                each(recipe, &self.plans, &mut self.params, model, grads, |param| {
                    let update = param.update.as_ref().unwrap_or(param.gradient);
                    squares += sum_of_squares(update.as_slice());
                    Ok(())
                })?;
                norm = squares.sqrt();
            }
            each(recipe, &self.plans, &mut self.params, model, grads, |to| {
                let Some(phase) = to.chain.phase_behind(barrier) else { return Ok(()) };
                let context = &StepContext { norm, ..StepContext::new(step, to.lr) };
                if phase + 1 < to.chain.phases() {
                    let update = to.update.get_or_insert_with(|| to.gradient.clone());
                    to.chain.try_advance(phase, context, update, to.param.value(), to.state)
                } else if let Some(update) = to.update.take() {
                    to.chain.try_finish(context, &update, to.param.value_mut(), to.state)
                } else if norm.is_finite() // Otherwise it may make a NaN of a 0.
                    && read_rows(grads, to.param, rows)
                    && to.chain.leaves_unread_rows()
                {
                    let param = to.param.value_mut();
                    to.chain.finish_rows(context, rows, to.gradient, param, to.state);
                    Ok(())
                } else {
                    to.chain.try_finish(context, to.gradient, to.param.value_mut(), to.state)
                }
            })?;
        }
        self.steps += 1;
        Ok(())
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

/// Returns the message about parameters that received no gradient.
pub(super) fn no_gradient(names: &[String]) -> String {
    format!(
        "no gradient arrived at {}, on which the loss does not depend; leave out or freeze what is not trained, \
         or say unused_parameters = \"skip\"",
        names.join(", ")
    )
}

/// A parameter during a step, and all that belongs to it.
struct ParamStep<'a, F: Float> {
    chain: &'a Chain<F>,
    lr: f64,
    state: &'a mut ChainState<F>,
    update: &'a mut Option<Tensor<F>>,
    param: &'a mut Param<F>,
    gradient: &'a Tensor<F>,
}

/// Notes the first gradient whose shape is not that of its parameter.
pub(super) fn check_shape<F: Float>(
    mistake: &mut Option<String>,
    path: Path<'_>,
    param: &Param<F>,
    gradient: &Tensor<F>,
) {
    if param.value().shape() != gradient.shape() {
        mistake.get_or_insert_with(|| {
            let (own, given) = (param.value().shape(), gradient.shape());
            format!("gradient of {path}: expected shape {own:?}, found {given:?}")
        });
    }
}

/// Calls `f` for each parameter that is trained and received a gradient, until it returns a mistake.
fn each<F: Float>(
    recipe: &Recipe,
    plans: &[PlanState<F>],
    states: &mut Vec<ParamState<F>>,
    model: &mut dyn Params<F>,
    grads: &Gradients<F>,
    mut f: impl FnMut(ParamStep<'_, F>) -> Checked<()>,
) -> Checked<()> {
    let (mut next, mut hint, mut done) = (0, 0, Ok(()));
    model.for_each_param_mut(&mut |path, param| {
        if param.is_frozen() || done.is_err() {
            return;
        }
        let Some(found) = grads.find(param.id(), hint) else { return };
        hint = found + 1;
        let gradient = &grads.as_slice()[found].1;
        let place = place_of(states, param.id(), next)
            .unwrap_or_else(|| find_state(recipe, plans, states, path, param));
        next = place + 1;
        let ParamState { plan, chain: state, update, .. } = &mut states[place];
        let PlanState { chain, lr, .. } = &plans[*plan];
        if let (Some(chain), Some(state)) = (chain, state) {
            let step = ParamStep { chain, lr: *lr, state, update, param, gradient };
            done = f(step).map_err(|mistake| format!("{path}: {mistake}"));
        }
    });
    done
}

/// Returns the index of a parameter's state, which is `hint` if the model uses the same parameters as in
/// the step before.
fn place_of<F: Float>(states: &[ParamState<F>], id: ParamId, hint: usize) -> Option<usize> {
    match states.get(hint) {
        Some(state) if state.id == id => Some(hint),
        _ => states.iter().position(|state| state.id == id),
    }
}

fn place_of_name<F: Float>(states: &[ParamState<F>], name: &str) -> Option<usize> {
    states.iter().position(|state| state.name == name)
}

/// Returns the index of a parameter's state by name; adds a new state for a new name.
#[cold]
fn find_state<F: Float>(
    recipe: &Recipe,
    plans: &[PlanState<F>],
    states: &mut Vec<ParamState<F>>,
    path: Path<'_>,
    param: &Param<F>,
) -> usize {
    let (name, id) = (path.to_string(), param.id());
    let found = place_of_name(states, &name).unwrap_or_else(|| {
        let plan = recipe.group_of(&name).map_or(0, |group| group + 1);
        let shape = param.value().shape();
        let chain = plans[plan].chain.as_ref().map(|chain| chain.init(shape));
        states.push(ParamState { name, shape, id, plan, chain, update: None });
        states.len() - 1
    });
    states[found].id = id;
    found
}

/// Stores the new values of buffers in the model.
pub(super) fn update_buffers<F: Float>(model: &mut dyn Params<F>, grads: &Gradients<F>) {
    model.visit_mut(Path::ROOT, &mut |_, leaf| {
        if let LeafMut::Buffer(buffer) = leaf
            && let Some((_, value)) = grads.updates().iter().rfind(|(id, _)| *id == buffer.id())
        {
            buffer.set(value.clone());
        }
    });
}
