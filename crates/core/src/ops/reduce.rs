//! Methods that combine elements along axes: sums, extremes, statistics, softmax, cumulative sums.

use super::broadcast::Sum;
use super::movement::MovementOps;
use super::order::chosen;
use super::scan::{Cumsum, cumprod, prod};
use super::softmax::{LogSoftmax, LogSumExp, Softmax};
use super::statistics::{Max, mean, min, norm, not_empty, std, var};
use crate::error::expect_shape;
use crate::kernels::Choice;
use crate::op::{Op, Value};
use crate::shape::{Axes, AxisList};

/// Reductions and scans, for tensors and variables.
///
/// A method without `axes` reduces all elements to shape `[]`. The axes of the others may be counted from the
/// end (`-1` is the last); with `keepdim` they stay with extent 1, without it they are removed.
///
/// ```
/// use wengert_core::{ReduceOps, Tensor};
///
/// let x = Tensor::<f64>::from([[1.0, 2.0], [3.0, 5.0]]);
/// assert_eq!(x.sum().item(), 11.0);
/// assert_eq!(x.mean_axes(-1, true), Tensor::from([[1.5], [4.0]]));
/// assert_eq!(x.max_axes(0, false), Tensor::from([3.0, 5.0]));
/// assert_eq!(x.cumsum(1), Tensor::from([[1.0, 3.0], [3.0, 8.0]]));
/// ```
///
/// # Panics
/// Every method panics at the caller's line if an axis does not exist or is named twice.
pub trait ReduceOps: Value {
    /// Sums all elements; 0 if there are none.
    #[track_caller]
    fn sum(&self) -> Self {
        Self::apply(Sum { axes: Axes::all(self.shape()), keepdim: false }, [self])
    }

    /// Sums over some axes.
    #[track_caller]
    fn sum_axes(&self, axes: impl AxisList, keepdim: bool) -> Self {
        let axes = expect_shape!(Axes::of(self.shape(), axes));
        Self::apply(Sum { axes, keepdim }, [self])
    }

    /// Returns the mean of all elements; NaN if there are none.
    #[track_caller]
    fn mean(&self) -> Self {
        mean(self, Axes::all(self.shape()), false)
    }

    /// Returns the mean over some axes.
    #[track_caller]
    fn mean_axes(&self, axes: impl AxisList, keepdim: bool) -> Self {
        mean(self, expect_shape!(Axes::of(self.shape(), axes)), keepdim)
    }

    /// Returns the largest element. NaN wins; ties share the gradient evenly.
    ///
    /// # Panics
    /// If there are no elements.
    #[track_caller]
    fn max(&self) -> Self {
        Self::apply(Max { axes: Axes::all(self.shape()), keepdim: false }, [self])
    }

    /// Returns the largest element over some axes. NaN wins; ties share the gradient evenly.
    ///
    /// # Panics
    /// If there are no elements along these axes.
    #[track_caller]
    fn max_axes(&self, axes: impl AxisList, keepdim: bool) -> Self {
        let axes = expect_shape!(Axes::of(self.shape(), axes));
        Self::apply(Max { axes, keepdim }, [self])
    }

    /// Returns the smallest element. NaN wins; ties share the gradient evenly.
    ///
    /// # Panics
    /// If there are no elements.
    #[track_caller]
    fn min(&self) -> Self {
        let axes = Axes::all(self.shape());
        expect_shape!(not_empty(self.shape(), axes));
        min(self, axes, false)
    }

    /// Returns the smallest element over some axes. NaN wins; ties share the gradient evenly.
    ///
    /// # Panics
    /// If there are no elements along these axes.
    #[track_caller]
    fn min_axes(&self, axes: impl AxisList, keepdim: bool) -> Self {
        let axes = expect_shape!(Axes::of(self.shape(), axes));
        expect_shape!(not_empty(self.shape(), axes));
        min(self, axes, keepdim)
    }

    /// Multiplies all elements; 1 if there are none. The derivatives are exact where elements are zero.
    #[track_caller]
    fn prod(&self) -> Self {
        prod(self, Axes::all(self.shape()), false)
    }

    /// Multiplies over some axes. The derivatives are exact where elements are zero.
    #[track_caller]
    fn prod_axes(&self, axes: impl AxisList, keepdim: bool) -> Self {
        prod(self, expect_shape!(Axes::of(self.shape(), axes)), keepdim)
    }

    /// Returns the logarithm of softmax along the last axis, without overflow.
    ///
    /// # Panics
    /// On a scalar.
    #[track_caller]
    fn log_softmax(&self) -> Self {
        Self::apply(LogSoftmax, [self])
    }

    /// Returns the logarithm of softmax along one axis, without overflow.
    #[track_caller]
    fn log_softmax_axis(&self, axis: isize) -> Self {
        let axis = expect_shape!(self.shape().axis(axis));
        along(LogSoftmax, self, axis)
    }

    /// Returns the softmax along the last axis: positive elements that sum to 1 in each row.
    ///
    /// # Panics
    /// On a scalar.
    #[track_caller]
    fn softmax(&self) -> Self {
        Self::apply(Softmax, [self])
    }

