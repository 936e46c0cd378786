//! Operations with their type erased, and how applying one to variables records it.

use std::any::Any;
use std::fmt::Debug;

use crate::op::{
    Arithmetic, Cotangent, Flow, IndexOp, Instruction, ManyOp, Op, Value, entry, op_name,
};
use crate::tape::record::{ErasedOp, Few, IndexVar, Inputs, Var, few};
use crate::tensor::indices::Indices;
use crate::{Float, Shape, ShapeError, Tensor};

/// An operation of any kind over slices of inputs. [`ErasedOp`] follows for every precision.
trait AnyOp: Debug + Clone + Send + Sync + 'static {
    /// The operation inside.
    type Op;
    fn flow(&self) -> Flow {
        Flow::Through
    }
    fn shape(&self, x: &[&Shape], index: Option<&Indices>) -> Result<Shape, ShapeError>;
    fn forward<F: Float>(
        &self,
        x: &[&Tensor<F>],
        index: Option<&Indices>,
        out: Shape,
    ) -> Result<Tensor<F>, ShapeError>;
    fn instruction<F: Float>(&self, _: &[&Shape], _: Shape) -> Option<Box<dyn Instruction<F>>> {
        None
    }
    fn multiply_adds(&self, _: &[&Shape], _: Shape) -> u64 {
        0
    }
    fn reads_rows(&self) -> bool {
        false
    }
    fn vjp<V: Value>(&self, i: usize, x: &[&V], index: Option<&V::Index>, y: &V, g: &V) -> V;
    fn vjp_into<F: Float>(
        &self,
        i: usize,
        x: &[&Tensor<F>],
        index: Option<&Indices>,
        y: &Tensor<F>,
        g: &Tensor<F>,
        into: Cotangent<'_, F>,
    ) {
        into.add(self.vjp(i, x, index, y, g));
    }
}

/// The place where mutants are made of derivatives.
impl<F: Float, O: AnyOp> ErasedOp<F> for O {
    fn name(&self) -> String {
        op_name::<O::Op>()
    }

    fn flow(&self) -> Flow {
        AnyOp::flow(self)
    }

    fn shape(&self, x: &[&Shape], index: Option<&Indices>) -> Result<Shape, ShapeError> {
        AnyOp::shape(self, x, index)
    }

    fn forward(
        &self,
        x: &[&Tensor<F>],
        index: Option<&Indices>,
        out: Shape,
    ) -> Result<Tensor<F>, ShapeError> {
        AnyOp::forward(self, x, index, out)
    }

    fn instruction(&self, x: &[&Shape], out: Shape) -> Option<Box<dyn Instruction<F>>> {
        let instruction = AnyOp::instruction(self, x, out);
        #[cfg(wengert_mutants)]
        let instruction = instruction.map(|it| {
            Box::new(crate::mutants::Replayed::<O::Op, F>::new(it)) as Box<dyn Instruction<F>>
        });
        instruction
    }

    fn multiply_adds(&self, x: &[&Shape], out: Shape) -> u64 {
        AnyOp::multiply_adds(self, x, out)
    }

    fn reads_rows(&self) -> bool {
        AnyOp::reads_rows(self)
    }

    fn vjp_into(
        &self,
        i: usize,
        x: &[&Tensor<F>],
        index: Option<&Indices>,
        y: &Tensor<F>,
        g: &Tensor<F>,
        into: Cotangent<'_, F>,
    ) {
        #[cfg(wengert_mutants)]
        let g =
            &crate::mutants::derivative::<O::Op, Tensor<F>>(i, crate::mutants::World::Computed, g);
        AnyOp::vjp_into(self, i, x, index, y, g, into);
    }

    fn vjp<'t>(
        &self,
        i: usize,
        x: &[&Var<'t, F>],
        index: Option<&IndexVar<'t, F>>,
        y: &Var<'t, F>,
        g: &Var<'t, F>,
    ) -> Var<'t, F> {
        #[cfg(wengert_mutants)]
        let g =
            &crate::mutants::derivative::<O::Op, Var<'t, F>>(i, crate::mutants::World::Recorded, g);
        AnyOp::vjp(self, i, x, index, y, g)
    }

    fn boxed(&self) -> Box<dyn ErasedOp<F>> {
        Box::new(self.clone())
    }

    fn in_f64(&self) -> Box<dyn ErasedOp<f64>> {
        Box::new(self.clone())
    }
}

