//! The rules of `examples/parts` against their definition in NumPy (`interop/outside_rules.py`).
#![allow(unreachable_pub, reason = "modules of examples")]

use serde_json::Value;
use wengert::f64::prelude::*;
use wengert::optim::Registry;

#[path = "../../examples/parts/lamb.rs"]
mod lamb;

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect()
}

#[test]
fn lamb_follows_its_definition() {
    let fixture: Value =
        serde_json::from_str(include_str!("../fixtures/outside_rules.json")).unwrap();
    let registry = Registry::default().rule::<lamb::TrustRatio>().alias::<lamb::Lamb>();
    let runs = fixture["runs"].as_object().unwrap();
    assert_eq!(runs.len(), 2);
    for (name, run) in runs {
        let recipe = run["recipe"].as_str().unwrap();
        let mut optimizer = Optimizer::new(registry.read(recipe).unwrap());
        let shape: Vec<usize> = numbers(&run["shape"]).iter().map(|n| *n as usize).collect();
        let mut param = Param::new(Tensor::from_vec(numbers(&run["start"]), &*shape));
        for (t, expected) in run["trajectory"].as_array().unwrap().iter().enumerate() {
            let g = (param.value() * 1.3 + 0.2 * t as f64).sin() + 0.1;
            let grads = Gradients::from_params(vec![(param.id(), g)]);
            optimizer.step(&mut param, &grads);
            for (found, expected) in param.value().as_slice().iter().zip(numbers(expected)) {
                let near = (found - expected).abs() <= 1e-12 * expected.abs().max(1.0);
                assert!(near, "{name}, step {t}: {found} where {expected} was expected");
            }
        }
    }
}
