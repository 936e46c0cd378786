//! An operation from two functions: its value, and the derivative that its user knows.

use std::any::Any;
use std::fmt::{self, Debug};
use std::sync::Arc;

use crate::op::{Cotangent, Flow, Instruction, Value, check_cotangent};
use crate::ops::{MovementOps, Narrow, Reshape, sum_to};
use crate::tape::record::{ErasedOp, Few, IndexVar, Inputs, Tape, Var};
use crate::tensor::indices::Indices;
use crate::{Float, Shape, ShapeError, Tensor};

/// Applies a function whose derivative is given: `value` computes the result, of this shape, from the inputs; `vjp`
/// returns a cotangent for each input, from the inputs, the result and the cotangent of the result.
///
/// Use it where the derivative is not that of the steps taken: for an equation solved by iteration, whose derivative the
/// implicit function theorem gives, or for a derivative that is changed on purpose. [`Op`](crate::Op) is for operations
/// that other programs use: it serves both precisions, and can be checked in either.
///
/// `vjp` is written with operations on variables, so it has derivatives itself, of any order. The inputs and the result
/// that it receives do not depend on each other: `vjp(f(x, y), &[x], ..)` inside is a partial derivative. A cotangent may
/// have any shape to which its input broadcasts. Both functions run again when a [`Program`](crate::Program) or a
/// checkpoint does, so they must depend on nothing but their arguments and constants.
///
/// ```
/// use wengert_core::{ReduceOps, Tape, Tensor, UnaryOps, custom_vjp, grad};
///
/// // The cube root, by Newton's method; its derivative is 1 / (3 y^2).
/// let tape = Tape::<f64>::new();
/// let x = tape.variable(&Tensor::from([8.0, 27.0]));
/// let root = custom_vjp(
///     [x],
///     x.shape(),
///     |[x]| (0..50).fold(x.clone(), |y, _| &y - (&y - x / y.square()) / 3.0),
///     |_, y, g| [g / (y.square() * 3.0)],
/// );
/// let first = grad(root.sum(), &[x])[0];
/// let second = grad(first.sum(), &[x])[0];
/// assert!((first.value().at(&[0]) - 1.0 / 12.0).abs() < 1e-15);
/// assert!((second.value().at(&[0]) + 1.0 / 144.0).abs() < 1e-15);
/// ```
///
/// # Panics
/// If there are no inputs, or a function returns another shape.
#[track_caller]
pub fn custom_vjp<'t, F: Float, const N: usize>(
    inputs: [Var<'t, F>; N],
    shape: impl Into<Shape>,
    value: impl Fn([&Tensor<F>; N]) -> Tensor<F> + Send + Sync + 'static,
    vjp: impl for<'a> Fn([Var<'a, F>; N], Var<'a, F>, Var<'a, F>) -> [Var<'a, F>; N]
    + Send
    + Sync
    + 'static,
) -> Var<'t, F> {
    apply(&inputs, shape.into(), Arc::new(Functions::<_, _, N>(value, vjp)))
}

/// Two functions of any number of inputs.
trait Given<F: Float>: Send + Sync {
    fn value(&self, x: &[Tensor<F>]) -> Tensor<F>;
    fn vjp<'t>(&self, x: &[Var<'t, F>], y: Var<'t, F>, g: Var<'t, F>) -> Few<Var<'t, F>>;
}

struct Functions<A, B, const N: usize>(A, B);

impl<F: Float, A, B, const N: usize> Given<F> for Functions<A, B, N>
where
    A: Fn([&Tensor<F>; N]) -> Tensor<F> + Send + Sync,
    B: for<'a> Fn([Var<'a, F>; N], Var<'a, F>, Var<'a, F>) -> [Var<'a, F>; N] + Send + Sync,
{
    fn value(&self, x: &[Tensor<F>]) -> Tensor<F> {
        self.0(std::array::from_fn(|i| &x[i]))
    }
    fn vjp<'t>(&self, x: &[Var<'t, F>], y: Var<'t, F>, g: Var<'t, F>) -> Few<Var<'t, F>> {
        self.1(std::array::from_fn(|i| x[i]), y, g).into_iter().collect()
    }
}

/// Records the operation. Its only input is a vector of all elements, so that a sweep calls `vjp` once and not for each
/// input.
#[track_caller]
fn apply<'t, F: Float>(inputs: &[Var<'t, F>], out: Shape, given: Arc<dyn Given<F>>) -> Var<'t, F> {
    assert!(!inputs.is_empty(), "custom_vjp: there are no inputs");
    let mut shapes = Vec::with_capacity(inputs.len());
    let mut parts = Few::new();
    // A loop, because a closure would hide the caller's line.
    for x in inputs {
        shapes.push(x.shape());
        parts.push(Value::apply(Reshape { to: [x.shape().numel()].into() }, [x]));
    }
    let packed = Var::concat(&parts, 0);
    let op = CustomVjp { shapes: shapes.into(), out, given };
    packed.tape.apply(op, Inputs::from_slice(&[packed.on_tape(packed.tape)]))
}

