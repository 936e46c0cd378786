//! Reductions: sums, maxima and scalar products.
//!
//! A tensor is seen as `[outer, n, inner]` and reduced over `n`.

use super::pieces::{pieces, pieces_of_both};
use super::sum::{COLUMNS, columns, slabs, total_rows};
use super::{CHUNK, LARGE, SHORT, parallel, vectorized};
use crate::float::Float;

/// The independent maxima or sums that a loop keeps.
const LANES: usize = 32;

/// `y = sum of x` over the middle axis, or `y += ` when accumulating; `x` is `[outer, n, inner]`,
/// `y` is `[outer, inner]`. A sum of nothing is 0.
///
/// # Panics
/// If a slice has another length.
pub(crate) fn sum<F: Float>(
    x: &[F],
    outer: usize,
    n: usize,
    inner: usize,
    y: &mut [F],
    accumulate: bool,
) {
    assert!(
        x.len() == outer * n * inner && y.len() == outer * inner,
        "sum: a slice has another length"
    );
    if x.is_empty() {
        if !accumulate {
            y.fill(F::ZERO);
        }
    } else if x.len() < SHORT {
        slabs(x, n, inner, y, accumulate);
    } else if x.len() < LARGE {
        vectorized(
            #[inline(always)]
            || slabs(x, n, inner, y, accumulate),
        );
    } else {
        sum_large(x, outer, n, inner, y, accumulate);
    }
}

/// [`sum`] for sizes at which threads may pay off; the path depends on the sizes alone.
fn sum_large<F: Float>(
    x: &[F],
    outer: usize,
    n: usize,
    inner: usize,
    y: &mut [F],
    accumulate: bool,
) {
    if outer > 1 {
        let group = (CHUNK / (n * inner)).max(1);
        pieces_of_both(x, group * n * inner, y, group * inner, parallel(x.len()), &|x, y| {
            vectorized(
                #[inline(always)]
                || slabs(x, n, inner, y, accumulate),
            );
        });
    } else if inner > COLUMNS {
        pieces(y, COLUMNS, parallel(x.len()), &|i, y| {
            vectorized(
                #[inline(always)]
                || columns(&x[i * COLUMNS..], inner, n, y, accumulate),
            );
        });
    } else {
        let rows = CHUNK / inner;
        let mut partial = vec![0.0; n.div_ceil(rows) * inner];
        pieces_of_both(x, rows * inner, &mut partial, inner, parallel(x.len()), &|x, total| {
            vectorized(
                #[inline(always)]
                || total_rows(x, inner, x.len() / inner, total),
            );
        });
        for (j, y) in y.iter_mut().enumerate() {
            let sum = F::of(partial[j..].iter().step_by(inner).sum());
            *y = if accumulate { *y + sum } else { sum };
        }
    }
}

/// The maximum over the middle axis of `x`, `[outer, n, inner]`, into `y`, `[outer, inner]`. NaN
/// wins.
///
/// # Panics
/// If a slice has another length, or if `n` is 0 and there are maxima to take.
pub(crate) fn max<F: Float>(x: &[F], outer: usize, n: usize, inner: usize, y: &mut [F]) {
    assert_eq!((x.len(), y.len()), (outer * n * inner, outer * inner));
    assert!(n > 0 || y.is_empty(), "the maximum of nothing");
    if x.is_empty() {
        return;
    }
    if x.len() < SHORT {
        return max_slabs(x, n, inner, y);
    }
    let task = |x: &[F], y: &mut [F]| {
        vectorized(
            #[inline(always)]
            || max_slabs(x, n, inner, y),
        );
    };
    if parallel(x.len()) {
        let group = (CHUNK / (n * inner)).max(1);
        pieces_of_both(x, group * n * inner, y, group * inner, true, &task);
    } else {
        task(x, y);
    }
}

/// [`max`], one slab `[n, inner]` after the other.
#[inline(always)]
fn max_slabs<F: Float>(x: &[F], n: usize, inner: usize, y: &mut [F]) {
    if inner == 1 {
        for (x, y) in x.chunks_exact(n).zip(y) {
            // Two vectorised passes are faster than one pass that checks for both.
            let nan = x.iter().fold(false, |nan, x| nan | x.is_nan());
            *y = if nan { F::NAN } else { max_row(x) };
        }
    } else {
        for (x, y) in x.chunks_exact(n * inner).zip(y.chunks_exact_mut(inner)) {
            y.fill(-F::INFINITY);
            for x in x.chunks_exact(inner) {
                for (y, x) in y.iter_mut().zip(x) {
                    *y = larger(*y, *x);
                }
            }
        }
    }
}

