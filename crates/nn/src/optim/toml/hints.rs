//! Hints about names that nothing has where they stand: what is meant, or where it belongs.

use super::rate::WARMUP;
use super::registry::{Registry, ScheduleKind};
use super::shared::{self, RECIPE, SHARED};
pub(super) use super::synonyms::of_key;
use super::synonyms::{is_schedule, names_here, of_kind};
use crate::optim::asked::Fields;
use crate::optim::error::{Unknown, nearest, nearest_within};

/// Returns the hint about an unknown name, if one can be given.
pub(super) fn hint(registry: &Registry, unknown: &Unknown) -> Option<String> {
    let Unknown { what, name, valid } = unknown;
    match *what {
        "key" => {
            let hint = of_key(name, valid).or_else(|| place(registry, name, valid));
            if hint.is_some() || nearest(name, valid).is_some() {
                return hint;
            }
            names_here(name).find_map(|here| place(registry, here, valid))
        }
        "table" => of_key(name, valid),
        "value" => None,
        _ => of_kind(name, valid),
    }
}

/// Returns the name that a key or a table beside `[optimizer]` is meant to be, if it is so near to one of a recipe that
/// it can hardly belong to the program.
pub(super) fn stray(name: &str) -> Option<&'static str> {
    if is_schedule(name) || name.eq_ignore_ascii_case("learning_rate") {
        return Some("lr");
    }
    let long: Vec<&str> =
        shared::keys().chain(RECIPE).chain(["optimizer"]).filter(|key| key.len() > 5).collect();
    let meant = nearest_within(name, &long, |length| if length > 8 { 2 } else { 1 })?;
    long.iter().copied().find(|key| *key == meant)
}

/// Returns the place that a key belongs to.
fn place(registry: &Registry, key: &str, valid: &[String]) -> Option<String> {
    if valid == ["params", "frozen"] {
        // A frozen group has no other settings.
        return None;
    }
    let has = |name: &str| valid.iter().any(|valid| valid == name);
    let of_schedule = |kind: &ScheduleKind| match kind {
        ScheduleKind::Joined => ["milestones", "pieces"].contains(&key),
        ScheduleKind::One(one) => key != "lr" && has_field(one.fields, key),
    };
    // In a schedule, the keys of a rule are in a wrong place; elsewhere, those of a schedule are.
    let in_schedule = has("warmup_steps") || has("pct_start");
    let schedules = registry.schedules.iter().filter(|(_, kind)| of_schedule(kind));
    let schedules: Vec<&str> = schedules.map(|(name, _)| *name).collect();
    if in_schedule && !schedules.is_empty() {
        return Some(setting_of(&schedules));
    }
    if ["params", "frozen"].contains(&key) {
        return Some("it belongs to a group, `[[optimizer.groups]]`".into());
    }
    if RECIPE.contains(&key) && !in_schedule {
        return Some("it belongs to the recipe as a whole".into());
    }
    if key == "lr" {
        return Some("it belongs to the recipe or a group".into());
    }
    let rules = registry.rules.iter().filter(|(_, rule)| has_field(rule.fields, key));
    let rules: Vec<&str> = rules.map(|(name, _)| *name).collect();
    let is_shared = SHARED.iter().any(|shared| shared.key == key);
    if in_schedule && (is_shared || !rules.is_empty() || RECIPE.contains(&key)) {
        return Some("it belongs beside `lr`".into());
    }
    if is_shared {
        return Some("in the long form it is a transform of the chain".into());
    }
    if !rules.is_empty() {
        return Some(setting_of(&rules));
    }
    let warms_up = WARMUP.contains(&key) || key == "total_steps" || !schedules.is_empty();
    warms_up.then(|| format!("it belongs to a schedule: `lr = {{ kind = .., {key} = .. }}`"))
}

fn has_field(fields: Fields, key: &str) -> bool {
    fields.names().contains(&key)
}

fn setting_of(kinds: &[&str]) -> String {
    format!("it is a setting of `{}`", kinds.join("`, `"))
}
