//! Copies of models: clones, and the numbers of one model written into another.

use std::panic::{AssertUnwindSafe, catch_unwind};

use wengert::f64::prelude::*;
use wengert::rand::{SeedableRng, rngs::ChaCha8Rng};

/// A net with every container, a norm, and a function.
fn net(seed: u64) -> Sequential {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let body = Sequential::new().then(Linear::new(2, 2, &mut rng)).then(Lambda::new(|x| x * 2.0));
    Sequential::new()
        .then(BatchNorm1d::new(2).momentum(1.0))
        .then(Residual::new(body))
        .then(EvalMode::new(Linear::new(2, 1, &mut rng)))
}

fn output(net: &Sequential) -> Tensor {
    evaluate(|tape| net.forward(tape.constant(&tensor![[1.0, 2.0], [3.0, -4.0]])))
}

/// A step that moves the statistics and the parameters.
fn train(net: &mut Sequential) {
    let (_, grads) = gradients(|tape| {
        net.forward(tape.constant(&tensor![[1.0, 2.0], [3.0, -4.0]])).square().sum()
    });
    Optimizer::from_toml("kind = 'sgd'\nlr = 0.1").unwrap().step(net, &grads);
}

#[test]
fn a_clone_of_containers_is_another_model() {
    let mut original = net(1);
    let clone = original.clone();
    let before = output(&original);
    assert_eq!(output(&clone), before);
    train(&mut original);
    assert_ne!(output(&original), before);
    assert_eq!(output(&clone), before);
    // Both on one tape: neither takes the other's gradients.
    let (_, grads) =
        gradients(|tape| clone.forward(tape.constant(&tensor![[1.0, 2.0], [0.0, 1.0]])).sum());
    assert!(grads.missing(&clone).is_empty());
    assert_eq!(grads.missing(&original).len(), original.named_params().len());
}

#[test]
fn a_copy_has_parameters_and_buffers() {
    let (mut online, mut target) = (net(1), net(2));
    train(&mut online);
    assert_ne!(output(&target), output(&online));
    target.for_each_param_mut(&mut |_, param| param.set_frozen(true));
    target.copy_from(&online);
    assert_eq!(output(&target), output(&online));
    assert!(target.named_params().iter().all(|(_, param)| param.is_frozen()));
}

#[test]
fn lerp_moves_parameters_and_buffers_by_a_share_of_the_way() {
    let mut start = BatchNorm1d::new(2);
    let mut end = start.clone();
    end.weight.as_mut().unwrap().set(tensor![3.0, 1.0]);
    end.running_mean.as_mut().unwrap().set(tensor![0.1, -8.0]);
    let unchanged = start.clone();
    start.lerp(&end, 0.0);
    assert_eq!(start.running_mean.as_ref().unwrap().value(), &tensor![0.0, 0.0]);
    start.lerp(&end, 0.25);
    assert_eq!(start.weight.as_ref().unwrap().value(), &tensor![1.5, 1.0]);
    assert_eq!(start.running_mean.as_ref().unwrap().value(), &tensor![0.025, -2.0]);
    assert_eq!(start.running_var.as_ref().unwrap().value(), &tensor![1.0, 1.0]);
    start.lerp(&end, 1.0);
    assert_eq!(start.running_mean.as_ref().unwrap().value(), &tensor![0.1, -8.0]);
    for tau in [-0.1, 1.5, f64::NAN] {
        let message = refusal(|| start.clone().lerp(&unchanged, tau));
        assert_eq!(message, format!("lerp: tau must be in 0..=1, not {tau}"));
    }
}

fn refusal(f: impl FnOnce()) -> String {
    let panic = catch_unwind(AssertUnwindSafe(f)).unwrap_err();
    panic.downcast_ref::<String>().unwrap().clone()
}

#[test]
fn models_that_differ_are_refused_with_the_names_and_stay_as_they_are() {
    let rng = &mut ChaCha8Rng::seed_from_u64(0);
    let other = Sequential::new().then(Linear::new(3, 2, rng)).then(BatchNorm1d::new(2));
    let mut own = Sequential::new().then(Linear::new(2, 2, rng)).then(Linear::new(2, 2, rng));
    let before = own.flatten();
    for message in [refusal(|| own.copy_from(&other)), refusal(|| own.lerp(&other, 0.5))] {
        let (_, message) = message.split_once(": ").unwrap();
        assert_eq!(
            message,
            "the models differ\n  in the other only: 1.num_batches_tracked, 1.running_mean, \
             1.running_var\n  of different shapes: 0.weight [2, 2] and [2, 3], 1.weight [2, 2] and [2]"
        );
    }
    let message = refusal(|| own.copy_from(&Linear::new(2, 2, rng)));
    assert!(message.contains("\n  not in the other: 0.weight, 0.bias, 1.weight, 1.bias\n"));
    assert_eq!(own.flatten(), before);
}
