//! Pooling over squares of four elements side by side, the most frequent cells, without a search.
//!
//! The last row and the last column of a plane with odd sides belong to no square. The search for maxima knows no NaN:
//! [`pool`](super::pool) takes its general way where there is one.

use super::vectorized;
use crate::float::Float;

/// `y` gets the largest element of each square of `x`, a plane of this width without NaN.
pub(super) fn max<F: Float>(x: &[F], width: usize, y: &mut [F]) {
    gather(
        x,
        width,
        y,
        #[inline(always)]
        |a, b, c, d| larger(larger(a, b), larger(c, d)),
    );
}

/// `y` gets the mean of each square of `x`.
pub(super) fn average<F: Float>(x: &[F], width: usize, y: &mut [F]) {
    gather(
        x,
        width,
        y,
        #[inline(always)]
        |a, b, c, d| (a + b + c + d) / F::of(4.0),
    );
}

/// `out` gets each element of `g` at the largest element of its square in `x`, the first of equals, and 0 elsewhere.
/// `x` has no NaN.
pub(super) fn max_backward<F: Float>(x: &[F], g: &[F], width: usize, out: &mut [F]) {
    vectorized(
        #[inline(always)]
        || {
            let mut g = g.chunks_exact(width / 2);
            for (out, x) in out.chunks_mut(2 * width).zip(x.chunks(2 * width)) {
                let Some(g) = g.next() else { return out.fill(F::ZERO) };
                let (top, bottom) = pairs(x, width);
                let (out_top, out_bottom) = pairs_mut(out, width);
                match g.len() {
                    ..4 => give::<F, 1>(top, bottom, g, out_top, out_bottom),
                    4..8 => give::<F, 4>(top, bottom, g, out_top, out_bottom),
                    _ => give::<F, 8>(top, bottom, g, out_top, out_bottom),
                }
            }
        },
    );
}

/// `out` gets a quarter of each element of `g` in all of its square: the transpose of [`average`].
pub(super) fn average_backward<F: Float>(g: &[F], width: usize, out: &mut [F]) {
    vectorized(
        #[inline(always)]
        || {
            let mut g = g.chunks_exact(width / 2);
            for out in out.chunks_mut(2 * width) {
                let Some(g) = g.next() else { return out.fill(F::ZERO) };
                let (top, bottom) = pairs_mut(out, width);
                for ((top, bottom), g) in top.iter_mut().zip(bottom).zip(g) {
                    let share = *g / F::of(4.0);
                    (*top, *bottom) = ([share; 2], [share; 2]);
                }
            }
        },
    );
}

/// `y` gets `f` of the elements of each square of `x`.
#[inline(always)]
fn gather<F: Float>(x: &[F], width: usize, y: &mut [F], f: impl Fn(F, F, F, F) -> F) {
    vectorized(
        #[inline(always)]
        || {
            for (x, y) in x.chunks_exact(2 * width).zip(y.chunks_exact_mut(width / 2)) {
                let (top, bottom) = pairs(x, width);
                match y.len() {
                    ..4 => gather_row::<F, 1>(top, bottom, y, &f),
                    4..8 => gather_row::<F, 4>(top, bottom, y, &f),
                    _ => gather_row::<F, 8>(top, bottom, y, &f),
                }
            }
        },
    );
}

/// [`gather`] for one row of squares, at least `N`. The last block overlaps the one before, so that there is no tail.
#[inline(always)]
fn gather_row<F: Float, const N: usize>(
    top: &[[F; 2]],
    bottom: &[[F; 2]],
    y: &mut [F],
    f: &impl Fn(F, F, F, F) -> F,
) {
    for start in (0..y.len()).step_by(N) {
        let start = start.min(y.len() - N);
        let (top, bottom) = (&top[start..][..N], &bottom[start..][..N]);
        let y = &mut y[start..][..N];
        for i in 0..N {
            y[i] = f(top[i][0], top[i][1], bottom[i][0], bottom[i][1]);
        }
    }
}

/// [`max_backward`] for one row of squares, at least `N`; with blocks as in [`gather_row`].
#[inline(always)]
fn give<F: Float, const N: usize>(
    top: &[[F; 2]],
    bottom: &[[F; 2]],
    g: &[F],
    out_top: &mut [[F; 2]],
    out_bottom: &mut [[F; 2]],
) {
    for start in (0..g.len()).step_by(N) {
        let start = start.min(g.len() - N);
        let (top, bottom, g) = (&top[start..][..N], &bottom[start..][..N], &g[start..][..N]);
        let (out_top, out_bottom) = (&mut out_top[start..][..N], &mut out_bottom[start..][..N]);
        for i in 0..N {
            let ([a, b], [c, d]) = (top[i], bottom[i]);
            let most = larger(larger(a, b), larger(c, d));
            let (a, rest) = take(g[i], a == most);
            let (b, rest) = take(rest, b == most);
            let (c, rest) = take(rest, c == most);
            (out_top[i], out_bottom[i]) = ([a, b], [c, rest]);
        }
    }
}

