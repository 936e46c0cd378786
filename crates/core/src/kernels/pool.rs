//! Pooling over cells of planes.

use std::ops::Range;

use super::pieces::pieces;
use super::{Slide, halve, parallel, vectorized};
use crate::float::Float;

/// Runs `task` on corresponding planes of `x` and `out`, with the plane's number; on threads where they pay off.
fn planes<F: Float>(
    out: &mut [F],
    plane: usize,
    work: usize,
    task: impl Fn(usize, &mut [F]) + Sync,
) {
    if plane == 0 || out.is_empty() {
        return;
    }
    let shared = parallel(work.max(out.len()));
    pieces(out, plane, shared, &task);
}

/// The cells that pooling divides an axis into; they may overlap or leave gaps.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cells {
    /// A window that slides. The last one may reach beyond the padding.
    Sliding(Slide),
    /// Cells of equal size, up to rounding, that cover the axis.
    Adaptive { input: usize, output: usize },
}

impl Cells {
    fn output(&self) -> usize {
        match *self {
            Self::Sliding(Slide { output, .. }) | Self::Adaptive { output, .. } => output,
        }
    }

    fn input(&self) -> usize {
        match *self {
            Self::Sliding(Slide { input, .. }) | Self::Adaptive { input, .. } => input,
        }
    }

    /// The part of the axis in cell `i`, without padding: every [`step`](Self::step)-th element of a range.
    #[inline]
    fn range(&self, i: usize) -> Range<usize> {
        match *self {
            Self::Sliding(Slide { input, kernel, stride, dilation, before, .. }) => {
                let start = i * stride;
                let end = start + dilation * (kernel - 1) + 1;
                // Few windows begin in the padding, so few divide.
                let first = match before.checked_sub(start) {
                    Some(padding) => padding.next_multiple_of(dilation) - padding,
                    None => start - before,
                };
                first..end.saturating_sub(before).min(input)
            }
            Self::Adaptive { input, output } => {
                i * input / output..((i + 1) * input).div_ceil(output)
            }
        }
    }

    /// The distance between neighbouring elements of a cell.
    fn step(&self) -> usize {
        match *self {
            Self::Sliding(Slide { dilation, .. }) => dilation,
            Self::Adaptive { .. } => 1,
        }
    }

    /// The divisor of the average of cell `i`; the product of two of them would overflow a `usize`.
    fn count(&self, i: usize, count_include_pad: bool) -> f64 {
        match *self {
            Self::Sliding(Slide { input, kernel, stride, dilation, before, .. })
                if count_include_pad =>
            {
                let rest = input.saturating_add(2 * before) - i * stride;
                let is_whole = rest > dilation * (kernel - 1);
                (if is_whole { kernel } else { rest.div_ceil(dilation) }) as f64
            }
            _ => self.range(i).step_by(self.step()).len() as f64,
        }
    }
}

/// The elements of a plane that pooling reads, and of one that it writes.
fn plane_sizes([rows, columns]: [Cells; 2]) -> [usize; 2] {
    [rows.input() * columns.input(), rows.output() * columns.output()]
}

/// Whether the cells are squares of four elements, side by side, for which there are loops of their own.
fn squares(cells: [Cells; 2]) -> bool {
    cells.iter().all(|cells| match *cells {
        Cells::Sliding(Slide { kernel: 2, stride: 2, dilation: 1, before: 0, input, output }) => {
            2 * output <= input
        }
        _ => false,
    })
}

fn any_nan<F: Float>(x: &[F]) -> bool {
    vectorized(
        #[inline(always)]
        || x.iter().fold(false, |any, x| any | x.is_nan()),
    )
}

/// Calls `visit` with every `step`-th element of a line. A step of 1 has a loop of its own, which is twice as fast.
#[inline(always)]
fn every<T>(step: usize, line: impl Iterator<Item = T>, visit: impl FnMut(T)) {
    if step == 1 {
        line.for_each(visit);
    } else {
        line.step_by(step).for_each(visit);
    }
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
            for line in lines.clone().step_by(rows.step()) {
                let start = line * width + range.start;
                let line = x[start..line * width + range.end].iter().enumerate();
                every(columns.step(), line, |(k, &x)| {
                    // Without branches, because which element is larger is unpredictable.
                    let wins = (x > best) | (x.is_nan() & !best.is_nan());
                    best = if wins { x } else { best };
                    at = if wins { start + k } else { at };
                });
            }
            visit(cell, at);
            cell += 1;
        }
    }
}

/// `y` gets the largest element of each cell of each plane of `x`.
pub(crate) fn max_pool<F: Float>(cells: [Cells; 2], x: &[F], y: &mut [F]) {
    let [plane, pooled] = plane_sizes(cells);
    planes(y, pooled, x.len(), |k, y| {
        let x = &x[k * plane..][..plane];
        if squares(cells) && !any_nan(x) {
            return halve::max(x, cells[1].input(), y);
        }
        winners(cells, x, |cell, at| y[cell] = x[at]);
    });
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
        if squares(cells) && !any_nan(x) {
            return halve::max_backward(x, g, cells[1].input(), out);
        }
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
        if squares(cells) {
            return halve::average(x, width, y);
        }
        for (i, y) in y.chunks_exact_mut(columns.output()).enumerate() {
            for (j, y) in y.iter_mut().enumerate() {
                let range = columns.range(j);
                let mut sum = F::ZERO;
                for line in rows.range(i).step_by(rows.step()) {
                    let line = x[line * width..][range.clone()].iter();
                    every(columns.step(), line, |&x| sum += x);
                }
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
        if squares(cells) {
            return halve::average_backward(&g[k * pooled..][..pooled], width, out);
        }
        out.fill(F::ZERO);
        for (cell, &g) in g[k * pooled..][..pooled].iter().enumerate() {
            let (i, j) = (cell / columns.output(), cell % columns.output());
            let share = g / F::of(rows.count(i, padded) * columns.count(j, padded));
            let range = columns.range(j);
            for line in rows.range(i).step_by(rows.step()) {
                let line = out[line * width..][range.clone()].iter_mut();
                every(columns.step(), line, |out| *out += share);
            }
        }
    });
}
