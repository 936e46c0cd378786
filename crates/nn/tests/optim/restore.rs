//! Restoring a state: what is lost is told, and nothing else; a state from another file changes nothing.

use serde::{Deserialize, Serialize};
use wengert_core::{Float, Gradients, Param, Tensor, UnaryOps, params_f64};
use wengert_nn::optim::{
    Elements, MapProof, Optimizer, OptimizerState, Registry, Rule, StepContext, TensorRule,
};

struct Net {
    used: Param<f64>,
    idle: Param<f64>,
}
params_f64! { Net { used, idle } }

impl Net {
    fn new() -> Self {
        Net { used: Param::new(Tensor::from([5.0])), idle: Param::new(Tensor::from([7.0])) }
    }

    /// The same values, as read from a file.
    fn again(&self) -> Self {
        Net { used: self.used.clone(), idle: self.idle.clone() }
    }

    fn gradients(&self, used: f64) -> Gradients<f64> {
        Gradients::from_params(vec![(self.used.id(), Tensor::from([used]))])
    }

    fn both(&self, [used, idle]: [f64; 2]) -> Gradients<f64> {
        let used = (self.used.id(), Tensor::from([used]));
        Gradients::from_params(vec![used, (self.idle.id(), Tensor::from([idle]))])
    }

    fn values(&self) -> [f64; 2] {
        [self.used.value().item(), self.idle.value().item()]
    }
}

/// `u = count g`, and remembers nothing.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Counting {}

impl Rule for Counting {
    const KIND: &'static str = "counting";

    fn apply<F: Float>(&self, context: StepContext, elements: Elements<'_, F>) -> MapProof {
        elements.map(|g, _, []| (F::of(context.count as f64) * g, []))
    }
}

/// The same for whole tensors.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CountingWhole {}

impl TensorRule for CountingWhole {
    const KIND: &'static str = "counting_whole";

    fn apply<F: Float>(
        &self,
        context: StepContext,
        update: Tensor<F>,
        _param: &Tensor<F>,
        _state: &mut [Tensor<F>],
    ) -> Tensor<F> {
        update.mul_scalar(context.count as f64)
    }
}

fn optimizer(text: &str) -> Optimizer<f64> {
    let registry = Registry::default().rule::<Counting>().tensor_rule::<CountingWhole>();
    Optimizer::new(registry.read(text).unwrap_or_else(|error| panic!("{error}")))
}

/// Returns an optimizer of the recipe that has restored the state of `saved`, strictly.
#[track_caller]
fn resumed(text: &str, net: &Net, saved: &Optimizer<f64>) -> Optimizer<f64> {
    let mut resumed = optimizer(text);
    if let Err(error) = resumed.restore(net, saved.state(net)) {
        panic!("{error}");
    }
    assert_eq!(resumed.state(net), saved.state(net));
    resumed
}

#[test]
fn a_rule_without_memory_goes_on_counting() {
    for chain in [
        "kind = 'counting'\nlr = 1",
        "kind = 'counting_whole'\nlr = 1",
        "lr = 1\nchain = [{ kind = 'clip_value', clip_value = 9 }, { kind = 'counting' }]",
        "lr = 1\nchain = [{ kind = 'sgd', momentum = 0.0 }, { kind = 'counting_whole' }]",
    ] {
        let text = format!("{chain}\nunused_parameters = 'skip'");
        let text = text.replace("lr = 1\nchain", "lr = 1\nunused_parameters = 'skip'\nchain");
        let text = text.replacen("]\nunused_parameters = 'skip'", "]", 1);
        let (mut net, mut first) = (Net::new(), optimizer(&text));
        for _ in 0..2 {
            let grads = net.gradients(1.0);
            first.step(&mut net, &grads);
        }
        assert_eq!(net.values(), [5.0 - 1.0 - 2.0, 7.0]);
        let mut net = net.again();
        let mut second = resumed(&text, &net, &first);
        let grads = net.both([1.0, 1.0]);
        second.step(&mut net, &grads);
        assert_eq!(net.values(), [2.0 - 3.0, 7.0 - 1.0], "{text}");
    }
}

