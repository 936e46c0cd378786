//! What an optimizer remembers, by name: for files.

use std::collections::BTreeMap;
use std::ops::Range;

use wengert_core::{Float, Gradients, Leaf, Params, Path as Place, Shape, Tensor};

use super::Rule;
use super::chain::{CHUNK, Chain, Slots, StageWork};
use super::link::Link;
use super::optimizer::{Optimizer, State};
use super::rules::Average;

/// All that an optimizer remembers, by name, so that it can be saved, loaded and looked at.
///
/// What a rule remembers of a parameter is called `parameter/rule.slot`, as in
/// `hidden.weight/adam.exp_avg`; the second rule of a kind in one chain is `adam#2`. How often the
/// rule has been applied is the number `hidden.weight/adam.count`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Memory<F: Float> {
    /// What is as large as a parameter, or has a shape of its own.
    pub tensors: BTreeMap<String, Tensor<F>>,
    /// Counts, and what schedules remember.
    pub numbers: BTreeMap<String, f64>,
}

/// What became of a [`Memory`] that an optimizer was handed. What is listed under none of the names
/// was taken over.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Restored {
    /// What the recipe remembers and the memory does not have: it starts anew.
    pub missing: Vec<String>,
    /// What the memory has and the recipe does not know: it was left aside.
    pub unexpected: Vec<String>,
    /// What has another shape than expected (the first one is the model's): it starts anew.
    pub misshapen: Vec<(String, Shape, Shape)>,
}

impl Restored {
    /// Whether all was taken over and nothing was lacking.
    pub fn is_complete(&self) -> bool {
        self.missing.is_empty() && self.unexpected.is_empty() && self.misshapen.is_empty()
    }
}

/// A memory that is being taken over, and what became of it so far.
pub(crate) struct Restoring<F: Float> {
    memory: Memory<F>,
    report: Restored,
}

impl<F: Float> Restoring<F> {
    pub(crate) fn new(memory: Memory<F>) -> Self {
        Restoring { memory, report: Restored::default() }
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.memory.numbers.contains_key(name) || self.memory.tensors.contains_key(name)
    }

    pub(crate) fn number(&mut self, name: String) -> Option<f64> {
        let found = self.memory.numbers.remove(&name);
        if found.is_none() {
            self.report.missing.push(name);
        }
        found
    }

    pub(crate) fn tensor(&mut self, name: String, shape: Shape) -> Option<Tensor<F>> {
        match self.memory.tensors.remove(&name) {
            None => self.report.missing.push(name),
            Some(found) if found.shape() != shape => {
                self.report.misshapen.push((name, shape, found.shape()));
            }
            found => return found,
        }
        None
    }

    /// All tensors whose names begin so, which nobody can foresee.
    pub(crate) fn tensors_under(&mut self, prefix: &str) -> BTreeMap<String, Tensor<F>> {
        let names: Vec<String> =
            self.memory.tensors.keys().filter(|name| name.starts_with(prefix)).cloned().collect();
        let take = |name: String| {
            let tensor = self.memory.tensors.remove(&name)?;
            Some((name[prefix.len()..].to_owned(), tensor))
        };
        names.into_iter().filter_map(take).collect()
    }

    pub(crate) fn finish(mut self) -> Restored {
        let Memory { tensors, numbers } = self.memory;
        self.report.unexpected.extend(tensors.into_keys().chain(numbers.into_keys()));
        self.report
    }
}

impl<F: Float> Chain<F> {
    /// Adds what is remembered of the parameter `name`.
    pub(crate) fn save(&self, name: &str, shape: Shape, slots: &Slots<F>, memory: &mut Memory<F>) {
        for (link, (count, number)) in self.links.iter().zip(&slots.counts) {
            let place = |slot: &str| format!("{name}/{}.{slot}", link.name);
            let mut remembers = false;
            match &link.work {
                StageWork::Elements(rule, own) => {
                    if let Some((number_name, _)) = rule.number() {
                        memory.numbers.insert(place(number_name), *number);
                        remembers = true;
                    }
                    for (slot, slot_name) in own.clone().zip(rule.memory()) {
                        let tensor = self.gather(slot, shape, slots);
                        memory.tensors.insert(place(slot_name), tensor);
                        remembers = true;
                    }
                }
                StageWork::Tensor(rule, at) => {
                    for ((slot_name, _), tensor) in
                        rule.memory(shape).into_iter().zip(&slots.tensors[*at])
                    {
                        memory.tensors.insert(place(slot_name), tensor.clone());
                        remembers = true;
                    }
                }
            }
            if remembers {
                memory.numbers.insert(place("count"), *count as f64);
            }
        }
    }

