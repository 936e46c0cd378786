//! Solutions and factorisations of the matrices of the last two axes.
//!
//! An operation has one result, so those with two return them in one tensor: `Q` above `R`, the eigenvalues above the
//! eigenvectors. Their derivatives then need no second factorisation.

use super::elementwise::Elementwise;
use super::matmul::{Matmul, MatmulOps};
use super::movement::MovementOps;
use super::rearrange::Triangle;
use super::reduce::ReduceOps;
use super::slice::Narrow;
use crate::kernels::linalg::{self, Elements, Triangular};
use crate::op::{Op, Value};
use crate::{Float, Shape, ShapeError, Tensor};

/// The rows and columns of a matrix, or an error for a vector or scalar.
pub(super) fn matrix(x: Shape) -> Result<[usize; 2], ShapeError> {
    match *x {
        [.., m, n] => Ok([m, n]),
        _ => Err(ShapeError::new(format!("{x:?} is not a matrix"))),
    }
}

/// The rows of a square matrix, or an error that names both extents.
fn square(x: Shape) -> Result<usize, ShapeError> {
    match matrix(x)? {
        [m, n] if m == n => Ok(n),
        [m, n] => Err(ShapeError::new(format!("{x:?} is not square ({m} rows, {n} columns)"))),
    }
}

/// Some rows of the matrices of the last two axes.
#[track_caller]
pub(super) fn rows_of<V: Value>(x: &V, start: usize, len: usize) -> V {
    V::apply(Narrow { axis: x.shape().rank() - 2, start, len }, [x])
}

/// Some columns of the matrices of the last two axes.
#[track_caller]
pub(super) fn columns_of<V: Value>(x: &V, start: usize, len: usize) -> V {
    V::apply(Narrow { axis: x.shape().rank() - 1, start, len }, [x])
}

/// The transposes of the matrices of the last two axes.
#[track_caller]
fn transposed<V: Value>(x: &V) -> V {
    x.transpose(-1, -2)
}

/// `a^T b`, without a copy of the transpose.
#[track_caller]
fn transposed_times<V: Value>(a: &V, b: &V) -> V {
    V::apply(Matmul { transpose_a: true, transpose_b: false }, [a, b])
}

/// The part of each matrix on and below (or above) a diagonal.
#[track_caller]
fn triangle<V: Value>(x: &V, upper: bool, diagonal: isize) -> V {
    V::apply(Triangle { upper, diagonal }, [x])
}

/// The shape of a solution: that of the right-hand side, or an error if the matrix does not fit it.
fn solution(a: Shape, b: Shape) -> Result<Shape, ShapeError> {
    let n = square(a)?;
    let Some(&rows) = b.get(b.rank().saturating_sub(2)) else {
        return Err(ShapeError::new(format!("{a:?} x = {b:?}: a scalar is not a matrix")));
    };
    if rows != n {
        return Err(ShapeError::new(format!(
            "{a:?} x = {b:?}: the number of rows differs ({n} and {rows})"
        )));
    }
    let [left, right] = [a, b].map(|x| x.leading(x.rank().saturating_sub(2)));
    match left.broadcast(right) {
        Ok(_) if b.rank() == a.rank() && left == right => Ok(b),
        Ok(_) => Err(ShapeError::new(format!(
            "{a:?} x = {b:?}: batches differ (use `LinalgOps`, which broadcasts them)"
        ))),
        Err(error) => Err(ShapeError::new(format!("{a:?} x = {b:?}: batches {error}"))),
    }
}

/// Computes a result of `len` elements from each matrix of `x`.
fn each<F: Float>(
    x: &Tensor<F>,
    out: Shape,
    len: usize,
    f: impl Fn(Elements, usize) -> Elements + Sync,
) -> Tensor<F> {
    let shape = x.shape();
    let (m, n) = (shape[shape.rank() - 2], shape[shape.rank() - 1]);
    let work = m.saturating_mul(n).saturating_mul(n);
    Tensor::written(out, |y| {
        linalg::each([(x.as_slice(), m * n)], y, len, work, |[x]| f(x, n));
    })
}

