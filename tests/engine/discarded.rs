//! A discarded branch leaks nothing into derivatives of any order.
//!
//! Each singular function stands in a branch that is not selected at the elements where it, or one of its
//! derivatives, is infinite or NaN. The derivatives must be those of the program without the branch there.

use wengert::f64::prelude::*;

type Function = for<'t> fn(Var<'t>) -> Var<'t>;

/// Name, singular input, ordinary input, function.
const SINGULAR: &[(&str, f64, f64, Function)] = &[
    ("sqrt", 0.0, 4.0, |x| x.sqrt()),
    ("sqrt below 0", -1.0, 4.0, |x| x.sqrt()),
    ("rsqrt", 0.0, 4.0, |x| x.rsqrt()),
    ("recip", 0.0, 2.0, |x| x.recip()),
    ("a quotient", 0.0, 2.0, |x| 3.0 / x),
    ("0 / 0", 0.0, 2.0, |x| x.sin() / x),
    ("ln", 0.0, 2.0, |x| x.ln()),
    ("x ln x", 0.0, 2.0, |x| x * x.ln()),
    ("ln below 0", -2.0, 2.0, |x| x.ln()),
    ("ln_1p", -1.0, 2.0, |x| x.ln_1p()),
    ("log2", 0.0, 2.0, |x| x.log2()),
    ("log10", 0.0, 2.0, |x| x.log10()),
    ("asin", 1.0, 0.5, |x| x.asin()),
    ("acos", -1.0, 0.5, |x| x.acos()),
    ("acosh", 1.0, 2.0, |x| x.acosh()),
    ("atanh", 1.0, 0.5, |x| x.atanh()),
    ("powf 0.5", 0.0, 2.0, |x| x.powf(0.5)),
    ("powf -1.5", 0.0, 2.0, |x| x.powf(-1.5)),
    ("powi -2", 0.0, 2.0, |x| x.powi(-2)),
    ("pow", 0.0, 2.0, |x| x.pow(x * 0.5 - 1.5)),
    ("hypot", 0.0, 2.0, |x| x.hypot(x * 2.0)),
    ("atan2", 0.0, 2.0, |x| x.atan2(x * x)),
    ("exp of inf", 800.0, 0.5, |x| x.exp()),
    ("exp / exp", 800.0, 0.5, |x| x.exp() / (x.exp() + 1.0)),
    ("square of inf", 1e200, 0.5, |x| x.square() * x),
    ("a chain", 0.0, 2.0, |x| x.sqrt().ln().sin().recip()),
    ("NaN", f64::NAN, 2.0, |x| x.sin() * x.exp()),
    ("inf", f64::INFINITY, 2.0, |x| x.sin() * x),
    ("root of a square", 0.0, 2.0, |x| x.square().sqrt()),
    ("std of logarithms", 0.0, 2.0, |x| rows(x).ln().std_axes(1, 1, false)),
    ("var of roots", -1.0, 2.0, |x| rows(x).sqrt().var_axes(1, 0, false)),
    ("norm of reciprocals", 0.0, 2.0, |x| rows(x).recip().norm_axes(2.0, 1, false)),
    ("3-norm of roots", -1.0, 2.0, |x| rows(x).sqrt().norm_axes(3.0, 1, false)),
    ("max of logarithms", 0.0, 2.0, |x| rows(x).ln().max_axes(1, false)),
    ("logsumexp of logarithms", 0.0, 2.0, |x| rows(x).ln().logsumexp_axes(1, false)),
    ("log_softmax", f64::INFINITY, 2.0, |x| rows(x).log_softmax().narrow(1, 0, 1).reshape([2])),
    ("softmax of logarithms", 0.0, 2.0, |x| rows(x).ln().softmax().narrow(1, 0, 1).reshape([2])),
    ("cumsum of logarithms", 0.0, 2.0, |x| rows(x).ln().cumsum(1).narrow(1, 2, 1).reshape([2])),
    ("product with a matrix", 0.0, 2.0, |x| {
        rows(x).ln().matmul(&tensor![[1.0], [2.0], [-1.0]]).reshape([2])
    }),
];

/// A row of three numbers for each element.
fn rows<'t>(x: Var<'t>) -> Var<'t> {
    x.reshape([2, 1]) * &tensor![[1.0, 1.5, 2.5]]
}

/// Ways to discard the first of two elements of a branch `y`.
const DISCARDING: &[(&str, Function)] = &[
    ("where", |y| mask(y).where_cond(y, 0.25)),
    ("where not", |y| (1.0 - mask(y)).where_cond(0.25, y)),
    ("masked_fill", |y| y.masked_fill(&tensor![1.0, 0.0], 0.25)),
    ("narrow", |y| y.narrow(0, 1, 1)),
    ("index_select", |y| y.index_select(0, [1, 1])),
    ("two selections", |y| mask(y).where_cond(mask(y).where_cond(y, 0.5).exp(), 0.25)),
];

fn mask<'t>(like: Var<'t>) -> Var<'t> {
    like.tape().constant(&tensor![0.0, 1.0])
}

