//! Recording: leaves, parameters, operations, and the settings that layers read.

pub(crate) mod backward;
pub(crate) mod checkpoint;
pub(crate) mod deferred;
pub(crate) mod erased;
pub(crate) mod eval_shape;
pub(crate) mod gradients;
pub(crate) mod layer;
mod mode;
pub(crate) mod notes;
pub(crate) mod outputs;
pub(crate) mod random;
pub(crate) mod record;
pub(crate) mod repeat;
mod replay;
pub(crate) mod reuse;
pub(crate) mod rows;
pub(crate) mod var;

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::fmt::{self, Debug};
use std::panic::Location;

use crate::op::{Flow, Value};
use crate::params::param::{Buffer, Param};
use crate::tape::random::{Draw, Random};
use crate::tape::record::{
    Content, ErasedOp, IndexVar, Inputs, Kind, Mode, Node, Record, Tape, Var, next_recording,
};
use crate::tensor::indices::Indices;
use crate::tensor::pool::decayed;
use crate::{Float, Shape, ShapeError, Tensor};

/// # Recording
impl<F: Float> Tape<F> {
    /// Makes an empty tape that records for training, without a key for random numbers.
    pub fn new() -> Self {
        Self::with_mode(Mode::training(None))
    }

    /// Makes an empty tape for derivatives in evaluation mode: batch norms use their running statistics, and dropout
    /// changes nothing.
    pub fn evaluating() -> Self {
        Self::with_mode(Mode { training: false, ..Mode::training(None) })
    }

    pub(crate) fn with_mode(mode: Mode) -> Self {
        Self { record: RefCell::new(Record::new()), mode: Cell::new(mode) }
    }