/// Computes one solution from each matrix of `a` and of `b`.
fn each_system<F: Float>(
    [a, b]: [&Tensor<F>; 2],
    out: Shape,
    f: impl Fn(Elements, Elements, usize) -> Elements + Sync,
) -> Tensor<F> {
    let [n, k] = [out[out.rank() - 2], out[out.rank() - 1]];
    let work = n.saturating_mul(n).saturating_mul(n.saturating_add(k));
    Tensor::written(out, |y| {
        let inputs = [(a.as_slice(), n * n), (b.as_slice(), n * k)];
        linalg::each(inputs, y, n * k, work, |[a, b]| f(a, b, n));
    })
}

/// The cotangent of the matrix of a system with solution `x`, given the cotangent of the right-hand side.
#[track_caller]
fn towards_matrix<V: Value>(transpose: bool, x: &V, towards_b: &V) -> V {
    let outer =
        if transpose { x.matmul_transposed(towards_b) } else { towards_b.matmul_transposed(x) };
    -outer
}

/// The solution `X` of `A X = B`, or of `A^T X = B`. NaN if `A` is singular.
#[derive(Clone, Copy, Debug)]
pub struct Solve {
    /// Whether the system is that of the transpose.
    pub transpose: bool,
}

impl Op<2> for Solve {
    crate::entry_points!(Op<2>);

    fn shape(&self, [a, b]: [Shape; 2]) -> Result<Shape, ShapeError> {
        solution(a, b)
    }
    fn forward<F: Float>(&self, x: [&Tensor<F>; 2], out: Shape) -> Tensor<F> {
        each_system(x, out, |a, b, n| {
            let a = if self.transpose { linalg::transposed(&a, n) } else { a };
            linalg::solve(a, b, n)
        })
    }
    fn vjp<V: Value>(&self, i: usize, [a, _]: [&V; 2], y: &V, g: &V) -> V {
        let towards_b = V::apply(Solve { transpose: !self.transpose }, [a, g]);
        if i == 1 { towards_b } else { towards_matrix(self.transpose, y, &towards_b) }
    }
}

/// The solution `X` of `T X = B`, or of `T^T X = B`, for a triangular matrix whose other triangle is not read. NaN if
/// the diagonal has a 0.
#[derive(Clone, Copy, Debug)]
pub struct SolveTriangular {
    /// Whether the upper triangle holds the matrix.
    pub upper: bool,
    /// Whether the system is that of the transpose.
    pub transpose: bool,
}

impl Op<2> for SolveTriangular {
    crate::entry_points!(Op<2>);

    fn shape(&self, [a, b]: [Shape; 2]) -> Result<Shape, ShapeError> {
        solution(a, b)
    }
    fn forward<F: Float>(&self, x: [&Tensor<F>; 2], out: Shape) -> Tensor<F> {
        let triangular = Triangular { upper: self.upper, transpose: self.transpose };
        each_system(x, out, |t, b, n| linalg::solve_triangular(&t, b, n, triangular))
    }
    fn vjp<V: Value>(&self, i: usize, [a, _]: [&V; 2], y: &V, g: &V) -> V {
        let Self { upper, transpose } = *self;
        let towards_b = V::apply(SolveTriangular { upper, transpose: !transpose }, [a, g]);
        if i == 1 {
            return towards_b;
        }
        triangle(&towards_matrix(transpose, y, &towards_b), upper, 0)
    }
}

/// The inverse. NaN if the matrix is singular.
#[derive(Clone, Copy, Debug)]
pub struct Inv;

impl Op<1> for Inv {
    crate::entry_points!(Op<1>);

    fn shape(&self, [x]: [Shape; 1]) -> Result<Shape, ShapeError> {
        square(x).map(|_| x)
    }
    fn forward<F: Float>(&self, [x]: [&Tensor<F>; 1], out: Shape) -> Tensor<F> {
        let n = out[out.rank() - 1];
        each(x, out, n * n, linalg::inv)
    }
    // The cotangent is -Y^T g Y^T.
    fn vjp<V: Value>(&self, _: usize, _: [&V; 1], y: &V, g: &V) -> V {
        -transposed_times(y, g).matmul_transposed(y)
    }
}

