//! Padding and repetition, put together from other operations.

use super::MovementOps;
use crate::op::Value;
use crate::{Shape, ShapeError};

#[track_caller]
pub(super) fn enclosed<V: Value>(before: V, x: &V, after: V, axis: usize) -> V {
    V::concat(&[before, x.clone(), after], axis as isize)
}

/// `shape` with extents of 1 in front, so that it has `rank` axes.
pub(super) fn led(shape: Shape, rank: usize) -> Result<Shape, ShapeError> {
    match rank.checked_sub(shape.rank()) {
        Some(missing) => Shape::new(&[1; crate::MAX_RANK][..missing]).followed_by(&shape),
        None => Err(ShapeError::new(format!("{shape:?} has more axes than {rank}"))),
    }
}
