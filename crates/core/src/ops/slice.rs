//! Slices along an axis, and what is put together from them.
//!
//! A slice is asked for with Rust's own ranges over `isize`: `x.slice(0, 1..-1)`. They say all that a
//! slice needs, so there is no type and no macro to learn; the stride is an argument of its own.

use std::ops::{Bound, RangeBounds};

use super::rearrange::{Narrow, Rearrangements};
use crate::op::{Op, Value};
use crate::shape::{Axes, AxisList, expect_shape};
use crate::{Array, Float, Shape, ShapeError};

/// Every so many positions of one axis: `start`, `start + step`, and so on, `len` of them; backwards
/// if `step` is negative.
#[derive(Clone, Copy, Debug)]
pub struct Strided {
    /// The axis.
    pub axis: usize,
    /// The first position.
    pub start: usize,
    /// From one position to the next; not 0.
    pub step: isize,
    /// How many positions there are.
    pub len: usize,
}

impl Op<1> for Strided {
    fn shape(&self, [x]: [Shape; 1]) -> Result<Shape, ShapeError> {
        let Self { axis, start, step, len } = *self;
        match x.get(axis) {
            Some(&n) if fits(start, step, len, n) => Ok(x.with(axis, len)),
            _ => Err(ShapeError::new(format!(
                "{len} positions from {start} by {step} of axis {axis} in {x:?}"
            ))),
        }
    }
    fn forward<F: Float>(&self, [x]: [&Array<F>; 1], out: Shape) -> Array<F> {
        let (_, n, inner) = x.shape().around(self.axis..self.axis + 1);
        Array::written(out, |y| {
            let pairs = pairs(y.len(), inner, self.start, self.step, self.len, n);
            for (to, from) in pairs {
                y[to..to + inner].copy_from_slice(&x.as_slice()[from..from + inner]);
            }
        })
    }
    fn pull<V: Value>(&self, _: usize, [x]: [&V; 1], _: &V, g: &V) -> V {
        let Self { axis, start, step, .. } = *self;
        V::apply(Spaced { axis, start, step, extent: x.shape()[axis] }, [g])
    }
}

/// The value placed into zeros along one axis, at `start`, `start + step`, and so on: the transpose of
/// [`Strided`].
#[derive(Clone, Copy, Debug)]
pub struct Spaced {
    /// The axis.
    pub axis: usize,
    /// Where the first element goes.
    pub start: usize,
    /// From one place to the next; not 0.
    pub step: isize,
    /// The extent of the axis afterwards.
    pub extent: usize,
}

