//! Solvers through the optimizer: what they train, what they remember, and what a failure leaves.

use std::panic::{AssertUnwindSafe, catch_unwind};

use serde::{Deserialize, Serialize};
use wengert_core::{Float, Gradients, Tensor, UnaryOps};
use wengert_nn::optim::{
    LossAt, Optimizer, Plan, Recipe, Registry, Sgd, Solver, SolverState, StepContext,
};

use crate::all_or_nothing::Net;
use crate::policy::{message, panicked_at};

/// Steps of size `lr` along the gradient. Keeps their count, and stops after `most` of them.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Descent {
    /// Numbers too many in the end point.
    #[serde(default)]
    extra: usize,
    #[serde(default = "thousand")]
    most: usize,
}

impl Solver for Descent {
    const KIND: &'static str = "descent";

    fn step<F: Float>(
        &self,
        context: StepContext,
        x: &Tensor<F>,
        loss: &mut LossAt<'_, F>,
        state: &mut SolverState<F>,
    ) -> (F, Tensor<F>) {
        let (value, gradient) = loss(x);
        let end = x - gradient.mul_scalar(context.lr);
        loss(&end);
        let made = state.get("made").map_or(0.0, |made| made.item().to_f64());
        assert_eq!(context.count as f64, made + 1.0);
        state.insert("made".into(), Tensor::scalar(F::of(made + 1.0)));
        if made >= self.most as f64 {
            return (value, x.clone());
        }
        let n = x.numel() + self.extra;
        (value, if self.extra > 0 { Tensor::zeros([n]) } else { end })
    }
}

fn thousand() -> usize {
    1000
}

fn solver(text: &str) -> Optimizer<f64> {
    let registry = Registry::default().solver::<Descent>();
    Optimizer::new(registry.read(&format!("kind = 'descent'\nlr = 0.5\n{text}")).unwrap())
}

#[test]
fn a_solver_that_fails_leaves_the_model_where_it_was() {
    let start = Net::new().values();
    let mut net = Net::new();
    let mut calls = 0;
    // The loss panics at the second point.
    let mut optimizer = solver("");
    let failed = catch_unwind(AssertUnwindSafe(|| {
        optimizer.minimize(&mut net, |net| {
            calls += 1;
            assert!(calls < 2, "the data has ended");
            (0.0, net.gradients(&[1.0, 1.0], &[1.0]))
        })
    }));
    assert!(failed.is_err());
    assert_eq!((net.values(), optimizer.steps()), (start.clone(), 0));
    assert!(optimizer.state(&net).tensors.is_empty());

    // A gradient of another shape, no gradient, or an end of another shape.
    type Loss = fn(&Net) -> (f64, Gradients<f64>);
    let misshapen: Loss = |net| (0.0, net.gradients(&[1.0, 1.0], &[1.0, 1.0]));
    let missing: Loss = |net| (0.0, net.only_first());
    let nan: Loss = |net| (f64::NAN, net.gradients(&[1.0, 1.0], &[f64::NAN]));
    let good: Loss = |net| (0.0, net.with_mean(Tensor::from([0.5])));
    for (text, loss, expected) in [
        ("", misshapen, "minimize: gradient of last: expected shape [1], found [2]"),
        ("", missing, "minimize: no gradient arrived at last"),
        ("non_finite = 'error'", nan, "minimize: the gradient is not finite at last"),
        ("extra = 2", good, "minimize: `descent` ends at a point of shape [5], not [3]"),
    ] {
        let mut optimizer = solver(text);
        let here = (file!().to_owned(), line!() + 1);
        assert_eq!(panicked_at(|| _ = optimizer.minimize(&mut net, loss)), here);
        let said = message(|| _ = optimizer.minimize(&mut net, loss));
        assert!(said.starts_with(expected), "{said}");
        assert_eq!((net.values(), optimizer.steps()), (start.clone(), 0));
        assert!(optimizer.state(&net).tensors.is_empty());
    }

    let mut optimizer = solver("non_finite = 'skip'");
    assert!(optimizer.minimize(&mut net, nan).is_nan());
    assert_eq!((net.values(), optimizer.steps(), optimizer.skipped()), (start, 0, 1));
    // A point of a line search may have no finite loss.
    let mut calls = 0;
    optimizer.minimize(&mut net, |net| {
        calls += 1;
        if calls == 2 { nan(net) } else { good(net) }
    });
    assert_eq!((net.values()[2][0], optimizer.steps()), (2.5, 1));
    // Buffers have the values of the last evaluation.
    optimizer.minimize(&mut net, good);
    assert_eq!(net.values()[1], [0.5]);
}

#[test]
fn a_solver_trains_what_is_neither_frozen_nor_in_a_frozen_group() {
    let loss = |net: &Net| (0.0, net.gradients(&[1.0, 1.0], &[1.0]));
    let mut net = Net::new();
    net.first.set_frozen(true);
    solver("").minimize(&mut net, loss);
    assert_eq!((net.first.value().to_vec(), net.last.value().item()), (vec![1.0, 2.0], 2.5));
    net.first.set_frozen(false);
    solver("[[groups]]\nparams = 'last'\nfrozen = true").minimize(&mut net, loss);
    assert_eq!((net.first.value().to_vec(), net.last.value().item()), (vec![0.5, 1.5], 2.5));
}

#[test]
fn a_solver_counts_a_missing_gradient_as_zero_if_the_recipe_skips() {
    let (mut net, mut skipping) = (Net::new(), solver("unused_parameters = 'skip'"));
    skipping.minimize(&mut net, |net| (0.0, net.only_first()));
    assert_eq!(net.values(), [vec![0.5, 1.5], vec![0.0], vec![3.0]]);
}

#[test]
fn a_solver_goes_on_with_what_it_remembers() {
    let loss = |net: &Net| (0.0, net.gradients(&[1.0, 1.0], &[1.0]));
    let (mut net, mut first) = (Net::new(), solver("most = 3"));
    for _ in 0..2 {
        first.minimize(&mut net, loss);
    }
    let mut second = solver("most = 3");
    second.restore(&net, first.state(&net)).unwrap();
    assert_eq!(second.state(&net), first.state(&net));
    assert!(second.state(&net).numbers.keys().eq(["skipped", "steps"]));
    for _ in 0..2 {
        second.minimize(&mut net, loss);
    }
    assert_eq!((net.last.value().item(), second.steps()), (1.5, 4));
}

#[test]
fn a_pattern_without_a_match_is_found_before_a_solver_runs() {
    let (mut net, mut optimizer) =
        (Net::new(), solver("[[groups]]\nparams = 'nothing'\nfrozen = true"));
    let said = message(|| _ = optimizer.minimize(&mut net, |_| unreachable!("the loss")));
    assert!(said.contains("no parameter is called `nothing`"), "{said}");
}

fn recipe() -> Recipe {
    Recipe::solver(0.5, Descent { extra: 0, most: 1 })
}

#[test]
#[should_panic(expected = "`descent` works on all parameters at once: a group can only be frozen")]
fn a_solver_has_no_trained_groups_in_rust_either() {
    let _ = recipe().freeze(["a"]).group(["b"], Plan::new(0.1, Sgd::default()));
}

#[test]
#[should_panic(expected = "`descent` calls the loss itself, and accumulates no gradients")]
fn a_solver_does_not_accumulate_in_rust_either() {
    let _ = recipe().with_accumulate(1).with_accumulate(2);
}
