//! Values and gradients at kinks, ties, poles and infinities, and on empty tensors.
//!
//! The first part compares with PyTorch's results in `fixtures/edge_cases.json`; the second checks conventions
//! that no fixture covers.

use std::collections::BTreeSet;

use serde_json::Value as Json;
use wengert::f64::prelude::*;

const FIXTURE: &str = include_str!("../fixtures/edge_cases.json");

/// A tensor from nested lists; infinities and NaN are strings.
fn tensor(json: &Json) -> Tensor {
    fn read(json: &Json, depth: usize, extents: &mut Vec<usize>, data: &mut Vec<f64>) {
        match json {
            Json::Array(parts) => {
                if extents.len() == depth {
                    extents.push(parts.len());
                }
                parts.iter().for_each(|part| read(part, depth + 1, extents, data));
            }
            Json::String(word) => data.push(word.parse().expect("nan, inf or -inf")),
            number => data.push(number.as_f64().expect("a number")),
        }
    }
    let (mut extents, mut data) = (Vec::new(), Vec::new());
    read(json, 0, &mut extents, &mut data);
    Tensor::from_vec(data, &*extents)
}

/// Checks equality to a relative 1e-9, exactly for 0, infinities and NaN.
fn assert_agree(what: &str, ours: &Tensor, theirs: &Tensor) {
    assert_eq!(ours.shape(), theirs.shape(), "{what}: the shapes differ");
    for (ours, theirs) in ours.as_slice().iter().zip(theirs.as_slice()) {
        let near = (ours - theirs).abs() <= 1e-9 * theirs.abs();
        assert!(
            near || ours == theirs || ours.is_nan() && theirs.is_nan(),
            "{what}: {ours:e} where PyTorch has {theirs:e}"
        );
    }
}

/// Compares the value of `f` and the gradient of its sum, by both sweeps, with a case of the fixture.
fn agrees(case: &str, f: impl for<'t> Fn(&[Var<'t>]) -> Var<'t>) {
    let fixture: Json = serde_json::from_str(FIXTURE).expect("a fixture in JSON");
    let expected = &fixture["cases"][case];
    let tape = Tape::new();
    let list = |key: &str| expected[key].as_array().expect(key).iter().map(tensor);
    let x = list("inputs").map(|x| tape.variable(&x)).collect::<Vec<_>>();
    let y = f(&x);
    assert_agree(&format!("{case}, value"), &y.value(), &tensor(&expected["value"]));
    let loss = y.sum();
    let (computed, recorded) = (loss.backward(), grad(loss, &x));
    for (i, theirs) in list("grads_of_sum").enumerate() {
        let zeros = Tensor::zeros(theirs.shape());
        let computed = computed.wrt(x[i]).unwrap_or(&zeros);
        assert_agree(&format!("{case}, gradient of input {i}"), computed, &theirs);
        let recorded = recorded[i].value();
        assert_agree(&format!("{case}, recorded gradient of input {i}"), &recorded, &theirs);
    }
}

