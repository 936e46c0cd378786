//! Accumulation, moving averages, gradients that are not finite, clipping by tensor.

use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe, catch_unwind};
use std::sync::Once;

use wengert_core::{Gradients, Param, ParamId, ReduceOps, Tensor, UnaryOps, gradients};
use wengert_nn::optim::{Ema, Maximize, Optimizer, Recipe, ScheduleFreeAdamW};

use crate::all_or_nothing::Net;

fn gradient(param: &Param<f64>, g: &[f64]) -> Gradients<f64> {
    let g: Vec<(ParamId, Tensor<f64>)> =
        vec![(param.id(), Tensor::from_vec(g.to_vec(), [g.len()]))];
    Gradients::from_params(g)
}

fn optimizer(text: &str) -> Optimizer<f64> {
    Optimizer::from_toml(text).unwrap_or_else(|error| panic!("{error}"))
}

pub(crate) fn message(f: impl FnOnce()) -> String {
    let panic = catch_unwind(AssertUnwindSafe(f)).unwrap_err();
    panic.downcast_ref::<String>().unwrap().clone()
}

thread_local! {
    static PANICKED_AT: Cell<(String, u32)> = Cell::default();
}

/// Returns file and line of the panic in `f`.
pub(crate) fn panicked_at(f: impl FnOnce()) -> (String, u32) {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let at = info.location().map_or(Default::default(), |at| (at.file().into(), at.line()));
            PANICKED_AT.set(at);
            before(info);
        }));
    });
    assert!(catch_unwind(AssertUnwindSafe(f)).is_err());
    PANICKED_AT.take()
}

#[test]
fn a_mistake_panics_in_the_line_of_the_caller() {
    let (mut param, other) = (Param::new(Tensor::from([1.0])), Param::new(Tensor::from([1.0])));
    let missing = gradient(&other, &[1.0]);
    let misshapen = gradient(&param, &[1.0, 2.0]);
    let nan = gradient(&param, &[f64::NAN]);
    let mut sgd = optimizer("kind = 'sgd'\nnon_finite = 'error'");
    for grads in [&missing, &misshapen, &nan] {
        let here = (file!().to_owned(), line!() + 1);
        assert_eq!(panicked_at(|| sgd.step(&mut param, grads)), here);
        let loss = |_: &Param<f64>| (0.0, grads.clone());
        let here = (here.0, line!() + 1);
        assert_eq!(panicked_at(|| _ = sgd.minimize(&mut param, loss)), here);
    }
    let said = message(|| sgd.step(&mut param, &misshapen));
    assert!(said.starts_with("step: gradient of "), "{said}");
    assert!(said.ends_with(": expected shape [1], found [2]"), "{said}");
    assert_eq!((sgd.steps(), param.value().to_vec()), (0, vec![1.0]));
}

#[test]
fn the_mean_of_several_gradients_makes_a_step() {
    let mut param = Param::new(Tensor::from([1.0, 2.0]));
    let mut optimizer = optimizer("kind = 'momentum'\nmomentum = 0.5\nlr = 0.5\naccumulate = 3");
    for g in [[3.0, 0.0], [6.0, -3.0], [0.0, 0.0]] {
        assert_eq!((optimizer.steps(), param.value().as_slice()), (0, &[1.0, 2.0][..]));
        let grads = gradient(&param, &g);
        optimizer.step(&mut param, &grads);
    }
    // The mean is [3, -1].
    assert_eq!((optimizer.steps(), param.value().as_slice()), (1, &[-0.5, 2.5][..]));
}

#[test]
fn a_gradient_that_is_not_finite_is_skipped_and_counted() {
    let mut param = Param::new(Tensor::from([1.0, 2.0]));
    let mut optimizer = optimizer("kind = 'adam'\nnon_finite = 'skip'");
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let grads = gradient(&param, &[0.0, bad]);
        optimizer.step(&mut param, &grads);
    }
    assert_eq!((optimizer.steps(), optimizer.skipped()), (0, 3));
    assert_eq!(param.value().as_slice(), [1.0, 2.0]);
    let grads = gradient(&param, &[1.0, 1.0]);
    optimizer.step(&mut param, &grads);
    assert_eq!((optimizer.steps(), optimizer.skipped()), (1, 3));
}

