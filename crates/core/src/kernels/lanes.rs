//! Correlation of many images at once, without columns: each lane of a vector is an image.
//!
//! The numbers of several images at one place are copied side by side, with the padding around them. Each element of the
//! window (a tap) is then one weight for a whole vector, whatever stride and dilation are, and the sums of a place stay in
//! registers from its first tap to its last.

use std::ops::Range;

use super::block::array;
use super::interleave::{interleave, separate};
use super::pieces::pieces_with_scratch;
use super::window::{Correlation, SHARED, SMALL, Slide, sum_of_pieces};
use super::{MulAdd, fused};
use crate::float::Float;

/// The fewest output planes for which lanes pay off: a block of planes shares the loads of the input.
const PLANES: usize = 3;
/// The most weights of a group: more would not stay in the cache from place to place.
const WEIGHTS: usize = 1 << 16;
/// The most pieces of shared work, each of which has a copy of some images.
const PIECES: usize = 8;
/// The output planes and the taps whose products are summed together for the gradient of weights.
const PAIR: usize = 2;
const TAPS: usize = 6;
/// The places whose products are summed in one go: more would lose digits.
const RUN: usize = 64;

/// The number of images side by side: they fill two vectors of 256 bits.
pub(super) const fn lanes<F>() -> usize {
    64 / size_of::<F>()
}

impl Slide {
    /// The elements of the padded axis from the first that a window reaches to the last.
    fn reached(&self) -> usize {
        (self.output - 1) * self.stride + (self.kernel - 1) * self.dilation + 1
    }

    /// The elements of the window that lie inside the input, for this output.
    #[inline(always)]
    fn taps(&self, output: usize) -> Range<usize> {
        let first = output * self.stride;
        let (before, end) = (self.before.saturating_sub(first), self.before + self.input);
        if before == 0 && first + (self.kernel - 1) * self.dilation < end {
            return 0..self.kernel;
        }
        let end = end.saturating_sub(first).div_ceil(self.dilation).min(self.kernel);
        before.div_ceil(self.dilation).min(end)..end
    }

    /// The slide from the output's cotangent to that of the input, if it is one: each output is a place, and windows turn
    /// around.
    fn reversed(&self) -> Option<Self> {
        let before = ((self.kernel - 1) * self.dilation).checked_sub(self.before)?;
        let reversed = Self { input: self.output, output: self.input, before, ..*self };
        (self.stride == 1).then_some(reversed)
    }
}

impl Correlation {
    /// The correlation of the output's cotangent with reversed weights that gives the cotangent of the input.
    pub(super) fn reversed(&self) -> Option<Self> {
        let [rows, columns] = self.slides;
        let slides = [rows.reversed()?, columns.reversed()?];
        Some(Self { inputs: self.outputs, outputs: self.inputs, slides, ..*self })
    }

    /// The number of images to correlate in lanes: whole groups of them, or none where other ways are faster.
    pub(super) fn images_in_lanes<F: Float>(&self) -> usize {
        let ([_, weights, _], [_, places, window]) = (self.unit(), self.product());
        if self.taps() == 1 || self.outputs < PLANES || !(1..=WEIGHTS).contains(&weights) {
            return 0;
        }
        // A copy with its padding must not be larger than columns.
        let [height, width] = self.reached();
        let copy = self.inputs.saturating_mul(height).saturating_mul(width);
        if copy > places.saturating_mul(window).max(SMALL) {
            return 0;
        }
        self.images - self.images % lanes::<F>()
    }

    /// The elements of a window in one plane.
    pub(super) fn taps(&self) -> usize {
        self.slides.iter().map(|slide| slide.kernel).product()
    }

    fn pieces_in_lanes<F: Float>(&self) -> usize {
        let ([m, n, k], images) = (self.product(), self.images_in_lanes::<F>());
        let work = [images, self.groups, m, n, k].into_iter().fold(1, usize::saturating_mul);
        let most = if work >= SHARED { PIECES } else { 1 };
        (images / lanes::<F>()).min(most)
    }