/// The determinant, as a matrix of one element: `[.., n, n]` to `[.., 1, 1]`.
#[derive(Clone, Copy, Debug)]
pub struct Det;

impl Op<1> for Det {
    crate::entry_points!(Op<1>);

    fn shape(&self, [x]: [Shape; 1]) -> Result<Shape, ShapeError> {
        square(x)?;
        x.leading(x.rank() - 2).followed_by(&[1, 1])
    }
    fn forward<F: Float>(&self, [x]: [&Tensor<F>; 1], out: Shape) -> Tensor<F> {
        each(x, out, 1, |x, n| Elements::from_slice(&[linalg::det(x, n)]))
    }
    fn vjp<V: Value>(&self, _: usize, [x]: [&V; 1], _: &V, g: &V) -> V {
        g.clone() * V::apply(Cofactors, [x])
    }
}

/// The matrix of cofactors, `det(A) A^-T` where `A` is regular; right for singular matrices as well.
#[derive(Clone, Copy, Debug)]
pub struct Cofactors;

impl Op<1> for Cofactors {
    crate::entry_points!(Op<1>);

    fn shape(&self, [x]: [Shape; 1]) -> Result<Shape, ShapeError> {
        square(x).map(|_| x)
    }
    fn forward<F: Float>(&self, [x]: [&Tensor<F>; 1], out: Shape) -> Tensor<F> {
        let n = out[out.rank() - 1];
        each(x, out, n * n, linalg::cofactors)
    }
    // The cotangent is (C <C, g> - C g^T C) / det(A).
    fn vjp<V: Value>(&self, _: usize, [x]: [&V; 1], y: &V, g: &V) -> V {
        if x.shape().last().is_some_and(|&n| n < 2) {
            return x.constant_like(x.shape(), 0.0);
        }
        let along = (y.clone() * g).sum_axes([-2, -1], true) * y;
        let across = y.matmul_transposed(g).matmul(y);
        (along - across) / V::apply(Det, [x])
    }
}

/// The sign of the determinant and the logarithm of its magnitude, as a row: `[.., n, n]` to `[.., 1, 2]`. The sign
/// counts as a constant.
#[derive(Clone, Copy, Debug)]
pub struct SlogDet;

impl Op<1> for SlogDet {
    crate::entry_points!(Op<1>);

    fn shape(&self, [x]: [Shape; 1]) -> Result<Shape, ShapeError> {
        square(x)?;
        x.leading(x.rank() - 2).followed_by(&[1, 2])
    }
    fn forward<F: Float>(&self, [x]: [&Tensor<F>; 1], out: Shape) -> Tensor<F> {
        each(x, out, 2, |x, n| Elements::from_slice(&linalg::slogdet(x, n)))
    }
    fn vjp<V: Value>(&self, _: usize, [x]: [&V; 1], _: &V, g: &V) -> V {
        columns_of(g, 1, 1) * transposed(&V::apply(Inv, [x]))
    }
}

/// The lower triangular factor `L` with `L L^T = A`, of the symmetric part of `A`. NaN if that is not positive definite.
#[derive(Clone, Copy, Debug)]
pub struct Cholesky;

impl Op<1> for Cholesky {
    crate::entry_points!(Op<1>);

    fn shape(&self, [x]: [Shape; 1]) -> Result<Shape, ShapeError> {
        square(x).map(|_| x)
    }
    fn forward<F: Float>(&self, [x]: [&Tensor<F>; 1], out: Shape) -> Tensor<F> {
        let n = out[out.rank() - 1];
        each(x, out, n * n, linalg::cholesky)
    }
    // The cotangent is L^-T S L^-1. S is symmetric, and its lower triangle is half that of L^T g (Murray 2016,
    // section 3.2).
    fn vjp<V: Value>(&self, _: usize, _: [&V; 1], y: &V, g: &V) -> V {
        let product = transposed_times(y, g);
        let lower = triangle(&product, false, 0);
        let middle = (lower + transposed(&triangle(&product, false, -1))) * 0.5;
        let half = SolveTriangular { upper: false, transpose: true };
        let left = V::apply(half, [y, &middle]);
        V::apply(half, [y, &transposed(&left)])
    }
}