impl Op<1> for Spaced {
    fn shape(&self, [x]: [Shape; 1]) -> Result<Shape, ShapeError> {
        let Self { axis, start, step, extent } = *self;
        match x.get(axis) {
            Some(&len) if fits(start, step, len, extent) => Ok(x.with(axis, extent)),
            _ => Err(ShapeError::new(format!(
                "{x:?} from {start} by {step} of axis {axis} into {extent}"
            ))),
        }
    }
    fn forward<F: Float>(&self, [x]: [&Array<F>; 1], out: Shape) -> Array<F> {
        let (_, len, inner) = x.shape().around(self.axis..self.axis + 1);
        Array::written(out, |y| {
            y.fill(F::ZERO);
            let x = x.as_slice();
            for (from, to) in pairs(x.len(), inner, self.start, self.step, len, self.extent) {
                y[to..to + inner].copy_from_slice(&x[from..from + inner]);
            }
        })
    }
    fn pull<V: Value>(&self, _: usize, [x]: [&V; 1], _: &V, g: &V) -> V {
        let Self { axis, start, step, .. } = *self;
        V::apply(Strided { axis, start, step, len: x.shape()[axis] }, [g])
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
fn resolve(
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

/// Slices, alike for arrays and for variables. Axes may be counted from the end: `-1` is the last. A
/// mistake panics at the caller's line.
pub trait Slices: Value {
    /// A range of positions of one axis; negative ones count from the end: `1..`, `..-1`, `-3..=-2`.
    ///
    /// # Panics
    /// If the axis does not exist, the range reaches beyond it, or ends before it begins.
    #[track_caller]
    fn slice(&self, axis: isize, range: impl RangeBounds<isize>) -> Self {
        let shape = self.shape();
        let axis = expect_shape("slice", shape.axis(axis));
        let (start, end) = expect_shape("slice", resolve(shape, axis, &range));
        Self::apply(Narrow { axis, start, len: end - start }, [self])
    }

    /// The first of a range of positions of one axis, and every `step`th after it. See
    /// [`Slices::flip`] for the other direction.
    ///
    /// # Panics
    /// As [`Slices::slice`], and if `step` is 0.
    #[track_caller]
    fn slice_step(&self, axis: isize, range: impl RangeBounds<isize>, step: usize) -> Self {
        let shape = self.shape();
        let axis = expect_shape("slice_step", shape.axis(axis));
        let (start, end) = expect_shape("slice_step", resolve(shape, axis, &range));
        if step == 0 {
            panic!("slice_step: a step of 0 along axis {axis} of {shape:?}");
        }
        let len = (end - start).div_ceil(step);
        Self::apply(Strided { axis, start, step: step as isize, len }, [self])
    }

    /// Parts of these sizes, one after the other along one axis.
    ///
    /// # Panics
    /// If the axis does not exist, or the sizes do not add up to its extent.
    #[track_caller]
    fn split(&self, sizes: &[usize], axis: isize) -> Vec<Self> {
        let shape = self.shape();
        let axis = expect_shape("split", shape.axis(axis));
        let total = sizes.iter().sum::<usize>();
        if total != shape[axis] {
            panic!(
                "split: {sizes:?} along axis {axis} of {shape:?} ({total} against {})",
                shape[axis]
            );
        }
        let mut parts = Vec::with_capacity(sizes.len());
        let mut start = 0;
        for &len in sizes {
            parts.push(Self::apply(Narrow { axis, start, len }, [self]));
            start += len;
        }
        parts
    }

    /// At most `count` parts of one size along one axis; the last may be smaller.
    ///
    /// # Panics
    /// If the axis does not exist, or `count` is 0.
    #[track_caller]
    fn chunk(&self, count: usize, axis: isize) -> Vec<Self> {
        let shape = self.shape();
        let axis = expect_shape("chunk", shape.axis(axis));
        if count == 0 {
            panic!("chunk: 0 parts of {shape:?}");
        }
        let (n, size) = (shape[axis], shape[axis].div_ceil(count).max(1));
        let sizes = (0..n.max(1)).step_by(size).map(|start| size.min(n - start));
        self.split(&sizes.collect::<Vec<_>>(), axis as isize)
    }

    /// The elements in the opposite order along these axes.
    ///
    /// # Panics
    /// If an axis does not exist or is named twice.
    #[track_caller]
    fn flip(&self, axes: impl AxisList) -> Self {
        let shape = self.shape();
        let axes = expect_shape("flip", Axes::of(shape, axes));
        let mut flipped = self.clone();
        for axis in (0..shape.rank()).filter(|&axis| axes.contains(axis) && shape[axis] > 1) {
            let len = shape[axis];
            flipped = Self::apply(Strided { axis, start: len - 1, step: -1, len }, [&flipped]);
        }
        flipped
    }

    /// The elements moved by `shift` positions along one axis; what leaves at one end comes in at the
    /// other.
    ///
    /// # Panics
    /// If the axis does not exist.
    #[track_caller]
    fn roll(&self, shift: isize, axis: isize) -> Self {
        let shape = self.shape();
        let axis = expect_shape("roll", shape.axis(axis));
        let n = shape[axis];
        let shift = shift.rem_euclid(n.max(1) as isize) as usize;
        if shift == 0 {
            return self.clone();
        }
        let end = Self::apply(Narrow { axis, start: n - shift, len: shift }, [self]);
        let front = Self::apply(Narrow { axis, start: 0, len: n - shift }, [self]);
        Self::concat(&[end, front], axis as isize)
    }
}

impl<V: Value> Slices for V {}