/// An [`Op`] of `N` inputs.
#[derive(Clone, Debug)]
struct Fixed<O, const N: usize>(O);

/// The inputs that the operation takes.
fn fixed<T: Copy, const N: usize>(x: &[T]) -> [T; N] {
    x.try_into().expect("an operation is recorded with its inputs")
}

/// The shapes of the inputs that the operation takes.
fn shapes<const N: usize>(x: &[&Shape]) -> [Shape; N] {
    let mut shapes = [Shape::SCALAR; N];
    for (shape, x) in shapes.iter_mut().zip(x) {
        *shape = **x;
    }
    shapes
}

impl<O: Op<N>, const N: usize> AnyOp for Fixed<O, N> {
    type Op = O;
    fn flow(&self) -> Flow {
        self.0.flow()
    }
    fn shape(&self, x: &[&Shape], _: Option<&Indices>) -> Result<Shape, ShapeError> {
        self.0.shape(shapes(x))
    }
    fn forward<F: Float>(
        &self,
        x: &[&Tensor<F>],
        _: Option<&Indices>,
        out: Shape,
    ) -> Result<Tensor<F>, ShapeError> {
        entry::forward(&self.0, fixed(x), out)
    }
    fn instruction<F: Float>(&self, x: &[&Shape], out: Shape) -> Option<Box<dyn Instruction<F>>> {
        self.0.instruction(shapes(x), out)
    }
    fn multiply_adds(&self, x: &[&Shape], out: Shape) -> u64 {
        self.0.multiply_adds(shapes(x), out)
    }
    fn vjp<V: Value>(&self, i: usize, x: &[&V], _: Option<&V::Index>, y: &V, g: &V) -> V {
        self.0.vjp(i, fixed(x), y, g)
    }
    fn vjp_into<F: Float>(
        &self,
        i: usize,
        x: &[&Tensor<F>],
        _: Option<&Indices>,
        y: &Tensor<F>,
        g: &Tensor<F>,
        into: Cotangent<'_, F>,
    ) {
        self.0.vjp_into(i, fixed(x), y, g, into);
    }
}

/// A [`ManyOp`].
#[derive(Clone, Debug)]
struct Many<O>(O);

impl<O: ManyOp> AnyOp for Many<O> {
    type Op = O;
    fn shape(&self, x: &[&Shape], _: Option<&Indices>) -> Result<Shape, ShapeError> {
        self.0.shape(&x.iter().map(|&&x| x).collect::<Few<_>>())
    }
    fn forward<F: Float>(
        &self,
        x: &[&Tensor<F>],
        _: Option<&Indices>,
        out: Shape,
    ) -> Result<Tensor<F>, ShapeError> {
        entry::forward_many(&self.0, x, out)
    }
    fn vjp<V: Value>(&self, i: usize, x: &[&V], _: Option<&V::Index>, y: &V, g: &V) -> V {
        self.0.vjp(i, x, y, g)
    }
}

/// An [`IndexOp`]: its inputs are a value and indices.
#[derive(Clone, Debug)]
struct Indexed<O>(O);

/// Recording puts indices behind the value.
const RECORDED: &str = "an indexed operation is recorded with its indices";

impl<O: IndexOp> AnyOp for Indexed<O> {
    type Op = O;
    fn shape(&self, x: &[&Shape], index: Option<&Indices>) -> Result<Shape, ShapeError> {
        self.0.shape(*x[0], index.expect(RECORDED))
    }
    fn forward<F: Float>(
        &self,
        x: &[&Tensor<F>],
        index: Option<&Indices>,
        out: Shape,
    ) -> Result<Tensor<F>, ShapeError> {
        entry::forward_indexed(&self.0, x[0], index.expect(RECORDED), out)
    }
    fn reads_rows(&self) -> bool {
        self.0.reads_rows()
    }
    fn vjp<V: Value>(&self, _: usize, x: &[&V], index: Option<&V::Index>, y: &V, g: &V) -> V {
        self.0.vjp(x[0], index.expect(RECORDED), y, g)
    }
    fn vjp_into<F: Float>(
        &self,
        _: usize,
        x: &[&Tensor<F>],
        index: Option<&Indices>,
        y: &Tensor<F>,
        g: &Tensor<F>,
        into: Cotangent<'_, F>,
    ) {
        self.0.vjp_into(x[0], index.expect(RECORDED), y, g, into);
    }
}