#[test]
fn gradients_that_wait_are_used_under_any_accumulation() {
    for (accumulate, after_one_more) in [(1, 5.0 - 4.0), (2, 5.0 - 4.0), (3, 5.0 - 4.0), (4, 5.0)] {
        let (mut net, mut first) = (Net::new(), optimizer("kind = 'sgd'\nlr = 1\naccumulate = 3"));
        for g in [2.0, 4.0] {
            let grads = net.both([g, 0.0]);
            first.step(&mut net, &grads);
        }
        let text = format!("kind = 'sgd'\nlr = 1\naccumulate = {accumulate}");
        let mut second = resumed(&text, &net, &first);
        let grads = net.both([6.0, 0.0]);
        second.step(&mut net, &grads);
        assert_eq!(net.values()[0], after_one_more, "{accumulate}");
        second.flush(&mut net);
        assert_eq!((net.values()[0], second.steps()), (1.0, 1));
        assert!(!second.state(&net).numbers.contains_key("accumulate.count"));
    }
}

#[test]
fn waiting_gradients_need_their_number_and_the_number_its_gradients() {
    let (mut net, mut first) = (Net::new(), optimizer("kind = 'sgd'\naccumulate = 3"));
    let grads = net.both([1.0, 1.0]);
    first.step(&mut net, &grads);
    let mut state = first.state(&net);
    state.numbers.remove("accumulate.count");
    let error = optimizer("kind = 'sgd'").restore(&net, state).unwrap_err();
    assert_eq!(error.report().unexpected, ["idle/accumulate.sum", "used/accumulate.sum"]);
    let mut state = first.state(&net);
    state.tensors.clear();
    let error = optimizer("kind = 'sgd'").restore(&net, state).unwrap_err();
    assert_eq!(error.report().unexpected, ["accumulate.count"]);
}

const SKIP: &str = "kind = 'adam'\nlr = 0.1\nema = 0.9\nunused_parameters = 'skip'";

#[test]
fn nothing_is_reported_where_nothing_is_lost() {
    // Before the first step.
    let net = Net::new();
    resumed(SKIP, &net, &optimizer(SKIP));
    // A parameter that is never used.
    let (mut net, mut first) = (Net::new(), optimizer(SKIP));
    let grads = net.gradients(1.0);
    first.step(&mut net, &grads);
    let state = first.state(&net);
    assert_eq!(state.numbers["idle/updates"], 0.0);
    assert!(!state.tensors.contains_key("idle/adam.exp_avg"));
    let mut second = resumed(SKIP, &net, &first);
    // It starts like any other.
    let grads = net.both([1.0, 1.0]);
    second.step(&mut net, &grads);
    assert!((net.values()[1] - 6.9).abs() < 1e-8);
    // Inside of the first accumulation.
    let text = format!("{SKIP}\naccumulate = 2");
    let (mut net, mut first) = (Net::new(), optimizer(&text));
    let grads = net.gradients(1.0);
    first.step(&mut net, &grads);
    resumed(&text, &net, &first);
    // A recipe with one transform without memory more, or fewer.
    let (more, fewer) = ("kind = 'sgd'\nclip_norm = 1.0", "kind = 'sgd'");
    for (saved, read) in [(more, fewer), (fewer, more)] {
        let (mut net, mut first) = (Net::new(), optimizer(saved));
        let grads = net.both([1.0, 1.0]);
        first.step(&mut net, &grads);
        optimizer(read).restore(&net, first.state(&net)).unwrap();
    }
}

#[test]
fn a_parameter_that_is_thawed_later_starts_anew() {
    let frozen = format!("{SKIP}\n[[groups]]\nparams = 'idle'\nfrozen = true");
    // Frozen by the recipe, or in the model.
    for (text, in_model) in [(frozen.as_str(), false), (SKIP, true)] {
        let (mut net, mut first) = (Net::new(), optimizer(text));
        net.idle.set_frozen(in_model);
        let grads = net.both([1.0, 1.0]);
        first.step(&mut net, &grads);
        assert_eq!(net.values()[1], 7.0);
        resumed(text, &net, &first);
        net.idle.set_frozen(false);
        let mut second = resumed(SKIP, &net, &first);
        assert_eq!(second.with_ema(&mut net, |net| net.values()[1]), 7.0);
        let grads = net.both([1.0, 1.0]);
        second.step(&mut net, &grads);
        assert!((net.values()[1] - 6.9).abs() < 1e-8);
        assert_eq!(second.with_ema(&mut net, |net| net.values()[1]), net.values()[1]);
    }
}

