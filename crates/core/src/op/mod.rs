//! The traits of operations, and the values that operations apply to.
//!
//! An operation is a struct that implements [`Op`]: a shape, a forward computation on tensors, and
//! a vector-Jacobian product written over any [`Value`]. Over a [`Tensor`] the product is computed
//! and not recorded, which is fast and gives first derivatives. Over a variable it is also
//! recorded, so that it can be differentiated again, to any order.

use std::fmt::Debug;
use std::ops::{Add, Div, Mul, Neg, Sub};

mod cotangent;
#[doc(hidden)]
pub mod entry;
mod instruction;

pub use cotangent::Cotangent;
pub(crate) use cotangent::check_cotangent;
pub use instruction::{Gathered, Instruction};

use crate::entry_points;
use crate::{Float, Indices, Shape, ShapeError, Tensor};

/// A differentiable operation of `N` inputs.
///
/// The fields hold axes, flags, constants and shapes, and nothing that depends on a value. A
/// recorded tape can then run again on other leaves. Messages name the operation by its struct, in
/// snake case. Functions of one or two numbers are shorter as a [`UnaryOp`](crate::UnaryOp) or a
/// [`BinaryOp`](crate::BinaryOp).
///
/// ```
/// use wengert_core::*;
///
/// /// The outer product of two vectors, of shape `[n, m]`.
/// #[derive(Clone, Debug)]
/// struct Outer;
///
/// impl Op<2> for Outer {
///     fn shape(&self, [a, b]: [Shape; 2]) -> Result<Shape, ShapeError> {
///         match (&*a, &*b) {
///             (&[n], &[m]) => Ok([n, m].into()),
///             _ => Err(ShapeError::new(format!("expected two vectors, found {a:?} and {b:?}"))),
///         }
///     }
///     fn forward<F: Float>(&self, [a, b]: [&Tensor<F>; 2], out: Shape) -> Tensor<F> {
///         let (a, b) = (a.as_slice(), b.as_slice());
///         Tensor::from_fn(out, |i| a[i / b.len()] * b[i % b.len()])
///     }
///     fn vjp<V: Value>(&self, i: usize, [a, b]: [&V; 2], _: &V, g: &V) -> V {
///         if i == 0 { g.matmul(b) } else { a.matmul(g) }
///     }
/// }
///
/// let (a, b) = (Tensor::<f64>::from([1.0, 2.0]), Tensor::from([3.0, 4.0, 5.0]));
/// assert_eq!(Value::apply(Outer, [&a, &b]), Tensor::from([[3.0, 4.0, 5.0], [6.0, 8.0, 10.0]]));
/// check_gradients(|x| Value::apply(Outer, [&x[0], &x[1]]), &[a, b]).unwrap();
/// ```
pub trait Op<const N: usize>: Debug + Clone + Send + Sync + 'static {
    /// Returns the output shape, or an error that describes the mistake in the input shapes.
    fn shape(&self, x: [Shape; N]) -> Result<Shape, ShapeError>;

    /// Computes the value. Its shape is `out`, which [`Op::shape`] returned; applying the operation panics if it is
    /// another.
    fn forward<F: Float>(&self, x: [&Tensor<F>; N], out: Shape) -> Tensor<F>;

    /// Returns the cotangent of input `i`, given the inputs, the output `y` and the output's
    /// cotangent `g`. The result may have any shape to which input `i` broadcasts; the caller sums it
    /// to the input's shape.
    fn vjp<V: Value>(&self, i: usize, x: [&V; N], y: &V, g: &V) -> V;

    /// Returns the treatment of derivatives. Default: [`Flow::Through`]. For the other two,
    /// [`Op::vjp`] is never called.
    fn flow(&self) -> Flow {
        Flow::Through
    }

    /// Returns the multiply-adds of [`Op::forward`], for [`eval_shape`](crate::eval_shape()). Products and
    /// convolutions have them; a bias counts as one more summand. Elementwise operations have none. Default: 0.
    fn multiply_adds(&self, x: [Shape; N], out: Shape) -> u64 {
        let _ = (x, out);
        0
    }

    /// Adds the result of [`Op::vjp`] to `into`, for first derivatives only. An override for speed
    /// must give the same numbers.
    fn vjp_into<F: Float>(
        &self,
        i: usize,
        x: [&Tensor<F>; N],
        y: &Tensor<F>,
        g: &Tensor<F>,
        into: Cotangent<'_, F>,
    ) {
        into.add(self.vjp(i, x, y, g));
    }

    /// Returns the operation as an instruction on slices, for inputs of these shapes and a value of shape `out`. A
    /// [`Program`](crate::Program) runs small operations so, without tensors. An override is for speed, and must give
    /// the same bits. Default: `None`, and the operation runs again as on a tape.
    fn instruction<F: Float>(&self, x: [Shape; N], out: Shape) -> Option<Box<dyn Instruction<F>>> {
        let _ = (x, out);
        None
    }

    entry_points!(Op<N>);
}

