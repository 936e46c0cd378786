//! Settings by schedule: PyTorch's numbers, the text and its mistakes, state and resumption.

use serde_json::Value;
use wengert_core::{Gradients, Param, Tensor};
use wengert_nn::optim::{
    Chain, Cosine, LinearRamp, Optimizer, Plan, Recipe, Registry, Sgd, StepContext, Transform,
};

use crate::any::plateau;
use crate::hex::{close, hex_float};
use crate::trajectories::gradient;

const LINE: &str = "{ kind = 'linear', lr = 0.9, start_factor = 0.5, total_iters = 10 }";

/// Makes a step on the objective of the fixtures.
fn step(optimizer: &mut Optimizer<f64>, param: &mut Param<f64>) -> [f64; 3] {
    let p: [f64; 3] = param.value().as_slice().try_into().unwrap();
    let grads = Gradients::from_params(vec![(param.id(), Tensor::from(gradient(&p)))]);
    optimizer.step(param, &grads);
    param.value().as_slice().try_into().unwrap()
}

fn start() -> Param<f64> {
    Param::new(Tensor::from([1.0, -2.0, 0.5]))
}

#[test]
fn every_setting_follows_pytorch_for_fifty_steps() {
    let fixture: Value =
        serde_json::from_str(include_str!("../fixtures/scheduled_settings.json")).unwrap();
    let runs = fixture["runs"].as_array().unwrap();
    assert_eq!(runs.len(), 9);
    for run in runs {
        let recipe = run["recipe"].as_str().unwrap();
        let mut optimizer = Optimizer::from_toml(recipe).unwrap_or_else(|e| panic!("{e}"));
        let mut param = start();
        for (t, expected) in run["trajectory_hex"].as_array().unwrap().iter().enumerate() {
            let found = step(&mut optimizer, &mut param);
            let near = |i: usize| close(found[i], hex_float(expected[i].as_str().unwrap()));
            assert!((0..3).all(near), "{recipe}\nstep {t}: {found:?} {expected}");
        }
    }
}

/// Each numeric setting of each kind follows a schedule, in both forms, and reads back as printed.
#[test]
fn every_numeric_setting_of_every_kind_follows_a_schedule() {
    let registry = Registry::default();
    let mut seen = 0;
    for kind in registry.rules() {
        let plain = crate::read(&format!("lr = 1\n[[chain]]\nkind = '{kind}'\n")).unwrap();
        // The keys of the kind and not of its transforms: `weight_decay = 0` makes none.
        let transforms = plain.chain().iter();
        let numbers = transforms.flat_map(|transform| {
            transform.settings().iter().filter_map(|(key, value)| match value {
                toml::Value::Float(_) => Some((key.clone(), 1)),
                toml::Value::Array(list) if list[0].is_float() => Some((key.clone(), list.len())),
                _ => None,
            })
        });
        for (key, count) in numbers {
            let value = if count == 1 {
                LINE.into()
            } else {
                format!("[{}]", [LINE].repeat(count).join(", "))
            };
            // Nesterov's momentum allows no dampening.
            let forms = if kind == "nesterov" && key == "dampening" { 0..0 } else { 0..2 };
            for form in &["", "lr = 1\n[[chain]]\n"][forms] {
                let lr = if form.is_empty() { "lr = 1\n" } else { "" };
                let text = format!("{lr}{form}kind = '{kind}'\n{key} = {value}");
                let recipe = crate::read(&text).unwrap_or_else(|error| panic!("{error}"));
                let has = |t: &Transform| {
                    t.schedule(&key, None).or(t.schedule(&key, Some(count - 1))).is_some()
                };
                assert!(recipe.chain().iter().any(has), "{text}");
                let printed = recipe.to_string();
                assert_eq!(crate::read(&printed).unwrap(), recipe, "{printed}");
                assert_eq!(crate::read(&printed).unwrap().to_string(), printed);
                seen += 1;
            }
        }
    }
    assert!(seen >= 2 * 30, "{seen}");
}

#[test]
fn the_shared_keys_follow_schedules() {
    for key in ["clip_value", "clip_tensor_norm", "clip_norm", "weight_decay", "ema"] {
        let recipe = crate::read(&format!("kind = 'sgd'\n{key} = {LINE}")).unwrap();
        assert!(recipe.to_string().contains("{ kind = \"linear\", lr = 0.9"), "{recipe}");
        assert_eq!(crate::read(&recipe.to_string()).unwrap(), recipe);
    }
    // A decay that begins at 0 has a transform nevertheless.
    let warm = "kind = 'adamw'\nweight_decay = { kind = 'constant', lr = 0.1, warmup_steps = 5 }";
    assert_eq!(crate::read(warm).unwrap().chain().len(), 2);
}

