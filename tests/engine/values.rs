//! Every row of the two tables against an independent definition over plain numbers, and single precision against
//! double. A row without a definition fails.

use std::f64::consts::{E, FRAC_1_SQRT_2, FRAC_PI_2, LN_2, LN_10, PI, SQRT_2};

use wengert::ops::{self, Scalar};
use wengert::{BinaryOp, Float, UnaryOp};

/// The integral of `f` from 0 to `x`, by Simpson's rule.
fn integral(x: f64, f: impl Fn(f64) -> f64) -> f64 {
    let n = 2000;
    let h = x / f64::from(n);
    let inner = (1..n).map(|i| f(h * f64::from(i)) * if i % 2 == 1 { 4.0 } else { 2.0 });
    (f(0.0) + inner.sum::<f64>() + f(x)) * h / 3.0
}

/// The error function, by its integral.
fn erf(x: f64) -> f64 {
    2.0 / PI.sqrt() * integral(x, |t| (-t * t).exp())
}

/// The two constants of selu in closed form (<https://arxiv.org/abs/1706.02515>, equation 14).
fn selu_constants() -> (f64, f64) {
    let (near, far) = (1.0 - erf(FRAC_1_SQRT_2), 1.0 - erf(SQRT_2));
    let alpha = -(2.0 / PI).sqrt() / (near * E.sqrt() - 1.0);
    let inner = 2.0 * far * E * E + PI * near * near * E - 2.0 * (2.0 + PI) * near * E.sqrt();
    (alpha, (1.0 - near * E.sqrt()) * (2.0 * PI).sqrt() / (inner + PI + 2.0).sqrt())
}

fn of_one(name: &str) -> Option<fn(f64) -> f64> {
    Some(match name {
        "Neg" => |x| 0.0 - x,
        "MulScalar { factor: -1.7 }" => |x| -1.7 * x,
        "AddScalar { summand: 0.3 }" => |x| 0.3 + x,
        "Exp" => |x| E.powf(x),
        "ExpM1" => |x| E.powf(x) - 1.0,
        "Ln" => |x| 2.0 * ((x - 1.0) / (x + 1.0)).atanh(),
        "Ln1p" => |x| (1.0 + x).ln(),
        "Log2" => |x| x.ln() / LN_2,
        "Log10" => |x| x.ln() / LN_10,
        "Sin" => |x| (x - FRAC_PI_2).cos(),
        "Cos" => |x| 1.0 - 2.0 * (x / 2.0).sin().powi(2),
        "Tan" => |x| x.sin() / x.cos(),
        "Asin" => |x| x.atan2((1.0 - x * x).sqrt()),
        "Acos" => |x| (1.0 - x * x).sqrt().atan2(x),
        "Atan" => |x| (x / (1.0 + x * x).sqrt()).asin(),
        "Sinh" => |x| (x.exp() - (-x).exp()) / 2.0,
        "Cosh" => |x| (x.exp() + (-x).exp()) / 2.0,
        "Tanh" => |x| 1.0 - 2.0 / ((2.0 * x).exp() + 1.0),
        "Asinh" => |x| (x + (x * x + 1.0).sqrt()).ln(),
        "Acosh" => |x| (x + (x * x - 1.0).sqrt()).ln(),
        "Atanh" => |x| ((1.0 + x) / (1.0 - x)).ln() / 2.0,
        "Erf" => erf,
        "Erfc" => |x| 1.0 - erf(x),
        "Sqrt" => |x| x.powf(0.5),
        "Rsqrt" => |x| x.powf(-0.5),
        "Square" => |x| x.powi(2),
        "Recip" => |x| x.powi(-1),
        "Powf { exponent: 2.5 }" => |x| x * x * x.sqrt(),
        "Powi { exponent: -3 }" => |x| 1.0 / (x * x * x),
        "Abs" => |x| if x < 0.0 { -x } else { x },
        "Sign" => |x| x / x.abs(),
        "Step" => |x| if x > 0.0 { 1.0 } else { 0.0 },
        "Floor" => |x| x - x.rem_euclid(1.0),
        "Ceil" => |x| x + (-x).rem_euclid(1.0),
        "Round" => |x| (x + 0.5).floor(),
        "Clamp { min: -1.5, max: 0.7 }" => |x| x.clamp(-1.5, 0.7),
        "ClampMin { min: -0.6 }" => |x| x.max(-0.6),
        "ClampMax { max: 0.8 }" => |x| x.min(0.8),
        "Sigmoid" => |x| 1.0 / (1.0 + (-x).exp()),
        "LogSigmoid" => |x| -(1.0 + (-x).exp()).ln(),
        "Softplus" => |x| (1.0 + x.exp()).ln(),
        "Softsign" => |x| if x < 0.0 { x / (1.0 - x) } else { x / (1.0 + x) },
        "Relu" => |x| x.max(0.0),
        "Relu6" => |x| x.clamp(0.0, 6.0),
        "LeakyRelu { slope: 0.2 }" => |x| x.max(0.0) + 0.2 * x.min(0.0),
        "Elu { alpha: 1.3 }" => |x| x.max(0.0) + 1.3 * (x.min(0.0).exp() - 1.0),
        "Celu { alpha: 1.6 }" => |x| x.max(0.0) + (1.6 * (x / 1.6).exp() - 1.6).min(0.0),
        "Selu" => |x| {
            let (alpha, scale) = selu_constants();
            scale * (x.max(0.0) + alpha * (x.min(0.0).exp() - 1.0))
        },
        "Gelu" => |x| x * (0.5 + integral(x, |t| (-t * t / 2.0).exp()) / (2.0 * PI).sqrt()),
        "GeluTanh" => |x| x / 2.0 * (1.0 + ((2.0 / PI).sqrt() * (x + 0.044715 * x.powi(3))).tanh()),
        "Silu" => |x| x / (1.0 + (-x).exp()),
        "Mish" => |x| {
            let square = (1.0 + x.exp()).powi(2);
            x * (square - 1.0) / (square + 1.0)
        },
        "Hardtanh" => |x| x.clamp(-1.0, 1.0),
        "Hardsigmoid" => |x| (x / 6.0 + 0.5).clamp(0.0, 1.0),
        "Hardswish" => |x| if x.abs() < 3.0 { x * (x + 3.0) / 6.0 } else { x.max(0.0) },
        _ => return None,
    })
}

