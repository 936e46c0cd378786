//! Methods that move elements without changing them: shapes, axes, slices, padding, diagonals.

use std::borrow::Borrow;
use std::ops::{Bound, RangeBounds};

use smallvec::SmallVec;

use super::broadcast::{Expand, Reshape};
use super::rearrange::{Concat, Permute, StopGradient, Triangle};
use super::slice::{Narrow, PadZeros, SliceScatter, StridedSlice};
use crate::error::{ensure_shape, expect_shape};
use crate::op::Value;
use crate::shape::reshape::ReshapeTo;
use crate::shape::{Axes, AxisList, MAX_RANK, Shape};
use crate::{Op, ShapeError};

/// Movement of elements, for tensors and variables.
///
/// Axes may be counted from the end: `-1` is the last. Slices take Rust's ranges over `isize`, whose negative
/// ends count from the end too.
///
/// ```
/// use wengert_core::{MovementOps, Tensor};
///
/// let x = Tensor::<f32>::from([[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]);
/// assert_eq!(x.transpose(0, 1).reshape([-1, 2]), Tensor::from([[0.0, 3.0], [1.0, 4.0], [2.0, 5.0]]));
/// assert_eq!(x.slice(1, 1..), Tensor::from([[1.0, 2.0], [4.0, 5.0]]));
/// assert_eq!(Tensor::stack(&[&x, &x], 0).shape(), [2, 2, 3].into());
/// ```
///
/// # Panics
/// Every method panics at the caller's line if an axis does not exist or the shapes do not fit.
pub trait MovementOps: Value {
    /// Returns the elements in row-major order under another shape; one extent may be -1 and is inferred
    /// ([`torch.reshape`](https://docs.pytorch.org/docs/stable/generated/torch.reshape.html)). Nothing is copied.
    /// The shape of a scalar is [`Shape::SCALAR`].
    ///
    /// # Panics
    /// If the number of elements differs, or more than one extent is -1.
    #[track_caller]
    fn reshape(&self, shape: impl ReshapeTo) -> Self {
        let to = expect_shape!(shape.resolve(self.shape()));
        Self::apply(Reshape { to }, [self])
    }

    /// Returns the value as a constant: derivatives stop here (PyTorch's `detach`).
    #[track_caller]
    fn stop_gradient(&self) -> Self {
        Self::apply(StopGradient, [self])
    }

    /// Returns all elements in row-major order, of shape `[numel]`.
    #[track_caller]
    fn flatten(&self) -> Self {
        Self::apply(Reshape { to: [self.shape().numel()].into() }, [self])
    }

    /// Merges the axes from `first` to `last`, both included.
    ///
    /// # Panics
    /// If an axis does not exist, or `last` comes before `first`.
    #[track_caller]
    fn flatten_axes(&self, first: isize, last: isize) -> Self {
        let shape = self.shape();
        let (first, last) = (expect_shape!(shape.axis(first)), expect_shape!(shape.axis(last)));
        ensure_shape!(first <= last, "axis {last} of {shape:?} comes before axis {first}");
        let merged = shape[first..=last].iter().product();
        let to = Shape::new(&[&shape[..first], &[merged], &shape[last + 1..]].concat());
        Self::apply(Reshape { to }, [self])
    }

    /// Removes axes of extent 1.
    ///
    /// # Panics
    /// If an axis does not exist or has another extent.
    #[track_caller]
    fn squeeze(&self, axes: impl AxisList) -> Self {
        let shape = self.shape();
        let axes = expect_shape!(Axes::of(shape, axes));
        let to = axes.removed(shape);
        ensure_shape!(axes.kept(shape) == shape, "{shape:?} to {to:?}: the extents are not 1");
        Self::apply(Reshape { to }, [self])
    }

