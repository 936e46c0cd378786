//! Shapes, sets of axes, and broadcasting.

pub(crate) mod reshape;

use std::fmt;
use std::ops::Deref;

use smallvec::SmallVec;

use crate::error::ShapeError;

/// The largest number of axes a tensor may have.
pub const MAX_RANK: usize = 8;

/// The largest number of elements a shape may have, where an extent of 0 counts as 1: as many `f64` as an
/// allocation can hold.
pub const MAX_NUMEL: usize = isize::MAX as usize / 8;

/// The extents of a tensor's axes, outermost first; at most [`MAX_RANK`] of them.
///
/// A shape is `Copy` and dereferences to `[usize]`. A scalar has the shape `[]`. The product of the extents, where 0
/// counts as 1, is at most [`MAX_NUMEL`]. The product of any of them, times the size of an element, therefore does not
/// overflow. Functions that make a larger extent return an error instead.
///
/// ```
/// use wengert_core::Shape;
///
/// let shape = Shape::from([2, 3, 4]);
/// assert_eq!((shape.rank(), shape.numel(), shape[1]), (3, 24, 3));
/// assert_eq!(shape.axis(-1), Ok(2));
/// assert_eq!(Shape::from([3, 1]).broadcast([4].into()), Ok([3, 4].into()));
/// assert!(Shape::try_new(&[1 << 40, 1 << 40]).is_err());
/// ```
#[derive(Clone, Copy)]
pub struct Shape {
    extents: [usize; MAX_RANK],
    rank: u8,
}

impl Shape {
    /// The shape of a single number, `[]`.
    pub const SCALAR: Self = Self { extents: [0; MAX_RANK], rank: 0 };

    /// Makes a shape from extents.
    ///
    /// # Panics
    /// If there are more than [`MAX_RANK`] of them, or their product, where 0 counts as 1, exceeds [`MAX_NUMEL`].
    #[track_caller]
    pub fn new(extents: &[usize]) -> Self {
        match Self::try_new(extents) {
            Ok(shape) => shape,
            Err(error) => error.in_operation("shape").raise(),
        }
    }

    /// Makes a shape from extents. Returns an error if there are more than [`MAX_RANK`] of them, or their product,
    /// where 0 counts as 1, exceeds [`MAX_NUMEL`].
    pub fn try_new(extents: &[usize]) -> Result<Self, ShapeError> {
        let rank = extents.len();
        if rank > MAX_RANK {
            return Err(ShapeError::new(format!(
                "{extents:?} has {rank} axes, at most {MAX_RANK} are supported"
            )));
        }
        let mut shape = Self { rank: rank as u8, ..Self::SCALAR };
        shape.extents[..rank].copy_from_slice(extents);
        shape.checked()
    }

    /// This shape, or an error if it has too many elements. Whatever enlarges an extent passes through here.
    #[inline]
    fn checked(self) -> Result<Self, ShapeError> {
        let numel = self.iter().try_fold(1usize, |n, &extent| n.checked_mul(extent.max(1)));
        match numel {
            Some(..=MAX_NUMEL) => Ok(self),
            _ => Err(self.too_large()),
        }
    }

    #[cold]
    fn too_large(self) -> ShapeError {
        ShapeError::new(format!(
            "{self:?} is too large: at most {MAX_NUMEL} elements are supported"
        ))
    }

    /// The first axes alone. They have no more elements than all of them.
    pub(crate) fn leading(mut self, axes: usize) -> Self {
        self.extents[axes..].fill(0);
        self.rank = axes as u8;
        self
    }

    /// Returns the number of axes.
    pub fn rank(&self) -> usize {
        self.rank as usize
    }

    /// Returns the number of elements: the product of the extents, 1 for a scalar.
    pub fn numel(&self) -> usize {
        self.iter().product()
    }

    /// Returns, for each axis, the distance between neighbours in row-major memory.
    pub fn strides(&self) -> Strides {
        let mut strides = Strides { steps: [0; MAX_RANK], rank: self.rank };
        let mut step = 1;
        for axis in (0..self.rank()).rev() {
            strides.steps[axis] = step;
            step *= self[axis];
        }
        strides
    }

