//! Sums, products and extremes over axes.

use super::binary::{Mul, Same};
use super::elementwise::Elementary;
use super::fused::LogSoftmax;
use super::rearrange::{Expand, Narrow, Rearrangements, Reshape};
use super::scan::Scans;
use crate::fold::{fold, sum};
use crate::kernels;
use crate::op::{Op, Value};
use crate::shape::{Axes, AxisList, expect_shape};
use crate::{Array, Float, Shape, ShapeError};

/// The sum over some axes, each kept with extent 1 or removed.
#[derive(Clone, Copy, Debug)]
pub struct Sum {
    /// The axes summed over.
    pub axes: Axes,
    /// Whether they stay, with extent 1.
    pub keepdim: bool,
}

impl Op<1> for Sum {
    fn shape(&self, [x]: [Shape; 1]) -> Result<Shape, ShapeError> {
        Ok(reduced(x, self.axes, self.keepdim))
    }
    fn forward<F: Float>(&self, [x]: [&Array<F>; 1], out: Shape) -> Array<F> {
        sum(x, self.axes).with_shape(out)
    }
    fn pull<V: Value>(&self, _: usize, [x]: [&V; 1], _: &V, g: &V) -> V {
        spread(g, self.axes, x.shape())
    }
}

/// The largest element over some axes, each kept with extent 1 or removed; NaN wins. Ties share the
/// cotangent evenly.
#[derive(Clone, Copy, Debug)]
pub struct Max {
    /// The axes searched.
    pub axes: Axes,
    /// Whether they stay, with extent 1.
    pub keepdim: bool,
}

impl Op<1> for Max {
    fn shape(&self, [x]: [Shape; 1]) -> Result<Shape, ShapeError> {
        choosable(x, self.axes)?;
        Ok(reduced(x, self.axes, self.keepdim))
    }
    fn forward<F: Float>(&self, [x]: [&Array<F>; 1], out: Shape) -> Array<F> {
        fold(x, self.axes, kernels::max).with_shape(out)
    }
    fn pull<V: Value>(&self, _: usize, [x]: [&V; 1], y: &V, g: &V) -> V {
        let winners = V::apply(Same, [x, &spread(y, self.axes, x.shape())]);
        let ties = V::apply(Sum { axes: self.axes, keepdim: true }, [&winners]);
        let g = V::apply(Reshape { to: ties.shape() }, [g]);
        V::apply(Mul, [&winners, &(g / ties)])
    }
}

/// An error if there is nothing to choose from along `axes`.
pub(super) fn choosable(x: Shape, axes: Axes) -> Result<(), ShapeError> {
    if axes.count(x) == 0 {
        return Err(ShapeError::new(format!("{x:?} has no elements to choose from")));
    }
    Ok(())
}

pub(super) fn reduced(x: Shape, axes: Axes, keepdim: bool) -> Shape {
    if keepdim { axes.kept(x) } else { axes.removed(x) }
}

/// Repeats a reduced value along the axes that it lost, back to shape `to`.
fn spread<V: Value>(reduced: &V, axes: Axes, to: Shape) -> V {
    let kept = axes.kept(to);
    if reduced.shape() == kept {
        V::apply(Expand { to }, [reduced])
    } else {
        V::apply(Expand { to }, [&V::apply(Reshape { to: kept }, [reduced])])
    }
}

/// Sums a value back to a shape that had been broadcast to its own.
pub(crate) fn sum_to<V: Value>(x: &V, to: Shape) -> V {
    let from = x.shape();
    if from == to {
        return x.clone();
    }
    let axes = Axes::repeated(from, to);
    let summed = V::apply(Sum { axes, keepdim: true }, [x]);
    if from.rank() == to.rank() { summed } else { V::apply(Reshape { to }, [&summed]) }
}

/// Reductions, alike for arrays and for variables. Axes may be counted from the end: `-1` is the last.
/// A shape mistake panics at the caller's line.
pub trait Reductions: Value {
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
}

impl<V: Value> Reductions for V {}

/// The mean; of nothing it is 0 * inf, which is NaN.
fn mean<V: Value>(x: &V, axes: Axes, keepdim: bool) -> V {
    let count = axes.count(x.shape()) as f64;
    V::apply(Sum { axes, keepdim }, [x]).scale(count.recip())
}

/// The smallest: what is largest of the negatives, with the same ties and NaN.
#[track_caller]
fn min<V: Value>(x: &V, axes: Axes, keepdim: bool) -> V {
    expect_shape("min", choosable(x.shape(), axes));
    V::apply(Max { axes, keepdim }, [&x.negate()]).negate()
}

/// The product: the last of the running products, axis after axis.
fn prod<V: Value>(x: &V, axes: Axes, keepdim: bool) -> V {
    let shape = x.shape();
    let mut product = x.clone();
    for axis in (0..shape.rank()).rev().filter(|&axis| axes.contains(axis)) {
        product = if shape[axis] == 0 {
            // Nothing multiplies to 1, and stays connected to where nothing came from.
            V::apply(Sum { axes: Axes::one(axis), keepdim: true }, [&product]).offset(1.0)
        } else {
            let running = product.cumprod(axis as isize);
            V::apply(Narrow { axis, start: shape[axis] - 1, len: 1 }, [&running])
        };
    }
    V::apply(Reshape { to: reduced(shape, axes, keepdim) }, [&product])
}
