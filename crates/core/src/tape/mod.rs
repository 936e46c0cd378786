//! The tape: a list of operations in the order in which they were applied, and their values.

pub(crate) mod backward;
pub(crate) mod checkpoint;
pub(crate) mod erased;
pub(crate) mod eval_shape;
pub(crate) mod random;
mod replay;
pub(crate) mod reuse;
pub(crate) mod var;

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::fmt::{self, Debug};
use std::panic::Location;

use smallvec::SmallVec;

use crate::op::{Flow, Value};
use crate::tape::checkpoint::Checkpoint;
use crate::tape::erased::{ErasedOp, TapeView};
use crate::tape::eval_shape::Inferred;
use crate::{Buffer, Float, Indices, Param, ParamId, Random, Tensor};

/// A Wengert list: what was computed, in order. Variables are handles into it.
///
/// [`gradients`](crate::gradients) makes one for a training step and reuses it for the next.
pub struct Tape<F: Float> {
    pub(crate) record: RefCell<Record<F>>,
    pub(crate) setting: Cell<Mode>,
}

/// What a layer may ask of the tape that it is recorded on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mode {
    /// Whether parameters are differentiated.
    pub(crate) tracking: bool,
    /// Whether layers behave as in training.
    pub(crate) training: bool,
    /// The key that random layers draw from, if there is one.
    pub(crate) seed: Option<u64>,
}

/// The contents of a tape.
pub(crate) struct Record<F: Float> {
    pub(crate) nodes: Vec<Node<F>>,
    /// The operation of each node. Kept when the tape is cleared, so that the next recording of the
    /// same operation at the same place needs no allocation.
    pub(crate) ops: Vec<Option<Box<dyn ErasedOp<F>>>>,
    /// The parameters met so far, in the order of the last recording, with their leaf in this one.
    pub(crate) params: Vec<ParamSlot>,
    /// Where the next parameter is expected in `params`.
    cursor: usize,
    pub(crate) variables: Vec<u32>,
    /// The indices that leaves refer to.
    pub(crate) indices: Vec<Indices>,
    /// What random leaves were drawn from.
    pub(crate) randoms: Vec<Random>,
    pub(crate) updates: Vec<(ParamId, u32)>,
    /// The gathered cotangents of a first-order sweep.
    pub(crate) cotangents: Vec<Option<Tensor<F>>>,
    /// How often nodes have been dropped, so that their numbers may come again.
    pub(crate) generation: u32,
    /// The checkpointed stretches, in the order in which they end.
    pub(crate) segments: Vec<Checkpoint>,
    /// Where in the model the recording is, for messages.
    places: Vec<Place>,
    /// While a sweep is recorded: the line of the operation that is being differentiated.
    pub(crate) origin: Option<&'static Location<'static>>,
    /// On a tape that only infers shapes: what it finds.
    pub(crate) outline: Option<Box<Inferred>>,
}

/// A parameter as a tape knows it.
#[derive(Debug)]
pub(crate) struct ParamSlot {
    pub(crate) id: ParamId,
    /// Its leaf, where its gradient arrives.
    pub(crate) leaf: Option<u32>,
    /// The node that it means: its leaf, or what it was bound to.
    pub(crate) bound: Option<u32>,
}

/// A part of a model: its name, and its number if it is one of a list.
type Place = (&'static str, Option<usize>);

pub(crate) struct Node<F: Float> {
    /// `None` where the value was released, and for indices.
    pub(crate) value: Option<Tensor<F>>,
    pub(crate) kind: Kind,
    pub(crate) inputs: Inputs,
    /// Whether a derivative towards this node may be asked for.
    pub(crate) tracked: bool,
    /// That of the tape when the node was made; a variable of another one is stale.
    pub(crate) generation: u32,
    pub(crate) location: &'static Location<'static>,
}

pub(crate) type Inputs = SmallVec<[u32; 4]>;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// A value from outside.
    Leaf,
    /// Positions from outside, by their place in the record's list: they are too large to be carried
    /// by every node.
    Indices(u32),
    /// Random numbers, by their place in the record's list.
    Random(u32),
    Op,
}