macro_rules! cases {
    ($($test:ident: $case:literal, |$x:ident| $f:expr;)*) => {
        $(#[test] fn $test() { agrees($case, |$x| $f); })*

        #[test]
        fn every_case_of_the_fixture_is_used() {
            let fixture: Json = serde_json::from_str(FIXTURE).expect("a fixture in JSON");
            let cases = fixture["cases"].as_object().expect("cases").keys().map(String::as_str);
            let used = [$($case,)* "empty max", "where(x>0, sqrt, x) at -1"];
            assert_eq!(cases.collect::<BTreeSet<_>>(), used.into_iter().collect());
        }
    };
}

cases! {
    max_shares_ties: "max() full, ties", |x| x[0].max();
    max_over_an_axis_shares_ties: "amax dim ties", |x| x[0].max_axes(0, false);
    max_finds_nan: "x.max() nan", |x| x[0].max();
    maximum_shares_ties: "maximum(a,b) tie", |x| x[0].maximum(x[1]);
    relu_at_zero_and_nan: "relu at 0 / nan", |x| x[0].relu();
    abs_at_zero: "abs at 0", |x| x[0].abs();
    sqrt_at_zero: "sqrt at 0", |x| x[0].sqrt();
    composed_norm_at_zero: "pow(2).sum().sqrt() at 0", |x| x[0].powf(2.0).sum().sqrt();
    power_zero: "pow(x,0.) scalar exp at 0", |x| x[0].powf(0.0);
    power_one_half: "pow(x,0.5) at 0,-1", |x| x[0].powf(0.5);
    power_two: "pow(x,2) at -3", |x| x[0].powf(2.0);
    power_three: "pow(x,3) at -2", |x| x[0].powf(3.0);
    ln_at_its_pole: "log at 0,-1", |x| x[0].ln();
    division_by_zero: "div x/0", |x| x[0] / x[1];
    softmax_of_nothing: "softmax all -inf", |x| x[0].softmax();
    softmax_of_an_excluded_class: "softmax [-inf,0,1] (w)", |x| x[0].softmax() * &tensor![1.0, 2.0, 3.0];
    log_softmax_of_the_winner: "log_softmax [1000,0,-1000]", |x| x[0].log_softmax().pick(label(0));
    log_softmax_of_the_last: "log_softmax extreme idx2", |x| x[0].log_softmax().pick(label(2));
    sigmoid_far_out: "sigmoid +-100", |x| x[0].sigmoid();
    log_sigmoid_far_out: "logsigmoid +-1000", |x| x[0].log_sigmoid();
    softplus_far_out: "softplus 20,21,100,1000,-100", |x| x[0].softplus();
    tanh_far_out: "tanh +-20", |x| x[0].tanh();
    gelu_far_out: "gelu +-100", |x| x[0].gelu();
    bce_at_zero: "BCEwithlogits 0 t=0", |x| x[0].bce_with_logits(0.0).reshape([1]);
    bce_far_out: "BCEwithlogits +-1000", |x| {
        let at = |i| x[0].narrow(0, i, 1).bce_with_logits(1.0 - i as f64).reshape([1]);
        MovementOps::concat(&[at(0), at(1)], 0)
    };
    absolute_error_at_zero: "l1 at 0", |x| (x[0] - 0.0).abs().mean();
    empty_sum: "empty sum", |x| x[0].narrow(0, 0, 0).sum();
    empty_mean: "empty mean", |x| x[0].narrow(0, 0, 0).mean();
    empty_matmul: "empty matmul (2,0)@(0,3)", |x| x[0].narrow(1, 0, 0).matmul(&Tensor::zeros([0, 3]));
    broadcast_sums_back: "broadcast (3,1)+(1,2)", |x| x[0] + x[1];
    clamp_at_its_borders_and_nan: "clamp(0,1) at 0,1,nan", |x| x[0].clamp(0.0, 1.0);
    clamp_min_at_its_border: "clamp_min(0) at 0", |x| x[0].clamp_min(0.0);
    hardtanh_at_its_borders: "hardtanh at +-1", |x| x[0].hardtanh();
    leaky_relu_at_zero: "leaky_relu at 0", |x| x[0].leaky_relu(0.1);
    elu_at_zero: "elu at 0", |x| x[0].elu(1.0);
    where_of_what_overflows: "where(x<=0, exp, 1+x) at 100", |x| x[0].less_equal(0.0).where_cond(x[0].exp(), x[0] + 1.0);
    tensor_power_zero_to_zero: "pow tensor: 0^0", |x| x[0].pow(x[1]);
    tensor_power_zero_to_two: "pow tensor: 0^2", |x| x[0].pow(x[1]);
    tensor_power_of_a_negative: "pow tensor: (-2)^2", |x| x[0].pow(x[1]);
    atan2_at_the_origin: "atan2(0,0)", |x| x[0].atan2(x[1]);
    steps_have_no_slope: "floor/round/sign", |x| x[0].floor() + x[0].round() + x[0].sign();
    expand_sums_back: "expand size1 grad", |x| x[0].expand([3, 2]);
}

/// A label for logits `[classes]`.
fn label(class: usize) -> Indices {
    Indices::from_vec(vec![class], Shape::SCALAR)
}

/// The gradient of the sum of `f` at `x`.
fn gradient(x: &Tensor, f: impl for<'t> Fn(Var<'t>) -> Var<'t>) -> Vec<f64> {
    let tape = Tape::new();
    let x = tape.variable(x);
    f(x).sum().backward().wrt(x).expect("a gradient").to_vec()
}

#[test]
#[should_panic(expected = "max: [0] has no elements to choose from")]
fn empty_max() {
    Tensor::zeros([0]).max();
}

