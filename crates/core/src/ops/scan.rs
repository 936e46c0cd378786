//! Cumulative sums and products, and the product of elements.

use super::broadcast::Reshape;
use super::elementwise::Elementwise;
use super::slice::{Narrow, PadZeros};
use crate::kernels;
use crate::op::{Op, Value};
use crate::shape::Axes;
use crate::{Float, Shape, ShapeError, Tensor};

/// The sum of each element and all before it along one axis, or all after it.
#[derive(Clone, Copy, Debug)]
pub struct Cumsum {
    /// The axis.
    pub axis: usize,
    /// Whether the sums run from the end.
    pub reverse: bool,
}

impl Op<1> for Cumsum {
    crate::entry_points!(Op<1>);

    fn shape(&self, [x]: [Shape; 1]) -> Result<Shape, ShapeError> {
        x.axis(self.axis as isize).map(|_| x)
    }
    fn forward<F: Float>(&self, [x]: [&Tensor<F>; 1], out: Shape) -> Tensor<F> {
        let (_, n, inner) = out.around(self.axis..self.axis + 1);
        Tensor::written(out, |y| kernels::cumsum(x.as_slice(), n, inner, self.reverse, y))
    }
    fn vjp<V: Value>(&self, _: usize, _: [&V; 1], _: &V, g: &V) -> V {
        V::apply(Cumsum { reverse: !self.reverse, ..*self }, [g])
    }
}

/// The linear recurrence `y[i] = a[i] y[i - 1] + b[i]` along one axis, from `y[0] = b[0]`; `a[0]` is not read.
/// Its transpose in `b` runs from the end: `y[i] = a[i + 1] y[i + 1] + b[i]`.
///
/// Cumulative products are such a recurrence, and so are their derivatives of any order: nothing is divided,
/// and zeros need no special case.
#[derive(Clone, Copy, Debug)]
pub struct Recurrence {
    /// The axis.
    pub axis: usize,
    /// Whether this is the transpose.
    pub transposed: bool,
}

impl Op<2> for Recurrence {
    crate::entry_points!(Op<2>);

    fn shape(&self, [a, b]: [Shape; 2]) -> Result<Shape, ShapeError> {
        if a != b {
            return Err(ShapeError::new(format!("{a:?} and {b:?} must be equal")));
        }
        b.axis(self.axis as isize).map(|_| b)
    }
    fn forward<F: Float>(&self, [a, b]: [&Tensor<F>; 2], out: Shape) -> Tensor<F> {
        let (_, n, inner) = out.around(self.axis..self.axis + 1);
        let (a, b) = (a.as_slice(), b.as_slice());
        Tensor::written(out, |y| kernels::recurrence(a, b, n, inner, self.transposed, y))
    }
    fn vjp<V: Value>(&self, i: usize, [a, _]: [&V; 2], y: &V, g: &V) -> V {
        let Self { axis, transposed } = *self;
        // The effect of each element on the loss, direct and through the elements that follow from it.
        let effect = V::apply(Recurrence { axis, transposed: !transposed }, [a, g]);
        let n = y.shape()[axis];
        if i == 1 || n == 0 {
            return effect;
        }
        let cut = |x: &V, start: usize| V::apply(Narrow { axis, start, len: n - 1 }, [x]);
        let start = usize::from(!transposed);
        let towards_a = cut(&effect, start).mul_no_nan(&cut(y, 1 - start));
        V::apply(PadZeros { axis, start: 1, extent: n }, [&towards_a])
    }
}

/// The cumulative product along one axis: the recurrence that starts from the first element.
#[track_caller]
pub(super) fn cumprod<V: Value>(x: &V, axis: usize) -> V {
    let n = x.shape()[axis];
    let first = V::apply(Narrow { axis, start: 0, len: n.min(1) }, [x]);
    let first = V::apply(PadZeros { axis, start: 0, extent: n }, [&first]);
    V::apply(Recurrence { axis, transposed: false }, [x, &first])
}

/// The product along one axis, which stays with extent 1; of nothing it is 1.
#[derive(Clone, Copy, Debug)]
pub struct Prod {
    /// The axis.
    pub axis: usize,
}

impl Op<1> for Prod {
    crate::entry_points!(Op<1>);

    fn shape(&self, [x]: [Shape; 1]) -> Result<Shape, ShapeError> {
        x.axis(self.axis as isize)?;
        x.with(self.axis, 1)
    }
    fn forward<F: Float>(&self, [x]: [&Tensor<F>; 1], out: Shape) -> Tensor<F> {
        let (_, n, inner) = x.shape().around(self.axis..self.axis + 1);
        Tensor::written(out, |y| kernels::product(x.as_slice(), n, inner, y))
    }
    fn vjp<V: Value>(&self, _: usize, [x]: [&V; 1], _: &V, g: &V) -> V {
        g.mul_no_nan(&product_of_others(x, self.axis))
    }
}

/// For each element, the product of all others along one axis: of those before it and those after it. Nothing is divided,
/// and zeros need no special case.
#[track_caller]
fn product_of_others<V: Value>(x: &V, axis: usize) -> V {
    let (shape, n) = (x.shape(), x.shape()[axis]);
    if n == 0 {
        return x.clone();
    }
    let one_at = |start| {
        let one = x.constant_like(Axes::one(axis).kept(shape), 1.0);
        V::apply(PadZeros { axis, start, extent: n }, [&one])
    };
    let shifted = V::apply(Narrow { axis, start: 0, len: n - 1 }, [x]);
    let shifted = V::apply(PadZeros { axis, start: 1, extent: n }, [&shifted]);
    let before = V::apply(Recurrence { axis, transposed: false }, [&shifted, &one_at(0)]);
    let after = V::apply(Recurrence { axis, transposed: true }, [x, &one_at(n - 1)]);
    before * after
}

/// The product over some axes, one after the other.
#[track_caller]
pub(super) fn prod<V: Value>(x: &V, axes: Axes, keepdim: bool) -> V {
    let shape = x.shape();
    let mut product = x.clone();
    for axis in (0..shape.rank()).rev().filter(|&axis| axes.contains(axis)) {
        product = V::apply(Prod { axis }, [&product]);
    }
    V::apply(Reshape { to: axes.reduced(shape, keepdim) }, [&product])
}
