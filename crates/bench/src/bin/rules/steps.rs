//! The steps of optimizer rules as formulas: one element, its update and its state after the rule.

use serde_json::{Value as Json, json};
use wengert::core::symbol::{Symbol, pieces};
use wengert::optim::{
    Adadelta, Adagrad, Adam, Adamax, Elements, Lion, NAdam, RAdam, RmsProp, Rule, Sgd, StepContext,
    WeightDecay,
};

/// Step `count` of a rule: from the gradient `g`, the parameter `p` and the state `s0`, `s1`, ..
fn step<R: Rule>(rule: &R, count: u64) -> Json {
    let mut context = StepContext::new(count - 1, 1.0);
    (context.count, context.number) = (count, 0.25);
    let [g, p] = ["g", "p"].map(Symbol::named);
    let state = (0..rule.state().len()).map(|i| Symbol::named(&format!("s{i}")));
    let state = state.collect::<Vec<_>>();
    let pieces = pieces(|| {
        let (mut update, mut state) = ([g], state.clone());
        rule.apply(context, Elements::to_update(&mut update, &[p], &mut state));
        [&update[..], &state].concat()
    });
    let pieces = pieces
        .iter()
        .map(|(path, after)| json!({ "when": super::texts(path), "after": super::texts(after) }));
    json!({
        "name": R::KIND,
        "settings": rule,
        "count": count,
        "number": context.number,
        "state": super::texts(&state),
        "pieces": pieces.collect::<Vec<_>>(),
    })
}

/// Steps of all rules that act on each element, in all forms.
pub(crate) fn steps() -> Vec<Json> {
    let (betas, eps) = ([0.75, 0.875], 0.125);
    let sgd = Sgd { momentum: 0.75, ..Sgd::default() };
    let rmsprop = RmsProp { alpha: 0.75, eps, ..RmsProp::default() };
    let centered = RmsProp { centered: true, ..rmsprop };
    let adam = Adam { betas, eps, amsgrad: false };
    vec![
        step(&Sgd::default(), 1),
        step(&Sgd { dampening: 0.25, ..sgd }, 1),
        step(&Sgd { dampening: 0.25, ..sgd }, 2),
        step(&Sgd { nesterov: true, ..sgd }, 2),
        step(&adam, 1),
        step(&adam, 3),
        step(&Adam { amsgrad: true, ..adam }, 3),
        step(&Adamax { betas, eps }, 3),
        step(&NAdam { betas, eps, momentum_decay: 0.5 }, 3),
        step(&RAdam { betas, eps }, 3),
        step(&RAdam { betas, eps }, 9),
        step(&Adagrad { lr_decay: 0.5, initial_accumulator_value: 0.0, eps }, 3),
        step(&rmsprop, 1),
        step(&RmsProp { momentum: 0.5, ..rmsprop }, 1),
        step(&RmsProp { eps_inside_sqrt: true, ..rmsprop }, 1),
        step(&centered, 1),
        step(&RmsProp { momentum: 0.5, ..centered }, 1),
        step(&Adadelta { rho: 0.75, eps }, 1),
        step(&Lion { betas }, 1),
        step(&WeightDecay { weight_decay: 0.125 }, 1),
    ]
}
