//! Windows that slide over planes: correlation by columns and a matrix product.

use std::ops::Range;

use super::pieces::{pieces, pieces_with_scratch};
use super::{LARGE, matmul};
use crate::float::Float;

/// The extents and steps of a window along one axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slide {
    pub(crate) input: usize,
    pub(crate) kernel: usize,
    pub(crate) output: usize,
    pub(crate) stride: usize,
    pub(crate) dilation: usize,
    /// The padding before the first element.
    pub(crate) before: usize,
}

impl Slide {
    /// The outputs whose window has its element `tap` inside the input, and the place of that element for the first
    /// of them.
    pub(super) fn inside(&self, tap: usize) -> (Range<usize>, usize) {
        self.within(tap * self.dilation, self.output)
    }

    /// Of the first `count` places `reach`, `reach + stride`, .. of the padded axis, those inside the input, and where
    /// the first of them is in the input.
    pub(super) fn within(&self, reach: usize, count: usize) -> (Range<usize>, usize) {
        let start = self.before.saturating_sub(reach).div_ceil(self.stride);
        let end = (self.input + self.before).saturating_sub(reach).div_ceil(self.stride);
        let end = end.min(count);
        if start >= end {
            return (0..0, 0);
        }
        (start..end, start * self.stride + reach - self.before)
    }
}

/// A correlation of planes with kernels. Each unit (an image and a group) maps `inputs` planes to `outputs` planes;
/// the weights belong to the groups.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Correlation {
    pub(crate) images: usize,
    pub(crate) groups: usize,
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
    pub(crate) slides: [Slide; 2],
}

/// Up to this number of elements, the scratch memory of a unit is no matter.
pub(super) const SMALL: usize = 1 << 16;
/// From this number of multiplications on, the images are shared among threads.
pub(super) const SHARED: usize = 1 << 21;
/// The pieces of shared work: more than threads, so that none waits long. Their number decides the order in which
/// weight gradients are added, so it must not depend on the threads.
const PIECES: usize = 16;

impl Correlation {
    /// Elements of the input, of the weight and of the output that belong to one image and group.
    pub(super) fn unit(&self) -> [usize; 3] {
        let [i, k, o] = [
            self.slides.map(|s| s.input),
            self.slides.map(|s| s.kernel),
            self.slides.map(|s| s.output),
        ]
        .map(|[rows, columns]| rows * columns);
        [self.inputs * i, self.outputs * self.inputs * k, self.outputs * o]
    }

    /// The matrix product of a unit: outputs, their places, and elements under a window.
    pub(super) fn product(&self) -> [usize; 3] {
        let [rows, columns] = self.slides;
        let window = self.inputs * rows.kernel * columns.kernel;
        [self.outputs, rows.output * columns.output, window]
    }

    /// Whether the planes are the columns already: a kernel of one element that visits every place.
    fn direct(&self) -> bool {
        self.slides.iter().all(|s| s.kernel == 1 && s.stride == 1 && s.input == s.output)
    }

    /// Whether a unit is a few planes from one plane, as in a depthwise convolution: a matrix of columns would take
    /// longer than the product. A copy of the plane with its padding must not be larger.
    fn depthwise(&self) -> bool {
        let [_, places, window] = self.product();
        self.inputs == 1
            && self.outputs <= 6
            && !self.direct()
            && self.depthwise_scratch() <= places.saturating_mul(window).max(SMALL)
    }

    /// Elements of scratch memory for a unit: the matrix of columns, or a copy of the plane.
    fn columns(&self) -> usize {
        let [_, places, window] = self.product();
        if self.images == 0 || self.outputs == 0 || self.direct() {
            0
        } else if self.depthwise() {
            self.depthwise_scratch()
        } else {
            places.saturating_mul(window)
        }
    }

    fn pieces(&self) -> usize {
        let [m, n, k] = self.product();
        let units = self.images.saturating_mul(self.groups);
        let work = units.saturating_mul(m).saturating_mul(n).saturating_mul(k);
        if units > 1 && work >= SHARED { units.min(PIECES) } else { 1 }
    }

