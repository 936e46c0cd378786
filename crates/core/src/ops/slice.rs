//! MovementOps along an axis, and what is put together from them.
//!
//! A slice is asked for with Rust's own ranges over `isize`: `x.slice(0, 1..-1)`. They say all that a
//! slice needs, so there is no type and no macro to learn; the stride is an argument of its own.

use std::ops::{Bound, RangeBounds};

use crate::op::{Op, Value};
use crate::{Float, Shape, ShapeError, Tensor};

/// Every so many positions of one axis: `start`, `start + step`, and so on, `len` of them; backwards
/// if `step` is negative.
#[derive(Clone, Copy, Debug)]
pub struct StridedSlice {
    /// The axis.
    pub axis: usize,
    /// The first position.
    pub start: usize,
    /// From one position to the next; not 0.
    pub step: isize,
    /// How many positions there are.
    pub len: usize,
}

impl Op<1> for StridedSlice {
    fn shape(&self, [x]: [Shape; 1]) -> Result<Shape, ShapeError> {
        let Self { axis, start, step, len } = *self;
        match x.get(axis) {
            Some(&n) if fits(start, step, len, n) => Ok(x.with(axis, len)),
            _ => Err(ShapeError::new(format!(
                "{len} positions from {start} by {step} of axis {axis} in {x:?}"
            ))),
        }
    }
    fn forward<F: Float>(&self, [x]: [&Tensor<F>; 1], out: Shape) -> Tensor<F> {
        let (_, n, inner) = x.shape().around(self.axis..self.axis + 1);
        Tensor::written(out, |y| {
            let pairs = pairs(y.len(), inner, self.start, self.step, self.len, n);
            for (to, from) in pairs {
                y[to..to + inner].copy_from_slice(&x.as_slice()[from..from + inner]);
            }
        })
    }
    fn vjp<V: Value>(&self, _: usize, [x]: [&V; 1], _: &V, g: &V) -> V {
        let Self { axis, start, step, .. } = *self;
        V::apply(StridedPlace { axis, start, step, extent: x.shape()[axis] }, [g])
    }
}

/// The value placed into zeros along one axis, at `start`, `start + step`, and so on: the transpose of
/// [`StridedSlice`].
#[derive(Clone, Copy, Debug)]
pub struct StridedPlace {
    /// The axis.
    pub axis: usize,
    /// Where the first element goes.
    pub start: usize,
    /// From one place to the next; not 0.
    pub step: isize,
    /// The extent of the axis afterwards.
    pub extent: usize,
}

impl Op<1> for StridedPlace {
    fn shape(&self, [x]: [Shape; 1]) -> Result<Shape, ShapeError> {
        let Self { axis, start, step, extent } = *self;
        match x.get(axis) {
            Some(&len) if fits(start, step, len, extent) => Ok(x.with(axis, extent)),
            _ => Err(ShapeError::new(format!(
                "{x:?} from {start} by {step} of axis {axis} into {extent}"
            ))),
        }
    }
    fn forward<F: Float>(&self, [x]: [&Tensor<F>; 1], out: Shape) -> Tensor<F> {
        let (_, len, inner) = x.shape().around(self.axis..self.axis + 1);
        Tensor::written(out, |y| {
            y.fill(F::ZERO);
            let x = x.as_slice();
            for (from, to) in pairs(x.len(), inner, self.start, self.step, len, self.extent) {
                y[to..to + inner].copy_from_slice(&x[from..from + inner]);
            }
        })
    }
    fn vjp<V: Value>(&self, _: usize, [x]: [&V; 1], _: &V, g: &V) -> V {
        let Self { axis, start, step, .. } = *self;
        V::apply(StridedSlice { axis, start, step, len: x.shape()[axis] }, [g])
    }
}

/// Whether `len` positions from `start` by `step` lie in `0..n`.
fn fits(start: usize, step: isize, len: usize, n: usize) -> bool {
    let last = start as isize + step * (len as isize - 1);
    step != 0 && (len == 0 || start < n && (0..n as isize).contains(&last))
}

/// Where each run of `inner` elements lies, densely in `total` elements and strided among `n`.
fn pairs(
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
        let position = (start as isize + step * i as isize) as usize;
        (run * inner, (outer * n + position) * inner)
    })
}

/// Where a range of positions, counted from the start or (negative) from the end, begins and ends.
pub(super) fn resolve(
    shape: Shape,
    axis: usize,
    range: &impl RangeBounds<isize>,
) -> Result<(usize, usize), ShapeError> {
    let n = shape[axis] as isize;
    let at = |i: isize| if i < 0 { i + n } else { i };
    let start = match range.start_bound() {
        Bound::Included(&i) => at(i),
        Bound::Excluded(&i) => at(i) + 1,
        Bound::Unbounded => 0,
    };
    let end = match range.end_bound() {
        Bound::Included(&i) => at(i) + 1,
        Bound::Excluded(&i) => at(i),
        Bound::Unbounded => n,
    };
    if 0 <= start && start <= end && end <= n {
        Ok((start as usize, end as usize))
    } else {
        Err(ShapeError::new(format!("{start}..{end} of axis {axis} in {shape:?}")))
    }
}
