//! Windows that slide over planes: correlation by columns and a matrix product, and pooling.

use std::ops::Range;

use rayon::prelude::*;

use super::{LARGE, matmul, parallel};
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
        let reach = tap * self.dilation;
        let start = self.before.saturating_sub(reach).div_ceil(self.stride);
        let end = (self.input + self.before).saturating_sub(reach).div_ceil(self.stride);
        let end = end.min(self.output);
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

/// From this number of multiplications on, the images are shared among threads.
const SHARED: usize = 1 << 21;
/// The pieces of shared work: more than threads, so that none waits long. Their number decides the order in which
/// weight gradients are added, so it must not depend on the threads.
const PIECES: usize = 16;

impl Correlation {
    /// Elements of the input, of the weight and of the output that belong to one image and group.
    fn unit(&self) -> [usize; 3] {
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

    /// Whether a unit is a plane or two from one plane, as in a depthwise convolution: a matrix of columns would be larger
    /// than the work.
    fn depthwise(&self) -> bool {
        self.inputs == 1 && self.outputs <= 2 && !self.direct()
    }

    /// Elements of the matrix of columns.
    fn columns(&self) -> usize {
        let [_, places, window] = self.product();
        let empty = self.images == 0 || self.outputs == 0;
        if empty || self.direct() || self.depthwise() { 0 } else { places.saturating_mul(window) }
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

    /// Elements of scratch memory that [`Self::forward`] and [`Self::towards_input`] need.
    pub(crate) fn scratch(&self) -> usize {
        self.pieces().saturating_mul(self.columns())
    }

    /// Elements of scratch memory that [`Self::towards_weight`] needs.
    pub(crate) fn scratch_for_weight(&self) -> usize {
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
        let pieces = self.pieces();
        let per = (self.images * self.groups).div_ceil(pieces);
        let run = |piece: usize, out: &mut [F], scratch: &mut [F]| {
            for (k, out) in out.chunks_exact_mut(unit).enumerate() {
                task(piece * per + k, out, scratch);
            }
        };
        if pieces == 1 {
            return run(0, out, scratch);
        }
        let columns = self.columns();
        if columns == 0 {
            let out = out.par_chunks_mut(per * unit).enumerate();
            return out.for_each(|(piece, out)| run(piece, out, &mut []));
        }
        let scratch = scratch.par_chunks_mut(columns);
        let out = out.par_chunks_mut(per * unit).zip(scratch).enumerate();
        out.for_each(|(piece, (out, scratch))| run(piece, out, scratch));
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
        let ([x_unit, w_unit, y_unit], [m, n, k]) = (self.unit(), self.product());
        self.each(y, y_unit, scratch, |unit, y, scratch| {
            let x = &x[unit * x_unit..][..x_unit];
            let w = &w[unit % self.groups * w_unit..][..w_unit];
            if self.direct() {
                return matmul(m, n, k, w, false, x, false, y, accumulate);
            }
            if self.depthwise() {
                if !accumulate {
                    y.fill(F::ZERO);
                }
                return self.depthwise_forward(x, w, y);
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
        let ([x_unit, w_unit, g_unit], [m, n, k]) = (self.unit(), self.product());
        if self.outputs == 0 {
            // Nothing depends on the input, and there is no scratch memory.
            if !accumulate {
                x.fill(F::ZERO);
            }
            return;
        }
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
                return self.depthwise_towards_input(g, w, x);
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
        let ([x_unit, w_unit, g_unit], [m, n, k]) = (self.unit(), self.product());
        if !accumulate {
            w.fill(F::ZERO);
        }
        if w.is_empty() || self.images == 0 {
            return;
        }
        let (sums, columns) = (self.sums(), self.columns());
        let per = self.images.div_ceil(sums);
        let (columns, parts) = scratch.split_at_mut(sums * columns);
        let run = |piece: usize, w: &mut [F], columns: &mut [F]| {
            for image in piece * per..((piece + 1) * per).min(self.images) {
                for (group, w) in w.chunks_exact_mut(w_unit).enumerate() {
                    let unit = image * self.groups + group;
                    let x = &x[unit * x_unit..][..x_unit];
                    let g = &g[unit * g_unit..][..g_unit];
                    if self.direct() {
                        matmul(m, k, n, g, false, x, true, w, true);
                    } else if self.depthwise() {
                        self.depthwise_towards_weight(x, g, w);
                    } else {
                        self.unfold(x, columns);
                        matmul(m, k, n, g, false, columns, true, w, true);
                    }
                }
            }
        };
        if sums == 1 {
            return run(0, w, columns);
        }
        parts.fill(F::ZERO);
        let len = w.len();
        // Each piece has its own columns, unless the planes are the columns.
        let mut scratch = columns.chunks_exact_mut((columns.len() / sums).max(1));
        let mut work = Vec::with_capacity(sums);
        work.push((&mut *w, scratch.next().unwrap_or_default()));
        for part in parts.chunks_exact_mut(len) {
            work.push((part, scratch.next().unwrap_or_default()));
        }
        work.into_par_iter().enumerate().for_each(|(piece, (w, columns))| run(piece, w, columns));
        for part in parts.chunks_exact(len) {
            w.iter_mut().zip(part).for_each(|(w, &part)| *w += part);
        }
    }
}

/// Runs `task` on corresponding planes of `x` and `out`, with the plane's number; on threads where they pay off.
pub(crate) fn planes<F: Float>(
    out: &mut [F],
    plane: usize,
    work: usize,
    task: impl Fn(usize, &mut [F]) + Sync,
) {
    if plane == 0 || out.is_empty() {
        return;
    }
    if parallel(work.max(out.len())) {
        let out = out.par_chunks_exact_mut(plane).enumerate();
        out.for_each(|(k, out)| task(k, out));
    } else {
        out.chunks_exact_mut(plane).enumerate().for_each(|(k, out)| task(k, out));
    }
}

/// The cells that pooling divides an axis into; they may overlap or leave gaps.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cells {
    /// A window that slides; `before` is the padding in front.
    Sliding { input: usize, output: usize, kernel: usize, stride: usize, before: usize },
    /// Cells of equal size, up to rounding, that cover the axis.
    Adaptive { input: usize, output: usize },
}

impl Cells {
    fn output(&self) -> usize {
        match *self {
            Self::Sliding { output, .. } | Self::Adaptive { output, .. } => output,
        }
    }

    fn input(&self) -> usize {
        match *self {
            Self::Sliding { input, .. } | Self::Adaptive { input, .. } => input,
        }
    }

    /// The part of the axis in cell `i`, without padding.
    #[inline]
    fn range(&self, i: usize) -> Range<usize> {
        match *self {
            Self::Sliding { input, kernel, stride, before, .. } => {
                let start = i * stride;
                start.saturating_sub(before)..(start + kernel).saturating_sub(before).min(input)
            }
            Self::Adaptive { input, output } => {
                i * input / output..((i + 1) * input).div_ceil(output)
            }
        }
    }

    /// The divisor of the average of cell `i`; the product of two of them would overflow a `usize`.
    fn count(&self, i: usize, count_include_pad: bool) -> f64 {
        match *self {
            Self::Sliding { kernel, .. } if count_include_pad => kernel as f64,
            _ => self.range(i).len() as f64,
        }
    }
}

/// The elements of a plane that pooling reads, and of one that it writes.
fn plane_sizes([rows, columns]: [Cells; 2]) -> [usize; 2] {
    [rows.input() * columns.input(), rows.output() * columns.output()]
}

/// Calls `visit` with the number of each cell and the place of its largest element in the plane: the first of equal
/// elements, NaN before all.
#[inline(always)]
fn winners<F: Float>([rows, columns]: [Cells; 2], x: &[F], mut visit: impl FnMut(usize, usize)) {
    let width = columns.input();
    let mut cell = 0;
    for i in 0..rows.output() {
        let lines = rows.range(i);
        for j in 0..columns.output() {
            let range = columns.range(j);
            let mut at = lines.start * width + range.start;
            let mut best = x[at];
            for line in lines.clone() {
                let start = line * width + range.start;
                for (k, &x) in x[start..line * width + range.end].iter().enumerate() {
                    // Without branches, because which element is larger is unpredictable.
                    let wins = (x > best) | (x.is_nan() & !best.is_nan());
                    best = if wins { x } else { best };
                    at = if wins { start + k } else { at };
                }
            }
            visit(cell, at);
            cell += 1;
        }
    }
}

/// `y` gets the largest element of each cell of each plane of `x`.
pub(crate) fn max_pool<F: Float>(cells: [Cells; 2], x: &[F], y: &mut [F]) {
    gather_winners(cells, x, x, y);
}

/// `y` gets the element of `from` where `x` has the largest of each cell.
pub(crate) fn gather_winners<F: Float>(cells: [Cells; 2], x: &[F], from: &[F], y: &mut [F]) {
    let [plane, pooled] = plane_sizes(cells);
    planes(y, pooled, x.len(), |k, y| {
        let (x, from) = (&x[k * plane..][..plane], &from[k * plane..][..plane]);
        winners(cells, x, |cell, at| y[cell] = from[at]);
    });
}

/// Each element of `g` is added to zeros where `x` has the largest of its cell.
pub(crate) fn scatter_winners<F: Float>(cells: [Cells; 2], x: &[F], g: &[F], out: &mut [F]) {
    let [plane, pooled] = plane_sizes(cells);
    planes(out, plane, x.len(), |k, out| {
        let (x, g) = (&x[k * plane..][..plane], &g[k * pooled..][..pooled]);
        out.fill(F::ZERO);
        if g.is_empty() {
            return;
        }
        winners(cells, x, |cell, at| out[at] += g[cell]);
    });
}

/// `y` gets the mean of each cell of each plane of `x`.
pub(crate) fn average<F: Float>(cells: [Cells; 2], padded: bool, x: &[F], y: &mut [F]) {
    let ([plane, pooled], [rows, columns]) = (plane_sizes(cells), cells);
    let width = columns.input();
    planes(y, pooled, x.len(), |k, y| {
        let x = &x[k * plane..][..plane];
        for (i, y) in y.chunks_exact_mut(columns.output()).enumerate() {
            for (j, y) in y.iter_mut().enumerate() {
                let range = columns.range(j);
                let lines = rows.range(i).map(|line| &x[line * width..][range.clone()]);
                let sum = lines.flatten().copied().sum::<F>();
                *y = sum / F::of(rows.count(i, padded) * columns.count(j, padded));
            }
        }
    });
}

/// Each element of `g` is shared among its cell: the transpose of [`average`].
pub(crate) fn spread<F: Float>(cells: [Cells; 2], padded: bool, g: &[F], out: &mut [F]) {
    let ([plane, pooled], [rows, columns]) = (plane_sizes(cells), cells);
    let width = columns.input();
    planes(out, plane, g.len(), |k, out| {
        out.fill(F::ZERO);
        for (cell, &g) in g[k * pooled..][..pooled].iter().enumerate() {
            let (i, j) = (cell / columns.output(), cell % columns.output());
            let share = g / F::of(rows.count(i, padded) * columns.count(j, padded));
            for line in rows.range(i) {
                let out = &mut out[line * width..][columns.range(j)];
                out.iter_mut().for_each(|out| *out += share);
            }
        }
    });
}