#[test]
fn minimum_shares_ties_and_finds_nan() {
    let b = tensor![1.0, f64::NAN, 0.0];
    let x = tensor![1.0, 0.0, f64::NAN];
    assert_eq!(gradient(&x, |x| x.minimum(&b)), [0.5, 1.0, 1.0]);
    assert!(x.minimum(&b).as_slice()[1..].iter().all(|y| y.is_nan()));
    assert_eq!(gradient(&x, |x| x.maximum(&b)), [0.5, 1.0, 1.0]);
    assert!(x.maximum(&b).as_slice()[1..].iter().all(|y| y.is_nan()));
    let tape = Tape::new();
    let (x, b) = (tape.variable(&x), tape.variable(&b));
    let gradients = x.maximum(b).sum().backward();
    assert_eq!(gradients.wrt(b).unwrap().to_vec(), [0.5, 1.0, 1.0]);
}

#[test]
fn ties_along_an_axis_are_shared_within_it() {
    let x = tensor![[1.0, 1.0, 0.0], [2.0, 2.0, 2.0]];
    let third = 1.0 / 3.0;
    assert_eq!(gradient(&x, |x| x.max_axes(1, false)), [0.5, 0.5, 0.0, third, third, third]);
    assert_eq!(gradient(&x, |x| x.max_axes(0, true)), [0.0, 0.0, 0.0, 1.0, 1.0, 1.0]);
}

#[test]
fn a_branch_with_cotangent_zero_leaks_neither_nan_nor_infinity() {
    // The root has an infinite derivative at 0 and none below; its cotangent is 0.
    let x = tensor![-1.0, 0.0, 4.0];
    assert_eq!(gradient(&x, |x| x.sqrt() * 0.0 + x), [1.0; 3]);
    let tape = Tape::new();
    let x = tape.variable(&x);
    assert_eq!(grad((x.sqrt() * 0.0 + x).sum(), &[x])[0].value().to_vec(), [1.0; 3]);
}

#[test]
fn nothing_flows_back_through_a_step_or_a_comparison() {
    let x = tensor![-0.5, 0.0, 1.0];
    let flat: [for<'t> fn(Var<'t>) -> Var<'t>; 11] = [
        |x| x.floor(),
        |x| x.ceil(),
        |x| x.round(),
        |x| x.sign(),
        |x| x.step(),
        |x| x.equal(0.0),
        |x| x.not_equal(x),
        |x| x.less(x),
        |x| x.less_equal(x),
        |x| x.greater(x * 0.5),
        |x| x.greater_equal(0.0),
    ];
    for f in flat {
        // The cotangent is infinite.
        let tape = Tape::new();
        let x = tape.variable(&x);
        let y = f(x) * f64::INFINITY;
        assert_eq!(y.sum().backward().wrt(x).expect("a gradient").to_vec(), [0.0; 3]);
        assert_eq!(grad(y.sum(), &[x])[0].value().to_vec(), [0.0; 3]);
    }
}

#[test]
fn where_leaks_nothing_from_the_branch_not_taken() {
    // The fixture says NaN here; the conventions say 1.
    let tape = Tape::new();
    let x = tape.variable(&tensor![-1.0, 0.0, 4.0]);
    let y = x.greater(0.0).where_cond(x.sqrt(), x);
    assert_eq!(y.value().to_vec(), [-1.0, 0.0, 2.0]);
    assert_eq!(y.sum().backward().wrt(x).unwrap().to_vec(), [1.0, 1.0, 0.25]);
    let slope = grad(y.sum(), &[x])[0];
    assert_eq!(slope.value().to_vec(), [1.0, 1.0, 0.25]);
    assert_eq!(grad(slope.sum(), &[x])[0].value().to_vec(), [0.0, 0.0, -1.0 / 32.0]);
}

#[test]
fn where_broadcasts_its_mask_and_both_sides() {
    let mask = tensor![[1.0], [0.0]];
    let y = mask.where_cond(tensor![1.0, 2.0, 3.0], -1.0);
    assert_eq!(y.to_vec(), [1.0, 2.0, 3.0, -1.0, -1.0, -1.0]);
    assert_eq!(y.shape(), Shape::from([2, 3]));
}