/// The maximum of a row, -inf if it is empty; NaN is ignored.
#[inline(always)]
pub(super) fn max_row<F: Float>(x: &[F]) -> F {
    let larger = |most: F, x: F| if x > most { x } else { most };
    let mut most = -F::INFINITY;
    let (chunks, rest) = x.as_chunks::<LANES>();
    if !chunks.is_empty() {
        let mut lanes = [most; LANES];
        for x in chunks {
            for i in 0..LANES {
                lanes[i] = larger(lanes[i], x[i]);
            }
        }
        let eight: [F; 8] = std::array::from_fn(|i| {
            larger(larger(lanes[i], lanes[i + 8]), larger(lanes[i + 16], lanes[i + 24]))
        });
        let four: [F; 4] = std::array::from_fn(|i| larger(eight[i], eight[i + 4]));
        most = larger(larger(four[0], four[1]), larger(four[2], four[3]));
    }
    for x in rest {
        most = larger(most, *x);
    }
    most
}

/// The larger of two; NaN wins.
#[inline(always)]
pub(super) fn larger<F: Float>(most: F, x: F) -> F {
    if (x > most) | x.is_nan() { x } else { most }
}

/// The sum of the products of the elements, in double precision, so that it does not overflow in `f32`.
///
/// # Panics
/// If the lengths differ.
pub(crate) fn dot<F: Float>(a: &[F], b: &[F]) -> f64 {
    assert_eq!(a.len(), b.len());
    let chunk = |(a, b): (&[F], &[F])| {
        vectorized(
            #[inline(always)]
            || dot_chunk(a, b),
        )
    };
    if a.len() < SHORT {
        return a.iter().zip(b).map(|(a, b)| a.to_f64() * b.to_f64()).sum();
    }
    if parallel(a.len()) {
        let mut sums = vec![0.0; a.len().div_ceil(CHUNK)];
        pieces(&mut sums, 1, true, &|i, sum| {
            let at = i * CHUNK..a.len().min((i + 1) * CHUNK);
            sum[0] = chunk((&a[at.clone()], &b[at]));
        });
        return sums.iter().sum();
    }
    a.chunks(CHUNK).zip(b.chunks(CHUNK)).map(chunk).sum()
}

#[inline(always)]
pub(super) fn dot_chunk<F: Float>(a: &[F], b: &[F]) -> f64 {
    let (a, a_rest) = a.as_chunks::<LANES>();
    let (b, b_rest) = b.as_chunks::<LANES>();
    let mut lanes = [0.0; LANES];
    for (a, b) in a.iter().zip(b) {
        for i in 0..LANES {
            lanes[i] += a[i].to_f64() * b[i].to_f64();
        }
    }
    let rest = a_rest.iter().zip(b_rest).map(|(a, b)| a.to_f64() * b.to_f64());
    lanes.into_iter().sum::<f64>() + rest.sum::<f64>()
}

/// Whether no number is NaN or infinite.
pub(crate) fn is_finite<F: Float>(x: &[F]) -> bool {
    // A block has no early end, so that it vectorises.
    x.chunks(1 << 12).all(|block| {
        vectorized(
            #[inline(always)]
            || block.iter().fold(true, |finite, x| finite & x.is_finite()),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{on_threads, random};
    use super::*;

    #[test]
    fn the_maximum_is_the_largest_unless_there_is_nan() {
        for (outer, n, inner) in
            [(1, 1, 1), (3, 10, 1), (2, 100, 1), (3, 7, 5), (2, 40, 33), (0, 0, 3), (300, 9, 101)]
        {
            let mut x = random::<f32>(outer * n * inner, 1);
            let (mut y, mut z) = (vec![0.0; outer * inner], vec![0.0; outer * inner]);
            on_threads(1, || max(&x, outer, n, inner, &mut y));
            on_threads(2, || max(&x, outer, n, inner, &mut z));
            assert_eq!(y, z);
            for (i, y) in y.iter().enumerate() {
                let column = x[i / inner * n * inner + i % inner..].iter().step_by(inner);
                assert_eq!(*y, column.take(n).fold(f32::NEG_INFINITY, |m, x| m.max(*x)));
            }
            for i in (0..n).filter(|_| outer > 0) {
                let kept = std::mem::replace(&mut x[i * inner], f32::NAN);
                max(&x, outer, n, inner, &mut y);
                assert!(y[0].is_nan() && y[1..] == z[1..]);
                x[i * inner] = kept;
            }
        }
    }

    #[test]
    fn scalar_products_are_exact_enough_and_do_not_overflow() {
        for n in [0, 1, 15, 16, 33, 1000, 300_001] {
            let (a, b) = (random::<f32>(n, 1), random::<f32>(n, 2));
            let exact = a.iter().zip(&b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
            let got = on_threads(1, || dot(&a, &b));
            assert_eq!(got, on_threads(2, || dot(&a, &b)));
            assert!((got - exact).abs() < 1e-9, "{n}: {got}, not {exact}");
        }
        assert_eq!(
            dot(&[1e30f32; 100], &[2e30; 100]),
            f64::from(1e30f32) * f64::from(2e30f32) * 100.0
        );
    }
}
