//! Rows without their mean, divided by their spread, as in layer normalization.

use super::softmax::{BLOCK, mul_no_nan, rows};
use super::sum::row_sum;
use super::vectorized;
use crate::float::Float;

/// `y = (x - mean(x)) / sqrt(var(x) + eps)` for every row of length `n`, with the biased variance.
///
/// # Panics
/// If the lengths differ, or are no multiple of `n`.
pub(crate) fn normalize<F: Float>(x: &[F], n: usize, eps: f64, y: &mut [F]) {
    assert_eq!(x.len(), y.len());
    rows(n, y, |i, y| {
        let x = &x[i..i + y.len()];
        vectorized(
            #[inline(always)]
            || {
                let buffer = &mut [F::ZERO; BLOCK];
                for (x, y) in x.chunks_exact(n).zip(y.chunks_exact_mut(n)) {
                    let (mean, spread) = mean_and_spread(x, eps, buffer);
                    y.iter_mut().zip(x).for_each(|(y, x)| *y = (*x - mean) / spread);
                }
            },
        );
    });
}

/// `out = t - mean(t)` with `t = (g - y mean(g y)) / spread(x)`, or `out +=` when accumulating, for every row of length
/// `n`: the gradient of `x` from that of `y`, the output of [`normalize`]. A product is 0 where the factor that comes
/// from `g` is.
///
/// # Panics
/// If the lengths differ, or are no multiple of `n`.
pub(crate) fn normalize_vjp<F: Float>(
    [x, y, g]: [&[F]; 3],
    n: usize,
    eps: f64,
    out: &mut [F],
    accumulate: bool,
) {
    assert_eq!([x, y, g].map(<[F]>::len), [out.len(); 3]);
    rows(n, out, |i, out| {
        let [x, y, g] = [x, y, g].map(|all| &all[i..i + out.len()]);
        vectorized(
            #[inline(always)]
            || {
                let buffer = &mut [F::ZERO; BLOCK];
                let row = x.chunks_exact(n).zip(y.chunks_exact(n)).zip(g.chunks_exact(n));
                for (((x, y), g), out) in row.zip(out.chunks_exact_mut(n)) {
                    let slope = F::ONE / mean_and_spread(x, eps, buffer).1;
                    let common = mean([g, y], buffer, |g, y| mul_no_nan(g, y));
                    let t = |g, y| mul_no_nan(g - mul_no_nan(common, y), slope);
                    let near = mean([g, y], buffer, t);
                    let shift = mean([g, y], buffer, |g, y| t(g, y) - near) + near;
                    for ((out, g), y) in out.iter_mut().zip(g).zip(y) {
                        let gradient = t(*g, *y) - shift;
                        *out = if accumulate { *out + gradient } else { gradient };
                    }
                }
            },
        );
    });
}

/// The mean of a row, and the root of its biased variance plus `eps`.
///
/// The mean is corrected by the mean of the differences, so that equal elements leave exactly 0.
#[inline(always)]
fn mean_and_spread<F: Float>(x: &[F], eps: f64, buffer: &mut [F; BLOCK]) -> (F, F) {
    let near = mean([x, x], buffer, |x, _| x);
    let mean_of_x = mean([x, x], buffer, |x, _| x - near) + near;
    let squares = mean([x, x], buffer, |x, _| (x - mean_of_x) * (x - mean_of_x));
    // Where squares overflow or vanish, they are taken of differences divided by the largest.
    if squares.to_f64() > SMALL_SQUARE && squares.is_finite() {
        return (mean_of_x, (squares + F::of(eps)).sqrt());
    }
    let larger =
        |most, x: &F| if (*x - mean_of_x).abs() > most { (*x - mean_of_x).abs() } else { most };
    let most = x.iter().fold(F::ZERO, larger);
    let scale = if most == F::ZERO { F::ONE } else { most };
    let squares = mean([x, x], buffer, |x, _| (x - mean_of_x) / scale * ((x - mean_of_x) / scale));
    (mean_of_x, (squares.sqrt() * scale).hypot(F::of(eps.sqrt())))
}

/// Mean squares below this may have lost digits, in single precision.
const SMALL_SQUARE: f64 = 1e-30;

