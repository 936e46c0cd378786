//! Correlation of one plane with a few kernels, as in a depthwise convolution, without columns.
//!
//! A padded copy of the plane, divided by the strides into phases, makes a fixed shift of each element of the window
//! (a tap): output `p` is the sum of `w[t] * x[shift[t] + p]` over the taps `t`, whatever stride, dilation and padding
//! are. So one loop runs over all rows, with its sums in registers. What it computes behind the end of a row is dropped.

use super::block::array;
use super::window::{Correlation, Slide};
use super::{MulAdd, fused};
use crate::float::Float;

/// Phases are padded to a multiple of this, so that loops have no tails: four vectors of 256 bits in single precision.
const BLOCK: usize = 32;
/// The taps of one pass over a plane.
const TAPS: usize = 32;
/// The taps whose products with the output's cotangent are summed together.
const GROUP: usize = 4;
/// The partial sums of each.
const LANES: usize = BLOCK / 2;
/// The elements whose products are summed in one go: more would lose digits.
const PIECE: usize = 2048;

impl Slide {
    /// The phases along this axis and the extent of each: phase `q` holds every `stride`-th element from
    /// [`Self::first`] on. If the stride exceeds the kernel, each tap has a phase of its own.
    fn phases(&self) -> [usize; 2] {
        if self.stride > self.kernel {
            return [self.kernel, self.output];
        }
        let reach = (self.kernel - 1).saturating_mul(self.dilation);
        [self.stride, self.output.saturating_add(reach / self.stride)]
    }

    /// The place of the first element of phase `q` on the padded axis.
    fn first(&self, q: usize) -> usize {
        if self.stride > self.kernel { q * self.dilation } else { q }
    }

    /// The phase of a tap, and the tap's shift in it.
    fn tap(&self, tap: usize) -> [usize; 2] {
        let reach = tap * self.dilation;
        match self.stride {
            1 => [0, reach], // Without the divisions, which take as long as the tap's row of a small plane.
            stride if stride > self.kernel => [tap, 0],
            stride => [reach % stride, reach / stride],
        }
    }
}

impl Correlation {
    /// The phases of a plane, and their height and width.
    fn phases(&self) -> [usize; 3] {
        let [[rows, height], [columns, width]] = self.slides.map(|slide| slide.phases());
        [rows.saturating_mul(columns), height, width]
    }

    /// The elements of a phase with padding behind its end.
    fn phase(&self) -> usize {
        let [_, height, width] = self.phases();
        height.saturating_mul(width).div_ceil(BLOCK).saturating_mul(BLOCK)
    }

    /// Elements of scratch memory for a depthwise unit: all phases and two more.
    pub(super) fn depthwise_scratch(&self) -> usize {
        self.phases()[0].saturating_add(2).saturating_mul(self.phase())
    }

    /// The elements from the first output to the last one where rows have the width of a phase, up to a whole block.
    fn span(&self) -> usize {
        let [rows, columns] = self.slides.map(|slide| slide.output);
        ((rows - 1) * self.phases()[2] + columns).next_multiple_of(BLOCK)
    }

    /// The phase of a tap, and the tap's shift in it.
    #[inline(always)]
    fn tap(&self, tap: usize) -> [usize; 2] {
        let [rows, columns] = self.slides;
        let ([p, i], [q, j]) = (rows.tap(tap / columns.kernel), columns.tap(tap % columns.kernel));
        [p * columns.phases()[0] + q, i * self.phases()[2] + j]
    }

    /// Calls `visit` for each row of a phase that meets the plane, with the place of its first element in the phase and
    /// in the plane, and the number of elements; in the plane they are the columns' stride apart.
    #[inline(always)]
    fn rows(&self, phase: usize, mut visit: impl FnMut(usize, usize, usize)) {
        let [rows, columns] = self.slides;
        let [across, width] = columns.phases();
        let (lines, first) = rows.within(rows.first(phase / across), rows.phases()[1]);
        let (range, start) = columns.within(columns.first(phase % across), width);
        for (i, line) in lines.enumerate() {
            let from = (first + i * rows.stride) * columns.input + start;
            visit(line * width + range.start, from, range.len());
        }
    }

    /// Copies the plane to its phases; padding is 0.
    #[inline(always)]
    fn divide<F: Float>(&self, x: &[F], phases: &mut [F]) {
        let stride = self.slides[1].stride;
        phases.fill(F::ZERO);
        for (q, phase) in phases.chunks_exact_mut(self.phase()).take(self.phases()[0]).enumerate() {
            self.rows(
                q,
                #[inline(always)]
                |to, from, n| {
                    let to = &mut phase[to..to + n];
                    if stride == 1 {
                        to.copy_from_slice(&x[from..from + n]);
                    } else {
                        to.iter_mut()
                            .zip(x[from..].iter().step_by(stride))
                            .for_each(|(y, x)| *y = *x);
                    }
                },
            );
        }
    }

