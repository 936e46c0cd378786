//! Functions of `f64` that vectorise, as those of `f32` do, to one or two units in the last place: straight lines without
//! calls and without fused multiplications. `docs/accuracy.md` has the errors.
//!
//! Before AVX-512 there are no vector instructions that convert between `f64` and integers or shift signed integers of 64
//! bits. So integers come from floats, and go to them, through the low bits of a large float, and shifted numbers are not
//! negative.
//!
//! The coefficients are minimax fits (Remez's exchange in 50 digits, then rounded).

pub(crate) mod activations;
pub(crate) mod erf;

use super::{clamp, ln_special};

/// Adding this number to `x`, `|x| < 2^51`, leaves `round(x)` in the low bits of the sum.
const ROUND: f64 = 6_755_399_441_055_744.0; // 1.5 * 2^52
/// ln 2 in two parts: times an integer below 2^11, the first is exact.
const LN2_HI: f64 = 0.693_147_180_559_890_3;
const LN2_LO: f64 = 5.497_923_018_708_371e-14;
/// The bits of the square root of 1/2, where mantissas are cut, so that they lie around 1.
const SQRT_HALF_BITS: u64 = 0x3fe6_a09e_667f_3bcd;
/// The bits of a mantissa.
const MANTISSA: u64 = (1 << 52) - 1;

/// `c[0] + c[1] x + c[2] x^2 + ...`, in groups of four terms that a processor computes side by side.
#[inline(always)]
fn poly<const N: usize>(x: f64, c: [f64; N]) -> f64 {
    let square = x * x;
    let fourth = square * square;
    let group = |i: usize| match N - i {
        1 => c[i],
        2 => c[i] + x * c[i + 1],
        3 => c[i] + x * c[i + 1] + square * c[i + 2],
        _ => c[i] + x * c[i + 1] + square * (c[i + 2] + x * c[i + 3]),
    };
    let mut sum = group((N - 1) / 4 * 4);
    for k in (0..(N - 1) / 4).rev() {
        sum = sum * fourth + group(4 * k);
    }
    sum
}

/// 2 to the power of `n`, for `-1023 < n < 1024`; 0 for -1023.
#[inline(always)]
fn power_of_two(n: i64) -> f64 {
    f64::from_bits((n.wrapping_add(1023) as u64) << 52)
}

/// Two powers of 2 whose product is `2^n`, for `n` in `-2044..=2046`. Of the multiplications by them only the last rounds.
#[inline(always)]
fn powers_of_two(n: i64) -> (f64, f64) {
    let half = ((n.wrapping_add(2048) as u64 >> 1) as i64).wrapping_sub(1024);
    (power_of_two(half), power_of_two(n.wrapping_sub(half)))
}

/// A number as `n ln 2 + r - low`, with `|r| <= ln 2 / 2` and a `low` that is small. The sum is not rounded.
#[derive(Clone, Copy)]
struct Split {
    n: i64,
    r: f64,
    low: f64,
}

/// Splits `x + small`, `|x| < 1400`.
#[inline(always)]
fn reduce_sum(x: f64, small: f64) -> Split {
    let shifted = x * std::f64::consts::LOG2_E + ROUND;
    let n = shifted.to_bits().wrapping_sub(ROUND.to_bits()) as i64;
    let whole = shifted - ROUND;
    Split { n, r: x - whole * LN2_HI, low: whole * LN2_LO - small }
}

/// Splits `x`, `|x| < 1400`.
#[inline(always)]
fn reduce(x: f64) -> Split {
    reduce_sum(x, 0.0)
}

impl Split {
    /// `exp(r - low) + summand` in two parts, whose sum has little more than the error of its own rounding. The summand is
    /// positive, 0, or minus a power of two.
    #[inline(always)]
    fn exp_plus(self, summand: f64) -> (f64, f64) {
        // (exp(r) - 1 - r) / r^2
        const C: [f64; 11] = [
            0.5,
            0.166_666_666_666_666_74,
            0.041_666_666_666_666_69,
            0.008_333_333_333_323_225,
            0.001_388_888_888_886_978_1,
            0.000_198_412_698_824_812_82,
            2.480_158_735_587_270_5e-5,
            2.755_724_758_848_795e-6,
            2.755_724_612_534_364_5e-7,
            2.510_793_824_328_671e-8,
            2.092_354_376_119_477_6e-9,
        ];
        let r = self.r - self.low;
        let start = 1.0 + summand;
        let sum = start + self.r;
        let lost = ((start - 1.0) - summand) - (self.r - (sum - start));
        (sum, (r * r * poly(r, C) - self.low) - lost)
    }

    /// `exp(r - low)`.
    #[inline(always)]
    fn exp(self) -> f64 {
        let (sum, rest) = self.exp_plus(0.0);
        sum + rest
    }
}

/// `exp(x)`: infinite above 709.78, subnormal and then 0 below -708.4.
#[inline(always)]
pub(crate) fn exp(x: f64) -> f64 {
    let split = reduce(clamp(x, -746.0, 710.0));
    let (first, second) = powers_of_two(split.n);
    split.exp() * first * second
}

