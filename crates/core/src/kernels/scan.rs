//! Running sums and linear recurrences.
//!
//! A tensor is seen as `[outer, n, inner]` and scanned along `n`. The carry from element to element is in double
//! precision, so that long scans in single precision keep their digits.

use super::pieces::{pieces, pieces_of_both};
use super::{CHUNK, parallel, vectorized};
use crate::float::Float;

/// The columns that run side by side.
const COLUMNS: usize = 64;
/// The independent products of a row.
const LANES: usize = 16;

/// `y[i] = x[0] + .. + x[i]` along the middle axis, or `x[i] + .. + x[n - 1]` if `reverse`.
///
/// # Panics
/// If the lengths differ, or are no multiple of `n * inner`.
pub(crate) fn cumsum<F: Float>(x: &[F], n: usize, inner: usize, reverse: bool, y: &mut [F]) {
    assert_eq!(x.len(), y.len());
    scan(n, inner, reverse, y, |at, sum| {
        let x = x[at].to_f64();
        sum.map_or(x, |sum| sum + x)
    });
}

/// `y[i] = a[i] y[i - 1] + b[i]` along the middle axis, from `y[0] = b[0]`; or its transpose in `b`,
/// `y[i] = a[i + 1] y[i + 1] + b[i]`, from the last. `a[0]` is not read.
///
/// # Panics
/// If the lengths differ, or are no multiple of `n * inner`.
pub(crate) fn recurrence<F: Float>(
    a: &[F],
    b: &[F],
    n: usize,
    inner: usize,
    transposed: bool,
    y: &mut [F],
) {
    assert_eq!((a.len(), b.len()), (y.len(), y.len()));
    let ahead = if transposed { inner } else { 0 };
    scan(n, inner, transposed, y, |at, carried| {
        let b = b[at].to_f64();
        carried.map_or(b, |carried| a[at + ahead].to_f64() * carried + b)
    });
}

/// The product along the middle axis of `x`, `[outer, n, inner]`, into `y`, `[outer, inner]`; of nothing it is 1. It is
/// carried in double precision.
///
/// # Panics
/// If the lengths do not fit.
pub(crate) fn product<F: Float>(x: &[F], n: usize, inner: usize, y: &mut [F]) {
    if x.is_empty() {
        return y.fill(F::ONE);
    }
    assert_eq!(x.len(), n * y.len());
    let task = |x: &[F], y: &mut [F]| {
        vectorized(
            #[inline(always)]
            || products(x, n, inner, y),
        );
    };
    if parallel(x.len()) {
        let group = (CHUNK / (n * inner)).max(1);
        pieces_of_both(x, group * n * inner, y, group * inner, true, &task);
    } else {
        task(x, y);
    }
}

/// [`product`], one slab `[n, inner]` after the other.
#[inline(always)]
fn products<F: Float>(x: &[F], n: usize, inner: usize, y: &mut [F]) {
    for (x, y) in x.chunks_exact(n * inner).zip(y.chunks_exact_mut(inner)) {
        if inner == 1 {
            // Several products side by side, because each waits for the one before.
            let (chunks, rest) = x.as_chunks::<LANES>();
            let mut lanes = [1.0; LANES];
            for x in chunks {
                for (lane, x) in lanes.iter_mut().zip(x) {
                    *lane *= x.to_f64();
                }
            }
            let all = lanes.into_iter().product::<f64>();
            y[0] = F::of(rest.iter().fold(all, |all, x| all * x.to_f64()));
            continue;
        }
        for (block, y) in y.chunks_mut(COLUMNS).enumerate() {
            let mut totals = [1.0; COLUMNS];
            for x in x.chunks_exact(inner) {
                for (total, x) in totals.iter_mut().zip(&x[block * COLUMNS..][..y.len()]) {
                    *total *= x.to_f64();
                }
            }
            y.iter_mut().zip(totals).for_each(|(y, total)| *y = F::of(total));
        }
    }
}

