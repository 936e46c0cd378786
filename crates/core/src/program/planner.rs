//! How a plan is made: which operations run as instructions, where their values and cotangents lie, and which derivatives
//! are wanted.

use std::collections::HashMap;
use std::sync::Arc;

use smallvec::SmallVec;

use crate::op::Instruction;
use crate::params::param::ParamId;
use crate::program::steps::{Backward, Differentiated, Forward, OPERANDS, Place, Placed};
use crate::tape::notes::Repeat;
use crate::tape::record::{Kind, Record, few};
use crate::{Float, Shape};

/// Instructions have operands and values of up to this number of elements.
pub(super) const SMALL: usize = 1 << 12;

/// Values of up to this number of elements are copied between slices and tensors. To copy a larger one takes longer than an
/// instruction gains.
const COPIED: usize = 1 << 8;

/// A parameter, its leaf, and where its gradient arrives.
#[derive(Clone)]
pub(super) struct PlannedParam {
    pub(super) id: ParamId,
    pub(super) leaf: u32,
    pub(super) slot: Slot,
}

/// Where a cotangent is gathered.
#[derive(Clone, Copy)]
pub(super) enum Slot {
    Place(Place),
    Tensor(usize),
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

/// A plan in the making.
pub(super) struct Planner<'a, F: Float> {
    record: &'a Record<F>,
    shapes: &'a [Shape],
    /// The node whose value a leaf has.
    source: Vec<Option<u32>>,
    pub(super) computed: Vec<bool>,
    /// Whether a cotangent is wanted: at leaves of parameters, and at operations on the way to them.
    wants: Vec<bool>,
    instructions: Vec<Option<Arc<dyn Instruction<F>>>>,
    pub(super) places: Vec<Option<Place>>,
    /// The length of the value at each place.
    pub(super) lens: Vec<usize>,
    pub(super) as_tensor: Vec<bool>,
    /// Whether an operation on tensors adds to the cotangent of a node.
    gathers_tensors: Vec<bool>,
    slot_of: Vec<Option<Slot>>,
    pub(super) slots: Slots,
}

impl<'a, F: Float> Planner<'a, F> {
    pub(super) fn new(
        record: &'a Record<F>,
        repeat: &Repeat,
        shapes: &'a [Shape],
        output: u32,
    ) -> Self {
        let count = record.nodes.len();
        let mut source = vec![None; count];
        repeat.copies.iter().for_each(|&(leaf, from)| source[leaf as usize] = Some(from));
        let mut planner = Self {
            record,
            shapes,
            source,
            computed: computed(record, repeat, output),
            wants: vec![false; count],
            instructions: Vec::new(),
            places: vec![None; count],
            lens: Vec::new(),
            as_tensor: vec![false; count],
            gathers_tensors: vec![false; count],
            slot_of: vec![None; count],
            slots: Slots::default(),
        };
        planner.instructions = (0..count).map(|id| planner.instruction(id)).collect();
        while planner.give_up_copies() {}
        planner.place_values();
        planner
    }

