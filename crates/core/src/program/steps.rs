//! The steps of a run on planned memory: instructions on slices, operations on tensors, and copies between both.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use smallvec::SmallVec;

use crate::error::rethrow;
use crate::op::{Cotangent, Gathered, Instruction};
use crate::tape::record::{Content, Record};
use crate::{Float, Shape, Tensor};

/// The most operands of an instruction.
pub(super) const OPERANDS: usize = 3;

/// The place of a value among those of [`Memory`], or of a cotangent.
pub(crate) type Place = usize;

/// An instruction and the places of its operands and of its value.
#[derive(Clone)]
pub(super) struct Placed<F: Float> {
    pub(super) node: u32,
    pub(super) instruction: Arc<dyn Instruction<F>>,
    /// The places of the operands, and zeros behind them.
    x: [Place; OPERANDS],
    count: usize,
    y: Place,
}

impl<F: Float> Placed<F> {
    pub(super) fn new(
        node: u32,
        instruction: Arc<dyn Instruction<F>>,
        operands: impl ExactSizeIterator<Item = Place>,
        y: Place,
    ) -> Self {
        let (mut x, count) = ([0; OPERANDS], operands.len());
        x.iter_mut().zip(operands).for_each(|(x, place)| *x = place);
        Self { node, instruction, x, count, y }
    }
}

/// A step of the forward computation.
#[derive(Clone)]
pub(super) enum Forward<F: Float> {
    Instruction(Placed<F>),
    /// The operation of this node, on tensors.
    Operation(u32),
    Draw(u32),
    /// The tensor of the second node for the first.
    Copy(u32, u32),
    /// The value of a node is copied to a tensor, for an operation.
    ToTensor(u32, Place),
    /// The tensor of a node is copied to its place, for an instruction.
    FromTensor(u32, Place),
}

/// A step of the sweep.
#[derive(Clone)]
pub(super) enum Backward<F: Float> {
    /// The cotangent of input `i`.
    Instruction {
        placed: Placed<F>,
        i: usize,
        g: Place,
        to: u32,
        sum: Place,
    },
    Operation(Differentiated),
    /// The cotangent of a node is copied to the tensor of this slot.
    ToTensor {
        node: u32,
        place: Place,
        slot: usize,
    },
    FromTensor {
        node: u32,
        slot: usize,
        place: Place,
    },
    /// A large cotangent is dropped.
    Free(usize),
    /// The value of a node is dropped.
    Drop(u32),
}

/// An operation whose cotangents are computed on tensors.
#[derive(Clone)]
pub(super) struct Differentiated {
    pub(super) node: u32,
    /// The slot of its own cotangent.
    pub(super) slot: usize,
    /// The inputs that want a cotangent: the place among the inputs, the node, and its slot.
    pub(super) wanted: SmallVec<[(u32, u32, usize); 2]>,
}

/// The memory of a run.
pub(super) struct Memory<F: Float> {
    /// The values that instructions read and write. That of an operation comes behind its operands.
    pub(super) values: Vec<Box<[F]>>,
    pub(super) cotangents: Vec<Box<[F]>>,
    pub(super) scratch: Vec<F>,
    /// The cotangents of operations on tensors, by slot.
    pub(super) tensors: Vec<Tensor<F>>,
    /// Whether a cotangent has arrived, by node.
    pub(super) arrived: Vec<bool>,
}

impl<F: Float> Memory<F> {
    /// Memory of the same size, with the same values.
    pub(super) fn copy(&self) -> Self {
        Self {
            values: self.values.clone(),
            cotangents: self.cotangents.clone(),
            scratch: self.scratch.clone(),
            tensors: self.tensors.iter().map(|_| Tensor::nothing()).collect(),
            arrived: self.arrived.clone(),
        }
    }

