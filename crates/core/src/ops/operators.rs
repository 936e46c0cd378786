//! The operators `+ - * /` and unary minus: macros for any type of value, and the operators of tensors.

use super::operand::Operand;
use crate::op::{Op, Value};
use crate::{Float, Tensor};

/// `x op y`, or the cheaper operation that `shortcut` has where `y` is a number.
#[inline]
#[track_caller]
pub(crate) fn operate<V: Value, S: Op<1>>(
    x: &V,
    y: impl Operand<V>,
    op: impl Op<2>,
    shortcut: impl FnOnce(f64) -> Option<S>,
) -> V {
    match y.number().and_then(shortcut) {
        Some(shortcut) => V::apply(shortcut, [x]),
        None => V::apply(op, [x, &y.beside(x)]),
    }
}

/// Implements `+ - * /` and unary minus for a type of value and for references to it, with any operand on the
/// right.
macro_rules! operators {
    ([$($generics:tt)*] $V:ty) => {
        crate::ops::operators! { Add add, [$($generics)*] $V, |number| Some(crate::ops::AddScalar { summand: number }) }
        crate::ops::operators! { Sub sub, [$($generics)*] $V, |number: f64| Some(crate::ops::AddScalar { summand: -number }) }
        crate::ops::operators! { Mul mul, [$($generics)*] $V, |number| Some(crate::ops::MulScalar { factor: number }) }
        crate::ops::operators! { Div div, [$($generics)*] $V, |_| None::<crate::ops::MulScalar> }

        impl<$($generics)*> std::ops::Neg for $V {
            type Output = $V;
            #[track_caller]
            fn neg(self) -> $V {
                crate::UnaryOps::neg(&self)
            }
        }

        impl<$($generics)*> std::ops::Neg for &$V {
            type Output = $V;
            #[track_caller]
            fn neg(self) -> $V {
                crate::UnaryOps::neg(self)
            }
        }
    };
    ($Trait:ident $method:ident, [$($generics:tt)*] $V:ty, $shortcut:expr) => {
        impl<$($generics)*, R: crate::Operand<$V>> std::ops::$Trait<R> for $V {
            type Output = $V;
            #[track_caller]
            fn $method(self, other: R) -> $V {
                crate::ops::operate(&self, other, crate::ops::$Trait, $shortcut)
            }
        }

        impl<$($generics)*, R: crate::Operand<$V>> std::ops::$Trait<R> for &$V {
            type Output = $V;
            #[track_caller]
            fn $method(self, other: R) -> $V {
                crate::ops::operate(self, other, crate::ops::$Trait, $shortcut)
            }
        }
    };
}

/// Implements `+ - * /` with an operand on the left of a type of value or of a reference to it.
///
/// The numbers among the operands are listed by precision: with two candidates for `f32` the literal in
/// `(2.0 * x).exp()` would have no type.
macro_rules! left_operators {
    ([$($generics:tt)*] $Left:ty, $V:ty $(, if $Bound:ty)?) => {
        crate::ops::left_operators! { Add add, [$($generics)*] $Left, $V $(, if $Bound)? }
        crate::ops::left_operators! { Sub sub, [$($generics)*] $Left, $V $(, if $Bound)? }
        crate::ops::left_operators! { Mul mul, [$($generics)*] $Left, $V $(, if $Bound)? }
        crate::ops::left_operators! { Div div, [$($generics)*] $Left, $V $(, if $Bound)? }
    };
    ($Trait:ident $method:ident, [$($generics:tt)*] $Left:ty, $V:ty $(, if $Bound:ty)?) => {
        impl<$($generics)*> std::ops::$Trait<$V> for $Left
        $(where $Bound: crate::Operand<$V>)?
        {
            type Output = $V;
            #[track_caller]
            fn $method(self, other: $V) -> $V {
                let left = crate::Operand::beside(self, &other);
                <$V as crate::Value>::apply(crate::ops::$Trait, [&left, &other])
            }
        }

        impl<$($generics)*> std::ops::$Trait<&$V> for $Left
        $(where $Bound: crate::Operand<$V>)?
        {
            type Output = $V;
            #[track_caller]
            fn $method(self, other: &$V) -> $V {
                let left = crate::Operand::beside(self, other);
                <$V as crate::Value>::apply(crate::ops::$Trait, [&left, other])
            }
        }
    };
}

pub(crate) use {left_operators, operators};

operators! { [F: Float] Tensor<F> }
left_operators! { [] f32, Tensor<f32> }
left_operators! { [] f64, Tensor<f64> }
// An integer is no operand. This gives `2 * x` the message of `Operand`, which says to write `2.0`.
left_operators! { [F: Float] i32, Tensor<F>, if i32 }
