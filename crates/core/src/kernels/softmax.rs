//! Softmax and its logarithm, row by row.

use super::pieces::pieces;
use super::reduce::max_row;
use super::sum::row_sum;
use super::{CHUNK, SHORT, parallel, vectorized};
use crate::float::Float;

/// The number of exponentials computed together: short rows share a block, so that all vector lanes are used; long
/// rows go piece by piece.
pub(super) const BLOCK: usize = 512;

/// `y = exp(x) / sum(exp(x))` for every row of length `n`, shifted by the row's maximum so that nothing overflows. A
/// row of minus infinities gives NaN.
///
/// # Panics
/// If the lengths differ, or are no multiple of `n`.
pub(crate) fn softmax<F: Float>(x: &[F], n: usize, y: &mut [F]) {
    assert_eq!(x.len(), y.len());
    rows(n, y, |i, y| {
        let x = &x[i..i + y.len()];
        vectorized(
            #[inline(always)]
            || {
                // Pieces of many short rows, so that all vector lanes are used.
                let piece = (BLOCK / n).max(1) * n;
                for (x, y) in x.chunks(piece).zip(y.chunks_mut(piece)) {
                    for (x, y) in x.chunks_exact(n).zip(y.chunks_exact_mut(n)) {
                        // NaN may be ignored here: the sum carries it to the whole row.
                        let most = max_row(x);
                        y.iter_mut().zip(x).for_each(|(y, x)| *y = *x - most);
                    }
                    y.iter_mut().for_each(|y| *y = y.exp());
                    for y in y.chunks_exact_mut(n) {
                        let sum = F::of(y.chunks(BLOCK).map(row_sum).sum());
                        y.iter_mut().for_each(|y| *y = *y / sum);
                    }
                }
            },
        );
    });
}

/// `out = (g - sum(g * y)) * y`, or `out +=` when accumulating, for every row of length `n`: the gradient of `x` from
/// that of `y`, the output of [`softmax`]. A product is 0 where its first factor is.
///
/// # Panics
/// If the lengths differ, or are no multiple of `n`.
pub(crate) fn softmax_vjp<F: Float>(y: &[F], g: &[F], n: usize, out: &mut [F], accumulate: bool) {
    assert_eq!((y.len(), g.len()), (out.len(), out.len()));
    rows(n, out, |i, out| {
        let (y, g) = (&y[i..i + out.len()], &g[i..i + out.len()]);
        vectorized(
            #[inline(always)]
            || {
                let mut products = [F::ZERO; BLOCK];
                let rows = y.chunks_exact(n).zip(g.chunks_exact(n)).zip(out.chunks_exact_mut(n));
                for ((y, g), out) in rows {
                    let mut sum = 0.0;
                    for (y, g) in y.chunks(BLOCK).zip(g.chunks(BLOCK)) {
                        let products = &mut products[..y.len()];
                        for ((product, y), g) in products.iter_mut().zip(y).zip(g) {
                            *product = mul_no_nan(*g, *y);
                        }
                        sum += row_sum(products);
                    }
                    let sum = F::of(sum);
                    for ((out, y), g) in out.iter_mut().zip(y).zip(g) {
                        let gradient = mul_no_nan(*g - sum, *y);
                        *out = if accumulate { *out + gradient } else { gradient };
                    }
                }
            },
        );
    });
}

/// `a * b`, but 0 where `a` is 0: a discarded row may be NaN; its cotangents are 0.
#[inline(always)]
pub(super) fn mul_no_nan<F: Float>(a: F, b: F) -> F {
    if a == F::ZERO { F::ZERO } else { a * b }
}

/// `y = x - ln(sum(exp(x)))` for every row of length `n`, shifted by the row's maximum so that
/// nothing overflows. A row of minus infinities gives NaN.
///
/// # Panics
/// If the lengths differ, or are no multiple of `n`.
pub(crate) fn log_softmax<F: Float>(x: &[F], n: usize, y: &mut [F]) {
    assert_eq!(x.len(), y.len());
    rows(n, y, |i, y| {
        let x = &x[i..i + y.len()];
        if y.len() < SHORT {
            return forward::<F, SHORT>(x, n, y);
        }
        vectorized(
            #[inline(always)]
            || forward::<F, BLOCK>(x, n, y),
        );
    });
}

