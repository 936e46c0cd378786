//! Linear interpolation along one axis.

use crate::kernels::{self, Interpolation};
use crate::op::{Op, Value};
use crate::{Float, Shape, ShapeError, Tensor};

/// Linear interpolation of one axis, to `to` elements.
///
/// The axis is a segment that its elements divide into equal cells, with the elements at their centres. The new
/// elements divide the same segment; those before the first centre or behind the last repeat that element. With
/// `align_corners` the first and the last elements coincide instead, and the others lie evenly between them.
#[derive(Clone, Copy, Debug)]
pub struct Interpolate {
    /// The axis.
    pub axis: usize,
    /// The new extent of the axis.
    pub to: usize,
    /// Whether the first and last elements coincide with those of the input.
    pub align_corners: bool,
}

/// The transpose of [`Interpolate`]: each element shared among the two that it lies between.
#[derive(Clone, Copy, Debug)]
pub struct InterpolateBackward {
    /// The interpolation.
    pub of: Interpolate,
    /// The extent of its input along the axis.
    pub input: usize,
}

impl Interpolate {
    /// The interpolation of shape `x`.
    fn plan(&self, x: Shape) -> Interpolation {
        let (_, input, inner) = x.around(self.axis..self.axis + 1);
        Interpolation { input, output: self.to, align_corners: self.align_corners, inner }
    }
}

impl Op<1> for Interpolate {
    crate::entry_points!(Op<1>);

    fn shape(&self, [x]: [Shape; 1]) -> Result<Shape, ShapeError> {
        match x.get(self.axis) {
            None => Err(ShapeError::new(format!("axis {} does not exist in {x:?}", self.axis))),
            Some(0) if self.to > 0 => {
                Err(ShapeError::new(format!("axis {} of {x:?} is empty", self.axis)))
            }
            _ => x.with(self.axis, self.to),
        }
    }
    fn forward<F: Float>(&self, [x]: [&Tensor<F>; 1], out: Shape) -> Tensor<F> {
        let by = self.plan(x.shape());
        Tensor::written(out, |y| kernels::interpolate(by, x.as_slice(), y))
    }
    fn vjp<V: Value>(&self, _: usize, [x]: [&V; 1], _: &V, g: &V) -> V {
        V::apply(InterpolateBackward { of: *self, input: x.shape()[self.axis] }, [g])
    }
}

impl Op<1> for InterpolateBackward {
    crate::entry_points!(Op<1>);

    fn shape(&self, [g]: [Shape; 1]) -> Result<Shape, ShapeError> {
        let Interpolate { axis, to, .. } = self.of;
        match g.get(axis) {
            Some(&extent) if extent == to && (self.input > 0 || to == 0) => {
                g.with(axis, self.input)
            }
            _ => {
                Err(ShapeError::new(format!("expected {to} elements in axis {axis}, found {g:?}")))
            }
        }
    }
    fn forward<F: Float>(&self, [g]: [&Tensor<F>; 1], out: Shape) -> Tensor<F> {
        let by = self.of.plan(out);
        Tensor::written(out, |x| kernels::interpolate_backward(by, g.as_slice(), x))
    }
    fn vjp<V: Value>(&self, _: usize, _: [&V; 1], _: &V, c: &V) -> V {
        V::apply(self.of, [c])
    }
}
