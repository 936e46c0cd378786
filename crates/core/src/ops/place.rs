//! Slices of one value put back to their places, all at once.

use crate::op::{ManyOp, Value};
use crate::ops::{IndexSelect, Narrow};
use crate::{Float, Indices, Shape, ShapeError, Tensor};

/// A part of a value along one axis.
#[derive(Clone, Debug)]
pub enum Slice {
    /// Indices in a sequence.
    Narrow(Narrow),
    /// The slices at these indices.
    Select(IndexSelect, Indices),
}

/// The inputs added to zeros of shape `to`, each at its own slice: the cotangent of a value that is read slice by
/// slice. One array takes all of them, where the transposes of [`Narrow`] and [`IndexSelect`] make one each.
#[derive(Clone, Debug)]
pub struct PlaceSlices {
    /// The shape of the result.
    pub to: Shape,
    /// The slice of each input.
    pub slices: Vec<Slice>,
}

impl ManyOp for PlaceSlices {
    crate::entry_points!(ManyOp);

    fn shape(&self, x: &[Shape]) -> Result<Shape, ShapeError> {
        let (slices, inputs) = (self.slices.len(), x.len());
        if slices != inputs {
            return Err(ShapeError::new(format!("{inputs} inputs for {slices} slices")));
        }
        for (place, (slice, x)) in self.slices.iter().zip(x).enumerate() {
            let expected = slice.shape(self.to)?;
            if expected != *x {
                return Err(ShapeError::new(format!(
                    "input {place} of shape {x:?} for a slice of shape {expected:?} in {:?}",
                    self.to
                )));
            }
        }
        Ok(self.to)
    }
    fn forward<F: Float>(&self, x: &[&Tensor<F>], out: Shape) -> Tensor<F> {
        Tensor::written(out, |y| {
            y.fill(F::ZERO);
            for (slice, x) in self.slices.iter().zip(x) {
                slice.add(out, x, y);
            }
        })
    }
    fn vjp<V: Value>(&self, i: usize, _: &[&V], _: &V, g: &V) -> V {
        self.slices[i].take(g)
    }
}

impl Slice {
    fn shape(&self, of: Shape) -> Result<Shape, ShapeError> {
        use crate::op::{IndexOp, Op};
        match self {
            Slice::Narrow(narrow) => narrow.shape([of]),
            Slice::Select(select, indices) => select.shape(of, indices),
        }
    }

    /// Adds `x` to this slice of `y`, which has shape `of`.
    fn add<F: Float>(&self, of: Shape, x: &Tensor<F>, y: &mut [F]) {
        match self {
            Slice::Narrow(narrow) => narrow.add(of, x, y),
            Slice::Select(select, indices) => select.transposed(of).add(of, indices, x, y),
        }
    }

    /// The slice of a value.
    fn take<V: Value>(&self, x: &V) -> V {
        match self {
            Slice::Narrow(narrow) => V::apply(*narrow, [x]),
            Slice::Select(select, indices) => {
                V::apply_indexed(*select, x, &x.indices(indices.clone()))
            }
        }
    }
}