    /// Inserts an axis of extent 1, which is axis `axis` of the result.
    ///
    /// # Panics
    /// If the result has no such axis, or more than [`MAX_RANK`] axes.
    #[track_caller]
    fn unsqueeze(&self, axis: isize) -> Self {
        let shape = self.shape();
        let longer = expect_shape!(shape.followed_by(&[1]));
        let axis = expect_shape!(longer.axis(axis));
        let before = shape.leading(axis);
        let to = expect_shape!(expect_shape!(before.followed_by(&[1])).followed_by(&shape[axis..]));
        Self::apply(Reshape { to }, [self])
    }

    /// Repeats along axes of extent 1 and along new leading axes, to `shape` (NumPy's `broadcast_to`).
    ///
    /// # Panics
    /// If the value does not broadcast to exactly `shape`.
    #[track_caller]
    fn expand(&self, shape: impl Into<Shape>) -> Self {
        Self::apply(Expand { to: shape.into() }, [self])
    }

    /// Reorders the axes: axis `k` of the result is axis `order[k]` of the value.
    ///
    /// # Panics
    /// If `order` does not name each axis once.
    #[track_caller]
    fn permute<const N: usize>(&self, order: [isize; N]) -> Self {
        // A loop, because a closure would hide the caller's line.
        let mut axes = [0; N];
        for (axis, named) in axes.iter_mut().zip(order) {
            *axis = expect_shape!(self.shape().axis(named));
        }
        Self::apply(Permute { order: Shape::from(axes) }, [self])
    }

    /// Exchanges two axes.
    #[track_caller]
    fn transpose(&self, a: isize, b: isize) -> Self {
        let shape = self.shape();
        let (a, b) = (expect_shape!(shape.axis(a)), expect_shape!(shape.axis(b)));
        let mut order: [usize; MAX_RANK] = std::array::from_fn(|axis| axis);
        order.swap(a, b);
        Self::apply(Permute { order: Shape::new(&order[..shape.rank()]) }, [self])
    }

    /// Returns the indices `start..start + len` of one axis.
    #[track_caller]
    fn narrow(&self, axis: isize, start: usize, len: usize) -> Self {
        let axis = expect_shape!(self.shape().axis(axis));
        Self::apply(Narrow { axis, start, len }, [self])
    }

    /// Concatenates values along one axis. The parts may be values or references.
    ///
    /// # Panics
    /// If there are no parts, or if they differ in another axis.
    #[track_caller]
    fn concat(parts: &[impl Borrow<Self>], axis: isize) -> Self {
        ensure_shape!(!parts.is_empty(), "there are no parts");
        let axis = expect_shape!(parts[0].borrow().shape().axis(axis));
        let parts = parts.iter().map(Borrow::borrow).collect::<SmallVec<[&Self; 8]>>();
        concat(&parts, axis)
    }

    /// Concatenates values of one shape along a new axis, which is axis `axis` of the result. The parts may be values or
    /// references.
    ///
    /// # Panics
    /// If there are no parts, if their shapes differ, or if the result has no such axis.
    #[track_caller]
    fn stack(parts: &[impl Borrow<Self>], axis: isize) -> Self {
        ensure_shape!(!parts.is_empty(), "there are no parts");
        let mut longer = Vec::with_capacity(parts.len());
        for part in parts.iter().map(Borrow::borrow) {
            let (first, other) = (parts[0].borrow().shape(), part.shape());
            ensure_shape!(first == other, "{first:?} and {other:?} must be equal");
            longer.push(part.unsqueeze(axis));
        }
        Self::concat(&longer, axis)
    }

    /// Returns a range of one axis, such as `1..`, `..-1` or `-3..=-2`.
    ///
    /// # Panics
    /// If the axis does not exist, or the range exceeds it or ends before it begins.
    #[track_caller]
    fn slice(&self, axis: isize, range: impl RangeBounds<isize>) -> Self {
        let shape = self.shape();
        let axis = expect_shape!(shape.axis(axis));
        let (start, end) = expect_shape!(resolve(shape, axis, &range));
        Self::apply(Narrow { axis, start, len: end - start }, [self])
    }