    /// Elements of the input in lanes, and of `lines` lines of the output.
    fn in_lanes<F: Float>(&self, lines: usize) -> [usize; 2] {
        let [height, width] = self.reached();
        [[self.inputs, height, width], [self.outputs, lines, self.slides[1].output]]
            .map(|extents| extents.into_iter().fold(lanes::<F>(), usize::saturating_mul))
    }

    /// Elements of the weights of a group in panels, with padding.
    fn panels(&self) -> usize {
        self.outputs.next_multiple_of(4).saturating_add(2) * self.product()[2]
    }

    /// Elements of scratch memory that [`Self::forward_in_lanes`] needs.
    pub(super) fn scratch_in_lanes<F: Float>(&self) -> usize {
        let pieces = self.pieces_in_lanes::<F>();
        if pieces == 0 {
            return 0;
        }
        let [input, line] = self.in_lanes::<F>(1);
        let panels = self.groups.saturating_mul(self.panels());
        pieces.saturating_mul(input.saturating_add(line)).saturating_add(panels)
    }

    /// Elements of scratch memory that [`Self::towards_weight_in_lanes`] needs.
    pub(super) fn scratch_for_weight_in_lanes<F: Float>(&self) -> usize {
        let pieces = self.pieces_in_lanes::<F>();
        let [input, output] = self.in_lanes::<F>(self.slides[0].output);
        let weight = self.unit()[1] * self.groups;
        let sums = pieces.saturating_sub(1).saturating_mul(weight);
        pieces.saturating_mul(input.saturating_add(output)).saturating_add(sums)
    }

    /// The blocks of output planes whose sums are in registers together: the first plane and the number of planes. The
    /// last block may have a plane or two of padding.
    #[inline(always)]
    fn blocks(&self) -> impl Iterator<Item = (usize, usize)> {
        let (outputs, mut first) = (self.outputs, 0);
        std::iter::from_fn(
            #[inline(always)]
            move || {
                let planes = match outputs.saturating_sub(first) {
                    0 => return None,
                    1..=4 | 7 | 8 => 4,
                    _ => 6,
                };
                first += planes;
                Some((first - planes, planes))
            },
        )
    }

    /// Copies the weights of a group to panels, one for each block of planes: the weights of the first tap, and so on.
    fn pack<F: Float>(&self, w: impl Fn(usize, usize) -> F, panels: &mut [F]) {
        let window = self.product()[2];
        for (first, planes) in self.blocks() {
            let panel = panels[first * window..].chunks_exact_mut(planes);
            for (tap, panel) in panel.take(window).enumerate() {
                for (p, weight) in panel.iter_mut().enumerate() {
                    *weight = w((first + p).min(self.outputs - 1), tap);
                }
            }
        }
    }

    /// `y (+)= x correlated with w` for the images in lanes. `w` gets a group, an output plane and an element of its window.
    pub(super) fn forward_in_lanes<F: Float>(
        &self,
        x: &[F],
        w: impl Fn(usize, usize, usize) -> F,
        y: &mut [F],
        scratch: &mut [F],
        accumulate: bool,
    ) {
        let [x_unit, _, y_unit] = self.unit();
        let (weights, scratch) = scratch.split_at_mut(self.groups * self.panels());
        for (group, panels) in weights.chunks_exact_mut(self.panels()).enumerate() {
            self.pack(|plane, tap| w(group, plane, tap), panels);
        }
        let weights = &*weights;
        let own = self.in_lanes::<F>(1).iter().sum();
        let batch = lanes::<F>() * self.groups;
        let per = (self.images / lanes::<F>()).div_ceil(self.pieces_in_lanes::<F>()) * batch;
        let run = |piece: usize, y: &mut [F], scratch: &mut [F]| {
            for (k, y) in y.chunks_exact_mut(batch * y_unit).enumerate() {
                for (group, panels) in weights.chunks_exact(self.panels()).enumerate() {
                    let x = &x[(piece * per + k * batch + group) * x_unit..];
                    let y = &mut y[group * y_unit..];
                    if size_of::<F>() == 4 {
                        self.batch_forward::<F, 16>([x, panels], y, scratch, accumulate);
                    } else {
                        self.batch_forward::<F, 8>([x, panels], y, scratch, accumulate);
                    }
                }
            }
        };
        pieces_with_scratch(y, per * y_unit, scratch, own, &run);
    }

