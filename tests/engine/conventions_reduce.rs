//! Reductions, scans and shape operations at zeros, ties and infinities, on empty tensors, and their messages when
//! shapes do not fit.
//!
//! The first part compares with PyTorch's results in `fixtures/edge_cases_reduce.json`; the second checks
//! conventions that no fixture covers, or that differ from PyTorch's.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};

use serde_json::Value as Json;
use wengert::f64::prelude::*;

const FIXTURE: &str = include_str!("../fixtures/edge_cases_reduce.json");
const INF: f64 = f64::INFINITY;

/// The numbers of a scalar or a flat list; infinities and NaN are strings.
fn numbers(json: &Json) -> Vec<f64> {
    match json {
        Json::Array(parts) => parts.iter().flat_map(numbers).collect(),
        Json::String(word) => vec![word.parse().expect("nan, inf or -inf")],
        number => vec![number.as_f64().expect("a number")],
    }
}

/// Checks equality to a relative 1e-9, exactly for 0, infinities and NaN.
fn assert_agree(what: &str, ours: &Tensor, theirs: &[f64]) {
    assert_eq!(ours.numel(), theirs.len(), "{what}: the lengths differ");
    for (ours, theirs) in ours.as_slice().iter().zip(theirs) {
        let near = (ours - theirs).abs() <= 1e-9 * theirs.abs();
        assert!(
            near || ours == theirs || ours.is_nan() && theirs.is_nan(),
            "{what}: {ours:e} instead of {theirs:e}"
        );
    }
}

/// Checks the value of `f` and, by both sweeps, the gradient of its sum.
fn gives(
    what: &str,
    x: &[f64],
    f: impl for<'t> Fn(Var<'t>) -> Var<'t>,
    value: &[f64],
    gradient: &[f64],
) {
    let tape = Tape::new();
    let x = tape.variable(&Tensor::from_vec(x.to_vec(), [x.len()]));
    let y = f(x);
    assert_agree(&format!("{what}, value"), &y.value(), value);
    let loss = y.sum();
    let computed = loss.backward();
    assert_agree(&format!("{what}, gradient"), computed.wrt(x).expect("a gradient"), gradient);
    let recorded = grad(loss, &[x])[0].value();
    assert_agree(&format!("{what}, recorded gradient"), &recorded, gradient);
}

macro_rules! cases {
    ($($test:ident: $case:literal, |$x:ident| $f:expr;)*) => {
        $(
            #[test]
            fn $test() {
                let fixture: Json = serde_json::from_str(FIXTURE).expect("a fixture in JSON");
                let case = &fixture["cases"][$case];
                let x = numbers(&case["inputs"]);
                gives($case, &x, |$x| $f, &numbers(&case["value"]), &numbers(&case["grads_of_sum"]));
            }
        )*

        #[test]
        fn every_case_of_the_fixture_is_used() {
            let fixture: Json = serde_json::from_str(FIXTURE).expect("a fixture in JSON");
            let cases = fixture["cases"].as_object().expect("cases").keys().map(String::as_str);
            // The gradient of the former is ours, not PyTorch's; the latter is an error.
            let used = [$($case,)* "logsumexp [-inf,-inf]", "empty max"];
            assert_eq!(cases.collect::<BTreeSet<_>>(), used.into_iter().collect());
        }
    };
}

cases! {
    norm_at_zero: "norm at 0", |x| x.norm(2.0);
    std_of_one_element: "std one elem", |x| x.std(1);
    var_of_one_element: "var one elem", |x| x.var(1);
    biased_var_of_one_element: "var one elem unbiased=False", |x| x.var(0);
    prod_with_a_zero: "prod one zero", |x| x.prod();
    cumprod_with_a_zero: "cumprod zero", |x| x.cumprod(0);
    logsumexp_of_infinity: "logsumexp [inf,1]", |x| x.logsumexp();
    softmax_of_nothing_along_an_axis: "softmax all -inf", |x| x.unsqueeze(1).softmax_axis(0);
    softmax_along_an_axis: "softmax [-inf,0,1] (w)", |x| {
        x.unsqueeze(1).softmax_axis(0) * &tensor![[1.0], [2.0], [3.0]]
    };
    log_softmax_along_an_axis: "log_softmax [1000,0,-1000]", |x| {
        x.unsqueeze(1).log_softmax_axis(0).slice(0, 0..1)
    };
    log_softmax_of_the_last: "log_softmax extreme idx2", |x| {
        x.unsqueeze(1).log_softmax_axis(0).slice(0, -1..)
    };
}