    /// [`Self::pieces`] for the gradient of weights, of which every piece has its own sum.
    fn sums(&self) -> usize {
        let weight = self.unit()[1] * self.groups;
        if weight <= LARGE / PIECES { self.pieces().min(self.images.max(1)) } else { 1 }
    }

    /// The correlation of the images that are not in lanes.
    fn without_lanes<F: Float>(&self) -> Self {
        Self { images: self.images - self.images_in_lanes::<F>(), ..*self }
    }

    /// Elements of scratch memory that [`Self::forward`] and [`Self::towards_input`] need.
    pub(crate) fn scratch<F: Float>(&self) -> usize {
        let reversed = self.reversed().map_or(0, |reversed| reversed.scratch_in_lanes::<F>());
        let by_columns = self.pieces().saturating_mul(self.columns());
        by_columns.max(self.scratch_in_lanes::<F>()).max(reversed)
    }

    /// Elements of scratch memory that [`Self::towards_weight`] needs.
    pub(crate) fn scratch_for_weight<F: Float>(&self) -> usize {
        self.scratch_for_weight_in_lanes::<F>().max(self.scratch_for_weight_by_columns())
    }

    fn scratch_for_weight_by_columns(&self) -> usize {
        let weight = self.unit()[1] * self.groups;
        let sums = self.sums();
        sums.saturating_mul(self.columns()).saturating_add((sums - 1).saturating_mul(weight))
    }

    /// The planes of one unit as a matrix: a row for each element of the window, a column for each
    /// place of the output.
    fn unfold<F: Float>(&self, x: &[F], out: &mut [F]) {
        let [rows, columns] = self.slides;
        let mut out = out.chunks_exact_mut(rows.output * columns.output);
        for x in x.chunks_exact(rows.input * columns.input) {
            for ki in 0..rows.kernel {
                let (inside, first) = rows.inside(ki);
                for kj in 0..columns.kernel {
                    let (range, start) = columns.inside(kj);
                    let Some(out) = out.next() else { return };
                    let (above, out) = out.split_at_mut(inside.start * columns.output);
                    let (out, below) = out.split_at_mut(inside.len() * columns.output);
                    above.fill(F::ZERO);
                    below.fill(F::ZERO);
                    let lines = x[first * columns.input..]
                        .chunks(rows.stride.saturating_mul(columns.input));
                    for (y, x) in out.chunks_exact_mut(columns.output).zip(lines) {
                        y[..range.start].fill(F::ZERO);
                        y[range.end..].fill(F::ZERO);
                        let y = &mut y[range.clone()];
                        if columns.stride == 1 {
                            y.copy_from_slice(&x[start..start + y.len()]);
                        } else {
                            let x = x[start..].iter().step_by(columns.stride);
                            y.iter_mut().zip(x).for_each(|(y, &x)| *y = x);
                        }
                    }
                }
            }
        }
    }

    /// Adds a matrix as of [`Self::unfold`] to the planes: its transpose.
    fn fold<F: Float>(&self, matrix: &[F], x: &mut [F]) {
        let [rows, columns] = self.slides;
        let mut matrix = matrix.chunks_exact(rows.output * columns.output);
        for x in x.chunks_exact_mut(rows.input * columns.input) {
            for ki in 0..rows.kernel {
                let (inside, first) = rows.inside(ki);
                for kj in 0..columns.kernel {
                    let (range, start) = columns.inside(kj);
                    let Some(g) = matrix.next() else { return };
                    let g = g[inside.start * columns.output..].chunks_exact(columns.output);
                    let lines = x[first * columns.input..]
                        .chunks_mut(rows.stride.saturating_mul(columns.input));
                    for (g, x) in g.take(inside.len()).zip(lines) {
                        let g = &g[range.clone()];
                        if columns.stride == 1 {
                            let x = &mut x[start..start + g.len()];
                            x.iter_mut().zip(g).for_each(|(x, &g)| *x += g);
                        } else {
                            let x = x[start..].iter_mut().step_by(columns.stride);
                            x.zip(g).for_each(|(x, &g)| *x += g);
                        }
                    }
                }
            }
        }
    }

