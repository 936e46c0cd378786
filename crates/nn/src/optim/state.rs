//! The state of an optimizer by name, for files.

use std::collections::BTreeMap;
use std::ops::Range;

use wengert_core::{Float, Gradients, Leaf, Params, Path, Shape, Tensor};

use super::body::Body;
use super::chain::{Chain, ChainState};
use super::driver::{Optimizer, ParamState, plans};
use super::report::{LoadReport, RestoreError};
use super::transform::Transform;

/// State of an optimizer by name, to be saved, loaded and inspected.
///
/// A slot of a rule is called `parameter/rule.slot`, such as `hidden.weight/adam.exp_avg`; the second rule of a kind
/// in one chain is `adam#2`. The number `hidden.weight/adam.count` counts how often the rule has been applied to the
/// parameter; every transform has one. A parameter that was never updated has only the number `hidden.weight/updates`,
/// which is 0.
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
/// resumed.restore(&x, state)?;
/// assert_eq!(resumed.steps(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OptimizerState<F: Float> {
    /// Slots, which have the shape of their parameter, and other tensors.
    pub tensors: BTreeMap<String, Tensor<F>>,
    /// Counts, and the states of schedules.
    pub numbers: BTreeMap<String, f64>,
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

    /// Returns the names that begin with this prefix.
    fn under(&self, prefix: &str) -> impl Iterator<Item = &String> {
        let OptimizerState { tensors, numbers } = &self.state;
        let begins = move |name: &&String| name.starts_with(prefix);
        let tensors = tensors.range(prefix.to_owned()..).map(|(name, _)| name);
        let numbers = numbers.range(prefix.to_owned()..).map(|(name, _)| name);
        tensors.take_while(begins).chain(numbers.take_while(begins))
    }

    /// Takes a number, if it is there and `accepts` it.
    fn optional(&mut self, name: String, accepts: impl Fn(f64) -> bool) -> Option<f64> {
        let found = self.state.numbers.remove(&name)?;
        if accepts(found) {
            return Some(found);
        }
        self.report.out_of_range.push((name, found));
        None
    }

    fn number(&mut self, name: String, accepts: impl Fn(f64) -> bool) -> Option<f64> {
        if !self.state.numbers.contains_key(&name) {
            self.report.missing.push(name);
            return None;
        }
        self.optional(name, accepts)
    }

    fn count(&mut self, name: String) -> Option<u64> {
        self.number(name, is_count).map(|count| count as u64)
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

    /// Drops the counts of a parameter's transforms that the recipe does not have: a count alone is no loss.
    fn drop_counts(&mut self, name: &str) {
        let is_alone = |count: &&String| match count.strip_suffix("count") {
            Some(transform) => transform.ends_with('.') && self.under(transform).count() == 1,
            None => false,
        };
        let alone: Vec<String> =
            self.under(&format!("{name}/")).filter(is_alone).cloned().collect();
        for count in alone {
            self.state.numbers.remove(&count);
        }
    }

    fn finish(mut self) -> LoadReport {
        let OptimizerState { tensors, numbers } = self.state;
        self.report.unexpected.extend(tensors.into_keys().chain(numbers.into_keys()));
        self.report
    }
}

