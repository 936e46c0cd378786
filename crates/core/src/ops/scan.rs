//! Running sums and products.

use super::elementwise::UnaryOps;
use super::rearrange::{Narrow, PadZeros};
use crate::kernels;
use crate::op::{Op, Value};
use crate::{Float, Shape, ShapeError, Tensor};

/// The sum of each element and all before it along one axis, or all after it.
#[derive(Clone, Copy, Debug)]
pub struct Cumsum {
    /// The axis.
    pub axis: usize,
    /// Whether sums run from the end.
    pub reverse: bool,
}

impl Op<1> for Cumsum {
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

/// The linear recurrence `y[i] = a[i] y[i - 1] + b[i]` along one axis, from `y[0] = b[0]`; `a[0]` does
/// not count. Transposed in `b` it runs from the end: `y[i] = a[i + 1] y[i + 1] + b[i]`.
///
/// Running products are one, and so are their derivatives of any order: nothing is divided, and zeros
/// need no special case.
#[derive(Clone, Copy, Debug)]
pub struct Recurrence {
    /// The axis.
    pub axis: usize,
    /// Whether this is the transpose.
    pub transposed: bool,
}

impl Op<2> for Recurrence {
    fn shape(&self, [a, b]: [Shape; 2]) -> Result<Shape, ShapeError> {
        if a != b {
            return Err(ShapeError::new(format!("{a:?} and {b:?} (the shapes must agree)")));
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
        // What each element does to the loss, by itself and by those that follow from it.
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