#[test]
fn pytorch_31829_jax_6811_logsumexp_of_minus_infinity_has_gradient_zero() {
    gives("logsumexp", &[-INF, -INF], |x| x.logsumexp(), &[-INF], &[0.0, 0.0]);
    // Beside another row, which has its gradient.
    let tape = Tape::new();
    let x = tape.variable(&tensor![[-INF, -INF], [0.0, 0.0]]);
    let rows = x.logsumexp_axes(1, false);
    assert_eq!(rows.value().as_slice()[0], -INF);
    let gradients = rows.slice(0, 1..).sum().backward();
    assert_eq!(gradients.wrt(x).unwrap().to_vec(), [0.0, 0.0, 0.5, 0.5]);
    gives("in part", &[-INF, 3.0], |x| x.logsumexp(), &[3.0], &[0.0, 1.0]);
    gives("far out", &[1000.0, -1000.0], |x| x.logsumexp(), &[1000.0], &[1.0, 0.0]);
}

#[test]
fn products_are_exact_with_any_number_of_zeros_and_at_second_order() {
    gives("two zeros", &[2.0, 0.0, 0.0, 4.0], |x| x.prod(), &[0.0], &[0.0; 4]);
    // The gradient of the second component of the gradient of x0 x1 x2 x3, at x1 = 0: x0 x2 x3
    // towards the others.
    let tape = Tape::new();
    let x = tape.variable(&tensor![2.0, 0.0, 3.0, 4.0]);
    for product in [x.prod(), x.cumprod(0).slice(0, -1..).sum()] {
        let second = grad(product, &[x])[0].slice(0, 1..2).sum();
        assert_eq!(second.backward().wrt(x).unwrap().to_vec(), [12.0, 0.0, 8.0, 6.0]);
    }
    // d^2 / (dx1 dx2) of a product with both of them zero.
    let x = tape.variable(&tensor![5.0, 0.0, 0.0, 2.0]);
    let second = grad(x.prod(), &[x])[0].slice(0, 1..2).sum();
    assert_eq!(second.backward().wrt(x).unwrap().to_vec(), [0.0, 0.0, 10.0, 0.0]);
}

#[test]
fn minima_share_ties_and_find_nan() {
    gives("ties", &[1.0, 0.0, 0.0], |x| x.min(), &[0.0], &[0.0, 0.5, 0.5]);
    gives("nan", &[1.0, f64::NAN, 0.0], |x| x.min(), &[f64::NAN], &[0.0, 1.0, 0.0]);
    gives("axis", &[3.0, 3.0], |x| x.min_axes(-1, true), &[3.0], &[0.5, 0.5]);
}

#[test]
fn argmax_takes_the_first_of_ties_and_nan_wins() {
    let x = tensor![[1.0, 3.0, 3.0], [f64::NAN, 0.0, f64::NAN], [-1.0, -1.0, -2.0]];
    assert_eq!(x.argmax().as_slice(), [1, 0, 0]);
    assert_eq!(x.argmin().as_slice(), [0, 0, 2]);
    assert_eq!(x.argmax_axis(0, true).shape(), Shape::from([1, 3]));
    assert_eq!(x.argmax_axis(0, true).as_slice(), [1, 0, 1]);
    assert_eq!(x.argmin_axis(-2, false).as_slice(), [1, 2, 1]);
}

