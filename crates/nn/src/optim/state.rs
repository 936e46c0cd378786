//! The state of an optimizer by name, for files.

use std::collections::BTreeMap;
use std::ops::Range;

use wengert_core::{Float, Gradients, Leaf, Params, Path, Shape, Tensor};

use super::chain::{Body, CHUNK, Chain, ChainState};
use super::driver::{Optimizer, ParamState};
use super::rule::Rule;
use super::rules::Ema;
use super::transform::Transform;

/// State of an optimizer by name, to be saved, loaded and inspected.
///
/// A slot of a rule is called `parameter/rule.slot`, such as `hidden.weight/adam.exp_avg`; the second rule of a kind
/// in one chain is `adam#2`. The number `hidden.weight/adam.count` counts how often the rule has been applied to the
/// parameter.
///
/// ```
/// use wengert_core::{Param, ReduceOps, Tensor, UnaryOps, gradients};
/// use wengert_nn::optim::Optimizer;
///
/// let mut x = Param::new(Tensor::<f64>::from([3.0, -2.0]));
/// let mut optimizer = Optimizer::from_toml("kind = 'adam'")?;
/// let (_, grads) = gradients(|tape| tape.param(&x).square().sum());
/// optimizer.step(&mut x, &grads);
///
/// let state = optimizer.state(&x);
/// assert_eq!(state.numbers["steps"], 1.0);
/// assert_eq!(state.tensors["/adam.exp_avg"].shape(), [2].into());
///
/// let mut resumed = Optimizer::from_toml("kind = 'adam'")?;
/// assert!(resumed.restore(&x, state).is_complete());
/// assert_eq!(resumed.steps(), 1);
/// # Ok::<(), wengert_nn::optim::ConfigError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OptimizerState<F: Float> {
    /// Slots, which have the shape of their parameter, and other tensors.
    pub tensors: BTreeMap<String, Tensor<F>>,
    /// Counts, and the states of schedules.
    pub numbers: BTreeMap<String, f64>,
}

/// Outcome of restoring a saved state. Anything not listed was restored.
///
/// ```
/// use wengert_core::{Param, Tensor};
/// use wengert_nn::optim::Optimizer;
///
/// let x = Param::new(Tensor::<f64>::from([3.0, -2.0]));
/// let mut optimizer = Optimizer::from_toml("kind = 'momentum'")?;
/// let report = optimizer.restore(&x, Default::default());
/// assert!(!report.is_complete());
/// assert_eq!(report.missing[2..], ["/sgd.momentum_buffer", "/sgd.count"]);
/// # Ok::<(), wengert_nn::optim::ConfigError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LoadReport {
    /// Names that the recipe needs and the saved state lacks: they keep their initial values.
    pub missing: Vec<String>,
    /// Names in the saved state that the recipe does not have: they were ignored.
    pub unexpected: Vec<String>,
    /// Names with another shape than expected, with the expected and the found shape: they keep their
    /// initial values.
    pub shape_mismatch: Vec<(String, Shape, Shape)>,
}

impl LoadReport {
    /// Returns whether the whole saved state was restored, and nothing was missing.
    pub fn is_complete(&self) -> bool {
        self.missing.is_empty() && self.unexpected.is_empty() && self.shape_mismatch.is_empty()
    }
}

/// A saved state that is being restored, and the outcome so far.
struct StateReader<F: Float> {
    state: OptimizerState<F>,
    report: LoadReport,
}

impl<F: Float> StateReader<F> {
    fn new(state: OptimizerState<F>) -> Self {
        let OptimizerState { tensors, numbers } = state;
        let state = OptimizerState { tensors: renamed(tensors), numbers: renamed(numbers) };
        StateReader { state, report: LoadReport::default() }
    }

    fn has(&self, name: &str) -> bool {
        self.state.numbers.contains_key(name) || self.state.tensors.contains_key(name)
    }

    fn number(&mut self, name: String) -> Option<f64> {
        let found = self.state.numbers.remove(&name);
        if found.is_none() {
            self.report.missing.push(name);
        }
        found
    }

    fn tensor(&mut self, name: String, shape: Shape) -> Option<Tensor<F>> {
        match self.state.tensors.remove(&name) {
            None => self.report.missing.push(name),
            Some(found) if found.shape() != shape => {
                self.report.shape_mismatch.push((name, shape, found.shape()));
            }
            found => return found,
        }
        None
    }

