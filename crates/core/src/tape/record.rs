//! The data of a tape: nodes, the operations that made them, and the handles into them.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::fmt::{self, Debug};
use std::ops::Range;
use std::panic::Location;
use std::sync::atomic::{AtomicU64, Ordering};

use smallvec::SmallVec;

use crate::op::{Cotangent, Flow, Instruction};
use crate::params::param::ParamId;
use crate::tape::notes::Repeat;
use crate::tape::random::Draw;
use crate::tensor::indices::Indices;
use crate::tensor::pool;
use crate::{Float, Shape, ShapeError, Tensor};

/// A Wengert list: the operations that were applied, in order, with their values.
///
/// [`gradients`](crate::gradients) makes a tape for a training step and reuses its memory for the next.
/// Make one with [`new`](Self::new) to differentiate with respect to tensors that are not parameters.
/// [`variable`](Self::variable), [`constant`](Self::constant) and [`param`](Self::param) add leaves, the methods of
/// variables add operations, [`Var::backward`] and [`grad`](crate::grad()) compute derivatives.
///
/// ```
/// use wengert_core::{Tape, Tensor, UnaryOps, grad};
///
/// let tape = Tape::<f64>::new();
/// let x = tape.variable(&Tensor::scalar(2.0));
/// let y = x * x.exp();
/// assert_eq!(tape.len(), 3);
/// let slope = grad(y, &[x])[0];
/// assert!((slope.item() - 3.0 * 2f64.exp()).abs() < 1e-12);
/// ```
pub struct Tape<F: Float> {
    pub(crate) record: RefCell<Record<F>>,
    pub(crate) mode: Cell<Mode>,
}

/// A value on a tape: a reference to the tape and the number of a node. It is `Copy`, so that expressions read like
/// mathematics.
///
/// A variable has the shape, operators and methods of a [`Tensor`]; applying one computes the value and
/// records the operation.
///
/// ```
/// use wengert_core::{ReduceOps, Tape, Tensor, UnaryOps};
///
/// let tape = Tape::<f64>::new();
/// let x = tape.variable(&Tensor::from([1.0, 2.0, 3.0]));
/// let loss = (2.0 * x + 1.0).square().sum();
/// assert_eq!(loss.item(), 83.0);
/// assert_eq!(loss.backward().wrt(x).unwrap().to_vec(), [12.0, 20.0, 28.0]);
/// ```
pub struct Var<'t, F: Float> {
    pub(crate) tape: &'t Tape<F>,
    pub(crate) id: u32,
    /// Generation of the tape in which the node was made: tells a dropped node from its successor.
    pub(crate) generation: u32,
}

/// [`Indices`] on a tape, such as labels.
#[derive(Debug)]
pub struct IndexVar<'t, F: Float> {
    pub(crate) tape: &'t Tape<F>,
    pub(crate) id: u32,
    /// Generation of the tape in which the node was made, as in [`Var`].
    pub(crate) generation: u32,
}

/// Settings of a tape that layers may ask for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mode {
    /// Whether parameters are differentiated. If not, values are deferred: see `tape/deferred.rs`.
    pub(crate) tracking: bool,
    /// Whether layers behave as in training.
    pub(crate) training: bool,
    /// Whether the values inside of checkpoints stay, so that all can be inspected.
    pub(crate) keeps_all: bool,
    /// Key of the random leaves.
    pub(crate) seed: Option<u64>,
}

impl Mode {
    pub(crate) fn training(seed: Option<u64>) -> Self {
        Self { tracking: true, training: true, keeps_all: false, seed }
    }

    pub(crate) fn evaluation(seed: Option<u64>) -> Self {
        Self { tracking: false, training: false, keeps_all: false, seed }
    }

    /// Whether checkpoints release their values. Where values are deferred, they are released anyway.
    pub(crate) fn releases(self) -> bool {
        self.tracking && !self.keeps_all
    }
}