    /// Returns every `step`th index of a range of one axis, beginning with the first. [`flip`](Self::flip) reverses
    /// the direction.
    ///
    /// # Panics
    /// In the cases of [`slice`](Self::slice), and if `step` is 0.
    #[track_caller]
    fn slice_step(&self, axis: isize, range: impl RangeBounds<isize>, step: usize) -> Self {
        let shape = self.shape();
        let axis = expect_shape!(shape.axis(axis));
        let (start, end) = expect_shape!(resolve(shape, axis, &range));
        ensure_shape!(step > 0, "a step of 0 along axis {axis} of {shape:?}");
        let len = (end - start).div_ceil(step);
        // A longer step takes the first index alone too.
        let step = isize::try_from(step).unwrap_or(isize::MAX);
        Self::apply(StridedSlice { axis, start, step, len }, [self])
    }

    /// Splits one axis into parts of these sizes.
    ///
    /// # Panics
    /// If the axis does not exist, or the sizes do not add up to its extent.
    #[track_caller]
    fn split(&self, sizes: &[usize], axis: isize) -> Vec<Self> {
        let shape = self.shape();
        let axis = expect_shape!(shape.axis(axis));
        let total = sizes.iter().fold(0usize, |total, size| total.saturating_add(*size));
        let extent = shape[axis];
        ensure_shape!(
            total == extent,
            "sizes {sizes:?} add up to {total}, axis {axis} of {shape:?} has {extent}"
        );
        let mut parts = Vec::with_capacity(sizes.len());
        let mut start = 0;
        for &len in sizes {
            parts.push(Self::apply(Narrow { axis, start, len }, [self]));
            start += len;
        }
        parts
    }

    /// Splits one axis into at most `count` parts of equal size; the last may be smaller.
    ///
    /// # Panics
    /// If the axis does not exist, or `count` is 0.
    #[track_caller]
    fn chunk(&self, count: usize, axis: isize) -> Vec<Self> {
        let shape = self.shape();
        let axis = expect_shape!(shape.axis(axis));
        ensure_shape!(count > 0, "0 parts of {shape:?}");
        let (n, size) = (shape[axis], shape[axis].div_ceil(count).max(1));
        let sizes = (0..n.max(1)).step_by(size).map(|start| size.min(n - start));
        self.split(&sizes.collect::<Vec<_>>(), axis as isize)
    }

    /// Reverses the order of the elements along these axes.
    ///
    /// # Panics
    /// If an axis does not exist or is named twice.
    #[track_caller]
    fn flip(&self, axes: impl AxisList) -> Self {
        let shape = self.shape();
        let axes = expect_shape!(Axes::of(shape, axes));
        let mut flipped = self.clone();
        for axis in (0..shape.rank()).filter(|&axis| axes.contains(axis) && shape[axis] > 1) {
            let len = shape[axis];
            flipped = Self::apply(StridedSlice { axis, start: len - 1, step: -1, len }, [&flipped]);
        }
        flipped
    }

    /// Shifts the elements along one axis; those that leave at one end enter at the other.
    #[track_caller]
    fn roll(&self, shift: isize, axis: isize) -> Self {
        let shape = self.shape();
        let axis = expect_shape!(shape.axis(axis));
        let n = shape[axis];
        let shift = shift.rem_euclid(n.max(1) as isize) as usize;
        if shift == 0 {
            return self.clone();
        }
        let end = Self::apply(Narrow { axis, start: n - shift, len: shift }, [self]);
        let front = Self::apply(Narrow { axis, start: 0, len: n - shift }, [self]);
        Self::concat(&[end, front], axis as isize)
    }

