//! Distributions against `torch.distributions`: the cases of `fixtures/distributions.json`. Their draws by moments, with
//! stated keys and four standard deviations of the moment; and by their derivatives.

use wengert::check_gradients;
use wengert::f64::prelude::*;

use crate::layers::pytorch;
use wengert::distributions::{Bernoulli, Categorical, Gumbel, Normal, Uniform};

const FIXTURE: &str = include_str!("../fixtures/distributions.json");
const INF: f64 = f64::INFINITY;

struct Function;
params! { Function {} }

#[track_caller]
fn agrees(case: &str, f: impl for<'t> Fn(&[Var<'t>]) -> Var<'t>) {
    pytorch::agrees(FIXTURE, case, Function, |_, x| vec![f(x)]);
}

#[test]
fn normal() {
    agrees("normal log_prob", |x| Normal::new(x[0], x[1]).log_prob(x[2]));
    agrees("normal entropy", |x| Normal::new(x[0], x[1]).entropy());
    agrees("normal kl", |x| Normal::new(x[0], x[1]).kl_divergence(&Normal::new(x[2], x[3])));
}

#[test]
fn uniform() {
    agrees("uniform log_prob", |x| Uniform::new(x[0], x[1]).log_prob(x[2]));
    agrees("uniform entropy", |x| Uniform::new(x[0], x[1]).entropy());
    agrees("uniform kl", |x| Uniform::new(x[0], x[1]).kl_divergence(&Uniform::new(x[2], x[3])));
}

#[test]
fn bernoulli() {
    let coins = tensor![[0.0, 1.0, 1.0], [1.0, 0.0, 0.0]];
    agrees("bernoulli log_prob", |x| Bernoulli::new(x[0]).log_prob(&coins));
    agrees("bernoulli entropy", |x| Bernoulli::new(x[0]).entropy());
    agrees("bernoulli kl", |x| Bernoulli::new(x[0]).kl_divergence(&Bernoulli::new(x[1])));
}

#[test]
fn categorical() {
    let hot = Tensor::one_hot([4, 0], 5);
    agrees("categorical log_prob", |x| Categorical::new(x[0]).log_prob([4, 0]));
    agrees("categorical log_prob", |x| Categorical::new(x[0]).log_prob(&hot));
    agrees("categorical entropy", |x| Categorical::new(x[0]).entropy());
    agrees("categorical kl", |x| Categorical::new(x[0]).kl_divergence(&Categorical::new(x[1])));
}

#[test]
fn gumbel() {
    agrees("gumbel log_prob", |x| Gumbel::new(x[0], x[1]).log_prob(x[2]));
    agrees("gumbel entropy", |x| Gumbel::new(x[0], x[1]).entropy());
}

#[test]
fn derivatives_of_the_second_order() {
    let [a, b, c] =
        [tensor![[0.3, -0.7], [1.2, 0.1]], tensor![0.8, 1.5], tensor![[-0.2, 0.9], [0.4, -1.1]]];
    let all = [a, b, c];
    let check = |f: for<'t> fn(&[Var<'t>]) -> Var<'t>| {
        check_gradients(|x| f(x).square() + f(x), &all).unwrap();
    };
    check(|x| Normal::new(x[0], x[1]).log_prob(x[2]) + Normal::new(x[0], x[1]).entropy());
    check(|x| Normal::new(x[0], x[1]).kl_divergence(&Normal::new(x[2], 0.7)));
    check(|x| Uniform::new(x[0] - 3.0, x[1] + 2.0).log_prob(x[2]));
    check(|x| Gumbel::new(x[0], x[1]).log_prob(x[2]) + Gumbel::new(x[0], x[1]).entropy());
    check(|x| Bernoulli::new(x[0]).log_prob(1.0) + Bernoulli::new(x[2]).entropy());
    check(|x| Bernoulli::new(x[0]).kl_divergence(&Bernoulli::new(x[2])));
    check(|x| Categorical::new(x[0]).log_prob([1, 0]) + Categorical::new(x[2]).entropy());
    check(|x| Categorical::new(x[0]).kl_divergence(&Categorical::new(x[2])));
}