fn of_two(name: &str) -> Option<fn(f64, f64) -> f64> {
    Some(match name {
        "Mul" => |a, b| a / b.recip(),
        "Div" => |a, b| a * b.recip(),
        "Maximum" => |a, b| (a + b + (a - b).abs()) / 2.0,
        "Minimum" => |a, b| (a + b - (a - b).abs()) / 2.0,
        "GreaterHalf" => |a, b| (one_if(a > b) + one_if(a >= b)) / 2.0,
        "EqualNan" | "Equal" => |a, b| one_if(a - b == 0.0),
        "NotEqual" => |a, b| one_if(a - b != 0.0),
        "Less" => |a, b| one_if(a - b < 0.0),
        "LessEqual" => |a, b| one_if(a - b <= 0.0),
        "Greater" => |a, b| one_if(a - b > 0.0),
        "GreaterEqual" => |a, b| one_if(a - b >= 0.0),
        "Pow" => |a, b| (b * a.ln()).exp(),
        "Atan2" => |a, b| FRAC_PI_2 - (b / a).atan(),
        "Hypot" => |a, b| (a * a + b * b).sqrt(),
        _ => return None,
    })
}

fn one_if(holds: bool) -> f64 {
    f64::from(u8::from(holds))
}

/// `n` points inside an interval, none of them in its middle.
fn points((low, high): (f64, f64), n: u32) -> impl Iterator<Item = f64> {
    (0..n).map(move |i| low + (high - low) * (f64::from(i) + 0.47) / f64::from(n))
}

/// Checks that `ours` is `expected`, up to a relative `tolerance`, absolute where `expected` is below 1.
fn assert_near(what: &str, ours: f64, expected: f64, tolerance: f64) {
    let error = (ours - expected).abs() / expected.abs().max(1.0);
    assert!(error <= tolerance, "{what}: {ours:e}, not {expected:e}");
}

/// Eight units in the last place of single precision.
const SINGLE: f64 = 8.0 * f32::EPSILON as f64;

