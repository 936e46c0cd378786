//! The plan of a recording that runs again, worked out once, and its runs.

use crate::op::Gathered;
use crate::program::planner::{PlannedParam, Planner, SMALL, Slot};
use crate::program::steps::{Backward, Forward, Memory, Place, tensor};
use crate::tape::notes::Repeat;
use crate::tape::record::{Kind, Record};
use crate::tape::rows::RowReads;
use crate::{Float, Gradients, Shape, Tensor};

/// The plan of a training step without checkpoints and temporary recordings, and its memory.
pub(crate) struct Plan<F: Float> {
    forward: Vec<Forward<F>>,
    backward: Vec<Backward<F>>,
    output: u32,
    /// Where the loss lies, unless it is a tensor.
    loss: Option<Place>,
    /// Where the cotangent of the loss lies, if it depends on a parameter.
    seed: Option<Slot>,
    /// The parameters that gradients arrive at, in the order of the gradients.
    pub(super) params: Vec<PlannedParam>,
    /// The leaves of which nothing is read but rows, each with the place of the indices.
    rows: RowReads,
    /// The place of each value that an instruction reads or writes.
    places: Vec<Option<Place>>,
    /// Whether a tensor with the value is read, by node.
    as_tensor: Vec<bool>,
    memory: Memory<F>,
}

/// Where a run puts the value of a leaf.
#[derive(Clone, Copy)]
pub(crate) struct Target {
    pub(crate) node: u32,
    pub(crate) place: Option<Place>,
    pub(crate) as_tensor: bool,
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
        let mut planner = Planner::new(record, repeat, shapes, output);
        let params = planner.params();
        let (backward, seed) = planner.backward(output);
        planner.read_as_tensors(output);
        let forward = planner.forward();
        let Planner { places, lens, as_tensor, slots, computed, .. } = planner;
        let zeros = |lens: &[usize]| lens.iter().map(|&len| vec![F::ZERO; len].into()).collect();
        let largest = lens.iter().copied().max().unwrap_or(0);
        let mut memory = Memory {
            values: zeros(&lens),
            cotangents: zeros(&slots.lens),
            scratch: vec![F::ZERO; Gathered::<F>::SCRATCH * largest],
            tensors: (0..slots.tensors).map(|_| Tensor::nothing()).collect(),
            arrived: vec![false; shapes.len()],
        };
        for (id, node) in record.nodes.iter().enumerate().filter(|&(id, _)| computed[id]) {
            // Constants; other leaves are replaced at each run.
            if let (Kind::Leaf, Some(place), Some(value)) =
                (node.kind, places[id], node.value_if_held())
            {
                memory.values[place].copy_from_slice(value.as_slice());
            }
        }
        let loss = places[output as usize];
        let rows = record.row_reads();
        Some(Self {
            forward,
            backward,
            output,
            loss,
            seed,
            params,
            rows,
            places,
            as_tensor,
            memory,
        })
    }

    /// Where a run puts the value of this leaf.
    pub(crate) fn target(&self, node: u32) -> Target {
        let (place, as_tensor) = (self.places[node as usize], self.as_tensor[node as usize]);
        Target { node, place, as_tensor }
    }

    /// The place of a leaf, for writing.
    pub(crate) fn at(&mut self, place: Place) -> &mut [F] {
        &mut self.memory.values[place]
    }

    /// Computes the loss, the gradients from this cotangent of it, and the new values of buffers.
    #[track_caller]
    pub(crate) fn run(
        &mut self,
        record: &mut Record<F>,
        shapes: &[Shape],
        key: Option<u64>,
        cotangent: F,
        gradients: &mut Gradients<F>,
    ) -> F {
        self.take_back(gradients, record.recording);
        self.memory.compute(&self.forward, record, shapes, key);
        let loss = match self.loss {
            Some(place) => self.memory.values[place][0],
            None => record.nodes[self.output as usize].value().item(),
        };
        if !record.updates.is_empty() {
            gradients.updates = record.buffer_updates();
        }
        // A run that panicked may have left some.
        self.memory.arrived.fill(false);
        if let Some(slot) = self.seed {
            self.memory.arrived[self.output as usize] = true;
            match slot {
                Slot::Place(place) => self.memory.cotangents[place].fill(cotangent),
                Slot::Tensor(slot) => {
                    let shape = shapes[self.output as usize];
                    self.memory.tensors[slot].overwrite_as(shape).fill(cotangent);
                }
            }
        }
        self.memory.differentiate(&self.backward, record, shapes);
        self.hand_out(gradients, shapes);
        for &(leaf, place) in &self.rows {
            if let Some(param) = self.params.iter().find(|param| param.leaf == leaf) {
                gradients.rows.push((param.id, record.indices[place as usize].clone()));
            }
        }
        loss
    }

    /// Takes the memory of gradients on tensors back, if the gradients are those of the last run.
    fn take_back(&mut self, gradients: &mut Gradients<F>, recording: u64) {
        gradients.updates.clear();
        gradients.rows.clear();
        if gradients.recording != recording || gradients.params.len() != self.params.len() {
            gradients.params.clear();
            gradients.recording = recording;
            return;
        }
        for (param, (_, g)) in self.params.iter().zip(&mut gradients.params) {
            if let Slot::Tensor(slot) = param.slot {
                let g = std::mem::replace(g, Tensor::nothing());
                self.memory.tensors[slot] = if g.numel() > SMALL { Tensor::nothing() } else { g };
            }
        }
    }

    /// Moves the gradients that have arrived to their list.
    fn hand_out(&mut self, gradients: &mut Gradients<F>, shapes: &[Shape]) {
        let Memory { cotangents, tensors, arrived, .. } = &mut self.memory;
        let has_arrived = |param: &&PlannedParam| arrived[param.leaf as usize];
        let list = &mut gradients.params;
        if list.len() == self.params.len() && self.params.iter().all(|param| has_arrived(&param)) {
            for (param, (id, g)) in self.params.iter().zip(list) {
                *id = param.id;
                match param.slot {
                    Slot::Place(place) => g.overwrite().copy_from_slice(&cotangents[place]),
                    Slot::Tensor(slot) => {
                        *g = std::mem::replace(&mut tensors[slot], Tensor::nothing())
                    }
                }
            }
            return;
        }
        list.clear();
        list.extend(self.params.iter().filter(has_arrived).map(|param| {
            let g = match param.slot {
                Slot::Place(place) => tensor(shapes[param.leaf as usize], &cotangents[place]),
                Slot::Tensor(slot) => std::mem::replace(&mut tensors[slot], Tensor::nothing()),
            };
            (param.id, g)
        }));
    }

    /// The same plan with memory of its own.
    pub(crate) fn copy(&self) -> Self {
        Self {
            forward: self.forward.clone(),
            backward: self.backward.clone(),
            params: self.params.clone(),
            rows: self.rows.clone(),
            places: self.places.clone(),
            as_tensor: self.as_tensor.clone(),
            memory: self.memory.copy(),
            ..*self
        }
    }

    /// Those of these nodes that hold a tensor during a run only. The tensor of an instruction's value stays for the next run.
    pub(crate) fn held(&self, nodes: &[u32]) -> Vec<u32> {
        let stays = self.forward.iter().filter_map(|step| match *step {
            Forward::ToTensor(node, _) => Some(node),
            _ => None,
        });
        let stays = stays.collect::<Vec<_>>();
        let is_held =
            |node: &u32| self.as_tensor[*node as usize] && stays.binary_search(node).is_err();
        nodes.iter().copied().filter(is_held).collect()
    }
}
