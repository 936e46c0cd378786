//! The two precisions, and what the library needs of a number.

use std::fmt::{Debug, Display};
use std::iter::Sum;
use std::ops::{Add, AddAssign, Div, Mul, MulAssign, Neg, Sub, SubAssign};

use crate::math;

mod sealed {
    /// Keeps [`Float`](super::Float) to the precisions that the kernels know.
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for f64 {}
}

/// A precision: `f32` or `f64`.
///
/// The trait is sealed. Users meet it only as the type parameter that the preludes fill in, and as
/// `F` in the body of an operation or an optimizer rule of their own.
pub trait Float:
    sealed::Sealed
    + Copy
    + Default
    + PartialEq
    + PartialOrd
    + Debug
    + Display
    + Send
    + Sync
    + 'static
    + Neg<Output = Self>
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + AddAssign
    + SubAssign
    + MulAssign
    + Sum
{
    /// `"f32"` or `"f64"`.
    const NAME: &'static str;
    /// 0.
    const ZERO: Self;
    /// 1.
    const ONE: Self;
    /// Positive infinity.
    const INFINITY: Self;
    /// Not a number.
    const NAN: Self;
    /// The distance from 1 to the next number.
    const EPSILON: Self;

    /// The nearest number of this precision.
    fn of(x: f64) -> Self;
    /// This number in double precision; exact.
    fn to_f64(self) -> f64;

    /// Magnitude.
    fn abs(self) -> Self;
    /// Square root; NaN below zero.
    fn sqrt(self) -> Self;
    /// e to the power of `self`.
    fn exp(self) -> Self;
    /// `exp(self) - 1`, accurate near zero.
    fn exp_m1(self) -> Self;
    /// Natural logarithm.
    fn ln(self) -> Self;
    /// `ln(1 + self)`, accurate near zero.
    fn ln_1p(self) -> Self;
    /// Sine of an angle in radians.
    fn sin(self) -> Self;
    /// Cosine of an angle in radians.
    fn cos(self) -> Self;
    /// Hyperbolic tangent.
    fn tanh(self) -> Self;
    /// `1 / (1 + exp(-self))`; finite for every finite input.
    fn sigmoid(self) -> Self;
    /// The error function.
    fn erf(self) -> Self;
    /// `self` to the power of `e`.
    fn powf(self, e: Self) -> Self;
    /// Whether this is not a number.
    fn is_nan(self) -> bool;
    /// Whether this is neither infinite nor NaN.
    fn is_finite(self) -> bool;
}

macro_rules! float {
    ($F:ident, $name:literal, { $($f:ident => $path:path),* }) => {
        impl Float for $F {
            const NAME: &'static str = $name;
            const ZERO: Self = 0.0;
            const ONE: Self = 1.0;
            const INFINITY: Self = $F::INFINITY;
            const NAN: Self = $F::NAN;
            const EPSILON: Self = $F::EPSILON;

            #[inline(always)]
            fn of(x: f64) -> Self {
                x as $F
            }
            #[inline(always)]
            fn to_f64(self) -> f64 {
                f64::from(self)
            }
            #[inline(always)]
            fn powf(self, e: Self) -> Self {
                self.powf(e)
            }
            $(
                #[inline(always)]
                fn $f(self) -> Self {
                    $path(self)
                }
            )*
            #[inline(always)]
            fn is_nan(self) -> bool {
                self.is_nan()
            }
            #[inline(always)]
            fn is_finite(self) -> bool {
                self.is_finite()
            }
        }
    };
}

float!(f32, "f32", {
    abs => f32::abs,
    sqrt => f32::sqrt,
    exp => math::exp,
    exp_m1 => math::exp_m1,
    ln => math::ln,
    ln_1p => math::ln_1p,
    sin => f32::sin,
    cos => f32::cos,
    tanh => math::tanh,
    sigmoid => math::sigmoid,
    erf => math::erf
});

float!(f64, "f64", {
    abs => f64::abs,
    sqrt => f64::sqrt,
    exp => f64::exp,
    exp_m1 => f64::exp_m1,
    ln => f64::ln,
    ln_1p => f64::ln_1p,
    sin => f64::sin,
    cos => f64::cos,
    tanh => f64::tanh,
    sigmoid => sigmoid,
    erf => libm::erf
});

/// `1 / (1 + exp(-x))`, accurate down to the subnormals.
#[inline(always)]
fn sigmoid(x: f64) -> f64 {
    let small = (-x.abs()).exp();
    let top = if x < 0.0 { small } else { 1.0 };
    top / (1.0 + small)
}