    /// Adds the cotangent of the weight from the images in lanes.
    pub(super) fn towards_weight_in_lanes<F: Float>(
        &self,
        [x, g]: [&[F]; 2],
        w: &mut [F],
        scratch: &mut [F],
    ) {
        let [x_unit, w_unit, g_unit] = self.unit();
        let own = self.in_lanes::<F>(self.slides[0].output).iter().sum();
        let pieces = self.pieces_in_lanes::<F>();
        let batches = self.images / lanes::<F>();
        let per = batches.div_ceil(pieces);
        sum_of_pieces(w, pieces, own, scratch, |piece, w, scratch| {
            for batch in piece * per..batches.min((piece + 1) * per) {
                for (group, w) in w.chunks_exact_mut(w_unit).enumerate() {
                    let unit = batch * lanes::<F>() * self.groups + group;
                    let images = [&x[unit * x_unit..], &g[unit * g_unit..]];
                    if size_of::<F>() == 4 {
                        self.batch_towards_weight::<F, 16, 8>(images, w, scratch);
                    } else {
                        self.batch_towards_weight::<F, 8, 4>(images, w, scratch);
                    }
                }
            }
        });
    }

    /// The height and the width of the part of the padded plane that windows reach.
    fn reached(&self) -> [usize; 2] {
        self.slides.map(|slide| slide.reached())
    }

    /// Copies `L` images side by side, with padding around.
    #[inline(always)]
    fn pad<F: Float, const L: usize>(&self, x: &[F], y: &mut [[F; L]]) {
        let ([rows, columns], [height, width]) = (self.slides, self.reached());
        let stride = self.groups * self.unit()[0];
        let high = rows.input.min(height.saturating_sub(rows.before));
        let wide = columns.input.min(width.saturating_sub(columns.before));
        if [high, wide] != [height, width] {
            y.fill([F::ZERO; L]);
        }
        if wide == 0 {
            return;
        }
        for (plane, y) in y.chunks_exact_mut(height * width).enumerate() {
            for row in 0..high {
                let x = &x[(plane * rows.input + row) * columns.input..];
                let to = (rows.before + row) * width + columns.before;
                interleave(x, stride, &mut y[to..to + wide]);
            }
        }
    }

    /// [`Self::forward`] for `L` images and one group.
    fn batch_forward<F: Float, const L: usize>(
        &self,
        [x, w]: [&[F]; 2],
        y: &mut [F],
        scratch: &mut [F],
        accumulate: bool,
    ) {
        let ([rows, columns], [_, width]) = (self.slides, self.reached());
        let (window, stride) = (self.product()[2], self.groups * self.unit()[2]);
        let (input, line) = scratch.split_at_mut(self.in_lanes::<F>(1)[0]);
        let (input, line) = (input.as_chunks_mut::<L>().0, line.as_chunks_mut::<L>().0);
        fused(
            #[inline(always)]
            |mul_add| {
                self.pad(x, input);
                for i in 0..rows.output {
                    for j in 0..columns.output {
                        let taps = [rows.taps(i), columns.taps(j)];
                        let x = &input[i * rows.stride * width + j * columns.stride..];
                        for (first, planes) in self.blocks() {
                            let w = &w[first * window..][..planes * window];
                            let y = &mut line[first * columns.output + j..];
                            if planes == 4 {
                                self.place::<F, L, 4>(mul_add, &taps, x, w, y);
                            } else {
                                self.place::<F, L, 6>(mul_add, &taps, x, w, y);
                            }
                        }
                    }
                    for (plane, line) in line.chunks_exact(columns.output).enumerate() {
                        let y = &mut y[(plane * rows.output + i) * columns.output..];
                        if accumulate {
                            separate(line, y, stride, |y, sum| y + sum);
                        } else {
                            separate(line, y, stride, |_, sum| sum);
                        }
                    }
                }
            },
        );
    }

