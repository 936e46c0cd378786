//! The choice between two values, element by element.

use super::MovementOps;
use super::elementwise::UnaryOps;
use crate::kernels::zip3;
use crate::op::{Op, Value};
use crate::{Float, Shape, ShapeError, Tensor};

/// From a mask, `a` and `b`, which broadcast: `a` where the mask is not 0, else `b`.
///
/// What was not chosen gets the cotangent 0, and rules in front of it multiply with `MulNoNan`: so its
/// NaN or infinity goes nowhere. The mask's derivative is 0.
#[derive(Clone, Copy, Debug)]
pub struct Where;

impl Op<3> for Where {
    fn shape(&self, [mask, a, b]: [Shape; 3]) -> Result<Shape, ShapeError> {
        mask.broadcast(a)?.broadcast(b)
    }

    fn forward<F: Float>(&self, x: [&Tensor<F>; 3], out: Shape) -> Tensor<F> {
        let [mask, a, b] = x.map(|x| if x.shape() == out { x.clone() } else { x.expand(out) });
        Tensor::written(out, |y| {
            zip3(
                y,
                mask.as_slice(),
                a.as_slice(),
                b.as_slice(),
                #[inline(always)]
                |y, mask, a, b| *y = if mask == F::ZERO { b } else { a },
            )
        })
    }

    fn vjp<V: Value>(&self, i: usize, [mask, _, _]: [&V; 3], _: &V, g: &V) -> V {
        let zero = g.constant_like(Shape::SCALAR, 0.0);
        match i {
            0 => mask.filled(0.0),
            1 => mask.where_cond(g, &zero),
            _ => mask.where_cond(&zero, g),
        }
    }
}
