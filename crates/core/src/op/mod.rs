//! All that somebody who adds an operation needs to know.
//!
//! An operation is a struct that implements [`Op`]: a shape, a forward on arrays, and a
//! vector-Jacobian product written over any [`Value`]. Where the value is an [`Tensor`] nothing is
//! recorded (first order, fast); where it is a variable the derivative is recorded too, and
//! derivatives of any order follow.

use std::fmt::Debug;
use std::ops::{Add, Div, Mul, Neg, Sub};

#[doc(hidden)]
pub mod entry;

use crate::entry_points;
use crate::shape::Axes;
use crate::{Float, Indices, Shape, ShapeError, Tensor};

/// A differentiable operation of `N` inputs.
///
/// The fields hold only what depends on no value (axes, flags, constants, shapes), so that a
/// recorded tape gives the right answer when it runs again on other leaves. The operation's name in
/// messages is the struct's, in snake case.
pub trait Op<const N: usize>: Debug + Clone + Send + Sync + 'static {
    /// Output shape, or what is wrong: the one place where this operation's shape mistake is worded.
    fn shape(&self, x: [Shape; N]) -> Result<Shape, ShapeError>;

    /// The value, of shape `out`, which is what [`Op::shape`] answered.
    fn forward<F: Float>(&self, x: [&Tensor<F>; N], out: Shape) -> Tensor<F>;

    /// Vector-Jacobian product towards input `i`: from the inputs, the output `y` and the output's
    /// cotangent `g`. It may have any shape to which input `i` broadcasts; whoever asks sums it back.
    fn vjp<V: Value>(&self, i: usize, x: [&V; N], y: &V, g: &V) -> V;

    /// What the operation does to derivatives; with anything but [`Flow::Through`], [`Op::vjp`] is
    /// never called.
    fn flow(&self) -> Flow {
        Flow::Through
    }

    /// Multiply-adds of [`Op::forward`], for [`eval_shape`](crate::eval_shape()): what products and convolutions
    /// cost. A bias counts as one more summand; what acts on each element by itself counts nothing.
    fn multiply_adds(&self, x: [Shape; N], out: Shape) -> u64 {
        let _ = (x, out);
        0
    }

    /// [`Op::vjp`] for the first order only, written straight to where it is gathered: an override
    /// for speed that must give the same numbers.
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

    entry_points!(Op<N>);
}

/// What an operation does to derivatives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Flow {
    /// They pass, by the rule.
    Through,
    /// They stop, on purpose: the output counts as a constant.
    Stopped,
    /// There are none: applying the operation to a value that needs one panics.
    Missing,
}

/// A differentiable operation of any number of inputs; see [`Op`] for the methods.
pub trait ManyOp: Debug + Clone + Send + Sync + 'static {
    /// As [`Op::shape`].
    fn shape(&self, x: &[Shape]) -> Result<Shape, ShapeError>;
    /// As [`Op::forward`].
    fn forward<F: Float>(&self, x: &[&Tensor<F>], out: Shape) -> Tensor<F>;
    /// As [`Op::vjp`].
    fn vjp<V: Value>(&self, i: usize, x: &[&V], y: &V, g: &V) -> V;

    entry_points!(ManyOp);
}

/// A differentiable operation of one input that also reads positions, which are a leaf of the tape
/// of their own; see [`Op`] for the methods.
pub trait IndexOp: Debug + Clone + Send + Sync + 'static {
    /// As [`Op::shape`]; also where a position out of range is reported.
    fn shape(&self, x: Shape, index: &Indices) -> Result<Shape, ShapeError>;
    /// As [`Op::forward`].
    fn forward<F: Float>(&self, x: &Tensor<F>, index: &Indices, out: Shape) -> Tensor<F>;
    /// As [`Op::vjp`].
    fn vjp<V: Value>(&self, x: &V, index: &V::Index, y: &V, g: &V) -> V;

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
    + for<'a> Add<&'a Self, Output = Self>
    + for<'a> Sub<&'a Self, Output = Self>
    + for<'a> Mul<&'a Self, Output = Self>
    + for<'a> Div<&'a Self, Output = Self>
{
}

impl<F: Float> Arithmetic for Tensor<F> {}

/// What operations apply to: an [`Tensor`], which computes, or a variable on a tape, which computes
/// and records.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is neither a tensor nor a variable",
    note = "a parameter becomes a variable with `tape.param(&p)`"
)]
pub trait Value: Arithmetic {
    /// What stands for [`Indices`] in this world.
    type Index: Clone;

    /// The shape of this value.
    fn shape(&self) -> Shape;

    /// Applies an operation.
    ///
    /// # Panics
    /// At the caller's line, with what [`Op::shape`] says is wrong.
    #[track_caller]
    fn apply<const N: usize>(op: impl Op<N>, x: [&Self; N]) -> Self;

    /// Applies an operation of any number of inputs, at least one.
    #[track_caller]
    fn apply_many(op: impl ManyOp, x: &[&Self]) -> Self;

    /// Applies an operation that reads positions.
    #[track_caller]
    fn apply_indexed(op: impl IndexOp, x: &Self, index: &Self::Index) -> Self;

    /// A constant of this shape in the same world.
    #[track_caller]
    fn constant_like(&self, shape: Shape, value: f64) -> Self;

    /// These indices in the same world.
    #[track_caller]
    fn indices(&self, indices: Indices) -> Self::Index;

    /// Applies an operation of one input, such as one of your own.
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

    fn indices(&self, indices: Indices) -> Indices {
        indices
    }
}

/// Where the cotangent of one input is gathered.
#[derive(Debug)]
pub struct Cotangent<'a, F: Float> {
    shape: Shape,
    gathered: &'a mut Option<Tensor<F>>,
}

impl<'a, F: Float> Cotangent<'a, F> {
    pub(crate) fn new(shape: Shape, gathered: &'a mut Option<Tensor<F>>) -> Self {
        Self { shape, gathered }
    }

    /// Adds a contribution. What was broadcast on the way forward is summed back here, and only here.
    pub fn add(self, g: Tensor<F>) {
        let from = g.shape();
        let g = if from == self.shape {
            g
        } else {
            crate::tensor::reduce::sum(&g, Axes::repeated(from, self.shape)).with_shape(self.shape)
        };
        match self.gathered {
            None => *self.gathered = Some(g),
            Some(sum) => {
                crate::kernels::zip1(sum.as_mut_slice(), g.as_slice(), |sum, g| *sum += g);
            }
        }
    }

    /// Lets `f` write the contribution in row-major order: over arbitrary values if its second
    /// argument is `false`, by adding to what is there if it is `true`.
    pub fn write(self, f: impl FnOnce(&mut [F], bool)) {
        match self.gathered {
            None => *self.gathered = Some(Tensor::written(self.shape, |out| f(out, false))),
            Some(sum) => f(sum.as_mut_slice(), true),
        }
    }

    /// The shape of the input whose cotangent this is.
    pub fn shape(&self) -> Shape {
        self.shape
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
