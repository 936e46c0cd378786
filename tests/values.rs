//! The functions of the tables against definitions written down here with the standard library, in
//! both precisions.

use wengert::Value;
use wengert::core::Array;
use wengert::f64::prelude::*;
use wengert::ops::{Binary, binary, elementwise};
use wengert::{Elementwise, Float};

/// The error function by its Taylor series, for `|x| <= 2.2`.
fn erf(x: f64) -> f64 {
    let mut term = x;
    let mut sum = 0.0;
    for n in 0..60 {
        sum += term / f64::from(2 * n + 1);
        term *= -x * x / f64::from(n + 1);
    }
    sum * std::f64::consts::FRAC_2_SQRT_PI
}

/// What a row should compute, with the constant that its test uses.
fn defined(name: &str, x: f64) -> Option<f64> {
    Some(match name {
        "Negate" => -x,
        "Scale { factor: -1.7 }" => -1.7 * x,
        "Offset { summand: 0.3 }" => x + 0.3,
        "Exp" => x.exp(),
        "Ln" => x.ln(),
        "Sin" => x.sin(),
        "Cos" => x.cos(),
        "Tanh" => x.tanh(),
        "Sigmoid" => 1.0 / (1.0 + (-x).exp()),
        "Relu" => x.max(0.0),
        "Step" => f64::from(x > 0.0),
        "Sign" => f64::from(x > 0.0) - f64::from(x < 0.0),
        "Abs" => x.abs(),
        "Sqrt" => x.sqrt(),
        "Square" => x * x,
        "Recip" => 1.0 / x,
        "Powf { exponent: 2.5 }" => x * x * x.sqrt(),
        "Erf" => erf(x),
        "Softplus" => (1.0 + x.exp()).ln(),
        "Silu" => x / (1.0 + (-x).exp()),
        "Gelu" => 0.5 * x * (1.0 + erf(x * 0.5f64.sqrt())),
        _ => return None,
    })
}

fn defined_for_two(name: &str, a: f64, b: f64) -> Option<f64> {
    Some(match name {
        "Mul" | "Gate" => a * b,
        "Div" => a / b,
        "Maximum" => a.max(b),
        "Minimum" => a.min(b),
        "Above" if a == b => 0.5,
        "Above" => f64::from(a > b),
        "Same" => f64::from(a == b),
        _ => return None,
    })
}

fn assert_near<F: Float>(name: &str, ours: &Array<F>, expected: &[f64]) {
    // Double precision, also where a definition cancels; single precision to a few units.
    let tolerance = if F::NAME == "f64" { 1e-13 } else { 1e-6 };
    for (ours, expected) in ours.as_slice().iter().zip(expected) {
        let error = (ours.to_f64() - expected).abs();
        let allowed = tolerance * expected.abs().max(1.0);
        assert!(error <= allowed, "{name} in {}: {ours:?} for {expected:?}", F::NAME);
    }
}

/// How many rows had a definition.
struct Values(usize);

/// Enough of them for the vectorised loops and for what is left over.
const POINTS: usize = 1003;

impl elementwise::Visitor for Values {
    fn elementwise<E: Elementwise>(&mut self, op: E, (low, high): (f64, f64), _: &[f64]) {
        let name = format!("{op:?}");
        let x = Array::<f32>::linspace(low, high, POINTS);
        let x64 = x.cast::<f64>();
        let Some(expected) =
            x64.as_slice().iter().map(|&x| defined(&name, x)).collect::<Option<Vec<_>>>()
        else {
            return;
        };
        assert_near(&name, &Array::apply(op.clone(), [&x]), &expected);
        assert_near(&name, &Array::apply(op, [&x64]), &expected);
        self.0 += 1;
    }
}

impl binary::Visitor for Values {
    fn binary<B: Binary>(&mut self, op: B, [a, b]: [(f64, f64); 2], _: bool) {
        let name = format!("{op:?}");
        let a = Array::<f32>::linspace(a.0, a.1, 37);
        let b = Array::<f32>::linspace(b.0, b.1, 27).reshape([27, 1]);
        let (a64, b64) = (a.cast::<f64>(), b.cast::<f64>());
        let pairs = b64.as_slice().iter().flat_map(|b| a64.as_slice().iter().map(move |a| (a, b)));
        let Some(expected) =
            pairs.map(|(&a, &b)| defined_for_two(&name, a, b)).collect::<Option<Vec<_>>>()
        else {
            return;
        };
        assert_near(&name, &Array::apply(op.clone(), [&a, &b]), &expected);
        assert_near(&name, &Array::apply(op, [&a64, &b64]), &expected);
        self.0 += 1;
    }
}

#[test]
fn elementwise_functions() {
    let mut values = Values(0);
    elementwise::visit(&mut values);
    assert!(values.0 >= 21, "only {} rows have a definition here", values.0);
}

#[test]
fn functions_of_two_arguments() {
    let mut values = Values(0);
    binary::visit(&mut values);
    assert!(values.0 >= 7, "only {} rows have a definition here", values.0);
}

#[test]
fn matrix_products_by_their_definition() {
    // [2, 1, m, k] x [3, k, n]: a batch that broadcasts, of sizes that no block divides.
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
