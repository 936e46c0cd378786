//! The two precisions, and what the library needs of a number.

use std::fmt::{Debug, Display};
use std::iter::Sum;
use std::ops::{Add, AddAssign, Div, Mul, MulAssign, Neg, Sub, SubAssign};

use crate::math::{self, activations, double};

/// A job with an entry point for each precision, so that its code is compiled once, in the crate that
/// defines the job.
///
/// A generic function is compiled anew in every crate that calls it. A generic shell that calls
/// [`Float::run`] is small; the two entry points are plain functions, and what they call is compiled
/// with them.
///
/// ```
/// use wengert_core::{Float, PerPrecision, Tensor};
///
/// struct Largest;
/// impl<'a> PerPrecision<'a> for Largest {
///     type Input<F: Float> = &'a Tensor<F>;
///     type Output<F: Float> = F;
///     fn f32(x: &'a Tensor<f32>) -> f32 {
///         largest(x)
///     }
///     fn f64(x: &'a Tensor<f64>) -> f64 {
///         largest(x)
///     }
/// }
///
/// fn largest<F: Float>(x: &Tensor<F>) -> F {
///     x.as_slice().iter().fold(F::ZERO, |a, &b| if b > a { b } else { a })
/// }
///
/// assert_eq!(f32::run::<Largest>(&Tensor::from([1.0, 3.0, 2.0])), 3.0);
/// ```
#[doc(hidden)]
pub trait PerPrecision<'a> {
    /// Arguments of the job, in precision `F`.
    type Input<F: Float>;
    /// Result of the job, in precision `F`.
    type Output<F: Float>;
    /// Runs the job in single precision.
    #[track_caller]
    fn f32(input: Self::Input<f32>) -> Self::Output<f32>;
    /// Runs the job in double precision.
    #[track_caller]
    fn f64(input: Self::Input<f64>) -> Self::Output<f64>;
}

pub(crate) mod sealed {
    /// Keeps [`Float`](super::Float) to the precisions that the kernels know, and to symbols.
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for f64 {}
}

/// A precision: `f32` or `f64`.
///
/// The trait is sealed. Users meet it only as the type parameter that the preludes fill in, and as
/// `F` in the body of their own operations and optimizer rules.
///
/// ```
/// use wengert_core::Float;
///
/// fn softplus<F: Float>(x: F) -> F {
///     if x > F::of(20.0) { x } else { x.exp().ln_1p() }
/// }
/// assert_eq!(softplus(0.0_f64), std::f64::consts::LN_2);
/// ```
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
    /// Logarithm to base 2.
    fn log2(self) -> Self;
    /// Logarithm to base 10.
    fn log10(self) -> Self;
    /// `ln(1 + self)`, accurate near zero.
    fn ln_1p(self) -> Self;
    /// Sine of an angle in radians.
    fn sin(self) -> Self;
    /// Cosine of an angle in radians.
    fn cos(self) -> Self;
    /// Tangent of an angle in radians.
    fn tan(self) -> Self;
    /// The angle in `-pi/2..=pi/2` with this sine.
    fn asin(self) -> Self;
    /// The angle in `0..=pi` with this cosine.
    fn acos(self) -> Self;
    /// The angle in `-pi/2..=pi/2` with this tangent.
    fn atan(self) -> Self;
    /// Hyperbolic sine.
    fn sinh(self) -> Self;
    /// Hyperbolic cosine.
    fn cosh(self) -> Self;
    /// Hyperbolic tangent.
    fn tanh(self) -> Self;
    /// Inverse hyperbolic sine.
    fn asinh(self) -> Self;
    /// Inverse hyperbolic cosine; accurate near 1.
    fn acosh(self) -> Self;
    /// Inverse hyperbolic tangent.
    fn atanh(self) -> Self;
    /// `1 / (1 + exp(-self))`; finite for every finite input.
    fn sigmoid(self) -> Self;
    /// `self * sigmoid(self)`, also where the sigmoid alone is subnormal or 0.
    fn silu(self) -> Self;
    /// `self * tanh(ln(1 + exp(self)))`.
    fn mish(self) -> Self;
    /// `self * Phi(self)` with the standard normal distribution function `Phi`; accurate where it is small.
    fn gelu(self) -> Self;
    /// `self / 2 * (1 + tanh(sqrt(2 / pi) * (self + 0.044715 * self^3)))`; accurate where it is small.
    fn gelu_tanh(self) -> Self;
    /// The error function.
    fn erf(self) -> Self;
    /// `1 - erf(self)`, accurate where it is small.
    fn erfc(self) -> Self;
    /// The largest number below.
    fn next_down(self) -> Self;
    /// The largest integer that is not above.
    fn floor(self) -> Self;
    /// The smallest integer that is not below.
    fn ceil(self) -> Self;
    /// The nearest integer, of two the even one.
    fn round_ties_even(self) -> Self;
    /// `self` to the power of `e`.
    fn powf(self, e: Self) -> Self;
    /// `self` to the power of an integer.
    fn powi(self, e: i32) -> Self;
    /// The angle of the point `(x, self)`.
    fn atan2(self, x: Self) -> Self;
    /// `sqrt(self^2 + other^2)`, without overflow.
    fn hypot(self, other: Self) -> Self;
    /// `self * a + b`, rounded once.
    fn mul_add(self, a: Self, b: Self) -> Self;
    /// Whether this is not a number.
    fn is_nan(self) -> bool;
    /// Whether this is neither infinite nor NaN.
    fn is_finite(self) -> bool;

    /// Runs a job in this precision.
    #[doc(hidden)]
    #[track_caller]
    fn run<'a, P: PerPrecision<'a>>(input: P::Input<Self>) -> P::Output<Self>;
}

