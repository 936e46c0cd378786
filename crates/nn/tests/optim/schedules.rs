//! Schedules: PyTorch's rates, warm-up, joined pieces, plateaus, and the position of every mistake.

use proptest::prelude::*;
use serde_json::Value;
use wengert_core::{Gradients, Param, Tensor};
use wengert_nn::optim::{InverseSqrt, Optimizer, Plateau, Rate, Recipe, Sgd};

use crate::any::{any_rate, plateau};
use crate::hex::{close, hex_float};

fn rate(lr: &str) -> Rate {
    let text = format!("kind = 'sgd'\nlr = {lr}");
    crate::read(&text).unwrap_or_else(|error| panic!("{error}")).lr().clone()
}

fn assert_follows(rate: &Rate, expected: &Value, name: &str) {
    let expected = expected.as_array().unwrap();
    assert_eq!(expected.len(), 50);
    for (step, expected) in (0..).zip(expected) {
        let (found, expected) = (rate.at(step), hex_float(expected.as_str().unwrap()));
        assert!(close(found, expected), "{name}, step {step}: {found} {expected}");
    }
}

#[test]
fn the_eight_schedules_follow_pytorch() {
    let fixture: Value = serde_json::from_str(include_str!("../fixtures/optimizers.json")).unwrap();
    // With the arguments as the fixture names them, so that a change there is noticed.
    let cases = [
        (
            "step",
            "step_size 7, gamma 0.5",
            "{ kind = 'step', lr = 0.2, step_size = 7, gamma = 0.5 }",
        ),
        (
            "multistep",
            "milestones 5 20 33, gamma 0.3",
            "{ kind = 'multi_step', lr = 0.2, milestones = [5, 20, 33], gamma = 0.3 }",
        ),
        ("exponential", "gamma 0.95", "{ kind = 'exponential', lr = 0.2, gamma = 0.95 }"),
        (
            "linear",
            "start_factor 0.1, end_factor 1, total_iters 10",
            "{ kind = 'linear', lr = 0.2, start_factor = 0.1, end_factor = 1, total_iters = 10 }",
        ),
        (
            "cosine",
            "T_max 40, eta_min 1e-3",
            "{ kind = 'cosine', lr = 0.2, t_max = 40, eta_min = 1e-3 }",
        ),
        (
            "cosine warm restarts",
            "T_0 8, T_mult 2, eta_min 1e-3",
            "{ kind = 'cosine_warm_restarts', lr = 0.2, t_0 = 8, t_mult = 2, eta_min = 1e-3 }",
        ),
        (
            "one cycle",
            "max_lr 0.5, total_steps 50, PyTorch defaults",
            "{ kind = 'one_cycle', max_lr = 0.5, total_steps = 50 }",
        ),
        (
            "polynomial",
            "total_iters 30, power 2",
            "{ kind = 'polynomial', lr = 0.2, total_iters = 30, power = 2 }",
        ),
    ];
    let schedules = &fixture["schedules"];
    assert_eq!(schedules["lr_hex"].as_object().unwrap().len(), cases.len());
    for (name, arguments, lr) in cases {
        assert_eq!(schedules["arguments"][name], arguments);
        assert_follows(&rate(lr), &schedules["lr_hex"][name], name);
    }
}

#[test]
fn further_settings_follow_pytorch() {
    let fixture: Value =
        serde_json::from_str(include_str!("../fixtures/optimizers_more.json")).unwrap();
    let schedules = &fixture["schedules"];
    for (settings, expected) in schedules["lr_hex"].as_object().unwrap() {
        let base = if settings.contains("joined") { "" } else { ", lr = 0.3" };
        assert_follows(&rate(&format!("{{ {settings}{base} }}")), expected, settings);
    }
    for (settings, expected) in schedules["one_cycle"].as_object().unwrap() {
        let cycle = rate(&format!("{{ kind = 'one_cycle', max_lr = 0.5, {settings} }}"));
        assert_follows(&cycle, expected, settings);
    }
}