/// `f` of constants.
fn value(f: impl for<'t> Fn(&'t Tape) -> Var<'t>) -> Vec<f64> {
    evaluate(f).to_vec()
}

/// As in PyTorch, a share between 0 and 1 counts as a mean of outcomes.
#[test]
fn a_coin_between_its_outcomes() {
    let tape = Tape::new();
    let [logit, x] = [0.5, 0.25].map(|x| tape.variable(&x.into()));
    let log_prob = Bernoulli::new(logit).log_prob(x);
    // x logit - softplus(logit), by mpmath; its derivatives are x - sigmoid(logit) and the logit.
    assert!((log_prob.value().item() + 0.849_076_984_180_106_7).abs() < 1e-15);
    let by = grad(log_prob, &[logit, x]).iter().map(|g| g.value().item()).collect::<Vec<_>>();
    assert!((by[0] + 0.372_459_331_201_854_6).abs() < 1e-15 && (by[1] - 0.5).abs() < 1e-15);
}

#[test]
fn values_at_the_ends() {
    fn interval(tape: &Tape, low: f64, high: f64) -> Uniform<'_, f64> {
        Uniform::new(tape.constant(&low.into()), high)
    }
    fn of<'t>(tape: &'t Tape, logits: &Tensor) -> Categorical<'t, f64> {
        Categorical::new(tape.constant(logits))
    }
    fn coin(tape: &Tape, logit: f64) -> Bernoulli<'_, f64> {
        Bernoulli::new(tape.constant(&logit.into()))
    }
    assert_eq!(
        value(|tape| interval(tape, 0.0, 1.0).log_prob(&tensor![-0.1, 0.0, 1.0])),
        [-INF, 0.0, -INF]
    );
    let kl = |other: [f64; 2]| {
        value(|tape| interval(tape, 0.0, 1.0).kl_divergence(&interval(tape, other[0], other[1])))[0]
    };
    assert_eq!((kl([0.0, 1.0]), kl([0.0, 0.9]), kl([0.1, 1.0])), (0.0, INF, INF));
    // Certain coins and classes.
    for logit in [INF, -INF] {
        assert_eq!(value(|tape| coin(tape, logit).entropy()), [0.0]);
        assert_eq!(value(|tape| coin(tape, logit).kl_divergence(&coin(tape, logit))), [0.0]);
    }
    let one = tensor![0.0, -INF];
    let fair = tensor![0.0, 0.0];
    assert_eq!(value(|tape| of(tape, &one).entropy()), [0.0]);
    assert_eq!(value(|tape| of(tape, &one).kl_divergence(&of(tape, &fair))), [2f64.ln()]);
    assert_eq!(value(|tape| of(tape, &fair).kl_divergence(&of(tape, &one))), [INF]);
    assert_eq!(value(|tape| of(tape, &one).kl_divergence(&of(tape, &one))), [0.0]);
    assert_eq!(
        value(|tape| of(tape, &one).log_prob(Indices::from_vec(vec![1], Shape::SCALAR))),
        [-INF]
    );
    assert_eq!(value(|tape| of(tape, &one).log_prob(&tensor![1.0, 0.0])), [0.0]);
    // mpmath: -log1p(exp(-40)), and the entropy (1 + 40) exp(-40) of the first order.
    let rare = (-40f64).exp();
    let log_prob = value(|tape| coin(tape, 40.0).log_prob(1.0))[0];
    assert!((log_prob / -rare - 1.0).abs() < 1e-14);
    let entropy = value(|tape| coin(tape, -40.0).entropy())[0];
    assert!((entropy / (41.0 * rare) - 1.0).abs() < 1e-14);
    // The gradient of the entropy is finite where a class has probability 0.
    let tape = Tape::new();
    let logits = tape.variable(&one);
    assert_eq!(Categorical::new(logits).entropy().backward().wrt(logits), Some(&tensor![0.0, 0.0]));
}

