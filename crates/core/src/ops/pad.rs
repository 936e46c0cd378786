//! Padding and repetition, put together from other operations.

use super::rearrange::{Expand, Narrow, Rearrangements, Reshape, Widen};
use super::slice::Slices;
use crate::op::Value;
use crate::shape::expect_shape;
use crate::{Shape, ShapeError};

/// Padding and repetition, alike for arrays and for variables. One axis is padded at a time; it may be
/// counted from the end: `-1` is the last. A shape mistake panics at the caller's line.
pub trait Paddings: Value {
    /// `before` and `after` more positions at the ends of one axis, which hold `value`.
    ///
    /// # Panics
    /// If the axis does not exist.
    #[track_caller]
    fn pad(&self, axis: isize, before: usize, after: usize, value: f64) -> Self {
        let shape = self.shape();
        let axis = expect_shape("pad", shape.axis(axis));
        if value == 0.0 {
            let extent = before + shape[axis] + after;
            return Self::apply(Widen { axis, start: before, extent }, [self]);
        }
        let constant = |extent| self.constant_like(shape.with(axis, extent), value);
        enclosed(constant(before), self, constant(after), axis)
    }

    /// `before` and `after` more positions at the ends of one axis, which hold the mirror image of what
    /// is within; the outermost element is the mirror and is not repeated.
    ///
    /// # Panics
    /// If the axis does not exist, or is not longer than what is added at either end.
    #[track_caller]
    fn pad_reflect(&self, axis: isize, before: usize, after: usize) -> Self {
        let shape = self.shape();
        let axis = expect_shape("pad_reflect", shape.axis(axis));
        let n = shape[axis];
        if n <= before.max(after) {
            panic!("pad_reflect: {before} and {after} at the ends of axis {axis} of {shape:?}");
        }
        let mirrored =
            |start, len| Self::apply(Narrow { axis, start, len }, [self]).flip(axis as isize);
        enclosed(mirrored(1, before), self, mirrored(n - 1 - after, after), axis)
    }

    /// `before` and `after` more positions at the ends of one axis, which repeat its first and its last
    /// element.
    ///
    /// # Panics
    /// If the axis does not exist or is empty.
    #[track_caller]
    fn pad_replicate(&self, axis: isize, before: usize, after: usize) -> Self {
        let shape = self.shape();
        let axis = expect_shape("pad_replicate", shape.axis(axis));
        if shape[axis] == 0 {
            panic!("pad_replicate: axis {axis} of {shape:?} has nothing to repeat");
        }
        let repeated = |start, times| {
            let edge = Self::apply(Narrow { axis, start, len: 1 }, [self]);
            Self::apply(Expand { to: shape.with(axis, times) }, [&edge])
        };
        enclosed(repeated(0, before), self, repeated(shape[axis] - 1, after), axis)
    }

    /// The whole value one after the other, `times[k]` times along axis `k`; axes that it lacks are new
    /// ones in front.
    ///
    /// # Panics
    /// If there are fewer numbers than axes.
    #[track_caller]
    fn repeat<const N: usize>(&self, times: [usize; N]) -> Self {
        let mut shape = expect_shape("repeat", led(self.shape(), N));
        let mut repeated = Self::apply(Reshape { to: shape }, [self]);
        for (axis, &times) in times.iter().enumerate().filter(|(_, times)| **times != 1) {
            // The axis and all after it are one row, and rows repeat.
            let (outer, n, inner) = shape.around(axis..axis + 1);
            let row = Self::apply(Reshape { to: [outer, 1, n * inner].into() }, [&repeated]);
            let rows = Self::apply(Expand { to: [outer, times, n * inner].into() }, [&row]);
            shape = shape.with(axis, n * times);
            repeated = Self::apply(Reshape { to: shape }, [&rows]);
        }
        repeated
    }
}

impl<V: Value> Paddings for V {}

#[track_caller]
fn enclosed<V: Value>(before: V, x: &V, after: V, axis: usize) -> V {
    V::concat(&[before, x.clone(), after], axis as isize)
}

/// `shape` with extents of 1 in front, so that it has `rank` axes.
fn led(shape: Shape, rank: usize) -> Result<Shape, ShapeError> {
    match rank.checked_sub(shape.rank()) {
        Some(missing) => Shape::new(&[1; crate::MAX_RANK][..missing]).followed_by(&shape),
        None => Err(ShapeError::new(format!("{shape:?} has more axes than {rank}"))),
    }
}