#[test]
fn a_gradient_that_is_not_finite_panics_if_the_recipe_says_error() {
    let mut model = vec![Param::new(Tensor::from([1.0])), Param::new(Tensor::from([2.0]))];
    let grads = Gradients::from_params(
        model.iter().zip([1.0, f64::NAN]).map(|(p, g)| (p.id(), Tensor::from([g]))).collect(),
    );
    let mut careful = optimizer("kind = 'sgd'\nnon_finite = 'error'");
    let said = message(|| careful.step(&mut model, &grads));
    assert!(
        said.starts_with("step: the gradient is not finite at 1; `gradients_checked`"),
        "{said}"
    );
    assert_eq!(model[0].value().as_slice(), [1.0]);
    optimizer("kind = 'sgd'").step(&mut model, &grads);
    assert!(model[1].value().as_slice()[0].is_nan());
}

#[test]
fn moving_averages_follow_the_parameters_and_replace_them_for_a_call() {
    let mut param = Param::new(Tensor::from([1.0, 2.0]));
    let text = "kind = 'sgd'\nlr = 0.25\nweight_decay = 0.0\nema = 0.75";
    let mut optimizer = optimizer(text);
    // Before the first step a parameter keeps its value.
    optimizer.with_ema(&mut param, |p| assert_eq!(p.value().as_slice(), [1.0, 2.0]));
    let (mut plain, mut average) = ([1.0, 2.0], [0.0; 2]);
    for t in 0..5 {
        let g = [t as f64, 1.0];
        let grads = gradient(&param, &g);
        optimizer.step(&mut param, &grads);
        for i in 0..2 {
            plain[i] -= 0.25 * g[i];
            average[i] = if t == 0 { plain[i] } else { 0.75 * average[i] + 0.25 * plain[i] };
        }
        assert_eq!(param.value().as_slice(), plain);
        let seen = optimizer.with_ema(&mut param, |p| p.value().to_vec());
        for (seen, average) in seen.iter().zip(average) {
            assert!((seen - average).abs() < 1e-15);
        }
        assert_eq!(param.value().as_slice(), plain);
    }
    // The model is restored after a panic too.
    let broken = catch_unwind(AssertUnwindSafe(|| {
        optimizer.with_ema(&mut param, |_| panic!("in the middle of an evaluation"))
    }));
    assert!(broken.is_err());
    assert_eq!(param.value().as_slice(), plain);
}

#[test]
fn the_average_of_a_long_parameter_is_gathered_from_its_chunks() {
    let n = 10_000;
    let mut param = Param::new(Tensor::<f64>::from_fn([n], |i| i as f64));
    let mut optimizer = optimizer("kind = 'adam'\nlr = 0.0\nema = 0.5");
    let (_, grads) = gradients(|tape| tape.param(&param).square().sum());
    optimizer.step(&mut param, &grads);
    let all = param.value().clone();
    optimizer.with_ema(&mut param, |p| assert_eq!(p.value(), &all));
}

#[test]
fn with_ema_gives_the_model_itself_under_a_recipe_without_averages() {
    let mut param = Param::new(Tensor::from([1.0]));
    for kind in ["sgd", "adam"] {
        let mut optimizer = optimizer(&format!("kind = '{kind}'"));
        let grads = gradient(&param, &[2.0]);
        optimizer.step(&mut param, &grads);
        let own = param.value().to_vec();
        assert_eq!(optimizer.with_ema(&mut param, |param| param.value().to_vec()), own);
    }
}