/// The contents of a tape.
pub(crate) struct Record<F: Float> {
    pub(crate) nodes: Vec<Node<F>>,
    /// The operation of each node. Kept when the tape is cleared, so that the next recording of the
    /// same operation in the same place allocates nothing.
    pub(crate) ops: Vec<Option<Box<dyn ErasedOp<F>>>>,
    /// Parameters in the order of the last recording.
    pub(crate) params: Vec<ParamSlot>,
    /// Where the next parameter is expected in `params`.
    pub(crate) cursor: usize,
    /// Leaves made by `tape.variable`.
    pub(crate) variables: Vec<u32>,
    pub(crate) indices: Vec<Indices>,
    pub(crate) randoms: Vec<Draw>,
    /// Number of the next draw. Never wound back, so that no draw comes again on this tape.
    pub(crate) next_draw: u64,
    /// New values of buffers: the buffer, and the node that holds the value.
    pub(crate) updates: Vec<(ParamId, u32)>,
    /// Memory of a first-order sweep.
    pub(crate) cotangents: Vec<Option<Tensor<F>>>,
    /// Bindings that `bind` replaced, oldest first: the place in `params`, and the node before. The end of
    /// `temporarily` restores them.
    pub(crate) rebound: Vec<(usize, Option<u32>)>,
    /// Memory of `compute_deferred`: what is known of the readers of each node; empty entries between calls.
    pub(crate) readers: Vec<Readers>,
    /// Counts how often nodes were dropped, so that their numbers may come again.
    pub(crate) generation: u32,
    /// Number of this recording, unique in the process: tells the gradients of other tapes apart.
    pub(crate) recording: u64,
    /// Length of the longest of recent recordings, which decides how much memory is kept.
    pub(crate) recent_len: usize,
    /// Checkpointed stretches in the order in which they end.
    pub(crate) checkpoints: Vec<Checkpoint>,
    /// Layers that have begun and not ended, outermost first.
    pub(crate) layers: Vec<LayerName>,
    /// While a sweep is recorded: the line of the operation that is being differentiated.
    pub(crate) origin: Option<&'static Location<'static>>,
    /// Present on a tape that infers shapes and computes no values, and on one that is profiled or checked.
    pub(crate) trace: Option<Box<Trace>>,
    /// Present on a tape that a program records, to run it again.
    pub(crate) repeat: Option<Box<Repeat>>,
}

/// A parameter on a tape.
#[derive(Debug)]
pub(crate) struct ParamSlot {
    pub(crate) id: ParamId,
    /// The leaf at which the gradient arrives.
    pub(crate) leaf: Option<u32>,
    /// The node that stands for the parameter: the leaf, or the node it was bound to.
    pub(crate) bound: Option<u32>,
}

/// An entry of the tape.
pub(crate) struct Node<F: Float> {
    pub(crate) content: Content<F>,
    pub(crate) kind: Kind,
    pub(crate) inputs: Inputs,
    /// Whether a derivative with respect to this node may be asked for.
    pub(crate) tracked: bool,
    pub(crate) generation: u32,
    /// The user's line.
    pub(crate) location: &'static Location<'static>,
}

/// Numbers of the nodes that an operation reads.
pub(crate) type Inputs = SmallVec<[u32; 4]>;

/// The value or the shape of a node.
pub(crate) enum Content<F: Float> {
    Value(Tensor<F>),
    /// The shape alone: on a tape that infers shapes, and for indices, which have a separate list.
    Shape(Shape),
    /// The shape of a value that is computed when it is read. `again` tells that it was computed before and
    /// dropped.
    Deferred {
        shape: Shape,
        again: bool,
    },
    /// Nothing: the value lies inside a checkpoint, or a sweep has passed it.
    Released,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// A value from outside.
    Leaf,
    /// Indices from outside, by their place in `Record::indices`.
    Indices(u32),
    /// Random numbers, by their place in `Record::randoms`.
    Random(u32),
    Op,
}

/// A stretch of nodes without their values; a sweep computes them again when it gets there.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Checkpoint {
    pub(crate) nodes: Range<u32>,
    /// The nodes whose values stay.
    pub(crate) outputs: Inputs,
    /// The number of nodes when a recorded derivative made the values stay. Nodes from this number on read
    /// them.
    pub(crate) held_from: Option<u32>,
}

/// What `compute_deferred` knows of a node.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Readers {
    /// Number of operations that will read the value.
    pub(crate) count: u32,
    /// Whether the value was computed in this call and never before.
    pub(crate) fresh: bool,
}