#[test]
fn comparisons_are_masks_that_are_false_at_nan() {
    let a = tensor![1.0, 2.0, 3.0, f64::NAN];
    let b = tensor![2.0, 2.0, 2.0, f64::NAN];
    assert_eq!(a.equal(&b).to_vec(), [0.0, 1.0, 0.0, 0.0]);
    assert_eq!(a.not_equal(&b).to_vec(), [1.0, 0.0, 1.0, 1.0]);
    assert_eq!(a.less(&b).to_vec(), [1.0, 0.0, 0.0, 0.0]);
    assert_eq!(a.less_equal(&b).to_vec(), [1.0, 1.0, 0.0, 0.0]);
    assert_eq!(a.greater(2.0).to_vec(), [0.0, 0.0, 1.0, 0.0]);
    assert_eq!(a.greater_equal(2.0).to_vec(), [0.0, 1.0, 1.0, 0.0]);
}

#[test]
fn halves_round_to_even() {
    let x = tensor![-1.5, -0.5, 0.5, 1.5, 2.5, 2.6];
    assert_eq!(x.round().to_vec(), [-2.0, 0.0, 0.0, 2.0, 2.0, 3.0]);
    assert_eq!(gradient(&x, |x| x.round() + x.floor() + x.ceil()), [0.0; 6]);
}

/// Value and gradients of `f` at a pair of numbers.
fn at_pair(a: f64, b: f64, f: impl for<'t> Fn(Var<'t>, Var<'t>) -> Var<'t>) -> [f64; 3] {
    let tape = Tape::new();
    let (a, b) = (tape.variable(&Tensor::scalar(a)), tape.variable(&Tensor::scalar(b)));
    let y = f(a, b);
    let (computed, recorded) = (y.backward(), grad(y, &[a, b]));
    let [da, db] = [a, b].map(|x| computed.wrt(x).unwrap().item());
    for (computed, recorded) in [da, db].into_iter().zip(recorded) {
        let recorded = recorded.item();
        assert!(computed == recorded || computed.is_nan() && recorded.is_nan());
    }
    [y.item(), da, db]
}

#[test]
fn powers_of_zero_and_to_zero() {
    assert_eq!(at_pair(0.0, 0.0, |a, b| a.pow(b)), [1.0, 0.0, 0.0]);
    assert_eq!(at_pair(0.0, 1.0, |a, b| a.pow(b)), [0.0, 1.0, 0.0]);
    assert_eq!(at_pair(0.0, 2.0, |a, b| a.pow(b)), [0.0, 0.0, 0.0]);
    assert_eq!(at_pair(0.0, 0.5, |a, b| a.pow(b)), [0.0, f64::INFINITY, 0.0]);
    let [y, da, db] = at_pair(-2.0, 2.0, |a, b| a.pow(b));
    assert!((y, da) == (4.0, -4.0) && db.is_nan());
    let everywhere = tensor![-2.0, 0.0, f64::INFINITY, f64::NAN];
    assert_eq!(gradient(&everywhere, |x| x.powf(0.0)), [0.0; 4]);
    assert_eq!(gradient(&everywhere, |x| x.powi(0)), [0.0; 4]);
    assert_eq!(gradient(&everywhere, |x| x.pow(0.0)), [0.0; 4]);
    assert_eq!(gradient(&tensor![-3.0, 0.0], |x| x.powi(2) + x.powi(1)), [-5.0, 1.0]);
}

#[test]
fn angles_and_distances_do_not_overflow() {
    assert_eq!(at_pair(0.0, 0.0, |a, b| a.atan2(b)), [0.0, 0.0, 0.0]);
    assert_eq!(at_pair(0.0, -2.0, |a, b| a.atan2(b)), [std::f64::consts::PI, -0.5, 0.0]);
    assert_eq!(at_pair(2e200, 0.0, |a, b| a.atan2(b)), [std::f64::consts::FRAC_PI_2, 0.0, -5e-201]);
    let near = |ours: [f64; 3], expected: [f64; 3]| {
        assert_agree("far out", &tensor(&ours.to_vec().into()), &tensor(&expected.to_vec().into()));
    };
    near(at_pair(3e200, -4e200, |a, b| a.hypot(b)), [5e200, 0.6, -0.8]);
    near(at_pair(3e-200, 4e-200, |a, b| a.hypot(b)), [5e-200, 0.6, 0.8]);
    let [y, da, db] = at_pair(0.0, 0.0, |a, b| a.hypot(b));
    assert!(y == 0.0 && da.is_nan() && db.is_nan());
}