#[test]
fn a_parameter_frozen_for_a_while_keeps_its_memory() {
    let (mut net, mut first) = (Net::new(), optimizer("kind = 'momentum'\nmomentum = 0.5\nlr = 1"));
    let grads = net.both([1.0, 1.0]);
    first.step(&mut net, &grads);
    net.idle.set_frozen(true);
    let mut second = resumed("kind = 'momentum'\nmomentum = 0.5\nlr = 1", &net, &first);
    net.idle.set_frozen(false);
    let grads = net.both([1.0, 1.0]);
    second.step(&mut net, &grads);
    assert_eq!(net.values(), [5.0 - 1.0 - 1.5, 7.0 - 1.0 - 1.5]);
}

/// Values 5 and 7, loss `used^2`: before and after the restore the averages are 4 and 7.
#[test]
fn a_parameter_without_an_average_keeps_its_value() {
    let text = "kind = 'sgd'\nlr = 0.1\nema = 0.9\nunused_parameters = 'skip'";
    let (mut net, mut first) = (Net::new(), optimizer(text));
    let grads = net.gradients(10.0);
    first.step(&mut net, &grads);
    assert_eq!(first.with_ema(&mut net, |net| net.values()), [4.0, 7.0]);
    let second = resumed(text, &net, &first);
    assert_eq!(second.with_ema(&mut net, |net| net.values()), [4.0, 7.0]);
    // A recipe that gains an average.
    let plain = "kind = 'sgd'\nlr = 0.1\nunused_parameters = 'skip'";
    let mut first = optimizer(plain);
    let grads = net.gradients(10.0);
    first.step(&mut net, &grads);
    let mut second = optimizer(text);
    let report = second.restore_lenient(&net, first.state(&net));
    assert_eq!(report.missing, ["used/ema.average", "used/ema.count"]);
    assert_eq!(second.with_ema(&mut net, |net| net.values()), [3.0, 7.0]);
    // The average is lost, its count is not.
    let mut state = optimizer(text).state(&net);
    state.numbers.remove("used/updates");
    state.numbers.insert("used/ema.count".into(), 3.0);
    let report = second.restore_lenient(&net, state);
    assert_eq!(report.missing, ["used/ema.average"]);
    assert_eq!(second.with_ema(&mut net, |net| net.values()), [3.0, 7.0]);
}

/// Returns an optimizer with a state in every corner, and its model.
fn trained() -> (Net, Optimizer<f64>) {
    let text = "kind = 'nadam'\nema = 0.9\naccumulate = 2\nlr = { kind = 'plateau', lr = 0.1 }";
    let (mut net, mut optimizer) = (Net::new(), optimizer(text));
    for _ in 0..3 {
        let grads = net.both([1.0, 2.0]);
        optimizer.step(&mut net, &grads);
    }
    optimizer.report_metric(3.0);
    (net, optimizer)
}

#[test]
fn a_state_from_another_file_is_refused_and_changes_nothing() {
    let (net, mut optimizer) = trained();
    let own = optimizer.state(&net);
    let changed = |change: &dyn Fn(&mut OptimizerState<f64>)| {
        let mut state = own.clone();
        change(&mut state);
        state
    };
    let number =
        |name: &str, number: f64| changed(&|state| _ = state.numbers.insert(name.into(), number));
    let weights = OptimizerState {
        tensors: [("used".into(), Tensor::ones([1])), ("idle".into(), Tensor::ones([1]))].into(),
        numbers: [].into(),
    };
    let cases = [
        ("unexpected: idle, used", weights),
        ("missing: steps", OptimizerState::default()),
        ("out of range: steps is inf", number("steps", f64::INFINITY)),
        ("out of range: steps is NaN", number("steps", f64::NAN)),
        ("out of range: steps is -1.0", number("steps", -1.0)),
        ("out of range: steps is 1.5", number("steps", 1.5)),
        ("out of range: steps is 1e300", number("steps", 1e300)),
        ("out of range: skipped is -inf", number("skipped", f64::NEG_INFINITY)),
        ("out of range: used/nadam.count is 0.5", number("used/nadam.count", 0.5)),
        (
            "out of range: used/nadam.mu_product is inf",
            number("used/nadam.mu_product", f64::INFINITY),
        ),
        ("out of range: accumulate.count is 0.0", number("accumulate.count", 0.0)),
        ("out of range: lr.0 is -1.0", number("lr.0", -1.0)),
        ("out of range: lr.0 is inf", number("lr.0", f64::INFINITY)),
        ("out of range: lr.2 is NaN", number("lr.2", f64::NAN)),
        ("out of range: idle/updates is 3.0", number("idle/updates", 3.0)),
        ("unexpected: other/updates", number("other/updates", 0.0)),
        ("unexpected: other/nadam.count", number("other/nadam.count", 2.0)),
        ("missing: lr.3", changed(&|state| _ = state.numbers.remove("lr.3"))),
        (
            "missing: used/nadam.count",
            changed(&|state| _ = state.numbers.remove("used/nadam.count")),
        ),
        (
            "shape mismatch: used/nadam.exp_avg is [1] in the model, [2] in the state",
            changed(&|state| {
                drop(state.tensors.insert("used/nadam.exp_avg".into(), Tensor::ones([2])));
            }),
        ),
    ];
    for (expected, state) in cases {
        let error = optimizer.restore(&net, state).unwrap_err();
        assert!(!error.report().is_complete());
        let said = error.to_string();
        assert!(said.starts_with("the saved state does not fit the optimizer\n  "), "{said}");
        assert!(said.contains(expected), "{said}\nlacks {expected}");
        assert_eq!(format!("{error:?}"), said);
        assert_eq!(optimizer.state(&net), own, "{expected}");
    }
    optimizer.restore(&net, own.clone()).unwrap();
    assert_eq!(optimizer.state(&net), own);
}

