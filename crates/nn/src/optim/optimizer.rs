//! The driver: it owns the schedule, the step counts and what the rules remember.

use std::path::Path;

use wengert_core::{Float, Gradients, LeafMut, Param, ParamId, Params, Path as Place};

use super::chain::{Chain, sum_of_squares};
use super::{At, ConfigError, Recipe, UnusedParameters};

/// A recipe at work on one model: what its rules remember, by parameter name.
///
/// ```
/// use wengert_core::{Array, Elementary, Param, Rearrangements, Reductions, gradients};
/// use wengert_nn::optim::Optimizer;
///
/// let mut x = Param::new(Array::<f64>::from([3.0, -2.0]));
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
    recipe: Recipe,
    chain: Chain<F>,
    states: Vec<State<F>>,
    steps: u64,
}

/// What is kept of one parameter.
#[derive(Debug)]
struct State<F: Float> {
    name: String,
    /// The parameter that had this name at the last step, so that names are compared only when the
    /// model is another.
    id: ParamId,
    /// Updates so far.
    count: u64,
    memory: Vec<F>,
    /// Where a chain with a barrier in the middle leaves the update between its segments.
    update: Vec<F>,
}

impl<F: Float> Optimizer<F> {
    /// An optimizer that has not made a step.
    pub fn new(recipe: Recipe) -> Self {
        Self { chain: Chain::new(recipe.chain()), recipe, states: Vec::new(), steps: 0 }
    }

    /// The optimizer that a TOML text describes; see [`Recipe`].
    ///
    /// # Errors
    /// When the text is not TOML, or not a recipe; the error tells where and what was expected.
    pub fn from_toml(text: &str) -> Result<Self, ConfigError> {
        Recipe::from_toml(text).map(Self::new)
    }

    /// The optimizer that a TOML file describes; see [`Recipe`].
    ///
    /// # Errors
    /// When the file cannot be read, or as [`Optimizer::from_toml`].
    pub fn load(path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        Recipe::load(path).map(Self::new)
    }

    /// What this optimizer was made from.
    pub fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    /// Steps made so far.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// The learning rate of the next step.
    pub fn lr(&self) -> f64 {
        self.recipe.lr().at(self.steps)
    }

    /// Updates the parameters of a model in place from their gradients, and puts the new values of
    /// its buffers in place. Frozen parameters stay as they are.
    ///
    /// # Panics
    /// If a parameter received no gradient, with the names of all such, unless the recipe says
    /// `unused_parameters = "skip"`; the model is untouched then. If a gradient has another shape
    /// than its parameter.
    #[track_caller]
    pub fn step(&mut self, model: &mut (impl Params<F> + ?Sized), grads: &Gradients<F>) {
        if self.recipe.unused_parameters() == UnusedParameters::Error {
            let missing = grads.missing(model);
            assert!(
                missing.is_empty(),
                "step: no gradient arrived at {}; freeze what is not trained, or say \
                 unused_parameters = \"skip\"",
                missing.join(", ")
            );
        }
        let (lr, step) = (self.lr(), self.steps);
        let Self { chain, states, .. } = self;
        let last = chain.segments() - 1;
        for segment in 0..=last {
            let mut at = At::new(0, step, lr);
            if chain.needs_norm(segment) {
                let mut squares = 0.0;
                each(chain, states, model, grads, |state, _, g| {
                    squares += sum_of_squares(if segment == 0 { g } else { &state.update });
                });
                at.norm = squares.sqrt();
            }
            each(chain, states, model, grads, |state, param, g| {
                if segment == 0 {
                    state.count += 1;
                }
                at.count = state.count;
                if segment == 0 && last > 0 {
                    state.update.clear();
                    state.update.extend_from_slice(g);
                }
                if segment < last {
                    let value = param.value().as_slice();
                    chain.advance(segment, at, &mut state.update, value, &mut state.memory);
                } else {
                    let update = if last > 0 { &state.update } else { g };
                    let value = param.value_mut().as_mut_slice();
                    chain.finish(at, update, value, &mut state.memory);
                }
            });
        }
        if !grads.updates().is_empty() {
            remember(model, grads);
        }
        self.steps += 1;
    }

    /// Makes one step on the loss that `loss` computes, and returns the loss before it. Serves every
    /// recipe, so that one whose method calls the loss itself is swapped in by configuration alone.
    ///
    /// # Panics
    /// As [`Optimizer::step`].
    #[track_caller]
    pub fn minimize<M: Params<F>>(
        &mut self,
        model: &mut M,
        mut loss: impl FnMut(&M) -> (F, Gradients<F>),
    ) -> F {
        let (value, grads) = loss(model);
        self.step(model, &grads);
        value
    }
}

/// Calls `f` for each parameter that is trained and received a gradient.
#[track_caller]
fn each<F: Float>(
    chain: &Chain<F>,
    states: &mut Vec<State<F>>,
    model: &mut (impl Params<F> + ?Sized),
    grads: &Gradients<F>,
    mut f: impl FnMut(&mut State<F>, &mut Param<F>, &[F]),
) {
    let (mut expected, mut hint) = (0, 0);
    model.for_each_param_mut(&mut |place, param| {
        if param.is_frozen() {
            return;
        }
        let Some(found) = grads.find(param.id(), hint) else { return };
        hint = found + 1;
        let g = &grads.as_slice()[found].1;
        let (own, given) = (param.value().shape(), g.shape());
        assert!(own == given, "step: {place} has shape {own:?}, its gradient {given:?}");
        if states.get(expected).is_none_or(|state| state.id != param.id()) {
            expected = find_state(chain, states, place, param);
        }
        f(&mut states[expected], param, g.as_slice());
        expected += 1;
    });
}

/// The state of a parameter by its name, made if it is new.
#[cold]
fn find_state<F: Float>(
    chain: &Chain<F>,
    states: &mut Vec<State<F>>,
    place: Place<'_>,
    param: &Param<F>,
) -> usize {
    let name = place.to_string();
    let found = states.iter().position(|state| state.name == name).unwrap_or_else(|| {
        let memory = chain.memory(param.value().numel());
        states.push(State { name, id: param.id(), count: 0, memory, update: Vec::new() });
        states.len() - 1
    });
    states[found].id = param.id();
    found
}

/// Puts the new values of buffers in place.
fn remember<F: Float>(model: &mut (impl Params<F> + ?Sized), grads: &Gradients<F>) {
    model.visit_mut(Place::ROOT, &mut |_, leaf| {
        if let LeafMut::Buffer(buffer) = leaf
            && let Some((_, value)) = grads.updates().iter().rfind(|(id, _)| *id == buffer.id())
        {
            buffer.set(value.clone());
        }
    });
}
