//! Activations of `f32`, to two to four units in the last place wherever the result is a normal number.
//!
//! On the left they fall off like an exponential, far beyond the least number that an exponential or a probability alone
//! can be. So the power of two comes last, and an exponent that is itself computed is kept in two parts.

use super::{
    clamp, exp_m1_reduced, poly_in_halves, powers_of_two, reduce, reduce_sum, square_in_parts,
    times_exp,
};

/// Above this exponent, `x / exp(exponent)` is 0 for every finite `x` here.
const UNDERFLOW: f32 = 174.0;

/// `x / (1 + exp(-u))`, from `-u`, which is at least -80, and its split. The denominator is `2^n` times a number near 1.
#[inline(always)]
fn times_sigmoid(x: f32, minus_u: f32, (n, r): (i32, f32)) -> f32 {
    let (first, second) = powers_of_two(n.wrapping_neg());
    let denominator = 1.0 + exp_m1_reduced(r) + first * second;
    // Minus infinity gives NaN.
    let denominator = if minus_u > UNDERFLOW { f32::INFINITY } else { denominator };
    x / denominator * first * second
}

/// `x sigmoid(x)`.
#[inline(always)]
pub(crate) fn silu(x: f32) -> f32 {
    times_sigmoid(x, -x, reduce(clamp(-x, -80.0, UNDERFLOW)))
}

/// `x tanh(softplus(x))`: `x (1 + 2 e) / (1 + 2 e + 2 e^2)` with `e = exp(-x)`.
#[inline(always)]
pub(crate) fn mish(x: f32) -> f32 {
    // Above 20 it is x.
    let (n, r) = reduce(clamp(-x, -20.0, UNDERFLOW));
    // Both sides of the fraction are divided by a power of two, as in `times_sigmoid`.
    let (first, second) = powers_of_two(n.wrapping_neg());
    let (one, e) = (first * second, 1.0 + exp_m1_reduced(r));
    let twice = 2.0 * e;
    let denominator = one + e * (twice / (one + twice));
    let denominator = if x < -UNDERFLOW { f32::INFINITY } else { denominator };
    x / denominator * first * second
}

/// `x Phi(x)` with the standard normal distribution function `Phi`.
#[inline(always)]
pub(crate) fn gelu(x: f32) -> f32 {
    // ln(Phi(-x) exp(x^2 / 2) (x + 2)) / w in w = x / (x + 2), up to 14.3.
    const C: [f32; 12] = [
        -0.595_768_7,
        -0.369_041_74,
        -0.098_717_906,
        0.027_233_636,
        0.165_339_77,
        -0.388_590_4,
        1.443_43,
        -3.044_446_7,
        4.252_734,
        -3.803_351,
        1.870_425_2,
        -0.378_180_3,
    ];
    let size = clamp(x.abs(), 0.0, 17.0);
    let w = size / (size + 2.0);
    let (square, lost) = square_in_parts(size);
    let tail = times_exp(w, -0.5 * square, w * poly_in_halves(w, C) - 0.5 * lost);
    // Minus zero keeps the sign of a tail that is zero.
    let value = (if x < 0.0 { -0.0 } else { x }) - tail;
    if x < -17.0 { x * 0.0 } else { value }
}

/// `x sigmoid(x (a + b x^2))`, with the constants of the tanh form of gelu.
#[inline(always)]
pub(crate) fn gelu_tanh(x: f32) -> f32 {
    use super::double::activations::{GELU_CUBIC as CUBIC, GELU_LINEAR as LINEAR};
    const A: f32 = high(LINEAR as f32, 12);
    const A_LOW: f32 = (LINEAR - A as f64) as f32;
    const B: f32 = high(CUBIC as f32, 16);
    const B_LOW: f32 = (CUBIC - B as f64) as f32;
    // The products of parts with few digits are exact; the rest is small. Above 14 the sigmoid is 0 or 1.
    let size = clamp(x.abs(), 0.0, 14.0);
    let size_high = high(f32::from_bits(size.to_bits().wrapping_add(0x8000)), 16);
    let size_low = size - size_high;
    let (square, square_low) = (size_high * size_high, (size + size_high) * size_low);
    let cubic = B * square;
    let cubic_low = B_LOW * square + CUBIC as f32 * square_low;
    let factor = high(A + cubic, 8);
    let factor_low = ((A - factor) + cubic) + (A_LOW + cubic_low);
    let (u, u_low) = (size_high * factor, size_low * factor + size * factor_low);
    let (minus_u, minus_u_low) = if x < 0.0 { (u, u_low) } else { (-u, -u_low) };
    times_sigmoid(x, minus_u, reduce_sum(clamp(minus_u, -80.0, UNDERFLOW), minus_u_low))
}

/// `x` without its last binary digits.
#[inline(always)]
const fn high(x: f32, digits: u32) -> f32 {
    f32::from_bits(x.to_bits() >> digits << digits)
}
