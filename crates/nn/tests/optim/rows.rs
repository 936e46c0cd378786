//! Updates of the rows that a loss read: equal to dense updates where the rule promises it, and lazy Adam.

use serde_json::Value;
use wengert_core::{Float, Gradients, IndexOps, Param, ReduceOps, Tensor, UnaryOps, gradients};
use wengert_nn::optim::{ClipNorm, LazyAdam, Optimizer, Plan, Sgd, UnreadRows, WeightDecay};

use crate::hex::{close, hex_float};

fn table<F: Float>(n: usize, width: usize) -> Param<F> {
    let value = |i: usize| F::of((i as f64 * 0.7 + 0.3).cos());
    Param::new(Tensor::from_vec((0..n * width).map(value).collect(), [n, width]))
}

/// The rows of step `t`: some twice, in no order, and at times none or a long sequence.
fn tokens(t: usize, n: usize) -> Vec<usize> {
    match t % 5 {
        0 => Vec::new(),
        1 => (n / 3..n / 3 + n / 2).collect(),
        _ => vec![t * t % n, (3 * t + 1) % n, t % 3, (3 * t + 1) % n],
    }
}

fn gradients_of<F: Float>(table: &Param<F>, tokens: &[usize], t: usize) -> Gradients<F> {
    gradients(|tape| {
        let rows = tape.param(table).embedding(tokens, None);
        (rows * 1.3 + 0.2 * t as f64).sin().sum() + rows.square().sum() * 0.05
    })
    .1
}

/// The same gradients, of which no rows are known.
fn dense<F: Float>(grads: &Gradients<F>) -> Gradients<F> {
    Gradients::from_params(grads.as_slice().to_vec())
}

#[test]
fn fifty_steps_follow_pytorch_on_sparse_gradients() {
    let fixture: Value =
        serde_json::from_str(include_str!("../fixtures/optimizers_rows.json")).unwrap();
    let runs = fixture["runs"].as_array().unwrap();
    assert_eq!(runs.len(), 4);
    for run in runs {
        let recipe = run["recipe"].as_str().unwrap();
        let mut optimizer = Optimizer::from_toml(recipe).unwrap();
        let mut param = table::<f64>(7, 3);
        for (t, expected) in run["trajectory_hex"].as_array().unwrap().iter().enumerate() {
            let grads = gradients_of(&param, &[t * t % 7, (3 * t + 1) % 7, t % 3], t);
            assert!(grads.rows(&param).is_some());
            optimizer.step(&mut param, &grads);
            for (found, expected) in
                param.value().as_slice().iter().zip(expected.as_array().unwrap())
            {
                let expected = hex_float(expected.as_str().unwrap());
                assert!(close(*found, expected), "{recipe}\nstep {t}: {found} {expected}");
            }
        }
    }
}

/// Fifty steps by rows and fifty dense ones; the state at the end has the same bytes too.
fn same_bits<F: Float>(recipe: &str, n: usize, width: usize) {
    let (mut by_rows, mut whole) = (table::<F>(n, width), table::<F>(n, width));
    let mut optimizers = [(); 2].map(|()| Optimizer::from_toml(recipe).unwrap());
    for t in 0..50 {
        let tokens = tokens(t, n);
        let grads = gradients_of(&by_rows, &tokens, t);
        assert!(grads.rows(&by_rows).is_some());
        optimizers[0].step(&mut by_rows, &grads);
        let grads = dense(&gradients_of(&whole, &tokens, t));
        optimizers[1].step(&mut whole, &grads);
        let bits = |param: &Param<F>| {
            param.value().as_slice().iter().map(|x| x.to_f64().to_bits()).collect::<Vec<_>>()
        };
        assert!(bits(&by_rows) == bits(&whole), "{recipe}, step {t}, {n} x {width}");
    }
    let [a, b] = [optimizers[0].state(&by_rows), optimizers[1].state(&whole)];
    assert!(a == b, "{recipe}");
}