    /// Adds a leaf that is not differentiated. The memory is shared with `value`.
    #[track_caller]
    pub fn constant(&self, value: &Tensor<F>) -> Var<'_, F> {
        self.leaf(value.clone(), false)
    }

    /// Adds a leaf that is differentiated. The memory is shared with `value`.
    #[track_caller]
    pub fn variable(&self, value: &Tensor<F>) -> Var<'_, F> {
        let var = self.leaf(value.clone(), true);
        self.record.borrow_mut().variables.push(var.id);
        var
    }

    /// Returns the variable of a parameter. All uses of the parameter share one leaf, so their
    /// gradients add up. A frozen parameter is a constant.
    #[track_caller]
    pub fn param(&self, param: &Param<F>) -> Var<'_, F> {
        let mut record = self.record.borrow_mut();
        // A model asks for its parameters in the same order at every step.
        let expected = record.cursor;
        let slot = match record.params.get(expected) {
            Some(slot) if slot.id == param.id() => expected,
            _ => record.slot(param.id()),
        };
        record.cursor = slot + 1;
        if let Some(id) = record.params[slot].bound {
            let generation = record.nodes[id as usize].generation;
            return Var { tape: self, id, generation };
        }
        drop(record);
        let tracked = self.mode.get().tracking && !param.is_frozen();
        let var = self.leaf(param.value().clone(), tracked);
        let record = &mut *self.record.borrow_mut();
        let slot = &mut record.params[slot];
        (slot.leaf, slot.bound) = (Some(var.id), Some(var.id));
        if let Some(repeat) = &mut record.repeat {
            repeat.params.push((param.id(), var.id));
        }
        var
    }

    /// Replaces a parameter by a variable in all later uses on this tape. A model then runs with
    /// computed weights and need not be copied.
    ///
    /// Derivatives flow to the values from which the variable was computed. If the parameter's own
    /// leaf is among them, its gradient is the whole derivative.
    ///
    /// ```
    /// use wengert_core::{Param, Tape, Tensor, grad};
    ///
    /// let weight = Param::new(Tensor::scalar(3.0));
    /// let tape = Tape::<f64>::new();
    /// let before = tape.param(&weight);
    /// // One step of gradient descent on weight^2, recorded.
    /// tape.bind(&weight, before - grad(before * before, &[before])[0] * 0.1);
    /// let after = tape.param(&weight);
    /// assert!((after.item() - 2.4).abs() < 1e-15);
    /// assert!((grad(after, &[before])[0].item() - 0.8).abs() < 1e-15);
    /// ```
    ///
    /// # Panics
    /// If the shapes differ.
    #[track_caller]
    pub fn bind(&self, param: &Param<F>, var: Var<'_, F>) {
        let id = var.on_tape(self);
        expect_same_shape("bind", param.value().shape(), Value::shape(&var));
        let record = &mut *self.record.borrow_mut();
        let slot = record.slot(param.id());
        let before = record.params[slot].bound.replace(id);
        record.rebound.push((slot, before));
    }

    /// Adds a leaf of indices, such as labels.
    #[track_caller]
    pub fn indices(&self, indices: impl Into<Indices>) -> IndexVar<'_, F> {
        let mut indices = indices.into();
        self.note_input(&mut indices);
        let content = Content::Shape(indices.shape());
        let place = push(&mut self.record.borrow_mut().indices, indices);
        let id = self.push(content, Kind::Indices(place), Inputs::new(), false);
        self.index_handle(id)
    }

    /// Adds a leaf of random numbers, which is not differentiated.
    ///
    /// The numbers depend on the tape's key and on how many draws the tape made before. A recording draws
    /// the same numbers whenever it runs with the same key, and other numbers with another key. No two draws of a
    /// tape are the same, also not in [`temporarily`](Self::temporarily).
    ///
    /// ```
    /// use wengert_core::{Random, seeded};
    ///
    /// let draw = |key| seeded::<f64>(key).evaluate(|tape| tape.random([3], Random::Normal));
    /// assert_eq!(draw(7), draw(7));
    /// assert_ne!(draw(7), draw(8));
    /// ```
    ///
    /// # Panics
    /// If the tape has no key; see [`seeded`](crate::seeded).
    #[track_caller]
    pub fn random(&self, shape: impl Into<Shape>, distribution: Random) -> Var<'_, F> {
        let shape = shape.into();
        if self.infers() {
            return self.placeholder(shape);
        }
        let Some(key) = self.seed() else {
            panic!(
                "random: this tape has no key to draw from; record with \
                 `seeded(key).gradients(..)`, another key for each step"
            );
        };
        let record = &mut *self.record.borrow_mut();
        let draw = Draw { distribution, number: record.next_draw };
        record.next_draw += 1;
        let kind = Kind::Random(push(&mut record.randoms, draw));
        let content = Content::Value(draw.numbers(shape, key));
        let location = record.location(Location::caller());
        let id = record.push_leaf(content, kind, false, location);
        Var { tape: self, id, generation: record.generation }
    }

    /// Records the new value of a buffer. The gradients carry this value, and `Optimizer::step`
    /// stores it in the buffer.
    ///
    /// # Panics
    /// If the shape differs from the buffer's.
    #[track_caller]
    pub fn update_buffer(&self, buffer: &Buffer<F>, value: Var<'_, F>) {
        let id = value.on_tape(self);
        expect_same_shape("update_buffer", buffer.value().shape(), Value::shape(&value));
        self.record.borrow_mut().updates.push((buffer.id(), id));
    }

    /// Returns whether layers behave as in training: batch norms use the statistics of the batch,
    /// dropout drops.
    pub fn is_training(&self) -> bool {
        self.mode.get().training
    }

    /// Returns the key of the random leaves, if the tape has one; see [`Tape::random`].
    pub fn seed(&self) -> Option<u64> {
        self.mode.get().seed
    }

    /// Returns the number of nodes recorded so far.
    pub fn len(&self) -> usize {
        self.record.borrow().nodes.len()
    }

    /// Returns whether nothing is recorded.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Drops what is recorded and keeps the memory for the next recording: as much as short recordings need, or
    /// twice what recent ones needed. One long recording leaves nothing behind.
    pub(crate) fn clear(&mut self) {
        const KEPT: usize = 1 << 14;
        let record = self.record.get_mut();
        let len = record.nodes.len();
        record.nodes.clear();
        record.variables.clear();
        record.indices.clear();
        record.randoms.clear();
        record.updates.clear();
        record.cotangents.clear();
        record.rebound.clear();
        record.readers.clear();
        record.checkpoints.clear();
        record.layers.clear();
        record.repeat = None;
        record.origin = None;
        record.cursor = 0;
        record.next_draw = 0;
        record.recording = next_recording();
        // A parameter that this recording did not meet is forgotten.
        record.params.retain_mut(|slot| {
            slot.leaf = None;
            slot.bound.take().is_some()
        });
        record.keep_memory_for(KEPT.max(2 * record.recent_len));
        record.recent_len = decayed(record.recent_len, len);
    }

    #[track_caller]
    pub(crate) fn leaf(&self, value: Tensor<F>, tracked: bool) -> Var<'_, F> {
        self.leaf_at(value, tracked, Location::caller())
    }

    /// Adds a leaf that is ascribed to this line.
    pub(crate) fn leaf_at(
        &self,
        value: Tensor<F>,
        tracked: bool,
        line: &'static Location<'static>,
    ) -> Var<'_, F> {
        let record = &mut *self.record.borrow_mut();
        let location = record.location(line);
        let id = record.push_leaf(Content::Value(value), Kind::Leaf, tracked, location);
        Var { tape: self, id, generation: record.generation }
    }

    #[track_caller]
    pub(crate) fn push(
        &self,
        content: Content<F>,
        kind: Kind,
        inputs: Inputs,
        tracked: bool,
    ) -> u32 {
        let record = &mut *self.record.borrow_mut();
        let location = record.location(Location::caller());
        let generation = record.generation;
        record.push(Node { content, kind, inputs, tracked, generation, location })
    }

    /// Applies an operation to nodes and records it.
    #[track_caller]
    pub(crate) fn apply(&self, op: impl ErasedOp<F>, inputs: Inputs) -> Var<'_, F> {
        self.record.borrow_mut().place(op);
        self.apply_placed(inputs)
    }

    /// Applies the operation that was placed last. Unlike [`apply`](Self::apply), it is not compiled for each operation.
    #[track_caller]
    fn apply_placed(&self, inputs: Inputs) -> Var<'_, F> {
        let defers = !self.mode.get().tracking;
        let recorded = self.record.borrow_mut().apply_placed(inputs, defers, Location::caller());
        match recorded {
            Ok((id, generation)) => Var { tape: self, id, generation },
            Err(Refusal::Shape(mistake)) => mistake.raise(),
            Err(Refusal::NoDerivative(op)) => {
                panic!("{op}: has no derivative, and was applied to a value that needs one")
            }
        }
    }

    /// The variable of a node.
    pub(crate) fn handle(&self, id: u32) -> Var<'_, F> {
        Var { tape: self, id, generation: self.record.borrow().nodes[id as usize].generation }
    }

    /// The handle of a node that holds indices.
    pub(crate) fn index_handle(&self, id: u32) -> IndexVar<'_, F> {
        let Var { tape, id, generation } = self.handle(id);
        IndexVar { tape, id, generation }
    }
}

