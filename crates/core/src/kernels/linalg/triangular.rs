//! Triangular systems, and the Cholesky factor.

use super::{Elements, dot_chunk, nothing, subtract, vectorized};

/// A system of a triangular matrix; the other triangle is not read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Triangular {
    /// Whether the upper triangle holds the matrix.
    pub(crate) upper: bool,
    /// Whether the system is that of the transpose.
    pub(crate) transpose: bool,
}

/// The solution of `T X = B`, or of `T' X = B`, for rows of any length in `B`.
pub(crate) fn solve_triangular(
    t: &[f64],
    mut b: Elements,
    n: usize,
    triangular: Triangular,
) -> Elements {
    if (0..n).any(|i| t[i * n + i] == 0.0) {
        return nothing(b.len());
    }
    vectorized(
        #[inline(always)]
        || substitute(t, &mut b, n, triangular, false),
    );
    b
}

/// Solves in place, row after row. With `unit` the diagonal is one and not read.
#[inline(always)]
pub(super) fn substitute(t: &[f64], b: &mut [f64], n: usize, triangular: Triangular, unit: bool) {
    let Some(width) = b.len().checked_div(n).filter(|width| *width > 0) else { return };
    let Triangular { upper, transpose } = triangular;
    let entry = |i: usize, j: usize| if transpose { t[j * n + i] } else { t[i * n + j] };
    for step in 0..n {
        let i = if upper == transpose { step } else { n - 1 - step };
        let row = if upper == transpose {
            let (solved, row) = b.split_at_mut(i * width);
            let row = &mut row[..width];
            subtract(row, solved, width, i, |j| entry(i, j));
            row
        } else {
            let (row, solved) = b.split_at_mut((i + 1) * width);
            let row = &mut row[i * width..];
            subtract(row, solved, width, step, |j| entry(i, i + 1 + j));
            row
        };
        if !unit {
            let pivot = entry(i, i);
            row.iter_mut().for_each(|x| *x /= pivot);
        }
    }
}

/// The lower triangular `L` with `L L' = A`, of the symmetric part of `A`.
pub(crate) fn cholesky(mut a: Elements, n: usize) -> Elements {
    for i in 0..n {
        for j in 0..i {
            a[i * n + j] = (a[i * n + j] + a[j * n + i]) / 2.0;
            a[j * n + i] = 0.0;
        }
    }
    let definite = vectorized(
        #[inline(always)]
        || {
            for i in 0..n {
                for j in 0..=i {
                    let (above, row) = a.split_at_mut(i * n);
                    let other = if j < i { &above[j * n..][..j] } else { &row[..j] };
                    let rest = row[j] - dot_chunk(&row[..j], other);
                    if j < i {
                        row[j] = rest / above[j * n + j];
                    } else if rest > 0.0 && rest.is_finite() {
                        row[j] = rest.sqrt();
                    } else {
                        return false;
                    }
                }
            }
            true
        },
    );
    if definite { a } else { nothing(n * n) }
}