#[test]
fn rows_and_the_whole_table_give_the_same_bits() {
    for recipe in [
        "kind = 'sgd'\nlr = 0.1",
        "kind = 'adagrad'\nlr = 0.1\nlr_decay = 0.01",
        "kind = 'adagrad'\nlr = 0.1\nclip_value = 0.05\nclip_norm = 0.3",
        "kind = 'sgd'\nlr = { kind = 'cosine', lr = 0.1, t_max = 20 }\naccumulate = 3",
        "kind = 'adam'\nlr = 0.1\nema = 0.9",
        "kind = 'sgd'\nlr = 0.1\nmomentum = { kind = 'step', lr = 0.9, step_size = 1, gamma = 0.9 }",
        "kind = 'adagrad'\nlr = 0.1\neps = 1e-300\ninitial_accumulator_value = 0.1",
        "kind = 'sgd'\nlr = 0.1\nweight_decay = 0.1",
        "lr = 0.1\n[[chain]]\nkind = 'sgd'\n[[chain]]\nkind = 'clip_norm'\nmax_norm = 0.1",
    ] {
        same_bits::<f64>(recipe, 7, 3);
        same_bits::<f32>(recipe, 31, 5);
    }
    // Chunks of the state end within rows.
    same_bits::<f32>("kind = 'adagrad'\nlr = 0.1", 203, 701);
    same_bits::<f32>("kind = 'adagrad'\nlr = 0.1\nclip_value = 0.5", 23, 701);
}

/// Lazy Adam, one element after the other, on a table that is longer than a chunk of the state.
#[test]
fn lazy_adam_agrees_with_its_formula_across_chunks() {
    for (n, width, clip) in [(7, 3, ""), (203, 701, ""), (23, 701, "\nclip_value = 0.5")] {
        let mut param = table::<f64>(n, width);
        let recipe = format!("kind = 'lazy_adam'\nlr = 0.1{clip}");
        let mut optimizer = Optimizer::from_toml(&recipe).unwrap();
        let mut expected = param.value().to_vec();
        let (mut m, mut v) = (vec![0.0; n * width], vec![0.0; n * width]);
        for t in 0..12 {
            let tokens = tokens(t, n);
            let grads = gradients_of(&param, &tokens, t);
            let g = grads.get(&param).unwrap().to_vec();
            optimizer.step(&mut param, &grads);
            let [seen1, seen2] = [0.9f64, 0.999].map(|beta| 1.0 - beta.powi(t as i32 + 1));
            for i in (0..n * width).filter(|i| tokens.contains(&(i / width))) {
                let g = if clip.is_empty() { g[i] } else { g[i].clamp(-0.5, 0.5) };
                m[i] = 0.9 * m[i] + 0.1 * g;
                v[i] = 0.999 * v[i] + 0.001 * g * g;
                expected[i] -= 0.1 * seen2.sqrt() / seen1 * m[i] / (v[i].sqrt() + 1e-8);
            }
            for (i, (found, expected)) in param.value().as_slice().iter().zip(&expected).enumerate()
            {
                assert!(
                    (found - expected).abs() < 1e-10,
                    "step {t}, element {i}: {found} {expected}"
                );
            }
        }
    }
}

/// A gradient without rows updates the whole parameter, as `t` goes on.
#[test]
fn lazy_adam_takes_a_dense_gradient_as_adam_does() {
    let [mut lazy, mut adam] = [table::<f64>(5, 2), table::<f64>(5, 2)];
    let [mut a, mut b] = ["lazy_adam", "adam"].map(|kind| {
        Optimizer::from_toml(&format!("kind = '{kind}'\nlr = 0.1\neps = 0.0")).unwrap()
    });
    for t in 0..20 {
        let grads = dense(&gradients_of(&lazy, &[0, 1, 2, 3, 4], t));
        a.step(&mut lazy, &grads);
        let grads = dense(&gradients_of(&adam, &[0, 1, 2, 3, 4], t));
        b.step(&mut adam, &grads);
        for (a, b) in lazy.value().as_slice().iter().zip(adam.value().as_slice()) {
            assert!((a - b).abs() < 1e-12, "step {t}");
        }
    }
}

