//! Operations that move or repeat elements and compute nothing.

use super::reduce::sum_to;
use crate::kernels::{broadcast1, zip1};
use crate::op::{Cotangent, Flow, ManyOp, Op, Value};
use crate::shape::{Axes, AxisList, expect_shape};
use crate::{Array, Float, Shape, ShapeError};

/// The same elements in row-major order under another shape. Shares the memory.
#[derive(Clone, Copy, Debug)]
pub struct Reshape {
    /// The new shape.
    pub to: Shape,
}

impl Op<1> for Reshape {
    fn shape(&self, [x]: [Shape; 1]) -> Result<Shape, ShapeError> {
        if x.numel() == self.to.numel() {
            return Ok(self.to);
        }
        let (to, from, wanted) = (self.to, x.numel(), self.to.numel());
        Err(ShapeError::new(format!("{x:?} to {to:?} ({from} elements against {wanted})")))
    }
    fn forward<F: Float>(&self, [x]: [&Array<F>; 1], out: Shape) -> Array<F> {
        x.with_shape(out)
    }
    fn pull<V: Value>(&self, _: usize, [x]: [&V; 1], _: &V, g: &V) -> V {
        V::apply(Reshape { to: x.shape() }, [g])
    }
}

/// The value repeated along axes of extent 1 and along new leading axes.
#[derive(Clone, Copy, Debug)]
pub struct Expand {
    /// The shape after repetition.
    pub to: Shape,
}

impl Op<1> for Expand {
    fn shape(&self, [x]: [Shape; 1]) -> Result<Shape, ShapeError> {
        if x.expands_to(self.to) {
            return Ok(self.to);
        }
        Err(ShapeError::new(format!("{x:?} does not repeat into {:?}", self.to)))
    }
    fn forward<F: Float>(&self, [x]: [&Array<F>; 1], out: Shape) -> Array<F> {
        if x.shape() == out {
            return x.clone();
        }
        let strides = x.shape().strides_in(&out);
        Array::written(out, |y| broadcast1(y, &out, x.as_slice(), &strides))
    }
    fn pull<V: Value>(&self, _: usize, [x]: [&V; 1], _: &V, g: &V) -> V {
        sum_to(g, x.shape())
    }
}

/// The axes in another order: axis `k` of the result is axis `order[k]` of the input.
#[derive(Clone, Copy, Debug)]
pub struct Permute {
    /// For each axis of the result, the axis of the input.
    pub order: Shape,
}

impl Op<1> for Permute {
    fn shape(&self, [x]: [Shape; 1]) -> Result<Shape, ShapeError> {
        let named = self.order.iter().fold(0u32, |set, &axis| set | 1 << axis.min(31));
        if self.order.rank() != x.rank() || named != (1 << x.rank()) - 1 {
            let order = self.order;
            return Err(ShapeError::new(format!("{order:?} is no order of the axes of {x:?}")));
        }
        Ok(self.pick(x))
    }
    fn forward<F: Float>(&self, [x]: [&Array<F>; 1], out: Shape) -> Array<F> {
        let strides = self.pick(x.shape().strides());
        Array::written(out, |y| broadcast1(y, &out, x.as_slice(), &strides))
    }
    fn pull<V: Value>(&self, _: usize, _: [&V; 1], _: &V, g: &V) -> V {
        let inverse = self
            .order
            .iter()
            .enumerate()
            .fold(self.order, |inverse, (k, &axis)| inverse.with(axis, k));
        V::apply(Permute { order: inverse }, [g])
    }
}

impl Permute {
    fn pick(&self, of: Shape) -> Shape {
        self.order.iter().enumerate().fold(of, |out, (k, &axis)| out.with(k, of[axis]))
    }
}

/// A stretch of one axis: positions `start..start + len`.
#[derive(Clone, Copy, Debug)]
pub struct Narrow {
    /// The axis.
    pub axis: usize,
    /// The first position kept.
    pub start: usize,
    /// How many positions are kept.
    pub len: usize,
}

impl Op<1> for Narrow {
    fn shape(&self, [x]: [Shape; 1]) -> Result<Shape, ShapeError> {
        let Self { axis, start, len } = *self;
        match x.get(axis) {
            Some(&n) if start + len <= n => Ok(x.with(axis, len)),
            _ => Err(ShapeError::new(format!("{start}..{} of axis {axis} in {x:?}", start + len))),
        }
    }
    fn forward<F: Float>(&self, [x]: [&Array<F>; 1], out: Shape) -> Array<F> {
        let (_, n, inner) = x.shape().around(self.axis..self.axis + 1);
        let (from, width) = (self.start * inner, self.len * inner);
        Array::written(out, |y| {
            let rows = x.as_slice().chunks_exact((n * inner).max(1));
            for (y, x) in y.chunks_exact_mut(width.max(1)).zip(rows) {
                y.copy_from_slice(&x[from..from + width]);
            }
        })
    }
    fn pull<V: Value>(&self, _: usize, [x]: [&V; 1], _: &V, g: &V) -> V {
        V::apply(Widen { axis: self.axis, start: self.start, extent: x.shape()[self.axis] }, [g])
    }
    // Only the stretch is touched, so that a value taken apart into many costs one pass, not many.
    fn pull_into<F: Float>(
        &self,
        _: usize,
        [x]: [&Array<F>; 1],
        _: &Array<F>,
        g: &Array<F>,
        into: Cotangent<'_, F>,
    ) {
        let (_, n, inner) = x.shape().around(self.axis..self.axis + 1);
        let (from, width) = (self.start * inner, self.len * inner);
        into.write(|sum, accumulate| {
            if !accumulate {
                sum.fill(F::ZERO);
            }
            let rows = sum.chunks_exact_mut((n * inner).max(1));
            for (sum, g) in rows.zip(g.as_slice().chunks_exact(width.max(1))) {
                zip1(&mut sum[from..from + width], g, |sum, g| *sum += g);
            }
        });
    }
}

