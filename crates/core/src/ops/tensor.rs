//! The methods that arrays and variables have in common, besides the elementwise functions.

use super::elementwise::Elementary;
use super::fused::LogSoftmax;
use super::rearrange::{Concat, Expand, Narrow, Permute, Reshape};
use super::reduce::{Max, Sum, mean};
use crate::Shape;
use crate::op::{Op, Value};
use crate::shape::{Axes, AxisList, expect_shape};

/// Reductions and rearrangements, alike for arrays and for variables. Axes may be counted from the
/// end: `-1` is the last. A shape mistake panics at the caller's line.
pub trait TensorMath: Value {
    /// The sum of all elements, of shape `[]`; 0 if there are none.
    #[track_caller]
    fn sum(&self) -> Self {
        Self::apply(Sum { axes: Axes::all(self.shape()), keepdim: false }, [self])
    }

    /// The sum over some axes, which stay with extent 1 if `keepdim`.
    #[track_caller]
    fn sum_axes(&self, axes: impl AxisList, keepdim: bool) -> Self {
        let axes = expect_shape("sum_axes", Axes::of(self.shape(), axes));
        Self::apply(Sum { axes, keepdim }, [self])
    }

    /// The mean of all elements, of shape `[]`; NaN if there are none.
    #[track_caller]
    fn mean(&self) -> Self {
        mean(self, Axes::all(self.shape()), false)
    }

    /// The mean over some axes, which stay with extent 1 if `keepdim`.
    #[track_caller]
    fn mean_axes(&self, axes: impl AxisList, keepdim: bool) -> Self {
        mean(self, expect_shape("mean_axes", Axes::of(self.shape(), axes)), keepdim)
    }

    /// The largest element, of shape `[]`. NaN wins; ties share the gradient evenly.
    ///
    /// # Panics
    /// If there are no elements.
    #[track_caller]
    fn max(&self) -> Self {
        Self::apply(Max { axes: Axes::all(self.shape()), keepdim: false }, [self])
    }

    /// The largest element over some axes, which stay with extent 1 if `keepdim`.
    ///
    /// # Panics
    /// If there are no elements along these axes.
    #[track_caller]
    fn max_axes(&self, axes: impl AxisList, keepdim: bool) -> Self {
        let axes = expect_shape("max_axes", Axes::of(self.shape(), axes));
        Self::apply(Max { axes, keepdim }, [self])
    }

    /// The logarithm of softmax along the last axis.
    #[track_caller]
    fn log_softmax(&self) -> Self {
        Self::apply(LogSoftmax, [self])
    }

    /// Softmax along the last axis: positive, and each row sums to one.
    #[track_caller]
    fn softmax(&self) -> Self {
        self.log_softmax().exp()
    }

    /// The same elements in row-major order under another shape.
    #[track_caller]
    fn reshape(&self, shape: impl Into<Shape>) -> Self {
        Self::apply(Reshape { to: shape.into() }, [self])
    }

    /// The value repeated along axes of extent 1, and along new leading axes, into `shape`.
    #[track_caller]
    fn expand(&self, shape: impl Into<Shape>) -> Self {
        Self::apply(Expand { to: shape.into() }, [self])
    }

    /// The axes in another order: axis `k` of the result is axis `order[k]` of this.
    #[track_caller]
    fn permute<const N: usize>(&self, order: [isize; N]) -> Self {
        let shape = self.shape();
        let axis = |axis| expect_shape("permute", shape.axis(axis));
        Self::apply(Permute { order: Shape::from(order.map(axis)) }, [self])
    }

    /// Two axes exchanged.
    #[track_caller]
    fn transpose(&self, a: isize, b: isize) -> Self {
        let shape = self.shape();
        let (a, b) =
            (expect_shape("transpose", shape.axis(a)), expect_shape("transpose", shape.axis(b)));
        let identity = (0..shape.rank()).fold(shape, |order, axis| order.with(axis, axis));
        Self::apply(Permute { order: identity.with(a, b).with(b, a) }, [self])
    }

    /// Positions `start..start + len` of one axis.
    #[track_caller]
    fn narrow(&self, axis: isize, start: usize, len: usize) -> Self {
        let axis = expect_shape("narrow", self.shape().axis(axis));
        Self::apply(Narrow { axis, start, len }, [self])
    }

    /// Applies an operation of one input, such as one of your own.
    #[track_caller]
    fn apply_op(&self, op: impl Op<1>) -> Self {
        Self::apply(op, [self])
    }

    /// The parts one after the other along one axis.
    ///
    /// # Panics
    /// If there are no parts, or if they differ in another extent.
    #[track_caller]
    fn concat(parts: &[Self], axis: isize) -> Self {
        let Some(first) = parts.first() else { panic!("concat: there are no parts") };
        let axis = expect_shape("concat", first.shape().axis(axis));
        let parts = parts.iter().collect::<smallvec::SmallVec<[&Self; 8]>>();
        Self::apply_many(Concat { axis }, &parts)
    }
}

impl<V: Value> TensorMath for V {}