    /// Runs `task` on each unit of `out`, with its number and with scratch memory of its piece.
    fn each<F: Float>(
        &self,
        out: &mut [F],
        unit: usize,
        scratch: &mut [F],
        task: impl Fn(usize, &mut [F], &mut [F]) + Sync,
    ) {
        if out.is_empty() {
            return;
        }
        let count = self.pieces();
        let per = (self.images * self.groups).div_ceil(count);
        let run = |piece: usize, out: &mut [F], scratch: &mut [F]| {
            for (k, out) in out.chunks_exact_mut(unit).enumerate() {
                task(piece * per + k, out, scratch);
            }
        };
        let columns = self.columns();
        if count == 1 {
            return run(0, out, &mut scratch[..columns]);
        }
        pieces_with_scratch(out, per * unit, scratch, columns, &run);
    }

    /// `y (+)= x correlated with w`.
    pub(crate) fn forward<F: Float>(
        &self,
        x: &[F],
        w: &[F],
        y: &mut [F],
        scratch: &mut [F],
        accumulate: bool,
    ) {
        let ([x_unit, w_unit, y_unit], [_, _, window]) = (self.unit(), self.product());
        let units = self.images_in_lanes::<F>() * self.groups;
        let (lanes, y) = y.split_at_mut(units * y_unit);
        if units > 0 {
            let weight = |group, plane, tap| w[group * w_unit + plane * window + tap];
            self.forward_in_lanes(x, weight, lanes, scratch, accumulate);
        }
        self.without_lanes::<F>().forward_by_columns(
            &x[units * x_unit..],
            w,
            y,
            scratch,
            accumulate,
        );
    }

    fn forward_by_columns<F: Float>(
        &self,
        x: &[F],
        w: &[F],
        y: &mut [F],
        scratch: &mut [F],
        accumulate: bool,
    ) {
        let ([x_unit, w_unit, y_unit], [m, n, k]) = (self.unit(), self.product());
        self.each(y, y_unit, scratch, |unit, y, scratch| {
            let x = &x[unit * x_unit..][..x_unit];
            let w = &w[unit % self.groups * w_unit..][..w_unit];
            if self.direct() {
                return matmul(m, n, k, w, false, x, false, y, accumulate);
            }
            if self.depthwise() {
                return self.depthwise_forward(x, w, y, scratch, accumulate);
            }
            self.unfold(x, scratch);
            matmul(m, n, k, w, false, scratch, false, y, accumulate);
        });
    }

    /// `x (+)=` the cotangent of the input, from that of the output.
    pub(crate) fn towards_input<F: Float>(
        &self,
        g: &[F],
        w: &[F],
        x: &mut [F],
        scratch: &mut [F],
        accumulate: bool,
    ) {
        let [x_unit, w_unit, g_unit] = self.unit();
        if self.outputs == 0 {
            // Nothing depends on the input, and there is no scratch memory.
            if !accumulate {
                x.fill(F::ZERO);
            }
            return;
        }
        let mut rest = *self;
        let mut units = 0;
        if let Some(reversed) = self.reversed().filter(|of| of.images_in_lanes::<F>() > 0) {
            rest = Self { images: reversed.without_lanes::<F>().images, ..*self };
            units = (self.images - rest.images) * self.groups;
            let taps = self.taps();
            let weight = |group, plane, tap| {
                let (output, tap) = (tap / taps, taps - 1 - tap % taps);
                w[group * w_unit + (output * self.inputs + plane) * taps + tap]
            };
            let lanes = &mut x[..units * x_unit];
            reversed.forward_in_lanes(g, weight, lanes, scratch, accumulate);
        }
        let (g, x) = (&g[units * g_unit..], &mut x[units * x_unit..]);
        rest.towards_input_by_columns(g, w, x, scratch, accumulate);
    }