#[test]
fn plateaus_follow_pytorch_through_the_optimizer() {
    let fixture: Value =
        serde_json::from_str(include_str!("../fixtures/optimizers_more.json")).unwrap();
    let schedules = &fixture["schedules"];
    let metrics = schedules["metrics"].as_array().unwrap();
    for (settings, expected) in schedules["plateau"].as_object().unwrap() {
        let recipe = format!("kind = 'sgd'\nlr = {{ {settings}, lr = 0.3 }}");
        let mut optimizer = Optimizer::<f64>::from_toml(&recipe).unwrap();
        let mut param = Param::new(Tensor::from([0.0]));
        for (metric, expected) in metrics.iter().zip(expected.as_array().unwrap()) {
            let expected = hex_float(expected.as_str().unwrap());
            assert!(close(optimizer.lr(), expected), "{settings}: {} {expected}", optimizer.lr());
            let grads = Gradients::from_params(vec![(param.id(), Tensor::from([1.0]))]);
            optimizer.step(&mut param, &grads);
            optimizer.report_metric(metric.as_f64().unwrap_or(f64::NAN));
        }
    }
}

/// A relative threshold is a fraction of the best metric's magnitude: PyTorch's comparison takes a metric that stays at
/// -1 for an improvement.
#[test]
fn a_plateau_at_a_negative_metric_reduces_the_rate() {
    // Each metric with whether it improves, for mode `min` and threshold 0.1.
    let cases: [&[(f64, bool)]; 6] = [
        &[(-1.0, true), (-1.0, false), (-1.05, false), (-1.2, true), (-1.0, false)],
        &[(1.0, true), (0.95, false), (0.5, true), (-0.1, true), (-0.105, false), (-0.2, true)],
        &[(0.0, true), (0.0, false), (-1e-9, true)],
        &[(-4.0, true), (-4.5, true), (-4.6, false), (-5.0, true)],
        &[(f64::NAN, false), (5.0, true), (f64::NAN, false), (f64::NEG_INFINITY, true)],
        &[(f64::NEG_INFINITY, true), (f64::NEG_INFINITY, false), (-5.0, false)],
    ];
    for (case, mode) in cases.iter().flat_map(|case| [(case, "min"), (case, "max")]) {
        for threshold_mode in ["rel", "abs"] {
            let settings = format!("threshold = 0.1, threshold_mode = '{threshold_mode}'");
            let rate = rate(&format!(
                "{{ kind = 'plateau', lr = 1, factor = 0.5, patience = 0, mode = '{mode}', {settings} }}"
            ));
            let (mut state, mut expected) = (rate.state(), 1.0);
            let sign = if mode == "min" { 1.0 } else { -1.0 };
            let mut best = f64::INFINITY;
            for &(metric, improves) in *case {
                let improves = match threshold_mode {
                    "rel" => improves,
                    _ => metric < best - 0.1,
                };
                best = if improves { metric } else { best };
                rate.report_metric(sign * metric, &mut state);
                expected *= if improves { 1.0 } else { 0.5 };
                assert_eq!(
                    rate.at_with(0, &state),
                    expected,
                    "{mode} {threshold_mode} {metric} of {case:?}"
                );
            }
        }
    }
    // Any first metric improves, whatever the threshold.
    for threshold in ["1", "2", "1e300"] {
        let rate =
            rate(&format!("{{ kind = 'plateau', lr = 1, patience = 0, threshold = {threshold} }}"));
        let mut state = rate.state();
        rate.report_metric(3.0, &mut state);
        assert_eq!(rate.at_with(0, &state), 1.0);
    }
}

#[test]
fn a_warm_up_precedes_any_schedule() {
    let plain = rate("{ kind = 'step', lr = 0.4, step_size = 2 }");
    let warm = rate("{ kind = 'step', lr = 0.4, step_size = 2, warmup_steps = 4 }");
    assert_eq!([0, 1, 2, 3].map(|step| warm.at(step)), [0.0, 0.1, 0.2, 0.30000000000000004]);
    assert!((4..20).all(|step| warm.at(step) == plain.at(step - 4)));
    let warm = rate("{ kind = 'constant', lr = 1, warmup_steps = 2, warmup_start_factor = 0.5 }");
    assert_eq!([0, 1, 2, 9].map(|step| warm.at(step)), [0.5, 0.75, 1.0, 1.0]);
    assert_eq!(warm, Rate::from(1.0).warmup(2, 0.5));
    assert_eq!(rate(&warm.to_string()), warm);
}

