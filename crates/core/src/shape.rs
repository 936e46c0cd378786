//! Shapes: extents of the axes, broadcasting, and what is wrong when they disagree.

use std::fmt;
use std::ops::Deref;

use crate::ShapeError;

/// The largest number of axes that an array may have.
pub const MAX_RANK: usize = 8;

/// The extents of an array's axes, outermost first. `Copy`, at most [`MAX_RANK`] axes.
///
/// Dereferences to `[usize]`. The shape of a scalar is `[]`.
#[derive(Clone, Copy)]
pub struct Shape {
    extents: [usize; MAX_RANK],
    rank: u8,
}

impl Shape {
    /// The shape of a single number.
    pub const SCALAR: Self = Self { extents: [0; MAX_RANK], rank: 0 };

    /// A shape with these extents.
    ///
    /// # Panics
    /// At a ninth axis.
    #[track_caller]
    pub fn new(extents: &[usize]) -> Self {
        if extents.len() > MAX_RANK {
            panic!(
                "shape: {extents:?} has {} axes, at most {MAX_RANK} are supported",
                extents.len()
            );
        }
        let mut shape = Self { rank: extents.len() as u8, ..Self::SCALAR };
        shape.extents[..extents.len()].copy_from_slice(extents);
        shape
    }

    /// Number of axes.
    pub fn rank(&self) -> usize {
        self.rank as usize
    }

    /// Number of elements: the product of the extents, 1 for a scalar.
    pub fn numel(&self) -> usize {
        self.iter().product()
    }

    /// Elements between neighbours along each axis of a dense row-major array of this shape.
    pub fn strides(&self) -> Self {
        let mut strides = *self;
        let mut step = 1;
        for axis in (0..self.rank()).rev() {
            strides.extents[axis] = step;
            step *= self[axis];
        }
        strides
    }

    /// The position of element `flat`, counted in row-major order.
    pub fn position(&self, flat: usize) -> Vec<usize> {
        let strides = self.strides();
        self.iter().zip(&*strides).map(|(extent, stride)| flat / stride % extent).collect()
    }

    /// This shape with the extent of one axis replaced.
    pub fn with(mut self, axis: usize, extent: usize) -> Self {
        self.extents[..self.rank as usize][axis] = extent;
        self
    }

    /// This shape with more axes at the end.
    pub fn followed_by(mut self, extents: &[usize]) -> Result<Self, ShapeError> {
        let rank = self.rank() + extents.len();
        if rank > MAX_RANK {
            return Err(ShapeError::new(format!("{rank} axes, at most {MAX_RANK} are supported")));
        }
        self.extents[self.rank as usize..rank].copy_from_slice(extents);
        self.rank = rank as u8;
        Ok(self)
    }

    /// The position of an axis that may be counted from the end (`-1` is the last).
    pub fn axis(&self, axis: isize) -> Result<usize, ShapeError> {
        let rank = self.rank() as isize;
        if (-rank..rank).contains(&axis) {
            Ok(axis.rem_euclid(rank) as usize)
        } else {
            Err(ShapeError::new(format!("axis {axis} does not exist in {self:?}")))
        }
    }

    /// The shape to which both broadcast, as in NumPy: axes are aligned at the last, and an extent
    /// of 1 or a missing axis repeats.
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
                let (from_end, rank) = (axis as isize - shorter.rank() as isize, self.rank());
                let left = self[(rank as isize + from_end) as usize];
                let right = other[(other.rank() as isize + from_end) as usize];
                return Err(ShapeError::new(format!(
                    "{self:?} and {other:?} do not broadcast ({left} against {right} in axis {from_end})"
                )));
            }
        }
        Ok(out)
    }

    /// Whether an array of this shape can be repeated into one of shape `target`.
    pub fn expands_to(self, target: Self) -> bool {
        self.rank <= target.rank && self.broadcast(target) == Ok(target)
    }

    /// Strides that read a dense array of this shape as if it had shape `target`: 0 where it repeats.
    pub(crate) fn strides_in(&self, target: &Self) -> Self {
        let missing = target.rank() - self.rank();
        let own = self.strides();
        let mut strides = Self { extents: [0; MAX_RANK], rank: target.rank };
        for axis in 0..self.rank() {
            if self[axis] != 1 {
                strides.extents[missing + axis] = own[axis];
            }
        }
        strides
    }

    /// The three extents around a run of axes: before, within and after `axes`.
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
        **self == **other
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

/// A set of axes of one shape.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Axes(u8);

impl Axes {
    /// Every axis of `shape`.
    pub fn all(shape: Shape) -> Self {
        Self(((1u16 << shape.rank()) - 1) as u8)
    }

    /// One axis, counted from the front.
    pub(crate) fn one(axis: usize) -> Self {
        Self(1 << axis)
    }

    /// The axes named, each possibly counted from the end.
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

    /// Whether `axis` is in the set.
    pub fn contains(self, axis: usize) -> bool {
        self.0 >> axis & 1 == 1
    }

    /// `shape` with an extent of 1 in these axes.
    pub fn kept(self, mut shape: Shape) -> Shape {
        for axis in 0..shape.rank() {
            if self.contains(axis) {
                shape = shape.with(axis, 1);
            }
        }
        shape
    }

    /// `shape` without these axes.
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

    /// The axes of `from` along which a value of shape `to` was repeated, or which it lacks.
    ///
    /// # Panics
    /// If it does not repeat into `from`.
    pub(crate) fn repeated(from: Shape, to: Shape) -> Self {
        assert!(to.expands_to(from), "a cotangent of shape {from:?} does not sum to {to:?}");
        let missing = from.rank() - to.rank();
        let repeats = |axis: &usize| *axis < missing || to[*axis - missing] != from[*axis];
        Self((0..from.rank()).filter(repeats).fold(0, |set, axis| set | 1 << axis))
    }

    /// Number of elements of `shape` along these axes.
    pub fn count(self, shape: Shape) -> usize {
        (0..shape.rank()).filter(|&axis| self.contains(axis)).map(|axis| shape[axis]).product()
    }
}

/// One axis or several, counted from the front or (negative) from the end: `-1`, `[0, 2]`.
pub trait AxisList {
    /// The axes as given.
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

/// The panic of a shape mistake, at the caller's line.
#[cold]
#[track_caller]
pub(crate) fn shape_panic(error: ShapeError) -> ! {
    error.raise()
}

/// The value, or the panic of a shape mistake in `operation` at the caller's line.
#[track_caller]
#[inline]
pub(crate) fn expect_shape<T>(operation: &str, result: Result<T, ShapeError>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => shape_panic(error.in_operation(operation)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broadcasting_follows_numpy() {
        let s = |e: &[usize]| Shape::new(e);
        assert_eq!(s(&[3, 1]).broadcast(s(&[4])), Ok(s(&[3, 4])));
        assert_eq!(s(&[]).broadcast(s(&[2, 0])), Ok(s(&[2, 0])));
        assert_eq!(s(&[1]).broadcast(s(&[0])), Ok(s(&[0])));
        let error = s(&[4]).broadcast(s(&[2, 3])).unwrap_err();
        assert_eq!(error.to_string(), "[4] and [2, 3] do not broadcast (4 against 3 in axis -1)");
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
}