/// The mean of `f` over two rows of one length. The caller owns the buffer, because to clear it would take longer than a
/// short row.
#[inline(always)]
fn mean<F: Float>([x, y]: [&[F]; 2], buffer: &mut [F; BLOCK], f: impl Fn(F, F) -> F) -> F {
    let mut sum = 0.0;
    for (x, y) in x.chunks(BLOCK).zip(y.chunks(BLOCK)) {
        let values = &mut buffer[..x.len()];
        for ((value, x), y) in values.iter_mut().zip(x).zip(y) {
            *value = f(*x, *y);
        }
        sum += row_sum(values);
    }
    F::of(sum) * F::of((x.len() as f64).recip())
}

#[cfg(test)]
mod tests {
    use super::super::tests::{on_threads, random};
    use super::*;

    fn check<F: Float>(count: usize, n: usize, scale: f64, eps: f64) {
        let len = count * n;
        let draw = |seed| random::<F>(len, seed);
        let x = draw(1).into_iter().map(|x| (x + F::of(3.0)) * F::of(scale)).collect::<Vec<_>>();
        let (g, start) = (draw(2), draw(3));
        let run = |threads| {
            let [mut y, mut pulled, mut added] = [g.clone(), g.clone(), start.clone()];
            on_threads(threads, || {
                normalize(&x, n, eps, &mut y);
                normalize_vjp([&x, &y, &g], n, eps, &mut pulled, false);
                normalize_vjp([&x, &y, &g], n, eps, &mut added, true);
            });
            [y, pulled, added]
        };
        let got = run(1);
        assert!(got == run(2));
        let share = 1.0 / n as f64;
        for first in (0..len).step_by(n) {
            let of =
                |row: &[F]| row[first..first + n].iter().map(|x| x.to_f64()).collect::<Vec<_>>();
            let [x, g, start] = [of(&x), of(&g), of(&start)];
            let mean = x.iter().sum::<f64>() * share;
            let squares = x.iter().map(|x| ((x - mean) / scale).powi(2)).sum::<f64>() * share;
            let spread = (squares.sqrt() * scale).hypot(eps.sqrt());
            let y = x.iter().map(|x| (x - mean) / spread).collect::<Vec<_>>();
            let common = g.iter().zip(&y).map(|(g, y)| g * y).sum::<f64>() * share;
            let t = g.iter().zip(&y).map(|(g, y)| (g - y * common) / spread).collect::<Vec<_>>();
            let mean_t = t.iter().sum::<f64>() * share;
            for i in 0..n {
                let near = |got: &[F], want: f64, size: f64| {
                    let off = (got[first + i].to_f64() - want).abs();
                    let limit = 500.0 * F::EPSILON.to_f64() * size;
                    assert!(off <= limit, "{count}x{n}: {}, not {want}", got[first + i]);
                };
                near(&got[0], y[i], 1.0);
                near(&got[1], t[i] - mean_t, 1.0 / spread);
                near(&got[2], start[i] + t[i] - mean_t, 1.0 + 1.0 / spread);
            }
        }
    }

    #[test]
    fn agrees_with_a_plain_loop() {
        for n in [2, 3, 8, 17, 64, 511, 512, 513, 1300] {
            for count in [0, 1, 5] {
                check::<f32>(count, n, 1.0, 1e-5);
                check::<f64>(count, n, 1.0, 1e-5);
            }
        }
        check::<f32>(4200, 64, 1.0, 1e-5);
    }

    #[test]
    fn neither_large_nor_small_squares_are_lost() {
        check::<f32>(2, 33, 1e25, 0.0);
        check::<f32>(2, 33, 1e-25, 0.0);
        check::<f64>(2, 33, 1e200, 0.0);
        check::<f64>(2, 33, 1e-200, 0.0);
    }

    #[test]
    fn equal_elements_give_zero_and_discarded_rows_pass_nothing() {
        let (x, mut y, mut out) = ([0.1f32; 7], [1.0; 7], [1.0; 7]);
        normalize(&x, 7, 1e-5, &mut y);
        assert_eq!(y, [0.0; 7]);
        normalize_vjp([&x, &y, &[0.3; 7]], 7, 1e-5, &mut out, false);
        assert_eq!(out, [0.0; 7]);
        let x = [f32::NAN; 7];
        normalize(&x, 7, 1e-5, &mut y);
        assert!(y.iter().all(|y| y.is_nan()));
        normalize_vjp([&x, &y, &[0.0; 7]], 7, 1e-5, &mut out, false);
        assert_eq!(out, [0.0; 7]);
        normalize::<f64>(&[], 0, 0.0, &mut []);
    }
}
