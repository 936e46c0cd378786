//! Factorisations of small dense matrices, in double precision for both precisions.
//!
//! A matrix of single precision is widened, factorised and rounded once. So there is one copy of each loop, and the
//! only error of a result in single precision is that of its last rounding and of the conditioning. Matrices are
//! row-major, and the inner loops run along rows.
//!
//! A matrix without an answer, such as a singular one, gives NaN in all elements. A NaN in a matrix is never lost.

mod eigh;
mod lu;
mod qr;
mod triangular;

use smallvec::SmallVec;

use super::reduce::dot_chunk;
use super::{batch, vectorized};
use crate::float::Float;

pub(crate) use eigh::eigh;
pub(crate) use lu::{cofactors, det, inv, slogdet, solve};
pub(crate) use qr::qr;
pub(crate) use triangular::{Triangular, cholesky, solve_triangular};

/// The elements of a matrix; up to 8 x 8 on the stack.
pub(crate) type Elements = SmallVec<[f64; 64]>;

/// Computes each result of a batch, of `len` elements, from a matrix of each input: a slice and the elements of one
/// matrix. `work` is the number of multiplications of one result.
pub(crate) fn each<F: Float, const N: usize>(
    inputs: [(&[F], usize); N],
    out: &mut [F],
    len: usize,
    work: usize,
    f: impl Fn([Elements; N]) -> Elements + Sync,
) {
    batch(out, len, work, |number, out| {
        let load = |(x, len): (&[F], usize)| {
            x[number * len..][..len].iter().map(|x| x.to_f64()).collect::<Elements>()
        };
        let result = f(inputs.map(load));
        out.iter_mut().zip(&result).for_each(|(out, &x)| *out = F::of(x));
    });
}

/// A result without an answer.
fn nothing(len: usize) -> Elements {
    SmallVec::from_elem(f64::NAN, len)
}

/// The transpose of a matrix with rows of this length.
pub(crate) fn transposed(x: &[f64], columns: usize) -> Elements {
    let rows = x.len().checked_div(columns).unwrap_or(0);
    (0..x.len()).map(|i| x[i % rows * columns + i / rows]).collect()
}

/// `y -= factor(0) x[0] + factor(1) x[1] + ..` for rows of `x`, which start `stride` apart and are at least as long as
/// `y`. Four rows at a time, so that `y` is read and written a quarter as often.
#[inline(always)]
fn subtract(y: &mut [f64], x: &[f64], stride: usize, count: usize, factor: impl Fn(usize) -> f64) {
    let (n, fours) = (y.len(), count - count % 4);
    for p in (0..fours).step_by(4) {
        let row = |q: usize| &x[(p + q) * stride..][..n];
        let f = [factor(p), factor(p + 1), factor(p + 2), factor(p + 3)];
        let (a, b, c, d) = (row(0), row(1), row(2), row(3));
        for i in 0..n {
            y[i] -= f[0] * a[i] + f[1] * b[i] + f[2] * c[i] + f[3] * d[i];
        }
    }
    for p in fours..count {
        let f = factor(p);
        y.iter_mut().zip(&x[p * stride..][..n]).for_each(|(y, x)| *y -= f * x);
    }
}

/// Makes a Householder reflection `1 - tau v v'` that maps `x` to a multiple of the first unit vector. Replaces `x` by
/// `v`, whose first element is 1, and returns the multiple and `tau` (LAPACK's `dlarfg`).
#[inline(always)]
fn reflection(x: &mut [f64]) -> (f64, f64) {
    let Some((first, rest)) = x.split_first_mut() else { return (0.0, 0.0) };
    let alpha = std::mem::replace(first, 1.0);
    let largest =
        rest.iter().fold(0.0, |largest: f64, x| if x.abs() > largest { x.abs() } else { largest });
    if largest == 0.0 {
        // A NaN is not larger than 0, and must not be lost.
        return (rest.iter().fold(alpha, |alpha, x| alpha + x * 0.0), 0.0);
    }
    let norm = largest * rest.iter().map(|x| (x / largest).powi(2)).sum::<f64>().sqrt();
    let beta = -alpha.hypot(norm).copysign(alpha);
    rest.iter_mut().for_each(|x| *x /= alpha - beta);
    (beta, (beta - alpha) / beta)
}

/// Applies the reflection `1 - tau v v'` to `x`.
#[inline(always)]
fn reflect(tau: f64, v: &[f64], x: &mut [f64]) {
    let along = tau * dot_chunk(v, x);
    x.iter_mut().zip(v).for_each(|(x, v)| *x -= along * v);
}

#[cfg(test)]
mod tests {
    use super::super::tests::random;
    use super::*;

