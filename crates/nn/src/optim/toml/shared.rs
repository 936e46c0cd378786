//! Keys of the short form that stand for a transform before or after the rule.

use super::settings::{ReadRate, first};
use super::table::{both, flag, number};
use crate::optim::error::Diagnostic;
use crate::optim::range::InvalidSetting;
use crate::optim::rule::Rule;
use crate::optim::rules::{ClipNorm, ClipTensorNorm, ClipValue, Ema, Maximize, WeightDecay};
use crate::optim::scheduled::ScheduledSetting;
use crate::optim::transform::Transform;
use crate::optim::value::{Data, Entries, Value as Given};

/// A key that every kind of rule accepts in the short form.
pub(super) struct SharedKey {
    pub(super) key: &'static str,
    pub(super) value: Value,
    pub(super) place: Place,
}

/// Value of a shared key, and the transform that it makes.
pub(super) enum Value {
    Number(fn(f64) -> Result<Option<Transform>, InvalidSetting>),
    Flag(fn(bool) -> Option<Transform>),
}

/// Place of the transform in the chain.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Place {
    BeforeRule,
    AfterRule,
}

/// Key that moves the weight decay behind the rule, or in front of it.
pub(super) const DECOUPLED: &str = "decoupled_weight_decay";

/// The shared keys, in the order of their transforms in the chain.
pub(super) const SHARED: [SharedKey; 7] = [
    before("clip_value", Value::Number(|clip_value| made(ClipValue { clip_value }))),
    before("clip_tensor_norm", Value::Number(|max_norm| made(ClipTensorNorm { max_norm }))),
    before("clip_norm", Value::Number(|max_norm| made(ClipNorm { max_norm }))),
    before("maximize", Value::Flag(|on| on.then(|| Transform::new(Maximize {})))),
    before("weight_decay", Value::Number(WeightDecay::unless_zero)),
    before(DECOUPLED, Value::Flag(|_| None)),
    after("ema", Value::Number(|decay| made(Ema { decay }))),
];

const fn before(key: &'static str, value: Value) -> SharedKey {
    SharedKey { key, value, place: Place::BeforeRule }
}

const fn after(key: &'static str, value: Value) -> SharedKey {
    SharedKey { key, value, place: Place::AfterRule }
}

/// Former names of keys and kinds, which are still read, with the present ones.
const RENAMED: [(&str, &str); 1] = [("average", "ema")];

/// Keys of a recipe as a whole.
pub(super) const RECIPE: [&str; 4] = ["accumulate", "non_finite", "unused_parameters", "groups"];

/// Returns whether a recipe has this key, whatever its kind.
pub(super) fn is_of_recipe(key: &str) -> bool {
    ["kind", "chain"].contains(&key)
        || keys().any(|own| own == key)
        || RECIPE.contains(&key)
        || renamed(key).is_some()
}

fn made(rule: impl Rule) -> Result<Option<Transform>, InvalidSetting> {
    Transform::rule(rule).map(Some)
}

/// Returns the keys of the short form beside the settings of its kind.
pub(super) fn keys() -> impl Iterator<Item = &'static str> {
    ["lr"].into_iter().chain(SHARED.iter().map(|shared| shared.key))
}

/// Returns the present name for a former one.
pub(super) fn renamed(name: &str) -> Option<&'static str> {
    RENAMED.iter().find_map(|(old, new)| (*old == name).then_some(*new))
}

/// Replaces former names of shared keys, but not those that are settings of the kind itself.
pub(super) fn rename_keys(entries: &mut Entries, own: &[&str]) -> Result<(), Diagnostic> {
    for (old, new) in RENAMED.iter().filter(|(old, new)| !own.contains(old) && !own.contains(new)) {
        if let (Some((old, _)), Some((new, _))) = (entries.get(old), entries.get(new)) {
            let mut keys = [old, new];
            keys.sort_by_key(|key| key.span.start);
            return Err(both(keys[0], keys[1]));
        }
        if let Some((key, _)) = entries.iter_mut().find(|(key, _)| key.name == *old) {
            key.name = (*new).into();
        }
    }
    Ok(())
}

impl SharedKey {
    /// Returns the transform for a value of the key, which the text calls `written`.
    pub(super) fn read(
        &self,
        written: &str,
        value: &Given,
        read: ReadRate<'_>,
    ) -> Result<Option<Transform>, Diagnostic> {
        let make = match self.value {
            Value::Flag(make) => return flag(written, value).map(make),
            Value::Number(make) => make,
        };
        let made = if let Data::Table(_) = value.data {
            let rate = read(written, value.clone())?;
            let transform = make(first(&rate));
            transform.and_then(|transform| {
                let transform = transform.expect("only a number of 0 makes none");
                let setting = transform.order().first().expect("the number is a setting");
                let setting = ScheduledSetting { name: setting, index: None, rate };
                transform.with_schedule(setting).map(Some)
            })
        } else {
            make(number(written, value)?)
        };
        made.map_err(|invalid| {
            let message = format!("`{written}`: {}", invalid.message());
            Diagnostic::new(value.span.clone(), message)
        })
    }
}