    /// Computes one place of `B` planes from those taps that are not in the padding.
    #[inline(always)]
    fn place<F: Float, const L: usize, const B: usize>(
        &self,
        mul_add: MulAdd,
        [lines, taps]: &[Range<usize>; 2],
        x: &[[F; L]],
        w: &[F],
        y: &mut [[F; L]],
    ) {
        let ([rows, columns], [height, width]) = (self.slides, self.reached());
        // Indices, not iterators: with these the sums are kept in registers.
        let mut sums = [[F::ZERO; L]; B];
        for plane in 0..self.inputs {
            for ki in lines.clone() {
                let x = &x[(plane * height + ki * rows.dilation) * width..];
                let w = &w[(plane * rows.kernel + ki) * columns.kernel * B..][..columns.kernel * B];
                for kj in taps.clone() {
                    let x: [F; L] = array(&x[kj * columns.dilation]);
                    let w: [F; B] = array(&w[kj * B..]);
                    for b in 0..B {
                        for l in 0..L {
                            sums[b][l] = mul_add.of(w[b], x[l], sums[b][l]);
                        }
                    }
                }
            }
        }
        // Without planes of padding.
        let planes = B.min(y.len().div_ceil(columns.output));
        for b in 0..planes {
            y[b * columns.output] = sums[b];
        }
    }

    /// [`Self::towards_weight`] for `L` images and one group, by vectors of `V` numbers; adds to `w`.
    fn batch_towards_weight<F: Float, const L: usize, const V: usize>(
        &self,
        [x, g]: [&[F]; 2],
        w: &mut [F],
        scratch: &mut [F],
    ) {
        let ([_, places, window], stride) = (self.product(), self.groups * self.unit()[2]);
        let (input, output) = scratch.split_at_mut(self.in_lanes::<F>(0)[0]);
        fused(
            #[inline(always)]
            |mul_add| {
                self.pad(x, input.as_chunks_mut::<L>().0);
                let lanes = output.as_chunks_mut::<L>().0.chunks_exact_mut(places);
                for (plane, lanes) in lanes.enumerate() {
                    interleave(&g[plane * places..], stride, lanes);
                }
                let (x, g) = (input.as_chunks::<V>().0, output.as_chunks::<V>().0);
                let parts = L / V;
                for (o, w) in w.chunks_mut(PAIR * window).enumerate() {
                    // The last pair repeats its last plane, and the last group its last tap; these sums are not used.
                    let mut planes = [g; PAIR];
                    for (p, plane) in planes.iter_mut().enumerate() {
                        let place = (o * PAIR + p).min(self.outputs - 1) * places;
                        *plane = &g[place * parts..][..places * parts];
                    }
                    for tap in (0..window).step_by(TAPS) {
                        let mut taps = [x; TAPS];
                        for (t, x) in taps.iter_mut().enumerate() {
                            *x = &x[self.first((tap + t).min(window - 1)) * parts..];
                        }
                        let sums = self.place_sums(mul_add, taps, planes, parts);
                        for (w, sums) in w.chunks_exact_mut(window).zip(sums) {
                            w[tap..].iter_mut().zip(sums).for_each(|(w, sum)| *w += sum);
                        }
                    }
                }
            },
        );
    }

    /// The place in the padded planes that a tap has for the first output.
    fn first(&self, tap: usize) -> usize {
        let ([rows, columns], [height, width]) = (self.slides, self.reached());
        let [line, kj] = [tap / columns.kernel, tap % columns.kernel];
        let [plane, ki] = [line / rows.kernel, line % rows.kernel];
        (plane * height + ki * rows.dilation) * width + kj * columns.dilation
    }