/// The name of a layer: its kind, or its place in the layer around it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LayerName {
    /// Kind of the layer, such as `"Linear"`.
    Kind(&'static str),
    /// Place in a container, from 0.
    Index(usize),
    /// Name of the field of the model that holds the layer.
    Field(&'static str),
}

/// The layers and inputs that a tape records when it infers shapes, and when it is profiled or checked.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    /// Whether the tape computes values, and does not only infer shapes.
    pub(crate) computes: bool,
    pub(crate) layers: Vec<LayerMark>,
    /// Layers of these that have begun and not ended.
    pub(crate) open: usize,
    /// Number of elements of all placeholders.
    pub(crate) inputs: usize,
}

/// A layer and its nodes.
#[derive(Debug)]
pub(crate) struct LayerMark {
    pub(crate) kind: &'static str,
    pub(crate) place: Option<LayerName>,
    pub(crate) depth: usize,
    pub(crate) nodes: Range<usize>,
    /// The node that the layer returns, if it is not the last.
    pub(crate) output: Option<u32>,
}

/// The parts of the tape that an operation reads.
#[derive(Clone, Copy)]
pub(crate) struct TapeView<'a, F: Float> {
    pub(crate) nodes: &'a [Node<F>],
    pub(crate) indices: &'a [Indices],
}

/// An operation of any kind, in precision `F`, with its type erased: the values that it reads come as a
/// slice, the indices beside it.
pub(crate) trait ErasedOp<F: Float>: Any + Debug + Send + Sync {
    fn name(&self) -> String;
    fn flow(&self) -> Flow;
    /// Shape of the value, or the mistake in the shapes of the inputs.
    fn shape(&self, x: &[&Shape], index: Option<&Indices>) -> Result<Shape, ShapeError>;
    /// The value, whose shape is known to be `out`; an error if the operation computes another.
    fn forward(
        &self,
        x: &[&Tensor<F>],
        index: Option<&Indices>,
        out: Shape,
    ) -> Result<Tensor<F>, ShapeError>;
    /// The operation on slices, if it has a form for these shapes; see [`Op::instruction`](crate::Op::instruction).
    fn instruction(&self, x: &[&Shape], out: Shape) -> Option<Box<dyn Instruction<F>>>;
    fn multiply_adds(&self, x: &[&Shape], out: Shape) -> u64;
    /// Whether of its value the operation reads only the slices along the first axis that its indices name.
    fn reads_rows(&self) -> bool {
        false
    }
    /// Gathers the cotangent of input `i`.
    fn vjp_into(
        &self,
        i: usize,
        x: &[&Tensor<F>],
        index: Option<&Indices>,
        y: &Tensor<F>,
        g: &Tensor<F>,
        into: Cotangent<'_, F>,
    );
    /// Records the cotangent of input `i`.
    fn vjp<'t>(
        &self,
        i: usize,
        x: &[&Var<'t, F>],
        index: Option<&IndexVar<'t, F>>,
        y: &Var<'t, F>,
        g: &Var<'t, F>,
    ) -> Var<'t, F>;
    fn boxed(&self) -> Box<dyn ErasedOp<F>>;
    fn in_f64(&self) -> Box<dyn ErasedOp<f64>>;
}

impl<F: Float> dyn ErasedOp<F> {
    /// The value, or the mistake in the shapes.
    pub(crate) fn compute(
        &self,
        x: &[&Tensor<F>],
        index: Option<&Indices>,
    ) -> Result<Tensor<F>, ShapeError> {
        let shapes = x.iter().map(|x| x.shape_ref()).collect::<Few<_>>();
        let out = self.shape(&shapes, index)?;
        self.forward(x, index, out)
    }
}

impl<'a, F: Float> TapeView<'a, F> {
    #[track_caller]
    pub(crate) fn value(self, id: u32) -> &'a Tensor<F> {
        self.nodes[id as usize].value()
    }

    /// The inputs of an operation that are values, and its indices, which come last.
    pub(crate) fn split<'i>(self, inputs: &'i [u32]) -> (&'i [u32], Option<&'a Indices>) {
        if let Some((&last, values)) = inputs.split_last()
            && let Kind::Indices(place) = self.nodes[last as usize].kind
        {
            return (values, Some(&self.indices[place as usize]));
        }
        (inputs, None)
    }

    pub(crate) fn values(self, ids: &[u32]) -> Few<&'a Tensor<F>> {
        few(ids, |id| self.value(id))
    }

    pub(crate) fn shapes(self, ids: &[u32]) -> Few<&'a Shape> {
        few(ids, |id| self.nodes[id as usize].shape())
    }
}

/// The inputs of an operation; on the stack, but for a `concat` of many.
pub(crate) type Few<T> = SmallVec<[T; 4]>;

