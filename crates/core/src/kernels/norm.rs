//! Euclidean norms.
//!
//! The squares are added in double precision, where those of `f32` neither overflow nor vanish. Where those of `f64`
//! do, the row is scaled by its largest element and added again, which is rare.

use super::pieces::pieces_of_both;
use super::reduce::{dot_chunk, larger};
use super::{CHUNK, parallel, vectorized};
use crate::float::Float;

/// The columns that are added side by side.
const COLUMNS: usize = 128;

/// `y = sqrt(sum of x^2)` over the middle axis; `x` is `[outer, n, inner]`, `y` is `[outer, inner]`. The norm of
/// nothing is 0.
///
/// # Panics
/// If a slice has another length.
pub(crate) fn norm<F: Float>(x: &[F], outer: usize, n: usize, inner: usize, y: &mut [F]) {
    assert_eq!((x.len(), y.len()), (outer * n * inner, outer * inner));
    if x.is_empty() {
        return y.fill(F::ZERO);
    }
    if outer == 1 && inner == 1 {
        y[0] = root(super::dot(x, x), x.iter());
        return;
    }
    let task = |x: &[F], y: &mut [F]| {
        vectorized(
            #[inline(always)]
            || slabs(x, n, inner, y),
        );
    };
    if parallel(x.len()) {
        let group = (CHUNK / (n * inner)).max(1);
        pieces_of_both(x, group * n * inner, y, group * inner, true, &task);
    } else {
        task(x, y);
    }
}

/// [`norm`], one slab `[n, inner]` after the other.
#[inline(always)]
fn slabs<F: Float>(x: &[F], n: usize, inner: usize, y: &mut [F]) {
    for (x, y) in x.chunks_exact(n * inner).zip(y.chunks_exact_mut(inner)) {
        if inner == 1 {
            let squares = x.chunks(CHUNK).map(|x| dot_chunk(x, x));
            y[0] = root(squares.sum(), x.iter());
            continue;
        }
        for (block, y) in y.chunks_mut(COLUMNS).enumerate() {
            let first = block * COLUMNS;
            let mut squares = [0.0; COLUMNS];
            let squares = &mut squares[..y.len()];
            for x in x.chunks_exact(inner) {
                for (square, x) in squares.iter_mut().zip(&x[first..]) {
                    *square += x.to_f64() * x.to_f64();
                }
            }
            for (j, (y, square)) in y.iter_mut().zip(squares).enumerate() {
                *y = root(*square, x[first + j..].iter().step_by(inner));
            }
        }
    }
}

/// The root of a sum of squares; if it has overflowed or vanished, that of the scaled elements.
fn root<'a, F: Float>(square: f64, x: impl Iterator<Item = &'a F> + Clone) -> F {
    // Below the least of these, the squares in the sum have lost digits.
    if (1e-280..=f64::MAX).contains(&square) {
        return F::of(square.sqrt());
    }
    let most = x.clone().fold(F::ZERO, |most, x| larger(most, x.abs())).to_f64();
    if most == 0.0 || !most.is_finite() {
        return F::of(most);
    }
    let scaled = x.map(|x| x.to_f64() / most).map(|x| x * x).sum::<f64>();
    F::of(most * scaled.sqrt())
}

#[cfg(test)]
mod tests {
    use super::super::tests::{on_threads, random};
    use super::*;

    #[test]
    fn agrees_with_a_plain_loop_at_every_scale() {
        for (outer, n, inner) in
            [(1, 5, 1), (3, 40, 1), (2, 7, 3), (1, 9, 200), (0, 3, 2), (2, 0, 2), (600, 30, 20)]
        {
            let x = random::<f64>(outer * n * inner, 1);
            for scale in [1.0, 1e200, 1e-200, 1e-310] {
                let scaled = x.iter().map(|x| x * scale).collect::<Vec<_>>();
                let run = |threads| {
                    let mut y = vec![1.0; outer * inner];
                    on_threads(threads, || norm(&scaled, outer, n, inner, &mut y));
                    y
                };
                let got = run(1);
                assert!(got == run(2));
                for (i, got) in got.iter().enumerate() {
                    let column = x[(i / inner * n * inner + i % inner).min(x.len())..].iter();
                    let square = column.step_by(inner).take(n).map(|x| x * x).sum::<f64>();
                    let (want, got) = (square.sqrt(), got / scale);
                    // Subnormal numbers have few digits.
                    let limit = if scale < 1e-300 { 1e-10 } else { 1e-13 };
                    assert!((got - want).abs() <= limit * want, "{scale}: {got}, not {want}");
                }
            }
        }
    }

    #[test]
    fn zeros_infinities_and_nan() {
        let of = |x: &[f32]| {
            let mut y = [1.0];
            norm(x, 1, x.len(), 1, &mut y);
            y[0]
        };
        assert_eq!(of(&[0.0, -0.0]), 0.0);
        assert_eq!(of(&[3e20, -4e20]), 5e20);
        assert_eq!(of(&[3e-40, 4e-40]), 5e-40);
        assert_eq!(of(&[1.0, f32::NEG_INFINITY]), f32::INFINITY);
        assert!(of(&[1.0, f32::NAN, f32::INFINITY]).is_nan());
    }
}