/// The reason why an operation is not recorded. It is raised at the caller's line, when the record is no
/// longer borrowed.
enum Refusal {
    Shape(ShapeError),
    /// The operation of this name.
    NoDerivative(String),
}

impl<F: Float> Record<F> {
    /// Adds a leaf.
    fn push_leaf(
        &mut self,
        content: Content<F>,
        kind: Kind,
        tracked: bool,
        location: &'static Location<'static>,
    ) -> u32 {
        let generation = self.generation;
        self.push(Node { content, kind, inputs: Inputs::new(), tracked, generation, location })
    }

    /// Whether a node of this number and generation is on the tape.
    #[inline]
    pub(crate) fn holds(&self, id: u32, generation: u32) -> bool {
        self.nodes.get(id as usize).is_some_and(|node| node.generation == generation)
    }

    /// Gives back the memory of all but this number of nodes.
    fn keep_memory_for(&mut self, nodes: usize) {
        self.ops.truncate(nodes);
        self.ops.shrink_to(nodes);
        self.nodes.shrink_to(nodes);
        self.cotangents.shrink_to(nodes);
        self.readers.shrink_to(nodes);
        self.variables.shrink_to(nodes);
        self.indices.shrink_to(nodes);
        self.randoms.shrink_to(nodes);
        self.updates.shrink_to(nodes);
        self.rebound.shrink_to(nodes);
        self.checkpoints.shrink_to(nodes);
        self.params.shrink_to(nodes);
    }

