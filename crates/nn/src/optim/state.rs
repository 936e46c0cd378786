//! What an optimizer remembers, by name: for files.

use std::collections::BTreeMap;
use std::ops::Range;

use wengert_core::{Float, Gradients, Leaf, Params, Path as Place, Shape, Tensor};

use super::Rule;
use super::chain::{CHUNK, Chain, ChainState, StageWork};
use super::optimizer::{Optimizer, ParamState};
use super::rules::Ema;
use super::transform::Transform;

/// All that an optimizer remembers, by name, so that it can be saved, loaded and looked at.
///
/// What a rule remembers of a parameter is called `parameter/rule.slot`, as in
/// `hidden.weight/adam.exp_avg`; the second rule of a kind in one chain is `adam#2`. How often the
/// rule has been applied is the number `hidden.weight/adam.count`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OptimizerState<F: Float> {
    /// What is as large as a parameter, or has a shape of its own.
    pub tensors: BTreeMap<String, Tensor<F>>,
    /// Counts, and what schedules remember.
    pub numbers: BTreeMap<String, f64>,
}

/// What became of a [`OptimizerState`] that an optimizer was handed. What is listed under none of the names
/// was taken over.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LoadReport {
    /// What the recipe remembers and the state does not have: it starts anew.
    pub missing: Vec<String>,
    /// What the state has and the recipe does not know: it was left aside.
    pub unexpected: Vec<String>,
    /// What has another shape than expected (the first one is the model's): it starts anew.
    pub shape_mismatch: Vec<(String, Shape, Shape)>,
}

impl LoadReport {
    /// Whether all was taken over and nothing was lacking.
    pub fn is_complete(&self) -> bool {
        self.missing.is_empty() && self.unexpected.is_empty() && self.shape_mismatch.is_empty()
    }
}

/// A state that is being taken over, and what became of it so far.
pub(crate) struct StateReader<F: Float> {
    state: OptimizerState<F>,
    report: LoadReport,
}

impl<F: Float> StateReader<F> {
    pub(crate) fn new(state: OptimizerState<F>) -> Self {
        StateReader { state, report: LoadReport::default() }
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.state.numbers.contains_key(name) || self.state.tensors.contains_key(name)
    }

    pub(crate) fn number(&mut self, name: String) -> Option<f64> {
        let found = self.state.numbers.remove(&name);
        if found.is_none() {
            self.report.missing.push(name);
        }
        found
    }

    pub(crate) fn tensor(&mut self, name: String, shape: Shape) -> Option<Tensor<F>> {
        match self.state.tensors.remove(&name) {
            None => self.report.missing.push(name),
            Some(found) if found.shape() != shape => {
                self.report.shape_mismatch.push((name, shape, found.shape()));
            }
            found => return found,
        }
        None
    }

    /// All tensors whose names begin so, which nobody can foresee.
    pub(crate) fn tensors_under(&mut self, prefix: &str) -> BTreeMap<String, Tensor<F>> {
        let names: Vec<String> =
            self.state.tensors.keys().filter(|name| name.starts_with(prefix)).cloned().collect();
        let take = |name: String| {
            let tensor = self.state.tensors.remove(&name)?;
            Some((name[prefix.len()..].to_owned(), tensor))
        };
        names.into_iter().filter_map(take).collect()
    }

    pub(crate) fn finish(mut self) -> LoadReport {
        let OptimizerState { tensors, numbers } = self.state;
        self.report.unexpected.extend(tensors.into_keys().chain(numbers.into_keys()));
        self.report
    }
}

impl<F: Float> Chain<F> {
    /// Adds what is solver_state of the parameter `name`.
    pub(crate) fn save(
        &self,
        name: &str,
        shape: Shape,
        slots: &ChainState<F>,
        state: &mut OptimizerState<F>,
    ) {
        for (transform, (count, number)) in self.transforms.iter().zip(&slots.counts) {
            let place = |slot: &str| format!("{name}/{}.{slot}", transform.name);
            let mut remembers = false;
            match &transform.work {
                StageWork::Elements(rule, own) => {
                    if let Some((number_name, _)) = rule.number() {
                        state.numbers.insert(place(number_name), *number);
                        remembers = true;
                    }
                    for (slot, slot_name) in own.clone().zip(rule.state()) {
                        let tensor = self.gather(slot, shape, slots);
                        state.tensors.insert(place(slot_name), tensor);
                        remembers = true;
                    }
                }
                StageWork::Tensor(rule, at) => {
                    for ((slot_name, _), tensor) in
                        rule.state(shape).into_iter().zip(&slots.tensors[*at])
                    {
                        state.tensors.insert(place(slot_name), tensor.clone());
                        remembers = true;
                    }
                }
            }
            if remembers {
                state.numbers.insert(place("count"), *count as f64);
            }
        }
    }

