//! A step that panics changes neither the model nor the optimizer.

use std::panic::{AssertUnwindSafe, catch_unwind};

use serde::{Deserialize, Serialize};
use wengert_core::{Buffer, Float, Gradients, Param, ReduceOps, Tensor, gradients, params_f64};
use wengert_nn::optim::{Optimizer, Registry, StepContext, TensorRule};

use crate::policy::{message, panicked_at};

pub(crate) struct Net {
    pub(crate) first: Param<f64>,
    pub(crate) mean: Buffer<f64>,
    pub(crate) last: Param<f64>,
}
params_f64! { Net { first, mean, last } }

impl Net {
    pub(crate) fn new() -> Self {
        Net {
            first: Param::new(Tensor::from([1.0, 2.0])),
            mean: Buffer::new(Tensor::from([0.0])),
            last: Param::new(Tensor::from([3.0])),
        }
    }

    pub(crate) fn gradients(&self, first: &[f64], last: &[f64]) -> Gradients<f64> {
        let vector = |x: &[f64]| Tensor::from_vec(x.to_vec(), [x.len()]);
        let first = (self.first.id(), vector(first));
        Gradients::from_params(vec![first, (self.last.id(), vector(last))])
    }

    pub(crate) fn only_first(&self) -> Gradients<f64> {
        Gradients::from_params(vec![(self.first.id(), Tensor::ones([2]))])
    }

    /// Gradients that come with a new mean.
    pub(crate) fn with_mean(&self, mean: Tensor<f64>) -> Gradients<f64> {
        let (_, mut grads) = gradients(|tape| {
            tape.update_buffer(&self.mean, tape.constant(&mean));
            tape.param(&self.last).sum() * 0.0
        });
        grads += &self.gradients(&[1.0, 1.0], &[1.0]);
        grads
    }

    pub(crate) fn values(&self) -> [Vec<f64>; 3] {
        [self.first.value().to_vec(), self.mean.value().to_vec(), self.last.value().to_vec()]
    }
}

/// Checks that a step with these gradients panics at the caller's line with this message, and changes nothing.
fn refused(optimizer: &mut Optimizer<f64>, net: &mut Net, grads: &Gradients<f64>, expected: &str) {
    let (values, state) = (net.values(), optimizer.state(net));
    let here = (file!().to_owned(), line!() + 1);
    assert_eq!(panicked_at(|| optimizer.step(net, grads)), here);
    let said = message(|| optimizer.step(net, grads));
    assert!(said.contains(expected), "{said}\nlacks {expected}");
    assert_eq!((net.values(), optimizer.state(net)), (values, state), "{expected}");
}

#[test]
fn a_mistake_in_the_last_gradient_leaves_the_first_parameter_as_it_was() {
    for recipe in [
        "kind = 'adam'\nema = 0.9",
        "kind = 'momentum'\nclip_value = 1\nclip_norm = 1",
        "kind = 'sgd'\naccumulate = 2",
        "kind = 'sgd'\naccumulate = 3",
        "kind = 'sgd'\nnon_finite = 'error'",
        "kind = 'sgd'\n[[groups]]\nparams = 'last'\nkind = 'adam'",
    ] {
        for steps in 0..3 {
            let (mut net, mut optimizer) = (Net::new(), Optimizer::from_toml(recipe).unwrap());
            for _ in 0..steps {
                let grads = net.gradients(&[1.0, -1.0], &[0.5]);
                optimizer.step(&mut net, &grads);
            }
            let grads = net.gradients(&[1.0, 1.0], &[1.0, 1.0, 1.0]);
            let expected = "step: gradient of last: expected shape [1], found [3]";
            refused(&mut optimizer, &mut net, &grads, expected);
            let grads = net.gradients(&[1.0], &[1.0]);
            let expected = "step: gradient of first: expected shape [2], found [1]";
            refused(&mut optimizer, &mut net, &grads, expected);
            if !recipe.contains("accumulate") {
                let grads = net.only_first();
                refused(&mut optimizer, &mut net, &grads, "no gradient arrived at last");
            }
            if recipe.contains("non_finite") {
                let grads = net.gradients(&[1.0, 1.0], &[f64::NAN]);
                refused(&mut optimizer, &mut net, &grads, "the gradient is not finite at last");
            }
        }
    }
}

#[test]
fn gradients_that_wait_survive_a_mistake() {
    let (mut net, mut sgd) =
        (Net::new(), Optimizer::from_toml("kind = 'sgd'\nlr = 1\naccumulate = 2").unwrap());
    let grads = net.only_first();
    sgd.step(&mut net, &grads);
    refused(&mut sgd, &mut net, &grads, "no gradient arrived at last");
    let here = (file!().to_owned(), line!() + 1);
    assert_eq!(panicked_at(|| sgd.flush(&mut net)), here);
    assert_eq!(sgd.state(&net).numbers["accumulate.count"], 1.0);
    // A parameter may be without a gradient in a part of the accumulation.
    let grads = net.gradients(&[3.0, 5.0], &[4.0]);
    sgd.step(&mut net, &grads);
    assert_eq!(net.values(), [vec![-1.0, -1.0], vec![0.0], vec![1.0]]);
}

