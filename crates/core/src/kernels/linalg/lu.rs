//! Elimination with pivots: solutions, inverses, determinants, cofactors.

use super::triangular::{Triangular, substitute};
use super::{Elements, nothing, subtract, vectorized};

/// The columns that are eliminated before the rest of the matrix follows.
const BLOCK: usize = 64;

/// `P A = L U` with partial pivoting: `L`, below a diagonal of ones, and `U` in one matrix.
struct Lu {
    factors: Elements,
    /// The row of `A` that stands at each place.
    rows: Vec<usize>,
    /// The sign of the permutation.
    sign: f64,
    /// Whether no pivot is exactly 0.
    regular: bool,
}

impl Lu {
    fn new(mut a: Elements, n: usize) -> Self {
        let (mut rows, mut sign) = ((0..n).collect::<Vec<_>>(), 1.0);
        let swap = |i: usize, j: usize| {
            rows.swap(i, j);
            sign = -sign;
        };
        let regular = vectorized(
            #[inline(always)]
            || eliminate(&mut a, n, swap),
        );
        // The product of the pivots does not see a NaN beside a pivot of 0.
        if !regular && a.iter().any(|x| x.is_nan()) {
            sign = f64::NAN;
        }
        Self { factors: a, rows, sign, regular }
    }
}

/// Eliminates in place, and tells of each swap of rows. Returns whether no pivot is 0.
#[inline(always)]
fn eliminate(a: &mut [f64], n: usize, mut swapped: impl FnMut(usize, usize)) -> bool {
    let mut regular = true;
    for start in (0..n).step_by(BLOCK) {
        let end = n.min(start + BLOCK);
        for k in start..end {
            let larger = |i: usize, j: usize| is_larger(a[i * n + k], a[j * n + k]);
            let pivot = (k + 1..n).fold(k, |best, i| if larger(i, best) { i } else { best });
            if pivot != k {
                let (above, below) = a.split_at_mut(pivot * n);
                above[k * n..][..n].swap_with_slice(&mut below[..n]);
                swapped(k, pivot);
            }
            let (above, below) = a.split_at_mut((k + 1) * n);
            let row = &above[k * n..];
            if row[k] == 0.0 {
                // So is all that is below. The elimination goes on, so that no NaN is lost.
                regular = false;
                continue;
            }
            for below in below.chunks_exact_mut(n) {
                let factor = below[k] / row[k];
                below[k] = factor;
                subtract(&mut below[k + 1..end], &row[k + 1..], n, 1, |_| factor);
            }
        }
        for i in start + 1..n {
            let (above, row) = a.split_at_mut(i * n);
            let (factors, rest) = row[..n].split_at_mut(end);
            if rest.is_empty() {
                break;
            }
            let above = &above[start * n + end..];
            subtract(rest, above, n, end.min(i) - start, |p| factors[start + p]);
        }
    }
    regular
}

/// Whether `x` is a better pivot than `y`. NaN counts as greatest, so that it is not lost.
#[inline(always)]
fn is_larger(x: f64, y: f64) -> bool {
    x.abs() > y.abs() || x.is_nan()
}

/// The solution of `A X = B`, for rows of any length in `B`.
pub(crate) fn solve(a: Elements, b: Elements, n: usize) -> Elements {
    let width = b.len().checked_div(n).unwrap_or(0);
    let lu = Lu::new(a, n);
    if !lu.regular {
        return nothing(b.len());
    }
    let rows = lu.rows.iter().flat_map(|&row| &b[row * width..][..width]).copied();
    let mut x = rows.collect::<Elements>();
    vectorized(
        #[inline(always)]
        || {
            let lower = Triangular { upper: false, transpose: false };
            substitute(&lu.factors, &mut x, n, lower, true);
            substitute(&lu.factors, &mut x, n, Triangular { upper: true, ..lower }, false);
        },
    );
    x
}

/// The inverse of `A`.
pub(crate) fn inv(a: Elements, n: usize) -> Elements {
    let eye = (0..n * n).map(|i| f64::from(i / n == i % n)).collect();
    solve(a, eye, n)
}

/// The determinant of `A`: 1 for a matrix without rows.
pub(crate) fn det(a: Elements, n: usize) -> f64 {
    let lu = Lu::new(a, n);
    (0..n).fold(lu.sign, |det, i| det * lu.factors[i * n + i])
}

/// The sign of the determinant of `A`, and the logarithm of its magnitude.
pub(crate) fn slogdet(a: Elements, n: usize) -> [f64; 2] {
    let lu = Lu::new(a, n);
    (0..n).map(|i| lu.factors[i * n + i]).fold([lu.sign, 0.0 * lu.sign], |[sign, ln], pivot| {
        // `signum` of 0 is 1.
        let own = if pivot == 0.0 { 0.0 } else { pivot.signum() };
        [sign * own, ln + pivot.abs().ln()]
    })
}

/// The cofactors of `A`: the derivative of its determinant, `det(A) A^-T` where `A` is regular. Complete pivoting
/// leaves the smallest pivot for last, and no division by it is needed. So the cofactors of a singular matrix are right
/// as well.
pub(crate) fn cofactors(mut a: Elements, n: usize) -> Elements {
    let (mut rows, mut columns) = ((0..n).collect::<Vec<_>>(), (0..n).collect::<Vec<_>>());
    let mut sign = 1.0;
    for k in 0..n {
        let mut best = (k, k);
        for i in k..n {
            for j in k..n {
                if is_larger(a[i * n + j], a[best.0 * n + best.1]) {
                    best = (i, j);
                }
            }
        }
        if best.0 != k {
            (0..n).for_each(|j| a.swap(k * n + j, best.0 * n + j));
            rows.swap(k, best.0);
            sign = -sign;
        }
        if best.1 != k {
            (0..n).for_each(|i| a.swap(i * n + k, i * n + best.1));
            columns.swap(k, best.1);
            sign = -sign;
        }
        let pivot = a[k * n + k];
        if pivot == 0.0 {
            // All that is left is 0: of rank n - 2 or less, unless this is the last pivot.
            if k + 1 < n {
                return Elements::from_elem(0.0, n * n);
            }
            break;
        }
        let (above, below) = a.split_at_mut((k + 1) * n);
        let row = &above[k * n..];
        for below in below.chunks_exact_mut(n) {
            let factor = below[k] / pivot;
            below[k] = factor;
            subtract(&mut below[k + 1..], &row[k + 1..], n, 1, |_| factor);
        }
    }
    let Some(last) = n.checked_sub(1) else { return a };
    // The cofactors of U are the transpose of `det(U) U^-1`, whose columns but the last contain the last pivot as a
    // factor, and whose last column does not contain it.
    let others = (0..last).fold(sign, |product, i| product * a[i * n + i]);
    let smallest = std::mem::replace(&mut a[last * n + last], 1.0);
    let scale = |j: usize| if j == last { others } else { others * smallest };
    let mut inverse = Elements::from_elem(0.0, n * n);
    (0..n).for_each(|j| inverse[j * n + j] = 1.0);
    substitute(&a, &mut inverse, n, Triangular { upper: true, transpose: false }, false);
    let mut y =
        (0..n * n).map(|at| inverse[at % n * n + at / n] * scale(at / n)).collect::<Elements>();
    substitute(&a, &mut y, n, Triangular { upper: false, transpose: true }, true);
    let mut cofactors = Elements::from_elem(0.0, n * n);
    for (at, y) in y.into_iter().enumerate() {
        cofactors[rows[at / n] * n + columns[at % n]] = y;
    }
    cofactors
}
