//! Methods that move elements without changing them: shapes, axes, slices, padding, diagonals.

use std::ops::RangeBounds;

use super::diagonal::Triangle;
use super::pad::{enclosed, led};
use super::rearrange::{Concat, Expand, Narrow, PadZeros, Permute, Reshape, StopGradient, infer};
use super::slice::{StridedPlace, StridedSlice, resolve};
use crate::op::{Op, Value};
use crate::shape::expect_shape;
use crate::{Axes, AxisList, Shape};

/// Movement of elements, for tensors and variables. Axes may be counted from the end: `-1` is the
/// last. A shape mistake panics at the caller's line.
pub trait MovementOps: Value {
    /// The same elements in row-major order under another shape.
    #[track_caller]
    fn reshape(&self, shape: impl Into<Shape>) -> Self {
        Self::apply(Reshape { to: shape.into() }, [self])
    }

    /// The value itself, as a constant: derivatives stop here.
    #[track_caller]
    fn stop_gradient(&self) -> Self {
        Self::apply(StopGradient, [self])
    }

    /// The same elements under another shape, of which one extent may be `-1`: it is what is left for it.
    ///
    /// # Panics
    /// If the elements do not fill such a shape, or leave the extent open.
    #[track_caller]
    fn reshape_infer<const N: usize>(&self, extents: [isize; N]) -> Self {
        let to = expect_shape("reshape_infer", infer(self.shape(), &extents));
        Self::apply(Reshape { to }, [self])
    }

    /// All elements in row-major order, of shape `[numel]`.
    #[track_caller]
    fn flatten(&self) -> Self {
        self.reshape([self.shape().numel()])
    }

    /// The axes from `first` to `last`, both included, made one.
    ///
    /// # Panics
    /// If an axis does not exist, or the last comes before the first.
    #[track_caller]
    fn flatten_axes(&self, first: isize, last: isize) -> Self {
        let shape = self.shape();
        let first = expect_shape("flatten_axes", shape.axis(first));
        let last = expect_shape("flatten_axes", shape.axis(last));
        if last < first {
            panic!("flatten_axes: axis {last} of {shape:?} comes before axis {first}");
        }
        let merged = shape[first..=last].iter().product();
        self.reshape([&shape[..first], &[merged], &shape[last + 1..]].concat().as_slice())
    }

    /// Without these axes, whose extents are 1.
    ///
    /// # Panics
    /// If an axis does not exist, or has another extent.
    #[track_caller]
    fn squeeze(&self, axes: impl AxisList) -> Self {
        let shape = self.shape();
        let axes = expect_shape("squeeze", Axes::of(shape, axes));
        let to = axes.removed(shape);
        if axes.kept(shape) != shape {
            panic!("squeeze: {shape:?} to {to:?} (the extents are not 1)");
        }
        Self::apply(Reshape { to }, [self])
    }

    /// With a new axis of extent 1, which has the number `axis` afterwards.
    ///
    /// # Panics
    /// If the axis would not exist, or be a ninth one.
    #[track_caller]
    fn unsqueeze(&self, axis: isize) -> Self {
        let shape = self.shape();
        let longer = expect_shape("unsqueeze", shape.followed_by(&[1]));
        let axis = expect_shape("unsqueeze", longer.axis(axis));
        let to = (axis..shape.rank()).fold(longer, |to, i| to.with(i + 1, shape[i])).with(axis, 1);
        Self::apply(Reshape { to }, [self])
    }

    /// The value repeated along axes of extent 1, and along new leading axes, into `shape`.
    #[track_caller]
    fn expand(&self, shape: impl Into<Shape>) -> Self {
        Self::apply(Expand { to: shape.into() }, [self])
    }

    /// The axes in another order: axis `k` of the result is axis `order[k]` of this.
    #[track_caller]
    fn permute<const N: usize>(&self, order: [isize; N]) -> Self {
        // A loop, because a closure would hide the caller's line.
        let mut axes = [0; N];
        for (axis, named) in axes.iter_mut().zip(order) {
            *axis = expect_shape("permute", self.shape().axis(named));
        }
        Self::apply(Permute { order: Shape::from(axes) }, [self])
    }

    /// Two axes exchanged.
    #[track_caller]
    fn transpose(&self, a: isize, b: isize) -> Self {
        let shape = self.shape();
        let (a, b) =
            (expect_shape("transpose", shape.axis(a)), expect_shape("transpose", shape.axis(b)));
        let identity = (0..shape.rank()).fold(shape, |order, axis| order.with(axis, axis));
        Self::apply(Permute { order: identity.with(a, b).with(b, a) }, [self])
    }