/// The derivatives of a loss over `discard(f(x))`, in every way that a tape has.
fn derivatives(x: [f64; 2], f: Function, discard: Function) -> Vec<(&'static str, Tensor)> {
    let tape = Tape::new();
    let x = tape.variable(&Tensor::from(x));
    let v = tape.constant(&tensor![0.7, -1.3]);
    let y = discard(f(x));
    // Couples the elements, so that every derivative has mixed terms.
    let loss = y.sum().square() + y.powi(3).sum();
    let gradient = grad(loss, &[x])[0];
    let slope = (gradient * v).sum();
    let curvature = hvp(loss, &[x], &[v])[0];
    let third = (grad(slope, &[x])[0] * v).sum();
    [
        ("jvp", jvp(loss, &[x], &[v]) * v),
        ("grad", gradient),
        ("jvp of grad", jvp(gradient, &[x], &[v])),
        ("grad of grad", grad(slope, &[x])[0]),
        ("grad of jvp", grad(jvp(loss, &[x], &[v]), &[x])[0]),
        ("hvp", curvature),
        ("hessian", hessian(loss, x)),
        ("grad of hvp", grad((curvature * v).sum(), &[x])[0]),
        ("hvp of grad", hvp(slope, &[x], &[v])[0]),
        ("grad of grad of grad", grad(third, &[x])[0]),
        ("hvp of hvp", hvp((curvature * v).sum(), &[x], &[v])[0]),
    ]
    .map(|(name, derivative)| (name, derivative.value()))
    .into()
}

#[test]
fn derivatives_do_not_know_of_a_discarded_branch() {
    let mut leaks = Vec::new();
    for (singularity, singular, ordinary, f) in SINGULAR {
        for (way, discard) in DISCARDING {
            let found = derivatives([*singular, *ordinary], *f, *discard);
            let expected = derivatives([*ordinary, *ordinary], *f, *discard);
            for ((order, found), (_, expected)) in found.iter().zip(&expected) {
                if !near(found, expected) {
                    leaks.push(format!("{singularity}, {way}, {order}: {found:?} {expected:?}"));
                }
            }
        }
    }
    assert!(leaks.is_empty(), "{} leaks\n{}", leaks.len(), leaks.join("\n"));
}

fn near(found: &Tensor, expected: &Tensor) -> bool {
    let close = |(a, b): (&f64, &f64)| (a - b).abs() <= 1e-9 * b.abs().max(1.0);
    found.as_slice().iter().zip(expected.as_slice()).all(close)
}

#[test]
fn values_by_hand() {
    // sum(where(v > 0, sqrt(v), 0)) at [0, 4]: the second derivative of the root of 4 is -1/32.
    let tape = Tape::new();
    let v = tape.variable(&tensor![0.0, 4.0]);
    let ones = tape.constant(&tensor![1.0, 1.0]);
    let loss = v.greater(0.0).where_cond(v.sqrt(), 0.0).sum();
    assert_eq!(hvp(loss, &[v], &[ones])[0].value(), tensor![0.0, -1.0 / 32.0]);
    // v ln v, whose second derivative is 1 / v.
    let loss = v.greater(0.0).where_cond(v * v.ln(), 0.0).sum();
    assert_eq!(hessian(loss, v).value(), tensor![[0.0, 0.0], [0.0, 0.25]]);
    assert_eq!(hvp(loss, &[v], &[ones])[0].value(), tensor![0.0, 0.25]);
}

#[test]
fn a_nan_that_was_selected_is_not_lost() {
    let gradient = |x: f64, f: Function| {
        let tape = Tape::new();
        let x = tape.variable(&tensor![x]);
        grad(f(x).sum(), &[x])[0].value().to_vec()[0]
    };
    assert!(gradient(0.0, |x| x.square().sqrt()).is_nan());
    assert!(gradient(3.0, |x| x * f64::NAN).is_nan());
    assert!(gradient(3.0, |x| x.var(1)).is_nan());
    let ops = [false, true].map(|either| wengert::ops::MulNoNan { either });
    let value = |op: &wengert::ops::MulNoNan, a: f64, b: f64| {
        wengert::Value::apply(*op, [&tensor![a], &tensor![b]]).to_vec()[0]
    };
    for op in &ops {
        assert_eq!(value(op, 0.0, f64::NAN), 0.0);
        assert_eq!(value(op, 2.0, 3.0), 6.0);
        assert!(value(op, f64::NAN, 2.0).is_nan());
        assert_eq!(value(op, f64::INFINITY, 0.0).is_nan(), !op.either);
    }
}

/// The cotangents of `a b`, where 0 wins over infinity in `a`, and in a product of two cotangents in either.
#[test]
fn a_product_of_cotangents_is_zero_where_either_is() {
    fn loss<'t>(either: bool, [a, b]: [Var<'t>; 2]) -> Var<'t> {
        let product = wengert::Value::apply(wengert::ops::MulNoNan { either }, [&a, &b]);
        (product * f64::INFINITY).sum()
    }
    let params = [tensor![0.0, 2.0], tensor![3.0, 0.0]].map(Param::new);
    for (either, expected) in [(false, "[inf, NaN] [0.0, inf]"), (true, "[inf, 0.0] [0.0, inf]")] {
        let shown = |[a, b]: [&Tensor; 2]| format!("{:?} {:?}", a.as_slice(), b.as_slice());
        let tape = Tape::new();
        let x = params.each_ref().map(|param| tape.param(param));
        let both = loss(either, x);
        let computed = both.backward();
        assert_eq!(shown(params.each_ref().map(|param| computed.get(param).unwrap())), expected);
        let recorded = grad(both, &x);
        assert_eq!(shown([&recorded[0].value(), &recorded[1].value()]), expected, "recorded");
        let mut step = wengert::Program::<[Param; 2], (), f64>::new(|params, tape, ()| {
            loss(either, params.each_ref().map(|param| tape.param(param)))
        });
        for run in 0..3 {
            let (_, grads) = step.gradients(&params, ());
            let replayed = params.each_ref().map(|param| grads.get(param).unwrap());
            assert_eq!(shown(replayed), expected, "run {run}");
        }
    }
}
