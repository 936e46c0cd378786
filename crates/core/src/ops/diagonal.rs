//! Triangles and diagonals of matrices.

use super::rearrange::Reshape;
use super::slice::{Spaced, Strided};
use crate::op::{Op, Value};
use crate::shape::expect_shape;
use crate::{Array, Float, Shape, ShapeError};

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
    fn forward<F: Float>(&self, [x]: [&Array<F>; 1], out: Shape) -> Array<F> {
        let (rows, columns) = (out[out.rank() - 2], out[out.rank() - 1]);
        Array::written(out, |y| {
            y.copy_from_slice(x.as_slice());
            for (i, row) in y.chunks_exact_mut(columns.max(1)).enumerate() {
                let border = (i % rows) as isize + self.diagonal + isize::from(!self.upper);
                let border = border.clamp(0, columns as isize) as usize;
                let zeros = if self.upper { &mut row[..border] } else { &mut row[border..] };
                zeros.fill(F::ZERO);
            }
        })
    }
    fn pull<V: Value>(&self, _: usize, _: [&V; 1], _: &V, g: &V) -> V {
        V::apply(*self, [g])
    }
}

/// Triangles and diagonals, alike for arrays and for variables. A diagonal is counted upwards from the
/// main one, which is 0. A shape mistake panics at the caller's line.
pub trait Diagonals: Value {
    /// The matrices of the last two axes with zeros above a diagonal.
    ///
    /// # Panics
    /// If there are fewer than two axes.
    #[track_caller]
    fn tril(&self, diagonal: isize) -> Self {
        expect_shape("tril", Triangle { upper: false, diagonal }.shape([self.shape()]));
        Self::apply(Triangle { upper: false, diagonal }, [self])
    }

    /// The matrices of the last two axes with zeros below a diagonal.
    ///
    /// # Panics
    /// If there are fewer than two axes.
    #[track_caller]
    fn triu(&self, diagonal: isize) -> Self {
        expect_shape("triu", Triangle { upper: true, diagonal }.shape([self.shape()]));
        Self::apply(Triangle { upper: true, diagonal }, [self])
    }

    /// A diagonal of a matrix, from `[m, n]` to a vector; or the square matrix of zeros that has this
    /// vector on its diagonal, from `[n]` to `[n + |diagonal|, n + |diagonal|]`.
    ///
    /// # Panics
    /// If this is neither a vector nor a matrix.
    #[track_caller]
    fn diag(&self, diagonal: isize) -> Self {
        let shape = self.shape();
        let offset = diagonal.unsigned_abs();
        // In row-major order, neighbours on a diagonal are one row and one column apart.
        let start = |columns: usize| if diagonal < 0 { offset * columns } else { offset };
        match *shape {
            [n] => {
                let side = n + offset;
                let (start, step) = (start(side), side as isize + 1);
                let flat = Spaced { axis: 0, start, step, extent: side * side };
                Self::apply(Reshape { to: [side, side].into() }, [&Self::apply(flat, [self])])
            }
            [rows, columns] => {
                let (long, short) = if diagonal < 0 { (rows, columns) } else { (columns, rows) };
                let len = long.saturating_sub(offset).min(short);
                let flat = Self::apply(Reshape { to: [rows * columns].into() }, [self]);
                let (start, step) = (start(columns), columns as isize + 1);
                Self::apply(Strided { axis: 0, start, step, len }, [&flat])
            }
            _ => panic!("diag: {shape:?} is neither a vector nor a matrix"),
        }
    }
}

impl<V: Value> Diagonals for V {}