    /// The largest distance between `A X` and `B`.
    fn residual(a: &[f64], x: &[f64], b: &[f64], n: usize) -> f64 {
        let k = b.len() / n;
        let mut largest = 0.0f64;
        for i in 0..n {
            for j in 0..k {
                let product = (0..n).map(|p| a[i * n + p] * x[p * k + j]).sum::<f64>();
                largest = largest.max((product - b[i * k + j]).abs());
            }
        }
        largest
    }

    fn eye(n: usize) -> Elements {
        (0..n * n).map(|i| f64::from(i / n == i % n)).collect()
    }

    // Sizes on both sides of a block and of a group of rows.
    const SIZES: [usize; 9] = [1, 2, 3, 5, 8, 31, 64, 65, 130];

    #[test]
    fn solutions_solve() {
        for n in SIZES {
            for k in [1, 3] {
                let (a, b) = (random::<f64>(n * n, 1), random::<f64>(n * k, 2));
                let x = solve(a.iter().copied().collect(), b.iter().copied().collect(), n);
                assert!(residual(&a, &x, &b, n) < 1e-11 * n as f64, "{n} {k}");
                let inverse = inv(a.iter().copied().collect(), n);
                assert!(residual(&a, &inverse, &eye(n), n) < 1e-10 * n as f64, "{n}");
            }
        }
    }

    #[test]
    fn triangles_solve() {
        for n in SIZES {
            for flags in 0..4 {
                let triangular = Triangular { upper: flags & 1 != 0, transpose: flags & 2 != 0 };
                let full = random::<f64>(n * n, 1);
                // With a large diagonal, so that the solution does not grow; the other triangle is not read.
                let kept = |i: usize, j: usize| if triangular.upper { j >= i } else { j <= i };
                let t = |i: usize, j: usize| full[i * n + j] + if i == j { 3.0 } else { 0.0 };
                let given = (0..n * n).map(|at| t(at / n, at % n)).collect::<Elements>();
                let zeroed = (0..n * n).map(|at| {
                    let (i, j) = (at / n, at % n);
                    if kept(i, j) { t(i, j) } else { 0.0 }
                });
                let mut zeroed = zeroed.collect::<Elements>();
                if triangular.transpose {
                    zeroed = transposed(&zeroed, n);
                }
                // Few columns, so that the entries of the triangle stay below one on average.
                let b = random::<f64>(n * 3, 2);
                let x = solve_triangular(&given, b.iter().copied().collect(), n, triangular);
                let scale = x.iter().fold(1.0, |largest: f64, x| largest.max(x.abs()));
                assert!(residual(&zeroed, &x, &b, n) < 1e-12 * n as f64 * scale, "{n} {flags}");
            }
        }
    }

    /// Checks that the eigenvalues are in order, and what defines the eigenvectors.
    fn check_eigh(a: &[f64], n: usize) {
        let packed = eigh(a.iter().copied().collect(), n);
        let (values, vectors) = packed.split_at(n);
        assert!(packed.iter().all(|x| x.is_finite()) && values.is_sorted(), "{a:?}");
        let scaled = vectors.iter().enumerate().map(|(at, v)| v * values[at % n]);
        let scaled = scaled.collect::<Elements>();
        assert!(residual(a, vectors, &scaled, n) < 1e-13 * (n * n) as f64, "{a:?}");
        assert!(residual(&transposed(vectors, n), vectors, &eye(n), n) < 1e-13 * n as f64);
    }

    #[test]
    fn zeros_and_tiny_elements_do_not_hide_eigenvalues() {
        const LEAST: f64 = 5e-324;
        check_eigh(&[0.0; 9], 3);
        check_eigh(&[-1.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0], 3);
        for t in [LEAST, 1e-310, 1e-300, 1e-200, 1e-160, 1e-150, 1e-100, 1e-17] {
            check_eigh(&[1.0, 0.0, 1.0, 0.0, t, t, 1.0, t, t], 3);
            check_eigh(&[0.0, t, t, t, t, 1.0, t, 1.0, 1.0], 3);
            check_eigh(
                &[0.0, 0.0, 1.0, t, 0.0, 0.0, t, 0.0, 1.0, t, 0.0, 0.0, t, 0.0, 0.0, 0.0],
                4,
            );
            check_eigh(&[0.0, t, 1.0, 1.0, t, t, 0.0, 0.0, 1.0, 0.0, t, t, 1.0, 0.0, t, t], 4);
            for s in [LEAST, 1e-160, 1e-150, 1.0] {
                check_eigh(
                    &[1.0, 1.0, 0.0, 0.0, 1.0, 0.0, t, 0.0, 0.0, t, t, s, 0.0, 0.0, s, t],
                    4,
                );
                check_eigh(&[0.0, 1.0, t, 0.0, 1.0, t, s, t, t, s, 0.0, 0.0, 0.0, t, 0.0, 0.0], 4);
            }
        }
    }