#[test]
fn pytorch_2421_norms_have_gradient_zero_at_zero_at_both_orders() {
    for p in [0.5, 1.0, 1.5, 2.0, 3.0, INF] {
        gives(&format!("norm {p}"), &[0.0, 0.0], |x| x.norm(p), &[0.0], &[0.0, 0.0]);
        let tape = Tape::new();
        let x = tape.variable(&Tensor::zeros([2]));
        let second = (grad(x.norm(p), &[x])[0] * &tensor![1.0, 2.0]).sum();
        let second = second.backward().wrt(x).map(Tensor::to_vec);
        assert!(second.is_none_or(|second| second == [0.0, 0.0]), "norm {p}");
    }
    gives("one zero", &[0.0, -3.0], |x| x.norm(0.5), &[3.0], &[0.0, -1.0]);
    gives("largest", &[1.0, -3.0, 3.0], |x| x.norm(INF), &[3.0], &[0.0, -0.5, 0.5]);
    assert_eq!(Tensor::zeros([0]).norm(2.0).item(), 0.0);
}

#[test]
fn std_of_a_constant_row_is_zero_with_gradient_zero() {
    // A tenth three times: the plain mean is off by a rounding.
    for c in [0.1, 1e8 + 0.1, -1e-9] {
        gives("std", &[c; 3], |x| x.std(1), &[0.0], &[0.0; 3]);
        gives("var", &[c; 3], |x| x.var(1), &[0.0], &[0.0; 3]);
        gives("biased std", &[c; 7], |x| x.std(0), &[0.0], &[0.0; 7]);
    }
    let long = wengert::prelude::Tensor::full([100_003], 0.1);
    assert_eq!(long.std(1).item(), 0.0);
}

#[test]
fn variance_far_from_zero_keeps_its_digits() {
    let x = [1e8 + 1.0, 1e8 + 2.0, 1e8 + 3.0];
    gives("var", &x, |x| x.var(1), &[1.0], &[-1.0, 0.0, 1.0]);
}

#[test]
fn empty_tensors() {
    let none = Tensor::zeros([2, 0]);
    assert_eq!(none.prod().item(), 1.0);
    assert_eq!(none.prod_axes(1, false).to_vec(), [1.0, 1.0]);
    assert_eq!(none.prod_axes(0, true).shape(), Shape::from([1, 0]));
    assert!(none.var(1).item().is_nan() && none.std(0).item().is_nan());
    assert_eq!(none.logsumexp().item(), -INF);
    assert_eq!(none.norm(1.0).item(), 0.0);
    assert_eq!(none.cumsum(1).shape(), none.shape());
    assert_eq!(none.cumprod(1).shape(), none.shape());
    // Backward works, and gives a gradient of no elements.
    let tape = Tape::new();
    let x = tape.variable(&none);
    let loss = x.prod() + x.logsumexp_axes(0, false).sum() + x.norm(2.0) + x.cumprod(1).sum();
    assert_eq!(loss.backward().wrt(x).expect("a gradient").shape(), none.shape());
}

#[test]
fn long_running_sums_in_single_precision_keep_six_digits_along_every_axis() {
    use wengert::prelude::{ReduceOps, Tensor};
    for (shape, axis, expected) in
        [([2_000_000, 1], 0, 2e5), ([2, 1_000_000], 1, 1e5), ([1_000_000, 2], 0, 1e5)]
    {
        let largest = f64::from(Tensor::full(shape, 0.1).cumsum(axis).max().item());
        assert!((largest / expected - 1.0).abs() <= 1e-6, "{largest} for {expected}");
    }
}

#[test]
fn elements_outside_a_slice_leak_nothing() {
    // tril and slices select: an infinity outside has no part in value or gradient.
    let tape = Tape::new();
    let x = tape.variable(&tensor![[1.0, INF], [2.0, f64::NAN]]);
    let y = x.tril(-1);
    assert_eq!(y.value().to_vec(), [0.0, 0.0, 2.0, 0.0]);
    assert_eq!(y.sum().backward().wrt(x).unwrap().to_vec(), [0.0, 0.0, 1.0, 0.0]);
}

/// The message and the file of the panic of `f`.
fn panic_of(f: impl FnOnce()) -> (String, String) {
    let place = Arc::new(Mutex::new(String::new()));
    let noted = Arc::clone(&place);
    std::panic::set_hook(Box::new(move |info| {
        *noted.lock().unwrap() = info.location().expect("a place").file().to_owned();
    }));
    let panic = catch_unwind(AssertUnwindSafe(f)).expect_err("a panic");
    drop(std::panic::take_hook());
    let message = panic.downcast_ref::<String>().cloned();
    let message = message.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
    (message.expect("a message"), Arc::try_unwrap(place).unwrap().into_inner().unwrap())
}

