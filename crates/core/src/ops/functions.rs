//! The table of elementwise functions of one argument.
//!
//! A row is all there is of such a function: its value over a number, its derivative over anything
//! that has the table's functions (so that it runs fused over numbers, composed over arrays, and
//! recorded over variables), and where its property test draws its inputs.

use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI, LOG2_E, LOG10_E};

use super::binary::{BinaryOp, Greater, GreaterHalf, Hypot, Less, MulNoNan};
use super::choose::Where;
use super::elementwise::{Scalar, UnaryOp, Visitor, elementwise};
use crate::Float;
use crate::op::{Arithmetic, Value};

/// 1 where `x > bound`, else 0; 0 at NaN.
#[inline(always)]
fn beyond<M: UnaryOps>(x: &M, bound: f64) -> M {
    x.combine(Greater, &x.filled(bound))
}

/// 1 where `x < bound`, else 0; 0 at NaN.
#[inline(always)]
fn below<M: UnaryOps>(x: &M, bound: f64) -> M {
    x.combine(Less, &x.filled(bound))
}

/// `1 - x^2`, to all digits also where `x` is close to 1 or -1.
#[inline(always)]
fn one_minus_square<M: UnaryOps>(x: &M) -> M {
    (-x.clone() + 1.0) * (x.clone() + 1.0)
}

/// `x` held inside `low..=high`; NaN stays NaN.
#[inline(always)]
fn clamp<F: Float>(x: F, low: f64, high: f64) -> F {
    let (low, high) = (F::of(low), F::of(high));
    let x = if x < low { low } else { x };
    if x > high { high } else { x }
}

/// The constants of [`Selu`], with which mean 0 and variance 1 are a fixed point.
const SELU_ALPHA: f64 = 1.673_263_242_354_377_2;
const SELU_SCALE: f64 = 1.050_700_987_355_480_5;

/// The tanh form of gelu is `x sigmoid(x (LINEAR + CUBIC x^2))`, because `1 + tanh(u)` is
/// `2 sigmoid(2 u)`; unlike the former, the latter keeps its digits where it is small.
const LINEAR: f64 = 2.0 * FRAC_2_SQRT_PI * FRAC_1_SQRT_2;
const CUBIC: f64 = 0.044_715 * LINEAR;

