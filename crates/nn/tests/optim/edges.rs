//! Edges that mistakes in source code, made on purpose, showed to be untested.

use wengert_core::{Gradients, Param, Tensor};
use wengert_nn::optim::{Adam, ConfigError, Lion, Optimizer, Recipe, Registry};

use crate::read;

fn step(optimizer: &mut Optimizer<f64>, param: &mut Param<f64>, g: f64) {
    let grads = vec![(param.id(), Tensor::full(param.value().shape(), g))];
    optimizer.step(param, &Gradients::from_params(grads));
}

/// The settings of the step that a flush makes are those of that step: momentum 0.5 at first, then 0.25.
#[test]
fn a_flush_follows_the_schedules_of_settings() {
    let text = "kind = 'sgd'\nlr = 1\naccumulate = 2\n\
                momentum = { kind = 'step', lr = 0.5, step_size = 1, gamma = 0.5 }";
    let mut optimizer = Optimizer::from_toml(text).unwrap();
    let mut param = Param::new(Tensor::from([0.0]));
    step(&mut optimizer, &mut param, 1.0);
    step(&mut optimizer, &mut param, 1.0);
    // v = 1.
    assert_eq!(param.value().to_vec(), [-1.0]);
    step(&mut optimizer, &mut param, 1.0);
    optimizer.flush(&mut param);
    // v = 0.25 * 1 + 1.
    assert_eq!(param.value().to_vec(), [-2.25]);
}

#[test]
fn accumulation_is_set_in_rust_too() {
    let recipe = Recipe::new(1.0, Adam::default()).with_accumulate(3);
    assert_eq!(recipe.accumulate(), 3);
    let mut optimizer = Optimizer::new(recipe);
    let mut param = Param::new(Tensor::from([0.0]));
    step(&mut optimizer, &mut param, 1.0);
    step(&mut optimizer, &mut param, 1.0);
    assert_eq!((optimizer.steps(), param.value().to_vec()), (0, vec![0.0]));
    step(&mut optimizer, &mut param, 1.0);
    assert_eq!(optimizer.steps(), 1);
}

/// The decays of every kind that has some are refused outside of 0 to 1, each of them.
#[test]
fn decays_out_of_range_are_refused_by_every_kind() {
    let mut kinds = 0;
    for kind in Registry::default().rules() {
        let recipe = read(&format!("kind = '{kind}'\nlr = 0.1")).unwrap();
        let lengths = recipe.chain().iter().filter_map(|t| t.settings().get("betas")?.as_array());
        let Some(length) = lengths.map(Vec::len).next() else { continue };
        kinds += 1;
        for (wrong, of_beta) in (0..length).flat_map(|k| [(k, 1.0), (k, -0.1)]) {
            let mut betas = vec![0.5; length];
            betas[wrong] = of_beta;
            let text = format!("kind = '{kind}'\nlr = 0.1\nbetas = {betas:?}");
            let error: ConfigError = read(&text).map(|_| text.clone()).unwrap_err();
            assert_eq!(error.line(), 3, "{error}");
        }
    }
    assert!(kinds >= 10, "{kinds}");
}

#[test]
fn the_sign_of_zero_is_zero() {
    let mut optimizer = Optimizer::new(Recipe::new(0.5, Lion::default()));
    let mut param = Param::new(Tensor::from([2.0]));
    step(&mut optimizer, &mut param, 0.0);
    assert_eq!(param.value().to_vec(), [2.0]);
    step(&mut optimizer, &mut param, 3.0);
    assert_eq!(param.value().to_vec(), [1.5]);
}

#[test]
fn a_cycle_has_steps() {
    let error = read("kind = 'sgd'\nlr = { kind = 'one_cycle', max_lr = 0.1, total_steps = 0 }");
    let error = error.unwrap_err();
    assert_eq!(error.line(), 2, "{error}");
    assert!(error.message().contains("total_steps"), "{error}");
}

/// Values side by side are not within each other.
#[test]
fn a_long_list_of_nulls_is_not_deep() {
    let nulls = vec![r#"{"a": null}"#; 500].join(", ");
    let text = format!(
        "{{\"class\": \"SGD\", \"param_groups\": [{{\"lr\": 0.1, \"params\": [{nulls}]}}]}}"
    );
    assert_eq!(Recipe::from_torch(&text).unwrap(), read("kind = 'sgd'\nlr = 0.1").unwrap());
}