    /// Returns the index of the element at `flat` in row-major order (NumPy's `unravel_index`).
    pub fn position(&self, flat: usize) -> Vec<usize> {
        let strides = self.strides();
        self.iter().zip(&*strides).map(|(extent, stride)| flat / stride % extent).collect()
    }

    /// Replaces the extent of one axis. Returns an error if the result has more than [`MAX_NUMEL`] elements.
    pub fn with(mut self, axis: usize, extent: usize) -> Result<Self, ShapeError> {
        self.extents[..self.rank as usize][axis] = extent;
        self.checked()
    }

    /// Appends axes. Returns an error if the result has more than [`MAX_RANK`] of them, or more than [`MAX_NUMEL`]
    /// elements.
    pub fn followed_by(self, extents: &[usize]) -> Result<Self, ShapeError> {
        let all = self.iter().chain(extents).copied();
        Self::try_new(&all.collect::<SmallVec<[usize; MAX_RANK]>>())
    }

    /// Resolves an axis that may be counted from the end (`-1` is the last).
    pub fn axis(&self, axis: isize) -> Result<usize, ShapeError> {
        let rank = self.rank() as isize;
        if (-rank..rank).contains(&axis) {
            Ok(axis.rem_euclid(rank) as usize)
        } else {
            Err(ShapeError::new(format!("axis {axis} does not exist in {self:?}")))
        }
    }

    /// Returns the shape to which both broadcast under NumPy's rules: axes are aligned at the last one, and
    /// an extent of 1 or a missing axis repeats.
    pub fn broadcast(self, other: Self) -> Result<Self, ShapeError> {
        if self == other {
            return Ok(self);
        }
        let (mut out, shorter) =
            if self.rank >= other.rank { (self, other) } else { (other, self) };
        let missing = out.rank() - shorter.rank();
        for (axis, &b) in shorter.iter().enumerate() {
            let a = &mut out.extents[missing + axis];
            if *a == 1 {
                *a = b;
            } else if b != 1 && b != *a {
                let from_end = shorter.rank() - axis;
                let (left, right) = (self[self.rank() - from_end], other[other.rank() - from_end]);
                return Err(ShapeError::new(format!(
                    "{self:?} and {other:?} do not broadcast: axis -{from_end} differs ({left} and {right})"
                )));
            }
        }
        out.checked()
    }

    /// Returns whether a tensor of this shape broadcasts to exactly `target`.
    pub fn expands_to(self, target: Self) -> bool {
        self.rank <= target.rank && self.broadcast(target) == Ok(target)
    }

    /// The strides that read a dense tensor of this shape as if it had shape `target`: 0 where it repeats.
    pub(crate) fn strides_in(&self, target: &Self) -> Strides {
        let missing = target.rank() - self.rank();
        let own = self.strides();
        let mut strides = Strides { steps: [0; MAX_RANK], rank: target.rank };
        for axis in 0..self.rank() {
            if self[axis] != 1 {
                strides.steps[missing + axis] = own[axis];
            }
        }
        strides
    }

    /// The number of elements before, within and after a run of axes.
    pub(crate) fn around(&self, axes: std::ops::Range<usize>) -> (usize, usize, usize) {
        let product = |extents: &[usize]| extents.iter().product();
        (product(&self[..axes.start]), product(&self[axes.clone()]), product(&self[axes.end..]))
    }
}

impl Deref for Shape {
    type Target = [usize];
    #[inline]
    fn deref(&self) -> &[usize] {
        &self.extents[..self.rank as usize]
    }
}

impl PartialEq for Shape {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        // A loop over a few words; comparing slices calls `memcmp`.
        self.rank == other.rank && self.iter().zip(&**other).all(|(a, b)| a == b)
    }
}

impl Eq for Shape {}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

impl From<&[usize]> for Shape {
    #[track_caller]
    fn from(extents: &[usize]) -> Self {
        Self::new(extents)
    }
}

