//! How elementwise functions of one argument become operations; their table is in `functions.rs`.

use std::fmt::Debug;

pub use super::functions::*;
use crate::kernels::{zip1, zip3};
use crate::op::{Arithmetic, Cotangent, Op, Value};
use crate::{Float, Shape, ShapeError, Tensor};

/// A function of one number that acts on each element by itself.
pub trait UnaryOp: Debug + Clone + Send + Sync + 'static {
    /// The function.
    fn value<F: Float>(&self, x: F) -> F;
    /// Its derivative, from input `x` and output `y`.
    fn derivative<M: UnaryOps>(&self, x: &M, y: &M) -> M;
}

impl<E: UnaryOp> Op<1> for E {
    fn shape(&self, [x]: [Shape; 1]) -> Result<Shape, ShapeError> {
        Ok(x)
    }

    fn forward<F: Float>(&self, [x]: [&Tensor<F>; 1], out: Shape) -> Tensor<F> {
        Tensor::written(out, |y| {
            zip1(
                y,
                x.as_slice(),
                #[inline(always)]
                |y, x| *y = self.value(x),
            )
        })
    }

    fn vjp<V: Value>(&self, _: usize, [x]: [&V; 1], y: &V, g: &V) -> V {
        g.mul_no_nan(&self.derivative(x, y))
    }

    fn vjp_into<F: Float>(
        &self,
        _: usize,
        [x]: [&Tensor<F>; 1],
        y: &Tensor<F>,
        g: &Tensor<F>,
        into: Cotangent<'_, F>,
    ) {
        let (x, y, g) = (x.as_slice(), y.as_slice(), g.as_slice());
        let shape = into.shape();
        into.add(Tensor::written(shape, |out| {
            zip3(
                out,
                x,
                y,
                g,
                #[inline(always)]
                |out, x, y, g| *out = pulled(self, x, y, g),
            );
        }));
    }
}

/// The cotangent of one element.
#[inline(always)]
fn pulled<F: Float>(op: &impl UnaryOp, x: F, y: F, g: F) -> F {
    Scalar(g).mul_no_nan(&op.derivative(&Scalar(x), &Scalar(y))).0
}

/// A single number that derivatives are computed with. It has the same operators and functions as
/// an array, so that a derivative is written once and runs without temporaries.
#[derive(Clone, Copy, Debug)]
pub struct Scalar<F: Float>(pub F);

macro_rules! scalar_operators {
    ($($Trait:ident $method:ident $op:tt;)*) => {$(
        impl<F: Float> std::ops::$Trait for Scalar<F> {
            type Output = Self;
            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                Self(self.0 $op other.0)
            }
        }
        impl<F: Float> std::ops::$Trait<&Self> for Scalar<F> {
            type Output = Self;
            #[inline(always)]
            fn $method(self, other: &Self) -> Self {
                Self(self.0 $op other.0)
            }
        }
        impl<F: Float> std::ops::$Trait<f64> for Scalar<F> {
            type Output = Self;
            #[inline(always)]
            fn $method(self, other: f64) -> Self {
                Self(self.0 $op F::of(other))
            }
        }
    )*};
}

scalar_operators! { Add add +; Sub sub -; Mul mul *; Div div /; }

impl<F: Float> Arithmetic for Scalar<F> {}

impl<F: Float> std::ops::Neg for Scalar<F> {
    type Output = Self;
    #[inline(always)]
    fn neg(self) -> Self {
        Self(-self.0)
    }
}

/// What the property tests do with the rows of the tables.
pub trait Visitor {
    /// One function, an open interval to draw inputs from, and the points to stay clear of.
    fn elementwise<E: UnaryOp>(&mut self, op: E, domain: (f64, f64), kinks: &[f64]);
}

