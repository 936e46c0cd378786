//! Elements chosen along an axis by the order of their keys: sorted, the first few of them, running extremes.
//!
//! Which elements are chosen is computed from the keys whenever it is needed, so a tape can run again on other
//! leaves. The choice itself has no derivative.

use crate::kernels::{self, Choice};
use crate::op::{Op, Value};
use crate::{Float, Shape, ShapeError, Tensor};

/// The elements of the first input at the places that the second input, the keys, chooses.
#[derive(Clone, Copy, Debug)]
pub struct TakeChosen(pub(super) Chosen);

/// Each element of the first input added to zeros at the place that the second input, the keys, chooses: the
/// transpose of [`TakeChosen`].
#[derive(Clone, Copy, Debug)]
pub struct PutChosen(Chosen);

/// A choice along one axis.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chosen {
    pub(super) axis: usize,
    pub(super) choice: Choice,
}

impl Chosen {
    /// The shape of the elements chosen by keys of this shape.
    fn shape(&self, keys: Shape) -> Result<Shape, ShapeError> {
        let n = keys[keys.axis(self.axis as isize)?];
        let count = self.choice.count(n);
        if count > n {
            return Err(ShapeError::new(format!(
                "{count} elements along axis {} of {keys:?}, which has {n}",
                self.axis
            )));
        }
        keys.with(self.axis, count)
    }

    /// Calls `visit` with the offset of each chosen element among the chosen ones, and among all.
    fn each<F: Float>(&self, keys: &Tensor<F>, mut visit: impl FnMut(usize, usize)) {
        let (_, n, inner) = keys.shape().around(self.axis..self.axis + 1);
        let places = kernels::choose(keys.as_slice(), n, inner, self.choice);
        let chosen = (self.choice.count(n) * inner).max(1);
        for (slab, places) in places.chunks_exact(chosen).enumerate() {
            for (i, place) in places.iter().enumerate() {
                visit(slab * chosen + i, (slab * n + place) * inner + i % inner);
            }
        }
    }
}

impl Op<2> for TakeChosen {
    crate::entry_points!(Op<2>);

    fn shape(&self, [x, keys]: [Shape; 2]) -> Result<Shape, ShapeError> {
        if x != keys {
            return Err(ShapeError::new(format!("{x:?} and keys {keys:?} must be equal")));
        }
        self.0.shape(keys)
    }
    fn forward<F: Float>(&self, [x, keys]: [&Tensor<F>; 2], out: Shape) -> Tensor<F> {
        let x = x.as_slice();
        Tensor::written(out, |y| self.0.each(keys, |i, at| y[i] = x[at]))
    }
    fn vjp<V: Value>(&self, i: usize, [_, keys]: [&V; 2], _: &V, g: &V) -> V {
        match i {
            0 => V::apply(PutChosen(self.0), [g, keys]),
            _ => keys.constant_like(keys.shape(), 0.0),
        }
    }
}

impl Op<2> for PutChosen {
    crate::entry_points!(Op<2>);

    fn shape(&self, [x, keys]: [Shape; 2]) -> Result<Shape, ShapeError> {
        let chosen = self.0.shape(keys)?;
        if x != chosen {
            return Err(ShapeError::new(format!("expected shape {chosen:?}, found {x:?}")));
        }
        Ok(keys)
    }
    fn forward<F: Float>(&self, [x, keys]: [&Tensor<F>; 2], out: Shape) -> Tensor<F> {
        let x = x.as_slice();
        Tensor::written(out, |y| {
            y.fill(F::ZERO);
            self.0.each(keys, |i, at| y[at] += x[i]);
        })
    }
    fn vjp<V: Value>(&self, i: usize, [_, keys]: [&V; 2], _: &V, g: &V) -> V {
        match i {
            0 => V::apply(TakeChosen(self.0), [g, keys]),
            _ => keys.constant_like(keys.shape(), 0.0),
        }
    }
}