#[test]
fn inverse_sqrt_with_a_warm_up_is_the_schedule_of_the_transformer() {
    let ours = Rate::from(InverseSqrt { lr: 0.1, timescale: 100 }).warmup(100, 0.0);
    for step in 1..1000 {
        let step_num = step as f64;
        // lr sqrt(w) min(s^-0.5, s w^-1.5), section 5.3 of the paper, scaled so that its peak is lr.
        let theirs = 0.1 * 10.0 * f64::min(step_num.powf(-0.5), step_num * 100f64.powf(-1.5));
        assert!((ours.at(step) - theirs).abs() < 1e-15, "{step}");
    }
}

#[test]
fn joined_plateaus_have_separate_states() {
    let piece = |lr| Plateau { lr, ..plateau() };
    let joined = Rate::joined([10], [piece(1.0).into(), Rate::from(piece(0.5)).warmup(2, 0.0)]);
    let mut state = joined.state();
    assert_eq!(state.len(), 8);
    for metric in [1.0, 1.0, 1.0] {
        joined.report_metric(metric, &mut state);
    }
    assert_eq!((joined.at_with(3, &state), joined.at_with(12, &state)), (0.25, 0.125));
    assert_eq!((joined.at(3), joined.at(12)), (1.0, 0.5));
}

#[test]
fn mistakes_are_located() {
    let cases = [
        ("{ kind = 'cosin', lr = 1 }", 15, "unknown schedule `cosin`; did you mean `cosine`?"),
        ("{ kind = 'joind' }", 15, "unknown schedule `joind`; did you mean `joined`?"),
        ("{ kind = 'cosine', lr = 1, t_max = 0 }", 41, "`t_max`: expected a number of at least 1"),
        ("{ kind = 'cosine', lr = 1, tmax = 9 }", 33, "unknown key `tmax`; did you mean `t_max`?"),
        ("{ kind = 'cosine', lr = 1 }", 15, "missing key `t_max`"),
        (
            "{ kind = 'exponential', lr = 1, gamma = -1.5 }",
            46,
            "`gamma`: expected a finite number of at least 0",
        ),
        (
            "{ kind = 'multi_step', lr = 1, milestones = [3, 2] }",
            54,
            "`milestones`: expected steps in",
        ),
        (
            "{ kind = 'one_cycle', max_lr = 1, total_steps = 9, pct_start = 2 }",
            69,
            "`pct_start`: expect",
        ),
        (
            "{ kind = 'one_cycle', max_lr = 1, total_steps = 9, anneal_strategy = 'c' }",
            75,
            "unknown value `c`; expected one of `cos`, `linear`",
        ),
        (
            "{ kind = 'plateau', lr = 1, factor = 1 }",
            43,
            "`factor`: expected a number of at least 0",
        ),
        (
            "{ kind = 'step', lr = 1, step_size = 2, warmup_steps = -1 }",
            61,
            "`warmup_steps`: expected a",
        ),
        (
            "{ kind = 'step', lr = 1, step_size = 2, warmup_step = 1 }",
            46,
            "unknown key `warmup_step`; did",
        ),
        (
            "{ kind = 'constant', lr = 1, warmup_start_factor = 1 }",
            35,
            "`warmup_start_factor` without",
        ),
        ("{ kind = 'joined', pieces = [1] }", 15, "missing key `milestones`"),
        (
            "{ kind = 'joined', milestones = [], pieces = [] }",
            51,
            "`pieces`: expected at least one",
        ),
        (
            "{ kind = 'joined', milestones = [2], pieces = [1] }",
            38,
            "`milestones`: expected one between",
        ),
        (
            "{ kind = 'joined', milestones = [2, 2], pieces = [1, 1, 1] }",
            42,
            "`milestones[1]`: expected grow",
        ),
        (
            "{ kind = 'joined', milestones = [2], pieces = [1, { kind = 'stp' }] }",
            65,
            "unknown schedule `stp`",
        ),
        (
            "{ kind = 'joined', milestones = [2], pieces = [1, -1] }",
            56,
            "`pieces`: expected a finite",
        ),
        (
            "{ kind = 'joined', milestone = [2], pieces = [1, 1] }",
            25,
            "unknown key `milestone`; did",
        ),
    ];
    for (lr, column, message) in cases {
        let error = crate::read(&format!("kind = 'sgd'\nlr = {lr}")).unwrap_err();
        assert_eq!((error.line(), error.column()), (2, column), "{lr}\n{error}");
        assert!(error.message().starts_with(message), "{lr}\n{error}");
    }
}