#[test]
fn mistakes_name_operation_and_shapes_at_the_callers_line() {
    let x = Tensor::zeros([2, 3]);
    let none = Tensor::zeros([0]);
    let mistakes: &[(&dyn Fn(), &str)] = &[
        (&|| drop(none.max()), "max: [0] has no elements to choose from"),
        (&|| drop(none.min()), "min: [0] has no elements to choose from"),
        (&|| drop(none.argmax()), "argmax: [0] has no elements along axis 0"),
        (&|| drop(none.argmin_axis(0, false)), "argmin_axis: [0] has no elements along axis 0"),
        (&|| drop(Tensor::scalar(1.0).argmax()), "argmax: axis -1 does not exist in []"),
        (&|| drop(none.norm(INF)), "norm: [0] has no elements to choose from"),
        (&|| drop(x.norm(0.0)), "norm: p must be above 0, not 0"),
        (&|| drop(x.prod_axes(2, false)), "prod_axes: axis 2 does not exist in [2, 3]"),
        (&|| drop(x.var_axes([0, -2], 1, false)), "var_axes: axis -2 of [2, 3] is named twice"),
        (&|| drop(x.cumsum(2)), "cumsum: axis 2 does not exist in [2, 3]"),
        (&|| drop(x.cumprod(-3)), "cumprod: axis -3 does not exist in [2, 3]"),
        (&|| drop(x.softmax_axis(2)), "softmax_axis: axis 2 does not exist in [2, 3]"),
        (
            &|| drop(x.reshape([-1, 4])),
            "reshape: [2, 3] to [-1, 4]: 6 elements are not a multiple of 4",
        ),
        (&|| drop(x.reshape([-1, -1])), "reshape: [2, 3] to [-1, -1]: only one extent may be -1"),
        (&|| drop(x.squeeze(0)), "squeeze: [2, 3] to [3]: the extents are not 1"),
        (&|| drop(x.unsqueeze(3)), "unsqueeze: axis 3 does not exist in [2, 3, 1]"),
        (&|| drop(x.flatten_axes(1, 0)), "flatten_axes: axis 0 of [2, 3] comes before axis 1"),
        (&|| drop(x.slice(1, 1..4)), "slice: 1..4 is out of range in axis 1 of [2, 3]"),
        (&|| drop(x.slice(1, -4..)), "slice: -1..3 is out of range in axis 1 of [2, 3]"),
        (&|| drop(x.slice_step(0, .., 0)), "slice_step: a step of 0 along axis 0 of [2, 3]"),
        (&|| drop(x.split(&[1, 1], 1)), "split: sizes [1, 1] add up to 2, axis 1 of [2, 3] has 3"),
        (&|| drop(x.chunk(0, 1)), "chunk: 0 parts of [2, 3]"),
        (
            &|| drop(MovementOps::stack(&[x.clone(), none.clone()], 0)),
            "stack: [2, 3] and [0] must be equal",
        ),
        (
            &|| drop(x.pad_reflect(0, 2, 0)),
            "pad_reflect: axis 0 of [2, 3] is not longer than the padding (2 and 0)",
        ),
        (&|| drop(none.pad_replicate(0, 1, 0)), "pad_replicate: axis 0 of [0] is empty"),
        (&|| drop(x.repeat([2])), "repeat: [2, 3] has more than 1 axes"),
        (&|| drop(none.tril(0)), "tril: [0] is not a matrix"),
        (
            &|| drop(Tensor::zeros([1, 1, 1]).diag(0)),
            "diag: [1, 1, 1] is neither a vector nor a matrix",
        ),
    ];
    for (mistake, expected) in mistakes {
        let (message, file) = panic_of(mistake);
        assert_eq!(&message, expected);
        assert_eq!(file, file!(), "{message}");
    }
}
