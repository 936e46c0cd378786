//! `+ - * /` and unary minus between arrays, and between arrays and plain numbers.

use super::binary;
use super::elementwise::UnaryOps;
use crate::op::Value;
use crate::{Float, Tensor};

/// What may stand on the right of an operator whose left side is a tensor: a tensor, by value or by
/// reference, or a number.
pub trait TensorOperand<F: Float>: NotRecorded {
    /// The number, if this is one.
    fn number(&self) -> Option<f64>;
    /// This operand as a tensor.
    fn tensor(self) -> Tensor<F>;
}

/// What is on no tape. Without this marker the compiler must reckon with a variable that is an
/// operand of tensors, and refuses `&tensor + variable`.
pub trait NotRecorded {}

impl<F: Float> NotRecorded for Tensor<F> {}
impl<F: Float> NotRecorded for &Tensor<F> {}
impl NotRecorded for f32 {}
impl NotRecorded for f64 {}

impl<F: Float> TensorOperand<F> for Tensor<F> {
    fn number(&self) -> Option<f64> {
        None
    }
    fn tensor(self) -> Tensor<F> {
        self
    }
}

impl<F: Float> TensorOperand<F> for &Tensor<F> {
    fn number(&self) -> Option<f64> {
        None
    }
    fn tensor(self) -> Tensor<F> {
        self.clone()
    }
}

macro_rules! numbers {
    ($($N:ident)*) => {$(
        impl<F: Float> TensorOperand<F> for $N {
            fn number(&self) -> Option<f64> {
                Some(f64::from(*self))
            }
            fn tensor(self) -> Tensor<F> {
                Tensor::scalar(F::of(f64::from(self)))
            }
        }
    )*};
}

numbers! { f32 f64 }

/// `x op y`, with the cheaper operation where `y` is a number and `shortcut` has one.
#[inline]
#[track_caller]
fn operate<F: Float>(
    x: &Tensor<F>,
    y: impl TensorOperand<F>,
    op: impl crate::Op<2>,
    shortcut: impl FnOnce(&Tensor<F>, f64) -> Option<Tensor<F>>,
) -> Tensor<F> {
    match y.number().and_then(|number| shortcut(x, number)) {
        Some(result) => result,
        None => Tensor::apply(op, [x, &y.tensor()]),
    }
}

macro_rules! operators {
    ($($Trait:ident $method:ident |$x:pat_param, $number:pat_param| $shortcut:expr;)*) => {$(
        impl<F: Float, R: NotRecorded + TensorOperand<F>> std::ops::$Trait<R> for &Tensor<F> {
            type Output = Tensor<F>;
            #[track_caller]
            fn $method(self, other: R) -> Tensor<F> {
                operate(self, other, binary::$Trait, |$x, $number| $shortcut)
            }
        }
        impl<F: Float, R: NotRecorded + TensorOperand<F>> std::ops::$Trait<R> for Tensor<F> {
            type Output = Tensor<F>;
            #[track_caller]
            fn $method(self, other: R) -> Tensor<F> {
                operate(&self, other, binary::$Trait, |$x, $number| $shortcut)
            }
        }
        operators! { left $Trait $method f32 Tensor<f32> }
        operators! { left $Trait $method f64 Tensor<f64> }
    )*};
    (left $Trait:ident $method:ident $F:ident $Tensor:ty) => {
        impl std::ops::$Trait<$Tensor> for $F {
            type Output = $Tensor;
            #[track_caller]
            fn $method(self, other: $Tensor) -> $Tensor {
                Tensor::apply(binary::$Trait, [&Tensor::scalar(self), &other])
            }
        }
        impl std::ops::$Trait<&$Tensor> for $F {
            type Output = $Tensor;
            #[track_caller]
            fn $method(self, other: &$Tensor) -> $Tensor {
                Tensor::apply(binary::$Trait, [&Tensor::scalar(self), other])
            }
        }
    };
}

operators! {
    Add add |x, number| Some(x.add_scalar(number));
    Sub sub |x, number| Some(x.add_scalar(-number));
    Mul mul |x, number| Some(x.mul_scalar(number));
    Div div |_, _| None;
}

impl<F: Float> std::ops::Neg for &Tensor<F> {
    type Output = Tensor<F>;
    fn neg(self) -> Tensor<F> {
        UnaryOps::neg(self)
    }
}

impl<F: Float> std::ops::Neg for Tensor<F> {
    type Output = Self;
    fn neg(self) -> Self {
        UnaryOps::neg(&self)
    }
}