    /// Returns all tensors with this prefix, without it: the names of a solver are unknown beforehand.
    fn tensors_under(&mut self, prefix: &str) -> BTreeMap<String, Tensor<F>> {
        let names: Vec<String> =
            self.state.tensors.keys().filter(|name| name.starts_with(prefix)).cloned().collect();
        let take = |name: String| {
            let tensor = self.state.tensors.remove(&name)?;
            Some((name[prefix.len()..].to_owned(), tensor))
        };
        names.into_iter().filter_map(take).collect()
    }

    fn finish(mut self) -> LoadReport {
        let OptimizerState { tensors, numbers } = self.state;
        self.report.unexpected.extend(tensors.into_keys().chain(numbers.into_keys()));
        self.report
    }
}

/// Replaces the name that moving averages have in older files.
fn renamed<T>(entries: BTreeMap<String, T>) -> BTreeMap<String, T> {
    entries.into_iter().map(|(name, value)| (name.replace("/average.", "/ema."), value)).collect()
}

impl<F: Float> Chain<F> {
    /// Adds the state of the parameter `name` to `to`.
    fn save(&self, name: &str, shape: Shape, state: &ChainState<F>, to: &mut OptimizerState<F>) {
        for (entry, (count, number)) in self.entries.iter().zip(&state.counts) {
            let full = |slot: &str| format!("{name}/{}.{slot}", entry.name);
            let mut has_state = false;
            match &entry.body {
                Body::Elements(rule, slots) => {
                    if let Some((number_name, _)) = rule.number() {
                        to.numbers.insert(full(number_name), *number);
                        has_state = true;
                    }
                    for (slot, slot_name) in slots.clone().zip(rule.state()) {
                        to.tensors.insert(full(slot_name), self.gather(slot, shape, state));
                        has_state = true;
                    }
                }
                Body::Tensor(rule, index) => {
                    let slots = rule.state(shape).into_iter().zip(&state.tensors[*index]);
                    for ((slot_name, _), tensor) in slots {
                        to.tensors.insert(full(slot_name), tensor.clone());
                        has_state = true;
                    }
                }
            }
            if has_state {
                to.numbers.insert(full("count"), *count as f64);
            }
        }
    }

    /// Returns the state of the parameter `name`, as far as `from` has it.
    fn restore(&self, name: &str, shape: Shape, from: &mut StateReader<F>) -> ChainState<F> {
        let mut state = self.init(shape);
        for (i, entry) in self.entries.iter().enumerate() {
            let full = |slot: &str| format!("{name}/{}.{slot}", entry.name);
            // A count belongs to the averages that it counts: without any of them it starts anew.
            let (mut has_state, mut found) = (false, false);
            match &entry.body {
                Body::Elements(rule, slots) => {
                    if let Some((number_name, _)) = rule.number() {
                        has_state = true;
                        if let Some(number) = from.number(full(number_name)) {
                            state.counts[i].1 = number;
                            found = true;
                        }
                    }
                    for (slot, slot_name) in slots.clone().zip(rule.state()) {
                        has_state = true;
                        let Some(tensor) = from.tensor(full(slot_name), shape) else { continue };
                        found = true;
                        let mut rest = tensor.as_slice();
                        for part in self.parts(slot, shape.numel()) {
                            let (now, later) = rest.split_at(part.len());
                            state.elements[part].copy_from_slice(now);
                            rest = later;
                        }
                    }
                }
                Body::Tensor(rule, index) => {
                    let slots = rule.state(shape).into_iter().zip(&mut state.tensors[*index]);
                    for ((slot_name, shape), tensor) in slots {
                        has_state = true;
                        if let Some(saved) = from.tensor(full(slot_name), shape) {
                            *tensor = saved;
                            found = true;
                        }
                    }
                }
            }
            if has_state
                && let Some(count) = from.number(full("count"))
                && found
            {
                state.counts[i].0 = count as u64;
            }
        }
        state
    }

    /// Returns the moving average of a parameter, if the chain keeps one.
    pub(super) fn average(&self, shape: Shape, state: &ChainState<F>) -> Option<Tensor<F>> {
        let entry = self.entries.iter().rfind(|entry| entry.name == Ema::KIND)?;
        let Body::Elements(_, slots) = &entry.body else { return None };
        Some(self.gather(slots.start, shape, state))
    }