    /// Copies the cotangent of the output to rows of the width of a phase, with zeros between them.
    #[inline(always)]
    fn widen<F: Float>(&self, g: &[F], wide: &mut [F]) {
        wide.fill(F::ZERO);
        let columns = self.slides[1].output;
        for (wide, g) in wide.chunks_mut(self.phases()[2]).zip(g.chunks_exact(columns)) {
            wide[..columns].copy_from_slice(g);
        }
    }

    /// [`Self::forward`] of a depthwise unit.
    pub(super) fn depthwise_forward<F: Float>(
        &self,
        x: &[F],
        w: &[F],
        y: &mut [F],
        scratch: &mut [F],
        accumulate: bool,
    ) {
        let [_, places, window] = self.product();
        let (phase, width, columns) = (self.phase(), self.phases()[2], self.slides[1].output);
        fused(
            #[inline(always)]
            |mul_add| {
                let (phases, sums) = scratch.split_at_mut((self.phases()[0] + 1) * phase);
                let sums = &mut sums[..self.span()];
                self.divide(x, phases);
                for (w, y) in w.chunks_exact(window).zip(y.chunks_exact_mut(places)) {
                    let taps = (0..window).map(
                        #[inline(always)]
                        |t| {
                            let [q, shift] = self.tap(t);
                            (q * phase + shift, w[t])
                        },
                    );
                    weighted_sums(mul_add, sums, phases, taps, false);
                    let rows = y.chunks_exact_mut(columns).zip(sums.chunks(width));
                    rows.for_each(|(y, sums)| put(y, &sums[..columns], accumulate));
                }
            },
        );
    }

    /// [`Self::towards_input`] of a depthwise unit; adds to `x`.
    pub(super) fn depthwise_towards_input<F: Float>(
        &self,
        g: &[F],
        w: &[F],
        x: &mut [F],
        scratch: &mut [F],
    ) {
        let [_, places, window] = self.product();
        let (phase, stride) = (self.phase(), self.slides[1].stride);
        fused(
            #[inline(always)]
            |mul_add| {
                // The first half stays 0: shifts point backwards.
                let (wide, sums) = scratch.split_at_mut(2 * phase);
                let sums = &mut sums[..phase];
                wide[..phase].fill(F::ZERO);
                for (w, g) in w.chunks_exact(window).zip(g.chunks_exact(places)) {
                    self.widen(g, &mut wide[phase..]);
                    for q in 0..self.phases()[0] {
                        let taps = (0..window).filter_map(
                            #[inline(always)]
                            |t| {
                                let [own, shift] = self.tap(t);
                                (own == q).then(|| (phase - shift, w[t]))
                            },
                        );
                        weighted_sums(mul_add, sums, wide, taps, false);
                        self.rows(
                            q,
                            #[inline(always)]
                            |from, to, n| {
                                let sums = &sums[from..from + n];
                                if stride == 1 {
                                    put(&mut x[to..to + n], sums, true);
                                } else {
                                    let x = x[to..].iter_mut().step_by(stride);
                                    x.zip(sums).for_each(|(x, sum)| *x += *sum);
                                }
                            },
                        );
                    }
                }
            },
        );
    }

    /// [`Self::towards_weight`] of a depthwise unit; adds to `w`.
    pub(super) fn depthwise_towards_weight<F: Float>(
        &self,
        x: &[F],
        g: &[F],
        w: &mut [F],
        scratch: &mut [F],
    ) {
        let [_, places, window] = self.product();
        let phase = self.phase();
        fused(
            #[inline(always)]
            |mul_add| {
                let (phases, wide) = scratch.split_at_mut((self.phases()[0] + 1) * phase);
                let wide = &mut wide[..self.span()];
                self.divide(x, phases);
                for (w, g) in w.chunks_exact_mut(window).zip(g.chunks_exact(places)) {
                    self.widen(g, wide);
                    for (i, w) in w.chunks_mut(GROUP).enumerate() {
                        // The last group repeats its last tap, whose sum is not used.
                        let from: [usize; GROUP] = std::array::from_fn(|j| {
                            let [q, shift] = self.tap((i * GROUP + j).min(window - 1));
                            q * phase + shift
                        });
                        let sums = scalar_products(mul_add, wide, from.map(|from| &phases[from..]));
                        w.iter_mut().zip(sums).for_each(|(w, sum)| *w += sum);
                    }
                }
            },
        );
    }
}