elementwise! {
    /// `-x`.
    Neg neg() |x| -x => |x, _| x.filled(-1.0), (-4.0, 4.0), [];
    /// `x * factor`, with a constant factor.
    MulScalar mul_scalar(factor: f64 = -1.7) |x| x * F::of(factor) => |x, _| x.filled(factor), (-4.0, 4.0), [];
    /// `x + summand`, with a constant summand.
    AddScalar add_scalar(summand: f64 = 0.3) |x| x + F::of(summand) => |x, _| x.filled(1.0), (-4.0, 4.0), [];
    /// `x * x`.
    Square square() |x| x * x => |x, _| x.clone() * 2.0, (-4.0, 4.0), [];
    /// Square root; the derivative at 0 is inf.
    Sqrt sqrt() |x| x.sqrt() => |_, y| y.recip() * 0.5, (0.2, 6.0), [];
    /// `1 / sqrt(x)`: inf at 0, with derivative -inf; NaN below.
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
    /// Natural logarithm: -inf at 0, with derivative inf; NaN below.
    Ln ln() |x| x.ln() => |x, _| x.recip(), (0.2, 6.0), [];
    /// `ln(1 + x)`, accurate near 0: -inf at -1, with derivative inf; NaN below.
    Ln1p ln_1p() |x| x.ln_1p() => |x, _| (x.clone() + 1.0).recip(), (-0.8, 5.0), [];
    /// Logarithm to base 2: -inf at 0, with derivative inf; NaN below.
    Log2 log2() |x| x.log2() => |x, _| x.recip() * LOG2_E, (0.2, 6.0), [];
    /// Logarithm to base 10: -inf at 0, with derivative inf; NaN below.
    Log10 log10() |x| x.log10() => |x, _| x.recip() * LOG10_E, (0.2, 6.0), [];
    /// Sine of an angle in radians.
    Sin sin() |x| x.sin() => |x, _| x.cos(), (-4.0, 4.0), [];
    /// Cosine of an angle in radians.
    Cos cos() |x| x.cos() => |x, _| -x.sin(), (-4.0, 4.0), [];
    /// Tangent of an angle in radians.
    Tan tan() |x| x.tan() => |_, y| y.square() + 1.0, (-1.2, 1.2), [];
    /// The angle in `-pi/2..=pi/2` with this sine; NaN outside -1 and 1, where the derivative is inf.
    Asin asin() |x| x.asin() => |x, _| one_minus_square(x).rsqrt(), (-0.8, 0.8), [];
    /// The angle in `0..=pi` with this cosine; NaN outside -1 and 1, where the derivative is -inf.
    Acos acos() |x| x.acos() => |x, _| -one_minus_square(x).rsqrt(), (-0.8, 0.8), [];
    /// The angle in `-pi/2..=pi/2` with this tangent.
    Atan atan() |x| x.atan() => |x, _| (x.square() + 1.0).recip(), (-4.0, 4.0), [];
    /// Hyperbolic sine `(exp(x) - exp(-x)) / 2`.
    Sinh sinh() |x| x.sinh() => |x, _| x.cosh(), (-3.0, 3.0), [];
    /// Hyperbolic cosine `(exp(x) + exp(-x)) / 2`.
    Cosh cosh() |x| x.cosh() => |x, _| x.sinh(), (-3.0, 3.0), [];
    /// Hyperbolic tangent.
    Tanh tanh() |x| x.tanh() => |_, y| -y.square() + 1.0, (-3.0, 3.0), [];
    /// Inverse of the hyperbolic sine, `ln(x + sqrt(x^2 + 1))`; `x^2` does not overflow.
    Asinh asinh() |x| x.asinh() => |x, _| x.combine(Hypot, &x.filled(1.0)).recip(), (-4.0, 4.0), [];
    /// Inverse of the hyperbolic cosine, `ln(x + sqrt(x^2 - 1))`: the derivative at 1 is inf; NaN below.
    Acosh acosh() |x| x.acosh()
        => |x, _| (x.clone() - 1.0).rsqrt() * (x.clone() + 1.0).rsqrt(), (1.3, 6.0), [];
    /// Inverse of the hyperbolic tangent, `ln((1 + x) / (1 - x)) / 2`: inf at 1, -inf at -1, both with
    /// derivative inf; NaN beyond.
    Atanh atanh() |x| x.atanh() => |x, _| one_minus_square(x).recip(), (-0.8, 0.8), [];
    /// The error function.
    Erf erf() |x| x.erf() => |x, _| (-x.square()).exp() * FRAC_2_SQRT_PI, (-2.0, 2.0), [];
    /// The complement of the error function, `1 - erf(x)`, accurate where it is small.
    Erfc erfc() |x| x.erfc() => |x, _| (-x.square()).exp() * -FRAC_2_SQRT_PI, (-2.0, 2.0), [];
    /// Magnitude. The derivative at 0 is 0.
    Abs abs() |x| x.abs() => |x, _| x.sign(), (-4.0, 4.0), [0.0];
    /// The sign: -1, 0 or 1. The derivative is 0.
    Sign sign() |x| if x > F::ZERO { F::ONE } else if x < F::ZERO { -F::ONE } else { x * F::ZERO }
        => |x, _| x.filled(0.0), (-4.0, 4.0), [0.0];
    /// 1 above 0, else 0; 1 at NaN. The derivative is 0.
    Step step() |x| if x <= F::ZERO { F::ZERO } else { F::ONE } => |x, _| x.filled(0.0), (-4.0, 4.0), [0.0];
    /// The largest integer that is not above `x`. The derivative is 0.
    Floor floor() |x| x.floor() => |x, _| x.filled(0.0), (-0.9, 1.9), [0.0, 1.0];
    /// The smallest integer that is not below `x`. The derivative is 0.
    Ceil ceil() |x| x.ceil() => |x, _| x.filled(0.0), (-0.9, 1.9), [0.0, 1.0];
    /// The nearest integer; of two the even one, as in NumPy and PyTorch (and unlike Rust's `round`).
    /// The derivative is 0.
    Round round() |x| x.round_ties_even() => |x, _| x.filled(0.0), (-1.4, 1.4), [-0.5, 0.5];
    /// `x` held inside `min..=max`; a NaN stays one. The derivative is 1 inside, and 0 outside, on the
    /// borders and at NaN.
    Clamp clamp(min: f64 = -1.5, max: f64 = 0.7) |x| clamp(x, min, max)
        => |x, _| beyond(x, min) * below(x, max), (-4.0, 4.0), [-1.5, 0.7];
    /// `max(x, min)`; a NaN stays one. The derivative is 1 above `min`, else 0, also at NaN.
    ClampMin clamp_min(min: f64 = -0.6) |x| if x < F::of(min) { F::of(min) } else { x }
        => |x, _| beyond(x, min), (-4.0, 4.0), [-0.6];
    /// `min(x, max)`; a NaN stays one. The derivative is 1 below `max`, else 0, also at NaN.
    ClampMax clamp_max(max: f64 = 0.8) |x| if x > F::of(max) { F::of(max) } else { x }
        => |x, _| below(x, max), (-4.0, 4.0), [0.8];
    /// Logistic function `1 / (1 + exp(-x))`; finite everywhere.
    Sigmoid sigmoid() |x| x.sigmoid() => |_, y| (-y.clone() + 1.0) * y, (-4.0, 4.0), [];
    /// `ln(sigmoid(x)) = -ln(1 + exp(-x))`; finite for every finite `x`
    /// (<https://docs.pytorch.org/docs/stable/generated/torch.nn.LogSigmoid.html>).
    LogSigmoid log_sigmoid()
        |x| { let negative = if x >= F::ZERO { F::ZERO } else { x }; negative - (-x.abs()).exp().ln_1p() }
        => |x, _| (-x.clone()).sigmoid(), (-4.0, 4.0), [];
    /// `ln(1 + exp(x))`, without overflow.
    Softplus softplus() |x| { let positive = if x <= F::ZERO { F::ZERO } else { x }; positive + (-x.abs()).exp().ln_1p() }
        => |x, _| x.sigmoid(), (-4.0, 4.0), [];
    /// `x / (1 + |x|)` (<https://docs.pytorch.org/docs/stable/generated/torch.nn.Softsign.html>).
    Softsign softsign() |x| x / (F::ONE + x.abs()) => |x, _| (x.abs() + 1.0).square().recip(), (-4.0, 4.0), [0.0];
    /// `max(x, 0)`; a NaN stays one. The derivative at 0 is 0.
    Relu relu() |x| if x <= F::ZERO { F::ZERO } else { x } => |x, _| x.step(), (-4.0, 4.0), [0.0];
    /// `min(max(x, 0), 6)`; a NaN stays one. The derivative at 0 and 6 is 0
    /// (<https://docs.pytorch.org/docs/stable/generated/torch.nn.ReLU6.html>).
    Relu6 relu6() |x| clamp(x, 0.0, 6.0)
        => |x, _| x.step() * (-x.clone() + 6.0).step(), (-3.0, 9.0), [0.0, 6.0];
    /// `x` above 0, else `slope x`. The derivative at 0 is the slope
    /// (<https://docs.pytorch.org/docs/stable/generated/torch.nn.LeakyReLU.html>).
    LeakyRelu leaky_relu(slope: f64 = 0.2) |x| if x > F::ZERO { x } else { x * F::of(slope) }
        => |x, _| beyond(x, 0.0).where_cond(&x.filled(1.0), &x.filled(slope)), (-4.0, 4.0), [0.0];
    /// `x` above 0, else `alpha (exp(x) - 1)`. The derivative at 0 is `alpha`, usually 1
    /// (<https://docs.pytorch.org/docs/stable/generated/torch.nn.ELU.html>).
    Elu elu(alpha: f64 = 1.3) |x| if x > F::ZERO { x } else { x.exp_m1() * F::of(alpha) }
        => |x, _| beyond(x, 0.0).where_cond(&x.filled(1.0), &(x.exp() * alpha)), (-4.0, 4.0), [0.0];
    /// `x` above 0, else `alpha (exp(x / alpha) - 1)`. The derivative at 0 is 1
    /// (<https://docs.pytorch.org/docs/stable/generated/torch.nn.CELU.html>).
    Celu celu(alpha: f64 = 1.6)
        |x| if x > F::ZERO { x } else { (x / F::of(alpha)).exp_m1() * F::of(alpha) }
        => |x, _| beyond(x, 0.0).where_cond(&x.filled(1.0), &(x.clone() * alpha.recip()).exp()), (-4.0, 4.0), [0.0];
    /// `scale x` above 0, else `scale alpha (exp(x) - 1)`, with the constants that keep mean 0 and
    /// variance 1. The derivative at 0 is `scale alpha`
    /// (<https://docs.pytorch.org/docs/stable/generated/torch.nn.SELU.html>).
    Selu selu() |x| (if x > F::ZERO { x } else { x.exp_m1() * F::of(SELU_ALPHA) }) * F::of(SELU_SCALE)
        => |x, _| {
            let (right, left) = (x.filled(SELU_SCALE), x.exp() * (SELU_SCALE * SELU_ALPHA));
            beyond(x, 0.0).where_cond(&right, &left)
        }, (-4.0, 4.0), [0.0];
    /// `x * Phi(x)` with the normal distribution function (<https://arxiv.org/abs/1606.08415>).
    Gelu gelu() |x| x * F::of(0.5) * ((x * F::of(FRAC_1_SQRT_2)).erf() + F::ONE)
        => |x, _| {
            let density = (x.square() * -0.5).exp() * (FRAC_2_SQRT_PI * FRAC_1_SQRT_2 * 0.5);
            ((x.clone() * FRAC_1_SQRT_2).erf() + 1.0) * 0.5 + density * x
        }, (-3.0, 3.0), [];
    /// `x / 2 (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3)))`, PyTorch's `gelu` with `approximate='tanh'`
    /// (<https://docs.pytorch.org/docs/stable/generated/torch.nn.GELU.html>).
    GeluTanh gelu_tanh() |x| x * (x * (x * x * F::of(CUBIC) + F::of(LINEAR))).sigmoid()
        => |x, _| {
            let square = x.square();
            let s = (x.clone() * (square.clone() * CUBIC + LINEAR)).sigmoid();
            // Where the sigmoid has saturated, the factor behind it may have overflowed.
            let slope = (-s.clone() + 1.0) * &s;
            s + slope.mul_no_nan(&((square * (3.0 * CUBIC) + LINEAR) * x))
        }, (-3.0, 3.0), [];
    /// `x * sigmoid(x)`, also called swish (<https://arxiv.org/abs/1606.08415>).
    Silu silu() |x| x * x.sigmoid() => |x, y| { let s = x.sigmoid(); (-s.clone() + 1.0) * y + s }, (-4.0, 4.0), [];
    /// `x tanh(softplus(x))` (<https://arxiv.org/abs/1908.08681>).
    Mish mish() |x| x * Softplus.value(x).tanh()
        => |x, _| {
            let t = x.softplus().tanh();
            (-t.square() + 1.0) * x.sigmoid() * x + t
        }, (-4.0, 4.0), [];
    /// `min(max(x, -1), 1)`; a NaN stays one. The derivative at -1 and 1 is 0
    /// (<https://docs.pytorch.org/docs/stable/generated/torch.nn.Hardtanh.html>).
    Hardtanh hardtanh() |x| clamp(x, -1.0, 1.0)
        => |x, _| (x.clone() + 1.0).step() * (-x.clone() + 1.0).step(), (-3.0, 3.0), [-1.0, 1.0];
    /// `min(max(x + 3, 0), 6) / 6`. The derivative at -3 and 3 is 0
    /// (<https://docs.pytorch.org/docs/stable/generated/torch.nn.Hardsigmoid.html>).
    Hardsigmoid hardsigmoid() |x| clamp(x + F::of(3.0), 0.0, 6.0) / F::of(6.0)
        => |x, _| beyond(x, -3.0) * below(x, 3.0) * (1.0 / 6.0), (-5.0, 5.0), [-3.0, 3.0];
    /// `x min(max(x + 3, 0), 6) / 6`. The derivative is 0 at -3 and 1 at 3
    /// (<https://docs.pytorch.org/docs/stable/generated/torch.nn.Hardswish.html>).
    Hardswish hardswish() |x| x * clamp(x + F::of(3.0), 0.0, 6.0) / F::of(6.0)
        => |x, _| {
            let inside = beyond(x, -3.0) * below(x, 3.0);
            inside.mul_no_nan(&(x.clone() * (1.0 / 3.0) + 0.5)) - below(x, 3.0) + 1.0
        }, (-5.0, 5.0), [-3.0, 3.0];
}