    /// Extends one axis by `before` and `after` elements that hold `value`.
    #[track_caller]
    fn pad(&self, axis: isize, before: usize, after: usize, value: f64) -> Self {
        let shape = self.shape();
        let axis = expect_shape!(shape.axis(axis));
        let extent = before.saturating_add(shape[axis]).saturating_add(after);
        expect_shape!(shape.with(axis, extent));
        if value == 0.0 {
            return Self::apply(PadZeros { axis, start: before, extent }, [self]);
        }
        let before = self.constant_like(expect_shape!(shape.with(axis, before)), value);
        let after = self.constant_like(expect_shape!(shape.with(axis, after)), value);
        enclosed(before, self, after, axis)
    }

    /// Extends one axis by `before` and `after` elements that mirror the interior; the edge element is not
    /// repeated.
    ///
    /// # Panics
    /// If the axis does not exist, or is not longer than `before` and `after`.
    #[track_caller]
    fn pad_reflect(&self, axis: isize, before: usize, after: usize) -> Self {
        let shape = self.shape();
        let axis = expect_shape!(shape.axis(axis));
        let n = shape[axis];
        ensure_shape!(
            n > before.max(after),
            "axis {axis} of {shape:?} is not longer than the padding ({before} and {after})"
        );
        let mirrored =
            |start, len| Self::apply(Narrow { axis, start, len }, [self]).flip(axis as isize);
        enclosed(mirrored(1, before), self, mirrored(n - 1 - after, after), axis)
    }

    /// Extends one axis by `before` copies of its first element and `after` copies of its last.
    ///
    /// # Panics
    /// If the axis does not exist or is empty.
    #[track_caller]
    fn pad_replicate(&self, axis: isize, before: usize, after: usize) -> Self {
        let shape = self.shape();
        let axis = expect_shape!(shape.axis(axis));
        ensure_shape!(shape[axis] > 0, "axis {axis} of {shape:?} is empty");
        let extent = before.saturating_add(shape[axis]).saturating_add(after);
        expect_shape!(shape.with(axis, extent));
        let (first, last) = (
            Self::apply(Narrow { axis, start: 0, len: 1 }, [self]),
            Self::apply(Narrow { axis, start: shape[axis] - 1, len: 1 }, [self]),
        );
        let before = Self::apply(Expand { to: expect_shape!(shape.with(axis, before)) }, [&first]);
        let after = Self::apply(Expand { to: expect_shape!(shape.with(axis, after)) }, [&last]);
        enclosed(before, self, after, axis)
    }

    /// Repeats the whole value `times[k]` times along axis `k`. If there are more numbers than axes, new
    /// axes are added in front
    /// ([`torch.Tensor.repeat`](https://docs.pytorch.org/docs/stable/generated/torch.Tensor.repeat.html)).
    ///
    /// # Panics
    /// If there are fewer numbers than axes.
    #[track_caller]
    fn repeat<const N: usize>(&self, times: [usize; N]) -> Self {
        let mut shape = expect_shape!(with_leading_ones(self.shape(), N));
        let mut repeated = Self::apply(Reshape { to: shape }, [self]);
        for (axis, &times) in times.iter().enumerate().filter(|(_, times)| **times != 1) {
            // The axis and all after it make up a row, and rows repeat.
            let (outer, n, inner) = shape.around(axis..axis + 1);
            let row = Shape::from([outer, 1, n * inner]);
            let rows = expect_shape!(row.with(1, times));
            shape = expect_shape!(shape.with(axis, n.saturating_mul(times)));
            repeated = Self::apply(Reshape { to: row }, [&repeated]);
            repeated = Self::apply(Expand { to: rows }, [&repeated]);
            repeated = Self::apply(Reshape { to: shape }, [&repeated]);
        }
        repeated
    }

    /// Sets the elements above a diagonal of the matrices of the last two axes to zero. Diagonal 0 is the main
    /// one, 1 the next above it, -1 the next below.
    ///
    /// # Panics
    /// If there are fewer than two axes.
    #[track_caller]
    fn tril(&self, diagonal: isize) -> Self {
        let op = Triangle { upper: false, diagonal };
        expect_shape!(op.shape([self.shape()]));
        Self::apply(op, [self])
    }