/// The parts of `g` that are taken and left: all or nothing.
#[inline(always)]
fn take<F: Float>(g: F, all: bool) -> (F, F) {
    (if all { g } else { F::ZERO }, if all { F::ZERO } else { g })
}

/// The pairs of neighbours in two rows.
#[inline(always)]
fn pairs<F>(rows: &[F], width: usize) -> (&[[F; 2]], &[[F; 2]]) {
    let (top, bottom) = rows.split_at(width);
    (top.as_chunks().0, bottom.as_chunks().0)
}

/// The pairs of neighbours in two rows; an element without a neighbour becomes 0.
#[inline(always)]
fn pairs_mut<F: Float>(rows: &mut [F], width: usize) -> (&mut [[F; 2]], &mut [[F; 2]]) {
    let (top, bottom) = rows.split_at_mut(width);
    let ((top, first), (bottom, second)) = (top.as_chunks_mut(), bottom.as_chunks_mut());
    first.fill(F::ZERO);
    second.fill(F::ZERO);
    (top, bottom)
}

/// The larger of two numbers, the first of equals.
#[inline(always)]
fn larger<F: Float>(first: F, second: F) -> F {
    if second > first { second } else { first }
}

#[cfg(test)]
mod tests {
    use super::super::pool::Cells;
    use super::super::tests::random;
    use super::super::{Slide, average, gather_winners, max_pool, scatter_winners, spread};
    use crate::float::Float;

    /// Compares with a plain search in every square.
    fn check<F: Float>(planes: usize, height: usize, width: usize, x: &[F]) {
        let (rows, columns) = (height / 2, width / 2);
        let cells = [height, width].map(|input| {
            let (kernel, output) = (2, input / 2);
            Cells::Sliding(Slide { input, kernel, output, stride: 2, dilation: 1, before: 0 })
        });
        let g = random::<F>(planes * rows * columns, 2);
        let [mut largest, mut means] = [g.clone(), g.clone()];
        let [mut given, mut shared] = [x.to_vec(), x.to_vec()];
        max_pool(cells, x, &mut largest);
        scatter_winners(cells, x, &g, &mut given);
        average(cells, true, x, &mut means);
        spread(cells, true, &g, &mut shared);
        // Zeros of two signs are told apart.
        let bits = |x: F| x.to_f64().to_bits();
        let same = |a: F, b: F| bits(a) == bits(b) || a.is_nan() && b.is_nan();
        let mut gathered = g.clone();
        gather_winners(cells, x, x, &mut gathered);
        assert!(largest.iter().zip(&gathered).all(|(a, b)| same(*a, *b)), "{height}x{width}");
        let [mut want_given, mut want_shared] = [(); 2].map(|()| vec![F::ZERO; x.len()]);
        for cell in 0..g.len() {
            let (plane, i, j) = (cell / (rows * columns), cell / columns % rows, cell % columns);
            let first = plane * height * width + 2 * i * width + 2 * j;
            let square = [first, first + 1, first + width, first + width + 1];
            let better = |best: usize, at: usize| match (x[at].is_nan(), x[best].is_nan()) {
                (true, false) => at,
                (_, true) => best,
                _ => {
                    if x[at] > x[best] {
                        at
                    } else {
                        best
                    }
                }
            };
            let winner = square.into_iter().reduce(better).expect("four places");
            assert!(same(largest[cell], x[winner]), "{height}x{width}: cell {cell}");
            want_given[winner] = g[cell];
            let sum = square.iter().map(|at| x[*at].to_f64()).sum::<f64>();
            let off = (means[cell].to_f64() - sum / 4.0).abs();
            assert!(off <= F::EPSILON.to_f64() * 4.0 || sum.is_nan() || sum.is_infinite(), "{off}");
            square.iter().for_each(|at| want_shared[*at] = g[cell] / F::of(4.0));
        }
        assert!(given == want_given && shared == want_shared, "{height}x{width}");
    }

    #[test]
    fn agrees_with_a_search_in_every_square() {
        for height in [2, 3, 4, 7] {
            for width in [2, 3, 5, 8, 15, 16, 17, 32, 33, 66] {
                check::<f32>(3, height, width, &random(3 * height * width, 1));
                check::<f64>(2, height, width, &random(2 * height * width, 1));
            }
        }
    }

    #[test]
    fn the_first_of_equals_wins_and_nan_before_all() {
        // All squares of four values out of four, with ties and NaN in every place.
        let values = [f32::NAN, f32::INFINITY, -0.0, 0.0, -1.0, f32::NEG_INFINITY];
        // A plane with NaN takes another loop than one without.
        for values in [&values[..], &values[1..]] {
            let count = values.len().pow(4);
            let mut x = vec![0.0; 4 * count];
            for square in 0..count {
                let digit = |k: u32| values[square / values.len().pow(k) % values.len()];
                (x[2 * square], x[2 * square + 1]) = (digit(0), digit(1));
                (x[2 * (count + square)], x[2 * (count + square) + 1]) = (digit(2), digit(3));
            }
            check::<f32>(1, 2, 2 * count, &x);
        }
    }
}