/// `y = x`, or `y += x` when accumulating.
#[inline(always)]
fn put<F: Float>(y: &mut [F], x: &[F], accumulate: bool) {
    if accumulate {
        y.iter_mut().zip(x).for_each(|(y, x)| *y += *x);
    } else {
        y.copy_from_slice(x);
    }
}

/// `y[p]` gets the sum over taps `(shift, w)` of `w * x[shift + p]`. The length of `y` is a multiple of [`BLOCK`].
#[inline(always)]
fn weighted_sums<F: Float>(
    mul_add: MulAdd,
    y: &mut [F],
    x: &[F],
    mut taps: impl Iterator<Item = (usize, F)>,
    mut accumulate: bool,
) {
    loop {
        let (mut some, mut count) = ([(0, F::ZERO); TAPS], 0);
        for (slot, tap) in some.iter_mut().zip(&mut taps) {
            *slot = tap;
            count += 1;
        }
        if count == 0 && accumulate {
            return;
        }
        for (i, y) in y.as_chunks_mut::<BLOCK>().0.iter_mut().enumerate() {
            let mut sum = if accumulate { *y } else { [F::ZERO; BLOCK] };
            for (shift, w) in &some[..count] {
                let x = &x[shift + i * BLOCK..][..BLOCK];
                for j in 0..BLOCK {
                    sum[j] = mul_add.of(*w, x[j], sum[j]);
                }
            }
            *y = sum;
        }
        accumulate = true;
    }
}

/// The sums of `g * x` for several `x`. The length of `g` is a multiple of [`BLOCK`].
#[inline(always)]
fn scalar_products<F: Float>(mul_add: MulAdd, g: &[F], x: [&[F]; GROUP]) -> [F; GROUP] {
    let mut totals = [F::ZERO; GROUP];
    for start in (0..g.len()).step_by(PIECE) {
        let end = g.len().min(start + PIECE);
        // Indices, not iterators: with these the sums are kept in registers.
        let mut sums = [[F::ZERO; LANES]; GROUP];
        for i in (start..end).step_by(LANES) {
            let g: [F; LANES] = array(&g[i..]);
            for t in 0..GROUP {
                let x: [F; LANES] = array(&x[t][i..]);
                for l in 0..LANES {
                    sums[t][l] = mul_add.of(g[l], x[l], sums[t][l]);
                }
            }
        }
        for (total, sums) in totals.iter_mut().zip(sums) {
            let (low, high) = sums.split_at(LANES / 2);
            *total += low.iter().zip(high).map(|(low, high)| *low + *high).sum::<F>();
        }
    }
    totals
}

#[cfg(test)]
mod tests {
    use super::super::window_check::{check, slide};
    use super::*;

    #[test]
    fn agrees_with_a_plain_loop() {
        let axes = [
            slide(1, [1, 2, 1, 0]),
            slide(4, [3, 1, 1, 1]),
            slide(7, [3, 2, 1, 1]),
            slide(9, [2, 3, 1, 0]),
            slide(9, [4, 3, 2, 3]),
            slide(33, [3, 1, 4, 4]),
            slide(31, [7, 1, 1, 3]),
            slide(40, [3, 7, 5, 2]),
        ];
        for rows in axes {
            for columns in axes {
                check::<f32>(2, 3, [1, 1], [rows, columns]);
                check::<f64>(1, 2, [1, 2], [rows, columns]);
            }
        }
    }

    #[test]
    fn long_windows_large_planes_and_shared_batches_agree_with_a_plain_loop() {
        check::<f32>(1, 2, [1, 1], [slide(1, [1, 1, 1, 0]), slide(3000, [75, 1, 2, 74])]);
        check::<f32>(1, 1, [1, 2], [slide(90, [3, 1, 1, 1]), slide(80, [3, 1, 1, 1])]);
        check::<f64>(20, 16, [1, 1], [slide(28, [3, 1, 1, 1]), slide(28, [3, 1, 1, 1])]);
    }

    #[test]
    fn a_plane_whose_phases_would_be_large_has_columns() {
        let slides = [slide(2, [2, 2, 400, 400]); 2];
        let plan = Correlation { images: 1, groups: 1, inputs: 1, outputs: 1, slides };
        assert!(plan.depthwise_scratch() > plan.scratch::<f32>());
        check::<f32>(1, 1, [1, 1], slides);
    }
}
