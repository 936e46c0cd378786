//! Fifty steps of every setting against PyTorch, with the settings read through TOML.
//!
//! `fixtures/optimizers.json` was computed by PyTorch 2.15 in f64; its objective and start are
//! written in the file. Tolerance: `|difference| <= 1e-12 max(1, |expected|)`.

use serde_json::Value;
use wengert_core::Array;
use wengert_nn::optim::{At, Chain, Recipe};

fn fixture() -> Value {
    serde_json::from_str(include_str!("fixtures/optimizers.json")).unwrap()
}

/// C's `%a`: `-0x1.8p+1` is -3.
fn hex_float(text: &str) -> f64 {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(rest) => (-1.0, rest),
        None => (1.0, text),
    };
    let (mantissa, exponent) = digits.strip_prefix("0x").unwrap().split_once('p').unwrap();
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let bits = u64::from_str_radix(&format!("{whole}{fraction}"), 16).unwrap();
    let exponent = exponent.parse::<i32>().unwrap() - 4 * fraction.len() as i32;
    sign * bits as f64 * 2f64.powi(exponent)
}

/// Of `0.5 (p0-3)^2 + 2 (p1+1)^2 + sin(p2) p0`, by hand.
fn gradient(p: &[f64]) -> [f64; 3] {
    [p[0] - 3.0 + p[2].sin(), 4.0 * (p[1] + 1.0), p[2].cos() * p[0]]
}

fn close(found: f64, expected: f64) -> bool {
    (found - expected).abs() <= 1e-12 * expected.abs().max(1.0)
}

#[test]
fn every_setting_follows_pytorch_for_fifty_steps() {
    let fixture = fixture();
    let start: Vec<f64> = serde_json::from_value(fixture["start"].clone()).unwrap();
    // Those of the file's runs that are not yet here.
    let missing: [&str; 0] = [];
    let mut checked = 0;
    for (name, run) in fixture["runs"].as_object().unwrap() {
        // "adam amsgrad" is Adam with a setting; the kinds of the same name are checked below.
        let kind = name.split(' ').next().unwrap();
        if missing.contains(&kind) {
            continue;
        }
        let mut text = format!("kind = '{kind}'\n");
        for (key, value) in run["settings"].as_object().unwrap() {
            text += &format!("{key} = {value}\n");
        }
        let recipe = Recipe::from_toml(&text).unwrap();
        let chain = Chain::<f64>::new(recipe.chain());
        let mut param = Array::from_vec(start.clone(), [3]);
        let mut slots = chain.slots(param.shape());
        for (step, expected) in (0..).zip(run["trajectory_hex"].as_array().unwrap()) {
            let at = At::new(step, recipe.lr().at(step));
            let g = Array::from(gradient(param.as_slice()));
            chain.finish(at, &g, &mut param, &mut slots);
            let param = param.as_slice();
            for (i, expected) in expected.as_array().unwrap().iter().enumerate() {
                let expected = hex_float(expected.as_str().unwrap());
                assert!(close(param[i], expected), "{name}, step {step}: {} {expected}", param[i]);
            }
        }
        checked += 1;
    }
    assert_eq!(checked, 20);
}

#[test]
fn names_stand_for_rules_with_other_defaults() {
    let same = |a: &str, b: &str| {
        assert_eq!(Recipe::from_toml(a).unwrap(), Recipe::from_toml(b).unwrap());
    };
    same("kind = 'momentum'", "kind = 'sgd'\nmomentum = 0.9");
    same("kind = 'nesterov'", "kind = 'sgd'\nmomentum = 0.9\nnesterov = true");
    same("kind = 'amsgrad'", "kind = 'adam'\namsgrad = true");
    same("kind = 'adamw'\nweight_decay = 0.0", "kind = 'adam'");
    same("kind = 'adam'\nweight_decay = 0.0", "kind = 'adam'");
    same("kind = 'adagrad'", "kind = 'adagrad'\nlr = 1e-2");
    same("kind = 'rmsprop'", "kind = 'rmsprop'\nlr = { kind = 'constant', lr = 1e-2 }");
}

#[test]
fn step_schedule_follows_pytorch() {
    let fixture = fixture();
    let recipe = Recipe::from_toml(
        "kind = 'sgd'\nlr = { kind = 'step', lr = 0.2, step_size = 7, gamma = 0.5 }",
    )
    .unwrap();
    assert_eq!(fixture["schedules"]["arguments"]["step"], "step_size 7, gamma 0.5");
    let rates = fixture["schedules"]["lr_hex"]["step"].as_array().unwrap();
    assert_eq!(rates.len(), 50);
    for (step, expected) in (0..).zip(rates) {
        let expected = hex_float(expected.as_str().unwrap());
        assert!(close(recipe.lr().at(step), expected), "step {step}");
    }
}
