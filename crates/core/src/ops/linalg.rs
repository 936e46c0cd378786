//! Methods of linear algebra on the matrices of the last two axes.

use super::factor::{
    Cholesky, Det, Eigh, Inv, Qr, SlogDet, Solve, SolveTriangular, columns_of, matrix, rows_of,
};
use super::matmul::MatmulOps;
use super::movement::MovementOps;
use super::operand::Operand;
use crate::Shape;
use crate::error::expect_shape;
use crate::op::{Op, Value};

/// Dense linear algebra, for tensors and variables.
///
/// A matrix stands in the last two axes; leading axes are batches. The factorisations are computed in double precision
/// and rounded once. They are meant for matrices of up to some hundred rows.
///
/// A matrix without an answer, such as a singular one in [`inv`](Self::inv), gives NaN in all elements of its result,
/// where NumPy and PyTorch raise an error; the other matrices of a batch are not affected.
/// [`gradients_checked`](crate::gradients_checked) names the operation. A matrix that is nearly singular gives large
/// numbers with few correct digits.
///
/// ```
/// use wengert_core::{LinalgOps, MatmulOps, Tensor};
///
/// let a = Tensor::<f64>::from([[4.0, 2.0], [2.0, 5.0]]);
/// assert_eq!(a.cholesky(), Tensor::from([[2.0, 0.0], [1.0, 2.0]]));
/// assert_eq!(a.solve(Tensor::from([8.0, 12.0])), Tensor::from([1.0, 2.0]));
/// assert_eq!(a.det(), Tensor::scalar(16.0));
/// ```
///
/// # Panics
/// Every method panics at the caller's line if the shapes do not fit.
pub trait LinalgOps: Value {
    /// Returns the solution `x` of `self x = b`, for a square matrix and `b` `[.., n, k]`, or a vector `b` `[n]`. The
    /// batches broadcast
    /// ([`torch.linalg.solve`](https://docs.pytorch.org/docs/stable/generated/torch.linalg.solve.html)).
    #[track_caller]
    fn solve(&self, b: impl Operand<Self>) -> Self {
        system(Solve { transpose: false }, self, &b.beside(self))
    }

    /// Returns the solution `x` of `self x = b` for a triangular matrix, of which the other triangle is not read
    /// ([`torch.linalg.solve_triangular`](https://docs.pytorch.org/docs/stable/generated/torch.linalg.solve_triangular.html)).
    /// `b` is as in [`solve`](Self::solve).
    #[track_caller]
    fn solve_triangular(&self, b: impl Operand<Self>, upper: bool) -> Self {
        system(SolveTriangular { upper, transpose: false }, self, &b.beside(self))
    }

    /// Returns the inverse of a square matrix
    /// ([`torch.linalg.inv`](https://docs.pytorch.org/docs/stable/generated/torch.linalg.inv.html)). A product with an
    /// inverse is slower and less accurate than [`solve`](Self::solve).
    #[track_caller]
    fn inv(&self) -> Self {
        Self::apply(Inv, [self])
    }

    /// Returns the determinant of a square matrix, from `[.., n, n]` to `[..]`
    /// ([`torch.linalg.det`](https://docs.pytorch.org/docs/stable/generated/torch.linalg.det.html)). The first
    /// derivative is exact for singular matrices as well; further ones are NaN there.
    #[track_caller]
    fn det(&self) -> Self {
        let det = Self::apply(Det, [self]);
        let shape = det.shape();
        det.reshape(shape.leading(shape.rank() - 2))
    }

    /// Returns the sign of the determinant and the logarithm of its magnitude, each from `[.., n, n]` to `[..]`. A
    /// singular matrix has sign 0 and logarithm -inf
    /// ([`torch.linalg.slogdet`](https://docs.pytorch.org/docs/stable/generated/torch.linalg.slogdet.html)). The sign
    /// has no gradient.
    #[track_caller]
    fn slogdet(&self) -> (Self, Self) {
        let both = Self::apply(SlogDet, [self]);
        let batch = both.shape().leading(both.shape().rank() - 2);
        (columns_of(&both, 0, 1).reshape(batch), columns_of(&both, 1, 1).reshape(batch))
    }