/// The value placed into zeros along one axis, from position `start`: the transpose of [`Narrow`].
#[derive(Clone, Copy, Debug)]
pub struct Widen {
    /// The axis.
    pub axis: usize,
    /// Where the value begins.
    pub start: usize,
    /// The extent of the axis afterwards.
    pub extent: usize,
}

impl Op<1> for Widen {
    fn shape(&self, [x]: [Shape; 1]) -> Result<Shape, ShapeError> {
        let Self { axis, start, extent } = *self;
        match x.get(axis) {
            Some(&n) if start + n <= extent => Ok(x.with(axis, extent)),
            _ => Err(ShapeError::new(format!("{x:?} from {start} of axis {axis} into {extent}"))),
        }
    }
    fn forward<F: Float>(&self, [x]: [&Array<F>; 1], out: Shape) -> Array<F> {
        let (_, n, inner) = x.shape().around(self.axis..self.axis + 1);
        let (from, width) = (self.start * inner, n * inner);
        Array::written(out, |y| {
            y.fill(F::ZERO);
            let rows = y.chunks_exact_mut((self.extent * inner).max(1));
            for (y, x) in rows.zip(x.as_slice().chunks_exact(width.max(1))) {
                y[from..from + width].copy_from_slice(x);
            }
        })
    }
    fn pull<V: Value>(&self, _: usize, [x]: [&V; 1], _: &V, g: &V) -> V {
        V::apply(Narrow { axis: self.axis, start: self.start, len: x.shape()[self.axis] }, [g])
    }
}

/// The inputs one after the other along one axis; all other extents agree.
#[derive(Clone, Copy, Debug)]
pub struct Concat {
    /// The axis.
    pub axis: usize,
}

impl ManyOp for Concat {
    fn shape(&self, x: &[Shape]) -> Result<Shape, ShapeError> {
        let axis = self.axis;
        let mut out = x[0];
        if axis >= out.rank() {
            return Err(ShapeError::new(format!("axis {axis} does not exist in {out:?}")));
        }
        for other in &x[1..] {
            if other.rank() != out.rank() || other.with(axis, 0) != out.with(axis, 0) {
                let first = x[0];
                return Err(ShapeError::new(format!(
                    "{first:?} and {other:?} differ in more than axis {axis}"
                )));
            }
            out = out.with(axis, out[axis] + other[axis]);
        }
        Ok(out)
    }
    fn forward<F: Float>(&self, x: &[&Array<F>], out: Shape) -> Array<F> {
        let (outer, n, inner) = out.around(self.axis..self.axis + 1);
        Array::written(out, |y| {
            let mut at = 0;
            for x in x {
                let width = x.shape()[self.axis] * inner;
                for row in 0..outer {
                    y[row * n * inner + at..][..width]
                        .copy_from_slice(&x.as_slice()[row * width..][..width]);
                }
                at += width;
            }
        })
    }
    fn pull<V: Value>(&self, i: usize, x: &[&V], _: &V, g: &V) -> V {
        let extent = |x: &&V| x.shape()[self.axis];
        let start = x[..i].iter().map(extent).sum();
        V::apply(Narrow { axis: self.axis, start, len: extent(&x[i]) }, [g])
    }
}

/// The value itself, where derivatives stop.
#[derive(Clone, Copy, Debug)]
pub struct StopGradient;

impl Op<1> for StopGradient {
    fn shape(&self, [x]: [Shape; 1]) -> Result<Shape, ShapeError> {
        Ok(x)
    }
    fn forward<F: Float>(&self, [x]: [&Array<F>; 1], _: Shape) -> Array<F> {
        x.clone()
    }
    fn pull<V: Value>(&self, _: usize, _: [&V; 1], _: &V, g: &V) -> V {
        g.clone()
    }
    fn flow(&self) -> Flow {
        Flow::Stopped
    }
}

/// Rearrangements, alike for arrays and for variables. Axes may be counted from the end: `-1` is the
/// last. A shape mistake panics at the caller's line.
pub trait Rearrangements: Value {
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
}

impl<V: Value> Rearrangements for V {}

/// `extents` with what is left of the elements of `x` in the place of -1.
fn infer(x: Shape, extents: &[isize]) -> Result<Shape, ShapeError> {
    let mut to = Shape::SCALAR.followed_by(&vec![0; extents.len()])?;
    let (mut open, mut known) = (None, 1);
    for (axis, &extent) in extents.iter().enumerate() {
        match usize::try_from(extent) {
            Ok(extent) => (to, known) = (to.with(axis, extent), known * extent),
            Err(_) if extent == -1 && open.is_none() => open = Some(axis),
            Err(_) => {
                return Err(ShapeError::new(format!("{x:?} to {extents:?} (one -1 is possible)")));
            }
        }
    }
    match open {
        None => Ok(to),
        Some(axis) if known != 0 && x.numel().is_multiple_of(known) => {
            Ok(to.with(axis, x.numel() / known))
        }
        Some(_) => Err(ShapeError::new(format!(
            "{x:?} to {extents:?} ({} elements against a multiple of {known})",
            x.numel()
        ))),
    }
}