/// The operation: its input is the vector of the elements of inputs of these shapes.
#[derive(Clone)]
struct CustomVjp<F: Float> {
    shapes: Arc<[Shape]>,
    out: Shape,
    given: Arc<dyn Given<F>>,
}

impl<F: Float> CustomVjp<F> {
    fn value(&self, packed: &Tensor<F>) -> Result<Tensor<F>, ShapeError> {
        let mut rest = packed.as_slice();
        let inputs = self.shapes.iter().map(|&shape| {
            let (own, others) = rest.split_at(shape.numel());
            rest = others;
            Tensor::written(shape, |x| x.copy_from_slice(own))
        });
        let y = self.given.value(&inputs.collect::<Few<_>>());
        let (found, expected) = (y.shape(), self.out);
        if found == expected {
            return Ok(y);
        }
        Err(ShapeError::new(format!("expected a value of shape {expected:?}, found {found:?}")))
    }

    /// The cotangent of the packed inputs. The function gets nodes of its own for the inputs and the value, so that
    /// their derivatives in it are partial ones.
    #[track_caller]
    fn cotangent<'t>(&self, packed: Var<'t, F>, y: Var<'t, F>, g: Var<'t, F>) -> Var<'t, F> {
        let mut start = 0;
        let inputs = self.shapes.iter().map(|&to| {
            let narrow = Narrow { axis: 0, start, len: to.numel() };
            start += to.numel();
            let own = Value::apply(narrow, [&packed]);
            Value::apply(Reshape { to }, [&own])
        });
        let inputs = inputs.collect::<Few<_>>();
        let y = Value::apply(Reshape { to: self.out }, [&y]);
        let found = self.given.vjp(&inputs, y, g);
        let parts = self.shapes.iter().zip(&found).map(|(&shape, found)| {
            check_cotangent(shape, found.shape());
            Value::apply(Reshape { to: [shape.numel()].into() }, [&sum_to(found, shape)])
        });
        Var::concat(&parts.collect::<Few<_>>(), 0)
    }
}

impl<F: Float> Debug for CustomVjp<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CustomVjp {{ {:?} to {:?} }}", self.shapes, self.out)
    }
}

impl<F: Float> ErasedOp<F> for CustomVjp<F> {
    fn name(&self) -> String {
        "custom_vjp".to_owned()
    }
    fn flow(&self) -> Flow {
        Flow::Through
    }
    fn shape(&self, _: &[&Shape], _: Option<&Indices>) -> Result<Shape, ShapeError> {
        Ok(self.out)
    }
    fn forward(
        &self,
        x: &[&Tensor<F>],
        _: Option<&Indices>,
        _: Shape,
    ) -> Result<Tensor<F>, ShapeError> {
        self.value(x[0])
    }
    fn instruction(&self, _: &[&Shape], _: Shape) -> Option<Box<dyn Instruction<F>>> {
        None
    }
    fn multiply_adds(&self, _: &[&Shape], _: Shape) -> u64 {
        0
    }
    fn vjp_into(
        &self,
        _: usize,
        x: &[&Tensor<F>],
        _: Option<&Indices>,
        y: &Tensor<F>,
        g: &Tensor<F>,
        into: Cotangent<'_, F>,
    ) {
        let tape = Tape::new();
        let (packed, y, g) = (tape.variable(x[0]), tape.variable(y), tape.constant(g));
        into.add(self.cotangent(packed, y, g).value());
    }
    fn vjp<'t>(
        &self,
        _: usize,
        x: &[&Var<'t, F>],
        _: Option<&IndexVar<'t, F>>,
        y: &Var<'t, F>,
        g: &Var<'t, F>,
    ) -> Var<'t, F> {
        self.cotangent(*x[0], *y, *g)
    }
    fn boxed(&self) -> Box<dyn ErasedOp<F>> {
        Box::new(self.clone())
    }
    fn in_f64(&self) -> Box<dyn ErasedOp<f64>> {
        let op: Box<dyn Any> = Box::new(self.clone());
        match op.downcast::<CustomVjp<f64>>() {
            Ok(op) => op,
            Err(_) => panic!(
                "custom_vjp: its functions compute in f32, but derivatives are checked in f64; write them generic over \
                 `Float` and check a model in f64"
            ),
        }
    }
}