/// Mean and variance of draws of `f` on a tape with this key.
fn moments(key: u64, f: impl for<'t> Fn(&'t Tape) -> Var<'t>) -> (f64, f64) {
    let draws = seeded(key).evaluate(f);
    (draws.mean().item(), draws.var(1).item())
}

const COUNT: usize = 40_000;

/// Asserts that mean and variance of `COUNT` draws are within four standard deviations, given the fourth central moment.
#[track_caller]
fn has_moments(found: (f64, f64), mean: f64, variance: f64, fourth: f64) {
    let n = COUNT as f64;
    assert!((found.0 - mean).abs() < 4.0 * (variance / n).sqrt(), "mean {}, not {mean}", found.0);
    let deviation = ((fourth - variance * variance) / n).sqrt();
    assert!((found.1 - variance).abs() < 4.0 * deviation, "variance {}, not {variance}", found.1);
}

#[test]
fn moments_of_draws() {
    fn full(tape: &Tape, x: f64) -> Var<'_> {
        tape.constant(&Tensor::full([COUNT], x))
    }
    let normal = moments(1, |tape| Normal::new(full(tape, 3.0), 0.5).rsample());
    has_moments(normal, 3.0, 0.25, 3.0 / 16.0);
    let uniform = moments(2, |tape| Uniform::new(full(tape, -1.0), 3.0).rsample());
    has_moments(uniform, 1.0, 16.0 / 12.0, 256.0 / 80.0);
    // The fourth central moment of a Gumbel variable is 27 / 5 of the squared variance.
    let variance = 4.0 * std::f64::consts::PI.powi(2) / 6.0;
    let gumbel = moments(3, |tape| Gumbel::new(full(tape, 1.0), 2.0).rsample());
    has_moments(gumbel, 1.0 + 2.0 * 0.577_215_664_901_532_9, variance, 5.4 * variance * variance);
    let p = 1.0 / (1.0 + (-1f64).exp());
    let bernoulli = moments(4, |tape| Bernoulli::new(full(tape, 1.0)).sample());
    let spread = p * (1.0 - p);
    has_moments(bernoulli, p, spread, spread * (1.0 - 3.0 * spread));
}

#[test]
fn draws_of_classes() {
    let logits = tensor![0.5, -INF, -1.0, 2.0];
    let draw = |key| {
        seeded(key)
            .evaluate(|tape| Categorical::new(tape.constant(&logits).expand([COUNT, 4])).sample())
    };
    let draws = draw(5);
    assert!(draws.as_slice().iter().all(|x| *x == 0.0 || *x == 1.0));
    assert_eq!(draws.sum_axes(1, false), Tensor::ones([COUNT]));
    let (shares, probs) = (draws.mean_axes(0, false), logits.softmax());
    for (share, p) in shares.as_slice().iter().zip(probs.as_slice()) {
        assert!(
            (share - p).abs() <= 4.0 * (p * (1.0 - p) / COUNT as f64).sqrt(),
            "{share}, not {p}"
        );
    }
    assert_eq!(draws, draw(5));
    assert_ne!(draws, draw(6));
    // Equal sums of one draw: the first class.
    let relaxed = seeded(7).evaluate(|tape| {
        Categorical::new(tape.constant(&logits).expand([100, 4])).gumbel_softmax(1e-3)
    });
    let hard = seeded(7)
        .evaluate(|tape| Categorical::new(tape.constant(&logits).expand([100, 4])).sample());
    assert_eq!(relaxed.argmax(), hard.argmax());
    assert!((relaxed.sum_axes(1, false) - 1.0).abs().max().item() < 1e-12);
}

