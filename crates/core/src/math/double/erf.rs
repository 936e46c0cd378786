//! The error function of `f64`, its complement, and gelu.

use super::{Split, clamp, poly, power_of_two, powers_of_two, reduce, reduce_sum};

/// The error function: within -1 and 1, which it reaches at about 5.9; keeps the sign of zero.
#[inline(always)]
pub(crate) fn erf(x: f64) -> f64 {
    // erf(x) / x - 1 in the square of x, up to 0.92.
    const NEAR: [f64; 12] = [
        0.128_379_167_095_512_6,
        -0.376_126_389_031_838_54,
        0.112_837_916_709_572_18,
        -0.026_866_170_645_254_712,
        0.005_223_977_624_734_537,
        -0.000_854_832_688_620_917_2,
        0.000_120_553_244_903_590_45,
        -1.492_535_700_225_217_1e-5,
        1.645_580_012_285_683_1e-6,
        -1.627_889_025_086_117_6e-7,
        1.405_515_313_580_508_5e-8,
        -8.485_675_915_210_547e-10,
    ];
    // -ln(1 - erf(x)) from 0.9 to 6.
    const FAR: [f64; 19] = [
        7.106_981_298_513_207e-8,
        1.128_378_412_423_062_5,
        0.636_623_452_923_446_2,
        0.102_761_744_650_007_47,
        -0.019_107_077_039_603_487,
        -0.000_237_993_388_141_955_22,
        0.001_721_364_807_249_956,
        -0.000_599_524_942_082_096_7,
        1.603_614_611_489_974e-5,
        8.621_216_632_461_964e-5,
        -5.199_960_931_941_276_4e-5,
        1.894_982_262_558_767_5e-5,
        -5.000_608_803_272_07e-6,
        9.957_808_046_229_566e-7,
        -1.495_730_645_245_240_7e-7,
        1.651_324_892_127_457e-8,
        -1.267_575_502_370_518e-9,
        6.049_254_856_200_326e-11,
        -1.351_814_776_674_087_1e-12,
    ];
    let size = x.abs();
    let near = size + size * poly(size * size, NEAR);
    let split = reduce(-poly(clamp(size, 0.0, 6.0), FAR));
    let far = 1.0 - split.exp() * power_of_two(split.n);
    (if size < 0.92 { near } else { far }).copysign(x)
}

/// `1 - erf(x)`: subnormal and then 0 above 26.54; 2 on the left.
#[inline(always)]
pub(crate) fn erfc(x: f64) -> f64 {
    // erfc(x) exp(x^2) is `p / (x + 0.875)`.
    const FACTOR: Factor<23> = Factor {
        shift: 0.875,
        first: 0.667_872_355_922_174_3,
        first_low: -3.393_078_445_633_560_6e-17,
        others: [
            -0.166_961_076_705_345_63,
            0.089_709_705_645_659_21,
            -0.027_548_154_134_143_79,
            -0.009_658_341_493_563_472,
            0.023_200_986_634_244_62,
            -0.021_428_036_711_571_535,
            0.013_767_278_007_463_765,
            -0.006_576_268_170_440_696,
            0.002_216_312_429_534_265_6,
            -0.000_387_047_285_238_861_84,
            -7.000_963_107_841_948e-5,
            6.685_230_174_785_143e-5,
            -1.291_338_676_503_711_1e-5,
            -4.506_741_733_033_461e-6,
            2.701_745_154_652_619_4e-6,
            4.024_903_257_057_485_5e-8,
            -3.768_295_578_247_792e-7,
            4.694_429_506_569_743e-8,
            4.944_331_137_572_166e-8,
            -9.894_353_168_866_26e-9,
            -6.394_009_440_052_893e-9,
            1.005_215_489_512_805_2e-9,
            5.924_151_579_826_536e-10,
        ],
    };
    let size = clamp(x.abs(), 0.0, 28.0);
    let (square, lost) = square_in_parts(size);
    let split = reduce_sum(-square, -lost);
    let (first, second) = powers_of_two(split.n);
    let (value, rest) = FACTOR.times_exp(size, split);
    let tail = (value + rest) * first * second;
    if x < 0.0 { 2.0 - tail } else { tail }
}