    /// Returns the softmax along one axis: positive elements that sum to 1.
    #[track_caller]
    fn softmax_axis(&self, axis: isize) -> Self {
        let axis = expect_shape!(self.shape().axis(axis));
        along(Softmax, self, axis)
    }

    /// Returns the variance of all elements: the sum of squared distances from the mean, divided by the number
    /// of elements minus `correction` (1 for the unbiased estimate). NaN if the divisor is not positive.
    #[track_caller]
    fn var(&self, correction: usize) -> Self {
        var(self, Axes::all(self.shape()), correction, false)
    }

    /// Returns the variance over some axes; `correction` is subtracted from the divisor, as in [`var`](Self::var).
    #[track_caller]
    fn var_axes(&self, axes: impl AxisList, correction: usize, keepdim: bool) -> Self {
        var(self, expect_shape!(Axes::of(self.shape(), axes)), correction, keepdim)
    }

    /// Returns the standard deviation of all elements, the root of [`var`](Self::var). Where all elements are
    /// equal, its derivative is 0.
    #[track_caller]
    fn std(&self, correction: usize) -> Self {
        std(self, Axes::all(self.shape()), correction, false)
    }

    /// Returns the standard deviation over some axes, the root of [`var_axes`](Self::var_axes). Where all
    /// elements are equal, its derivative is 0.
    #[track_caller]
    fn std_axes(&self, axes: impl AxisList, correction: usize, keepdim: bool) -> Self {
        std(self, expect_shape!(Axes::of(self.shape(), axes)), correction, keepdim)
    }

    /// Returns the p-norm of all elements, `(sum |x|^p)^(1/p)`, or the largest magnitude if `p` is infinite. The
    /// derivative at 0 is 0.
    ///
    /// # Panics
    /// If `p` is not above 0, or if it is infinite and there are no elements.
    #[track_caller]
    fn norm(&self, p: f64) -> Self {
        expect_shape!(norm(self, p, Axes::all(self.shape()), false))
    }

    /// Returns the p-norm over some axes, `(sum |x|^p)^(1/p)`, or the largest magnitude if `p` is infinite. The
    /// derivative at 0 is 0.
    ///
    /// # Panics
    /// If `p` is not above 0, or if it is infinite and there are no elements along these axes.
    #[track_caller]
    fn norm_axes(&self, p: f64, axes: impl AxisList, keepdim: bool) -> Self {
        let axes = expect_shape!(Axes::of(self.shape(), axes));
        expect_shape!(norm(self, p, axes, keepdim))
    }

    /// Returns `ln(sum(exp(x)))` of all elements, without overflow; -inf with derivative 0 if there are none or
    /// all are -inf.
    #[track_caller]
    fn logsumexp(&self) -> Self {
        Self::apply(LogSumExp { axes: Axes::all(self.shape()), keepdim: false }, [self])
    }

    /// Returns `ln(sum(exp(x)))` over some axes, without overflow; -inf with derivative 0 where all elements
    /// are -inf.
    #[track_caller]
    fn logsumexp_axes(&self, axes: impl AxisList, keepdim: bool) -> Self {
        let axes = expect_shape!(Axes::of(self.shape(), axes));
        Self::apply(LogSumExp { axes, keepdim }, [self])
    }

    /// Returns the cumulative sums along one axis; they are carried in double precision.
    #[track_caller]
    fn cumsum(&self, axis: isize) -> Self {
        let axis = expect_shape!(self.shape().axis(axis));
        Self::apply(Cumsum { axis, reverse: false }, [self])
    }

    /// Returns the cumulative products along one axis; they are carried in double precision. The derivatives
    /// are exact where elements are zero.
    #[track_caller]
    fn cumprod(&self, axis: isize) -> Self {
        cumprod(self, expect_shape!(self.shape().axis(axis)))
    }

    /// Returns for each element the largest up to it along one axis; NaN wins. The last of equal elements gets the
    /// gradient ([`torch.cummax`](https://docs.pytorch.org/docs/stable/generated/torch.cummax.html)).
    #[track_caller]
    fn cummax(&self, axis: isize) -> Self {
        let axis = expect_shape!(self.shape().axis(axis));
        chosen(self, self, axis, Choice::Running { smallest: false })
    }

    /// Returns for each element the smallest up to it along one axis; NaN wins. The last of equal elements gets the
    /// gradient ([`torch.cummin`](https://docs.pytorch.org/docs/stable/generated/torch.cummin.html)).
    #[track_caller]
    fn cummin(&self, axis: isize) -> Self {
        let axis = expect_shape!(self.shape().axis(axis));
        chosen(self, self, axis, Choice::Running { smallest: true })
    }
}

impl<V: Value> ReduceOps for V {}

/// Applies an operation on the last axis along another one.
#[track_caller]
fn along<V: Value>(op: impl Op<1>, x: &V, axis: usize) -> V {
    if axis + 1 == x.shape().rank() {
        return V::apply(op, [x]);
    }
    let axis = axis as isize;
    V::apply(op, [&x.transpose(axis, -1)]).transpose(axis, -1)
}
