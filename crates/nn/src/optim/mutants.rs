//! Mistakes on purpose in rules and schedules, for testing the tests (`--cfg wengert_mutants` alone compiles this).
//! See `mutants.rs` of `wengert-core`.

use wengert_core::mutants::{at, factor};
use wengert_core::{Float, Tensor};

use super::rule::{Rule, Scope, StepContext};

/// The context of a rule: its count is one too high, or a norm is wrong.
pub(super) fn context<R: Rule>(rule: &R, mut context: StepContext) -> StepContext {
    context.count = later::<R>(R::KIND, "count", context.count);
    if rule.scope() != Scope::Element {
        context.norm *= factor::<R>(&format!("{}/norm", R::KIND));
    }
    if rule.scope() == Scope::Tensor {
        context.param_norm *= factor::<R>(&format!("{}/param_norm", R::KIND));
    }
    context
}

/// A count of steps, or one more.
pub(super) fn later<T>(kind: &str, what: &str, step: u64) -> u64 {
    step + u64::from(at::<T>(&format!("{kind}/{what}"), &["later"]).is_some())
}

/// A number that comes out of a rule or a schedule.
pub(super) fn number<T>(kind: &str, what: &str, number: f64) -> f64 {
    number * factor::<T>(&format!("{kind}/{what}"))
}

/// The number that a rule's state holds once per parameter, if it holds one.
pub(super) fn next_number<R: Rule>(rule: &R, next: f64) -> f64 {
    if rule.number().is_some() { number::<R>(R::KIND, "number", next) } else { next }
}

/// Numbers that come out of a rule.
pub(super) fn scale<T, F: Float>(kind: &str, what: &str, numbers: &mut [F]) {
    let factor = F::of(factor::<T>(&format!("{kind}/{what}")));
    numbers.iter_mut().for_each(|x| *x *= factor);
}

/// The slots of a rule's state, one after the other.
pub(super) fn state<R: Rule, F: Float>(rule: &R, state: &mut [F]) {
    let names = Rule::state(rule);
    let len = state.len() / names.len().max(1);
    for (slot, name) in names.iter().enumerate() {
        scale::<R, F>(R::KIND, name, &mut state[slot * len..][..len]);
    }
}

/// The update by a rule for whole tensors, and its state.
pub(super) fn tensors<T, F: Float>(
    kind: &str,
    mut update: Tensor<F>,
    state: &mut [Tensor<F>],
) -> Tensor<F> {
    scale::<T, F>(kind, "inner", update.as_mut_slice());
    for (slot, state) in state.iter_mut().enumerate() {
        scale::<T, F>(kind, &format!("state{slot}"), state.as_mut_slice());
    }
    update
}

/// The end of a solver's step from `x`.
pub(super) fn end<T, F: Float>(kind: &str, x: &Tensor<F>, end: Tensor<F>) -> Tensor<F> {
    let factor = factor::<T>(&format!("{kind}/end"));
    if factor == 1.0 { end } else { x + (&end - x) * factor }
}