#[test]
fn a_constant_schedule_is_a_number() {
    let same = |a: &str, b: &str| assert_eq!(crate::read(a).unwrap(), crate::read(b).unwrap());
    same(
        "kind = 'sgd'\nmomentum = { kind = 'constant', lr = 0.5 }",
        "kind = 'sgd'\nmomentum = 0.5",
    );
    same(
        "kind = 'adam'\nclip_norm = { kind = 'constant', lr = 2 }",
        "kind = 'adam'\nclip_norm = 2.0",
    );
}

#[test]
fn mistakes_are_located() {
    let line = "{ kind = 'linear', lr = 0.9, end_factor = 2 }";
    for (text, at, message) in [
        ("kind = 'adam'\neps = { kind = 'lin', lr = 1 }", (2, 16), "unknown schedule `lin`"),
        ("kind = 'adam'\neps = { lr = 1 }", (2, 7), "missing key `kind`: the name of a schedule"),
        ("kind = 'adam'\neps = { kind = 'linear', lr = 'x' }", (2, 31), "`lr`: expected a number"),
        (
            "kind = 'adam'\namsgrad = { kind = 'constant', lr = 1 }",
            (2, 11),
            "`amsgrad`: expected `true`",
        ),
        (
            "kind = 'adam'\neps = { kind = 'plateau', lr = 1 }",
            (2, 7),
            "`eps`: expected a schedule of the step alone, found `plateau`",
        ),
        (
            "kind = 'adam'\nclip_norm = { kind = 'linear', lr = 1, end_factor = 0 }",
            (2, 13),
            "`clip_norm`: expected a finite number above 0, found 0.0 at step 8",
        ),
        (
            "kind = 'adam'\nbetas = [0.9, { kind = 'constant', lr = 1, warmup_steps = 9 }]",
            (2, 15),
            "`betas`: expected a number of at least 0 and below 1, found 1.0 at step 16",
        ),
    ] {
        let error = crate::read(text).expect_err(text);
        assert_eq!((error.line(), error.column()), at, "{error}");
        assert!(error.message().starts_with(message), "{error}");
    }
    for text in [
        format!("kind = 'rmsprop'\nalpha = {line}"),
        format!("lr = 1\n[[chain]]\nkind = 'sgd'\n[[chain]]\nkind = 'ema'\ndecay = {line}"),
        format!("kind = 'sgd'\nema = {line}"),
    ] {
        let error = crate::read(&text).expect_err(&text);
        assert!(error.message().contains("below 1, found 1."), "{error}");
    }
    let hint = crate::read(
        "kind = 'sgd'\nlr = { kind = 'one_cycle', max_lr = 1, total_steps = 9, base_momentum = 0.8 }",
    );
    assert!(
        hint.unwrap_err().message().contains("`momentum = { kind = \"one_cycle_momentum\", .. }`")
    );
}

#[test]
fn overrides_groups_and_the_length_of_the_training() {
    let text = format!(
        "kind = 'adamw'\nbetas = [{LINE}, 0.99]\n[[groups]]\nparams = '*.bias'\nweight_decay = {LINE}"
    );
    let recipe = crate::read(&text).unwrap();
    let of_group = recipe.groups()[0].plan().unwrap().chain();
    assert!(of_group[0].schedule("betas", Some(0)).is_some());
    assert!(of_group[1].schedule("weight_decay", None).is_some());
    let with = |overrides: &[&str]| Registry::default().overridden(overrides).read(&text).unwrap();
    assert_eq!(with(&["betas.0=0.5"]), crate::read(&text.replacen(LINE, "0.5", 1)).unwrap());
    assert_eq!(
        with(&["betas.0.lr=0.8"]),
        crate::read(&text.replacen("lr = 0.9", "lr = 0.8", 1)).unwrap()
    );
    let eps = with(&["eps={ kind = 'cosine', lr = 0.1, t_max = 9 }"]);
    assert_eq!(eps.chain()[0].schedule("eps", None).unwrap().at(9), 0.0);
    let error = Registry::default().overridden(&["eps={ kind = 'cos', lr = 1 }"]).read(&text);
    let message = error.unwrap_err().to_string();
    assert!(message.starts_with("override:1:14: unknown schedule `cos`"), "{message}");
    let trained = Registry::default().training(3, 100).read(
        "kind = 'adam'\nbetas = [{ kind = 'one_cycle_momentum' }, 0.99]\nweight_decay = { kind = 'cosine', lr = 0.1 }",
    );
    let trained = trained.unwrap();
    assert_eq!(trained.chain()[1].schedule("betas", Some(0)).unwrap().at(299), 0.95);
    assert_eq!(trained.chain()[0].schedule("weight_decay", None).unwrap().at(300), 0.0);
}

