//! Methods that combine elements along axes: sums, extremes, statistics, softmax, running sums.

use super::fused::LogSoftmax;
use super::rearrange::{Narrow, PadZeros};
use super::reduce::{Max, Sum, mean, min, prod};
use super::scan::{Cumsum, Recurrence};
use super::statistics::{LogSumExp, norm, std, var};
use super::{MovementOps, UnaryOps};
use crate::op::Value;
use crate::shape::expect_shape;
use crate::{Axes, AxisList};

/// ReduceOps and scans, for tensors and variables. Axes may be counted from the end: `-1` is the
/// last. A shape mistake panics at the caller's line.
pub trait ReduceOps: Value {
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

    /// The smallest element, of shape `[]`. NaN wins; ties share the gradient evenly.
    ///
    /// # Panics
    /// If there are no elements.
    #[track_caller]
    fn min(&self) -> Self {
        min(self, Axes::all(self.shape()), false)
    }

    /// The smallest element over some axes, which stay with extent 1 if `keepdim`.
    ///
    /// # Panics
    /// If there are no elements along these axes.
    #[track_caller]
    fn min_axes(&self, axes: impl AxisList, keepdim: bool) -> Self {
        min(self, expect_shape("min_axes", Axes::of(self.shape(), axes)), keepdim)
    }

    /// The product of all elements, of shape `[]`; 1 if there are none. The derivatives are exact
    /// where elements are zero, too.
    #[track_caller]
    fn prod(&self) -> Self {
        prod(self, Axes::all(self.shape()), false)
    }

    /// The product over some axes, which stay with extent 1 if `keepdim`.
    #[track_caller]
    fn prod_axes(&self, axes: impl AxisList, keepdim: bool) -> Self {
        prod(self, expect_shape("prod_axes", Axes::of(self.shape(), axes)), keepdim)
    }

    /// The logarithm of softmax along the last axis.
    #[track_caller]
    fn log_softmax(&self) -> Self {
        Self::apply(LogSoftmax, [self])
    }

    /// The logarithm of softmax along one axis.
    ///
    /// # Panics
    /// If the axis does not exist.
    #[track_caller]
    fn log_softmax_axis(&self, axis: isize) -> Self {
        let axis = expect_shape("log_softmax", self.shape().axis(axis));
        if axis + 1 == self.shape().rank() {
            return self.log_softmax();
        }
        let axis = axis as isize;
        self.transpose(axis, -1).log_softmax().transpose(axis, -1)
    }

    /// Softmax along the last axis: positive, and each row sums to one.
    #[track_caller]
    fn softmax(&self) -> Self {
        self.log_softmax().exp()
    }

    /// Softmax along one axis.
    ///
    /// # Panics
    /// If the axis does not exist.
    #[track_caller]
    fn softmax_axis(&self, axis: isize) -> Self {
        let axis = expect_shape("softmax", self.shape().axis(axis));
        self.log_softmax_axis(axis as isize).exp()
    }

    /// The variance of all elements, of shape `[]`: the squared distances from the mean, summed and
    /// divided by their number less `correction` (1 for the unbiased estimate). NaN if that leaves
    /// nothing to divide by.
    #[track_caller]
    fn var(&self, correction: usize) -> Self {
        var(self, Axes::all(self.shape()), correction, false)
    }

    /// The variance over some axes, which stay with extent 1 if `keepdim`.
    #[track_caller]
    fn var_axes(&self, axes: impl AxisList, correction: usize, keepdim: bool) -> Self {
        var(self, expect_shape("var_axes", Axes::of(self.shape(), axes)), correction, keepdim)
    }

    /// The standard deviation of all elements, of shape `[]`: the root of [`ReduceOps::var`]. Where
    /// all elements are equal, its derivative is 0.
    #[track_caller]
    fn std(&self, correction: usize) -> Self {
        std(self, Axes::all(self.shape()), correction, false)
    }

    /// The standard deviation over some axes, which stay with extent 1 if `keepdim`.
    #[track_caller]
    fn std_axes(&self, axes: impl AxisList, correction: usize, keepdim: bool) -> Self {
        std(self, expect_shape("std_axes", Axes::of(self.shape(), axes)), correction, keepdim)
    }

    /// The p-norm of all elements, of shape `[]`: the p-th root of the sum of their magnitudes to the
    /// power of `p`, or the largest magnitude if `p` is infinite. Its derivative at 0 is 0.
    ///
    /// # Panics
    /// If `p` is not above 0, or if it is infinite and there are no elements.
    #[track_caller]
    fn norm(&self, p: f64) -> Self {
        norm(self, p, Axes::all(self.shape()), false)
    }

    /// The p-norm over some axes, which stay with extent 1 if `keepdim`; see [`ReduceOps::norm`].
    ///
    /// # Panics
    /// If `p` is not above 0, or if it is infinite and there are no elements along these axes.
    #[track_caller]
    fn norm_axes(&self, p: f64, axes: impl AxisList, keepdim: bool) -> Self {
        norm(self, p, expect_shape("norm_axes", Axes::of(self.shape(), axes)), keepdim)
    }

    /// `ln(sum(exp(x)))` of all elements, of shape `[]`, without overflow; -inf if there are none, or if
    /// all are -inf, and then with derivative 0.
    #[track_caller]
    fn logsumexp(&self) -> Self {
        Self::apply(LogSumExp { axes: Axes::all(self.shape()), keepdim: false }, [self])
    }

    /// `ln(sum(exp(x)))` over some axes, which stay with extent 1 if `keepdim`.
    #[track_caller]
    fn logsumexp_axes(&self, axes: impl AxisList, keepdim: bool) -> Self {
        let axes = expect_shape("logsumexp_axes", Axes::of(self.shape(), axes));
        Self::apply(LogSumExp { axes, keepdim }, [self])
    }

    /// The sum of each element and all before it along one axis; carried in double precision.
    ///
    /// # Panics
    /// If the axis does not exist.
    #[track_caller]
    fn cumsum(&self, axis: isize) -> Self {
        let axis = expect_shape("cumsum", self.shape().axis(axis));
        Self::apply(Cumsum { axis, reverse: false }, [self])
    }

    /// The product of each element and all before it along one axis; carried in double precision. The
    /// derivatives are exact where elements are zero, too.
    ///
    /// # Panics
    /// If the axis does not exist.
    #[track_caller]
    fn cumprod(&self, axis: isize) -> Self {
        let axis = expect_shape("cumprod", self.shape().axis(axis));
        let n = self.shape()[axis];
        let first = Self::apply(Narrow { axis, start: 0, len: n.min(1) }, [self]);
        let first = Self::apply(PadZeros { axis, start: 0, extent: n }, [&first]);
        Self::apply(Recurrence { axis, transposed: false }, [self, &first])
    }
}

impl<V: Value> ReduceOps for V {}
