//! Linear interpolation along one axis.
//!
//! A tensor is seen as `[outer, n, inner]` and interpolated along `n`.

use super::pieces::pieces_of_both;
use super::{parallel, vectorized};
use crate::float::Float;

/// The places of an axis of `output` elements on an axis of `input` elements.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Interpolation {
    pub(crate) input: usize,
    pub(crate) output: usize,
    /// Whether the centres of the first and last elements coincide, and not the borders of the axes.
    pub(crate) align_corners: bool,
    pub(crate) inner: usize,
}

/// Neighbours on the axis, and their weights.
type Pair<F> = [(usize, F); 2];

impl Interpolation {
    /// The elements of the input on both sides of place `i`.
    #[inline(always)]
    fn neighbours<F: Float>(&self, i: usize) -> Pair<F> {
        let (input, output) = (self.input as f64, self.output as f64);
        let place = if self.align_corners {
            // An output of one element has the place of the first.
            i as f64 * (input - 1.0) / (output - 1.0).max(1.0)
        } else {
            ((i as f64 + 0.5) * input / output - 0.5).max(0.0)
        };
        let before = (place as usize).min(self.input - 1);
        let weight = place - before as f64;
        [(before, F::of(1.0 - weight)), ((before + 1).min(self.input - 1), F::of(weight))]
    }

    /// The rows of the outer axis that are interpolated together, so that their neighbours are computed once.
    fn rows(&self) -> usize {
        (64 / self.inner.max(1)).max(1)
    }

    /// Calls `task` on pieces of a few rows of the input and of the output.
    fn each<'a, F: Float>(
        &self,
        from: (&'a [F], usize),
        to: (&'a mut [F], usize),
        task: impl Fn(&[F], &mut [F]) + Sync,
    ) {
        // The rows of an empty tensor may be too long to be counted.
        if from.0.is_empty() || to.0.is_empty() {
            return;
        }
        let [from_row, to_row] = [from.1, to.1].map(|extent| extent * self.inner * self.rows());
        let shared = parallel(from.0.len().max(to.0.len()));
        pieces_of_both(from.0, from_row, to.0, to_row, shared, &task);
    }
}

/// `y` gets the interpolated elements of `x`. An element whose weight is 0 is not read: it may be infinite or NaN.
pub(crate) fn interpolate<F: Float>(by: Interpolation, x: &[F], y: &mut [F]) {
    let Interpolation { input, output, inner, .. } = by;
    by.each((x, input), (y, output), |x, y| {
        vectorized(
            #[inline(always)]
            || {
                for i in 0..output {
                    let [(a, of_a), (b, of_b)] = by.neighbours::<F>(i);
                    let rows =
                        x.chunks_exact(input * inner).zip(y.chunks_exact_mut(output * inner));
                    for (x, y) in rows {
                        let (a, b) = (&x[a * inner..][..inner], &x[b * inner..][..inner]);
                        let y = &mut y[i * inner..][..inner];
                        if of_b == F::ZERO {
                            y.copy_from_slice(a);
                            continue;
                        }
                        let y = y.iter_mut().zip(a).zip(b);
                        y.for_each(|((y, &a), &b)| *y = of_a * a + of_b * b);
                    }
                }
            },
        );
    });
}

/// Each element of `g` is shared among its neighbours: the transpose of [`interpolate`].
pub(crate) fn interpolate_backward<F: Float>(by: Interpolation, g: &[F], x: &mut [F]) {
    let Interpolation { input, output, inner, .. } = by;
    x.fill(F::ZERO);
    by.each((g, output), (x, input), |g, x| {
        vectorized(
            #[inline(always)]
            || {
                for i in 0..output {
                    let shares = by.neighbours::<F>(i).into_iter();
                    for (at, share) in shares.filter(|(_, share)| *share != F::ZERO) {
                        let rows =
                            g.chunks_exact(output * inner).zip(x.chunks_exact_mut(input * inner));
                        for (g, x) in rows {
                            let x = x[at * inner..][..inner].iter_mut();
                            x.zip(&g[i * inner..][..inner]).for_each(|(x, &g)| *x += share * g);
                        }
                    }
                }
            },
        );
    });
}
