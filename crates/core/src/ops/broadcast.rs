//! Reshaping, broadcasting, and the sum that undoes a broadcast.

use crate::kernels;
use crate::op::{Cotangent, Op, Value};
use crate::shape::Axes;
use crate::tensor::reduce::sum;
use crate::{Float, Shape, ShapeError, Tensor};

/// The elements in row-major order under another shape. The memory is shared.
#[derive(Clone, Copy, Debug)]
pub struct Reshape {
    /// The new shape.
    pub to: Shape,
}

impl Op<1> for Reshape {
    crate::entry_points!(Op<1>);

    fn shape(&self, [x]: [Shape; 1]) -> Result<Shape, ShapeError> {
        let (to, before, after) = (self.to, x.numel(), self.to.numel());
        if before == after {
            return Ok(to);
        }
        Err(ShapeError::new(format!(
            "{x:?} to {to:?}: element counts differ ({before} and {after})"
        )))
    }
    fn forward<F: Float>(&self, [x]: [&Tensor<F>; 1], out: Shape) -> Tensor<F> {
        x.with_shape(out)
    }
    fn vjp<V: Value>(&self, _: usize, [x]: [&V; 1], _: &V, g: &V) -> V {
        V::apply(Reshape { to: x.shape() }, [g])
    }
}

/// The value repeated along axes of extent 1 and along new leading axes.
#[derive(Clone, Copy, Debug)]
pub struct Expand {
    /// The shape to broadcast to.
    pub to: Shape,
}

impl Op<1> for Expand {
    crate::entry_points!(Op<1>);

    fn shape(&self, [x]: [Shape; 1]) -> Result<Shape, ShapeError> {
        if x.expands_to(self.to) {
            return Ok(self.to);
        }
        Err(ShapeError::new(format!("{x:?} does not broadcast to {:?}", self.to)))
    }
    fn forward<F: Float>(&self, [x]: [&Tensor<F>; 1], out: Shape) -> Tensor<F> {
        x.broadcast_to(out)
    }
    fn vjp<V: Value>(&self, _: usize, [x]: [&V; 1], _: &V, g: &V) -> V {
        sum_to(g, x.shape())
    }
}

/// The sum over some axes.
#[derive(Clone, Copy, Debug)]
pub struct Sum {
    /// The axes summed over.
    pub axes: Axes,
    /// Whether they stay, with extent 1.
    pub keepdim: bool,
}

impl Op<1> for Sum {
    crate::entry_points!(Op<1>);

    fn shape(&self, [x]: [Shape; 1]) -> Result<Shape, ShapeError> {
        Ok(self.axes.reduced(x, self.keepdim))
    }
    fn forward<F: Float>(&self, [x]: [&Tensor<F>; 1], out: Shape) -> Tensor<F> {
        sum(x, self.axes).with_shape(out)
    }
    fn forward_into<F: Float>(&self, [x]: [&Tensor<F>; 1], y: &mut Tensor<F>) {
        let shape = x.shape();
        match self.axes.run() {
            Some(run) if shape.around(run.clone()).1 != 1 => {
                let (outer, n, inner) = shape.around(run);
                kernels::sum(x.as_slice(), outer, n, inner, y.overwrite(), false);
            }
            _ => *y = self.forward([x], y.shape()),
        }
    }
    fn vjp<V: Value>(&self, _: usize, [x]: [&V; 1], _: &V, g: &V) -> V {
        spread(g, self.axes, x.shape())
    }
    fn vjp_into<F: Float>(
        &self,
        _: usize,
        [x]: [&Tensor<F>; 1],
        _: &Tensor<F>,
        g: &Tensor<F>,
        into: Cotangent<'_, F>,
    ) {
        let to = x.shape();
        let strides = self.axes.kept(to).strides_in(&to);
        into.fill(|out| kernels::broadcast1(out, &to, g.as_slice(), &strides));
    }
}

/// Repeats a reduced value along the axes that were reduced, back to shape `to`.
pub(super) fn spread<V: Value>(reduced: &V, axes: Axes, to: Shape) -> V {
    let kept = axes.kept(to);
    if reduced.shape() == kept {
        V::apply(Expand { to }, [reduced])
    } else {
        V::apply(Expand { to }, [&V::apply(Reshape { to: kept }, [reduced])])
    }
}

/// Sums a value back to a shape that was broadcast to its own.
pub(crate) fn sum_to<V: Value>(x: &V, to: Shape) -> V {
    let from = x.shape();
    if from == to {
        return x.clone();
    }
    let axes = Axes::repeated(from, to);
    let summed = V::apply(Sum { axes, keepdim: true }, [x]);
    if from.rank() == to.rank() { summed } else { V::apply(Reshape { to }, [&summed]) }
}