    /// Returns the lower triangular `L` with `L L^T = self`, for a symmetric positive definite matrix
    /// ([`torch.linalg.cholesky`](https://docs.pytorch.org/docs/stable/generated/torch.linalg.cholesky.html)). Of a
    /// matrix that is not symmetric, the symmetric part `(A + A^T) / 2` is taken, so the gradient is symmetric.
    #[track_caller]
    fn cholesky(&self) -> Self {
        Self::apply(Cholesky, [self])
    }

    /// Returns `(Q, R)` with `Q R = self`, from `[.., m, n]` to `[.., m, k]` and `[.., k, n]`, `k` the smaller of `m` and
    /// `n`: the columns of `Q` are orthonormal, `R` is upper triangular
    /// ([`torch.linalg.qr`](https://docs.pytorch.org/docs/stable/generated/torch.linalg.qr.html)). The signs are those of
    /// LAPACK. The derivative is NaN if the first `k` columns are linearly dependent.
    #[track_caller]
    fn qr(&self) -> (Self, Self) {
        let [m, n] = expect_shape!(matrix(self.shape()));
        let k = m.min(n);
        let first = if n > k { columns_of(self, 0, k) } else { self.clone() };
        let packed = Self::apply(Qr, [&first]);
        let (q, r) = (rows_of(&packed, 0, m), rows_of(&packed, m, k));
        if n == k {
            return (q, r);
        }
        let rest = q.transpose(-1, -2).matmul(columns_of(self, k, n - k));
        let r = Self::concat(&[&r, &rest], -1);
        (q, r)
    }

    /// Returns the eigenvalues of a symmetric matrix in ascending order, `[.., n]`, and the matrix whose columns are
    /// the eigenvectors, `[.., n, n]`
    /// ([`torch.linalg.eigh`](https://docs.pytorch.org/docs/stable/generated/torch.linalg.eigh.html)). Of a matrix that
    /// is not symmetric, the symmetric part `(A + A^T) / 2` is taken, so the gradient is symmetric.
    ///
    /// The sign of an eigenvector is arbitrary: a loss should not depend on it. The derivative of eigenvectors is NaN
    /// or infinite where eigenvalues are equal, and so is the second derivative of the eigenvalues.
    #[track_caller]
    fn eigh(&self) -> (Self, Self) {
        let [n, _] = expect_shape!(matrix(self.shape()));
        let packed = Self::apply(Eigh, [self]);
        (eigenvalues(&packed), rows_of(&packed, 1, n))
    }

    /// Returns the eigenvalues of a symmetric matrix in ascending order, from `[.., n, n]` to `[.., n]`; see
    /// [`eigh`](Self::eigh).
    #[track_caller]
    fn eigvalsh(&self) -> Self {
        eigenvalues(&Self::apply(Eigh, [self]))
    }
}

impl<V: Value> LinalgOps for V {}

/// The first row of what [`Eigh`] returns.
#[track_caller]
fn eigenvalues<V: Value>(packed: &V) -> V {
    let row = rows_of(packed, 0, 1);
    row.squeeze(-2)
}

/// Applies an operation to a matrix and a right-hand side, whose batches broadcast.
#[track_caller]
fn system<V: Value>(op: impl Op<2>, a: &V, b: &V) -> V {
    let (left, right) = (a.shape(), b.shape());
    if left.rank() < 2 || right.rank() == 0 {
        return V::apply(op, [a, b]);
    }
    if let [n] = *right {
        // Of shapes that do not fit, the message shows the user's own.
        if left[left.rank() - 1] != n {
            return V::apply(op, [a, b]);
        }
        return system(op, a, &b.reshape([n, 1])).squeeze(-1);
    }
    let batch = |shape: Shape| shape.leading(shape.rank() - 2);
    if batch(left) == batch(right) {
        return V::apply(op, [a, b]);
    }
    let Ok(wide) = batch(left).broadcast(batch(right)) else {
        return V::apply(op, [a, b]);
    };
    let expanded = |x: &V, shape: Shape| {
        let to = wide.followed_by(&shape[shape.rank() - 2..]);
        to.map(|to| x.expand(to))
    };
    let (a, b) = (expect_shape!(expanded(a, left)), expect_shape!(expanded(b, right)));
    V::apply(op, [&a, &b])
}