/// Returns whether a number counts something, and is exact as an `f64`.
fn is_count(number: f64) -> bool {
    (0.0..=9_007_199_254_740_992.0).contains(&number) && number.fract() == 0.0
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
            to.numbers.insert(full("count"), *count as f64);
            match &entry.body {
                Body::Elements(rule, slots) => {
                    if let Some((number_name, _)) = rule.number() {
                        to.numbers.insert(full(number_name), *number);
                    }
                    for (slot, slot_name) in slots.clone().zip(rule.state()) {
                        to.tensors.insert(full(slot_name), self.gather(slot, shape, state));
                    }
                }
                Body::Tensor(rule, index) => {
                    let slots = rule.state(shape).into_iter().zip(&state.tensors[*index]);
                    for ((slot_name, _), tensor) in slots {
                        to.tensors.insert(full(slot_name), tensor.clone());
                    }
                }
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
                        if let Some(number) = from.number(full(number_name), f64::is_finite) {
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
            let count = if has_state {
                from.count(full("count")).filter(|_| found)
            } else {
                // A transform that is new in the recipe starts with 1 like any other.
                from.optional(full("count"), is_count).map(|count| count as u64)
            };
            state.counts[i].0 = count.unwrap_or(0);
        }
        state
    }

    /// Returns the values of a parameter in evaluation, if the chain has others and they have begun.
    pub(super) fn evaluated(&self, param: &Tensor<F>, state: &ChainState<F>) -> Option<Tensor<F>> {
        let shape = param.shape();
        let mut begun = self.entries.iter().zip(&state.counts).rev().filter(|(_, (n, _))| *n > 0);
        begun.find_map(|(entry, _)| {
            let Body::Elements(rule, slots) = &entry.body else { return None };
            let slots: Vec<_> = slots.clone().map(|slot| self.gather(slot, shape, state)).collect();
            let slots: Vec<&[F]> = slots.iter().map(Tensor::as_slice).collect();
            Some(Tensor::from_vec(rule.evaluated(param.as_slice(), &slots)?, shape))
        })
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
        let (width, chunk) = (self.width, self.chunk);
        (0..len).step_by(chunk).map(move |start| {
            let chunk = chunk.min(len - start);
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
            let own = self.params.iter().find(|own| own.name == name);
            let chain = own.and_then(|own| self.plans[own.plan].chain.as_ref());
            match (chain, own.and_then(|own| own.chain.as_ref())) {
                (Some(chain), Some(own)) => chain.save(&name, shape, own, &mut state),
                _ if self.solver().is_some() => {}
                _ => drop(state.numbers.insert(updates_name(&name), 0.0)),
            }
        });
        state
    }

    /// Returns an optimizer of the same recipe with as much of a saved state as fits.
    pub(super) fn restored(
        &self,
        model: &dyn Params<F>,
        state: OptimizerState<F>,
    ) -> (Self, LoadReport) {
        let mut from = StateReader::new(state);
        let mut new = Self::made(self.recipe.clone());
        new.steps = from.count("steps".to_owned()).unwrap_or(0);
        new.skipped = from.count("skipped".to_owned()).unwrap_or(0);
        new.restart_wait_for_metric();
        for (i, (plan, state)) in plans(&self.recipe).zip(&mut new.plans).enumerate() {
            let Some(plan) = plan else { continue };
            let mut saved = state.schedule.clone();
            for (j, number) in saved.iter_mut().enumerate() {
                let read = from.number(schedule_name(i, j), |number| !number.is_nan());
                *number = read.unwrap_or(*number);
            }
            let lr = plan.lr.at_with(new.steps, &saved);
            if lr.is_finite() && lr >= 0.0 {
                state.schedule = saved;
            } else {
                from.report.out_of_range.push((schedule_name(i, 0), lr));
            }
        }
        let waiting = match self.solver().map(Transform::kind) {
            Some(kind) => {
                new.solver_state = from.tensors_under(&format!("/{kind}."));
                None
            }
            None => from.optional(ACCUMULATED.to_owned(), |n| is_count(n) && n >= 1.0),
        };
        // The settings that the values of the state belong to. A mistake in them is one of the next step.
        for chain in new.plans.iter_mut().filter_map(|plan| plan.chain.as_mut()) {
            let _ = chain.try_set_step(new.steps.saturating_sub(1));
        }
        let mut sum = Vec::new();
        model.visit(Path::ROOT, &mut |path, leaf| {
            let Leaf::Param(param) = leaf else { return };
            let (name, shape) = (path.to_string(), param.value().shape());
            if waiting.is_some() && from.state.tensors.contains_key(&accumulated_name(&name)) {
                sum.extend(from.tensor(accumulated_name(&name), shape).map(|g| (param.id(), g)));
            }
            let plan = self.recipe.group_of(&name).map_or(0, |group| group + 1);
            let untouched = from.optional(updates_name(&name), |updates| updates == 0.0).is_some();
            if let Some(chain) = &new.plans[plan].chain
                && !untouched
                && (!param.is_frozen() || from.under(&format!("{name}/")).next().is_some())
            {
                let chain = Some(chain.restore(&name, shape, &mut from));
                new.params.push(ParamState {
                    name: name.clone(),
                    shape,
                    id: param.id(),
                    plan,
                    chain,
                    update: None,
                });
            }
            from.drop_counts(&name);
        });
        match waiting {
            Some(_) if sum.is_empty() => from.report.unexpected.push(ACCUMULATED.to_owned()),
            Some(count) => new.accumulated = Some((Gradients::from_params(sum), count as u64)),
            None => {}
        }
        (new, from.finish())
    }

    /// Restores a saved state that fits in every respect.
    pub(super) fn restore_from(
        &mut self,
        model: &dyn Params<F>,
        state: OptimizerState<F>,
    ) -> Result<(), RestoreError> {
        let (new, report) = self.restored(model, state);
        if !report.is_complete() {
            return Err(RestoreError::new(report));
        }
        *self = new;
        Ok(())
    }

    /// Restores what fits.
    pub(super) fn restore_what_fits(
        &mut self,
        model: &dyn Params<F>,
        state: OptimizerState<F>,
    ) -> LoadReport {
        let (new, report) = self.restored(model, state);
        *self = new;
        report
    }
}

const ACCUMULATED: &str = "accumulate.count";

fn accumulated_name(name: &str) -> String {
    format!("{name}/accumulate.sum")
}

/// Returns the name of the number of updates of a parameter, which is saved if it is 0.
fn updates_name(name: &str) -> String {
    format!("{name}/updates")
}

/// Returns the name of number `i` in the state of the schedule of plan `plan`.
fn schedule_name(plan: usize, i: usize) -> String {
    match plan {
        0 => format!("lr.{i}"),
        group => format!("groups.{}.lr.{i}", group - 1),
    }
}