    /// Returns one slot in the order of the parameter's elements.
    fn gather(&self, slot: usize, shape: Shape, state: &ChainState<F>) -> Tensor<F> {
        let mut numbers = Vec::with_capacity(shape.numel());
        for part in self.parts(slot, shape.numel()) {
            numbers.extend_from_slice(&state.elements[part]);
        }
        Tensor::from_vec(numbers, shape)
    }

    /// Returns the ranges of one slot in the state of a parameter of `len` elements.
    fn parts(&self, slot: usize, len: usize) -> impl Iterator<Item = Range<usize>> + use<F> {
        let width = self.width;
        (0..len).step_by(CHUNK).map(move |start| {
            let chunk = CHUNK.min(len - start);
            let first = start * width + slot * chunk;
            first..first + chunk
        })
    }
}

impl<F: Float> Optimizer<F> {
    pub(super) fn state_of(&self, model: &dyn Params<F>) -> OptimizerState<F> {
        let mut state = OptimizerState { tensors: BTreeMap::new(), numbers: BTreeMap::new() };
        state.numbers.insert("steps".to_owned(), self.steps as f64);
        state.numbers.insert("skipped".to_owned(), self.skipped as f64);
        for (plan, plan_state) in self.plans.iter().enumerate() {
            for (i, number) in plan_state.schedule.iter().enumerate() {
                state.numbers.insert(schedule_name(plan, i), *number);
            }
        }
        if let Some(solver) = self.solver() {
            for (slot, tensor) in &self.solver_state {
                state.tensors.insert(format!("/{}.{slot}", solver.kind()), tensor.clone());
            }
        }
        if let Some((_, count)) = &self.accumulated {
            state.numbers.insert(ACCUMULATED.to_owned(), *count as f64);
        }
        model.visit(Path::ROOT, &mut |path, leaf| {
            let Leaf::Param(param) = leaf else { return };
            let (name, shape) = (path.to_string(), param.value().shape());
            if let Some(sum) = self.accumulated.as_ref().and_then(|(sum, _)| sum.get(param)) {
                state.tensors.insert(accumulated_name(&name), sum.clone());
            }
            if let Some(own) = self.params.iter().find(|own| own.name == name)
                && let (Some(chain), Some(own)) = (&self.plans[own.plan].chain, &own.chain)
            {
                chain.save(&name, shape, own, &mut state);
            }
        });
        state
    }

    pub(super) fn restore_from(
        &mut self,
        model: &dyn Params<F>,
        state: OptimizerState<F>,
    ) -> LoadReport {
        let mut from = StateReader::new(state);
        *self = Self::made(self.recipe.clone());
        self.steps = from.number("steps".to_owned()).unwrap_or(0.0) as u64;
        self.skipped = from.number("skipped".to_owned()).unwrap_or(0.0) as u64;
        for (plan, plan_state) in self.plans.iter_mut().enumerate() {
            for (i, number) in plan_state.schedule.iter_mut().enumerate() {
                *number = from.number(schedule_name(plan, i)).unwrap_or(*number);
            }
        }
        if let Some(kind) = self.solver().map(Transform::kind) {
            self.solver_state = from.tensors_under(&format!("/{kind}."));
        }
        let count = from.has(ACCUMULATED).then(|| from.number(ACCUMULATED.to_owned())).flatten();
        let mut sum = Vec::new();
        model.visit(Path::ROOT, &mut |path, leaf| {
            let Leaf::Param(param) = leaf else { return };
            let (name, shape) = (path.to_string(), param.value().shape());
            if from.has(&accumulated_name(&name)) {
                sum.extend(from.tensor(accumulated_name(&name), shape).map(|g| (param.id(), g)));
            }
            let plan = self.recipe.group_of(&name).map_or(0, |group| group + 1);
            if let Some(chain) = &self.plans[plan].chain
                && !param.is_frozen()
            {
                let chain = Some(chain.restore(&name, shape, &mut from));
                self.params.push(ParamState { name, id: param.id(), plan, chain, update: None });
            }
        });
        self.accumulated = count.map(|count| (Gradients::from_params(sum), count as u64));
        from.finish()
    }
}

const ACCUMULATED: &str = "accumulate.count";

fn accumulated_name(name: &str) -> String {
    format!("{name}/accumulate.sum")
}

/// Returns the name of number `i` in the state of the schedule of plan `plan`.
fn schedule_name(plan: usize, i: usize) -> String {
    match plan {
        0 => format!("lr.{i}"),
        group => format!("groups.{}.lr.{i}", group - 1),
    }
}
