//! Slices along one axis, contiguous or strided, and their transposes: the slice put into zeros.

use crate::kernels::zip1;
use crate::op::{Cotangent, Op, Value};
use crate::{Float, Shape, ShapeError, Tensor};

/// The indices `start..start + len` of one axis.
#[derive(Clone, Copy, Debug)]
pub struct Narrow {
    /// The axis.
    pub axis: usize,
    /// The first index kept.
    pub start: usize,
    /// The number of indices kept.
    pub len: usize,
}

impl Op<1> for Narrow {
    crate::entry_points!(Op<1>);

    fn shape(&self, [x]: [Shape; 1]) -> Result<Shape, ShapeError> {
        let Self { axis, start, len } = *self;
        let end = start.saturating_add(len);
        match x.get(axis) {
            Some(&n) if end <= n => x.with(axis, len),
            _ => Err(ShapeError::new(format!(
                "{start}..{end} is out of range in axis {axis} of {x:?}"
            ))),
        }
    }
    fn forward<F: Float>(&self, [x]: [&Tensor<F>; 1], out: Shape) -> Tensor<F> {
        let (_, n, inner) = x.shape().around(self.axis..self.axis + 1);
        let (from, width) = (self.start * inner, self.len * inner);
        Tensor::written(out, |y| {
            let rows = x.as_slice().chunks_exact((n * inner).max(1));
            for (y, x) in y.chunks_exact_mut(width.max(1)).zip(rows) {
                y.copy_from_slice(&x[from..from + width]);
            }
        })
    }
    fn vjp<V: Value>(&self, _: usize, [x]: [&V; 1], _: &V, g: &V) -> V {
        V::apply(PadZeros { axis: self.axis, start: self.start, extent: x.shape()[self.axis] }, [g])
    }
    // Touches the slice alone: the gradient of a value that is split into many parts costs one pass.
    fn vjp_into<F: Float>(
        &self,
        _: usize,
        [x]: [&Tensor<F>; 1],
        _: &Tensor<F>,
        g: &Tensor<F>,
        into: Cotangent<'_, F>,
    ) {
        into.accumulate(|sum| self.add(x.shape(), g, sum));
    }
}

impl Narrow {
    /// Adds `x` to this slice of `y`, which has shape `of`.
    pub(super) fn add<F: Float>(&self, of: Shape, x: &Tensor<F>, y: &mut [F]) {
        let (_, n, inner) = of.around(self.axis..self.axis + 1);
        let (from, width) = (self.start * inner, self.len * inner);
        let rows = y.chunks_exact_mut((n * inner).max(1));
        for (y, x) in rows.zip(x.as_slice().chunks_exact(width.max(1))) {
            zip1(&mut y[from..from + width], x, |y, x| *y += x);
        }
    }
}

/// The value put into zeros along one axis, at the indices from `start` on: the transpose of [`Narrow`].
#[derive(Clone, Copy, Debug)]
pub struct PadZeros {
    /// The axis.
    pub axis: usize,
    /// The index of the first element.
    pub start: usize,
    /// The extent of the axis in the result.
    pub extent: usize,
}

impl Op<1> for PadZeros {
    crate::entry_points!(Op<1>);

    fn shape(&self, [x]: [Shape; 1]) -> Result<Shape, ShapeError> {
        let Self { axis, start, extent } = *self;
        match x.get(axis) {
            Some(&n) if start.saturating_add(n) <= extent => x.with(axis, extent),
            _ => Err(ShapeError::new(format!(
                "{x:?} from index {start} does not fit into extent {extent} of axis {axis}"
            ))),
        }
    }
    fn forward<F: Float>(&self, [x]: [&Tensor<F>; 1], out: Shape) -> Tensor<F> {
        let (_, n, inner) = x.shape().around(self.axis..self.axis + 1);
        let (from, width) = (self.start * inner, n * inner);
        Tensor::written(out, |y| {
            y.fill(F::ZERO);
            let rows = y.chunks_exact_mut((self.extent * inner).max(1));
            for (y, x) in rows.zip(x.as_slice().chunks_exact(width.max(1))) {
                y[from..from + width].copy_from_slice(x);
            }
        })
    }
    fn vjp<V: Value>(&self, _: usize, [x]: [&V; 1], _: &V, g: &V) -> V {
        V::apply(Narrow { axis: self.axis, start: self.start, len: x.shape()[self.axis] }, [g])
    }
}