/// A value on a tape: `Copy`, a reference and an index.
pub struct Var<'t, F: Float> {
    pub(crate) tape: &'t Tape<F>,
    pub(crate) id: u32,
    pub(crate) generation: u32,
}

/// Positions on a tape, as a leaf of their own.
#[derive(Debug)]
pub struct IndexVar<'t, F: Float> {
    pub(crate) tape: &'t Tape<F>,
    pub(crate) id: u32,
}

impl<F: Float> Tape<F> {
    /// An empty tape that records for training, without a key to draw from.
    pub fn new() -> Self {
        Self::with_mode(Mode { tracking: true, training: true, seed: None })
    }

    /// An empty tape on which layers evaluate, and that can be differentiated all the same: batch norms
    /// use what they remember, dropout lets everything pass.
    pub fn evaluating() -> Self {
        Self::with_mode(Mode { tracking: true, training: false, seed: None })
    }

    pub(crate) fn with_mode(setting: Mode) -> Self {
        let record = Record {
            nodes: Vec::new(),
            ops: Vec::new(),
            params: Vec::new(),
            cursor: 0,
            variables: Vec::new(),
            indices: Vec::new(),
            randoms: Vec::new(),
            updates: Vec::new(),
            cotangents: Vec::new(),
            generation: 0,
            segments: Vec::new(),
            places: Vec::new(),
            origin: None,
            outline: None,
        };
        Self { record: RefCell::new(record), setting: Cell::new(setting) }
    }