/// `v` of the first steps by hand: a momentum of 0 keeps its state.
#[test]
fn a_momentum_may_begin_at_zero_and_return_to_it() {
    let rate = "{ kind = 'multi_step', lr = 0.5, milestones = [3], gamma = 0.0, warmup_steps = 1 }";
    for text in [
        format!("kind = 'sgd'\nlr = 1\nmomentum = {rate}"),
        format!("kind = 'rmsprop'\nlr = 1\nalpha = 0\neps = 0\nmomentum = {rate}"),
    ] {
        let mut optimizer = Optimizer::<f64>::from_toml(&text).unwrap();
        let mut param = Param::new(Tensor::from([0.0]));
        let mut moved = Vec::new();
        for _ in 0..6 {
            let before = param.value().item();
            let grads = Gradients::from_params(vec![(param.id(), Tensor::from([1.0]))]);
            optimizer.step(&mut param, &grads);
            moved.push(before - param.value().item());
        }
        // The momenta are 0, then 0.5 for three steps, then 0 again.
        let expected = [1.0, 1.5, 1.75, 1.875, 1.0, 1.0];
        let near = moved.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-9);
        assert!(near, "{text}: {moved:?}");
    }
}

/// Schedules add nothing to the state, and a restored optimizer continues to the bit.
#[test]
fn a_resumed_run_is_the_uninterrupted_one() {
    let scheduled = format!(
        "kind = 'adamw'\nlr = 0.1\nbetas = [{LINE}, 0.99]\nweight_decay = {LINE}\nema = {LINE}"
    );
    let plain = "kind = 'adamw'\nlr = 0.1\nema = 0.9";
    let mut optimizer = Optimizer::from_toml(&scheduled).unwrap();
    let (mut param, mut other) = (start(), start());
    let mut constant = Optimizer::from_toml(plain).unwrap();
    for _ in 0..5 {
        step(&mut optimizer, &mut param);
        step(&mut constant, &mut other);
    }
    let state = optimizer.state(&param);
    assert!(state.tensors.keys().eq(constant.state(&other).tensors.keys()));
    assert!(state.numbers.keys().eq(constant.state(&other).numbers.keys()));
    let mut resumed = Optimizer::from_toml(&scheduled).unwrap();
    let mut copy = start();
    *copy.value_mut() = param.value().clone();
    resumed.restore(&copy, state).unwrap();
    for _ in 0..10 {
        assert_eq!(step(&mut optimizer, &mut param), step(&mut resumed, &mut copy));
    }
}

#[test]
fn a_value_out_of_range_later_on_panics_and_changes_nothing() {
    // In range at every step that is checked beforehand: from step 3 on, 10 above powers of two.
    let rate = "{ kind = 'joined', milestones = [3, 4], pieces = [0.5, 1.5, 0.5] }";
    let text = format!("kind = 'rmsprop'\nalpha = {rate}");
    let mut optimizer = Optimizer::from_toml(&text).unwrap();
    let mut param = start();
    for _ in 0..3 {
        step(&mut optimizer, &mut param);
    }
    let before = (param.value().clone(), optimizer.state(&param));
    let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        step(&mut optimizer, &mut param);
    }));
    let message = *panic.unwrap_err().downcast::<String>().unwrap();
    assert_eq!(
        message,
        "step: rmsprop: `alpha`: expected a number of at least 0 and below 1, found 1.5 at step 3"
    );
    assert_eq!((param.value().clone(), optimizer.state(&param)), before);
}

#[test]
fn in_rust_a_setting_has_the_name_of_an_override() {
    let ramp = LinearRamp { lr: 0.9, start_factor: 0.5, end_factor: 1.0, total_iters: 10 };
    let sgd = Transform::new(Sgd { momentum: 0.9, ..Sgd::default() });
    let plan = Plan::from_transform(0.1, sgd.scheduled("momentum", ramp));
    let text = format!("kind = 'sgd'\nlr = 0.1\nmomentum = {LINE}");
    assert_eq!(Recipe::from(plan), crate::read(&text).unwrap());
}

#[test]
#[should_panic(expected = "sgd: no number among the settings is called `nesterov`")]
fn a_flag_follows_no_schedule() {
    let rate = Cosine { lr: 1.0, t_max: 9, eta_min: 0.0 };
    let _ = Transform::new(Sgd::default()).scheduled("nesterov", rate);
}

#[test]
#[should_panic(
    expected = "sgd: `momentum`: expected a schedule of the step alone, found `plateau`"
)]
fn a_setting_follows_no_metric() {
    let _ = Transform::new(Sgd::default()).scheduled("momentum", plateau());
}

#[test]
#[should_panic(expected = "some settings follow schedules; call `set_step(1)` first")]
fn a_chain_is_told_the_step() {
    let recipe = crate::read(&format!("kind = 'sgd'\nmomentum = {LINE}")).unwrap();
    let mut chain = Chain::<f64>::new(recipe.chain());
    let (mut param, gradient) = (Tensor::from([1.0]), Tensor::from([1.0]));
    let mut state = chain.init(param.shape());
    chain.finish(StepContext::new(0, 1.0), &gradient, &mut param, &mut state);
    chain.set_step(1);
    chain.set_step(0);
    chain.finish(StepContext::new(1, 1.0), &gradient, &mut param, &mut state);
}
