//! The tables of elementwise functions, of one number and of two.
//!
//! A row holds the documentation of a function, its value over a number, its derivative over any [`Elementwise`]
//! type, and the interval from which its property test draws. Each row becomes a struct, an implementation of
//! [`UnaryOp`] or [`BinaryOp`], and a method.

use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI, LOG2_E, LOG10_E};

use super::elementwise::{BinaryOp, Elementwise, UnaryOp, Where};
use super::operand::Operand;
use crate::Float;
use crate::math::double::activations::{GELU_CUBIC, GELU_LINEAR};
use crate::op::Value;

/// Receives the rows of the tables, for tests that run over all functions.
#[doc(hidden)]
pub trait Visitor {
    /// A function of one number, an open interval to draw inputs from, and the kinks to stay clear of.
    fn unary<E: UnaryOp>(&mut self, op: E, domain: (f64, f64), kinks: &[f64]);
    /// A function of two numbers, an open interval for each, and whether the arguments must differ.
    fn binary<B: BinaryOp>(&mut self, op: B, domains: [(f64, f64); 2], apart: bool);
}

/// Rows `Struct method(constant: type = sample) |x| value => |x, y| derivative, domain, kinks`; a function that is
/// constant between its kinks has `, flat = true` behind them.
macro_rules! unary_functions {
    ($(
        $(#[$doc:meta])*
        $Op:ident $method:ident ( $($field:ident : $T:ident = $sample:expr),* )
            |$v:pat_param| $value:expr => |$x:pat_param, $y:pat_param| $derivative:expr,
            $domain:expr, $kinks:expr $(, flat = $flat:literal)?;
    )*) => {
        $(
            unary_functions! { struct $(#[$doc])* $Op $($field : $T),* }

            impl UnaryOp for $Op {
                crate::entry_points!(Op<1>);

                #[inline(always)]
                fn value<F: Float>(&self, $v: F) -> F {
                    $(let $field = self.$field;)*
                    $value
                }
                #[inline(always)]
                fn derivative<M: Elementwise>(&self, $x: &M, $y: &M) -> M {
                    $(let $field = self.$field; let _ = $field;)*
                    $derivative
                }
                $(
                    #[inline(always)]
                    fn is_flat(&self) -> bool {
                        $flat
                    }
                )?
            }
        )*

        /// Elementwise functions of one argument, for tensors and variables and inside derivatives. The shape
        /// stays the same.
        ///
        /// Constants are `f64` in either precision. To add your own function, implement [`UnaryOp`];
        /// [`apply_op`](crate::Value::apply_op) applies it.
        ///
        /// ```
        /// use wengert_core::{Tensor, UnaryOps};
        ///
        /// let x = Tensor::<f64>::from([-1.0, 0.0, 2.0]);
        /// assert_eq!(x.relu(), Tensor::from([0.0, 0.0, 2.0]));
        /// assert_eq!(x.clamp(-0.5, 1.0), Tensor::from([-0.5, 0.0, 1.0]));
        /// ```
        pub trait UnaryOps: Elementwise {
            $(
                $(#[$doc])*
                #[inline(always)]
                #[track_caller]
                fn $method(&self $(, $field: $T)*) -> Self {
                    self.map($Op { $($field),* })
                }
            )*
        }

        impl<M: Elementwise> UnaryOps for M {}

        /// Passes every function of one number to `visitor`.
        #[doc(hidden)]
        pub fn visit_unary(visitor: &mut impl Visitor) {
            $(visitor.unary($Op { $($field: $sample),* }, $domain, &$kinks);)*
        }
    };
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
}

/// Rows `Struct method |a, b| value => |a, b| derivatives, domains, whether the arguments must differ`; the
/// operators have no method. A function that is constant between its jumps has `, flat = true` behind them.
macro_rules! binary_functions {
    (
        operators {$(
            $(#[$odoc:meta])*
            $Operator:ident |$ou:pat_param, $ov:pat_param| $ovalue:expr
                => |$oa:pat_param, $ob:pat_param| $oda:expr, $odb:expr,
                $odomains:expr, $oapart:expr;
        )*}
        methods {$(
            $(#[$doc:meta])*
            $Op:ident $method:ident |$u:pat_param, $v:pat_param| $value:expr
                => |$a:pat_param, $b:pat_param| $da:expr, $db:expr,
                $domains:expr, $apart:expr $(, flat = $flat:literal)?;
        )*}
    ) => {
        $(binary_functions! { struct $(#[$odoc])* $Operator |$ou, $ov| $ovalue => |$oa, $ob| $oda, $odb })*
        $(binary_functions! {
            struct $(#[$doc])* $Op |$u, $v| $value => |$a, $b| $da, $db $(, flat = $flat)?
        })*

        /// Elementwise functions of two arguments, and the selection by a mask, for tensors and variables.
        ///
        /// The shapes broadcast under NumPy's rules. In the descriptions `a` is the value itself and `b` the
        /// argument. Comparisons return masks of 1 and 0, whose derivative is 0.
        ///
        /// ```
        /// use wengert_core::{BinaryOps, Tensor};
        ///
        /// let x = Tensor::<f64>::from([-1.0, 0.5, 2.0]);
        /// assert_eq!(x.maximum(0.0), Tensor::from([0.0, 0.5, 2.0]));
        /// assert_eq!(x.greater(0.0).where_cond(&x, 9.0), Tensor::from([9.0, 0.5, 2.0]));
        /// ```
        ///
        /// # Panics
        /// Every method panics at the caller's line if the shapes do not broadcast.
        pub trait BinaryOps: Value {
            $(
                $(#[$doc])*
                #[track_caller]
                fn $method(&self, b: impl Operand<Self>) -> Self {
                    Self::apply($Op, [self, &b.beside(self)])
                }
            )*

            /// Selects `a` where the mask `self` is not 0, else `b`; all three broadcast
            /// ([`torch.where`](https://docs.pytorch.org/docs/stable/generated/torch.where.html)).
            ///
            /// The side that was not selected leaks nothing into the gradient, not even a NaN:
            /// `x.greater(0.0).where_cond(x.sqrt(), x)` has the gradient 1 at -1. The mask is not
            /// differentiated.
            #[track_caller]
            fn where_cond(&self, a: impl Operand<Self>, b: impl Operand<Self>) -> Self {
                Self::apply(Where, [self, &a.beside(self), &b.beside(self)])
            }
        }

        impl<V: Value> BinaryOps for V {}

        /// Passes every function of two numbers to `visitor`.
        #[doc(hidden)]
        pub fn visit_binary(visitor: &mut impl Visitor) {
            $(visitor.binary($Operator, $odomains, $oapart);)*
            $(visitor.binary($Op, $domains, $apart);)*
        }
    };
    (struct $(#[$doc:meta])* $Op:ident |$u:pat_param, $v:pat_param| $value:expr
        => |$a:pat_param, $b:pat_param| $da:expr, $db:expr $(, flat = $flat:literal)?) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct $Op;

        impl BinaryOp for $Op {
            crate::entry_points!(Op<2>);

            #[inline(always)]
            fn value<F: Float>(&self, $u: F, $v: F) -> F {
                $value
            }
            #[inline(always)]
            fn derivative<M: Elementwise>(&self, i: usize, $a: &M, $b: &M) -> M {
                if i == 0 { $da } else { $db }
            }
            $(
                #[inline(always)]
                fn is_flat(&self) -> bool {
                    $flat
                }
            )?
        }
    };
}

/// The mask of `x > bound`; 0 at NaN.
#[inline(always)]
fn above<M: Elementwise>(x: &M, bound: f64) -> M {
    x.combine(Greater, &x.filled(bound))
}

/// The mask of `x < bound`; 0 at NaN.
#[inline(always)]
fn below<M: Elementwise>(x: &M, bound: f64) -> M {
    x.combine(Less, &x.filled(bound))
}

/// `1 - x^2`, to full accuracy where `x` is close to 1 or -1. The derivative of the product would not be `-2 x` to full
/// accuracy near 0, and NaN where a cotangent is infinite and a factor 0.
#[derive(Clone, Copy, Debug)]
struct OneMinusSquare;

impl UnaryOp for OneMinusSquare {
    crate::entry_points!(Op<1>);

    #[inline(always)]
    fn value<F: Float>(&self, x: F) -> F {
        (F::ONE - x) * (F::ONE + x)
    }
    #[inline(always)]
    fn derivative<M: Elementwise>(&self, x: &M, _: &M) -> M {
        x.mul_scalar(-2.0)
    }
}

/// `x` limited to `low..=high`; NaN stays NaN.
#[inline(always)]
fn clamp<F: Float>(x: F, low: f64, high: f64) -> F {
    let (low, high) = (F::of(low), F::of(high));
    let x = if x < low { low } else { x };
    if x > high { high } else { x }
}

/// 1 where the condition holds, else 0.
#[inline(always)]
fn mask<F: Float>(holds: bool) -> F {
    if holds { F::ONE } else { F::ZERO }
}

/// `a / (a^2 + b^2)` without overflow of the squares; 0 at the origin.
#[inline(always)]
fn over_square<M: Elementwise>(a: &M, b: &M) -> M {
    let r = a.combine(Hypot, b);
    r.combine(Equal, &r.filled(0.0)).select(&r.filled(0.0), &(a.clone() / &r / &r))
}

/// The constants of [`Selu`], under which mean 0 and variance 1 are a fixed point.
const SELU_ALPHA: f64 = 1.673_263_242_354_377_2;
const SELU_SCALE: f64 = 1.050_700_987_355_480_5;

unary_functions! {
    /// `-x`.
    Neg neg() |x| -x => |x, _| x.filled(-1.0), (-4.0, 4.0), [];
    /// `factor * x`, with a constant factor.
    MulScalar mul_scalar(factor: f64 = -1.7) |x| x * F::of(factor) => |x, _| x.filled(factor), (-4.0, 4.0), [];
    /// `x + summand`, with a constant summand.
    AddScalar add_scalar(summand: f64 = 0.3) |x| x + F::of(summand) => |x, _| x.filled(1.0), (-4.0, 4.0), [];
    /// `x * x`.
    Square square() |x| x * x => |x, _| x.mul_scalar(2.0), (-4.0, 4.0), [];
    /// Square root; the derivative at 0 is inf.
    Sqrt sqrt() |x| x.sqrt() => |_, y| y.recip() * 0.5, (0.2, 6.0), [];
    /// `1 / sqrt(x)`: inf at 0, where the derivative is -inf; NaN below 0.
    Rsqrt rsqrt() |x| F::ONE / x.sqrt() => |_, y| y.square() * y * -0.5, (0.3, 6.0), [];
    /// `1 / x`.
    Recip recip() |x| F::ONE / x => |_, y| -y.square(), (0.3, 4.0), [];
    /// `x` to the power of a constant. The derivative of `x^0` is 0 everywhere.
    Powf powf(exponent: f64 = 2.5) |x| x.powf(F::of(exponent))
        => |x, _| if exponent == 0.0 { x.filled(0.0) } else { x.powf(exponent - 1.0) * exponent }, (0.3, 3.0), [];
    /// `x` to the power of a constant integer. The derivative of `x^0` is 0 everywhere.
    Powi powi(exponent: i32 = -3) |x| x.powi(exponent) => |x, _| match exponent {
        0 => x.filled(0.0),
        _ => x.powi(exponent.saturating_sub(1)) * f64::from(exponent),
    }, (0.5, 3.0), [];
    /// e to the power of `x`.
    Exp exp() |x| x.exp() => |_, y| y.clone(), (-4.0, 4.0), [];
    /// `exp(x) - 1`, accurate near 0.
    ExpM1 exp_m1() |x| x.exp_m1() => |x, _| x.exp(), (-4.0, 4.0), [];
    /// Natural logarithm: -inf at 0, where the derivative is inf; NaN below 0.
    Ln ln() |x| x.ln() => |x, _| x.recip(), (0.2, 6.0), [];
    /// `ln(1 + x)`, accurate near 0: -inf at -1, where the derivative is inf; NaN below -1.
    Ln1p ln_1p() |x| x.ln_1p() => |x, _| x.add_scalar(1.0).recip(), (-0.8, 5.0), [];
    /// Base-2 logarithm: -inf at 0, where the derivative is inf; NaN below 0.
    Log2 log2() |x| x.log2() => |x, _| x.recip() * LOG2_E, (0.2, 6.0), [];
    /// Base-10 logarithm: -inf at 0, where the derivative is inf; NaN below 0.
    Log10 log10() |x| x.log10() => |x, _| x.recip() * LOG10_E, (0.2, 6.0), [];
    /// Sine of an angle in radians.
    Sin sin() |x| x.sin() => |x, _| x.cos(), (-4.0, 4.0), [];
    /// Cosine of an angle in radians.
    Cos cos() |x| x.cos() => |x, _| -x.sin(), (-4.0, 4.0), [];
    /// Tangent of an angle in radians.
    Tan tan() |x| x.tan() => |_, y| y.square() + 1.0, (-1.2, 1.2), [];
    /// Inverse sine, in `-pi/2..=pi/2`; the derivative at -1 and 1 is inf; NaN outside `-1..=1`.
    Asin asin() |x| x.asin() => |x, _| x.map(OneMinusSquare).rsqrt(), (-0.8, 0.8), [];
    /// Inverse cosine, in `0..=pi`; the derivative at -1 and 1 is -inf; NaN outside `-1..=1`.
    Acos acos() |x| x.acos() => |x, _| -x.map(OneMinusSquare).rsqrt(), (-0.8, 0.8), [];
    /// Inverse tangent, in `-pi/2..=pi/2`.
    Atan atan() |x| x.atan() => |x, _| (x.square() + 1.0).recip(), (-4.0, 4.0), [];
    /// Hyperbolic sine `(exp(x) - exp(-x)) / 2`.
    Sinh sinh() |x| x.sinh() => |x, _| x.cosh(), (-3.0, 3.0), [];
    /// Hyperbolic cosine `(exp(x) + exp(-x)) / 2`.
    Cosh cosh() |x| x.cosh() => |x, _| x.sinh(), (-3.0, 3.0), [];
    /// Hyperbolic tangent.
    Tanh tanh() |x| x.tanh() => |_, y| -y.square() + 1.0, (-3.0, 3.0), [];
    /// Inverse hyperbolic sine, `ln(x + sqrt(x^2 + 1))`; `x^2` does not overflow.
    Asinh asinh() |x| x.asinh() => |x, _| x.combine(Hypot, &x.filled(1.0)).recip(), (-4.0, 4.0), [];
    /// Inverse hyperbolic cosine, `ln(x + sqrt(x^2 - 1))`; the derivative at 1 is inf; NaN below 1.
    Acosh acosh() |x| x.acosh()
        => |x, _| x.add_scalar(-1.0).rsqrt() * x.add_scalar(1.0).rsqrt(), (1.3, 6.0), [];
    /// Inverse hyperbolic tangent, `ln((1 + x) / (1 - x)) / 2`: inf at 1 and -inf at -1, where the derivative
    /// is inf; NaN outside `-1..=1`.
    Atanh atanh() |x| x.atanh() => |x, _| x.map(OneMinusSquare).recip(), (-0.8, 0.8), [];
    /// Error function.
    Erf erf() |x| x.erf() => |x, _| (-x.square()).exp() * FRAC_2_SQRT_PI, (-2.0, 2.0), [];
    /// Complementary error function, `1 - erf(x)`, accurate where it is small.
    Erfc erfc() |x| x.erfc() => |x, _| (-x.square()).exp() * -FRAC_2_SQRT_PI, (-2.0, 2.0), [];
    /// Absolute value. The derivative at 0 is 0.
    Abs abs() |x| x.abs() => |x, _| x.sign(), (-4.0, 4.0), [0.0];
    /// Sign: -1, 0 or 1. The derivative is 0.
    Sign sign() |x| if x > F::ZERO { F::ONE } else if x < F::ZERO { -F::ONE } else { x * F::ZERO }
        => |x, _| x.filled(0.0), (-4.0, 4.0), [0.0], flat = true;
    /// Step function: 1 above 0, else 0; 1 at NaN. The derivative is 0.
    Step step() |x| if x <= F::ZERO { F::ZERO } else { F::ONE } => |x, _| x.filled(0.0), (-4.0, 4.0), [0.0], flat = true;
    /// Largest integer not above `x`. The derivative is 0.
    Floor floor() |x| x.floor() => |x, _| x.filled(0.0), (-0.9, 1.9), [0.0, 1.0], flat = true;
    /// Smallest integer not below `x`. The derivative is 0.
    Ceil ceil() |x| x.ceil() => |x, _| x.filled(0.0), (-0.9, 1.9), [0.0, 1.0], flat = true;
    /// Nearest integer; halves round to even, as in NumPy and PyTorch (unlike Rust's `round`). The derivative
    /// is 0.
    Round round() |x| x.round_ties_even() => |x, _| x.filled(0.0), (-1.4, 1.4), [-0.5, 0.5], flat = true;
    /// `x` limited to `min..=max`; NaN stays NaN. The derivative is 1 inside; 0 outside, at `min` and `max`,
    /// and at NaN.
    Clamp clamp(min: f64 = -1.5, max: f64 = 0.7) |x| clamp(x, min, max)
        => |x, _| above(x, min) * below(x, max), (-4.0, 4.0), [-1.5, 0.7];
    /// `max(x, min)`; NaN stays NaN. The derivative is 1 above `min`, else 0, also at NaN.
    ClampMin clamp_min(min: f64 = -0.6) |x| if x < F::of(min) { F::of(min) } else { x }
        => |x, _| above(x, min), (-4.0, 4.0), [-0.6];
    /// `min(x, max)`; NaN stays NaN. The derivative is 1 below `max`, else 0, also at NaN.
    ClampMax clamp_max(max: f64 = 0.8) |x| if x > F::of(max) { F::of(max) } else { x }
        => |x, _| below(x, max), (-4.0, 4.0), [0.8];
    /// Logistic function `1 / (1 + exp(-x))`; finite everywhere.
    Sigmoid sigmoid() |x| x.sigmoid() => |_, y| y.neg().add_scalar(1.0) * y, (-4.0, 4.0), [];
    /// `ln(sigmoid(x)) = -ln(1 + exp(-x))`; finite for every finite `x`
    /// (<https://docs.pytorch.org/docs/stable/generated/torch.nn.LogSigmoid.html>).
    LogSigmoid log_sigmoid()
        // Minus zero is the sign of a result that underflows.
        |x| { let negative = if x >= F::ZERO { -F::ZERO } else { x }; negative - (-x.abs()).exp().ln_1p() }
        => |x, _| x.neg().sigmoid(), (-4.0, 4.0), [];
    /// `ln(1 + exp(x))`, without overflow.
    Softplus softplus() |x| { let positive = if x <= F::ZERO { F::ZERO } else { x }; positive + (-x.abs()).exp().ln_1p() }
        => |x, _| x.sigmoid(), (-4.0, 4.0), [];
    /// `x / (1 + |x|)` (<https://docs.pytorch.org/docs/stable/generated/torch.nn.Softsign.html>).
    Softsign softsign() |x| x / (F::ONE + x.abs()) => |x, _| (x.abs() + 1.0).square().recip(), (-4.0, 4.0), [0.0];
    /// `max(x, 0)`; NaN stays NaN. The derivative at 0 is 0.
    Relu relu() |x| if x <= F::ZERO { F::ZERO } else { x } => |x, _| x.step(), (-4.0, 4.0), [0.0];
    /// `min(max(x, 0), 6)`; NaN stays NaN. The derivative at 0 and 6 is 0
    /// (<https://docs.pytorch.org/docs/stable/generated/torch.nn.ReLU6.html>).
    Relu6 relu6() |x| clamp(x, 0.0, 6.0)
        => |x, _| x.step() * x.neg().add_scalar(6.0).step(), (-3.0, 9.0), [0.0, 6.0];
    /// `x` above 0, else `slope x`. The derivative at 0 is `slope`
    /// (<https://docs.pytorch.org/docs/stable/generated/torch.nn.LeakyReLU.html>).
    LeakyRelu leaky_relu(slope: f64 = 0.2) |x| if x > F::ZERO { x } else { x * F::of(slope) }
        => |x, _| above(x, 0.0).select(&x.filled(1.0), &x.filled(slope)), (-4.0, 4.0), [0.0];
    /// `x` above 0, else `alpha (exp(x) - 1)`. The derivative at 0 is `alpha`, usually 1
    /// (<https://docs.pytorch.org/docs/stable/generated/torch.nn.ELU.html>).
    Elu elu(alpha: f64 = 1.3) |x| if x > F::ZERO { x } else { x.exp_m1() * F::of(alpha) }
        => |x, _| above(x, 0.0).select(&x.filled(1.0), &(x.exp() * alpha)), (-4.0, 4.0), [0.0];
    /// `x` above 0, else `alpha (exp(x / alpha) - 1)`. The derivative at 0 is 1
    /// (<https://docs.pytorch.org/docs/stable/generated/torch.nn.CELU.html>).
    Celu celu(alpha: f64 = 1.6)
        |x| if x > F::ZERO { x } else { (x / F::of(alpha)).exp_m1() * F::of(alpha) }
        => |x, _| above(x, 0.0).select(&x.filled(1.0), &x.mul_scalar(alpha.recip()).exp()), (-4.0, 4.0), [0.0];
    /// `scale x` above 0, else `scale alpha (exp(x) - 1)`, with the constants that keep mean 0 and
    /// variance 1. The derivative at 0 is `scale alpha`
    /// (<https://docs.pytorch.org/docs/stable/generated/torch.nn.SELU.html>).
    Selu selu() |x| (if x > F::ZERO { x } else { x.exp_m1() * F::of(SELU_ALPHA) }) * F::of(SELU_SCALE)
        => |x, _| {
            let (right, left) = (x.filled(SELU_SCALE), x.exp() * (SELU_SCALE * SELU_ALPHA));
            above(x, 0.0).select(&right, &left)
        }, (-4.0, 4.0), [0.0];
    /// `x * Phi(x)` with the standard normal distribution function `Phi` (<https://arxiv.org/abs/1606.08415>).
    Gelu gelu() |x| x.gelu()
        => |x, _| {
            let density = (x.square() * -0.5).exp() * (FRAC_2_SQRT_PI * FRAC_1_SQRT_2 * 0.5);
            x.mul_scalar(-FRAC_1_SQRT_2).erfc() * 0.5 + density * x
        }, (-3.0, 3.0), [];
    /// `x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))`, the `gelu` of PyTorch with `approximate='tanh'`
    /// (<https://docs.pytorch.org/docs/stable/generated/torch.nn.GELU.html>).
    GeluTanh gelu_tanh() |x| x.gelu_tanh()
        => |x, _| {
            let square = x.square();
            let s = ((square.mul_scalar(GELU_CUBIC) + GELU_LINEAR) * x).sigmoid();
            // Where the sigmoid is saturated, the second factor may overflow.
            let slope = (-s.clone() + 1.0) * &s;
            s + slope.mul_no_nan(&((square * (3.0 * GELU_CUBIC) + GELU_LINEAR) * x))
        }, (-3.0, 3.0), [];
    /// `x * sigmoid(x)`, also called swish (<https://arxiv.org/abs/1606.08415>).
    Silu silu() |x| x.silu() => |x, y| { let s = x.sigmoid(); (-s.clone() + 1.0) * y + s }, (-4.0, 4.0), [];
    /// `x tanh(softplus(x))` (<https://arxiv.org/abs/1908.08681>).
    Mish mish() |x| x.mish()
        => |x, _| {
            let t = x.softplus().tanh();
            (-t.square() + 1.0) * x.sigmoid() * x + t
        }, (-4.0, 4.0), [];
    /// `min(max(x, -1), 1)`; NaN stays NaN. The derivative at -1 and 1 is 0
    /// (<https://docs.pytorch.org/docs/stable/generated/torch.nn.Hardtanh.html>).
    Hardtanh hardtanh() |x| clamp(x, -1.0, 1.0)
        => |x, _| x.add_scalar(1.0).step() * x.neg().add_scalar(1.0).step(), (-3.0, 3.0), [-1.0, 1.0];
    /// `min(max(x + 3, 0), 6) / 6`. The derivative at -3 and 3 is 0
    /// (<https://docs.pytorch.org/docs/stable/generated/torch.nn.Hardsigmoid.html>).
    Hardsigmoid hardsigmoid() |x| clamp(x + F::of(3.0), 0.0, 6.0) / F::of(6.0)
        => |x, _| above(x, -3.0) * below(x, 3.0) * (1.0 / 6.0), (-5.0, 5.0), [-3.0, 3.0];
    /// `x min(max(x + 3, 0), 6) / 6`. The derivative is 0 at -3 and 1 at 3
    /// (<https://docs.pytorch.org/docs/stable/generated/torch.nn.Hardswish.html>).
    Hardswish hardswish() |x| x * (clamp(x + F::of(3.0), 0.0, 6.0) / F::of(6.0))
        => |x, _| {
            let inside = above(x, -3.0) * below(x, 3.0);
            inside.mul_no_nan(&(x.mul_scalar(1.0 / 3.0) + 0.5)) + (-below(x, 3.0) + 1.0)
        }, (-5.0, 5.0), [-3.0, 3.0];
}

binary_functions! {
    operators {
        /// `a * b`.
        Mul |a, b| a * b => |a, b| b.clone(), a.clone(), [(-4.0, 4.0); 2], false;
        /// `a / b`.
        Div |a, b| a / b => |a, b| b.recip(), a.clone() / b / -b.clone(), [(-4.0, 4.0), (0.5, 4.0)], false;
    }
    methods {
        /// The larger of `a` and `b`; NaN if either is. At a tie each side has the derivative one half.
        Maximum maximum |a, b| if a > b || a.is_nan() { a } else { b }
            => |a, b| a.combine(GreaterHalf, b), b.combine(GreaterHalf, a), [(-4.0, 4.0); 2], true;
        /// The smaller of `a` and `b`; NaN if either is. At a tie each side has the derivative one half.
        Minimum minimum |a, b| if a < b || a.is_nan() { a } else { b }
            => |a, b| b.combine(GreaterHalf, a), a.combine(GreaterHalf, b), [(-4.0, 4.0); 2], true;
        /// 1 where `a > b`, one half where they are equal, 1 where either is NaN, else 0. The derivative is 0.
        GreaterHalf greater_half |a, b| if a < b { F::ZERO } else if a == b { F::of(0.5) } else { F::ONE }
            => |a, b| a.filled(0.0), b.filled(0.0), [(-4.0, 4.0); 2], true, flat = true;
        /// The mask of `a = b` with NaN equal to NaN: 1 where it holds, else 0. The derivative is 0.
        EqualNan equal_nan |a, b| if a == b || a.is_nan() && b.is_nan() { F::ONE } else { F::ZERO }
            => |a, b| a.filled(0.0), b.filled(0.0), [(-4.0, 4.0); 2], true, flat = true;
        /// `a` to the power of `b`, where `0^0` is 1. The derivative of `a^0` with respect to `a` is 0 everywhere;
        /// that of `0^b` with respect to `b` is 0 unless `b` is negative.
        Pow pow |a, b| a.powf(b) => |a, b| {
                let slope = a.combine(Pow, &b.add_scalar(-1.0)) * b;
                b.combine(Equal, &b.filled(0.0)).select(&b.filled(0.0), &slope)
            }, {
                let slope = a.combine(Pow, b) * a.ln();
                let base_is_zero = a.combine(Equal, &a.filled(0.0));
                (base_is_zero * b.combine(GreaterEqual, &b.filled(0.0))).select(&a.filled(0.0), &slope)
            }, [(0.3, 3.0), (-2.0, 3.0)], false;
        /// Angle of the point `(b, a)`, in `-pi..=pi`. Both derivatives at the origin are 0.
        Atan2 atan2 |a, b| a.atan2(b) => |a, b| over_square(b, a), -over_square(a, b), [(0.5, 4.0), (-4.0, 4.0)], false;
        /// `sqrt(a^2 + b^2)`, without overflow. The derivatives at the origin are NaN.
        Hypot hypot |a, b| a.hypot(b) => |a, b| a.clone() / a.combine(Hypot, b), b.clone() / a.combine(Hypot, b),
            [(0.3, 4.0), (-4.0, 4.0)], false;
        /// The mask of `a = b`: 1 where it holds, else 0; 0 where either is NaN. The derivative is 0.
        Equal equal |a, b| mask(a == b) => |a, b| a.filled(0.0), b.filled(0.0), [(-4.0, 4.0); 2], true, flat = true;
        /// The mask of `a != b`: 1 where it holds, else 0; 1 where either is NaN. The derivative is 0.
        NotEqual not_equal |a, b| mask(a != b) => |a, b| a.filled(0.0), b.filled(0.0), [(-4.0, 4.0); 2], true, flat = true;
        /// The mask of `a < b`: 1 where it holds, else 0; 0 where either is NaN. The derivative is 0.
        Less less |a, b| mask(a < b) => |a, b| a.filled(0.0), b.filled(0.0), [(-4.0, 4.0); 2], true, flat = true;
        /// The mask of `a <= b`: 1 where it holds, else 0; 0 where either is NaN. The derivative is 0.
        LessEqual less_equal |a, b| mask(a <= b) => |a, b| a.filled(0.0), b.filled(0.0), [(-4.0, 4.0); 2], true, flat = true;
        /// The mask of `a > b`: 1 where it holds, else 0; 0 where either is NaN. The derivative is 0.
        Greater greater |a, b| mask(a > b) => |a, b| a.filled(0.0), b.filled(0.0), [(-4.0, 4.0); 2], true, flat = true;
        /// The mask of `a >= b`: 1 where it holds, else 0; 0 where either is NaN. The derivative is 0.
        GreaterEqual greater_equal |a, b| mask(a >= b) => |a, b| a.filled(0.0), b.filled(0.0), [(-4.0, 4.0); 2], true, flat = true;
    }
}