/// `Q` above `R` with `Q R = A`, from `[.., m, n]` with `m >= n` to `[.., m + n, n]`. `Q` has orthonormal columns, `R` is
/// upper triangular. The signs are those of LAPACK.
#[derive(Clone, Copy, Debug)]
pub struct Qr;

impl Op<1> for Qr {
    crate::entry_points!(Op<1>);

    fn shape(&self, [x]: [Shape; 1]) -> Result<Shape, ShapeError> {
        match matrix(x)? {
            [m, n] if m >= n => x.with(x.rank() - 2, m.saturating_add(n)),
            _ => Err(ShapeError::new(format!(
                "{x:?} has more columns than rows (use `LinalgOps::qr`)"
            ))),
        }
    }
    fn forward<F: Float>(&self, [x]: [&Tensor<F>; 1], out: Shape) -> Tensor<F> {
        let len = out[out.rank() - 2] * out[out.rank() - 1];
        each(x, out, len, |x, n| linalg::qr(&x, n))
    }
    // The cotangent is (gQ + Q S) R^-T. S is symmetric, and its upper triangle is that of gR R^T - Q^T gQ
    // (Walter and Lehmann 2012).
    fn vjp<V: Value>(&self, _: usize, [x]: [&V; 1], y: &V, g: &V) -> V {
        let (m, n) = (x.shape()[x.shape().rank() - 2], x.shape()[x.shape().rank() - 1]);
        let [(q, r), (towards_q, towards_r)] = [y, g].map(|x| (rows_of(x, 0, m), rows_of(x, m, n)));
        let difference = towards_r.matmul_transposed(&r) - transposed_times(&q, &towards_q);
        let symmetric =
            triangle(&difference, true, 0) + transposed(&triangle(&difference, true, 1));
        let sum = towards_q + q.matmul(&symmetric);
        let upper = SolveTriangular { upper: true, transpose: false };
        transposed(&V::apply(upper, [&r, &transposed(&sum)]))
    }
}

/// The eigenvalues of the symmetric part in ascending order, above the matrix whose columns are the eigenvectors: from
/// `[.., n, n]` to `[.., n + 1, n]`.
#[derive(Clone, Copy, Debug)]
pub struct Eigh;

impl Op<1> for Eigh {
    crate::entry_points!(Op<1>);

    fn shape(&self, [x]: [Shape; 1]) -> Result<Shape, ShapeError> {
        let n = square(x)?;
        x.with(x.rank() - 2, n.saturating_add(1))
    }
    fn forward<F: Float>(&self, [x]: [&Tensor<F>; 1], out: Shape) -> Tensor<F> {
        let n = out[out.rank() - 1];
        each(x, out, (n + 1) * n, linalg::eigh)
    }
    // The cotangent is V (diag(gw) + (V^T gV) * F) V^T, made symmetric, with F[i, j] = 1 / (w[j] - w[i]) beside the
    // diagonal (Giles 2008, section 3.1). Where V has no cotangent, equal eigenvalues do no harm.
    fn vjp<V: Value>(&self, _: usize, [x]: [&V; 1], y: &V, g: &V) -> V {
        let n = x.shape()[x.shape().rank() - 1];
        if x.shape().numel() == 0 {
            return x.constant_like(x.shape(), 0.0);
        }
        let [(w, v), (towards_w, towards_v)] = [y, g].map(|x| (rows_of(x, 0, 1), rows_of(x, 1, n)));
        let ones = x.constant_like([n, n].into(), 1.0);
        let eye = triangle(&triangle(&ones, true, 0), false, 0);
        // One is added on the diagonal and subtracted again: nothing is divided by 0 there.
        let gaps = w.clone() - transposed(&w) + &eye;
        let inverse = V::apply(super::functions::Recip, [&gaps]) - &eye;
        let rotation = transposed_times(&v, &towards_v).mul_no_nan(&inverse);
        let product = (v.clone() * towards_w + v.matmul(&rotation)).matmul_transposed(&v);
        (transposed(&product) + product) * 0.5
    }
}