#[test]
fn clamps_at_their_borders_and_nan() {
    let x = tensor![-1.0, 0.0, 0.5, 1.0, 2.0, f64::NAN];
    assert_eq!(gradient(&x, |x| x.clamp(0.0, 1.0)), [0.0, 0.0, 1.0, 0.0, 0.0, 0.0]);
    assert_eq!(gradient(&x, |x| x.clamp_min(0.5)), [0.0, 0.0, 0.0, 1.0, 1.0, 0.0]);
    assert_eq!(gradient(&x, |x| x.clamp_max(0.5)), [1.0, 1.0, 0.0, 0.0, 0.0, 0.0]);
    for y in [x.clamp(0.0, 1.0), x.clamp_min(0.0), x.clamp_max(0.0), x.relu6(), x.hardtanh()] {
        assert!(y.as_slice()[5].is_nan());
    }
    let borders = tensor![0.0, 6.0, 7.0, 3.0];
    assert_eq!(gradient(&borders, |x| x.relu6()), [0.0, 0.0, 0.0, 1.0]);
    assert_eq!(gradient(&tensor![-1.0, 1.0, 0.0], |x| x.hardtanh()), [0.0, 0.0, 1.0]);
    assert_eq!(gradient(&tensor![-3.0, 3.0], |x| x.hardsigmoid()), [0.0, 0.0]);
    assert_eq!(gradient(&tensor![-3.0, 3.0, 9.0], |x| x.hardswish()), [0.0, 1.0, 1.0]);
}

#[test]
fn units_with_a_corner_at_zero_and_far_out() {
    let x = tensor![0.0, 1000.0, -1000.0];
    assert_eq!(gradient(&x, |x| x.leaky_relu(0.3)), [0.3, 1.0, 0.3]);
    assert_eq!(gradient(&x, |x| x.elu(1.0)), [1.0, 1.0, 0.0]);
    assert_eq!(gradient(&x, |x| x.celu(2.0)), [1.0, 1.0, (-500f64).exp()]);
    let tape = Tape::new();
    let x = tape.variable(&x);
    for y in [x.elu(1.0), x.celu(2.0), x.selu(), x.mish(), x.gelu_tanh(), x.log_sigmoid()] {
        let slope = grad(y.sum(), &[x])[0];
        let bend = grad(slope.sum(), &[x])[0];
        assert!(slope.value().is_finite() && bend.value().is_finite(), "{slope:?} {bend:?}");
    }
}

/// Compares a function of one number with known values and slopes.
fn known(f: impl for<'t> Fn(Var<'t>) -> Var<'t>, points: &[(f64, f64, f64)]) {
    for &(x, y, slope) in points {
        let at = Tensor::scalar(x);
        let tape = Tape::new();
        let value = f(tape.variable(&at)).value();
        assert_agree(&format!("the value at {x}"), &value, &Tensor::scalar(y));
        let ours = Tensor::scalar(gradient(&at, &f)[0]);
        assert_agree(&format!("the slope at {x}"), &ours, &Tensor::scalar(slope));
    }
}

const INF: f64 = f64::INFINITY;

#[test]
fn functions_at_their_poles() {
    use std::f64::consts::{FRAC_PI_2, PI};
    known(|x| x.ln_1p(), &[(-1.0, -INF, INF)]);
    known(|x| x.log2(), &[(0.0, -INF, INF)]);
    known(|x| x.log10(), &[(0.0, -INF, INF)]);
    known(|x| x.rsqrt(), &[(0.0, INF, -INF)]);
    known(|x| x.asin(), &[(-1.0, -FRAC_PI_2, INF), (1.0, FRAC_PI_2, INF)]);
    known(|x| x.acos(), &[(-1.0, PI, -INF), (1.0, 0.0, -INF)]);
    known(|x| x.acosh(), &[(1.0, 0.0, INF)]);
    known(|x| x.atanh(), &[(-1.0, -INF, INF), (1.0, INF, INF)]);
}