/// The indices `start`, `start + step`, .. of one axis, `len` of them; backwards if `step` is negative.
#[derive(Clone, Copy, Debug)]
pub struct StridedSlice {
    /// The axis.
    pub axis: usize,
    /// The first index.
    pub start: usize,
    /// The distance from one index to the next; not 0.
    pub step: isize,
    /// The number of indices.
    pub len: usize,
}

impl Op<1> for StridedSlice {
    crate::entry_points!(Op<1>);

    fn shape(&self, [x]: [Shape; 1]) -> Result<Shape, ShapeError> {
        let Self { axis, start, step, len } = *self;
        match x.get(axis) {
            Some(&n) if fits(start, step, len, n) => x.with(axis, len),
            _ => Err(ShapeError::new(format!(
                "{len} indices from {start} by {step} are out of range in axis {axis} of {x:?}"
            ))),
        }
    }
    fn forward<F: Float>(&self, [x]: [&Tensor<F>; 1], out: Shape) -> Tensor<F> {
        let (_, n, inner) = x.shape().around(self.axis..self.axis + 1);
        Tensor::written(out, |y| {
            for (to, from) in offsets(y.len(), inner, self.start, self.step, self.len, n) {
                y[to..to + inner].copy_from_slice(&x.as_slice()[from..from + inner]);
            }
        })
    }
    fn vjp<V: Value>(&self, _: usize, [x]: [&V; 1], _: &V, g: &V) -> V {
        let Self { axis, start, step, .. } = *self;
        V::apply(SliceScatter { axis, start, step, extent: x.shape()[axis] }, [g])
    }
}

/// The value put into zeros along one axis, at the indices `start`, `start + step`, ..: the transpose of
/// [`StridedSlice`] (PyTorch's `slice_scatter` into zeros).
#[derive(Clone, Copy, Debug)]
pub struct SliceScatter {
    /// The axis.
    pub axis: usize,
    /// The index of the first element.
    pub start: usize,
    /// The distance from one index to the next; not 0.
    pub step: isize,
    /// The extent of the axis in the result.
    pub extent: usize,
}

impl Op<1> for SliceScatter {
    crate::entry_points!(Op<1>);

    fn shape(&self, [x]: [Shape; 1]) -> Result<Shape, ShapeError> {
        let Self { axis, start, step, extent } = *self;
        match x.get(axis) {
            Some(&len) if fits(start, step, len, extent) => x.with(axis, extent),
            _ => Err(ShapeError::new(format!(
                "{x:?} from index {start} by {step} does not fit into extent {extent} of axis {axis}"
            ))),
        }
    }
    fn forward<F: Float>(&self, [x]: [&Tensor<F>; 1], out: Shape) -> Tensor<F> {
        let (_, len, inner) = x.shape().around(self.axis..self.axis + 1);
        Tensor::written(out, |y| {
            y.fill(F::ZERO);
            let x = x.as_slice();
            for (from, to) in offsets(x.len(), inner, self.start, self.step, len, self.extent) {
                y[to..to + inner].copy_from_slice(&x[from..from + inner]);
            }
        })
    }
    fn vjp<V: Value>(&self, _: usize, [x]: [&V; 1], _: &V, g: &V) -> V {
        let Self { axis, start, step, .. } = *self;
        V::apply(StridedSlice { axis, start, step, len: x.shape()[axis] }, [g])
    }
}

/// Whether `len` indices from `start` by `step` lie in `0..n`.
fn fits(start: usize, step: isize, len: usize, n: usize) -> bool {
    // In 128 bits nothing overflows.
    let last = start as i128 + step as i128 * (len as i128 - 1);
    step != 0 && (len == 0 || start < n && (0..n as i128).contains(&last))
}

/// The offsets of each run of `inner` elements: in the dense slice of `total` elements, and in the tensor of
/// extent `n` that it is a slice of.
fn offsets(
    total: usize,
    inner: usize,
    start: usize,
    step: isize,
    len: usize,
    n: usize,
) -> impl Iterator<Item = (usize, usize)> {
    let runs = total.checked_div(inner).unwrap_or(0);
    (0..runs).map(move |run| {
        let (outer, i) = (run / len, run % len);
        let index = (start as isize + step * i as isize) as usize;
        (run * inner, (outer * n + index) * inner)
    })
}
