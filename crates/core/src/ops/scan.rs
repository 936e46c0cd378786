//! Running sums and products.

use super::elementwise::Elementary;
use super::rearrange::{Narrow, Widen};
use crate::kernels;
use crate::op::{Op, Value};
use crate::shape::expect_shape;
use crate::{Array, Float, Shape, ShapeError};

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
    fn forward<F: Float>(&self, [x]: [&Array<F>; 1], out: Shape) -> Array<F> {
        let (_, n, inner) = out.around(self.axis..self.axis + 1);
        Array::written(out, |y| kernels::cumsum(x.as_slice(), n, inner, self.reverse, y))
    }
    fn pull<V: Value>(&self, _: usize, _: [&V; 1], _: &V, g: &V) -> V {
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
    fn forward<F: Float>(&self, [a, b]: [&Array<F>; 2], out: Shape) -> Array<F> {
        let (_, n, inner) = out.around(self.axis..self.axis + 1);
        let (a, b) = (a.as_slice(), b.as_slice());
        Array::written(out, |y| kernels::recurrence(a, b, n, inner, self.transposed, y))
    }
    fn pull<V: Value>(&self, i: usize, [a, _]: [&V; 2], y: &V, g: &V) -> V {
        let Self { axis, transposed } = *self;
        // What each element does to the loss, by itself and by those that follow from it.
        let effect = V::apply(Recurrence { axis, transposed: !transposed }, [a, g]);
        let n = y.shape()[axis];
        if i == 1 || n == 0 {
            return effect;
        }
        let cut = |x: &V, start: usize| V::apply(Narrow { axis, start, len: n - 1 }, [x]);
        let start = usize::from(!transposed);
        let towards_a = cut(&effect, start).gate(&cut(y, 1 - start));
        V::apply(Widen { axis, start: 1, extent: n }, [&towards_a])
    }
}

/// Running sums and products, alike for arrays and for variables. Axes may be counted from the end:
/// `-1` is the last. Shapes stay as they are.
pub trait Scans: Value {
    /// The sum of each element and all before it along one axis; carried in double precision.
    ///
    /// # Panics
    /// If the axis does not exist.
    #[track_caller]
    fn cumsum(&self, axis: isize) -> Self {
        let axis = expect_shape("cumsum", self.shape().axis(axis));
        Self::apply(Cumsum { axis, reverse: false }, [self])
    }

    /// The product of each element and all before it along one axis; carried in double precision. The
    /// derivatives are exact where elements are zero, too.
    ///
    /// # Panics
    /// If the axis does not exist.
    #[track_caller]
    fn cumprod(&self, axis: isize) -> Self {
        let axis = expect_shape("cumprod", self.shape().axis(axis));
        let n = self.shape()[axis];
        let first = Self::apply(Narrow { axis, start: 0, len: n.min(1) }, [self]);
        let first = Self::apply(Widen { axis, start: 0, extent: n }, [&first]);
        Self::apply(Recurrence { axis, transposed: false }, [self, &first])
    }
}

impl<V: Value> Scans for V {}
