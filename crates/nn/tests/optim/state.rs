//! The state of an optimizer by name: saved, restored, and reported where it does not fit.

use rand::{SeedableRng, rngs::ChaCha8Rng};
use wengert_core::{Gradients, Param, ReduceOps, Tensor, UnaryOps, gradients, params_f64};
use wengert_nn::optim::{Optimizer, OptimizerState};

struct Net {
    weight: Param<f64>,
    bias: Param<f64>,
}
params_f64! { Net { weight, bias } }

/// Longer than a chunk, so that the state of a parameter is in several pieces.
fn net() -> Net {
    let rng = &mut ChaCha8Rng::seed_from_u64(1);
    Net {
        weight: Param::new(Tensor::randn([3, 3001], rng)),
        bias: Param::new(Tensor::randn([3], rng)),
    }
}

fn gradient(net: &Net, t: u64) -> Gradients<f64> {
    let parts = gradients(|tape| {
        let weight = tape.param(&net.weight).add_scalar(t as f64).square().sum();
        weight + tape.param(&net.bias).cos().sum()
    });
    parts.1
}

fn train(net: &mut Net, optimizer: &mut Optimizer<f64>, steps: std::ops::Range<u64>) {
    for t in steps {
        let grads = gradient(net, t);
        optimizer.step(net, &grads);
        optimizer.report_metric(1.0);
    }
}

fn optimizer(text: &str) -> Optimizer<f64> {
    Optimizer::from_toml(text).unwrap_or_else(|error| panic!("{error}"))
}

const RECIPES: [&str; 8] = [
    "kind = 'sgd'\nclip_norm = 1.0\nunused_parameters = 'skip'",
    "kind = 'adamw'\namsgrad = true\nema = 0.9\nlr = 0.01",
    "kind = 'nadam'\nclip_norm = 1.0\nlr = { kind = 'plateau', lr = 0.1, patience = 1 }",
    "kind = 'rmsprop'\ncentered = true\nmomentum = 0.5",
    "kind = 'momentum'\naccumulate = 3\nlr = 0.01",
    "kind = 'adadelta'\n[[groups]]\nparams = 'bias'\nkind = 'lion'\nlr = { kind = 'plateau', lr = 0.1, patience = 1 }",
    "lr = 0.1\n[[chain]]\nkind = 'momentum'\n[[chain]]\nkind = 'clip_norm'\n[[chain]]\nkind = 'momentum'",
    "kind = 'adagrad'\nlr_decay = 0.1\n[[groups]]\nparams = 'weight'\nfrozen = true",
];

#[test]
fn resumed_training_gives_the_same_bits() {
    for recipe in RECIPES {
        let (mut through, mut at_once) = (net(), optimizer(recipe));
        train(&mut through, &mut at_once, 0..8);

        let (mut again, mut first) = (net(), optimizer(recipe));
        train(&mut again, &mut first, 0..4);
        let state = first.state(&again);
        drop(first);
        // As in another process: other parameters of the same names.
        let mut again = Net { weight: again.weight.clone(), bias: again.bias.clone() };
        let mut second = optimizer(recipe);
        second.restore(&again, state.clone()).unwrap_or_else(|error| panic!("{recipe}\n{error}"));
        assert_eq!(second.state(&again), state, "{recipe}");
        train(&mut again, &mut second, 4..8);

        assert_eq!(again.weight.value(), through.weight.value(), "{recipe}");
        assert_eq!(again.bias.value(), through.bias.value(), "{recipe}");
        assert_eq!((second.steps(), second.lr()), (at_once.steps(), at_once.lr()));
    }
}