#[test]
fn a_partial_accumulation_is_flushed() {
    let mut param = Param::new(Tensor::from([1.0]));
    let mut sgd = optimizer("kind = 'sgd'\nlr = 0.5\naccumulate = 3");
    sgd.flush(&mut param);
    for g in [1.0, 2.0, 3.0, 4.0, 8.0] {
        let grads = gradient(&param, &[g]);
        sgd.step(&mut param, &grads);
    }
    assert_eq!((sgd.steps(), param.value().item()), (1, 0.0));
    sgd.flush(&mut param);
    assert_eq!((sgd.steps(), param.value().item()), (2, -3.0));
    sgd.flush(&mut param);
    assert_eq!((sgd.steps(), param.value().item()), (2, -3.0));
    // The next accumulation begins anew.
    for g in [1.0, 1.0, 1.0] {
        let grads = gradient(&param, &[g]);
        sgd.step(&mut param, &grads);
    }
    assert_eq!((sgd.steps(), param.value().item()), (3, -3.5));
}

#[test]
fn a_rate_that_follows_a_metric_needs_the_first_one_within_2000_steps() {
    let mut param = Param::new(Tensor::from([1.0]));
    let grads = gradient(&param, &[0.0]);
    let plateau = "{ kind = 'plateau', lr = 1 }";
    let joined = format!("{{ kind = 'joined', milestones = [9000], pieces = [1, {plateau}] }}");
    for recipe in [
        format!("kind = 'sgd'\nlr = {plateau}"),
        format!("kind = 'sgd'\nlr = {joined}"),
        format!("kind = 'sgd'\n[[groups]]\nparams = '*'\nlr = {plateau}"),
    ] {
        let mut silent = optimizer(&recipe);
        (0..2000).for_each(|_| silent.step(&mut param, &grads));
        for _ in 0..2 {
            let here = (file!().to_owned(), line!() + 1);
            assert_eq!(panicked_at(|| silent.step(&mut param, &grads)), here, "{recipe}");
        }
        let said = message(|| silent.step(&mut param, &grads));
        assert!(said.contains("follows a metric, and none was reported in 2000 steps"), "{said}");
        // The wait starts again after a restore, and ends with the first metric.
        let state = silent.state(&param);
        let mut resumed = optimizer(&recipe);
        resumed.restore(&param, state).unwrap();
        (0..2000).for_each(|_| resumed.step(&mut param, &grads));
        resumed.report_metric(1.0);
        (0..2001).for_each(|_| resumed.step(&mut param, &grads));
        assert_eq!(resumed.steps(), 6001);
    }
    let mut constant = optimizer("kind = 'sgd'");
    (0..2001).for_each(|_| constant.step(&mut param, &grads));
}

#[test]
fn ema_must_be_last() {
    let text = "lr = 1\n[[chain]]\nkind = 'ema'\n[[chain]]\nkind = 'sgd'";
    let error = crate::read(text).unwrap_err();
    assert_eq!((error.line(), error.column()), (3, 8));
    assert!(error.message().starts_with("`ema` must be last in its chain"), "{error}");
}

#[test]
fn only_an_average_follows_a_schedule_free_rule() {
    let chain = |kinds: &[&str]| {
        let tables = kinds.iter().map(|kind| format!("[[chain]]\nkind = '{kind}'\n"));
        crate::read(&format!("lr = 1\n{}", tables.collect::<String>()))
    };
    assert!(chain(&["clip_norm", "schedule_free_adamw", "ema"]).is_ok());
    let error = chain(&["schedule_free_adamw", "clip_value"]).unwrap_err();
    assert_eq!((error.line(), error.column()), (3, 8));
    let message = "`schedule_free_adamw` must be last in its chain: `clip_value` follows it";
    assert_eq!(error.message(), message);
    let error = chain(&["schedule_free_adamw", "ema", "clip_value"]).unwrap_err();
    assert_eq!((error.line(), error.column()), (5, 8));
}

#[test]
#[should_panic(expected = "`schedule_free_adamw` must be last in its chain: `maximize` follows it")]
fn only_an_average_follows_a_schedule_free_rule_in_rust_too() {
    let _ = Recipe::new(0.1, ScheduleFreeAdamW::default()).then(Maximize {});
}

