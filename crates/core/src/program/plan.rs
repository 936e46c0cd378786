//! The steps of a recording that runs again, worked out once: what is computed, which derivatives are wanted, and whose
//! memory each cotangent takes over.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use smallvec::SmallVec;

use crate::error::rethrow;
use crate::op::Cotangent;
use crate::params::param::ParamId;
use crate::tape::notes::Repeat;
use crate::tape::record::{Content, Kind, Record, TapeView};
use crate::tape::rows::RowReads;
use crate::{Float, Gradients, Shape, Tensor};

/// Values of up to this number of elements stay where they are between runs. Larger ones go back to the pool as soon as
/// they are not needed, as on every tape.
const SMALL: usize = 1 << 12;

/// The steps of a training step without checkpoints and temporary recordings.
pub(crate) struct Plan<F: Float> {
    forward: Vec<Forward>,
    backward: Vec<Backward>,
    /// The slot of the output's cotangent, if it depends on a parameter.
    seed: Option<u32>,
    /// The parameters that gradients arrive at, and their leaves, in the order of the gradients.
    pub(super) params: Vec<(ParamId, u32)>,
    /// The leaves of which nothing is read but rows, each with the place of the indices.
    rows: RowReads,
    /// Memory of cotangents, by slot.
    memory: Vec<Tensor<F>>,
    /// Whether a cotangent has arrived, by slot.
    arrived: Vec<bool>,
}

/// A value to be computed.
#[derive(Clone)]
struct Forward {
    node: u32,
    how: How,
}

#[derive(Clone, Copy)]
enum How {
    /// Into the memory of the last run.
    InPlace,
    /// Into new memory: a large value, or one that shares the memory of another.
    Anew,
    Draw,
    /// From this node.
    Copy(u32),
}

/// A node that the sweep passes.
#[derive(Clone)]
struct Backward {
    node: u32,
    /// The inputs that want a cotangent: the place among the inputs, the node, and the slot of its memory.
    wanted: SmallVec<[(u32, u32, u32); 2]>,
    /// The slot that the memory of this node's cotangent goes to.
    slot: u32,
    /// Whether the value is dropped here.
    drops: bool,
}

impl<F: Float> Plan<F> {
    /// Plans a recording, if it is a training step without checkpoints and temporary recordings.
    pub(crate) fn new(
        record: &Record<F>,
        repeat: &Repeat,
        shapes: &[Shape],
        output: u32,
    ) -> Option<Self> {
        if !record.checkpoints.is_empty() || !repeat.temporaries.is_empty() {
            return None;
        }
        let computed = computed(record, repeat, output);
        let source = |id: u32| repeat.copies.iter().find(|copy| copy.0 == id).map(|copy| copy.1);
        let mut forward = Vec::new();
        let stays = |id: u32| {
            let node = &record.nodes[id as usize];
            let value = node.value_if_held();
            let shares = |&input: &u32| {
                let input = record.nodes[input as usize].value_if_held();
                matches!((value, input), (Some(y), Some(x)) if y.shares_memory(x))
            };
            shapes[id as usize].numel() <= SMALL && !node.inputs.iter().any(shares)
        };
        for node in (0..record.nodes.len() as u32).filter(|&id| computed[id as usize]) {
            let how = match record.nodes[node as usize].kind {
                Kind::Op if stays(node) => How::InPlace,
                Kind::Op => How::Anew,
                Kind::Random(_) => How::Draw,
                Kind::Leaf => match source(node) {
                    Some(source) => How::Copy(source),
                    None => continue,
                },
                Kind::Indices(_) => continue,
            };
            forward.push(Forward { node, how });
        }
        let leaves = record.params.iter().filter_map(|slot| Some((slot.id, slot.leaf?)));
        let leaves = leaves.filter(|&(_, leaf)| record.nodes[leaf as usize].tracked);
        let leaves = leaves.collect::<Vec<_>>();
        let wants = wants(record, &leaves);
        let mut sweep = Sweep {
            record,
            shapes,
            wants: &wants,
            slot_of: vec![None; shapes.len()],
            slots: Slots::default(),
        };
        let (backward, seed) = sweep.plan(output, &leaves, &forward);
        let slots = sweep.slots;
        Some(Self {
            forward,
            backward,
            seed,
            params: leaves,
            rows: record.row_reads(),
            memory: (0..slots.count).map(|_| Tensor::nothing()).collect(),
            arrived: vec![false; slots.count as usize],
        })
    }