impl<'t, F: Float> Var<'t, F> {
    /// The operands of the operation that computed this value: values, and indices if it reads any.
    pub(crate) fn operands(self) -> (Few<Self>, Option<IndexVar<'t, F>>) {
        let (tape, inputs) = (self.tape, self.inputs());
        let count = tape.record.borrow().view().split(&inputs).0.len();
        let index = inputs.get(count).map(|&id| tape.index_handle(id));
        (few(&inputs[..count], |id| tape.handle(id)), index)
    }
}

impl<F: Float> Arithmetic for Var<'_, F> {}

impl<'t, F: Float> Value for Var<'t, F> {
    type Index = IndexVar<'t, F>;

    #[track_caller]
    fn shape(&self) -> Shape {
        let id = self.on_tape(self.tape);
        *self.tape.record.borrow().nodes[id as usize].shape()
    }

    #[track_caller]
    fn apply<const N: usize>(op: impl Op<N>, x: [&Self; N]) -> Self {
        entry::on_variables(op, x)
    }

    #[track_caller]
    fn apply_many(op: impl ManyOp, x: &[&Self]) -> Self {
        entry::many_on_variables(op, x)
    }

    #[track_caller]
    fn apply_indexed(op: impl IndexOp, x: &Self, index: &Self::Index) -> Self {
        entry::indexed_on_variables(op, x, index)
    }

    #[track_caller]
    fn constant_like(&self, shape: Shape, value: f64) -> Self {
        self.tape.constant(&Tensor::full(shape, F::of(value)))
    }

    #[track_caller]
    fn indices(&self, indices: Indices) -> Self::Index {
        self.tape.indices(indices)
    }
}

/// The operation of `N` inputs, if it is an `O`.
pub(crate) fn as_op<F: Float, O: Op<N>, const N: usize>(op: &dyn ErasedOp<F>) -> Option<&O> {
    (op as &dyn Any).downcast_ref::<Fixed<O, N>>().map(|op| &op.0)
}

/// The operation of any number of inputs, if it is an `O`.
pub(crate) fn as_many<F: Float, O: ManyOp>(op: &dyn ErasedOp<F>) -> Option<&O> {
    (op as &dyn Any).downcast_ref::<Many<O>>().map(|op| &op.0)
}

/// The operation of a value and indices, if it is an `O`.
pub(crate) fn as_indexed<F: Float, O: IndexOp>(op: &dyn ErasedOp<F>) -> Option<&O> {
    (op as &dyn Any).downcast_ref::<Indexed<O>>().map(|op| &op.0)
}

/// Records an operation of `N` inputs.
#[track_caller]
pub fn record<'t, F: Float, const N: usize>(op: impl Op<N>, x: [&Var<'t, F>; N]) -> Var<'t, F> {
    x[0].tape.apply(Fixed::<_, N>(op), numbers(&x))
}

/// Records an operation of any number of inputs.
#[track_caller]
pub fn record_many<'t, F: Float>(op: impl ManyOp, x: &[&Var<'t, F>]) -> Var<'t, F> {
    x[0].tape.apply(Many(op), numbers(x))
}

/// Records an operation of a value and indices.
#[track_caller]
pub fn record_indexed<'t, F: Float>(
    op: impl IndexOp,
    x: &Var<'t, F>,
    index: &IndexVar<'t, F>,
) -> Var<'t, F> {
    let inputs = [x.on_tape(x.tape), index.on_tape(x.tape)];
    x.tape.apply(Indexed(op), Inputs::from_slice(&inputs))
}

/// The numbers of the nodes, which are all on the tape of the first.
#[track_caller]
fn numbers<F: Float>(x: &[&Var<'_, F>]) -> Inputs {
    let tape = x[0].tape;
    let record = tape.record.borrow();
    // A loop, because a closure would hide the caller's line.
    let mut numbers = Inputs::new();
    for var in x {
        numbers.push(var.number(tape, &record));
    }
    numbers
}
