//! Transforms that a group keeps from the recipe's chain.

use super::rule::Rule;
use super::rules::{ClipNorm, ClipTensorNorm, ClipValue, Ema, Maximize, WeightDecay};
use super::transform::Transform;

/// Clipping and `maximize`, in the order in which the short form applies them.
const ORDER: [&str; 4] = [ClipValue::KIND, ClipTensorNorm::KIND, ClipNorm::KIND, Maximize::KIND];

/// Completes the chain of a group with what it keeps from the recipe's chain, `base`: clipping, other rules of
/// [`Scope::Model`](super::Scope::Model), [`Ema`] and, if `maximize` says so, [`Maximize`]. A kind that the group has
/// itself stays its own.
///
/// What comes before the rule in `base` comes before the rule of the group, and the rest after it. A complete chain
/// stays as it is, so that a recipe reads back as it was printed.
pub(crate) fn keep(base: &[Transform], chain: &mut Vec<Transform>, maximize: bool) {
    let own: Vec<&str> = chain.iter().map(Transform::kind).collect();
    let rule = base.iter().position(is_rule);
    let kept = |transform: &Transform| match transform.kind() {
        kind if own.contains(&kind) => false,
        Maximize::KIND => maximize,
        // A rule of model scope that is the only rule of the recipe is replaced like any other.
        _ => rank(transform) < ORDER.len() && (rule.is_some() || is_clip(transform)),
    };
    let is_ema = |transform: &Transform| transform.kind() == Ema::KIND;
    let base_ema = base.last().filter(|last| is_ema(last)).cloned();
    let ema = chain.pop_if(|last| is_ema(last)).or(base_ema);
    let mut place = 0;
    for (i, transform) in base.iter().enumerate().filter(|(_, transform)| kept(transform)) {
        if rule.is_some_and(|rule| i > rule) {
            chain.push(transform.clone());
            continue;
        }
        let earlier = chain.iter().take_while(|own| rank(own) < rank(transform)).count();
        place = place.max(earlier);
        chain.insert(place, transform.clone());
        place += 1;
    }
    chain.extend(ema);
}

fn is_clip(transform: &Transform) -> bool {
    ORDER.contains(&transform.kind())
}

/// Returns whether a transform is the rule of a chain, or one of several.
fn is_rule(transform: &Transform) -> bool {
    rank(transform) == ORDER.len() && ![WeightDecay::KIND, Ema::KIND].contains(&transform.kind())
}

/// Returns the place of a transform among those before the rule.
fn rank(transform: &Transform) -> usize {
    // A rule of model scope from outside of the library stands where `clip_norm` does.
    let kind = if transform.is_model_wide() { ClipNorm::KIND } else { transform.kind() };
    ORDER.iter().position(|other| *other == kind).unwrap_or(ORDER.len())
}
