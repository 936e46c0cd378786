//! Permutation and concatenation, triangles of matrices, and the end of differentiation.

use smallvec::SmallVec;

use super::slice::Narrow;
use crate::kernels::broadcast1;
use crate::op::{Flow, ManyOp, Op, Value};
use crate::{Float, MAX_RANK, Shape, ShapeError, Tensor};

/// The axes in another order: axis `k` of the result is axis `order[k]` of the input.
#[derive(Clone, Copy, Debug)]
pub struct Permute {
    /// The axis of the input for each axis of the result.
    pub order: Shape,
}

impl Op<1> for Permute {
    crate::entry_points!(Op<1>);

    fn shape(&self, [x]: [Shape; 1]) -> Result<Shape, ShapeError> {
        let named = self.order.iter().fold(0u32, |set, &axis| set | 1 << axis.min(31));
        if self.order.rank() != x.rank() || named != (1 << x.rank()) - 1 {
            let order = self.order;
            return Err(ShapeError::new(format!(
                "{order:?} does not name each axis of {x:?} once"
            )));
        }
        Shape::try_new(&self.reorder(&x))
    }
    fn forward<F: Float>(&self, [x]: [&Tensor<F>; 1], out: Shape) -> Tensor<F> {
        let strides = self.reorder(&x.shape().strides());
        Tensor::written(out, |y| broadcast1(y, &out, x.as_slice(), &strides))
    }
    fn vjp<V: Value>(&self, _: usize, _: [&V; 1], _: &V, g: &V) -> V {
        let mut inverse = [0; MAX_RANK];
        self.order.iter().enumerate().for_each(|(k, &axis)| inverse[axis] = k);
        V::apply(Permute { order: Shape::new(&inverse[..self.order.rank()]) }, [g])
    }
}

impl Permute {
    /// The extents or strides `of` an input in the order of the result.
    fn reorder(&self, of: &[usize]) -> SmallVec<[usize; MAX_RANK]> {
        self.order.iter().map(|&axis| of[axis]).collect()
    }
}

/// The inputs one after the other along one axis; all other extents agree.
#[derive(Clone, Debug)]
pub struct Concat {
    /// The axis.
    pub axis: usize,
    /// The place of each input in the result, so that the derivatives of all together take linear time.
    starts: SmallVec<[usize; 4]>,
}

impl Concat {
    /// Returns the operation for inputs of these shapes.
    pub fn new(axis: usize, x: &[Shape]) -> Self {
        let mut end = 0;
        let start = |x: &Shape| {
            let start = end;
            end += x.get(axis).copied().unwrap_or_default();
            start
        };
        Self { axis, starts: x.iter().map(start).collect() }
    }
}

impl ManyOp for Concat {
    crate::entry_points!(ManyOp);

    fn shape(&self, x: &[Shape]) -> Result<Shape, ShapeError> {
        let axis = self.axis;
        let mut out = x[0];
        if axis >= out.rank() {
            return Err(ShapeError::new(format!("axis {axis} does not exist in {out:?}")));
        }
        for other in &x[1..] {
            if other.rank() != out.rank() || other.with(axis, 0)? != out.with(axis, 0)? {
                let first = x[0];
                return Err(ShapeError::new(format!(
                    "{first:?} and {other:?} differ in more than axis {axis}"
                )));
            }
            out = out.with(axis, out[axis] + other[axis])?;
        }
        Ok(out)
    }
    fn forward<F: Float>(&self, x: &[&Tensor<F>], out: Shape) -> Tensor<F> {
        let (outer, n, inner) = out.around(self.axis..self.axis + 1);
        Tensor::written(out, |y| {
            let mut at = 0;
            // Nothing is copied into an empty result, however many rows it has.
            let outer = if y.is_empty() { 0 } else { outer };
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
        let len = x[i].shape()[self.axis];
        V::apply(Narrow { axis: self.axis, start: self.starts[i], len }, [g])
    }
}

/// The matrices of the last two axes with zeros on one side of a diagonal. Linear, and its own transpose.
#[derive(Clone, Copy, Debug)]
pub struct Triangle {
    /// Whether the diagonal and the part above it are kept, or the diagonal and the part below.
    pub upper: bool,
    /// The diagonal: 0 is the main diagonal, 1 the next above it, -1 the next below.
    pub diagonal: isize,
}

impl Op<1> for Triangle {
    crate::entry_points!(Op<1>);

    fn shape(&self, [x]: [Shape; 1]) -> Result<Shape, ShapeError> {
        if x.rank() < 2 { Err(ShapeError::new(format!("{x:?} is not a matrix"))) } else { Ok(x) }
    }
    fn forward<F: Float>(&self, [x]: [&Tensor<F>; 1], out: Shape) -> Tensor<F> {
        let (rows, columns) = (out[out.rank() - 2], out[out.rank() - 1]);
        Tensor::written(out, |y| {
            y.copy_from_slice(x.as_slice());
            for (i, row) in y.chunks_exact_mut(columns.max(1)).enumerate() {
                let first = self.diagonal.saturating_add(isize::from(!self.upper));
                let border = first.saturating_add((i % rows) as isize);
                let border = border.clamp(0, columns as isize) as usize;
                let zeros = if self.upper { &mut row[..border] } else { &mut row[border..] };
                zeros.fill(F::ZERO);
            }
        })
    }
    fn vjp<V: Value>(&self, _: usize, _: [&V; 1], _: &V, g: &V) -> V {
        V::apply(*self, [g])
    }
}

/// The value itself; derivatives stop here.
#[derive(Clone, Copy, Debug)]
pub struct StopGradient;

impl Op<1> for StopGradient {
    crate::entry_points!(Op<1>);

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