#[test]
fn functions_keep_their_digits_near_zero_and_far_out() {
    use std::f64::consts::{FRAC_PI_2, LN_2, LN_10};
    // By the first terms of the series about 0, or of the expansion at infinity.
    known(|x| x.exp_m1(), &[(1e-10, 1e-10 + 5e-21, 1.0 + 1e-10), (-50.0, -1.0, (-50f64).exp())]);
    known(|x| x.ln_1p(), &[(1e-10, 1e-10 - 5e-21, 1.0 - 1e-10)]);
    known(|x| x.asinh(), &[(1e20, LN_2 + 20.0 * LN_10, 1e-20), (1e-9, 1e-9, 1.0)]);
    known(|x| x.asinh(), &[(-1e200, -LN_2 - 200.0 * LN_10, 1e-200)]);
    known(|x| x.acosh(), &[(1e200, LN_2 + 200.0 * LN_10, 1e-200)]);
    known(|x| x.atanh(), &[(1e-9, 1e-9, 1.0)]);
    known(|x| x.atan(), &[(1e200, FRAC_PI_2, 0.0), (-1e20, -FRAC_PI_2, 1e-40)]);
    let tiny = (-100f64).exp();
    known(|x| x.log_sigmoid(), &[(100.0, -tiny, tiny), (-100.0, -100.0, 1.0)]);
    known(|x| x.log_sigmoid(), &[(1000.0, 0.0, 0.0), (-1000.0, -1000.0, 1.0)]);
    known(|x| x.mish(), &[(100.0, 100.0, 1.0), (-100.0, -100.0 * tiny, -99.0 * tiny)]);
    known(|x| x.gelu_tanh(), &[(100.0, 100.0, 1.0), (0.0, 0.0, 0.5), (-100.0, 0.0, 0.0)]);
    // The values are those of Python's `math.erfc`.
    let slope = |x: f64| -2.0 / std::f64::consts::PI.sqrt() * (-x * x).exp();
    known(|x| x.erfc(), &[(5.0, 1.5374597944280351e-12, slope(5.0)), (-9.0, 2.0, slope(9.0))]);
    known(|x| x.erfc(), &[(10.0, 2.088487583762545e-45, slope(10.0))]);
}

#[test]
fn candle_2561_burn_1139_nothing_overflows_in_single_precision() {
    use wengert::prelude as single;
    let x = single::Tensor::from([-1e30, -1e4, -100.0, 0.0, 100.0, 1e4, 1e30]);
    type Function = for<'t> fn(single::Var<'t>) -> single::Var<'t>;
    let functions: [(&str, Function); 24] = [
        ("sigmoid", |x| x.sigmoid()),
        ("softplus", |x| x.softplus()),
        ("tanh", |x| x.tanh()),
        ("silu", |x| x.silu()),
        ("gelu", |x| x.gelu()),
        ("log_sigmoid", |x| x.log_sigmoid()),
        ("softsign", |x| x.softsign()),
        ("relu6", |x| x.relu6()),
        ("leaky_relu", |x| x.leaky_relu(0.01)),
        ("elu", |x| x.elu(1.0)),
        ("selu", |x| x.selu()),
        ("celu", |x| x.celu(0.5)),
        ("gelu_tanh", |x| x.gelu_tanh()),
        ("mish", |x| x.mish()),
        ("hardtanh", |x| x.hardtanh()),
        ("hardsigmoid", |x| x.hardsigmoid()),
        ("hardswish", |x| (x * 1e-30).hardswish()),
        ("asinh", |x| x.asinh()),
        ("atan", |x| x.atan()),
        ("erfc", |x| x.erfc()),
        ("atan2", |x| x.atan2(1e30)),
        ("hypot", |x| x.hypot(1e30)),
        ("log_softmax", |x| x.log_softmax()),
        ("bce_with_logits", |x| x.bce_with_logits_with(0.5, Reduction::Sum)),
    ];
    for (name, f) in functions {
        let tape = single::Tape::new();
        let x = tape.variable(&x);
        let y = f(x);
        assert!(y.value().is_finite(), "{name}: {:?}", y.value());
        let gradients = y.sum().backward();
        assert!(gradients.wrt(x).unwrap().is_finite(), "{name}: {:?}", gradients.wrt(x));
    }
}

#[test]
fn long_sums_in_single_precision_keep_six_digits_along_every_axis() {
    use wengert::prelude::{ReduceOps, Tensor};
    let near = |sums: Tensor, expected: f64| {
        for &sum in sums.as_slice() {
            assert!((f64::from(sum) / expected - 1.0).abs() <= 1e-6, "{sum} for {expected}");
        }
    };
    near(Tensor::full([10_000_000], 0.1).sum(), 1e6);
    near(Tensor::full([10_000_000, 1], 0.1).sum_axes(0, false), 1e6);
    near(Tensor::full([2_500_000, 4], 0.1).sum_axes(0, false), 2.5e5);
    near(Tensor::full([4, 2_500_000], 0.1).sum_axes(1, false), 2.5e5);
    near(Tensor::full([2, 2_500_000, 2], 0.1).sum_axes(1, false), 2.5e5);
    near(Tensor::full([2, 2_500_000, 2], 0.1).mean(), 0.1);
}
