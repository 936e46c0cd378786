//! Activations of `f64`. As those of `f32`, they multiply by the power of two last, and keep an exponent in two parts where
//! it is itself computed.

use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI};

use super::{Split, clamp, powers_of_two, reduce, reduce_sum};

/// The tanh form of gelu is `x sigmoid(x (GELU_LINEAR + GELU_CUBIC x^2))`, because `1 + tanh(u)` is `2 sigmoid(2 u)`; the
/// sigmoid keeps its digits where it is small.
pub(crate) const GELU_LINEAR: f64 = 2.0 * FRAC_2_SQRT_PI * FRAC_1_SQRT_2;
pub(crate) const GELU_CUBIC: f64 = 0.044_715 * GELU_LINEAR;

/// What the constants above are more than their `f64`.
const GELU_LINEAR_LOW: f64 = -9.969_308_809_110_92e-17;
const GELU_CUBIC_LOW: f64 = -6.175_149_918_155_315e-19;

/// Above this exponent, `x / exp(exponent)` is 0 for every finite `x` here.
const UNDERFLOW: f64 = 760.0;

/// `x / (1 + exp(-u))`, from `-u`, which is at least -40, and its split. The denominator is `2^n` times a number near 1.
#[inline(always)]
fn times_sigmoid(x: f64, minus_u: f64, split: Split) -> f64 {
    let (first, second) = powers_of_two(split.n.wrapping_neg());
    let (sum, rest) = split.exp_plus(first * second);
    let denominator = sum + rest;
    // Minus infinity gives NaN.
    let denominator = if minus_u > UNDERFLOW { f64::INFINITY } else { denominator };
    x / denominator * first * second
}

/// `1 / (1 + exp(-x))`.
#[inline(always)]
pub(crate) fn sigmoid(x: f64) -> f64 {
    times_sigmoid(1.0, -x, reduce(clamp(-x, -40.0, UNDERFLOW)))
}

/// `x sigmoid(x)`.
#[inline(always)]
pub(crate) fn silu(x: f64) -> f64 {
    times_sigmoid(x, -x, reduce(clamp(-x, -40.0, UNDERFLOW)))
}

/// `x tanh(softplus(x))`: `2 x / (d + 1 / d)` with `d = 1 + 2 exp(-x)`.
#[inline(always)]
pub(crate) fn mish(x: f64) -> f64 {
    // Above 40 it is x.
    let split = reduce(clamp(-x, -40.0, UNDERFLOW));
    // Both sides of the fraction are divided by a power of two, as in `times_sigmoid`.
    let (first, second) = powers_of_two(split.n.wrapping_neg());
    let half = 0.5 * first * second;
    let (sum, rest) = split.exp_plus(half);
    let d = sum + rest;
    let q = half / d;
    // What `d` has lost in rounding counts as much as the sum of `d` and its reciprocal changes with `d`.
    let denominator = d + (half * q + (rest - (d - sum)) * (1.0 - q * q));
    let denominator = if x < -UNDERFLOW { f64::INFINITY } else { denominator };
    x / denominator * first * second
}

/// `x sigmoid(x (GELU_LINEAR + GELU_CUBIC x^2))`.
#[inline(always)]
pub(crate) fn gelu_tanh(x: f64) -> f64 {
    const A: f64 = high(GELU_LINEAR, 18);
    const A_LOW: f64 = (GELU_LINEAR - A) + GELU_LINEAR_LOW;
    const B: f64 = high(GELU_CUBIC, 35);
    const B_LOW: f64 = (GELU_CUBIC - B) + GELU_CUBIC_LOW;
    // The products of parts with few digits are exact; the rest is small. Above 24 the sigmoid is 0 or 1.
    let size = clamp(x.abs(), 0.0, 24.0);
    let size_high = high(size, 36);
    let size_low = size - size_high;
    let (square, square_low) = (size_high * size_high, (size + size_high) * size_low);
    let cubic = B * square;
    let cubic_low = B_LOW * square + GELU_CUBIC * square_low;
    let factor = high(A + cubic, 18);
    let factor_low = ((A - factor) + cubic) + (A_LOW + cubic_low);
    let (u, u_low) = (size_high * factor, size_low * factor + size * factor_low);
    let (minus_u, minus_u_low) = if x < 0.0 { (u, u_low) } else { (-u, -u_low) };
    times_sigmoid(x, minus_u, reduce_sum(clamp(minus_u, -40.0, UNDERFLOW), minus_u_low))
}

/// `x` without its last binary digits.
#[inline(always)]
const fn high(x: f64, digits: u32) -> f64 {
    f64::from_bits(x.to_bits() >> digits << digits)
}
