//! Functions of `f64` that the standard library and `libm` do not have.
//!
//! An exponential multiplies the relative error of its exponent by the exponent. Where that would show, the rounding error
//! of the exponent is computed too, with fused multiplications, and the result is corrected.

use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI};

/// The tanh form of gelu is `x sigmoid(x (GELU_LINEAR + GELU_CUBIC x^2))`, because `1 + tanh(u)` is `2 sigmoid(2 u)`; the
/// sigmoid keeps its digits where it is small.
pub(crate) const GELU_LINEAR: f64 = 2.0 * FRAC_2_SQRT_PI * FRAC_1_SQRT_2;
pub(crate) const GELU_CUBIC: f64 = 0.044_715 * GELU_LINEAR;

/// What the constants above, and the square root of 1/2, are more than their `f64`.
const GELU_LINEAR_LOW: f64 = -9.969_308_809_110_92e-17;
const GELU_CUBIC_LOW: f64 = -6.175_149_918_155_315e-19;
const FRAC_1_SQRT_2_LOW: f64 = -4.833_646_656_726_457e-17;

/// Inverse hyperbolic cosine: NaN below 1, also far below, where `libm` has numbers.
#[inline(always)]
pub(crate) fn acosh(x: f64) -> f64 {
    if x < 1.0 { f64::NAN } else { libm::acosh(x) }
}

/// `1 / (1 + exp(-x))`, accurate down to the subnormals.
#[inline(always)]
pub(crate) fn sigmoid(x: f64) -> f64 {
    let small = (-x.abs()).exp();
    let top = if x < 0.0 { small } else { 1.0 };
    top / (1.0 + small)
}

/// `x sigmoid(u)`, also where the sigmoid alone is subnormal.
#[inline(always)]
fn times_sigmoid(x: f64, u: f64) -> f64 {
    if u < -700.0 {
        let root = (0.5 * u).exp();
        x * root * root
    } else {
        x / (1.0 + (-u).exp())
    }
}

/// `x sigmoid(x)`.
#[inline(always)]
pub(crate) fn silu(x: f64) -> f64 {
    times_sigmoid(x, x)
}

/// `x tanh(softplus(x))`: `x (1 + 2 e) / (1 + 2 e + 2 e^2)` with `e = exp(-x)`.
#[inline(always)]
pub(crate) fn mish(x: f64) -> f64 {
    if x < -40.0 {
        return times_sigmoid(x, x);
    }
    let e = (-x).exp();
    x / (1.0 + e * (2.0 * e / (1.0 + 2.0 * e)))
}

/// `x Phi(x)` with the standard normal distribution function `Phi`.
#[inline(always)]
pub(crate) fn gelu(x: f64) -> f64 {
    let z = x * -FRAC_1_SQRT_2;
    let value = 0.5 * x * libm::erfc(z);
    // `erfc(z)` falls like `exp(-z^2)`. A zero would lose its sign.
    if z > 1.0 && value != 0.0 {
        let lost = x.mul_add(-FRAC_1_SQRT_2, -z) - x * FRAC_1_SQRT_2_LOW;
        value - value * (2.0 * z * lost)
    } else {
        value
    }
}

/// `x sigmoid(x (GELU_LINEAR + GELU_CUBIC x^2))`.
#[inline(always)]
pub(crate) fn gelu_tanh(x: f64) -> f64 {
    let square = x * x;
    let cubic = GELU_CUBIC * square;
    let factor = GELU_LINEAR + cubic;
    let u = x * factor;
    let value = times_sigmoid(x, u);
    // On the right the error is not multiplied. A zero would lose its sign.
    if u < -1.0 && value != 0.0 {
        let square_low = x.mul_add(x, -square);
        let cubic_low = GELU_CUBIC.mul_add(square, -cubic)
            + (GELU_CUBIC * square_low + GELU_CUBIC_LOW * square);
        let rounded = factor - cubic;
        let sum_low = (GELU_LINEAR - rounded) + (cubic - (factor - rounded));
        let lost = x.mul_add(factor, -u) + x * (sum_low + (GELU_LINEAR_LOW + cubic_low));
        value + value * lost
    } else {
        value
    }
}