    /// Computes all values.
    #[track_caller]
    pub(crate) fn compute(&mut self, record: &mut Record<F>, shapes: &[Shape], key: Option<u64>) {
        let mut current = 0;
        let computed = catch_unwind(AssertUnwindSafe(|| {
            for &Forward { node, how } in &self.forward {
                let id = node as usize;
                let value = match how {
                    How::InPlace => {
                        current = id;
                        record.forward_in_place(id, shapes[id]);
                        continue;
                    }
                    How::Anew => {
                        current = id;
                        record.forward_again(id, shapes[id])
                    }
                    How::Draw => record.draw_again(id, shapes[id], key),
                    How::Copy(source) => record.nodes[source as usize].value().clone(),
                };
                record.nodes[id].content = Content::Value(value);
            }
        }));
        if let Err(panic) = computed {
            let (op, line) = (record.op(current).name(), record.nodes[current].location);
            rethrow(panic, "computing", &op, line);
        }
    }

    /// Runs the sweep.
    #[track_caller]
    pub(crate) fn differentiate(
        &mut self,
        record: &mut Record<F>,
        output: u32,
        gradients: &mut Gradients<F>,
    ) {
        let mut current = output as usize;
        let Self { backward, memory, arrived, .. } = self;
        let swept = catch_unwind(AssertUnwindSafe(|| {
            // A run that panicked may have left some.
            arrived.fill(false);
            if let Some(slot) = self.seed.map(|slot| slot as usize) {
                let shape = *record.nodes[output as usize].shape();
                let into = Cotangent::kept(shape, &mut memory[slot], &mut arrived[slot]);
                into.write(|g, _| g.fill(F::ONE));
            }
            for step in &*backward {
                let (id, slot) = (step.node as usize, step.slot as usize);
                if !step.wanted.is_empty() && std::mem::take(&mut arrived[slot]) {
                    current = id;
                    let node = &record.nodes[id];
                    let (op, view) = (record.op(id), record.view());
                    let (values, index) = view.split(&node.inputs);
                    let (x, y) = (view.values(values), node.value());
                    for &(i, input, to) in &step.wanted {
                        let to = to as usize;
                        let [g, sum] = memory.get_disjoint_mut([slot, to]).expect("two slots");
                        let shape = *record.nodes[input as usize].shape();
                        let into = Cotangent::kept(shape, sum, &mut arrived[to]);
                        op.vjp_into(i as usize, &x, index, y, g, into);
                    }
                    if memory[slot].numel() > SMALL {
                        memory[slot] = Tensor::nothing();
                    }
                }
                if step.drops {
                    record.nodes[id].content = Content::Released;
                }
            }
        }));
        if let Err(panic) = swept {
            let (op, line) = (record.op(current).name(), record.nodes[current].location);
            rethrow(panic, "differentiating", &op, line);
        }
        // The first slots are those of the parameters.
        for (slot, &(id, _)) in self.params.iter().enumerate() {
            if self.arrived[slot] {
                let g = std::mem::replace(&mut self.memory[slot], Tensor::nothing());
                gradients.params.push((id, g));
            }
        }
        for &(leaf, place) in &self.rows {
            if let Some((id, _)) = self.params.iter().find(|param| param.1 == leaf) {
                gradients.rows.push((*id, record.indices[place as usize].clone()));
            }
        }
    }

    /// Takes the memory of the gradients of the last run, if that was one of this recording.
    pub(crate) fn reuse(&mut self, gradients: &mut Gradients<F>, recording: u64) {
        let own = gradients.recording == recording;
        let mut places = self.params.iter().enumerate();
        for (id, g) in gradients.params.drain(..) {
            if own
                && g.numel() <= SMALL
                && let Some((place, _)) = places.find(|(_, param)| param.0 == id)
            {
                self.memory[place] = g;
            }
        }
        gradients.recording = recording;
        gradients.rows.clear();
        gradients.updates.clear();
    }

    /// The same steps with memory of their own.
    pub(crate) fn copy(&self) -> Self {
        Self {
            forward: self.forward.clone(),
            backward: self.backward.clone(),
            seed: self.seed,
            params: self.params.clone(),
            rows: self.rows.clone(),
            memory: self.memory.iter().map(|_| Tensor::nothing()).collect(),
            arrived: vec![false; self.arrived.len()],
        }
    }

    /// Whether the value of a node stays between runs.
    pub(crate) fn keeps(&self, node: u32) -> bool {
        let found = self.forward.binary_search_by_key(&node, |step| step.node);
        found.is_ok_and(|place| matches!(self.forward[place].how, How::InPlace))
    }
}