macro_rules! float {
    ($F:ident, $name:literal, $powi:path, { $($f:ident => $path:path),* }) => {
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
            #[inline(always)]
            fn powi(self, e: i32) -> Self {
                $powi(self, e)
            }
            #[inline(always)]
            fn atan2(self, x: Self) -> Self {
                self.atan2(x)
            }
            #[inline(always)]
            fn hypot(self, other: Self) -> Self {
                self.hypot(other)
            }
            #[inline(always)]
            fn mul_add(self, a: Self, b: Self) -> Self {
                self.mul_add(a, b)
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
            #[inline(always)]
            fn run<'a, P: PerPrecision<'a>>(input: P::Input<Self>) -> P::Output<Self> {
                P::$F(input)
            }
        }
    };
}

float!(f32, "f32", math::powi, {
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
    silu => activations::silu,
    mish => activations::mish,
    gelu => activations::gelu,
    gelu_tanh => activations::gelu_tanh,
    erf => math::erf,
    log2 => f32::log2,
    log10 => f32::log10,
    tan => f32::tan,
    asin => f32::asin,
    acos => f32::acos,
    atan => math::atan,
    sinh => f32::sinh,
    cosh => f32::cosh,
    floor => f32::floor,
    ceil => f32::ceil,
    round_ties_even => f32::round_ties_even,
    asinh => libm::asinhf,
    acosh => math::acosh,
    atanh => libm::atanhf,
    erfc => math::erfc,
    next_down => f32::next_down
});

float!(f64, "f64", f64::powi, {
    abs => f64::abs,
    sqrt => f64::sqrt,
    exp => double::exp,
    exp_m1 => double::exp_m1,
    ln => double::ln,
    ln_1p => double::ln_1p,
    sin => f64::sin,
    cos => f64::cos,
    tanh => double::tanh,
    sigmoid => double::activations::sigmoid,
    silu => double::activations::silu,
    mish => double::activations::mish,
    gelu => double::erf::gelu,
    gelu_tanh => double::activations::gelu_tanh,
    erf => double::erf::erf,
    log2 => f64::log2,
    log10 => f64::log10,
    tan => f64::tan,
    asin => f64::asin,
    acos => f64::acos,
    atan => f64::atan,
    sinh => f64::sinh,
    cosh => f64::cosh,
    floor => f64::floor,
    ceil => f64::ceil,
    round_ties_even => f64::round_ties_even,
    asinh => libm::asinh,
    acosh => double::acosh,
    atanh => libm::atanh,
    erfc => double::erf::erfc,
    next_down => f64::next_down
});
