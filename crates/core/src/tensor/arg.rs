//! The indices of extremes. They have no derivative, so only tensors have these methods.

use crate::error::expect_shape;
use crate::shape::Axes;
use crate::{Float, Indices, ShapeError, Tensor};

/// # Indices of extremes
impl<F: Float> Tensor<F> {
    /// Returns the index of the largest element of each row along the last axis, from `[.., n]` to `[..]`. The
    /// first of equal elements wins, and NaN counts as largest. [`flatten`](crate::MovementOps::flatten) first to
    /// search all elements.
    ///
    /// # Panics
    /// On a scalar, or if the last axis is empty.
    #[track_caller]
    pub fn argmax(&self) -> Indices {
        expect_shape!(extremes(self, -1, false, |x, best| x > best))
    }

    /// Returns the indices of the largest elements along one axis, which stays with extent 1 if `keepdim`. The
    /// first of equal elements wins, and NaN counts as largest.
    ///
    /// # Panics
    /// If the axis does not exist or is empty.
    #[track_caller]
    pub fn argmax_axis(&self, axis: isize, keepdim: bool) -> Indices {
        expect_shape!(extremes(self, axis, keepdim, |x, best| x > best))
    }

    /// Returns the index of the smallest element of each row along the last axis, from `[.., n]` to `[..]`. The
    /// first of equal elements wins, and NaN counts as smallest.
    ///
    /// # Panics
    /// On a scalar, or if the last axis is empty.
    #[track_caller]
    pub fn argmin(&self) -> Indices {
        expect_shape!(extremes(self, -1, false, |x, best| x < best))
    }

    /// Returns the indices of the smallest elements along one axis, which stays with extent 1 if `keepdim`. The
    /// first of equal elements wins, and NaN counts as smallest.
    ///
    /// # Panics
    /// If the axis does not exist or is empty.
    #[track_caller]
    pub fn argmin_axis(&self, axis: isize, keepdim: bool) -> Indices {
        expect_shape!(extremes(self, axis, keepdim, |x, best| x < best))
    }
}

/// The first index along `axis` than which no other is `better`; NaN is better than any number.
fn extremes<F: Float>(
    x: &Tensor<F>,
    axis: isize,
    keepdim: bool,
    better: impl Fn(F, F) -> bool,
) -> Result<Indices, ShapeError> {
    let shape = x.shape();
    let axes = Axes::of(shape, axis)?;
    let axis = shape.axis(axis)?;
    let (outer, n, inner) = shape.around(axis..axis + 1);
    if n == 0 {
        return Err(ShapeError::new(format!("{shape:?} has no elements along axis {axis}")));
    }
    let x = x.as_slice();
    let count = outer * inner;
    let mut indices = Vec::with_capacity(count);
    for first in (0..count).map(|row| row / inner * n * inner + row % inner) {
        let at = |i: usize| x[first + i * inner];
        indices.push((1..n).fold(0, |best, i| {
            let wins = better(at(i), at(best)) || at(i).is_nan() && !at(best).is_nan();
            if wins { i } else { best }
        }));
    }
    Ok(Indices::from_vec(indices, axes.reduced(shape, keepdim)))
}
