//! Sums of rows, for [`reduce::sum`](super::reduce::sum).
//!
//! Up to [`ROWS`] elements are added in their own precision and the partial sums in double precision, along every
//! axis, so that ten million `f32` add up as exactly as ten.

use crate::float::Float;

/// The number of elements that are added before double precision takes over.
const ROWS: usize = 16;
/// The number of columns summed together: 4 KiB of double precision.
pub(super) const COLUMNS: usize = 512;
/// Narrow rows are joined to about this width.
const WIDE: usize = 64;

/// Sums `x`, `[outer, n, inner]`, over `n` into `y`: one slab `[n, inner]` after the other.
#[inline(always)]
pub(super) fn slabs<F: Float>(x: &[F], n: usize, inner: usize, y: &mut [F], accumulate: bool) {
    if inner == 1 && n <= 32 * ROWS {
        for (x, y) in x.chunks_exact(n).zip(y) {
            let sum = F::of(row_sum(x));
            *y = if accumulate { *y + sum } else { sum };
        }
        return;
    }
    for (x, y) in x.chunks_exact(n * inner).zip(y.chunks_exact_mut(inner)) {
        for (i, y) in y.chunks_mut(COLUMNS).enumerate() {
            columns(&x[i * COLUMNS..], inner, n, y, accumulate);
        }
    }
}

/// The sum of at most a few hundred numbers, accurate enough as a part of longer sums.
#[inline(always)]
pub(super) fn row_sum<F: Float>(x: &[F]) -> f64 {
    const LANES: usize = 32;
    let (chunks, rest) = x.as_chunks::<LANES>();
    let (narrow, rest) = rest.as_chunks::<8>();
    let mut sum = rest.iter().copied().sum::<F>();
    let mut eight = [F::ZERO; 8];
    if !chunks.is_empty() {
        let mut lanes = [F::ZERO; LANES];
        for x in chunks {
            for i in 0..LANES {
                lanes[i] += x[i];
            }
        }
        for i in 0..8 {
            eight[i] = (lanes[i] + lanes[i + 8]) + (lanes[i + 16] + lanes[i + 24]);
        }
    }
    for x in narrow {
        for i in 0..8 {
            eight[i] += x[i];
        }
    }
    if x.len() >= 8 {
        let four: [F; 4] = std::array::from_fn(|i| eight[i] + eight[i + 4]);
        sum += (four[0] + four[1]) + (four[2] + four[3]);
    }
    sum.to_f64()
}

/// Sums as many columns of `n` rows, `stride` apart, as `y` has elements.
#[inline(always)]
pub(super) fn columns<F: Float>(x: &[F], stride: usize, n: usize, y: &mut [F], accumulate: bool) {
    if n <= ROWS {
        add_block(x, stride, n, y, |y, sum| *y = if accumulate { *y + sum } else { sum });
    } else if y.len() <= WIDE {
        let mut total = [0.0; WIDE];
        total_columns(x, stride, n, y, &mut total, accumulate);
    } else {
        let mut total = [0.0; COLUMNS];
        total_columns(x, stride, n, y, &mut total, accumulate);
    }
}

/// [`columns`] with zeros to sum in.
#[inline(always)]
fn total_columns<F: Float>(
    x: &[F],
    stride: usize,
    n: usize,
    y: &mut [F],
    total: &mut [f64],
    accumulate: bool,
) {
    let total = &mut total[..y.len()];
    total_rows(x, stride, n, total);
    for (y, total) in y.iter_mut().zip(total) {
        let sum = F::of(*total);
        *y = if accumulate { *y + sum } else { sum };
    }
}

/// Adds `n` rows, `stride` apart, to `total`, in double precision from one block to the next.
#[inline(always)]
pub(super) fn total_rows<F: Float>(x: &[F], stride: usize, n: usize, total: &mut [f64]) {
    let width = total.len();
    if width > WIDE / 2 || width < stride {
        return add_blocks(x, stride, n, total);
    }
    // Narrow rows: as many side by side as fill the vectors.
    let mut count = 1 << (WIDE / width).ilog2();
    let mut wide = [0.0; WIDE];
    let (body, rest) = x[..n * width].split_at(n / count * count * width);
    add_blocks(body, count * width, n / count, &mut wide[..count * width]);
    for (wide, x) in wide.iter_mut().zip(rest) {
        *wide += x.to_f64();
    }
    while count > 1 {
        count /= 2;
        let (low, high) = wide.split_at_mut(count * width);
        for (low, high) in low.iter_mut().zip(high) {
            *low += *high;
        }
    }
    for (total, wide) in total.iter_mut().zip(&wide) {
        *total += *wide;
    }
}

/// [`total_rows`] for rows wide enough to fill vectors.
#[inline(always)]
fn add_blocks<F: Float>(x: &[F], stride: usize, n: usize, total: &mut [f64]) {
    for row in (0..n).step_by(ROWS) {
        let rows = ROWS.min(n - row);
        add_block(&x[row * stride..], stride, rows, total, |total, sum| *total += sum.to_f64());
    }
}