    /// A leaf that is not differentiated. The memory is shared.
    #[track_caller]
    pub fn constant(&self, value: &Tensor<F>) -> Var<'_, F> {
        self.leaf(value.clone(), false)
    }

    /// A leaf that is differentiated. The memory is shared.
    #[track_caller]
    pub fn variable(&self, value: &Tensor<F>) -> Var<'_, F> {
        let var = self.leaf(value.clone(), true);
        self.record.borrow_mut().variables.push(var.id);
        var
    }

    /// The leaf of a parameter: the same one each time, so that its uses add up. A frozen parameter
    /// is a constant.
    #[track_caller]
    pub fn param(&self, param: &Param<F>) -> Var<'_, F> {
        let id = param.id();
        let mut record = self.record.borrow_mut();
        let Record { params, cursor, .. } = &mut *record;
        if params.get(*cursor).is_none_or(|expected| expected.id != id) {
            *cursor = place_of(params, id);
        }
        let place = *cursor;
        *cursor += 1;
        if let Some(id) = params[place].bound {
            drop(record);
            return self.handle(id);
        }
        drop(record);
        let tracked = self.setting.get().tracking && !param.is_frozen();
        let var = self.leaf(param.value().clone(), tracked);
        let known = &mut self.record.borrow_mut().params[place];
        (known.leaf, known.bound) = (Some(var.id), Some(var.id));
        var
    }

    /// From here on the parameter means that variable on this tape: a model runs with other weights,
    /// which themselves were computed, without a copy of it. Derivatives flow to what they were computed
    /// from; where that is the parameter as it was before, its gradient is the whole derivative.
    ///
    /// # Panics
    /// If the shapes differ.
    #[track_caller]
    pub fn bind(&self, param: &Param<F>, var: Var<'_, F>) {
        let (own, given) = (param.value().shape(), Value::shape(&var));
        assert!(own == given, "bind: a parameter of shape {own:?} was handed {given:?}");
        let (node, params) = (var.on_tape(self), &mut self.record.borrow_mut().params);
        let place = place_of(params, param.id());
        params[place].bound = Some(node);
    }

    /// A leaf of indices, such as labels.
    #[track_caller]
    pub fn indices(&self, indices: impl Into<Indices>) -> IndexVar<'_, F> {
        let place = {
            let list = &mut self.record.borrow_mut().indices;
            list.push(indices.into());
            list.len() as u32 - 1
        };
        IndexVar { tape: self, id: self.push(None, Kind::Indices(place), Inputs::new(), false) }
    }

    /// Records a buffer's new value. It leaves the tape with the gradients, and an optimizer's step
    /// puts it in place.
    ///
    /// # Panics
    /// If the shape is another than the buffer's.
    #[track_caller]
    pub fn update_buffer(&self, buffer: &Buffer<F>, value: Var<'_, F>) {
        let (old, new) = (buffer.value().shape(), Value::shape(&value));
        assert!(old == new, "update_buffer: a buffer of shape {old:?} was handed {new:?}");
        let id = value.on_tape(self);
        self.record.borrow_mut().updates.push((buffer.id(), id));
    }

    /// Whether layers are to behave as in training.
    pub fn is_training(&self) -> bool {
        self.setting.get().training
    }

    /// The key that random layers draw from, together with their own place on the tape; see
    /// [`Tape::random`].
    pub fn seed(&self) -> Option<u64> {
        self.setting.get().seed
    }

    /// Runs `f` as a part of the model: a shape mistake inside says so, `in layers.2`. For containers
    /// that call their parts through `dyn`, where the caller's line is lost.
    pub fn within<R>(&self, name: &'static str, number: Option<usize>, f: impl FnOnce() -> R) -> R {
        self.record.borrow_mut().places.push((name, number));
        let result = f();
        self.record.borrow_mut().places.pop();
        result
    }

    /// Number of nodes recorded so far.
    pub fn len(&self) -> usize {
        self.record.borrow().nodes.len()
    }

    /// Whether nothing is recorded.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets what is recorded and keeps the memory of it.
    pub(crate) fn clear(&mut self) {
        /// A longer tape than this is not kept: it would hold its memory for nothing.
        const KEPT: usize = 1 << 14;
        let record = self.record.get_mut();
        record.nodes.clear();
        record.variables.clear();
        record.indices.clear();
        record.randoms.clear();
        record.updates.clear();
        record.cotangents.clear();
        record.segments.clear();
        record.places.clear();
        record.origin = None;
        record.cursor = 0;
        record.params.retain_mut(|known| {
            known.leaf = None;
            known.bound.take().is_some()
        });
        if record.ops.len() > KEPT {
            record.ops = Vec::new();
            record.nodes = Vec::new();
            record.cotangents = Vec::new();
        }
    }

    #[track_caller]
    pub(crate) fn leaf(&self, value: Tensor<F>, tracked: bool) -> Var<'_, F> {
        self.handle(self.push(Some(value), Kind::Leaf, Inputs::new(), tracked))
    }

    #[track_caller]
    pub(crate) fn push(
        &self,
        value: Option<Tensor<F>>,
        kind: Kind,
        inputs: Inputs,
        tracked: bool,
    ) -> u32 {
        let record = &mut *self.record.borrow_mut();
        let location = record.location(Location::caller());
        let generation = record.generation;
        record.push(Node { value, kind, inputs, tracked, generation, location })
    }

    /// Applies an operation and records it.
    #[track_caller]
    pub(crate) fn apply<R: ErasedOp<F>>(&self, op: R, inputs: Inputs) -> Var<'_, F> {
        let mut guard = self.record.borrow_mut();
        let record = &mut *guard;
        let out = match op.shape(record.seen(), &inputs) {
            Ok(out) => out,
            Err(error) => {
                let error =
                    error.in_operation(&op.name()).within(&std::mem::take(&mut record.places));
                drop(guard);
                crate::shape::shape_panic(error);
            }
        };
        let needed = inputs.iter().any(|&input| record.nodes[input as usize].tracked);
        let flow = op.flow();
        if needed && flow == Flow::Missing {
            drop(guard);
            panic!("{}: has no derivative, and was applied to a value that needs one", op.name());
        }
        let tracked = needed && flow == Flow::Through;
        let location = record.location(Location::caller());
        let value = record.value_of(&op, &inputs, out);
        record.place(op);
        let (kind, generation) = (Kind::Op, record.generation);
        let id = record.push(Node { value, kind, inputs, tracked, generation, location });
        Var { tape: self, id, generation: record.generation }
    }

    /// The variable of a node.
    pub(crate) fn handle(&self, id: u32) -> Var<'_, F> {
        Var { tape: self, id, generation: self.record.borrow().nodes[id as usize].generation }
    }
}