/// Treatment of derivatives by an operation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Flow {
    /// Derivatives pass: [`Op::vjp`] computes them.
    Through,
    /// Derivatives stop on purpose: the output counts as a constant.
    Stopped,
    /// The operation has no derivative. Applying it to a value that needs one panics.
    Missing,
}

/// A differentiable operation of any number of inputs; see [`Op`] for the methods.
///
/// ```
/// use wengert_core::*;
///
/// /// The sum of tensors of one shape.
/// #[derive(Clone, Debug)]
/// struct Total;
///
/// impl ManyOp for Total {
///     fn shape(&self, x: &[Shape]) -> Result<Shape, ShapeError> {
///         match x.iter().find(|&shape| *shape != x[0]) {
///             Some(other) => Err(ShapeError::new(format!("{:?} is not {other:?}", x[0]))),
///             None => Ok(x[0]),
///         }
///     }
///     fn forward<F: Float>(&self, x: &[&Tensor<F>], out: Shape) -> Tensor<F> {
///         x.iter().fold(Tensor::zeros(out), |sum, x| sum + *x)
///     }
///     fn vjp<V: Value>(&self, _: usize, _: &[&V], _: &V, g: &V) -> V {
///         g.clone()
///     }
/// }
///
/// let x = [1.0, 2.0, 3.0].map(Tensor::<f64>::scalar);
/// assert_eq!(Value::apply_many(Total, &[&x[0], &x[1], &x[2]]).item(), 6.0);
/// check_gradients(|x| Value::apply_many(Total, &[&x[0], &x[1], &x[2]]), &x).unwrap();
/// ```
pub trait ManyOp: Debug + Clone + Send + Sync + 'static {
    /// Returns the output shape; see [`Op::shape`].
    fn shape(&self, x: &[Shape]) -> Result<Shape, ShapeError>;
    /// Computes the value; see [`Op::forward`].
    fn forward<F: Float>(&self, x: &[&Tensor<F>], out: Shape) -> Tensor<F>;
    /// Returns the cotangent of an input; see [`Op::vjp`].
    fn vjp<V: Value>(&self, i: usize, x: &[&V], y: &V, g: &V) -> V;

    entry_points!(ManyOp);
}

/// A differentiable operation of one input that also reads indices. The indices are a separate leaf
/// of the tape. See [`Op`] for the methods.
///
/// ```
/// use wengert_core::*;
///
/// /// The elements of a vector at the indices.
/// #[derive(Clone, Debug)]
/// struct At;
///
/// impl IndexOp for At {
///     fn shape(&self, x: Shape, index: &Indices) -> Result<Shape, ShapeError> {
///         match index.as_slice().iter().find(|&&i| i >= x[0]) {
///             Some(i) => Err(ShapeError::new(format!("index {i} is out of range in {x:?}"))),
///             None => Ok(index.shape()),
///         }
///     }
///     fn forward<F: Float>(&self, x: &Tensor<F>, index: &Indices, out: Shape) -> Tensor<F> {
///         Tensor::from_fn(out, |i| x.as_slice()[index.as_slice()[i]])
///     }
///     fn vjp<V: Value>(&self, x: &V, index: &V::Index, _: &V, g: &V) -> V {
///         let add = ops::IndexAdd { axis: 0, extent: x.shape()[0], skip: None };
///         V::apply_indexed(add, g, index)
///     }
/// }
///
/// let x = Tensor::<f64>::from([1.0, 2.0, 3.0]);
/// let y = Value::apply_indexed(At, &x, &Indices::from([2, 0, 2]));
/// assert_eq!(y, Tensor::from([3.0, 1.0, 3.0]));
/// check_gradients(|x| Value::apply_indexed(At, &x[0], &x[0].indices([2, 0, 2].into())), &[x]).unwrap();
/// ```
pub trait IndexOp: Debug + Clone + Send + Sync + 'static {
    /// Returns the output shape, or an error for the first index out of range; see [`Op::shape`].
    fn shape(&self, x: Shape, index: &Indices) -> Result<Shape, ShapeError>;
    /// Computes the value; see [`Op::forward`].
    fn forward<F: Float>(&self, x: &Tensor<F>, index: &Indices, out: Shape) -> Tensor<F>;
    /// Returns the cotangent of an input; see [`Op::vjp`].
    fn vjp<V: Value>(&self, x: &V, index: &V::Index, y: &V, g: &V) -> V;

    /// Adds the result of [`IndexOp::vjp`] to `into`, for first derivatives only; see [`Op::vjp_into`].
    fn vjp_into<F: Float>(
        &self,
        x: &Tensor<F>,
        index: &Indices,
        y: &Tensor<F>,
        g: &Tensor<F>,
        into: Cotangent<'_, F>,
    ) {
        into.add(self.vjp(x, index, y, g));
    }

    /// Returns whether the operation reads nothing of its input but the slices along the first axis that the indices
    /// name, so that the cotangent is 0 elsewhere. [`Gradients::rows`](crate::Gradients::rows) relies on it.
    /// Default: false.
    fn reads_rows(&self) -> bool {
        false
    }

    entry_points!(IndexOp);
}

