//! Operations that move or repeat elements and compute nothing.

use super::reduce::sum_to;
use crate::kernels::{broadcast1, zip1};
use crate::op::{Cotangent, Flow, ManyOp, Op, Value};
use crate::{Float, Shape, ShapeError, Tensor};

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
    fn forward<F: Float>(&self, [x]: [&Tensor<F>; 1], out: Shape) -> Tensor<F> {
        x.with_shape(out)
    }
    fn vjp<V: Value>(&self, _: usize, [x]: [&V; 1], _: &V, g: &V) -> V {
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
    fn forward<F: Float>(&self, [x]: [&Tensor<F>; 1], out: Shape) -> Tensor<F> {
        if x.shape() == out {
            return x.clone();
        }
        let strides = x.shape().strides_in(&out);
        Tensor::written(out, |y| broadcast1(y, &out, x.as_slice(), &strides))
    }
    fn vjp<V: Value>(&self, _: usize, [x]: [&V; 1], _: &V, g: &V) -> V {
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
    fn forward<F: Float>(&self, [x]: [&Tensor<F>; 1], out: Shape) -> Tensor<F> {
        let strides = self.pick(x.shape().strides());
        Tensor::written(out, |y| broadcast1(y, &out, x.as_slice(), &strides))
    }
    fn vjp<V: Value>(&self, _: usize, _: [&V; 1], _: &V, g: &V) -> V {
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
    fn forward<F: Float>(&self, [x]: [&Tensor<F>; 1], out: Shape) -> Tensor<F> {
        let (_, n, inner) = x.shape().around(self.axis..self.axis + 1);
        let (from, width) = (self.start * inner, self.len * inner);
        Tensor::written(out, |y| {
            let rows = x.as_slice().chunks_exact((n * inner).max(1));
            for (y, x) in y.chunks_exact_mut(width.max(1)).zip(rows) {
                y.copy_from_slice(&x[from..from + width]);
            }
        })
    }
    fn vjp<V: Value>(&self, _: usize, [x]: [&V; 1], _: &V, g: &V) -> V {
        V::apply(PadZeros { axis: self.axis, start: self.start, extent: x.shape()[self.axis] }, [g])
    }
    // Only the stretch is touched, so that a value taken apart into many costs one pass, not many.
    fn vjp_into<F: Float>(
        &self,
        _: usize,
        [x]: [&Tensor<F>; 1],
        _: &Tensor<F>,
        g: &Tensor<F>,
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
pub struct PadZeros {
    /// The axis.
    pub axis: usize,
    /// Where the value begins.
    pub start: usize,
    /// The extent of the axis afterwards.
    pub extent: usize,
}

impl Op<1> for PadZeros {
    fn shape(&self, [x]: [Shape; 1]) -> Result<Shape, ShapeError> {
        let Self { axis, start, extent } = *self;
        match x.get(axis) {
            Some(&n) if start + n <= extent => Ok(x.with(axis, extent)),
            _ => Err(ShapeError::new(format!("{x:?} from {start} of axis {axis} into {extent}"))),
        }
    }
    fn forward<F: Float>(&self, [x]: [&Tensor<F>; 1], out: Shape) -> Tensor<F> {
        let (_, n, inner) = x.shape().around(self.axis..self.axis + 1);
        let (from, width) = (self.start * inner, n * inner);
        Tensor::written(out, |y| {
            y.fill(F::ZERO);
            let rows = y.chunks_exact_mut((self.extent * inner).max(1));
            for (y, x) in rows.zip(x.as_slice().chunks_exact(width.max(1))) {
                y[from..from + width].copy_from_slice(x);
            }
        })
    }
    fn vjp<V: Value>(&self, _: usize, [x]: [&V; 1], _: &V, g: &V) -> V {
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
    fn forward<F: Float>(&self, x: &[&Tensor<F>], out: Shape) -> Tensor<F> {
        let (outer, n, inner) = out.around(self.axis..self.axis + 1);
        Tensor::written(out, |y| {
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
    fn vjp<V: Value>(&self, i: usize, x: &[&V], _: &V, g: &V) -> V {
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
    fn forward<F: Float>(&self, [x]: [&Tensor<F>; 1], _: Shape) -> Tensor<F> {
        x.clone()
    }
    fn vjp<V: Value>(&self, _: usize, _: [&V; 1], _: &V, g: &V) -> V {
        g.clone()
    }
    fn flow(&self) -> Flow {
        Flow::Stopped
    }
}

/// `extents` with what is left of the elements of `x` in the place of -1.
pub(super) fn infer(x: Shape, extents: &[isize]) -> Result<Shape, ShapeError> {
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