#[test]
fn the_decay_of_a_rule_itself_cannot_be_coupled() {
    for (kind, decoupled) in [("adan", true), ("muon", false), ("schedule_free_adamw", false)] {
        let text =
            format!("kind = '{kind}'\nweight_decay = 0.1\ndecoupled_weight_decay = {decoupled}");
        let error = crate::read(&text).unwrap_err();
        assert_eq!((error.line(), error.column()), (3, 1));
        let message = format!(
            "`{kind}` has a weight decay of its own, which `decoupled_weight_decay` does not change"
        );
        assert_eq!(error.message(), message);
    }
}

#[test]
#[should_panic(expected = "`ema` must be last in its chain: `maximize` follows it")]
fn ema_must_be_last_in_rust_too() {
    let _ = Recipe::new(0.1, Ema::default()).then(Maximize {});
}

#[test]
fn the_former_name_of_ema_is_read() {
    let read = |text: &str| crate::read(text).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(read("kind = 'sgd'\naverage = 0.5"), read("kind = 'sgd'\nema = 0.5"));
    let chain = |kind: &str| {
        format!("lr = 1\n[[chain]]\nkind = 'sgd'\n[[chain]]\nkind = '{kind}'\ndecay = 0.5")
    };
    assert_eq!(read(&chain("average")), read(&chain("ema")));
    let group = |key: &str| format!("kind = 'sgd'\n[[groups]]\nparams = '*'\n{key} = 0.5");
    assert_eq!(read(&group("average")), read(&group("ema")));
    // Printed under the present name.
    assert!(read(&chain("average")).to_string().contains("kind = \"ema\""));
    let error = crate::read("kind = 'sgd'\naverage = 1.5").unwrap_err();
    assert_eq!((error.line(), error.column()), (2, 11));
    assert!(error.message().starts_with("`average`: expected a number of at least 0"));
}

#[test]
fn each_tensor_is_clipped_by_its_own_norm() {
    let mut model = vec![Param::new(Tensor::from([0.0, 0.0])), Param::new(Tensor::from([0.0]))];
    let grads = Gradients::from_params(vec![
        (model[0].id(), Tensor::from([3.0, 4.0])),
        (model[1].id(), Tensor::from([0.5])),
    ]);
    optimizer("kind = 'sgd'\nlr = 1.0\nclip_tensor_norm = 2.0").step(&mut model, &grads);
    let scale = 2.0 / (5.0 + 1e-6);
    assert_eq!(model[0].value().as_slice(), [-3.0 * scale, -4.0 * scale]);
    assert_eq!(model[1].value().as_slice(), [-0.5]);
    // After another transform the incoming update is clipped.
    let text =
        "lr = 1\n[[chain]]\nkind = 'sgd'\n[[chain]]\nkind = 'weight_decay'\nweight_decay = 2.0\n
                [[chain]]\nkind = 'clip_tensor_norm'\n[[chain]]\nkind = 'maximize'";
    let mut param = Param::new(Tensor::from([1.0, 1.0]));
    let grads = gradient(&param, &[1.0, 2.0]);
    optimizer(text).step(&mut param, &grads);
    let scale = 1.0 / (5.0 + 1e-6);
    assert_eq!(param.value().as_slice(), [1.0 + 3.0 * scale, 1.0 + 4.0 * scale]);
    // As the last transform, the rule updates the parameter itself.
    let text = "lr = 1\n[[chain]]\nkind = 'sgd'\n[[chain]]\nkind = 'clip_tensor_norm'";
    let mut param = Param::new(Tensor::from([1.0, 1.0]));
    let grads = gradient(&param, &[3.0, 4.0]);
    optimizer(text).step(&mut param, &grads);
    assert_eq!(param.value().as_slice(), [1.0 - 3.0 * scale, 1.0 - 4.0 * scale]);
}

#[test]
fn maximize_ascends() {
    let mut param = Param::new(Tensor::from([1.0]));
    let grads = gradient(&param, &[2.0]);
    optimizer("kind = 'sgd'\nlr = 0.5\nmaximize = true").step(&mut param, &grads);
    assert_eq!(param.value().as_slice(), [2.0]);
}