/// One axis: `5` is `[5]`.
impl From<usize> for Shape {
    #[track_caller]
    fn from(extent: usize) -> Self {
        Self::new(&[extent])
    }
}

impl<const N: usize> From<[usize; N]> for Shape {
    #[track_caller]
    fn from(extents: [usize; N]) -> Self {
        Self::new(&extents)
    }
}

impl<const N: usize> From<&[usize; N]> for Shape {
    #[track_caller]
    fn from(extents: &[usize; N]) -> Self {
        Self::new(extents)
    }
}

/// The distance between neighbours along each axis, in elements; dereferences to `[usize]`.
///
/// ```
/// use wengert_core::Shape;
///
/// assert_eq!(*Shape::from([2, 3, 4]).strides(), [12, 4, 1]);
/// ```
#[derive(Clone, Copy)]
pub struct Strides {
    steps: [usize; MAX_RANK],
    rank: u8,
}

impl Deref for Strides {
    type Target = [usize];
    #[inline]
    fn deref(&self) -> &[usize] {
        &self.steps[..self.rank as usize]
    }
}

impl fmt::Debug for Strides {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}

/// A set of axes of one shape.
///
/// ```
/// use wengert_core::{Axes, Shape};
///
/// let shape = Shape::from([2, 3, 4]);
/// let axes = Axes::of(shape, [0, -1])?;
/// assert_eq!(axes.kept(shape), [1, 3, 1].into());
/// assert_eq!(axes.removed(shape), [3].into());
/// assert_eq!(axes.count(shape), 8);
/// # Ok::<_, wengert_core::ShapeError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Axes(u8);

impl Axes {
    /// Returns all axes of `shape`.
    pub fn all(shape: Shape) -> Self {
        Self(((1u16 << shape.rank()) - 1) as u8)
    }

    /// One axis, counted from the front.
    pub(crate) fn one(axis: usize) -> Self {
        Self(1 << axis)
    }

    /// Returns these axes of `shape`, or an error if one does not exist or is named twice.
    pub fn of(shape: Shape, axes: impl AxisList) -> Result<Self, ShapeError> {
        let mut set = 0;
        for &axis in axes.as_axes() {
            let bit = 1 << shape.axis(axis)?;
            if set & bit != 0 {
                return Err(ShapeError::new(format!("axis {axis} of {shape:?} is named twice")));
            }
            set |= bit;
        }
        Ok(Self(set))
    }

    /// Returns whether `axis` is in the set.
    pub fn contains(self, axis: usize) -> bool {
        self.0 >> axis & 1 == 1
    }

    /// Returns `shape` with extent 1 in these axes.
    pub fn kept(self, mut shape: Shape) -> Shape {
        for axis in 0..shape.rank() {
            if self.contains(axis) {
                shape.extents[axis] = 1;
            }
        }
        shape
    }

    /// Returns `shape` without these axes.
    pub fn removed(self, shape: Shape) -> Shape {
        let mut out = Shape::SCALAR;
        for (axis, &extent) in shape.iter().enumerate() {
            if !self.contains(axis) {
                out.extents[out.rank as usize] = extent;
                out.rank += 1;
            }
        }
        out
    }

    /// The shape after a reduction over these axes.
    pub(crate) fn reduced(self, shape: Shape, keepdim: bool) -> Shape {
        if keepdim { self.kept(shape) } else { self.removed(shape) }
    }

    /// The axes of `from` along which a tensor of shape `to` was repeated, or which it lacks.
    ///
    /// # Panics
    /// If `to` does not broadcast to `from`.
    pub(crate) fn repeated(from: Shape, to: Shape) -> Self {
        assert!(to.expands_to(from), "a cotangent of shape {from:?} does not sum to {to:?}");
        let missing = from.rank() - to.rank();
        let repeats = |axis: &usize| *axis < missing || to[*axis - missing] != from[*axis];
        Self((0..from.rank()).filter(repeats).fold(0, |set, axis| set | 1 << axis))
    }

