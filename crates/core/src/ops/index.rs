//! Operations that read positions.

use crate::op::{IndexOp, Value};
use crate::{Float, Indices, Shape, ShapeError, Tensor};

/// One element of each row along the last axis: from `[.., n]` and positions `[..]` to `[..]`.
#[derive(Clone, Copy, Debug)]
pub struct Pick;

impl IndexOp for Pick {
    fn shape(&self, x: Shape, index: &Indices) -> Result<Shape, ShapeError> {
        match x.split_last() {
            Some((&n, rows)) if *rows == *index.shape() => {
                index.check_below(n)?;
                Ok(index.shape())
            }
            _ => {
                let index = index.shape();
                Err(ShapeError::new(format!(
                    "{x:?} at {index:?} (one position to a row is needed)"
                )))
            }
        }
    }
    fn forward<F: Float>(&self, x: &Tensor<F>, index: &Indices, out: Shape) -> Tensor<F> {
        let (n, x) = (x.shape()[out.rank()], x.as_slice());
        Tensor::written(out, |y| {
            for (row, (y, &position)) in y.iter_mut().zip(index.as_slice()).enumerate() {
                *y = x[row * n + position];
            }
        })
    }
    fn vjp<V: Value>(&self, x: &V, index: &V::Index, _: &V, g: &V) -> V {
        V::apply_indexed(PlaceOneHot { n: x.shape()[g.shape().rank()] }, g, index)
    }
}

/// Each element placed into a row of `n` zeros, at its position: the transpose of [`Pick`].
#[derive(Clone, Copy, Debug)]
pub struct PlaceOneHot {
    /// The length of the rows.
    pub n: usize,
}

impl IndexOp for PlaceOneHot {
    fn shape(&self, x: Shape, index: &Indices) -> Result<Shape, ShapeError> {
        if x != index.shape() {
            let index = index.shape();
            return Err(ShapeError::new(format!("{x:?} at {index:?} (the shapes must agree)")));
        }
        index.check_below(self.n)?;
        x.followed_by(&[self.n])
    }
    fn forward<F: Float>(&self, x: &Tensor<F>, index: &Indices, out: Shape) -> Tensor<F> {
        Tensor::written(out, |y| {
            y.fill(F::ZERO);
            for (row, (&x, &position)) in x.as_slice().iter().zip(index.as_slice()).enumerate() {
                y[row * self.n + position] = x;
            }
        })
    }
    fn vjp<V: Value>(&self, _: &V, index: &V::Index, _: &V, g: &V) -> V {
        V::apply_indexed(Pick, g, index)
    }
}