struct Definitions;

impl ops::Visitor for Definitions {
    fn unary<O: UnaryOp>(&mut self, op: O, domain: (f64, f64), _: &[f64]) {
        let name = format!("{op:?}");
        let definition = of_one(&name).unwrap_or_else(|| panic!("no definition of {name}"));
        for x in points(domain, 200) {
            assert_near(&format!("{name} at {x}"), op.value(x), definition(x), 1e-11);
        }
    }

    fn binary<O: BinaryOp>(&mut self, op: O, [first, second]: [(f64, f64); 2], _: bool) {
        let name = format!("{op:?}");
        let definition = of_two(&name).unwrap_or_else(|| panic!("no definition of {name}"));
        let pairs = points(first, 20).flat_map(|a| points(second, 21).map(move |b| (a, b)));
        for (a, b) in pairs.chain([(1.0, 1.0), (2.5, 2.5)]) {
            let what = format!("{name} at {a} and {b}");
            assert_near(&what, op.value(a, b), definition(a, b), 1e-11);
        }
    }
}

struct Precisions;

impl ops::Visitor for Precisions {
    fn unary<O: UnaryOp>(&mut self, op: O, domain: (f64, f64), _: &[f64]) {
        fn both<F: Float>(op: &impl UnaryOp, x: F) -> [f64; 2] {
            let y = op.value(x);
            [y.to_f64(), op.derivative(&Scalar(x), &Scalar(y)).0.to_f64()]
        }
        for x in points(domain, 2000).map(|x| x as f32) {
            let what = format!("{op:?} at {x}");
            let (single, double) = (both(&op, x), both(&op, f64::from(x)));
            assert_near(&what, single[0], double[0], SINGLE);
            assert_near(&format!("derivative of {what}"), single[1], double[1], 2.0 * SINGLE);
        }
    }

    fn binary<O: BinaryOp>(&mut self, op: O, [first, second]: [(f64, f64); 2], _: bool) {
        fn all<F: Float>(op: &impl BinaryOp, a: F, b: F) -> [f64; 3] {
            let derivative = |i| op.derivative(i, &Scalar(a), &Scalar(b)).0.to_f64();
            [op.value(a, b).to_f64(), derivative(0), derivative(1)]
        }
        for a in points(first, 40).map(|a| a as f32) {
            for b in points(second, 41).map(|b| b as f32) {
                let (single, double) = (all(&op, a, b), all(&op, f64::from(a), f64::from(b)));
                for (single, double) in single.into_iter().zip(double) {
                    assert_near(&format!("{op:?} at {a} and {b}"), single, double, 2.0 * SINGLE);
                }
            }
        }
    }
}

#[test]
fn elementwise_rows_have_the_value_of_their_definition() {
    ops::visit_unary(&mut Definitions);
}

#[test]
fn binary_rows_have_the_value_of_their_definition() {
    ops::visit_binary(&mut Definitions);
}

#[test]
fn elementwise_rows_agree_in_both_precisions() {
    ops::visit_unary(&mut Precisions);
}

#[test]
fn binary_rows_agree_in_both_precisions() {
    ops::visit_binary(&mut Precisions);
}

#[test]
fn matrix_products_by_their_definition() {
    use wengert::f64::prelude::*;
    // [2, 1, m, k] x [3, k, n]: a batch that broadcasts, with sizes that no block divides.
    let (m, k, n) = (5, 19, 7);
    let a = Tensor::from_fn([2, 1, m, k], |i| ((i * 31) % 17) as f64 - 8.0);
    let b = Tensor::from_fn([3, k, n], |i| ((i * 13) % 11) as f64 - 5.0);
    let y = a.matmul(&b);
    assert_eq!(y.shape(), Shape::from([2, 3, m, n]));
    for (i, &y) in y.as_slice().iter().enumerate() {
        let (column, row, right, left) = (i % n, i / n % m, i / n / m % 3, i / n / m / 3);
        let product = |p| a.at(&[left, 0, row, p]) * b.at(&[right, p, column]);
        // Whole numbers: exact.
        assert_eq!(y, (0..k).map(product).sum::<f64>());
    }
}