    /// Positions `start..start + len` of one axis.
    #[track_caller]
    fn narrow(&self, axis: isize, start: usize, len: usize) -> Self {
        let axis = expect_shape("narrow", self.shape().axis(axis));
        Self::apply(Narrow { axis, start, len }, [self])
    }

    /// The parts one after the other along one axis.
    ///
    /// # Panics
    /// If there are no parts, or if they differ in another extent.
    #[track_caller]
    fn concat(parts: &[Self], axis: isize) -> Self {
        let Some(first) = parts.first() else { panic!("concat: there are no parts") };
        let axis = expect_shape("concat", first.shape().axis(axis));
        let parts = parts.iter().collect::<smallvec::SmallVec<[&Self; 8]>>();
        Self::apply_many(Concat { axis }, &parts)
    }

    /// The parts, all of one shape, along a new axis, which has the number `axis` afterwards.
    ///
    /// # Panics
    /// If there are no parts, their shapes differ, or the axis would not exist.
    #[track_caller]
    fn stack(parts: &[Self], axis: isize) -> Self {
        let Some(first) = parts.first() else { panic!("stack: there are no parts") };
        let mut longer = Vec::with_capacity(parts.len());
        for part in parts {
            let (first, other) = (first.shape(), part.shape());
            if first != other {
                panic!("stack: {first:?} and {other:?} (the shapes must agree)");
            }
            longer.push(part.unsqueeze(axis));
        }
        Self::concat(&longer, axis)
    }

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
    /// [`MovementOps::flip`] for the other direction.
    ///
    /// # Panics
    /// As [`MovementOps::slice`], and if `step` is 0.
    #[track_caller]
    fn slice_step(&self, axis: isize, range: impl RangeBounds<isize>, step: usize) -> Self {
        let shape = self.shape();
        let axis = expect_shape("slice_step", shape.axis(axis));
        let (start, end) = expect_shape("slice_step", resolve(shape, axis, &range));
        if step == 0 {
            panic!("slice_step: a step of 0 along axis {axis} of {shape:?}");
        }
        let len = (end - start).div_ceil(step);
        Self::apply(StridedSlice { axis, start, step: step as isize, len }, [self])
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
            flipped = Self::apply(StridedSlice { axis, start: len - 1, step: -1, len }, [&flipped]);
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
            return Self::apply(PadZeros { axis, start: before, extent }, [self]);
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

    /// The matrices of the last two axes with zeros above a diagonal.
    ///
    /// # Panics
    /// If there are fewer than two axes.
    #[track_caller]
    fn tril(&self, diagonal: isize) -> Self {
        expect_shape("tril", Triangle { upper: false, diagonal }.shape([self.shape()]));
        Self::apply(Triangle { upper: false, diagonal }, [self])
    }

    /// The matrices of the last two axes with zeros below a diagonal.
    ///
    /// # Panics
    /// If there are fewer than two axes.
    #[track_caller]
    fn triu(&self, diagonal: isize) -> Self {
        expect_shape("triu", Triangle { upper: true, diagonal }.shape([self.shape()]));
        Self::apply(Triangle { upper: true, diagonal }, [self])
    }

    /// A diagonal of a matrix, from `[m, n]` to a vector; or the square matrix of zeros that has this
    /// vector on its diagonal, from `[n]` to `[n + |diagonal|, n + |diagonal|]`.
    ///
    /// # Panics
    /// If this is neither a vector nor a matrix.
    #[track_caller]
    fn diag(&self, diagonal: isize) -> Self {
        let shape = self.shape();
        let offset = diagonal.unsigned_abs();
        // In row-major order, neighbours on a diagonal are one row and one column apart.
        let start = |columns: usize| if diagonal < 0 { offset * columns } else { offset };
        match *shape {
            [n] => {
                let side = n + offset;
                let (start, step) = (start(side), side as isize + 1);
                let flat = StridedPlace { axis: 0, start, step, extent: side * side };
                Self::apply(Reshape { to: [side, side].into() }, [&Self::apply(flat, [self])])
            }
            [rows, columns] => {
                let (long, short) = if diagonal < 0 { (rows, columns) } else { (columns, rows) };
                let len = long.saturating_sub(offset).min(short);
                let flat = Self::apply(Reshape { to: [rows * columns].into() }, [self]);
                let (start, step) = (start(columns), columns as isize + 1);
                Self::apply(StridedSlice { axis: 0, start, step, len }, [&flat])
            }
            _ => panic!("diag: {shape:?} is neither a vector nor a matrix"),
        }
    }
}

impl<V: Value> MovementOps for V {}
