//! The matrix product.

use crate::kernels;
use crate::op::{Cotangent, Op, Value};
use crate::{Float, Shape, ShapeError, Tensor};

/// The product of matrices, or of batches of them that broadcast: `[.., m, k] x [.., k, n]`, each
/// operand transposed on the way in if its flag says so. Closed under differentiation, so that
/// nothing is ever copied to be transposed.
#[derive(Clone, Copy, Debug)]
pub struct Matmul {
    /// The left operand is stored `[.., k, m]`.
    pub transpose_a: bool,
    /// The right operand is stored `[.., n, k]`.
    pub transpose_b: bool,
}

/// The last two extents in the order in which the product sees them.
fn matrix(x: Shape, transpose: bool) -> (usize, usize) {
    let (rows, columns) = (x[x.rank() - 2], x[x.rank() - 1]);
    if transpose { (columns, rows) } else { (rows, columns) }
}

/// The extents in front of the matrix.
fn batch(x: Shape) -> Shape {
    Shape::new(&x[..x.rank() - 2])
}

impl Matmul {
    /// `y (+)= a b` over a batch of products.
    fn multiply<F: Float>(
        &self,
        a: &Tensor<F>,
        b: &Tensor<F>,
        out: Shape,
        y: &mut [F],
        accumulate: bool,
    ) {
        let (m, k) = matrix(a.shape(), self.transpose_a);
        let n = out[out.rank() - 1];
        let product = |a: &[F], b: &[F], y: &mut [F]| {
            kernels::matmul(m, n, k, a, self.transpose_a, b, self.transpose_b, y, accumulate);
        };
        if out.rank() == 2 {
            return product(a.as_slice(), b.as_slice(), y);
        }
        let (a_batch, b_batch, y_batch) = (batch(a.shape()), batch(b.shape()), batch(out));
        let (a_strides, b_strides) = (a_batch.strides_in(&y_batch), b_batch.strides_in(&y_batch));
        let (a, b) = (a.as_slice(), b.as_slice());
        let mut position = y_batch.iter().map(|_| 0).collect::<smallvec::SmallVec<[usize; 8]>>();
        for y in y.chunks_exact_mut((m * n).max(1)) {
            let offset =
                |strides: Shape| position.iter().zip(&*strides).map(|(p, s)| p * s).sum::<usize>();
            product(
                &a[offset(a_strides) * m * k..][..m * k],
                &b[offset(b_strides) * k * n..][..k * n],
                y,
            );
            for axis in (0..position.len()).rev() {
                position[axis] += 1;
                if position[axis] < y_batch[axis] {
                    break;
                }
                position[axis] = 0;
            }
        }
    }

    /// The product whose value is the cotangent of operand `i`, and its operands.
    fn transposed<'a, T>(&self, i: usize, a: &'a T, b: &'a T, g: &'a T) -> (Self, [&'a T; 2]) {
        let of = |transpose_a, transpose_b| Self { transpose_a, transpose_b };
        match (i, self.transpose_a, self.transpose_b) {
            (0, false, tb) => (of(false, !tb), [g, b]),
            (0, true, tb) => (of(tb, true), [b, g]),
            (_, ta, false) => (of(!ta, false), [a, g]),
            (_, ta, true) => (of(true, ta), [g, a]),
        }
    }
}

impl Op<2> for Matmul {
    fn shape(&self, [a, b]: [Shape; 2]) -> Result<Shape, ShapeError> {
        let unchained = |k, inner| {
            Err(ShapeError::new(format!("{a:?} x {b:?} do not chain ({k} against {inner})")))
        };
        if a.rank() < 2 || b.rank() < 2 {
            // Vectors arrive here only from `Var::matmul`, to have their mistake worded.
            return match (a.last(), b.get(b.rank().saturating_sub(2))) {
                (Some(&k), Some(&inner)) if k != inner => unchained(k, inner),
                _ => Err(ShapeError::new(format!("{a:?} x {b:?} are not both matrices"))),
            };
        }
        let ((m, k), (inner, n)) = (matrix(a, self.transpose_a), matrix(b, self.transpose_b));
        if k != inner {
            return unchained(k, inner);
        }
        match batch(a).broadcast(batch(b)) {
            Ok(batch) => batch.followed_by(&[m, n]),
            Err(error) => Err(ShapeError::new(format!("{a:?} x {b:?}, batches {error}"))),
        }
    }

    fn forward<F: Float>(&self, [a, b]: [&Tensor<F>; 2], out: Shape) -> Tensor<F> {
        Tensor::written(out, |y| self.multiply(a, b, out, y, false))
    }

    fn multiply_adds(&self, [a, _]: [Shape; 2], out: Shape) -> u64 {
        (out.numel() * matrix(a, self.transpose_a).1) as u64
    }

    fn vjp<V: Value>(&self, i: usize, [a, b]: [&V; 2], _: &V, g: &V) -> V {
        let (product, operands) = self.transposed(i, a, b, g);
        V::apply(product, operands)
    }

    fn vjp_into<F: Float>(
        &self,
        i: usize,
        [a, b]: [&Tensor<F>; 2],
        y: &Tensor<F>,
        g: &Tensor<F>,
        into: Cotangent<'_, F>,
    ) {
        if batch(a.shape()) != batch(b.shape()) {
            return into.add(self.vjp(i, [a, b], y, g));
        }
        let (product, [left, right]) = self.transposed(i, a, b, g);
        let out = into.shape();
        into.write(|sum, accumulate| product.multiply(left, right, out, sum, accumulate));
    }
}