/// Writes `step(at, y[i - 1])` to each element of `y`, forwards or backwards along the middle axis. `at` is the
/// offset of the element.
fn scan<F: Float>(
    n: usize,
    inner: usize,
    reverse: bool,
    y: &mut [F],
    step: impl Fn(usize, Option<f64>) -> f64 + Sync,
) {
    let slab = n * inner;
    if y.is_empty() {
        return;
    }
    assert_eq!(y.len() % slab, 0);
    let task = |start: usize, y: &mut [F]| {
        let mut carried = [0.0; COLUMNS];
        for (slabs, y) in y.chunks_exact_mut(slab).enumerate() {
            let start = start + slabs * slab;
            // For a single column, the loop over columns costs several times the sum.
            if inner == 1 {
                let mut carried = None;
                for i in 0..n {
                    let at = if reverse { n - 1 - i } else { i };
                    let next = step(start + at, carried);
                    y[at] = F::of(next);
                    carried = Some(next);
                }
                continue;
            }
            for first in (0..inner).step_by(COLUMNS) {
                for i in 0..n {
                    let row = inner * if reverse { n - 1 - i } else { i };
                    let columns = row + first..row + inner.min(first + COLUMNS);
                    for (carried, at) in carried.iter_mut().zip(columns) {
                        *carried = step(start + at, (i > 0).then_some(*carried));
                        y[at] = F::of(*carried);
                    }
                }
            }
        }
    };
    if parallel(y.len()) {
        let piece = (CHUNK / slab).max(1) * slab;
        pieces(y, piece, true, &|i, y| task(i * piece, y));
    } else {
        task(0, y);
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{on_threads, random};
    use super::*;

    /// Every column by a plain loop in double precision.
    fn plain(
        [outer, n, inner]: [usize; 3],
        reverse: bool,
        step: impl Fn(usize, f64) -> f64,
    ) -> Vec<f64> {
        let mut y = vec![0.0; outer * n * inner];
        for column in 0..outer * inner {
            let mut carried = 0.0;
            for i in 0..n {
                let i = if reverse { n - 1 - i } else { i };
                let at = (column / inner * n + i) * inner + column % inner;
                carried = step(at, carried);
                y[at] = carried;
            }
        }
        y
    }

    #[test]
    fn agrees_with_a_plain_loop_on_any_number_of_threads() {
        for [outer, n, inner] in [
            [1, 1, 1],
            [3, 7, 1],
            [2, 5, 3],
            [2, 4, 65],
            [1, 3, 200],
            [0, 3, 2],
            [2, 0, 2],
            [2, 3, 0],
            [700, 200, 2],
        ] {
            let size = outer * n * inner;
            let (a, b) = (random::<f32>(size, 1), random::<f32>(size, 2));
            for back in [false, true] {
                let run = |threads| {
                    let (mut sums, mut y) = (vec![0.0; size], vec![0.0; size]);
                    on_threads(threads, || {
                        cumsum(&b, n, inner, back, &mut sums);
                        recurrence(&a, &b, n, inner, back, &mut y);
                    });
                    (sums, y)
                };
                let (sums, y) = run(1);
                assert!((sums.clone(), y.clone()) == run(2));
                let extents = [outer, n, inner];
                let exact = plain(extents, back, |at, sum| sum + f64::from(b[at]));
                let near = |y: &f32, exact: &f64| (f64::from(*y) - exact).abs() <= 1e-6 * 10.0;
                assert!(sums.iter().zip(&exact).all(|(y, exact)| near(y, exact)));
                let ahead = if back { inner } else { 0 };
                let exact = plain(extents, back, |at, carried| {
                    let a = a.get(at + ahead).map_or(0.0, |a| f64::from(*a));
                    // The first element has no predecessor, whatever `a` holds there.
                    a * carried + f64::from(b[at])
                });
                assert!(y.iter().zip(&exact).all(|(y, exact)| near(y, exact)));
            }
        }
    }

    #[test]
    fn products_agree_with_a_plain_loop() {
        for [outer, n, inner] in
            [[1, 1, 1], [3, 40, 1], [2, 5, 3], [2, 4, 65], [0, 3, 2], [2, 0, 2], [700, 200, 2]]
        {
            let x = random::<f64>(outer * n * inner, 1).iter().map(|x| x + 1.0).collect::<Vec<_>>();
            let run = |threads| {
                let mut y = vec![0.0; outer * inner];
                on_threads(threads, || product(&x, n, inner, &mut y));
                y
            };
            let y = run(1);
            assert!(y == run(2));
            for (i, y) in y.iter().enumerate() {
                let column = x.iter().skip(i / inner * n * inner + i % inner).step_by(inner);
                let exact = column.take(n).product::<f64>();
                assert!((y - exact).abs() <= 1e-13 * exact, "{y}, not {exact}");
            }
        }
    }

    #[test]
    fn ten_million_tenths_add_up_to_a_million() {
        let mut y = vec![0.0; 10_000_000];
        cumsum(&vec![0.1f32; 10_000_000], 10_000_000, 1, false, &mut y);
        assert!((y[9_999_999] / 1e6 - 1.0).abs() < 1e-6, "{}", y[9_999_999]);
    }

    #[test]
    fn what_comes_before_the_first_is_not_read() {
        let mut y = [0.0; 2];
        recurrence(&[f64::NAN, 3.0], &[2.0, 1.0], 2, 1, false, &mut y);
        assert_eq!(y, [2.0, 7.0]);
        recurrence(&[f64::NAN, 3.0], &[2.0, 1.0], 2, 1, true, &mut y);
        assert_eq!(y, [5.0, 1.0]);
    }
}
