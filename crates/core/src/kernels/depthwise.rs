//! Correlation of one plane with one or two kernels, as in a depthwise convolution: line by line, without columns.

use std::ops::Range;

use super::vectorized;
use super::window::Correlation;
use crate::float::Float;

impl Correlation {
    /// Calls `visit` for each element of the window and each line of the output whose window has that element inside
    /// the input: with the number of the element, the places of the line, and the place of the first element in the
    /// input; the others follow at the stride of the columns.
    #[inline(always)]
    fn lines(&self, mut visit: impl FnMut(usize, Range<usize>, usize)) {
        let [rows, columns] = self.slides;
        for ki in 0..rows.kernel {
            let (inside, first) = rows.inside(ki);
            for kj in 0..columns.kernel {
                let (range, start) = columns.inside(kj);
                for (i, row) in inside.clone().enumerate() {
                    let line = row * columns.output;
                    let from = (first + i * rows.stride) * columns.input + start;
                    visit(ki * columns.kernel + kj, line + range.start..line + range.end, from);
                }
            }
        }
    }

    /// [`Self::forward`] of a depthwise unit.
    pub(super) fn depthwise_forward<F: Float>(&self, x: &[F], w: &[F], y: &mut [F]) {
        let [_, places, window] = self.product();
        let stride = self.slides[1].stride;
        vectorized(
            #[inline(always)]
            || {
                for (w, y) in w.chunks_exact(window).zip(y.chunks_exact_mut(places)) {
                    self.lines(
                        #[inline(always)]
                        |tap, line, from| add_scaled(&mut y[line], w[tap], &x[from..], stride),
                    );
                }
            },
        );
    }

    /// [`Self::towards_input`] of a depthwise unit.
    pub(super) fn depthwise_towards_input<F: Float>(&self, g: &[F], w: &[F], x: &mut [F]) {
        let [_, places, window] = self.product();
        let stride = self.slides[1].stride;
        vectorized(
            #[inline(always)]
            || {
                for (w, g) in w.chunks_exact(window).zip(g.chunks_exact(places)) {
                    self.lines(
                        #[inline(always)]
                        |tap, line, from| spread_scaled(&mut x[from..], w[tap], &g[line], stride),
                    );
                }
            },
        );
    }

    /// [`Self::towards_weight`] of a depthwise unit.
    pub(super) fn depthwise_towards_weight<F: Float>(&self, x: &[F], g: &[F], w: &mut [F]) {
        let [_, places, window] = self.product();
        let stride = self.slides[1].stride;
        vectorized(
            #[inline(always)]
            || {
                for (w, g) in w.chunks_exact_mut(window).zip(g.chunks_exact(places)) {
                    self.lines(
                        #[inline(always)]
                        |tap, line, from| w[tap] += scalar_product(&g[line], &x[from..], stride),
                    );
                }
            },
        );
    }
}

/// `y += w x`, where the elements of `x` are `stride` apart.
#[inline(always)]
fn add_scaled<F: Float>(y: &mut [F], w: F, x: &[F], stride: usize) {
    if stride == 1 {
        y.iter_mut().zip(x).for_each(|(y, &x)| *y += w * x);
    } else {
        y.iter_mut().zip(x.iter().step_by(stride)).for_each(|(y, &x)| *y += w * x);
    }
}

/// `x += w g`, where the elements of `x` are `stride` apart.
#[inline(always)]
fn spread_scaled<F: Float>(x: &mut [F], w: F, g: &[F], stride: usize) {
    if stride == 1 {
        x.iter_mut().zip(g).for_each(|(x, &g)| *x += w * g);
    } else {
        x.iter_mut().step_by(stride).zip(g).for_each(|(x, &g)| *x += w * g);
    }
}

/// The sum of `g x`, where the elements of `x` are `stride` apart.
#[inline(always)]
fn scalar_product<F: Float>(g: &[F], x: &[F], stride: usize) -> F {
    if stride > 1 {
        return g.iter().zip(x.iter().step_by(stride)).map(|(&g, &x)| g * x).sum();
    }
    let (chunks, rest) = g.as_chunks::<8>();
    let mut lanes = [F::ZERO; 8];
    for (g, x) in chunks.iter().zip(x.as_chunks::<8>().0) {
        for i in 0..8 {
            lanes[i] += g[i] * x[i];
        }
    }
    let rest = rest.iter().zip(&x[g.len() - rest.len()..]).map(|(&g, &x)| g * x);
    lanes.into_iter().sum::<F>() + rest.sum()
}
