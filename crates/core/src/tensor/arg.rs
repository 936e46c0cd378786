//! The indices of extremes, and of elements in order. They have no derivative, so only tensors have these methods.

use crate::error::{ensure_shape, expect_shape};
use crate::kernels::{self, Choice};
use crate::shape::Axes;
use crate::{Float, Indices, Shape, ShapeError, Tensor};

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

/// # Indices in order
impl<F: Float> Tensor<F> {
    /// Returns the indices that sort along one axis. Equal elements keep their order, in both directions; NaN counts as
    /// greatest ([`torch.argsort`](https://docs.pytorch.org/docs/stable/generated/torch.argsort.html) with
    /// `stable=True`). [`gather`](crate::IndexOps::gather) takes the elements;
    /// [`sort`](crate::OrderOps::sort) also works on variables.
    ///
    /// # Panics
    /// If the axis does not exist.
    #[track_caller]
    pub fn argsort(&self, axis: isize, descending: bool) -> Indices {
        let axis = expect_shape!(self.shape().axis(axis));
        self.first(axis, self.shape()[axis], descending)
    }

    /// Returns the indices of the `k` largest (or smallest) elements along one axis, in order. Of equal elements the
    /// first come first; NaN counts as greatest.
    ///
    /// # Panics
    /// If the axis does not exist or has fewer than `k` elements.
    #[track_caller]
    pub fn argtopk(&self, k: usize, axis: isize, largest: bool) -> Indices {
        let shape = self.shape();
        let axis = expect_shape!(shape.axis(axis));
        ensure_shape!(k <= shape[axis], "{k} of {} along axis {axis} of {shape:?}", shape[axis]);
        self.first(axis, k, largest)
    }

    fn first(&self, axis: usize, count: usize, descending: bool) -> Indices {
        let (_, n, inner) = self.shape().around(axis..axis + 1);
        let choice = Choice::Sorted { count, descending };
        let places = kernels::choose(self.as_slice(), n, inner, choice);
        Indices::from_vec(places, self.shape().with(axis, count).expect("a smaller shape"))
    }

    /// Returns, for each value, the index before which it would be inserted into a sorted row so that the row stays
    /// sorted: before equal elements, or behind them if `right`. This tensor holds the rows along its last axis: `[n]`
    /// for values of any shape, or `[.., n]` for values `[.., m]` with the same leading axes. NaN counts as greatest
    /// ([`torch.searchsorted`](https://docs.pytorch.org/docs/stable/generated/torch.searchsorted.html)). Rows that are
    /// not sorted give arbitrary indices.
    ///
    /// ```
    /// use wengert_core::{Indices, Tensor};
    ///
    /// let borders = Tensor::<f64>::from([1.0, 2.0, 2.0, 4.0]);
    /// assert_eq!(borders.searchsorted(&Tensor::from([2.0, 5.0]), false), Indices::from([1, 4]));
    /// assert_eq!(borders.searchsorted(&Tensor::from([2.0, 5.0]), true), Indices::from([3, 4]));
    /// ```
    ///
    /// # Panics
    /// If this is a scalar, or the leading axes differ.
    #[track_caller]
    pub fn searchsorted(&self, values: &Self, right: bool) -> Indices {
        let (rows, shape) = (self.shape(), values.shape());
        ensure_shape!(rows.rank() > 0, "a scalar has no rows to search");
        let lead = |shape: Shape| shape.leading(shape.rank().saturating_sub(1));
        let fits = rows.rank() == 1 || rows.rank() == shape.rank() && lead(rows) == lead(shape);
        ensure_shape!(fits, "rows {rows:?} and values {shape:?} differ before the last axis");
        let n = rows[rows.rank() - 1];
        let m = if rows.rank() == 1 { shape.numel() } else { shape[shape.rank() - 1] };
        let mut at = Vec::with_capacity(shape.numel());
        for (row, values) in values.as_slice().chunks(m.max(1)).enumerate() {
            kernels::search_sorted(&self.as_slice()[row * n..][..n], values, right, &mut at);
        }
        Indices::from_vec(at, shape)
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