    /// Sets the elements below a diagonal of the matrices of the last two axes to zero. Diagonal 0 is the main
    /// one, 1 the next above it, -1 the next below.
    ///
    /// # Panics
    /// If there are fewer than two axes.
    #[track_caller]
    fn triu(&self, diagonal: isize) -> Self {
        let op = Triangle { upper: true, diagonal };
        expect_shape!(op.shape([self.shape()]));
        Self::apply(op, [self])
    }

    /// Returns a diagonal of a matrix `[m, n]` as a vector. A vector `[n]` becomes the matrix of shape
    /// `[n + |diagonal|, n + |diagonal|]` with that vector on the diagonal and zeros elsewhere.
    ///
    /// # Panics
    /// If the value is neither a vector nor a matrix.
    #[track_caller]
    fn diag(&self, diagonal: isize) -> Self {
        let shape = self.shape();
        ensure_shape!(matches!(*shape, [_] | [_, _]), "{shape:?} is neither a vector nor a matrix");
        let offset = diagonal.unsigned_abs();
        // In row-major order, neighbours on a diagonal are one row and one column apart. A diagonal outside of the
        // matrix is empty, wherever it starts.
        let start = |columns| if diagonal < 0 { offset.saturating_mul(columns) } else { offset };
        if let [rows, columns] = *shape {
            let (long, short) = if diagonal < 0 { (rows, columns) } else { (columns, rows) };
            let len = long.saturating_sub(offset).min(short);
            let (start, step) = (start(columns), columns as isize + 1);
            return Self::apply(StridedSlice { axis: 0, start, step, len }, [&self.flatten()]);
        }
        let side = shape[0].saturating_add(offset);
        let square = expect_shape!(Shape::try_new(&[side, side]));
        let (start, step) = (start(side), side as isize + 1);
        let flat = SliceScatter { axis: 0, start, step, extent: square.numel() };
        Self::apply(Reshape { to: square }, [&Self::apply(flat, [self])])
    }
}

impl<V: Value> MovementOps for V {}

#[track_caller]
fn enclosed<V: Value>(before: V, x: &V, after: V, axis: usize) -> V {
    concat(&[&before, x, &after], axis)
}

#[track_caller]
fn concat<V: Value>(parts: &[&V], axis: usize) -> V {
    // A loop, because a closure would hide the caller's line.
    let mut shapes = SmallVec::<[Shape; 8]>::new();
    for part in parts {
        shapes.push(part.shape());
    }
    V::apply_many(Concat::new(axis, &shapes), parts)
}

/// `shape` with extents of 1 in front, so that it has `rank` axes.
fn with_leading_ones(shape: Shape, rank: usize) -> Result<Shape, ShapeError> {
    match rank.checked_sub(shape.rank()) {
        Some(missing) => Shape::new(&[1; MAX_RANK][..missing]).followed_by(&shape),
        None => Err(ShapeError::new(format!("{shape:?} has more than {rank} axes"))),
    }
}

/// The start and the end of a range whose negative ends count from the end of the axis.
fn resolve(
    shape: Shape,
    axis: usize,
    range: &impl RangeBounds<isize>,
) -> Result<(usize, usize), ShapeError> {
    let n = shape[axis] as isize;
    let from_start = |i: isize| if i < 0 { i + n } else { i };
    let start = match range.start_bound() {
        Bound::Included(&i) => from_start(i),
        Bound::Excluded(&i) => from_start(i).saturating_add(1),
        Bound::Unbounded => 0,
    };
    let end = match range.end_bound() {
        Bound::Included(&i) => from_start(i).saturating_add(1),
        Bound::Excluded(&i) => from_start(i),
        Bound::Unbounded => n,
    };
    if 0 <= start && start <= end && end <= n {
        Ok((start as usize, end as usize))
    } else {
        Err(ShapeError::new(format!("{start}..{end} is out of range in axis {axis} of {shape:?}")))
    }
}
