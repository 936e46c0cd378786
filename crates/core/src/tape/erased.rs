//! Operations as they stand on a tape: of any kind, and able to compute as well as to record.

use std::any::Any;
use std::fmt::Debug;

use smallvec::SmallVec;

use crate::op::{Arithmetic, Cotangent, Flow, IndexOp, ManyOp, Op, Value, op_name};
use crate::tape::{IndexVar, Inputs, Kind, Node};
use crate::{Float, Indices, Shape, ShapeError, Tensor, Var};

/// What an operation reads of the tape.
#[derive(Clone, Copy)]
pub(crate) struct TapeView<'a, F: Float> {
    pub(crate) nodes: &'a [Node<F>],
    pub(crate) indices: &'a [Indices],
    /// On a tape that only infers shapes, those of the nodes; empty elsewhere.
    pub(crate) shapes: &'a [Shape],
}

impl<'a, F: Float> TapeView<'a, F> {
    fn value(self, id: u32) -> &'a Tensor<F> {
        self.nodes[id as usize].value()
    }

    fn shape(self, id: u32) -> Shape {
        self.shapes.get(id as usize).copied().unwrap_or_else(|| self.value(id).shape())
    }

    fn indices(self, id: u32) -> &'a Indices {
        match self.nodes[id as usize].kind {
            Kind::Indices(place) => &self.indices[place as usize],
            _ => unreachable!("an indexed operation reads indices"),
        }
    }
}

