//! Muon, Adan and schedule-free AdamW against their authors' programs (`tests/interop/optimizers_papers.py`).

use serde_json::Value;
use wengert_core::{Gradients, Param, Tensor, UnaryOps};
use wengert_nn::optim::{Optimizer, Recipe};

use crate::hex::{close, hex_float};

fn numbers(list: &Value) -> Vec<f64> {
    list.as_array().unwrap().iter().map(|x| hex_float(x.as_str().unwrap())).collect()
}

fn assert_close(found: &[f64], expected: &Value, what: &str) {
    let expected = numbers(expected);
    assert!(
        found.iter().zip(&expected).all(|(a, b)| close(*a, *b)),
        "{what}: {found:?} {expected:?}"
    );
}

/// `sin(1.3 p + 0.2 t) + 0.1 p`.
fn gradient(p: &Tensor<f64>, t: usize) -> Tensor<f64> {
    (p * 1.3 + 0.2 * t as f64).sin() + p * 0.1
}

#[test]
fn fifty_steps_follow_the_authors() {
    let fixture: Value =
        serde_json::from_str(include_str!("../fixtures/optimizers_papers.json")).unwrap();
    let runs = fixture["runs"].as_array().unwrap();
    assert_eq!(runs.len(), 10);
    for run in runs {
        let recipe = run["recipe"].as_str().unwrap();
        let mut optimizer = Optimizer::from_toml(recipe).unwrap_or_else(|e| panic!("{e}"));
        let shape: Vec<usize> =
            run["shape"].as_array().unwrap().iter().map(|n| n.as_u64().unwrap() as usize).collect();
        let mut param = Param::new(Tensor::from_vec(numbers(&run["start"]), &*shape));
        for (t, expected) in run["trajectory_hex"].as_array().unwrap().iter().enumerate() {
            let g = gradient(param.value(), t);
            let grads = Gradients::from_params(vec![(param.id(), g)]);
            optimizer.step(&mut param, &grads);
            let what = format!("{recipe}\nstep {t}");
            assert_close(param.value().as_slice(), expected, &what);
            if let Some(evaluated) = run.get("evaluated_hex") {
                let found = optimizer.with_ema(&mut param, |param| param.value().to_vec());
                assert_close(&found, &evaluated[t], &format!("{what}, in evaluation"));
                assert_close(param.value().as_slice(), expected, &what);
            }
        }
    }
}

/// A bias is refused before anything moves, at the place of the kind, and accepted in another group or frozen.
#[test]
fn muon_refuses_what_is_no_matrix() {
    let net = || vec![Param::new(Tensor::ones([2, 3])), Param::new(Tensor::<f64>::ones([3]))];
    let text = "lr = 0.1\nkind = 'muon'\n";
    let mut params = net();
    let mut optimizer = Optimizer::from_toml(text).unwrap();
    let error = optimizer.check(&params).unwrap_err();
    assert_eq!((error.line(), error.column()), (2, 8));
    assert_eq!(
        error.message(),
        "`muon` refuses the shape [3] of `1`: it is a rule for matrices; put such parameters into a group with another \
         kind, such as `adamw`"
    );
    let grads = params.iter().map(|p| (p.id(), p.value().clone())).collect();
    let grads = Gradients::from_params(grads);
    let step = std::panic::AssertUnwindSafe(|| optimizer.step(&mut params, &grads));
    let message = *std::panic::catch_unwind(step).unwrap_err().downcast::<String>().unwrap();
    assert!(message.starts_with("step: line 2, column 8: `muon` refuses"), "{message}");
    assert_eq!(params[0].value(), &Tensor::ones([2, 3]));

    let grouped = format!("{text}[[groups]]\nparams = '1'\nkind = 'adamw'");
    Optimizer::<f64>::from_toml(&grouped).unwrap().check(&net()).unwrap();
    let long = format!("{grouped}\n[[groups]]\nparams = '0'\n[[groups.chain]]\nkind = 'muon'");
    Optimizer::<f64>::from_toml(&long).unwrap().check(&net()).unwrap();
    let swapped = format!("{text}[[groups]]\nparams = '1'\n[[groups.chain]]\nkind = 'muon'");
    let error = Optimizer::<f64>::from_toml(&swapped).unwrap().check(&net()).unwrap_err();
    assert_eq!((error.line(), error.column()), (6, 8), "{error}");
    let mut frozen = net();
    frozen[1].set_frozen(true);
    optimizer.check(&frozen).unwrap();
    let in_rust =
        Recipe::from(wengert_nn::optim::Plan::tensor_rule(0.1, wengert_nn::optim::Muon::default()));
    assert!(
        Optimizer::<f64>::new(in_rust)
            .check(&net())
            .unwrap_err()
            .message()
            .starts_with("`muon` refuses")
    );
}

#[test]
fn settings_out_of_range_are_located() {
    for (text, message) in [
        (
            "kind = 'muon'\nns_coefficients = [1.0, nan, 2.0]",
            "`ns_coefficients`: expected a finite number, found NaN",
        ),
        ("kind = 'muon'\nns_steps = 100", "`ns_steps`: expected a number below 100, found 100"),
        ("kind = 'muon'\neps = 0", "`eps`: expected a finite number above 0, found 0.0"),
        ("kind = 'muon'\nadjust_lr_fn = 'match_rms'", "unknown value `match_rms`"),
        ("kind = 'adan'\nbetas = [0.9, 0.99]", "`betas`: expected an array of 3, found one of 2"),
        (
            "kind = 'schedule_free_adamw'\nbetas = [0.0, 0.9]",
            "`betas`: expected a number above 0 and below 1",
        ),
        (
            "kind = 'schedule_free_adamw'\nr = -1",
            "`r`: expected a finite number of at least 0, found -1.0",
        ),
    ] {
        let error = crate::read(text).expect_err(text);
        assert_eq!(error.line(), 2, "{error}");
        assert!(error.message().starts_with(message), "{error}");
    }
}

/// A warm-up from a rate of 0 moves nothing at first, and the average begins with the first step that does.
#[test]
fn schedule_free_begins_at_a_rate_of_zero() {
    let lr = "{ kind = 'constant', lr = 0.1, warmup_steps = 2 }";
    let text = format!("kind = 'schedule_free_adamw'\nlr = {lr}\nbetas = [0.5, 0.5]\neps = 0");
    let mut optimizer = Optimizer::from_toml(&text).unwrap();
    let mut param = Param::new(Tensor::from([1.0]));
    let mut seen = Vec::new();
    for _ in 0..3 {
        let grads = Gradients::from_params(vec![(param.id(), Tensor::from([1.0]))]);
        optimizer.step(&mut param, &grads);
        seen.push((
            param.value().item(),
            optimizer.with_ema(&mut param, |param| param.value().item()),
        ));
    }
    // By hand: z = 1, 0.95, 0.85; the weights 0.0025 and 0.01 make shares of 1 and 4/5.
    let x: [f64; 3] = [1.0, 0.95, 0.2 * 0.95 + 0.8 * 0.85];
    let z = [1.0, 0.95, 0.85];
    for (t, (p, shown)) in seen.into_iter().enumerate() {
        assert!((shown - x[t]).abs() < 1e-15, "step {t}: {shown}");
        assert!((p - 0.5 * (x[t] + z[t])).abs() < 1e-15, "step {t}: {p}");
    }
}