/// `exp(x) - 1`: -1 at minus infinity; keeps the sign of zero.
#[inline(always)]
pub(crate) fn exp_m1(x: f64) -> f64 {
    // Below -37.5 the result rounds to -1.
    let split = reduce(clamp(x, -38.0, 710.0));
    // The one is taken away before scaling, as 2^-n, which is nothing from 2^-1023 on.
    let one = if x > 709.0 { 0.0 } else { power_of_two(split.n.wrapping_neg()) };
    let (sum, rest) = split.exp_plus(-one);
    let (first, second) = powers_of_two(split.n);
    ((sum + rest) * first * second).copysign(x)
}

/// `ln(1 + f) + n ln 2` for `1 + f` between the square roots of 1/2 and 2.
#[inline(always)]
fn ln_reduced(f: f64, n: f64) -> f64 {
    // (ln((1 + s) / (1 - s)) / s - 2) / s^2 in the square of s.
    const C: [f64; 7] = [
        0.666_666_666_666_673_4,
        0.399_999_999_994_165_4,
        0.285_714_287_420_652_97,
        0.222_221_986_000_27,
        0.181_835_631_668_763_88,
        0.153_140_755_309_741_2,
        0.147_957_377_718_981_2,
    ];
    let s = f / (2.0 + f);
    let half_square = 0.5 * f * f;
    let square = s * s;
    let tail = s * (half_square + square * poly(square, C)) + n * LN2_LO;
    (f - (half_square - tail)) + n * LN2_HI
}

/// The exponent `n` and the mantissa of a positive normal `x`, the latter in `sqrt(1/2)..sqrt(2)`.
#[inline(always)]
fn exponent_and_mantissa(x: f64) -> (f64, f64) {
    let offset = x.to_bits().wrapping_sub(SQRT_HALF_BITS);
    // 2^52, whose low bits count ones, turns an integer that is not negative into a float.
    const COUNT: f64 = (1u64 << 52) as f64;
    let biased = offset.wrapping_add(1023 << 52) >> 52;
    let n = f64::from_bits(biased | COUNT.to_bits()) - (COUNT + 1023.0);
    (n, f64::from_bits((offset & MANTISSA).wrapping_add(SQRT_HALF_BITS)))
}

/// Natural logarithm: minus infinity at 0, NaN below.
#[inline(always)]
pub(crate) fn ln(x: f64) -> f64 {
    let small = x < f64::MIN_POSITIVE;
    let normal = if small { x * 18_014_398_509_481_984.0 } else { x }; // 2^54
    let (n, mantissa) = exponent_and_mantissa(normal);
    let n = if small { n - 54.0 } else { n };
    ln_special(x, ln_reduced(mantissa - 1.0, n))
}

/// `ln(1 + x)`: minus infinity at -1, NaN below; keeps the sign of zero.
#[inline(always)]
pub(crate) fn ln_1p(x: f64) -> f64 {
    let sum = 1.0 + x;
    // What the addition rounded away; its share of the logarithm is `lost / sum`.
    let lost = if sum >= 2.0 { 1.0 - (sum - x) } else { x - (sum - 1.0) };
    let (n, mantissa) = exponent_and_mantissa(sum);
    let near = n == 0.0;
    let f = if near { x } else { mantissa - 1.0 };
    let correction = if near { 0.0 } else { lost / sum };
    let value = ln_reduced(f, n) + correction;
    // Adding `n ln 2 = +0` has cost -0 its sign.
    let value = if x == 0.0 { x } else { value };
    ln_special(sum, value)
}

/// Hyperbolic tangent: within -1 and 1, which it reaches at about 19; keeps the sign of zero.
#[inline(always)]
pub(crate) fn tanh(x: f64) -> f64 {
    // (tanh(z) / z - 1) / z^2 is a quotient of polynomials in the square of z, up to 0.625.
    const P: [f64; 3] = [-1_614.440_578_627_483_5, -99.275_757_719_941_68, -0.964_394_497_665_876];
    const Q: [f64; 4] =
        [4_843.321_735_882_451, 2_235.155_967_512_760_5, 112.798_718_022_828_9, 1.0];
    let size = x.abs();
    let near = size < 0.625;
    let square = size * size;
    let split = reduce(clamp(2.0 * size, 0.0, 40.0));
    let exp = split.exp() * power_of_two(split.n);
    // One division serves both sides, and its error is small beside the first summand of either.
    let first = if near { size } else { 1.0 };
    let over = if near { size * square * poly(square, P) } else { -2.0 };
    let under = if near { poly(square, Q) } else { exp + 1.0 };
    (first + over / under).copysign(x)
}

/// Inverse hyperbolic cosine: NaN below 1, also far below, where `libm` has numbers.
#[inline(always)]
pub(crate) fn acosh(x: f64) -> f64 {
    if x < 1.0 { f64::NAN } else { libm::acosh(x) }
}