    /// What is solver_state of the parameter `name`, as far as `from` has it.
    pub(crate) fn restore(
        &self,
        name: &str,
        shape: Shape,
        from: &mut StateReader<F>,
    ) -> ChainState<F> {
        let mut slots = self.slots(shape);
        for (i, transform) in self.transforms.iter().enumerate() {
            let place = |slot: &str| format!("{name}/{}.{slot}", transform.name);
            // A count belongs to the averages that were counted: without any of them it starts anew.
            let (mut remembers, mut found) = (false, false);
            match &transform.work {
                StageWork::Elements(rule, own) => {
                    if let Some((number_name, _)) = rule.number() {
                        remembers = true;
                        if let Some(number) = from.number(place(number_name)) {
                            slots.counts[i].1 = number;
                            found = true;
                        }
                    }
                    for (slot, slot_name) in own.clone().zip(rule.state()) {
                        remembers = true;
                        let Some(tensor) = from.tensor(place(slot_name), shape) else { continue };
                        found = true;
                        let mut rest = tensor.as_slice();
                        for part in self.parts(slot, shape.numel()) {
                            let (now, later) = rest.split_at(part.len());
                            slots.elements[part].copy_from_slice(now);
                            rest = later;
                        }
                    }
                }
                StageWork::Tensor(rule, at) => {
                    for ((slot_name, shape), tensor) in
                        rule.state(shape).into_iter().zip(&mut slots.tensors[*at])
                    {
                        remembers = true;
                        if let Some(kept) = from.tensor(place(slot_name), shape) {
                            *tensor = kept;
                            found = true;
                        }
                    }
                }
            }
            if remembers
                && let Some(count) = from.number(place("count"))
                && found
            {
                slots.counts[i].0 = count as u64;
            }
        }
        slots
    }

    /// The moving average of a parameter, if the chain keeps one.
    pub(crate) fn average(&self, shape: Shape, slots: &ChainState<F>) -> Option<Tensor<F>> {
        let transform = self.transforms.iter().rfind(|transform| transform.name == Ema::KIND)?;
        let StageWork::Elements(_, own) = &transform.work else { return None };
        Some(self.gather(own.start, shape, slots))
    }

    /// The numbers of one slot, in the order of the parameter's.
    fn gather(&self, slot: usize, shape: Shape, slots: &ChainState<F>) -> Tensor<F> {
        let mut numbers = Vec::with_capacity(shape.numel());
        for part in self.parts(slot, shape.numel()) {
            numbers.extend_from_slice(&slots.elements[part]);
        }
        Tensor::from_vec(numbers, shape)
    }

    /// Where the numbers of one slot stand in the state of a parameter of `len` elements.
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
    /// All that is solver_state, by name; see [`OptimizerState`].
    pub fn state(&self, model: &(impl Params<F> + ?Sized)) -> OptimizerState<F> {
        let mut state = OptimizerState { tensors: Default::default(), numbers: Default::default() };
        state.numbers.insert("steps".to_owned(), self.steps as f64);
        state.numbers.insert("skipped".to_owned(), self.skipped as f64);
        for (at, running) in self.plans.iter().enumerate() {
            for (i, number) in running.schedule.iter().enumerate() {
                state.numbers.insert(schedule_slot(at, i), *number);
            }
        }
        if let Some(solver) = self.solver() {
            for (slot, tensor) in &self.solver_state {
                state.tensors.insert(format!("/{}.{slot}", solver.kind()), tensor.clone());
            }
        }
        if let Some((_, number)) = &self.accumulated {
            state.numbers.insert(WAITING.to_owned(), *number as f64);
        }
        model.visit(Place::ROOT, &mut |place, leaf| {
            let Leaf::Param(param) = leaf else { return };
            let (name, shape) = (place.to_string(), param.value().shape());
            if let Some(sum) = self.accumulated.as_ref().and_then(|(sum, _)| sum.get(param)) {
                state.tensors.insert(accumulated_slot(&name), sum.clone());
            }
            if let Some(param_state) = self.states.iter().find(|state| state.name == name)
                && let (Some(chain), Some(slots)) =
                    (&self.plans[param_state.plan].chain, &param_state.slots)
            {
                chain.save(&name, shape, slots, &mut state);
            }
        });
        state
    }

    /// Takes over what an optimizer of this recipe, or of a similar one, solver_state of this model:
    /// all that fits, by name. Training goes on as if it had not been interrupted, if nothing is
    /// reported.
    pub fn restore(
        &mut self,
        model: &(impl Params<F> + ?Sized),
        state: OptimizerState<F>,
    ) -> LoadReport {
        let mut from = StateReader::new(state);
        *self = Self::new(self.recipe.clone());
        self.steps = from.number("steps".to_owned()).unwrap_or(0.0) as u64;
        self.skipped = from.number("skipped".to_owned()).unwrap_or(0.0) as u64;
        for (at, running) in self.plans.iter_mut().enumerate() {
            for (i, number) in running.schedule.iter_mut().enumerate() {
                *number = from.number(schedule_slot(at, i)).unwrap_or(*number);
            }
        }
        if let Some(kind) = self.solver().map(Transform::kind) {
            self.solver_state = from.tensors_under(&format!("/{kind}."));
        }
        let accumulated = from.has(WAITING).then(|| from.number(WAITING.to_owned())).flatten();
        let mut sum = Vec::new();
        model.visit(Place::ROOT, &mut |place, leaf| {
            let Leaf::Param(param) = leaf else { return };
            let (name, shape) = (place.to_string(), param.value().shape());
            if from.has(&accumulated_slot(&name)) {
                sum.extend(from.tensor(accumulated_slot(&name), shape).map(|g| (param.id(), g)));
            }
            let plan = self.recipe.group_of(&name).map_or(0, |group| group + 1);
            if let Some(chain) = &self.plans[plan].chain
                && !param.is_frozen()
            {
                let slots = Some(chain.restore(&name, shape, &mut from));
                self.states.push(ParamState { name, id: param.id(), plan, slots, update: None });
            }
        });
        self.accumulated = accumulated.map(|number| (Gradients::from_params(sum), number as u64));
        from.finish()
    }
}

const WAITING: &str = "accumulate.count";

fn accumulated_slot(name: &str) -> String {
    format!("{name}/accumulate.sum")
}

/// The name of what the schedule of plan `plan` remembers in place `i`.
fn schedule_slot(plan: usize, i: usize) -> String {
    match plan {
        0 => format!("lr.{i}"),
        group => format!("groups.{}.lr.{i}", group - 1),
    }
}
