//! The steps of optimizer rules as formulas: one element, its update and its state after the rule.

use serde_json::{Value as Json, json};
use wengert::core::symbol::{Symbol, pieces};
use wengert::optim::{
    Adadelta, Adagrad, Adam, Adamax, Adan, Elements, LazyAdam, Lion, NAdam, RAdam, RmsProp, Rule,
    Sgd, StepContext, WeightDecay,
};

/// The numbers of the steps that are printed.
const COUNTS: std::ops::RangeInclusive<u64> = 1..=50;

/// The number that the state of some rules holds once per parameter.
const NUMBER: f64 = 0.25;

/// The steps of a rule: from the gradient `g`, the parameter `p` and any state `s0`, `s1`, ..
fn steps_of<R: Rule>(rule: &R) -> Json {
    let state = (0..rule.state().len()).map(|i| Symbol::named(&format!("s{i}")));
    let state = state.collect::<Vec<_>>();
    json!({
        "name": R::KIND,
        "settings": rule,
        "number": NUMBER,
        "state": super::texts(&state),
        "steps": COUNTS.map(|count| step(rule, count, &state)).collect::<Vec<_>>(),
    })
}

fn step<R: Rule>(rule: &R, count: u64, state: &[Symbol]) -> Json {
    let mut context = StepContext::new(count - 1, 1.0);
    (context.count, context.number) = (count, NUMBER);
    let [g, p] = ["g", "p"].map(Symbol::named);
    let pieces = pieces(|| {
        let (mut update, mut state) = ([g], state.to_vec());
        rule.apply(context, Elements::to_update(&mut update, &[p], &mut state));
        [&update[..], &state].concat()
    });
    let pieces = pieces
        .iter()
        .map(|(path, after)| json!({ "when": super::texts(path), "after": super::texts(after) }));
    json!({ "count": count, "pieces": pieces.collect::<Vec<_>>() })
}

/// Steps of all rules that act on each element, in all forms.
pub(crate) fn steps() -> Vec<Json> {
    let (betas, eps) = ([0.75, 0.875], 0.125);
    let sgd = Sgd { momentum: 0.75, ..Sgd::default() };
    let rmsprop = RmsProp { alpha: 0.75, eps, ..RmsProp::default() };
    let centered = RmsProp { centered: true, ..rmsprop };
    let adam = Adam { betas, eps, amsgrad: false };
    vec![
        steps_of(&Sgd::default()),
        steps_of(&Sgd { dampening: 0.25, ..sgd }),
        steps_of(&Sgd { nesterov: true, ..sgd }),
        steps_of(&adam),
        steps_of(&Adam { amsgrad: true, ..adam }),
        steps_of(&LazyAdam { betas, eps }),
        steps_of(&Adamax { betas, eps }),
        steps_of(&NAdam { betas, eps, momentum_decay: 0.5 }),
        steps_of(&RAdam { betas, eps }),
        steps_of(&Adan { betas: [0.75, 0.625, 0.875], eps, weight_decay: 0.25, no_prox: false }),
        steps_of(&Adan { betas: [0.75, 0.625, 0.875], eps, weight_decay: 0.25, no_prox: true }),
        steps_of(&Adagrad { lr_decay: 0.5, initial_accumulator_value: 0.0, eps }),
        steps_of(&rmsprop),
        steps_of(&RmsProp { momentum: 0.5, ..rmsprop }),
        steps_of(&RmsProp { eps_inside_sqrt: true, ..rmsprop }),
        steps_of(&centered),
        steps_of(&RmsProp { momentum: 0.5, ..centered }),
        steps_of(&Adadelta { rho: 0.75, eps }),
        steps_of(&Lion { betas }),
        steps_of(&WeightDecay { weight_decay: 0.125 }),
    ]
}