#[test]
fn a_rule_that_would_update_other_rows_is_refused() {
    for (text, line, reason) in [
        (
            "lr = 0.1\nkind = 'lazy_adam'\nweight_decay = 0.1",
            2,
            "`weight_decay` would update them: leave out one of the two",
        ),
        ("kind = 'lazy_adam'\nema = 0.9", 1, "`ema` would update them: leave out one of the two"),
        (
            "lr = 1\n[[chain]]\nkind = 'lazy_adam'\n[[chain]]\nkind = 'weight_decay'",
            5,
            "`weight_decay` would update them: leave out one of the two",
        ),
        (
            "lr = 1\n[[chain]]\nkind = 'lazy_adam'\n[[chain]]\nkind = 'clip_norm'",
            5,
            "`clip_norm` has to be first in the chain",
        ),
    ] {
        let error = crate::read(text).expect_err(text);
        assert_eq!(error.line(), line, "{error}");
        let message = format!("`lazy_adam` leaves rows alone that a loss did not read; {reason}");
        assert_eq!(error.message(), message);
    }
    for text in [
        "kind = 'lazy_adam'\nclip_norm = 1.0",
        "kind = 'lazy_adam'\nclip_value = 1.0",
        "kind = 'lazy_adam'\nweight_decay = 0.0",
        "kind = 'adam'\nweight_decay = 0.1\n[[groups]]\nparams = 'table'\nkind = 'lazy_adam'\nweight_decay = 0.0",
    ] {
        crate::read(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    }
    let chain = || Plan::new(0.1, LazyAdam::default());
    let _ = chain().then(Sgd::default());
    for then in [
        || drop(Plan::new(0.1, LazyAdam::default()).then(WeightDecay::default())),
        || drop(Plan::new(0.1, LazyAdam::default()).then(ClipNorm::default())),
    ] {
        let message = std::panic::catch_unwind(then).unwrap_err();
        let message = message.downcast_ref::<String>().unwrap();
        assert!(message.starts_with("`lazy_adam` leaves rows alone"), "{message}");
    }
}

/// The rules that say that an update of 0 changes nothing, tried on an update of 0.
#[test]
fn rules_keep_their_promise_about_an_update_of_zero() {
    let registry = wengert_nn::optim::Registry::default();
    let mut promised = Vec::new();
    for kind in registry.rules() {
        let recipe = registry.read(&format!("kind = '{kind}'\nlr = 0.1")).unwrap();
        if recipe.chain().iter().any(|t| t.unread_rows() != UnreadRows::Unchanged) {
            continue;
        }
        promised.push(kind.to_owned());
        let mut optimizer = Optimizer::new(recipe);
        let mut param = Param::new(Tensor::from([[0.0, -0.0, 1.5, f64::INFINITY, 1e-320]]));
        let bits = |param: &Param<f64>| {
            param.value().as_slice().iter().map(|x| x.to_bits()).collect::<Vec<_>>()
        };
        for g in [1.0, 0.0, 0.0] {
            let before = (bits(&param), optimizer.state(&param));
            let grads = vec![(param.id(), Tensor::full([1, 5], g))];
            optimizer.step(&mut param, &Gradients::from_params(grads));
            if g == 0.0 {
                assert_eq!(bits(&param), before.0, "{kind}");
                let slots = optimizer.state(&param).tensors;
                assert!(slots == before.1.tensors, "{kind}");
            }
        }
    }
    promised.sort();
    assert_eq!(promised, ["adagrad", "clip_norm", "clip_value", "sgd"]);
}