/// `x Phi(x)` with the standard normal distribution function `Phi`.
#[inline(always)]
pub(crate) fn gelu(x: f64) -> f64 {
    // Phi(-x) exp(x^2 / 2) is `p / (x + 1.25)`.
    const FACTOR: Factor<23> = Factor {
        shift: 1.25,
        first: 0.495_655_866_835_336_9,
        first_low: 4.054_763_399_880_775e-18,
        others: [
            -0.139_302_907_713_639_65,
            0.045_094_448_559_241_15,
            0.010_673_512_219_115_413,
            -0.024_481_636_401_500_174,
            0.015_813_073_609_184_488,
            -0.004_875_488_072_396_888,
            -0.000_125_919_635_643_218_83,
            0.000_648_101_038_206_948_3,
            -0.000_105_818_972_422_169_84,
            -8.069_110_269_218_75e-5,
            2.240_791_321_053_556_3e-5,
            1.255_099_692_290_017_5e-5,
            -3.639_466_614_236_124_7e-6,
            -2.447_566_550_369_194_6e-6,
            4.557_973_588_642_091e-7,
            5.285_059_837_082_416e-7,
            -1.146_451_083_775_490_2e-8,
            -1.086_985_408_382_069_2e-7,
            -1.718_029_252_529_246_5e-8,
            1.769_837_018_213_146e-8,
            5.866_891_638_410_771e-9,
            -1.590_585_243_266_383_3e-9,
            -7.708_421_959_458_209e-10,
        ],
    };
    let size = clamp(x.abs(), 0.0, 39.5);
    let (square, lost) = square_in_parts(size);
    let split = reduce_sum(-0.5 * square, -0.5 * lost);
    let (first, second) = powers_of_two(split.n);
    let (value, rest) = product_in_parts((size, 0.0), FACTOR.times_exp(size, split));
    let tail = (value + rest) * first * second;
    // Minus zero keeps the sign of a tail that is zero.
    let value = (if x < 0.0 { -0.0 } else { x }) - tail;
    if x < -39.5 { x * 0.0 } else { value }
}

/// `p / (x + shift)`, where `p` changes little between 0 and infinity: it is a polynomial in `(x - 4) / (x + 4)`, whose
/// first coefficient has two parts.
struct Factor<const N: usize> {
    shift: f64,
    first: f64,
    first_low: f64,
    others: [f64; N],
}

impl<const N: usize> Factor<N> {
    /// The quotient at `x`, times an exponential without its power of two, in two parts.
    #[inline(always)]
    fn times_exp(self, x: f64, exponent: Split) -> (f64, f64) {
        let v = (x - 4.0) / (x + 4.0);
        let change = v * poly(v, self.others);
        let value = self.first + change;
        let value_rest = ((self.first - value) + change) + self.first_low;
        let (high, low) = product_in_parts(exponent.exp_plus(0.0), (value, value_rest));
        // Product and denominator are rounded; what they lost is divided after them.
        let product = high + low;
        let product_rest = (high - product) + low;
        let sum = x + self.shift;
        let rounded = sum - x;
        let sum_rest = (x - (sum - rounded)) + (self.shift - rounded);
        let quotient = product / sum;
        (quotient, (product_rest - quotient * sum_rest) / sum)
    }
}

/// The product of two numbers in two parts. That of their first digits is exact.
#[inline(always)]
fn product_in_parts((a, a_rest): (f64, f64), (b, b_rest): (f64, f64)) -> (f64, f64) {
    let (a_high, b_high) = (high(a), high(b));
    let (a_low, b_low) = ((a - a_high) + a_rest, (b - b_high) + b_rest);
    (a_high * b_high, a_high * b_low + a_low * b)
}

/// The square of `x`, and what its rounding lost, from a square of few digits, which is exact.
#[inline(always)]
fn square_in_parts(x: f64) -> (f64, f64) {
    let (square, high) = (x * x, high(x));
    (square, (high * high - square) + (x + high) * (x - high))
}

/// The first 26 binary digits of `x`.
#[inline(always)]
fn high(x: f64) -> f64 {
    f64::from_bits(x.to_bits() >> 27 << 27)
}
