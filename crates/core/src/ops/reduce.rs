//! Sums, products and extremes over axes.

use super::ReduceOps;
use super::binary::{EqualNan, Mul};
use super::elementwise::UnaryOps;
use super::rearrange::{Expand, Narrow, Reshape};
use crate::kernels;
use crate::op::{Op, Value};
use crate::shape::{Axes, expect_shape};
use crate::tensor::reduce::{fold, sum};
use crate::{Float, Shape, ShapeError, Tensor};

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
    fn forward<F: Float>(&self, [x]: [&Tensor<F>; 1], out: Shape) -> Tensor<F> {
        sum(x, self.axes).with_shape(out)
    }
    fn vjp<V: Value>(&self, _: usize, [x]: [&V; 1], _: &V, g: &V) -> V {
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
    fn forward<F: Float>(&self, [x]: [&Tensor<F>; 1], out: Shape) -> Tensor<F> {
        fold(x, self.axes, kernels::max).with_shape(out)
    }
    fn vjp<V: Value>(&self, _: usize, [x]: [&V; 1], y: &V, g: &V) -> V {
        let winners = V::apply(EqualNan, [x, &spread(y, self.axes, x.shape())]);
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

/// The mean; of nothing it is 0 * inf, which is NaN.
pub(super) fn mean<V: Value>(x: &V, axes: Axes, keepdim: bool) -> V {
    let count = axes.count(x.shape()) as f64;
    V::apply(Sum { axes, keepdim }, [x]).mul_scalar(count.recip())
}

/// The smallest: what is largest of the negatives, with the same ties and NaN.
#[track_caller]
pub(super) fn min<V: Value>(x: &V, axes: Axes, keepdim: bool) -> V {
    expect_shape("min", choosable(x.shape(), axes));
    V::apply(Max { axes, keepdim }, [&x.neg()]).neg()
}

/// The product: the last of the running products, axis after axis.
pub(super) fn prod<V: Value>(x: &V, axes: Axes, keepdim: bool) -> V {
    let shape = x.shape();
    let mut product = x.clone();
    for axis in (0..shape.rank()).rev().filter(|&axis| axes.contains(axis)) {
        product = if shape[axis] == 0 {
            // Nothing multiplies to 1, and stays connected to where nothing came from.
            V::apply(Sum { axes: Axes::one(axis), keepdim: true }, [&product]).add_scalar(1.0)
        } else {
            let running = product.cumprod(axis as isize);
            V::apply(Narrow { axis, start: shape[axis] - 1, len: 1 }, [&running])
        };
    }
    V::apply(Reshape { to: reduced(shape, axes, keepdim) }, [&product])
}