    fn inputs(&self, id: usize) -> &'a [u32] {
        &self.record.nodes[id].inputs
    }

    /// The operation of a node as an instruction, if it is small and has such a form.
    fn instruction(&self, id: usize) -> Option<Arc<dyn Instruction<F>>> {
        let (node, inputs) = (&self.record.nodes[id], self.inputs(id));
        let is_small = |id: usize| {
            let is_value = !matches!(self.record.nodes[id].kind, Kind::Indices(_));
            is_value && (1..=SMALL).contains(&self.shapes[id].numel())
        };
        let fits = self.computed[id]
            && node.kind == Kind::Op
            && (1..=OPERANDS).contains(&inputs.len())
            && is_small(id)
            && inputs.iter().all(|&input| is_small(input as usize));
        let x = || few(inputs, |input| &self.shapes[input as usize]);
        fits.then(|| self.record.op(id).instruction(&x(), self.shapes[id])).flatten().map(Arc::from)
    }

    /// Runs operations on tensors that would need copies of larger values from or to tensors. Returns whether there were any.
    fn give_up_copies(&mut self) -> bool {
        let mut on_tensors = vec![false; self.shapes.len()];
        for id in (0..self.shapes.len()).filter(|&id| self.runs_on_tensors(id)) {
            on_tensors[id] = true;
            self.inputs(id).iter().for_each(|&input| on_tensors[input as usize] = true);
        }
        let mut any = false;
        // To and fro, so that a chain of any length takes one call.
        for id in (0..self.shapes.len()).chain((0..self.shapes.len()).rev()) {
            let is_copied = |id: usize| on_tensors[id] && self.shapes[id].numel() > COPIED;
            let inputs = self.inputs(id).iter().map(|&input| input as usize);
            if self.instructions[id].is_some() && inputs.clone().chain([id]).any(is_copied) {
                self.instructions[id] = None;
                inputs.chain([id]).for_each(|id| on_tensors[id] = true);
                any = true;
            }
        }
        any
    }

    fn runs_on_tensors(&self, id: usize) -> bool {
        let is_op = self.record.nodes[id].kind == Kind::Op;
        self.computed[id] && is_op && self.instructions[id].is_none()
    }

    /// Gives the values that instructions read and write their places, in the order of the nodes.
    fn place_values(&mut self) {
        let count = self.record.nodes.len();
        let mut placed = vec![false; count];
        for id in (0..count).rev() {
            if self.instructions[id].is_some() {
                placed[id] = true;
                self.inputs(id).iter().for_each(|&input| placed[input as usize] = true);
            }
            if let (true, Some(source)) = (placed[id], self.source[id]) {
                placed[source as usize] = true;
            }
        }
        for id in (0..count).filter(|&id| placed[id]) {
            self.places[id] = match self.source[id] {
                // A copy is read where its source is.
                Some(source) => self.places[source as usize],
                None => {
                    self.lens.push(self.shapes[id].numel());
                    Some(self.lens.len() - 1)
                }
            };
        }
    }

    /// The parameters that gradients arrive at.
    pub(super) fn params(&mut self) -> Vec<PlannedParam> {
        let nodes = &self.record.nodes;
        let leaves = self.record.params.iter().filter_map(|slot| Some((slot.id, slot.leaf?)));
        let leaves = leaves.filter(|&(_, leaf)| nodes[leaf as usize].tracked).collect::<Vec<_>>();
        leaves.iter().for_each(|&(_, leaf)| self.wants[leaf as usize] = true);
        for (id, node) in nodes.iter().enumerate().filter(|(_, node)| node.kind == Kind::Op) {
            self.wants[id] =
                node.tracked && node.inputs.iter().any(|&input| self.wants[input as usize]);
        }
        for (id, node) in nodes.iter().enumerate() {
            if self.wants[id] && self.runs_on_tensors(id) {
                node.inputs.iter().for_each(|&input| self.gathers_tensors[input as usize] = true);
            }
        }
        let param = |(id, leaf)| PlannedParam { id, leaf, slot: self.slot(leaf) };
        leaves.into_iter().map(param).collect()
    }

    /// Where a node's cotangent is gathered.
    fn slot(&mut self, node: u32) -> Slot {
        let id = node as usize;
        if let Some(slot) = self.slot_of[id] {
            return slot;
        }
        let len = self.shapes[id].numel();
        let slot = if self.places[id].is_some() && !self.gathers_tensors[id] {
            Slot::Place(self.slots.place(len))
        } else {
            Slot::Tensor(self.slots.tensor(len))
        };
        self.slot_of[id] = Some(slot);
        slot
    }

    /// Returns the steps of the sweep, and where the output's cotangent lies.
    pub(super) fn backward(&mut self, output: u32) -> (Vec<Backward<F>>, Option<Slot>) {
        let seed = self.wants[output as usize].then(|| self.slot(output));
        let mut steps = Vec::new();
        for node in (0..=output).rev() {
            if self.record.nodes[node as usize].kind != Kind::Op {
                continue;
            }
            if let Some(own) = self.slot_of[node as usize] {
                self.differentiate(node, own, &mut steps);
            }
            if self.runs_on_tensors(node as usize) {
                steps.push(Backward::Drop(node));
            }
        }
        (steps, seed)
    }

    /// Adds the steps that compute the cotangents of the inputs of a node.
    fn differentiate(&mut self, node: u32, own: Slot, steps: &mut Vec<Backward<F>>) {
        let (id, len) = (node as usize, self.shapes[node as usize].numel());
        let (mut on_slices, mut wanted) = (Vec::new(), SmallVec::new());
        for (i, &input) in self.inputs(id).iter().enumerate() {
            if self.wants[input as usize] {
                match self.slot(input) {
                    Slot::Place(sum) => on_slices.push((i, input, sum)),
                    Slot::Tensor(slot) => wanted.push((i as u32, input, slot)),
                }
            }
        }
        // The cotangent in the other form, if both are read.
        let mut other = None;
        if !on_slices.is_empty() {
            let g = match own {
                Slot::Place(place) => place,
                Slot::Tensor(slot) => {
                    let place = self.slots.place(len);
                    steps.push(Backward::FromTensor { node, slot, place });
                    other = Some(Slot::Place(place));
                    place
                }
            };
            let placed = self.placed(id);
            for (i, to, sum) in on_slices {
                steps.push(Backward::Instruction { placed: placed.clone(), i, g, to, sum });
            }
        }
        if !wanted.is_empty() {
            let slot = match own {
                Slot::Tensor(slot) => slot,
                Slot::Place(place) => {
                    let slot = self.slots.tensor(len);
                    steps.push(Backward::ToTensor { node, place, slot });
                    other = Some(Slot::Tensor(slot));
                    slot
                }
            };
            self.read_as_tensor(node);
            self.inputs(id).iter().for_each(|&input| self.read_as_tensor(input));
            steps.push(Backward::Operation(Differentiated { node, slot, wanted }));
        }
        for slot in [Some(own), other].into_iter().flatten() {
            if let (Slot::Tensor(slot), true) = (slot, len > SMALL) {
                steps.push(Backward::Free(slot));
            }
            self.slots.give(slot, len);
        }
    }

    fn read_as_tensor(&mut self, node: u32) {
        self.as_tensor[node as usize] = true;
    }

    /// Marks what the forward computation and the results read as tensors.
    pub(super) fn read_as_tensors(&mut self, output: u32) {
        let record = self.record;
        let results = record.updates.iter().map(|&(_, node)| node);
        results.for_each(|node| self.read_as_tensor(node));
        if self.places[output as usize].is_none() {
            self.read_as_tensor(output);
        }
        for id in (0..record.nodes.len()).rev() {
            if self.runs_on_tensors(id) {
                self.read_as_tensor(id as u32);
                self.inputs(id).iter().for_each(|&input| self.read_as_tensor(input));
            }
            if let (true, Some(source)) = (self.as_tensor[id], self.source[id]) {
                self.read_as_tensor(source);
            }
        }
    }

    fn place(&self, id: u32) -> Place {
        self.places[id as usize].expect("an instruction's operands and value have a place")
    }

    fn placed(&self, id: usize) -> Placed<F> {
        let instruction = self.instructions[id].clone().expect("an instruction");
        let operands = self.inputs(id).iter().map(|&input| self.place(input));
        Placed::new(id as u32, instruction, operands, self.place(id as u32))
    }

    /// Returns the steps of the forward computation.
    pub(super) fn forward(&self) -> Vec<Forward<F>> {
        let mut steps = Vec::new();
        for id in (0..self.record.nodes.len()).filter(|&id| self.computed[id]) {
            let (node, place) = (id as u32, self.places[id]);
            match self.record.nodes[id].kind {
                Kind::Op if self.instructions[id].is_some() => {
                    steps.push(Forward::Instruction(self.placed(id)));
                    if self.as_tensor[id] {
                        steps.push(Forward::ToTensor(node, self.place(node)));
                    }
                    continue;
                }
                Kind::Op => steps.push(Forward::Operation(node)),
                Kind::Random(_) => steps.push(Forward::Draw(node)),
                Kind::Leaf => {
                    if let (Some(source), true) = (self.source[id], self.as_tensor[id]) {
                        steps.push(Forward::Copy(node, source));
                    }
                    continue;
                }
                Kind::Indices(_) => continue,
            }
            if let Some(place) = place {
                steps.push(Forward::FromTensor(node, place));
            }
        }
        steps
    }
}

/// Memory of cotangents, given from one to the next of its size.
#[derive(Default)]
pub(super) struct Slots {
    /// The length of the cotangent at each place.
    pub(super) lens: Vec<usize>,
    places: HashMap<usize, Vec<Place>>,
    /// The number of tensors.
    pub(super) tensors: usize,
    free: HashMap<usize, Vec<usize>>,
}

impl Slots {
    fn place(&mut self, len: usize) -> Place {
        self.places.get_mut(&len).and_then(Vec::pop).unwrap_or_else(|| {
            self.lens.push(len);
            self.lens.len() - 1
        })
    }

    fn tensor(&mut self, len: usize) -> usize {
        self.free.get_mut(&len).and_then(Vec::pop).unwrap_or_else(|| {
            self.tensors += 1;
            self.tensors - 1
        })
    }

    fn give(&mut self, slot: Slot, len: usize) {
        match slot {
            Slot::Place(place) => self.places.entry(len).or_default().push(place),
            Slot::Tensor(slot) => self.free.entry(len).or_default().push(slot),
        }
    }
}