/// `out = g - exp(y) * sum(g)`, or `out +=` when accumulating, for every row of length `n`: the
/// gradient of `x` from that of `y`, the output of [`log_softmax`].
///
/// # Panics
/// If the lengths differ, or are no multiple of `n`.
pub(crate) fn log_softmax_vjp<F: Float>(
    y: &[F],
    g: &[F],
    n: usize,
    out: &mut [F],
    accumulate: bool,
) {
    assert_eq!((y.len(), g.len()), (out.len(), out.len()));
    rows(n, out, |i, out| {
        let (y, g) = (&y[i..i + out.len()], &g[i..i + out.len()]);
        if out.len() < SHORT {
            return vjp::<F, SHORT>(y, g, n, out, accumulate);
        }
        vectorized(
            #[inline(always)]
            || vjp::<F, BLOCK>(y, g, n, out, accumulate),
        );
    });
}

/// Runs `task` on pieces of whole rows of `y` and their start, on all threads where they pay off.
pub(super) fn rows<F: Float>(n: usize, y: &mut [F], task: impl Fn(usize, &mut [F]) + Send + Sync) {
    if y.is_empty() {
        return;
    }
    assert_eq!(y.len() % n, 0);
    if parallel(y.len()) {
        let piece = (CHUNK / n).max(1) * n;
        pieces(y, piece, true, &|i, y| task(i * piece, y));
    } else {
        task(0, y);
    }
}

#[inline(always)]
fn forward<F: Float, const BLOCK: usize>(x: &[F], n: usize, y: &mut [F]) {
    let mut buffer = [F::ZERO; BLOCK];
    let mut sums = [F::ZERO; BLOCK];
    let block = (BLOCK / n).max(1) * n;
    for (x, y) in x.chunks(block).zip(y.chunks_mut(block)) {
        for (x, y) in x.chunks_exact(n).zip(y.chunks_exact_mut(n)) {
            // NaN may be ignored here: the sum of the exponentials carries it to the whole row.
            let most = max_row(x);
            for (y, x) in y.iter_mut().zip(x) {
                *y = *x - most;
            }
        }
        let sums = &mut sums[..y.len() / n];
        if n <= BLOCK {
            let exp = exponentials(y, &mut buffer);
            for (sum, exp) in sums.iter_mut().zip(exp.chunks_exact(n)) {
                *sum = F::of(row_sum(exp));
            }
        } else {
            let mut sum = 0.0;
            for y in y.chunks(BLOCK) {
                sum += row_sum(exponentials(y, &mut buffer));
            }
            sums[0] = F::of(sum);
        }
        for sum in sums.iter_mut() {
            *sum = sum.ln();
        }
        for (y, log) in y.chunks_exact_mut(n).zip(sums) {
            for y in y {
                *y -= *log;
            }
        }
    }
}

#[inline(always)]
fn vjp<F: Float, const BLOCK: usize>(y: &[F], g: &[F], n: usize, out: &mut [F], accumulate: bool) {
    let mut buffer = [F::ZERO; BLOCK];
    let mut sums = [F::ZERO; BLOCK];
    let block = (BLOCK / n).max(1) * n;
    for ((y, g), out) in y.chunks(block).zip(g.chunks(block)).zip(out.chunks_mut(block)) {
        for (sum, g) in sums.iter_mut().zip(g.chunks_exact(n)) {
            *sum = F::of(g.chunks(BLOCK).map(row_sum).sum());
        }
        // Either many whole rows, or one row in pieces.
        for ((y, g), out) in y.chunks(BLOCK).zip(g.chunks(BLOCK)).zip(out.chunks_mut(BLOCK)) {
            let exp = exponentials(y, &mut buffer).chunks(n);
            let rows = exp.zip(g.chunks(n)).zip(out.chunks_mut(n));
            for (((exp, g), out), sum) in rows.zip(&sums) {
                for ((out, g), exp) in out.iter_mut().zip(g).zip(exp) {
                    // A discarded row may be NaN; its cotangents are 0.
                    let shared = if *sum == F::ZERO { F::ZERO } else { *exp * *sum };
                    let gradient = *g - shared;
                    *out = if accumulate { *out + gradient } else { gradient };
                }
            }
        }
    }
}

/// The exponentials of at most [`BLOCK`] numbers.
#[inline(always)]
fn exponentials<'a, F: Float>(x: &[F], buffer: &'a mut [F]) -> &'a [F] {
    let exp = &mut buffer[..x.len()];
    for (exp, x) in exp.iter_mut().zip(x) {
        *exp = x.exp();
    }
    exp
}