/// The derivatives of a draw are those of its formula at the same noise.
#[test]
fn draws_are_differentiable_functions_of_their_parameters() {
    let (a, b) = (tensor![0.5, -1.0, 2.0], tensor![1.5, 0.2, 3.0]);
    let check = |draw: for<'t> fn(Var<'t>, Var<'t>) -> Var<'t>, by_b: fn(&Tensor) -> Tensor| {
        let tape = seeded(8).tape();
        let (a, b) = (tape.variable(&a), tape.variable(&b));
        let x = draw(a, b);
        let noise = (x.value() - a.value()) / b.value();
        let grads = x.sum().backward();
        pytorch::assert_near("the second", grads.wrt(b).unwrap(), &by_b(&noise));
        grads.wrt(a).unwrap().clone()
    };
    let ones = Tensor::ones([3]);
    assert_eq!(check(|a, b| Normal::new(a, b).rsample(), Tensor::clone), ones);
    assert_eq!(check(|a, b| Gumbel::new(a, b).rsample(), Tensor::clone), ones);
    // The length of the interval takes part in the derivative by its beginning.
    check(|a, b| Uniform::new(a, a + b).rsample(), Tensor::clone);
    let tape = seeded(9).tape();
    let x = tape.variable(&a);
    assert!(
        Normal::new(x, 1.0)
            .sample()
            .sum()
            .backward()
            .wrt(x)
            .is_none_or(|g| *g == Tensor::zeros([3]))
    );
    check_gradients(|x| Categorical::new(x[0]).gumbel_softmax(0.7).square(), &[a.reshape([1, 3])])
        .unwrap();
}

/// Draws of a program are those of a recording with the same key.
#[test]
fn a_program_draws_anew_at_each_run() {
    fn loss<'t>(x: Var<'t>) -> Var<'t> {
        let normal = Normal::new(x, 0.5).rsample();
        let classes = Categorical::new(x + normal);
        let coins = Bernoulli::new(x).sample();
        let uniform = Uniform::new(x, x + 1.0).rsample() * Gumbel::new(x, 2.0).rsample();
        classes.log_prob(classes.sample()).sum()
            + (classes.gumbel_softmax(0.5) * coins * uniform).square().sum()
    }
    let param = Param::new(tensor![[0.3, -0.2, 0.8], [1.0, 0.0, -1.0]]);
    let mut step = Program::<Param, ()>::new(|param, tape, ()| loss(tape.param(param)));
    let mut last = 0.0;
    for key in 0..6 {
        let (value, grads) = seeded(key).gradients(|tape| loss(tape.param(&param)));
        let (again, same) = step.seeded(key).gradients(&param, ());
        assert_eq!(value.to_bits(), again.to_bits(), "key {key}");
        assert_eq!(grads.get(&param), same.get(&param), "key {key}");
        assert_ne!(value, last);
        last = value;
    }
}

#[test]
fn empty_batches_and_single_elements() {
    let empty = Tensor::zeros([0, 3]);
    let shape = |f: for<'t> fn(Var<'t>) -> Var<'t>| {
        seeded(1).evaluate(|tape| f(tape.constant(&empty))).shape()
    };
    assert_eq!(shape(|x| Normal::new(x, 1.0).rsample()), [0, 3].into());
    assert_eq!(shape(|x| Categorical::new(x).sample()), [0, 3].into());
    assert_eq!(shape(|x| Categorical::new(x).entropy()), [0].into());
    let single =
        seeded(1).evaluate(|tape| Categorical::new(tape.constant(&Tensor::zeros([1]))).sample());
    assert_eq!(single, tensor![1.0]);
}

#[test]
#[should_panic(expected = "Normal: [2] and [3] do not broadcast: axis -1 differs (2 and 3)")]
fn parameters_broadcast() {
    evaluate(|tape| Normal::new(tape.constant(&Tensor::zeros([2])), &Tensor::ones([3])).entropy());
}

#[test]
#[should_panic(expected = "random: this tape has no key to draw from")]
fn a_draw_needs_a_key() {
    evaluate(|tape| Normal::new(tape.constant(&Tensor::zeros([2])), 1.0).sample());
}

#[test]
#[should_panic(expected = "Categorical: temperature must be above 0, not 0")]
fn a_temperature_is_above_0() {
    evaluate(|tape| Categorical::new(tape.constant(&Tensor::zeros([2]))).gumbel_softmax(0.0));
}