/// The operators that derivatives are written with.
pub trait Arithmetic:
    Clone
    + Neg<Output = Self>
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Add<f64, Output = Self>
    + Sub<f64, Output = Self>
    + Mul<f64, Output = Self>
    + Div<f64, Output = Self>
    + for<'a> Add<&'a Self, Output = Self>
    + for<'a> Sub<&'a Self, Output = Self>
    + for<'a> Mul<&'a Self, Output = Self>
    + for<'a> Div<&'a Self, Output = Self>
{
}

impl<F: Float> Arithmetic for Tensor<F> {}

/// A tensor or a variable. Operations apply to both: a [`Tensor`] computes, a variable computes and
/// records.
///
/// A function that is generic over `Value` serves for both.
///
/// ```
/// use wengert_core::{ReduceOps, Tape, Tensor, UnaryOps, Value};
///
/// fn energy<V: Value>(x: &V) -> V {
///     x.square().sum() * 0.5
/// }
///
/// let x = Tensor::<f64>::from([3.0, 4.0]);
/// assert_eq!(energy(&x).item(), 12.5);
/// let tape = Tape::new();
/// let var = tape.variable(&x);
/// assert_eq!(energy(&var).backward().wrt(var).unwrap(), &x);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is neither a tensor nor a variable",
    note = "a parameter becomes a variable with `tape.param(&p)`"
)]
pub trait Value: Arithmetic {
    /// Type of indices: [`Indices`] for a tensor, a handle on the tape for a variable.
    type Index: Clone;

    /// Returns the shape of this value.
    #[track_caller]
    fn shape(&self) -> Shape;

    /// Applies an operation.
    ///
    /// # Panics
    /// At the caller's line, with the error of [`Op::shape`].
    #[track_caller]
    fn apply<const N: usize>(op: impl Op<N>, x: [&Self; N]) -> Self;

    /// Applies an operation of any number of inputs, at least one.
    #[track_caller]
    fn apply_many(op: impl ManyOp, x: &[&Self]) -> Self;

    /// Applies an operation that reads indices.
    #[track_caller]
    fn apply_indexed(op: impl IndexOp, x: &Self, index: &Self::Index) -> Self;

    /// Returns a constant of this shape; it is on the same tape if `self` is a variable.
    #[track_caller]
    fn constant_like(&self, shape: Shape, value: f64) -> Self;

    /// Returns these indices; they are on the same tape if `self` is a variable.
    #[track_caller]
    fn indices(&self, indices: Indices) -> Self::Index;

    /// Applies an operation of one input, such as your own.
    #[track_caller]
    fn apply_op(&self, op: impl Op<1>) -> Self {
        Self::apply(op, [self])
    }
}

impl<F: Float> Value for Tensor<F> {
    type Index = Indices;

    fn shape(&self) -> Shape {
        self.shape()
    }

    #[inline]
    #[track_caller]
    fn apply<const N: usize>(op: impl Op<N>, x: [&Self; N]) -> Self {
        entry::on_tensors(op, x)
    }

    #[inline]
    #[track_caller]
    fn apply_many(op: impl ManyOp, x: &[&Self]) -> Self {
        entry::many_on_tensors(op, x)
    }

    #[inline]
    #[track_caller]
    fn apply_indexed(op: impl IndexOp, x: &Self, index: &Indices) -> Self {
        entry::indexed_on_tensors(op, x, index)
    }

    fn constant_like(&self, shape: Shape, value: f64) -> Self {
        Self::full(shape, F::of(value))
    }

    #[track_caller]
    fn indices(&self, indices: Indices) -> Indices {
        if indices.is_input() {
            indices.refuse_reading();
        }
        indices
    }
}

/// The name of an operation: its struct's, in snake case.
pub(crate) fn op_name<O>() -> String {
    snake_case(std::any::type_name::<O>())
}

/// The last name of a type's path, in snake case.
fn snake_case(path: &str) -> String {
    let path = path.split('<').next().unwrap_or(path);
    let mut name = String::new();
    for c in path.rsplit("::").next().unwrap_or(path).chars() {
        if c.is_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.extend(c.to_lowercase());
    }
    name
}