/// Makes a table: for each row a struct with its [`UnaryOp`], a method of `UnaryOps`, and a visit.
macro_rules! elementwise {
    (struct $(#[$doc:meta])* $Op:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct $Op;
    };
    (struct $(#[$doc:meta])* $Op:ident $($field:ident : $T:ident),+) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct $Op {
            $(
                /// A constant of the function.
                pub $field: $T,
            )+
        }
    };
    ($(
        $(#[$doc:meta])*
        $Op:ident $name:ident ( $($field:ident : $T:ident = $sample:expr),* )
            |$v:pat_param| $value:expr => |$x:pat_param, $y:pat_param| $derivative:expr,
            $domain:expr, $kinks:expr;
    )*) => {
        $(
            elementwise! { struct $(#[$doc])* $Op $($field : $T),* }

            impl UnaryOp for $Op {
                #[inline(always)]
                fn value<F: Float>(&self, $v: F) -> F {
                    $(let $field = self.$field;)*
                    $value
                }
                #[inline(always)]
                fn derivative<M: UnaryOps>(&self, $x: &M, $y: &M) -> M {
                    $(let $field = self.$field; let _ = $field;)*
                    $derivative
                }
            }
        )*

        /// The elementwise functions, alike for arrays, for variables, and for the numbers inside a
        /// derivative. Shapes stay as they are.
        pub trait UnaryOps: Arithmetic {
            $(
                $(#[$doc])*
                #[track_caller]
                fn $name(&self $(, $field: $T)*) -> Self;
            )*
            /// The cotangent `self` times the derivative `d`, but 0 where the cotangent is 0: a
            /// branch that was not selected must not leak its NaN or infinity.
            #[inline(always)]
            #[track_caller]
            fn mul_no_nan(&self, d: &Self) -> Self {
                self.combine(MulNoNan, d)
            }
            /// 1 where `self` is larger than `other`, one half where they are equal, else 0.
            #[inline(always)]
            #[track_caller]
            fn greater_half(&self, other: &Self) -> Self {
                self.combine(GreaterHalf, other)
            }
            /// A function of two arguments, `self` and `other`, which broadcast.
            #[track_caller]
            fn combine(&self, op: impl BinaryOp, other: &Self) -> Self;
            /// `a` where the mask `self` is not 0, else `b`; all three broadcast. The mask is never
            /// differentiated, and of `a` and `b` only what was taken.
            #[track_caller]
            fn where_cond(&self, a: &Self, b: &Self) -> Self;
            /// A constant of the same shape.
            fn filled(&self, value: f64) -> Self;
        }

        impl<V: Value> UnaryOps for V {
            $(
                #[inline]
                #[track_caller]
                fn $name(&self $(, $field: $T)*) -> Self {
                    V::apply($Op { $($field),* }, [self])
                }
            )*
            #[inline]
            #[track_caller]
            fn combine(&self, op: impl BinaryOp, other: &Self) -> Self {
                V::apply(op, [self, other])
            }
            #[track_caller]
            fn where_cond(&self, a: &Self, b: &Self) -> Self {
                V::apply(Where, [self, a, b])
            }
            fn filled(&self, value: f64) -> Self {
                self.constant_like(self.shape(), value)
            }
        }

        impl<F: Float> UnaryOps for Scalar<F> {
            $(
                #[inline(always)]
                fn $name(&self $(, $field: $T)*) -> Self {
                    Self($Op { $($field),* }.value(self.0))
                }
            )*
            #[inline(always)]
            fn combine(&self, op: impl BinaryOp, other: &Self) -> Self {
                Self(op.value(self.0, other.0))
            }
            #[inline(always)]
            fn where_cond(&self, a: &Self, b: &Self) -> Self {
                if self.0 == F::ZERO { *b } else { *a }
            }
            #[inline(always)]
            fn filled(&self, value: f64) -> Self {
                Self(F::of(value))
            }
        }

        /// Hands every row of the table to `visitor`.
        pub fn visit(visitor: &mut impl Visitor) {
            $(visitor.elementwise($Op { $($field: $sample),* }, $domain, &$kinks);)*
        }
    };
}

pub(super) use elementwise;