#[test]
fn gradients_of_another_model_do_not_wait_in_vain() {
    let mut sgd = Optimizer::from_toml("kind = 'sgd'\nlr = 1\naccumulate = 2").unwrap();
    let mut first = Net::new();
    let grads = first.gradients(&[1.0, 1.0], &[1.0]);
    sgd.step(&mut first, &grads);
    let mut second = Net::new();
    let grads = second.gradients(&[3.0, 3.0], &[3.0]);
    let here = (file!().to_owned(), line!() + 1);
    assert_eq!(panicked_at(|| sgd.step(&mut second, &grads)), here);
    let here = (file!().to_owned(), line!() + 1);
    assert_eq!(panicked_at(|| sgd.flush(&mut second)), here);
    let said = message(|| sgd.step(&mut second, &grads));
    assert!(said.contains("are those of another model; `flush` that one first"), "{said}");
    sgd.flush(&mut first);
    assert_eq!(first.values()[2], [2.0]);
    sgd.step(&mut second, &grads);
    sgd.flush(&mut second);
    assert_eq!((second.values()[2].as_slice(), sgd.steps()), (&[0.0][..], 2));
}

#[test]
fn a_parameter_that_has_grown_is_named() {
    for recipe in ["kind = 'adam'", "kind = 'sgd'", "kind = 'sgd'\nclip_value = 1\nclip_norm = 1"] {
        let (mut net, mut optimizer) = (Net::new(), Optimizer::from_toml(recipe).unwrap());
        let grads = net.gradients(&[1.0, 1.0], &[1.0]);
        optimizer.step(&mut net, &grads);
        net.last = Param::new(Tensor::from([1.0, 2.0]));
        let grads = net.gradients(&[1.0, 1.0], &[1.0, 1.0]);
        let here = (file!().to_owned(), line!() + 1);
        assert_eq!(panicked_at(|| optimizer.step(&mut net, &grads)), here);
        let said = message(|| optimizer.step(&mut net, &grads));
        assert_eq!(said, "step: state of last: made for shape [1], found [2]");
        assert_eq!((optimizer.steps(), net.last.value().to_vec()), (1, vec![1.0, 2.0]));
    }
}

#[test]
fn gradients_of_different_shapes_are_not_added() {
    let net = Net::new();
    let mut sum = net.gradients(&[1.0, 1.0], &[1.0]);
    let other = net.gradients(&[1.0, 1.0], &[1.0, 2.0]);
    let here = (file!().to_owned(), line!() + 1);
    assert_eq!(panicked_at(|| sum += &other), here);
    let said = message(|| sum += &other);
    assert!(
        said.starts_with(
            "gradients +=: one parameter has a gradient of shape [1] on the left, [2]"
        )
    );
    assert_eq!(sum.as_slice()[0].1.to_vec(), [1.0, 1.0]);
    // Those of two models are kept beside each other, and a step takes those of its own.
    let mut second = Net::new();
    sum += &second.gradients(&[5.0, 5.0], &[5.0]);
    Optimizer::from_toml("kind = 'sgd'\nlr = 1").unwrap().step(&mut second, &sum);
    assert_eq!(second.values()[2], [-2.0]);
}

/// A rule that returns an update of another shape.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Flattened {}

impl TensorRule for Flattened {
    const KIND: &'static str = "flattened";
    const LR: f64 = 1.0;

    fn apply<F: Float>(
        &self,
        _: StepContext,
        _update: Tensor<F>,
        _param: &Tensor<F>,
        _state: &mut [Tensor<F>],
    ) -> Tensor<F> {
        Tensor::zeros([7])
    }
}

#[test]
fn a_rule_that_changes_the_shape_is_named_with_its_parameter() {
    let registry = Registry::default().tensor_rule::<Flattened>();
    for recipe in [
        "kind = 'flattened'",
        "lr = 1\nchain = [{ kind = 'flattened' }, { kind = 'sgd' }]",
        "lr = 1\nchain = [{ kind = 'flattened' }, { kind = 'clip_norm' }]",
    ] {
        let (mut net, mut optimizer) = (Net::new(), Optimizer::new(registry.read(recipe).unwrap()));
        let grads = net.gradients(&[1.0, 1.0], &[1.0]);
        let expected = "step: first: `flattened` returned an update of shape [7] for one of [2]";
        let here = (file!().to_owned(), line!() + 1);
        assert_eq!(panicked_at(|| optimizer.step(&mut net, &grads)), here);
        assert_eq!(message(|| optimizer.step(&mut net, &grads)), expected);
        assert_eq!(net.values()[0], [1.0, 2.0]);
    }
}

/// A rule that fails as long as the update of a parameter of one element is above 10.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Brittle {}

impl TensorRule for Brittle {
    const KIND: &'static str = "brittle";

    fn apply<F: Float>(
        &self,
        _: StepContext,
        update: Tensor<F>,
        _param: &Tensor<F>,
        _state: &mut [Tensor<F>],
    ) -> Tensor<F> {
        assert!(update.numel() > 1 || update.item().to_f64() <= 10.0, "it broke");
        update
    }
}

#[test]
fn a_step_after_one_that_failed_in_a_rule_uses_its_own_gradients() {
    let registry = Registry::default().tensor_rule::<Brittle>();
    let recipe = "lr = 1\nchain = [{ kind = 'brittle' }, { kind = 'clip_norm', max_norm = 1e6 }]";
    let (mut net, mut optimizer) = (Net::new(), Optimizer::new(registry.read(recipe).unwrap()));
    let grads = net.gradients(&[7.0, 7.0], &[11.0]);
    let failed = catch_unwind(AssertUnwindSafe(|| optimizer.step(&mut net, &grads)));
    assert!(failed.is_err());
    assert_eq!((net.values()[0].as_slice(), optimizer.steps()), (&[1.0, 2.0][..], 0));
    let grads = net.gradients(&[1.0, 1.0], &[1.0]);
    optimizer.step(&mut net, &grads);
    assert_eq!(net.values(), [vec![0.0, 1.0], vec![0.0], vec![2.0]]);
}