    #[test]
    fn factors_multiply_to_the_matrix() {
        for n in SIZES {
            let x = random::<f64>(n * n, 1);
            // x x' + 1 is positive definite.
            let a = |i: usize, j: usize| {
                let product = (0..n).map(|p| x[i * n + p] * x[j * n + p]).sum::<f64>();
                product + f64::from(i == j)
            };
            let a = (0..n * n).map(|at| a(at / n, at % n)).collect::<Elements>();
            let l = cholesky(a.clone(), n);
            assert!(residual(&l, &transposed(&l, n), &a, n) < 1e-13 * (n * n) as f64);
            assert!((0..n).all(|i| l[i * n + i + 1..(i + 1) * n].iter().all(|l| *l == 0.0)));

            check_eigh(&a, n);
            for m in [n, n + 1, 2 * n + 3] {
                let a = random::<f64>(m * n, 3);
                let packed = qr(&a, n);
                let (q, r) = packed.split_at(m * n);
                for i in 0..m {
                    for j in 0..n {
                        let product = (0..n).map(|p| q[i * n + p] * r[p * n + j]).sum::<f64>();
                        assert!((product - a[i * n + j]).abs() < 1e-13 * m as f64, "{m} {n}");
                    }
                }
                for i in 0..n {
                    assert!(r[i * n..i * n + i].iter().all(|r| *r == 0.0));
                    for j in 0..n {
                        let product = (0..m).map(|p| q[p * n + i] * q[p * n + j]).sum::<f64>();
                        assert!((product - f64::from(i == j)).abs() < 1e-13 * m as f64);
                    }
                }
            }
        }
    }

    #[test]
    fn cofactors_are_minors() {
        // The plain definition, by determinants of what is left without a row and a column.
        let minor = |a: &[f64], n: usize, at: usize| {
            let (i, j) = (at / n, at % n);
            let left = (0..n * n).filter(|at| at / n != i && at % n != j).map(|at| a[at]);
            let sign = if (i + j) % 2 == 0 { 1.0 } else { -1.0 };
            sign * det(left.collect(), n - 1)
        };
        for n in [1, 2, 3, 4, 6] {
            let regular = random::<f64>(n * n, 1);
            // The last row is the first again: of rank n - 1. Then two further rows: of rank n - 3.
            let mut singular = regular.clone();
            singular.copy_within(0..n, n * n - n);
            let mut poor = singular.clone();
            if n > 3 {
                poor.copy_within(0..n, n);
                poor.copy_within(0..n, 2 * n);
            }
            for a in [regular, singular, poor, vec![0.0; n * n]] {
                let cofactors = cofactors(a.iter().copied().collect(), n);
                for (at, ours) in cofactors.iter().enumerate() {
                    let minor = minor(&a, n, at);
                    assert!((ours - minor).abs() < 1e-14, "{n}: {ours}, not {minor}");
                }
            }
        }
    }

    #[test]
    fn matrices_without_an_answer_give_nan() {
        let all_nan = |x: Elements| !x.is_empty() && x.iter().all(|x| x.is_nan());
        let of = |x: [f64; 4]| Elements::from_slice(&x);
        let singular = of([1.0, 2.0, 2.0, 4.0]);
        assert!(all_nan(solve(singular.clone(), of([1.0; 4]), 2)));
        assert!(all_nan(inv(singular.clone(), 2)));
        assert_eq!(det(singular.clone(), 2), 0.0);
        assert_eq!(slogdet(singular.clone(), 2), [0.0, f64::NEG_INFINITY]);
        let lower = Triangular { upper: false, transpose: false };
        assert!(all_nan(solve_triangular(&of([0.0, 0.0, 1.0, 1.0]), of([1.0; 4]), 2, lower)));
        assert!(all_nan(cholesky(of([1.0, 2.0, 2.0, 1.0]), 2)));
        for at in 0..4 {
            let mut x = [2.0, 0.0, 0.0, 3.0];
            x[at] = f64::NAN;
            assert!(det(of(x), 2).is_nan());
            assert!(inv(of(x), 2).iter().any(|x| x.is_nan()), "{at}");
            assert!(slogdet(of(x), 2)[1].is_nan());
            assert!(cofactors(of(x), 2).iter().any(|x| x.is_nan()));
            assert!(qr(&x, 2).iter().any(|x| x.is_nan()), "{at}");
            for bad in [f64::NAN, f64::INFINITY] {
                x[at] = bad;
                assert!(all_nan(cholesky(of(x), 2)), "{at}");
                assert!(all_nan(eigh(of(x), 2)));
            }
        }
        assert!(det(of([0.0, f64::NAN, 0.0, 1.0]), 2).is_nan());
    }
}