/// One element for each number. Most operations have up to three inputs, and for these filling an array takes a
/// fraction of the instructions of `collect`.
#[inline(always)]
pub(crate) fn few<T: Copy>(ids: &[u32], get: impl Fn(u32) -> T) -> Few<T> {
    match *ids {
        [a] => SmallVec::from_buf_and_len([get(a); 4], 1),
        [a, b] => {
            let (a, b) = (get(a), get(b));
            SmallVec::from_buf_and_len([a, b, b, b], 2)
        }
        [a, b, c] => {
            let (a, b, c) = (get(a), get(b), get(c));
            SmallVec::from_buf_and_len([a, b, c, c], 3)
        }
        _ => ids.iter().map(|&id| get(id)).collect(),
    }
}

/// The end of a tape is the end of a step, also of one that no thread keeps.
impl<F: Float> Drop for Record<F> {
    fn drop(&mut self) {
        pool::end_step::<F>();
    }
}

/// A number for a recording that no other has.
pub(crate) fn next_recording() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

impl<F: Float> Record<F> {
    pub(crate) fn new() -> Self {
        Self {
            nodes: Vec::new(),
            ops: Vec::new(),
            params: Vec::new(),
            cursor: 0,
            variables: Vec::new(),
            indices: Vec::new(),
            randoms: Vec::new(),
            next_draw: 0,
            updates: Vec::new(),
            cotangents: Vec::new(),
            rebound: Vec::new(),
            readers: Vec::new(),
            generation: 0,
            recording: next_recording(),
            recent_len: 0,
            checkpoints: Vec::new(),
            layers: Vec::new(),
            origin: None,
            trace: None,
            repeat: None,
        }
    }

    pub(crate) fn push(&mut self, node: Node<F>) -> u32 {
        let id = u32::try_from(self.nodes.len()).expect("fewer than 2^32 nodes on a tape");
        self.nodes.push(node);
        id
    }

    /// The line that a new node is ascribed to: `caller`, or while a sweep is recorded the line of the
    /// operation that is being differentiated.
    pub(crate) fn location(
        &self,
        caller: &'static Location<'static>,
    ) -> &'static Location<'static> {
        self.origin.unwrap_or(caller)
    }

    pub(crate) fn view(&self) -> TapeView<'_, F> {
        TapeView { nodes: &self.nodes, indices: &self.indices }
    }

    pub(crate) fn op(&self, id: usize) -> &dyn ErasedOp<F> {
        self.ops[id].as_deref().expect("an operation")
    }

    /// The slot of a parameter; a new one comes last.
    pub(crate) fn slot(&mut self, id: ParamId) -> usize {
        self.params.iter().position(|slot| slot.id == id).unwrap_or_else(|| {
            self.params.push(ParamSlot { id, leaf: None, bound: None });
            self.params.len() - 1
        })
    }
}

impl<F: Float> Node<F> {
    #[track_caller]
    pub(crate) fn value(&self) -> &Tensor<F> {
        match &self.content {
            Content::Value(value) => value,
            Content::Shape(_) => panic!(
                "this tape infers shapes only: there is no value to read; branch on `shape()`, or use \
                 `evaluate`"
            ),
            Content::Deferred { .. } => {
                unreachable!("a deferred value is computed before it is read")
            }
            Content::Released => panic!(
                "this value was released: it lies inside a checkpoint; return it from the \
                 checkpoint to read it"
            ),
        }
    }

    pub(crate) fn value_if_held(&self) -> Option<&Tensor<F>> {
        match &self.content {
            Content::Value(value) => Some(value),
            Content::Shape(_) | Content::Deferred { .. } | Content::Released => None,
        }
    }

    #[track_caller]
    pub(crate) fn shape(&self) -> &Shape {
        match &self.content {
            Content::Shape(shape) | Content::Deferred { shape, .. } => shape,
            _ => self.value().shape_ref(),
        }
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

impl fmt::Display for LayerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kind(name) | Self::Field(name) => f.write_str(name),
            Self::Index(index) => write!(f, "{index}"),
        }
    }
}

impl From<&'static str> for LayerName {
    fn from(kind: &'static str) -> Self {
        Self::Kind(kind)
    }
}

impl From<usize> for LayerName {
    fn from(index: usize) -> Self {
        Self::Index(index)
    }
}