    /// Returns the number of elements of `shape` along these axes.
    pub fn count(self, shape: Shape) -> usize {
        (0..shape.rank()).filter(|&axis| self.contains(axis)).map(|axis| shape[axis]).product()
    }
}

/// One axis or several, counted from the front or (negative) from the end: `-1`, `[0, 2]`.
///
/// ```
/// use wengert_core::{ReduceOps, Tensor};
///
/// let x = Tensor::<f32>::ones([2, 3, 4]);
/// assert_eq!(x.sum_axes(-1, false).shape(), [2, 3].into());
/// assert_eq!(x.sum_axes([0, -1], true).shape(), [1, 3, 1].into());
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not name axes",
    note = "write one axis (`-1`) or an array of axes (`[0, -1]`), as `isize`"
)]
pub trait AxisList {
    /// Returns the axes as given.
    fn as_axes(&self) -> &[isize];
}

impl AxisList for isize {
    fn as_axes(&self) -> &[isize] {
        std::slice::from_ref(self)
    }
}

impl<const N: usize> AxisList for [isize; N] {
    fn as_axes(&self) -> &[isize] {
        self
    }
}

impl AxisList for &[isize] {
    fn as_axes(&self) -> &[isize] {
        self
    }
}

#[cfg(test)]
mod tests {
    use super::reshape::ReshapeTo;
    use super::*;

    #[test]
    fn broadcasting_follows_numpy() {
        let s = |e: &[usize]| Shape::new(e);
        assert_eq!(s(&[3, 1]).broadcast(s(&[4])), Ok(s(&[3, 4])));
        assert_eq!(s(&[]).broadcast(s(&[2, 0])), Ok(s(&[2, 0])));
        assert_eq!(s(&[1]).broadcast(s(&[0])), Ok(s(&[0])));
        let error = s(&[4]).broadcast(s(&[2, 3])).unwrap_err();
        assert_eq!(error.to_string(), "[4] and [2, 3] do not broadcast: axis -1 differs (4 and 3)");
        assert!(s(&[3, 1]).expands_to(s(&[2, 3, 5])));
        assert!(!s(&[2, 3, 5]).expands_to(s(&[3, 5])));
    }

    #[test]
    fn axes_count_from_both_ends() {
        let shape = Shape::new(&[2, 3, 4]);
        let axes = Axes::of(shape, [0, -1]).unwrap();
        assert_eq!(axes.kept(shape), Shape::new(&[1, 3, 1]));
        assert_eq!(axes.removed(shape), Shape::new(&[3]));
        assert_eq!(axes.count(shape), 8);
        assert!(Axes::of(shape, 3).is_err());
        assert!(Axes::of(shape, [1, -2]).is_err());
    }

    #[test]
    #[should_panic(expected = "at most 8")]
    fn a_ninth_axis_is_refused() {
        Shape::new(&[1; 9]);
    }

    #[test]
    fn no_shape_has_too_many_elements() {
        let large = Shape::new(&[MAX_NUMEL, 1]);
        assert_eq!((large.numel(), large.strides()[0]), (MAX_NUMEL, 1));
        // An empty axis counts as 1: the other extents are limited as if it were not there.
        assert_eq!(Shape::new(&[0, MAX_NUMEL]).numel(), 0);
        for extents in [
            &[MAX_NUMEL + 1][..],
            &[usize::MAX, 0],
            &[1 << 32, 1 << 32],
            &[0, 1 << 40, 1 << 40],
            &[0xAAAA_AAAA_AAAA_AAAB, 3],
        ] {
            let error = Shape::try_new(extents).unwrap_err().to_string();
            assert!(error.starts_with(&format!("{extents:?} is too large")), "{error}");
        }
        assert!(large.with(1, 2).is_err());
        assert!(large.followed_by(&[2]).is_err());
        assert!(large.broadcast([1, 2].into()).is_err());
        assert!([1isize << 40, 1 << 40, 0].resolve([0].into()).is_err());
        assert!(ReshapeTo::resolve([-1isize, 1 << 40], [0].into()).is_ok());
    }
}
