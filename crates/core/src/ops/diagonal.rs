//! Triangles and diagonals of matrices.

use crate::op::{Op, Value};
use crate::{Float, Shape, ShapeError, Tensor};

/// The matrices of the last two axes, with zeros on one side of a diagonal; `diagonal` counts upwards
/// from the main one. It is linear and its own transpose.
#[derive(Clone, Copy, Debug)]
pub struct Triangle {
    /// Whether what lies on the diagonal and above it is kept, or what lies on it and below.
    pub upper: bool,
    /// 0 is the main diagonal, 1 the next above it, -1 the next below.
    pub diagonal: isize,
}

impl Op<1> for Triangle {
    fn shape(&self, [x]: [Shape; 1]) -> Result<Shape, ShapeError> {
        if x.rank() < 2 { Err(ShapeError::new(format!("{x:?} is no matrix"))) } else { Ok(x) }
    }
    fn forward<F: Float>(&self, [x]: [&Tensor<F>; 1], out: Shape) -> Tensor<F> {
        let (rows, columns) = (out[out.rank() - 2], out[out.rank() - 1]);
        Tensor::written(out, |y| {
            y.copy_from_slice(x.as_slice());
            for (i, row) in y.chunks_exact_mut(columns.max(1)).enumerate() {
                let border = (i % rows) as isize + self.diagonal + isize::from(!self.upper);
                let border = border.clamp(0, columns as isize) as usize;
                let zeros = if self.upper { &mut row[..border] } else { &mut row[border..] };
                zeros.fill(F::ZERO);
            }
        })
    }
    fn vjp<V: Value>(&self, _: usize, _: [&V; 1], _: &V, g: &V) -> V {
        V::apply(*self, [g])
    }
}