#[test]
fn mistakes_are_located() {
    let cases = [
        ("accumulate = 0", 2, 14, "`accumulate`: expected a whole number of at least 1"),
        ("accumulate = 1.5", 2, 14, "`accumulate`: expected a whole number of at least 1, found"),
        ("non_finite = 'skp'", 2, 14, "unknown value `skp`; did you mean `skip`? Expected one of"),
        ("ema = 1.0", 2, 7, "`ema`: expected a number of at least 0 and below 1"),
        ("maximize = 1", 2, 12, "`maximize`: expected `true` or `false`"),
        ("clip_tensor_norm = -1", 2, 20, "`clip_tensor_norm`: expected a finite number above 0"),
        ("decoupled_weight_decay = 1", 2, 26, "`decoupled_weight_decay`: expected `true`"),
    ];
    for (text, line, column, expected) in cases {
        let error = crate::read(&format!("kind = 'sgd'\n{text}")).unwrap_err();
        assert_eq!((error.line(), error.column()), (line, column), "{error}");
        assert!(error.message().starts_with(expected), "{error}");
    }
}

#[test]
fn a_step_that_is_skipped_leaves_the_buffers_too_and_the_last_of_two_values_counts() {
    let mut net = Net::new();
    let mut grads = net.with_mean(Tensor::from([0.5]));
    grads += &net.with_mean(Tensor::from([0.75]));
    let (_, twice) = gradients(|tape| {
        tape.update_buffer(&net.mean, tape.constant(&Tensor::from([0.5])));
        tape.update_buffer(&net.mean, tape.constant(&Tensor::from([0.25])));
        tape.param(&net.first).sum() + tape.param(&net.last).sum()
    });
    let mut careful = optimizer("kind = 'sgd'\nlr = 1\nnon_finite = 'skip'");
    let bad = net.gradients(&[f64::NAN, 0.0], &[0.0]);
    let mut with_bad = grads.clone();
    with_bad += &bad;
    let before = net.values();
    careful.step(&mut net, &with_bad);
    assert_eq!((net.values(), careful.skipped()), (before, 1));
    careful.step(&mut net, &grads);
    assert_eq!(net.values()[1], [0.75]);
    careful.step(&mut net, &twice);
    assert_eq!(net.values()[1], [0.25]);
}

#[test]
fn an_average_of_another_shape_is_not_shown() {
    let (mut net, mut optimizer) = (Net::new(), optimizer("kind = 'sgd'\nema = 0.5"));
    let grads = net.gradients(&[1.0, 1.0], &[1.0]);
    optimizer.step(&mut net, &grads);
    net.last = Param::new(Tensor::from([7.0, 8.0]));
    optimizer.with_ema(&mut net, |net| assert_eq!(net.last.value().to_vec(), [7.0, 8.0]));
}

#[test]
#[should_panic(expected = "accumulate: expected a number of at least 1, found 0")]
fn an_accumulation_of_nothing_is_refused_in_rust_too() {
    let _ = crate::read("kind = 'sgd'").unwrap().with_accumulate(0);
}

#[test]
fn the_rate_is_that_of_the_next_step() {
    let mut param = Param::new(Tensor::from([1.0]));
    let mut optimizer =
        optimizer("kind = 'sgd'\nlr = { kind = 'step', lr = 1, step_size = 1, gamma = 0.5 }");
    for expected in [1.0, 0.5, 0.25] {
        assert_eq!(optimizer.lr(), expected);
        let (before, grads) = (param.value().item(), gradient(&param, &[1.0]));
        optimizer.step(&mut param, &grads);
        assert_eq!(before - param.value().item(), expected);
    }
}

#[test]
fn a_metric_reaches_the_rates_of_the_groups() {
    let mut param = Param::new(Tensor::from([1.0]));
    let plateau = "{ kind = 'plateau', lr = 1, patience = 0, factor = 0.5 }";
    let mut optimizer =
        optimizer(&format!("kind = 'sgd'\n[[groups]]\nparams = '*'\nlr = {plateau}"));
    for metric in [1.0, 1.0, 1.0] {
        optimizer.report_metric(metric);
    }
    let grads = gradient(&param, &[1.0]);
    optimizer.step(&mut param, &grads);
    assert_eq!(param.value().item(), 0.75);
}