    /// The sums over all places and images of the products of planes of cotangents with taps. A place has `parts` vectors.
    #[inline(always)]
    fn place_sums<F: Float, const V: usize>(
        &self,
        mul_add: MulAdd,
        x: [&[[F; V]]; TAPS],
        g: [&[[F; V]]; PAIR],
        parts: usize,
    ) -> [[F; TAPS]; PAIR] {
        let ([rows, columns], [_, width]) = (self.slides, self.reached());
        let (line, reached) = (columns.output * parts, columns.stride * (columns.output - 1) + 1);
        let mut totals = [[F::ZERO; TAPS]; PAIR];
        let lines = (RUN / columns.output).max(1);
        for top in (0..rows.output).step_by(lines) {
            let mut sums = [[[F::ZERO; V]; TAPS]; PAIR];
            for i in top..rows.output.min(top + lines) {
                let (mut own_x, mut own_g) = (x, g);
                for x in &mut own_x {
                    *x = &x[i * rows.stride * width * parts..][..reached * parts];
                }
                for g in &mut own_g {
                    *g = &g[i * line..][..line];
                }
                if columns.stride == 1 {
                    for at in 0..line {
                        sums = add_products(mul_add, sums, (own_x, at), (own_g, at));
                    }
                } else {
                    for at in 0..line {
                        let from = at / parts * columns.stride * parts + at % parts;
                        sums = add_products(mul_add, sums, (own_x, from), (own_g, at));
                    }
                }
            }
            for (totals, sums) in totals.iter_mut().zip(sums) {
                for (total, sums) in totals.iter_mut().zip(sums) {
                    *total += sums.into_iter().sum();
                }
            }
        }
        totals
    }
}

/// Adds the products of the vector `at` of each of `g` with the vector `from` of each of `x`.
#[inline(always)]
fn add_products<F: Float, const V: usize>(
    mul_add: MulAdd,
    mut sums: [[[F; V]; TAPS]; PAIR],
    (x, from): ([&[[F; V]]; TAPS], usize),
    (g, at): ([&[[F; V]]; PAIR], usize),
) -> [[[F; V]; TAPS]; PAIR] {
    for t in 0..TAPS {
        for p in 0..PAIR {
            for l in 0..V {
                sums[p][t][l] = mul_add.of(g[p][at][l], x[t][from][l], sums[p][t][l]);
            }
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::super::tests::{on_threads, random};
    use super::super::window_check::{check, slide};
    use super::*;

    #[test]
    fn agrees_with_a_plain_loop() {
        let axes = [
            slide(4, [3, 1, 1, 1]),
            slide(7, [3, 2, 1, 1]),
            slide(9, [2, 3, 1, 0]),
            slide(12, [3, 1, 2, 4]),
            slide(9, [5, 1, 1, 0]),
            slide(3, [2, 1, 1, 5]),
        ];
        for rows in axes {
            for columns in axes {
                check::<f32>(19, 2, [2, 3], [rows, columns]);
                check::<f64>(17, 1, [3, 5], [rows, columns]);
            }
        }
    }

    #[test]
    fn any_number_of_planes_and_images_agrees_with_a_plain_loop() {
        let slides = [slide(6, [3, 1, 1, 1]), slide(5, [2, 1, 1, 0])];
        for planes in 3..18 {
            check::<f32>(16, 1, [planes - 3, planes], slides);
            check::<f64>(8 + planes, 1, [planes, planes], slides);
        }
        let slides = [slide(28, [5, 1, 1, 2]); 2];
        assert!(
            Correlation { images: 150, groups: 1, inputs: 1, outputs: 6, slides }
                .pieces_in_lanes::<f32>()
                > 1
        );
        check::<f32>(150, 1, [1, 6], slides);
        // Columns, where padding is far larger than the input.
        check::<f32>(16, 1, [1, 4], [slide(2, [2, 9000, 1, 9000]); 2]);
    }

    #[test]
    fn the_number_of_threads_changes_no_bit() {
        let slides = [slide(28, [5, 1, 1, 2]); 2];
        let plan = Correlation { images: 150, groups: 1, inputs: 3, outputs: 3, slides };
        let [x, w, g] = plan.unit();
        let (x, w, g) = (random(150 * x, 1), random::<f32>(w, 2), random(150 * g, 3));
        let run = |threads| {
            let mut got = [vec![0.0; x.len()], vec![0.0; w.len()], vec![0.0; g.len()]];
            on_threads(threads, || {
                let scratch = &mut vec![0.0; plan.scratch::<f32>()][..];
                let [to_x, to_w, to_y] = &mut got;
                plan.forward(&x, &w, to_y, scratch, false);
                plan.towards_input(&g, &w, to_x, scratch, false);
                let scratch = &mut vec![0.0; plan.scratch_for_weight::<f32>()][..];
                plan.towards_weight(&x, &g, to_w, scratch, false);
            });
            got
        };
        assert!(run(1) == run(2) && run(1) == run(3));
    }
}