#[test]
fn a_lenient_restore_keeps_initial_numbers_in_place_of_impossible_ones() {
    let (net, mut optimizer) = trained();
    let mut state = optimizer.state(&net);
    state.numbers.insert("steps".into(), f64::INFINITY);
    state.numbers.insert("lr.0".into(), f64::NEG_INFINITY);
    let report = optimizer.restore_lenient(&net, state);
    assert_eq!(
        report.out_of_range,
        [("steps".to_owned(), f64::INFINITY), ("lr.0".to_owned(), f64::NEG_INFINITY)]
    );
    assert_eq!((optimizer.steps(), optimizer.lr()), (0, 0.1));
    assert!(report.missing.is_empty() && report.unexpected.is_empty());
}

#[test]
fn a_message_lists_a_few_names() {
    let (mut net, mut sgd) = (Net::new(), optimizer("kind = 'adam'\namsgrad = true\nema = 0.5"));
    let grads = net.both([1.0, 1.0]);
    sgd.step(&mut net, &grads);
    let error = optimizer("kind = 'sgd'").restore(&net, sgd.state(&net)).unwrap_err();
    assert_eq!(error.report().unexpected.len(), 12);
    assert!(error.to_string().ends_with(" and 4 more"), "{error}");
}

#[test]
fn a_file_without_a_word_about_a_frozen_parameter_is_complete() {
    let (mut net, mut first) = (Net::new(), optimizer("kind = 'adam'"));
    net.idle.set_frozen(true);
    let grads = net.gradients(1.0);
    first.step(&mut net, &grads);
    let mut state = first.state(&net);
    state.numbers.remove("idle/updates");
    optimizer("kind = 'adam'").restore(&net, state).unwrap();
}

#[test]
fn the_rates_of_recipe_and_group_are_restored_apart() {
    let plateau =
        |lr| format!("lr = {{ kind = 'plateau', lr = {lr}, patience = 0, factor = 0.5 }}");
    let text =
        format!("kind = 'sgd'\n{}\n[[groups]]\nparams = 'idle'\n{}", plateau("1"), plateau("0.25"));
    let (mut net, mut first) = (Net::new(), optimizer(&text));
    [3.0, 3.0].iter().for_each(|metric| first.report_metric(*metric));
    let mut second = resumed(&text, &net, &first);
    let grads = net.both([1.0, 1.0]);
    second.step(&mut net, &grads);
    assert_eq!(net.values(), [5.0 - 0.5, 7.0 - 0.125]);
}

#[test]
fn the_number_of_skipped_gradients_is_restored() {
    let (mut net, mut first) = (Net::new(), optimizer("kind = 'sgd'\nnon_finite = 'skip'"));
    let grads = net.both([f64::NAN, 0.0]);
    first.step(&mut net, &grads);
    assert_eq!(resumed("kind = 'sgd'", &net, &first).skipped(), 1);
}