#[cfg(test)]
mod tests {
    use super::super::tests::{on_threads, random};
    use super::*;

    fn check<F: Float>(rows: usize, n: usize) {
        let x = random::<F>(rows * n, 1).into_iter().map(|x| x * F::of(20.0)).collect::<Vec<_>>();
        let (g, start) = (random::<F>(rows * n, 2), random::<F>(rows * n, 3));
        let run = |threads| {
            let mut got =
                std::array::from_fn::<_, 6, _>(
                    |i| if i % 3 == 2 { start.clone() } else { g.clone() },
                );
            let [y, pulled, added, log_y, log_pulled, log_added] = &mut got;
            on_threads(threads, || {
                softmax(&x, n, y);
                softmax_vjp(y, &g, n, pulled, false);
                softmax_vjp(y, &g, n, added, true);
                log_softmax(&x, n, log_y);
                log_softmax_vjp(log_y, &g, n, log_pulled, false);
                log_softmax_vjp(log_y, &g, n, log_added, true);
            });
            got
        };
        let got = run(1);
        assert!(got == run(2));
        let [y, pulled, added, log_y, log_pulled, log_added] = got;
        for first in (0..rows * n).step_by(n) {
            let row = first..first + n;
            let sum = x[row.clone()].iter().map(|x| x.to_f64().exp()).sum::<f64>();
            let sum_g = g[row.clone()].iter().map(|g| g.to_f64()).sum::<f64>();
            let mean_g =
                row.clone().map(|i| x[i].to_f64().exp() / sum * g[i].to_f64()).sum::<f64>();
            for i in row {
                let near = |got: F, want: f64| {
                    let off = (got.to_f64() - want).abs();
                    assert!(off <= 200.0 * F::EPSILON.to_f64(), "{rows}x{n}: {got}, not {want}");
                };
                let share = x[i].to_f64().exp() / sum;
                near(y[i], share);
                let vjp = (g[i].to_f64() - mean_g) * share;
                near(pulled[i], vjp);
                near(added[i], start[i].to_f64() + vjp);
                near(log_y[i], x[i].to_f64() - sum.ln());
                let vjp = g[i].to_f64() - share * sum_g;
                near(log_pulled[i], vjp);
                near(log_added[i], start[i].to_f64() + vjp);
            }
        }
    }

    #[test]
    fn agrees_with_a_plain_loop() {
        for n in [1, 2, 3, 10, 16, 17, 100, 512, 513, 1300] {
            for rows in [0, 1, 2, 64, 151] {
                check::<f32>(rows, n);
                check::<f64>(rows, n);
            }
        }
        check::<f32>(27_000, 10);
    }

    #[test]
    fn large_inputs_are_exact_and_empty_rows_are_nan() {
        let mut y = [0f32; 3];
        log_softmax(&[1000.0, 0.0, -1000.0], 3, &mut y);
        assert_eq!(y, [0.0, -1000.0, -2000.0]);
        log_softmax(&[f32::NEG_INFINITY; 3], 3, &mut y);
        assert!(y.iter().all(|y| y.is_nan()));
        log_softmax(&[0.0, f32::NEG_INFINITY, 0.0], 3, &mut y);
        assert_eq!(y, [-f32::ln(2.0), f32::NEG_INFINITY, -f32::ln(2.0)]);
        log_softmax(&[0.0, f32::NAN, 0.0], 3, &mut y);
        assert!(y.iter().all(|y| y.is_nan()));
        log_softmax::<f64>(&[], 0, &mut []);
        softmax(&[1000.0, 0.0, -1000.0], 3, &mut y);
        assert_eq!(y, [1.0, 0.0, 0.0]);
        softmax(&[f32::NEG_INFINITY; 3], 3, &mut y);
        assert!(y.iter().all(|y| y.is_nan()));
        let mut discarded = [1.0; 3];
        softmax_vjp(&y, &[0.0; 3], 3, &mut discarded, false);
        assert_eq!(discarded, [0.0; 3]);
        softmax(&[0.0, f32::NEG_INFINITY, 0.0], 3, &mut y);
        assert_eq!(y, [0.5, 0.0, 0.5]);
        softmax(&[0.0, f32::NAN, 0.0], 3, &mut y);
        assert!(y.iter().all(|y| y.is_nan()));
        softmax::<f64>(&[], 0, &mut []);
    }
}