    fn towards_input_by_columns<F: Float>(
        &self,
        g: &[F],
        w: &[F],
        x: &mut [F],
        scratch: &mut [F],
        accumulate: bool,
    ) {
        let ([x_unit, w_unit, g_unit], [m, n, k]) = (self.unit(), self.product());
        self.each(x, x_unit, scratch, |unit, x, scratch| {
            let g = &g[unit * g_unit..][..g_unit];
            let w = &w[unit % self.groups * w_unit..][..w_unit];
            if self.direct() {
                return matmul(k, n, m, w, true, g, false, x, accumulate);
            }
            if !accumulate {
                x.fill(F::ZERO);
            }
            if self.depthwise() {
                return self.depthwise_towards_input(g, w, x, scratch);
            }
            matmul(k, n, m, w, true, g, false, scratch, false);
            self.fold(scratch, x);
        });
    }

    /// `w (+)=` the cotangent of the weight, from that of the output.
    pub(crate) fn towards_weight<F: Float>(
        &self,
        x: &[F],
        g: &[F],
        w: &mut [F],
        scratch: &mut [F],
        accumulate: bool,
    ) {
        if !accumulate {
            w.fill(F::ZERO);
        }
        if w.is_empty() {
            return;
        }
        let [x_unit, _, g_unit] = self.unit();
        let units = self.images_in_lanes::<F>() * self.groups;
        if units > 0 {
            self.towards_weight_in_lanes([x, g], w, scratch);
        }
        let (x, g) = (&x[units * x_unit..], &g[units * g_unit..]);
        self.without_lanes::<F>().towards_weight_by_columns(x, g, w, scratch);
    }

    fn towards_weight_by_columns<F: Float>(
        &self,
        x: &[F],
        g: &[F],
        w: &mut [F],
        scratch: &mut [F],
    ) {
        if self.images == 0 {
            return;
        }
        let ([x_unit, w_unit, g_unit], [m, n, k]) = (self.unit(), self.product());
        let sums = self.sums();
        let per = self.images.div_ceil(sums);
        sum_of_pieces(w, sums, self.columns(), scratch, |piece, w, columns| {
            for image in piece * per..((piece + 1) * per).min(self.images) {
                for (group, w) in w.chunks_exact_mut(w_unit).enumerate() {
                    let unit = image * self.groups + group;
                    let x = &x[unit * x_unit..][..x_unit];
                    let g = &g[unit * g_unit..][..g_unit];
                    if self.direct() {
                        matmul(m, k, n, g, false, x, true, w, true);
                    } else if self.depthwise() {
                        self.depthwise_towards_weight(x, g, w, columns);
                    } else {
                        self.unfold(x, columns);
                        matmul(m, k, n, g, false, columns, true, w, true);
                    }
                }
            }
        });
    }
}

/// Runs `add` for each of `count` pieces, with a gradient of its own to add to and `own` elements of scratch memory, and adds
/// these to `w` in order.
pub(super) fn sum_of_pieces<F: Float>(
    w: &mut [F],
    count: usize,
    own: usize,
    scratch: &mut [F],
    add: impl Fn(usize, &mut [F], &mut [F]) + Sync,
) {
    let (scratch, parts) = scratch.split_at_mut(count * own);
    if count == 1 {
        return add(0, w, scratch);
    }
    let len = w.len();
    let parts = &mut parts[..(count - 1) * len];
    parts.fill(F::ZERO);
    // No scratch memory has no chunks.
    let mut scratch = scratch.chunks_exact_mut(own.max(1));
    let mut work = Vec::with_capacity(count);
    work.push((&mut *w, scratch.next().unwrap_or_default()));
    for part in parts.chunks_exact_mut(len) {
        work.push((part, scratch.next().unwrap_or_default()));
    }
    pieces(&mut work, 1, true, &|piece, work: &mut [(&mut [F], &mut [F])]| {
        let (w, scratch) = &mut work[0];
        add(piece, w, scratch);
    });
    for part in parts.chunks_exact(len) {
        w.iter_mut().zip(part).for_each(|(w, &part)| *w += part);
    }
}
