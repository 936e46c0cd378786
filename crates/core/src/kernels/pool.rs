//! Pooling over cells of planes.

use std::ops::Range;

use rayon::prelude::*;

use super::{halve, parallel, vectorized};
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

/// Whether the cells are squares of four elements, side by side, for which there are loops of their own.
fn squares(cells: [Cells; 2]) -> bool {
    cells
        .iter()
        .all(|cells| matches!(cells, Cells::Sliding { kernel: 2, stride: 2, before: 0, .. }))
}

fn any_nan<F: Float>(x: &[F]) -> bool {
    vectorized(
        #[inline(always)]
        || x.iter().fold(false, |any, x| any | x.is_nan()),
    )
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
        if squares(cells) {
            return halve::average_backward(&g[k * pooled..][..pooled], width, out);
        }
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