    /// What is remembered of the parameter `name`, as far as `from` has it.
    pub(crate) fn restore(&self, name: &str, shape: Shape, from: &mut Restoring<F>) -> Slots<F> {
        let mut slots = self.slots(shape);
        for (i, link) in self.links.iter().enumerate() {
            let place = |slot: &str| format!("{name}/{}.{slot}", link.name);
            // A count belongs to the averages that were counted: without any of them it starts anew.
            let (mut remembers, mut found) = (false, false);
            match &link.work {
                StageWork::Elements(rule, own) => {
                    if let Some((number_name, _)) = rule.number() {
                        remembers = true;
                        if let Some(number) = from.number(place(number_name)) {
                            slots.counts[i].1 = number;
                            found = true;
                        }
                    }
                    for (slot, slot_name) in own.clone().zip(rule.memory()) {
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
                        rule.memory(shape).into_iter().zip(&mut slots.tensors[*at])
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
    pub(crate) fn average(&self, shape: Shape, slots: &Slots<F>) -> Option<Tensor<F>> {
        let link = self.links.iter().rfind(|link| link.name == Average::KIND)?;
        let StageWork::Elements(_, own) = &link.work else { return None };
        Some(self.gather(own.start, shape, slots))
    }

    /// The numbers of one slot, in the order of the parameter's.
    fn gather(&self, slot: usize, shape: Shape, slots: &Slots<F>) -> Tensor<F> {
        let mut numbers = Vec::with_capacity(shape.numel());
        for part in self.parts(slot, shape.numel()) {
            numbers.extend_from_slice(&slots.elements[part]);
        }
        Tensor::from_vec(numbers, shape)
    }

    /// Where the numbers of one slot stand in the memory of a parameter of `len` elements.
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
    /// All that is remembered, by name; see [`Memory`].
    pub fn memory(&self, model: &(impl Params<F> + ?Sized)) -> Memory<F> {
        let mut memory = Memory { tensors: Default::default(), numbers: Default::default() };
        memory.numbers.insert("steps".to_owned(), self.steps as f64);
        memory.numbers.insert("skipped".to_owned(), self.skipped as f64);
        for (at, running) in self.plans.iter().enumerate() {
            for (i, number) in running.schedule.iter().enumerate() {
                memory.numbers.insert(schedule_slot(at, i), *number);
            }
        }
        if let Some(method) = self.method() {
            for (slot, tensor) in &self.remembered {
                memory.tensors.insert(format!("/{}.{slot}", method.kind()), tensor.clone());
            }
        }
        if let Some((_, number)) = &self.waiting {
            memory.numbers.insert(WAITING.to_owned(), *number as f64);
        }
        model.visit(Place::ROOT, &mut |place, leaf| {
            let Leaf::Param(param) = leaf else { return };
            let (name, shape) = (place.to_string(), param.value().shape());
            if let Some(sum) = self.waiting.as_ref().and_then(|(sum, _)| sum.get(param)) {
                memory.tensors.insert(waiting_slot(&name), sum.clone());
            }
            if let Some(state) = self.states.iter().find(|state| state.name == name)
                && let (Some(chain), Some(slots)) = (&self.plans[state.plan].chain, &state.slots)
            {
                chain.save(&name, shape, slots, &mut memory);
            }
        });
        memory
    }

    /// Takes over what an optimizer of this recipe, or of a similar one, remembered of this model:
    /// all that fits, by name. Training goes on as if it had not been interrupted, if nothing is
    /// reported.
    pub fn restore(&mut self, model: &(impl Params<F> + ?Sized), memory: Memory<F>) -> Restored {
        let mut from = Restoring::new(memory);
        *self = Self::new(self.recipe.clone());
        self.steps = from.number("steps".to_owned()).unwrap_or(0.0) as u64;
        self.skipped = from.number("skipped".to_owned()).unwrap_or(0.0) as u64;
        for (at, running) in self.plans.iter_mut().enumerate() {
            for (i, number) in running.schedule.iter_mut().enumerate() {
                *number = from.number(schedule_slot(at, i)).unwrap_or(*number);
            }
        }
        if let Some(kind) = self.method().map(Link::kind) {
            self.remembered = from.tensors_under(&format!("/{kind}."));
        }
        let waiting = from.has(WAITING).then(|| from.number(WAITING.to_owned())).flatten();
        let mut sum = Vec::new();
        model.visit(Place::ROOT, &mut |place, leaf| {
            let Leaf::Param(param) = leaf else { return };
            let (name, shape) = (place.to_string(), param.value().shape());
            if from.has(&waiting_slot(&name)) {
                sum.extend(from.tensor(waiting_slot(&name), shape).map(|g| (param.id(), g)));
            }
            let plan = self.recipe.group_of(&name).map_or(0, |group| group + 1);
            if let Some(chain) = &self.plans[plan].chain
                && !param.is_frozen()
            {
                let slots = Some(chain.restore(&name, shape, &mut from));
                self.states.push(State { name, id: param.id(), plan, slots, update: None });
            }
        });
        self.waiting = waiting.map(|number| (Gradients::from_params(sum), number as u64));
        from.finish()
    }
}

const WAITING: &str = "accumulate.count";

fn waiting_slot(name: &str) -> String {
    format!("{name}/accumulate.sum")
}

/// The name of what the schedule of plan `plan` remembers in place `i`.
fn schedule_slot(plan: usize, i: usize) -> String {
    match plan {
        0 => format!("lr.{i}"),
        group => format!("groups.{}.lr.{i}", group - 1),
    }
}