/// Which nodes are read, directly or not, by the output or by the new value of a buffer.
fn computed<F: Float>(record: &Record<F>, repeat: &Repeat, output: u32) -> Vec<bool> {
    let mut computed = vec![false; record.nodes.len()];
    let results = record.updates.iter().map(|&(_, node)| node).chain([output]);
    results.for_each(|id| computed[id as usize] = true);
    let mut copies = repeat.copies.iter().rev().peekable();
    for id in (0..record.nodes.len()).rev() {
        let copy = copies.next_if(|copy| copy.0 as usize == id);
        if computed[id] {
            let inputs = record.nodes[id].inputs.iter().chain(copy.map(|copy| &copy.1));
            inputs.for_each(|&input| computed[input as usize] = true);
        }
    }
    computed
}

/// Which nodes want a cotangent: leaves of parameters, and operations on the way to them.
fn wants<F: Float>(record: &Record<F>, params: &[(ParamId, u32)]) -> Vec<bool> {
    let mut wants = vec![false; record.nodes.len()];
    params.iter().for_each(|&(_, leaf)| wants[leaf as usize] = true);
    for (id, node) in record.nodes.iter().enumerate().filter(|(_, node)| node.kind == Kind::Op) {
        wants[id] = node.tracked && node.inputs.iter().any(|&input| wants[input as usize]);
    }
    wants
}

/// The plan of a sweep in the making.
struct Sweep<'a, F: Float> {
    record: &'a Record<F>,
    shapes: &'a [Shape],
    wants: &'a [bool],
    /// The memory of each node's cotangent.
    slot_of: Vec<Option<u32>>,
    slots: Slots,
}

impl<F: Float> Sweep<'_, F> {
    /// Returns the nodes that the sweep passes, the last one first; and the slot of the output's cotangent.
    fn plan(
        &mut self,
        output: u32,
        params: &[(ParamId, u32)],
        forward: &[Forward],
    ) -> (Vec<Backward>, Option<u32>) {
        for &(_, leaf) in params {
            self.slot_of[leaf as usize] = Some(self.slots.new_slot());
        }
        let seed = self.wants[output as usize].then(|| self.slot(output));
        let mut anew = vec![false; self.record.nodes.len()];
        forward.iter().for_each(|step| anew[step.node as usize] = matches!(step.how, How::Anew));
        let record = self.record;
        let operations =
            (0..=output).rev().filter(|&id| record.nodes[id as usize].kind == Kind::Op);
        let backward = operations.filter_map(|id| self.operation(id, anew[id as usize])).collect();
        (backward, seed)
    }

    fn size(&self, node: u32) -> usize {
        self.shapes[node as usize].numel()
    }

    /// The slot of a node's cotangent.
    fn slot(&mut self, node: u32) -> u32 {
        let size = self.size(node);
        *self.slot_of[node as usize].get_or_insert_with(|| self.slots.take(size))
    }

    fn operation(&mut self, node: u32, drops: bool) -> Option<Backward> {
        let own = self.slot_of[node as usize];
        let mut wanted = SmallVec::new();
        if let Some(own) = own {
            for (i, &input) in self.record.nodes[node as usize].inputs.iter().enumerate() {
                if self.wants[input as usize] {
                    wanted.push((i as u32, input, self.slot(input)));
                }
            }
            self.slots.give(own, self.size(node));
        }
        let slot = own.unwrap_or(0);
        (own.is_some() || drops).then_some(Backward { node, wanted, slot, drops })
    }
}

/// Memory of cotangents, given from one to the next of its size.
#[derive(Default)]
struct Slots {
    count: u32,
    free: HashMap<usize, Vec<u32>>,
}

impl Slots {
    fn new_slot(&mut self) -> u32 {
        self.count += 1;
        self.count - 1
    }

    fn take(&mut self, size: usize) -> u32 {
        self.free.get_mut(&size).and_then(Vec::pop).unwrap_or_else(|| self.new_slot())
    }

    fn give(&mut self, slot: u32, size: usize) {
        self.free.entry(size).or_default().push(slot);
    }
}

impl<F: Float> Record<F> {
    /// Computes a value of the last run again, in its memory.
    fn forward_in_place(&mut self, id: usize, shape: Shape) {
        let (before, rest) = self.nodes.split_at_mut(id);
        let node = &mut rest[0];
        let (op, view) = (&self.ops[id], TapeView { nodes: before, indices: &self.indices });
        let op = op.as_deref().expect("an operation");
        let (values, index) = view.split(&node.inputs);
        let x = view.values(values);
        let outcome = match &mut node.content {
            Content::Value(y) => op.forward_into(&x, index, y),
            content => op.forward(&x, index, shape).map(|y| *content = Content::Value(y)),
        };
        if let Err(mistake) = outcome {
            resume_unwind(Box::new(mistake.in_operation(&op.name())));
        }
    }
}