    /// Adds the node of the operation that was placed, with its value; or with its shape alone on a tape that
    /// infers shapes, and if the value is deferred. Returns the node's number and generation.
    fn apply_placed(
        &mut self,
        inputs: Inputs,
        defers: bool,
        caller: &'static Location<'static>,
    ) -> Result<(u32, u32), Refusal> {
        let needed = inputs.iter().any(|&id| self.nodes[id as usize].tracked);
        if needed && defers {
            // A derivative will read the inputs.
            self.compute_deferred(&inputs, Record::<F>::NONE_DEAD);
        }
        let (op, view) = (self.op(self.nodes.len()), self.view());
        let (values, index) = view.split(&inputs);
        let content = op.shape(&view.shapes(values), index).and_then(|shape| {
            if self.infers() {
                Ok(Content::Shape(shape))
            } else if defers && !needed {
                Ok(Content::Deferred { shape, again: false })
            } else {
                op.forward(&view.values(values), index, shape).map(Content::Value)
            }
        });
        let content = match content {
            Ok(content) => content,
            Err(mistake) => {
                let mistake = mistake.in_operation(&op.name()).in_layers(&self.layers);
                return Err(Refusal::Shape(mistake));
            }
        };
        let flow = op.flow();
        if needed && flow == Flow::Missing {
            return Err(Refusal::NoDerivative(op.name()));
        }
        let (location, generation) = (self.location(caller), self.generation);
        let tracked = needed && flow == Flow::Through;
        let node = Node { content, kind: Kind::Op, inputs, tracked, generation, location };
        Ok((self.push(node), generation))
    }

    /// Stores the operation of the next node: in the box of the last recording if the type is the same,
    /// else in a new one.
    fn place<O: ErasedOp<F>>(&mut self, op: O) {
        if let Some(old) = self.next_op()
            && let Some(old) = (&mut **old as &mut dyn Any).downcast_mut::<O>()
        {
            *old = op;
        } else {
            self.place_new(Box::new(op));
        }
    }

    #[inline(never)] // Not compiled for each operation.
    fn place_new(&mut self, op: Box<dyn ErasedOp<F>>) {
        *self.next_op() = Some(op);
    }

    /// The place of the next node's operation.
    #[inline(never)]
    fn next_op(&mut self) -> &mut Option<Box<dyn ErasedOp<F>>> {
        let at = self.nodes.len();
        if self.ops.len() <= at {
            self.ops.resize_with(at + 1, || None);
        }
        &mut self.ops[at]
    }
}

impl<F: Float> Default for Tape<F> {
    fn default() -> Self {
        Self::new()
    }
}

impl<F: Float> Debug for Tape<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tape of {} nodes, {}, {:?}", self.len(), F::NAME, self.mode.get())
    }
}

impl<'t, F: Float> Var<'t, F> {
    /// The number of the node.
    ///
    /// # Panics
    /// If the variable is on another tape, or its node was dropped.
    #[track_caller]
    pub(crate) fn on_tape(self, tape: &Tape<F>) -> u32 {
        self.number(tape, &tape.record.borrow())
    }

    /// The number of the node on a tape whose record is borrowed.
    #[inline]
    #[track_caller]
    fn number(self, tape: &Tape<F>, record: &Record<F>) -> u32 {
        assert!(std::ptr::eq(self.tape, tape), "variables of two tapes do not mix");
        let present = record.holds(self.id, self.generation);
        assert!(present, "this variable was dropped at the end of `temporarily`");
        self.id
    }

    /// The numbers of the nodes that this one was computed from.
    pub(crate) fn inputs(self) -> Inputs {
        self.tape.record.borrow().nodes[self.id as usize].inputs.clone()
    }
}

impl<'t, F: Float> IndexVar<'t, F> {
    /// The number of the node.
    ///
    /// # Panics
    /// If the indices are on another tape, or their node was dropped.
    #[track_caller]
    pub(crate) fn on_tape(self, tape: &Tape<F>) -> u32 {
        assert!(std::ptr::eq(self.tape, tape), "variables and indices of two tapes do not mix");
        let present = tape.record.borrow().holds(self.id, self.generation);
        assert!(present, "these indices were dropped at the end of `temporarily`");
        self.id
    }
}

/// Appends to a list and returns the place of the new element.
fn push<T>(list: &mut Vec<T>, element: T) -> u32 {
    list.push(element);
    list.len() as u32 - 1
}

#[track_caller]
fn expect_same_shape(function: &str, expected: Shape, found: Shape) {
    assert!(expected == found, "{function}: expected shape {expected:?}, found {found:?}");
}