proptest! {
    #[test]
    fn a_printed_rate_reads_back_equal(rate in any_rate()) {
        let recipe = Recipe::new(rate.clone(), Sgd::default());
        let read = crate::read(&recipe.to_string());
        let read = read.map_err(|e| TestCaseError::fail(e.to_string()))?;
        prop_assert_eq!(read.lr(), &rate);
        for step in [0, 1, 17, 999, 123_456] {
            prop_assert_eq!(read.lr().at(step).to_bits(), rate.at(step).to_bits());
        }
    }

    #[test]
    fn a_rate_is_finite_at_any_step(rate in any_rate(), step in any::<u64>()) {
        for step in [step, 0, 1, u64::MAX] {
            let found = rate.at(step);
            prop_assert!(found.is_finite() && found >= 0.0, "{found} at step {step}");
        }
    }
}

#[test]
fn total_steps_includes_the_warm_up() {
    let same = |a: &str, b: &str| {
        let read = |lr: &str| crate::read(&format!("kind = 'sgd'\nlr = {lr}")).unwrap();
        assert_eq!(read(a), read(b));
    };
    same(
        "{ kind = 'cosine', peak = 1e-3, warmup_steps = 100, total_steps = 1000 }",
        "{ kind = 'cosine', lr = 1e-3, warmup_steps = 100, t_max = 900 }",
    );
    same("{ kind = 'cosine', lr = 1, total_steps = 9 }", "{ kind = 'cosine', lr = 1, T_max = 9 }");
    same(
        "{ kind = 'linear', lr = 1, total_steps = 9, warmup_steps = 2 }",
        "{ kind = 'linear', lr = 1, total_iters = 7, warmup_steps = 2 }",
    );
    for (lr, column, message) in [
        ("{ kind = 'cosine', lr = 1, total_steps = 2, warmup_steps = 2 }", 47, "`total_steps`: ex"),
        ("{ kind = 'cosine', lr = 1, total_steps = 2, T_max = 2 }", 50, "both `total_steps` and"),
        ("{ kind = 'step', lr = 1, step_size = 2, total_steps = 2 }", 46, "unknown key `total_st"),
    ] {
        let error = crate::read(&format!("kind = 'sgd'\nlr = {lr}")).unwrap_err();
        assert_eq!((error.line(), error.column()), (2, column), "{error}");
        assert!(error.message().starts_with(message), "{error}");
    }
}

#[test]
fn a_reduction_of_eps_is_not_applied() {
    for (eps, expected) in [(0.5, 1.0), (0.25, 0.5)] {
        let rate = rate(&format!(
            "{{ kind = 'plateau', lr = 1, patience = 0, factor = 0.5, eps = {eps} }}"
        ));
        let mut state = rate.state();
        rate.report_metric(1.0, &mut state);
        rate.report_metric(1.0, &mut state);
        assert_eq!(rate.at_with(0, &state), expected, "{eps}");
    }
}

#[test]
fn a_piece_begins_at_its_milestone() {
    let joined = rate("{ kind = 'joined', milestones = [2, 3], pieces = [0.5, 0.25, 0.125] }");
    assert_eq!([0, 1, 2, 3, 4].map(|step| joined.at(step)), [0.5, 0.5, 0.25, 0.125, 0.125]);
}