    /// Computes all values.
    #[track_caller]
    pub(super) fn compute(
        &mut self,
        steps: &[Forward<F>],
        record: &mut Record<F>,
        shapes: &[Shape],
        key: Option<u64>,
    ) {
        let mut current = 0;
        let computed = catch_unwind(AssertUnwindSafe(|| {
            for step in steps {
                match *step {
                    Forward::Instruction(ref placed) => {
                        current = placed.node as usize;
                        let (before, rest) = self.values.split_at_mut(placed.y);
                        let y = &mut rest[0];
                        poison(y);
                        let x = placed.x.map(|place| &*before[place]);
                        placed.instruction.forward(&x[..placed.count], y);
                    }
                    Forward::Operation(node) => {
                        current = node as usize;
                        let value = record.forward_again(current, shapes[current]);
                        record.nodes[current].content = Content::Value(value);
                    }
                    Forward::Draw(node) => {
                        let id = node as usize;
                        let value = record.draw_again(id, shapes[id], key);
                        record.nodes[id].content = Content::Value(value);
                    }
                    Forward::Copy(node, source) => {
                        let value = record.nodes[source as usize].value().clone();
                        record.nodes[node as usize].content = Content::Value(value);
                    }
                    Forward::ToTensor(node, place) => {
                        let (value, id) = (&self.values[place], node as usize);
                        match &mut record.nodes[id].content {
                            Content::Value(y) => y.overwrite().copy_from_slice(value),
                            content => *content = Content::Value(tensor(shapes[id], value)),
                        }
                    }
                    Forward::FromTensor(node, place) => {
                        let value = record.nodes[node as usize].value();
                        self.values[place].copy_from_slice(value.as_slice());
                    }
                }
            }
        }));
        if let Err(panic) = computed {
            let (op, line) = (record.op(current).name(), record.nodes[current].location);
            rethrow(panic, "computing", &op, line);
        }
    }

    /// Runs the sweep.
    #[track_caller]
    pub(super) fn differentiate(
        &mut self,
        steps: &[Backward<F>],
        record: &mut Record<F>,
        shapes: &[Shape],
    ) {
        let mut current = 0;
        let Self { values, cotangents, scratch, tensors, arrived } = self;
        let swept = catch_unwind(AssertUnwindSafe(|| {
            for step in steps {
                match *step {
                    Backward::Instruction { ref placed, i, g, to, sum } => {
                        current = placed.node as usize;
                        if !arrived[current] {
                            continue;
                        }
                        let [g, sum] = cotangents.get_disjoint_mut([g, sum]).expect("two places");
                        let arrived = std::mem::replace(&mut arrived[to as usize], true);
                        if !arrived {
                            poison(sum);
                        }
                        let into = Gathered::new(sum, arrived, scratch);
                        let (x, y) = (placed.x.map(|place| &*values[place]), &values[placed.y]);
                        placed.instruction.vjp(i, &x[..placed.count], y, g, into);
                    }
                    Backward::Operation(Differentiated { node, slot, ref wanted }) => {
                        current = node as usize;
                        if !arrived[current] {
                            continue;
                        }
                        let (op, view, own) =
                            (record.op(current), record.view(), &record.nodes[current]);
                        let (x, index) = view.split(&own.inputs);
                        let (x, y) = (view.values(x), own.value());
                        for &(i, input, to) in wanted {
                            let input = input as usize;
                            let [g, sum] = tensors.get_disjoint_mut([slot, to]).expect("two slots");
                            let into = Cotangent::kept(shapes[input], sum, &mut arrived[input]);
                            op.vjp_into(i as usize, &x, index, y, g, into);
                        }
                    }
                    Backward::ToTensor { node, place, slot } => {
                        if arrived[node as usize] {
                            let g = &cotangents[place];
                            tensors[slot].overwrite_as(shapes[node as usize]).copy_from_slice(g);
                        }
                    }
                    Backward::FromTensor { node, slot, place } => {
                        if arrived[node as usize] {
                            cotangents[place].copy_from_slice(tensors[slot].as_slice());
                        }
                    }
                    Backward::Free(slot) => tensors[slot] = Tensor::nothing(),
                    Backward::Drop(node) => {
                        record.nodes[node as usize].content = Content::Released;
                    }
                }
            }
        }));
        if let Err(panic) = swept {
            let (op, line) = (record.op(current).name(), record.nodes[current].location);
            rethrow(panic, "differentiating", &op, line);
        }
    }
}

/// A tensor with these elements.
pub(super) fn tensor<F: Float>(shape: Shape, elements: &[F]) -> Tensor<F> {
    Tensor::written(shape, |y| y.copy_from_slice(elements))
}

/// Makes elements that are yet to be written NaN in debug builds, to find an instruction that reads them.
#[inline(always)]
fn poison<F: Float>(elements: &mut [F]) {
    if cfg!(debug_assertions) {
        elements.fill(F::NAN);
    }
}