/// Calls `put` with each element of `y` and the sum of its column, over a block of rows.
#[inline(always)]
fn add_block<F: Float, Y>(
    x: &[F],
    stride: usize,
    rows: usize,
    y: &mut [Y],
    put: impl Fn(&mut Y, F),
) {
    let (wide, y) = y.as_chunks_mut::<32>();
    let (narrow, rest) = y.as_chunks_mut::<8>();
    let mut x = x;
    for y in wide {
        add_lanes(x, stride, rows, y, &put);
        x = &x[32.min(x.len())..];
    }
    for y in narrow {
        add_lanes(x, stride, rows, y, &put);
        x = &x[8.min(x.len())..];
    }
    for y in rest {
        add_lanes(x, stride, rows, std::array::from_mut(y), &put);
        x = &x[1.min(x.len())..];
    }
}

/// [`add_block`] for a number of columns known at compile time, so that the sums stay in registers.
#[inline(always)]
fn add_lanes<F: Float, Y, const LANES: usize>(
    x: &[F],
    stride: usize,
    rows: usize,
    y: &mut [Y; LANES],
    put: &impl Fn(&mut Y, F),
) {
    let mut sums = [F::ZERO; LANES];
    for row in 0..rows {
        let x = &x[row * stride..][..LANES];
        for i in 0..LANES {
            sums[i] += x[i];
        }
    }
    for i in 0..LANES {
        put(&mut y[i], sums[i]);
    }
}

#[cfg(test)]
mod tests {
    use super::super::reduce::sum;
    use super::super::tests::{on_threads, random};
    use crate::float::Float;

    fn check<F: Float>(outer: usize, n: usize, inner: usize) {
        let x = random::<F>(outer * n * inner, 1);
        for accumulate in [false, true] {
            let run = |threads| {
                let mut y = vec![F::ONE; outer * inner];
                on_threads(threads, || sum(&x, outer, n, inner, &mut y, accumulate));
                y
            };
            let got = run(1);
            assert!(got == run(2), "{outer}x{n}x{inner}: threads matter");
            for (i, got) in got.iter().enumerate() {
                let start = i / inner * n * inner + i % inner;
                let column = x.get(start..).unwrap_or(&[]).iter().step_by(inner).take(n);
                let exact = column.map(|x| x.to_f64()).sum::<f64>() + f64::from(accumulate);
                let off = (got.to_f64() - exact).abs();
                // The plain sum is inexact too.
                let plain = n as f64 * 1e-16;
                let limit =
                    plain + 4.0 * F::EPSILON.to_f64() * (1.0 + exact.abs() + (n as f64).sqrt());
                assert!(off <= limit, "{outer}x{n}x{inner}, {i}: {off}");
            }
        }
    }

    #[test]
    fn agrees_with_a_plain_loop() {
        for n in [0, 1, 2, 10, 16, 17, 100, 300] {
            for (outer, inner) in
                [(0, 3), (3, 0), (1, 1), (5, 1), (2, 3), (3, 40), (2, 70), (1, 520)]
            {
                check::<f32>(outer, n, inner);
                check::<f64>(outer, n, inner);
            }
        }
    }

    #[test]
    fn large_sums_do_not_depend_on_the_number_of_threads() {
        for (outer, n, inner) in [
            (1, 300_001, 1),
            (1, 50_001, 7),
            (3, 50_001, 2),
            (1000, 301, 1),
            (2, 300, 520),
            (1, 400, 700),
        ] {
            check::<f32>(outer, n, inner);
            check::<f64>(outer, n, inner);
        }
    }

    #[test]
    fn ten_million_tenths_are_a_million_along_every_axis() {
        let x = vec![0.1f32; 10_000_000];
        for (n, inner) in [(10_000_000, 1), (1_000_000, 10), (100_000, 100), (10_000, 1000)] {
            let mut y = vec![0.0; inner];
            sum(&x, 1, n, inner, &mut y, false);
            let exact = n as f32 * 0.1;
            assert!(y.iter().all(|y| (y / exact - 1.0).abs() < 1e-6), "{n}x{inner}: {}", y[0]);
        }
    }

    #[test]
    fn infinities_and_nan_propagate() {
        for (n, inner) in [(5, 1), (100, 1), (100, 3), (100, 50)] {
            let mut x = vec![1f32; n * inner];
            let mut y = vec![0.0; inner];
            x[0] = f32::INFINITY;
            sum(&x, 1, n, inner, &mut y, false);
            assert!(y[0] == f32::INFINITY && y[1..].iter().all(|y| *y == n as f32));
            x[(n - 1) * inner] = f32::NEG_INFINITY;
            sum(&x, 1, n, inner, &mut y, false);
            assert!(y[0].is_nan() && y[1..].iter().all(|y| *y == n as f32));
        }
    }
}