/// The place of a parameter among those known; a new one comes last.
fn place_of(params: &mut Vec<ParamSlot>, id: ParamId) -> usize {
    params.iter().position(|known| known.id == id).unwrap_or_else(|| {
        params.push(ParamSlot { id, leaf: None, bound: None });
        params.len() - 1
    })
}

impl<F: Float> Default for Tape<F> {
    fn default() -> Self {
        Self::new()
    }
}

impl<F: Float> Debug for Tape<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tape of {} nodes, {}, {:?}", self.len(), F::NAME, self.setting.get())
    }
}

impl<F: Float> Record<F> {
    pub(crate) fn push(&mut self, node: Node<F>) -> u32 {
        let id = u32::try_from(self.nodes.len()).expect("fewer than 2^32 nodes on a tape");
        if let Some(outline) = &mut self.outline {
            outline.leaf(id, &node);
        }
        self.nodes.push(node);
        id
    }

    /// Where a node comes from: `caller`, or while a sweep is recorded the line of the operation
    /// that is being differentiated.
    fn location(&self, caller: &'static Location<'static>) -> &'static Location<'static> {
        self.origin.unwrap_or(caller)
    }

    /// Puts the operation of the next node in its place: into the box that is there from the last
    /// recording if the type is the same, into a new one if not.
    fn place<R: ErasedOp<F>>(&mut self, op: R) {
        let at = self.nodes.len();
        if self.ops.len() <= at {
            self.ops.resize_with(at + 1, || None);
        }
        match self.ops[at].as_deref_mut().and_then(|old| (old as &mut dyn Any).downcast_mut::<R>())
        {
            Some(old) => *old = op,
            None => self.ops[at] = Some(Box::new(op)),
        }
    }

    pub(crate) fn seen(&self) -> TapeView<'_, F> {
        let shapes = self.outline.as_ref().map_or(&[][..], |outline| &outline.shapes);
        TapeView { nodes: &self.nodes, indices: &self.indices, shapes }
    }

    pub(crate) fn op(&self, id: usize) -> &dyn ErasedOp<F> {
        self.ops[id].as_deref().expect("an operation")
    }
}

impl<F: Float> Node<F> {
    #[track_caller]
    pub(crate) fn value(&self) -> &Tensor<F> {
        let gone = "this value was released, inside a checkpoint; or its tape infers shapes only";
        self.value.as_ref().expect(gone)
    }
}

impl<F: Float> Clone for Var<'_, F> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<F: Float> Copy for Var<'_, F> {}

impl<F: Float> Clone for IndexVar<'_, F> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<F: Float> Copy for IndexVar<'_, F> {}

impl<'t, F: Float> Var<'t, F> {
    /// The number of this node, if it belongs to `tape` and is still there.
    #[track_caller]
    pub(crate) fn on_tape(self, tape: &Tape<F>) -> u32 {
        assert!(std::ptr::eq(self.tape, tape), "variables of two tapes do not mix");
        let record = tape.record.borrow();
        let node = record.nodes.get(self.id as usize);
        let known = node.is_some_and(|node| node.generation == self.generation);
        assert!(known, "this variable was dropped at the end of its scope");
        self.id
    }

    /// The numbers of the nodes that this one was computed from.
    pub(crate) fn inputs(self) -> Inputs {
        self.tape.record.borrow().nodes[self.id as usize].inputs.clone()
    }
}