#[test]
fn products_of_batches_of_equal_number_and_different_shape() {
    use wengert::f64::prelude::*;
    // Two times one and one times two batches: as many on both sides, and four products.
    let a = Tensor::from_fn([2, 1, 2, 3], |i| (i as f64).sin());
    let b = Tensor::from_fn([1, 2, 3, 2], |i| (i as f64).cos());
    let weight = Tensor::from_fn([2, 2, 2, 2], |i| 1.0 + i as f64);
    let tape = Tape::new();
    let (x, y) = (tape.variable(&a), tape.variable(&b));
    let product = x.matmul(y);
    let gradients = (product * &weight).sum().backward();
    let (mut value, mut ga, mut gb) = (vec![0.0; 16], vec![0.0; 12], vec![0.0; 12]);
    for (at, value) in value.iter_mut().enumerate() {
        let [p, q, i, j] = [at / 8, at / 4 % 2, at / 2 % 2, at % 2];
        for k in 0..3 {
            let (left, right) = (p * 6 + i * 3 + k, q * 6 + k * 2 + j);
            *value += a.as_slice()[left] * b.as_slice()[right];
            ga[left] += weight.as_slice()[at] * b.as_slice()[right];
            gb[right] += weight.as_slice()[at] * a.as_slice()[left];
        }
    }
    let near = |found: &Tensor, exact: &[f64]| {
        let pairs = found.as_slice().iter().zip(exact);
        assert!(pairs.clone().all(|(found, exact)| (found - exact).abs() < 1e-12), "{found}");
    };
    near(&product.value(), &value);
    near(gradients.wrt(x).unwrap(), &ga);
    near(gradients.wrt(y).unwrap(), &gb);
}

/// In debug builds fresh memory is NaN, so that an element that is not written shows.
#[test]
fn results_of_many_elements_are_written_everywhere() {
    use wengert::f64::prelude::*;
    let n = 3000;
    let x = Tensor::ones([3, n]);
    let rows = Indices::from_vec((0..3).collect(), [3]);
    let places = Indices::from_vec((0..3 * n).map(|i| i % 7).collect(), [3, n]);
    let zeros = Tensor::zeros([3, n]);
    let tape = Tape::new();
    let v = tape.variable(&x);
    let gradient = |y: Var<'_>| y.sum().backward().wrt(v).unwrap().clone();
    let image = || v.reshape([1, 1, 90, 100]);
    let (thin, wide) = (Tensor::ones([1, 1, 3, 3]), Tensor::ones([3, 1, 3, 3]));
    for (name, found, sum) in [
        ("pad", x.pad(1, n, n, 0.0), 3.0 * n as f64),
        ("pad with ones", x.pad(0, 3, 0, 1.0), 6.0 * n as f64),
        ("diag", Tensor::ones([100]).diag(3), 100.0),
        ("tril", Tensor::ones([100, 100]).tril(0), 5050.0),
        ("one_hot", Tensor::one_hot(&places, 7), 3.0 * n as f64),
        ("scatter_add", zeros.scatter_add(1, &places, &x), 3.0 * n as f64),
        ("index_add", zeros.index_add(0, &rows, &x), 3.0 * n as f64),
        ("narrow", gradient(v.narrow(1, 5, 10)), 30.0),
        ("slice_step", gradient(v.slice_step(1, .., 10)), 900.0),
        ("pick", gradient(v.pick([0, 1, 2])), 3.0),
        ("gather", gradient(v.gather(1, &places)), 3.0 * n as f64),
        ("index_select", gradient(v.index_select(1, [4, 4])), 6.0),
        ("max_pool2d", gradient(image().max_pool2d(10)), 90.0),
        ("avg_pool2d", gradient(image().avg_pool2d(30)), 9.0),
        ("depthwise", gradient(image().conv2d(&thin, ConvOptions::new().stride(3))), 8910.0),
        ("conv2d", gradient(image().conv2d(&wide, ConvOptions::new().stride(3))), 3.0 * 8910.0),
        ("prod", gradient(v.prod_axes(1, false)), 3.0 * n as f64),
    ] {
        assert!((found.sum().item() - sum).abs() < 1e-9, "{name}: {}, not {sum}", found.sum());
    }
}