#[test]
fn names_consist_of_parameter_rule_and_slot() {
    let (mut net, mut optimizer) = (net(), optimizer(RECIPES[1]));
    train(&mut net, &mut optimizer, 0..2);
    let state = optimizer.state(&net);
    let names: Vec<&str> = state.tensors.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "bias/adam.exp_avg",
            "bias/adam.exp_avg_sq",
            "bias/adam.max_exp_avg_sq",
            "bias/ema.average",
            "weight/adam.exp_avg",
            "weight/adam.exp_avg_sq",
            "weight/adam.max_exp_avg_sq",
            "weight/ema.average",
        ]
    );
    assert_eq!((state.numbers["steps"], state.numbers["weight/adam.count"]), (2.0, 2.0));
    assert_eq!(state.tensors["weight/ema.average"].shape(), [3, 3001].into());
    // The first moment of Adam after two steps: 0.9 * 0.1 of the first gradient, 0.1 of the second.
    let mut second = self::net();
    let first = gradient(&second, 0).named(&second, "bias").unwrap().to_vec();
    train(&mut second, &mut self::optimizer(RECIPES[1]), 0..1);
    let next = gradient(&second, 1).named(&second, "bias").unwrap().to_vec();
    for (i, found) in state.tensors["bias/adam.exp_avg"].as_slice().iter().enumerate() {
        assert!((found - (0.09 * first[i] + 0.1 * next[i])).abs() < 1e-15);
    }
    // Two rules of one kind in a chain.
    let mut optimizer = self::optimizer(RECIPES[6]);
    train(&mut net, &mut optimizer, 0..1);
    let state = optimizer.state(&net);
    assert!(state.tensors.contains_key("bias/sgd.momentum_buffer"));
    assert!(state.tensors.contains_key("bias/sgd#2.momentum_buffer"));
}

#[test]
fn a_recipe_with_one_more_transform_restores_the_rest() {
    let (mut net, mut plain) = (net(), optimizer("kind = 'adam'"));
    train(&mut net, &mut plain, 0..3);
    let state = plain.state(&net);
    let mut more = optimizer("kind = 'adam'\nema = 0.5\nclip_norm = 1.0");
    let restored = more.restore_lenient(&net, state.clone());
    assert_eq!(
        restored.missing,
        ["weight/ema.average", "weight/ema.count", "bias/ema.average", "bias/ema.count",]
    );
    assert!(restored.unexpected.is_empty() && restored.shape_mismatch.is_empty());
    let kept = more.state(&net);
    assert_eq!(kept.tensors["weight/adam.exp_avg"], state.tensors["weight/adam.exp_avg"]);
    assert_eq!(kept.numbers["weight/adam.count"], 3.0);
    // The new average begins with the parameter.
    train(&mut net, &mut more, 3..4);
    let bias = net.bias.value().clone();
    more.with_ema(&mut net, |net| assert_eq!(net.bias.value(), &bias));

    // In the other direction the average is ignored.
    let restored = optimizer("kind = 'adam'").restore_lenient(&net, more.state(&net));
    assert!(restored.missing.is_empty());
    assert_eq!(restored.unexpected.len(), 4);
}

#[test]
fn a_shape_mismatch_is_reported_and_keeps_the_initial_state() {
    let (mut net, mut first) = (net(), optimizer("kind = 'momentum'"));
    train(&mut net, &mut first, 0..1);
    let mut state = first.state(&net);
    state.tensors.insert("bias/sgd.momentum_buffer".into(), Tensor::zeros([4]));
    let mut second = optimizer("kind = 'momentum'");
    let restored = second.restore_lenient(&net, state);
    let expected = ("bias/sgd.momentum_buffer".to_owned(), [3].into(), [4].into());
    assert_eq!(restored.shape_mismatch, [expected]);
    assert_eq!(second.state(&net).tensors["bias/sgd.momentum_buffer"], Tensor::zeros([3]));
}

#[test]
fn an_empty_state_gives_a_new_optimizer() {
    let (net, recipe) = (net(), crate::read("kind = 'adam'").unwrap());
    let mut optimizer = Optimizer::<f64>::new(recipe);
    let restored =
        optimizer.restore_lenient(&net, OptimizerState { tensors: [].into(), numbers: [].into() });
    assert_eq!(optimizer.steps(), 0);
    // `steps`, `skipped`, and two tensors and a count for each parameter.
    assert_eq!(restored.missing.len(), 2 + 2 * 3);
}

#[test]
fn averages_under_their_former_name_are_restored() {
    let (mut net, mut first) = (net(), optimizer(RECIPES[1]));
    train(&mut net, &mut first, 0..3);
    let state = first.state(&net);
    let former = |name: &String| name.replace("/ema.", "/average.");
    let old = OptimizerState {
        tensors: state.tensors.iter().map(|(name, x)| (former(name), x.clone())).collect(),
        numbers: state.numbers.iter().map(|(name, x)| (former(name), *x)).collect(),
    };
    assert_ne!(old, state);
    let mut second = optimizer(RECIPES[1]);
    second.restore(&net, old).unwrap();
    assert_eq!(second.state(&net), state);
}