/// An operation on a tape of precision `F`, its type erased.
pub(crate) trait ErasedOp<F: Float>: Any + Debug + Send {
    /// The value's shape from the inputs on the tape, or what is wrong with theirs.
    fn shape(&self, seen: TapeView<'_, F>, inputs: &[u32]) -> Result<Shape, ShapeError>;
    /// The value, of that shape.
    fn forward(&self, seen: TapeView<'_, F>, inputs: &[u32], out: Shape) -> Tensor<F>;
    /// Both.
    fn run(&self, seen: TapeView<'_, F>, inputs: &[u32]) -> Result<Tensor<F>, ShapeError> {
        Ok(self.forward(seen, inputs, self.shape(seen, inputs)?))
    }
    /// [`Op::multiply_adds`] of the inputs on the tape.
    fn multiply_adds(&self, seen: TapeView<'_, F>, inputs: &[u32], out: Shape) -> u64;
    /// The cotangent of input `i` of node `at`, gathered.
    fn vjp_into(
        &self,
        i: usize,
        seen: TapeView<'_, F>,
        at: usize,
        g: &Tensor<F>,
        into: Cotangent<'_, F>,
    );
    /// The cotangent of input `i`, recorded.
    fn vjp<'t>(&self, i: usize, y: Var<'t, F>, g: Var<'t, F>) -> Var<'t, F>;
    fn flow(&self) -> Flow;
    fn boxed(&self) -> Box<dyn ErasedOp<F>>;
    fn in_f64(&self) -> Box<dyn ErasedOp<f64>>;
    fn name(&self) -> String;
}

/// What the three kinds of operations have to say for themselves; [`ErasedOp`] is made from it.
trait Kindred: Debug + Clone + Send + 'static {
    /// The operation inside.
    type Op;
    fn flow(&self) -> Flow {
        Flow::Through
    }
    fn shape<F: Float>(&self, seen: TapeView<'_, F>, inputs: &[u32]) -> Result<Shape, ShapeError>;
    fn forward<F: Float>(&self, seen: TapeView<'_, F>, inputs: &[u32], out: Shape) -> Tensor<F>;
    fn multiply_adds<F: Float>(&self, _: TapeView<'_, F>, _: &[u32], _: Shape) -> u64 {
        0
    }
    fn vjp_into<F: Float>(
        &self,
        i: usize,
        seen: TapeView<'_, F>,
        node: &Node<F>,
        g: &Tensor<F>,
        into: Cotangent<'_, F>,
    );
    fn vjp<'t, F: Float>(&self, i: usize, y: Var<'t, F>, g: Var<'t, F>) -> Var<'t, F>;
}

impl<F: Float, K: Kindred> ErasedOp<F> for K {
    fn shape(&self, seen: TapeView<'_, F>, inputs: &[u32]) -> Result<Shape, ShapeError> {
        Kindred::shape(self, seen, inputs)
    }
    fn forward(&self, seen: TapeView<'_, F>, inputs: &[u32], out: Shape) -> Tensor<F> {
        Kindred::forward(self, seen, inputs, out)
    }
    fn multiply_adds(&self, seen: TapeView<'_, F>, inputs: &[u32], out: Shape) -> u64 {
        Kindred::multiply_adds(self, seen, inputs, out)
    }
    fn vjp_into(
        &self,
        i: usize,
        seen: TapeView<'_, F>,
        at: usize,
        g: &Tensor<F>,
        into: Cotangent<'_, F>,
    ) {
        #[cfg(wengert_mutants)]
        let g = &crate::mutants::alter::<K::Op, Tensor<F>>(i, crate::mutants::World::Computed, g);
        Kindred::vjp_into(self, i, seen, &seen.nodes[at], g, into);
    }
    fn vjp<'t>(&self, i: usize, y: Var<'t, F>, g: Var<'t, F>) -> Var<'t, F> {
        #[cfg(wengert_mutants)]
        let g = crate::mutants::alter::<K::Op, Var<'t, F>>(i, crate::mutants::World::ErasedOp, &g);
        Kindred::vjp(self, i, y, g)
    }
    fn flow(&self) -> Flow {
        Kindred::flow(self)
    }
    fn boxed(&self) -> Box<dyn ErasedOp<F>> {
        Box::new(self.clone())
    }
    fn in_f64(&self) -> Box<dyn ErasedOp<f64>> {
        Box::new(self.clone())
    }
    fn name(&self) -> String {
        op_name::<K::Op>()
    }
}

/// An [`Op`] of `N` inputs.
#[derive(Clone, Debug)]
struct Fixed<O, const N: usize>(O);

impl<O: Op<N>, const N: usize> Kindred for Fixed<O, N> {
    type Op = O;
    fn flow(&self) -> Flow {
        self.0.flow()
    }
    fn shape<F: Float>(&self, seen: TapeView<'_, F>, inputs: &[u32]) -> Result<Shape, ShapeError> {
        self.0.shape(std::array::from_fn(|k| seen.shape(inputs[k])))
    }
    fn forward<F: Float>(&self, seen: TapeView<'_, F>, inputs: &[u32], out: Shape) -> Tensor<F> {
        self.0.forward(std::array::from_fn(|k| seen.value(inputs[k])), out)
    }
    fn multiply_adds<F: Float>(&self, seen: TapeView<'_, F>, inputs: &[u32], out: Shape) -> u64 {
        self.0.multiply_adds(std::array::from_fn(|k| seen.shape(inputs[k])), out)
    }
    fn vjp_into<F: Float>(
        &self,
        i: usize,
        seen: TapeView<'_, F>,
        node: &Node<F>,
        g: &Tensor<F>,
        into: Cotangent<'_, F>,
    ) {
        let x = std::array::from_fn(|k| seen.value(node.inputs[k]));
        self.0.vjp_into(i, x, node.value(), g, into);
    }
    fn vjp<'t, F: Float>(&self, i: usize, y: Var<'t, F>, g: Var<'t, F>) -> Var<'t, F> {
        let inputs = y.inputs();
        let x: [_; N] = std::array::from_fn(|k| y.tape.handle(inputs[k]));
        self.0.vjp(i, x.each_ref(), &y, &g)
    }
}

/// A [`ManyOp`].
#[derive(Clone, Debug)]
struct Many<O>(O);

impl<O: ManyOp> Kindred for Many<O> {
    type Op = O;
    fn shape<F: Float>(&self, seen: TapeView<'_, F>, inputs: &[u32]) -> Result<Shape, ShapeError> {
        self.0.shape(&inputs.iter().map(|&id| seen.shape(id)).collect::<SmallVec<[_; 8]>>())
    }
    fn forward<F: Float>(&self, seen: TapeView<'_, F>, inputs: &[u32], out: Shape) -> Tensor<F> {
        let x = inputs.iter().map(|&id| seen.value(id)).collect::<SmallVec<[_; 8]>>();
        self.0.forward(&x, out)
    }
    fn vjp_into<F: Float>(
        &self,
        i: usize,
        seen: TapeView<'_, F>,
        node: &Node<F>,
        g: &Tensor<F>,
        into: Cotangent<'_, F>,
    ) {
        let x = node.inputs.iter().map(|&id| seen.value(id)).collect::<SmallVec<[_; 8]>>();
        into.add(self.0.vjp(i, &x, node.value(), g));
    }
    fn vjp<'t, F: Float>(&self, i: usize, y: Var<'t, F>, g: Var<'t, F>) -> Var<'t, F> {
        let x = y.inputs().iter().map(|&id| y.tape.handle(id)).collect::<SmallVec<[_; 8]>>();
        self.0.vjp(i, &x.iter().collect::<SmallVec<[_; 8]>>(), &y, &g)
    }
}

/// An [`IndexOp`]: its inputs are a value and indices.
#[derive(Clone, Debug)]
struct Indexed<O>(O);

impl<O: IndexOp> Kindred for Indexed<O> {
    type Op = O;
    fn shape<F: Float>(&self, seen: TapeView<'_, F>, inputs: &[u32]) -> Result<Shape, ShapeError> {
        self.0.shape(seen.shape(inputs[0]), seen.indices(inputs[1]))
    }
    fn forward<F: Float>(&self, seen: TapeView<'_, F>, inputs: &[u32], out: Shape) -> Tensor<F> {
        self.0.forward(seen.value(inputs[0]), seen.indices(inputs[1]), out)
    }
    fn vjp_into<F: Float>(
        &self,
        _: usize,
        seen: TapeView<'_, F>,
        node: &Node<F>,
        g: &Tensor<F>,
        into: Cotangent<'_, F>,
    ) {
        let (x, index) = (seen.value(node.inputs[0]), seen.indices(node.inputs[1]));
        into.add(self.0.vjp(x, index, node.value(), g));
    }
    fn vjp<'t, F: Float>(&self, _: usize, y: Var<'t, F>, g: Var<'t, F>) -> Var<'t, F> {
        let inputs = y.inputs();
        let (x, index) = (y.tape.handle(inputs[0]), IndexVar { tape: y.tape, id: inputs[1] });
        self.0.vjp(&x, &index, &y, &g)
    }
}

impl<F: Float> Arithmetic for Var<'_, F> {}

impl<'t, F: Float> Value for Var<'t, F> {
    type Index = IndexVar<'t, F>;

    fn shape(&self) -> Shape {
        let id = self.on_tape(self.tape);
        self.tape.record.borrow().seen().shape(id)
    }

    #[track_caller]
    fn apply<const N: usize>(op: impl Op<N>, x: [&Self; N]) -> Self {
        let tape = x[0].tape;
        let mut inputs = Inputs::new();
        for x in x {
            inputs.push(x.on_tape(tape));
        }
        tape.apply(Fixed::<_, N>(op), inputs)
    }

    #[track_caller]
    fn apply_many(op: impl ManyOp, x: &[&Self]) -> Self {
        let tape = x[0].tape;
        let mut inputs = Inputs::new();
        for x in x {
            inputs.push(x.on_tape(tape));
        }
        tape.apply(Many(op), inputs)
    }

    #[track_caller]
    fn apply_indexed(op: impl IndexOp, x: &Self, index: &Self::Index) -> Self {
        assert!(std::ptr::eq(x.tape, index.tape), "variables of two tapes do not mix");
        x.tape.apply(Indexed(op), Inputs::from_slice(&[x.on_tape(x.tape), index.id]))
    }

    fn constant_like(&self, shape: Shape, value: f64) -> Self {
        self.tape.constant(&Tensor::full(shape, F::of(value)))
    }
}
