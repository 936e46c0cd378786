//! Operands of methods and operators: a value, a parameter, a tensor or a number.

use crate::Shape;
use crate::op::Value;

/// An argument that can stand beside a value of type `V` in a method or operator.
///
/// A variable combines with a variable, `&Param`, `&Tensor` or a number. A tensor combines with a tensor, `&Param` or
/// a number. Values may be passed by value or by reference.
///
/// ```
/// use wengert_core::{BinaryOps, MatmulOps, Operand, Param, Tensor, UnaryOps, Value, evaluate};
///
/// let (w, x) = (Param::new(Tensor::<f64>::ones([2, 2])), Tensor::from([[1.0, 2.0]]));
/// let y = evaluate(|tape| (2.0 * tape.constant(&x).matmul(&w)).maximum(5.0));
/// assert_eq!(y, Tensor::from([[6.0, 6.0]]));
///
/// // One function for tensors and variables:
/// fn distance<V: Value>(x: &V, to: impl Operand<V>) -> V {
///     (x.clone() - to.beside(x)).abs()
/// }
/// assert_eq!(distance(&x, 1.5), Tensor::from([[0.5, 0.5]]));
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot stand beside `{V}`",
    label = "neither a value, `&Param`, `&Tensor` nor a floating-point number",
    note = "numbers are written with a point (`2.0`), parameters and tensors as references (`&weight`)"
)]
pub trait Operand<V: Value> {
    /// Converts this operand to a value that can be combined with `x`: on the same tape, if `x` is on one.
    #[track_caller]
    fn beside(self, x: &V) -> V;

    /// Returns the number if the operand is one, so that a cheaper operation can be applied.
    #[inline]
    fn number(&self) -> Option<f64> {
        None
    }
}

impl<V: Value> Operand<V> for V {
    #[inline]
    fn beside(self, _: &V) -> V {
        self
    }
}

impl<V: Value> Operand<V> for &V {
    #[inline]
    fn beside(self, _: &V) -> V {
        self.clone()
    }
}

impl<V: Value> Operand<V> for f64 {
    #[track_caller]
    fn beside(self, x: &V) -> V {
        x.constant_like(Shape::SCALAR, self)
    }
    #[inline]
    fn number(&self) -> Option<f64> {
        Some(*self)
    }
}

impl<V: Value> Operand<V> for f32 {
    #[track_caller]
    fn beside(self, x: &V) -> V {
        f64::from(self).beside(x)
    }
    #[inline]
    fn number(&self) -> Option<f64> {
        Some(f64::from(*self))
    }
}
