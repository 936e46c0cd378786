//! Rates from a recipe's TOML.

use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use super::joined::Joined;
use super::{Constant, Rate, Schedule, Warmup};
use crate::optim::config::take_kind;
use crate::optim::error::{Diagnostic, nearest};
use crate::optim::print::quoted;
use crate::optim::range::at_least_zero;
use crate::optim::registry::{Registry, ScheduleKind};
use crate::optim::table::{Settings, refuse_others, wrong_type};

/// `lr`, or a piece of a joined one: a number, or a table that describes a schedule.
pub(crate) fn rate(
    registry: &Registry,
    key: &str,
    value: Spanned<DeValue<'_>>,
) -> Result<Rate, Diagnostic> {
    let span = value.span();
    match value.get_ref() {
        DeValue::Integer(_) | DeValue::Float(_) => {
            let constant = Constant { lr: number(key, value)? };
            let out_of_range = |message: &str| Diagnostic::new(span, format!("`{key}`: {message}"));
            constant.check().map_err(|bad| out_of_range(bad.message()))?;
            Ok(constant.into())
        }
        DeValue::Table(_) => scheduled(registry, Settings::of(key, value)?),
        _ => Err(wrong_type(key, &value, "a number, or a table with the `kind` of a schedule")),
    }
}

fn scheduled(registry: &Registry, mut settings: Settings<'_>) -> Result<Rate, Diagnostic> {
    let kind = take_kind(&mut settings, "a schedule")?;
    settings.also.extend(["warmup_steps", "warmup_start_factor"]);
    let warmup = warmup(&mut settings)?;
    let schedule = registry.find_schedule(&kind)?;
    let before = warmup.map_or(0, |warmup| warmup.steps);
    let rate = match schedule.length {
        Some(length) => of_length(registry, schedule, settings, length, before)?,
        None => (schedule.make)(registry, settings)?,
    };
    Ok(Rate { warmup, ..rate })
}

/// A schedule whose length may also be given as `total_steps`, which counts the warm-up in.
fn of_length(
    registry: &Registry,
    schedule: ScheduleKind,
    mut settings: Settings<'_>,
    length: &'static str,
    warmup: u64,
) -> Result<Rate, Diagnostic> {
    settings.also.push("total_steps");
    let Some((key, value)) = settings.table.remove_entry("total_steps") else {
        return (schedule.make)(registry, settings);
    };
    if settings.table.keys().any(|key| key.get_ref().eq_ignore_ascii_case(length)) {
        let message = format!("both `total_steps` and `{length}`: expected one of them");
        return Err(Diagnostic::new(key.span(), message));
    }
    let (span, total) = (value.span(), whole("total_steps", value.clone())?);
    let Some(rest) = total.checked_sub(warmup).filter(|rest| *rest > 0) else {
        let message = format!("`total_steps`: expected more than {warmup}, found {total}");
        return Err(Diagnostic::new(span, message));
    };
    settings.table.insert(Spanned::new(key.span(), length.into()), value);
    let rate = (schedule.make)(registry, settings)?;
    if warmup == 0 {
        return Ok(rate);
    }
    // The same again, as it prints, with what the warm-up leaves.
    let rest = rest.to_string();
    let entries =
        rate.schedule.text().map_err(|bad| Diagnostic::new(span.clone(), bad.to_string()))?;
    let line = |(key, value): &(String, String)| {
        format!("{} = {}\n", quoted(key), if key == length { &rest } else { value })
    };
    let text: String = entries.iter().map(line).collect();
    let table = DeTable::parse(&text).expect("the library prints TOML").into_inner();
    (schedule.make)(registry, Settings::new(table, span))
}

fn warmup(settings: &mut Settings<'_>) -> Result<Option<Warmup>, Diagnostic> {
    let steps = settings.table.remove("warmup_steps");
    let start_factor = match settings.table.remove_entry("warmup_start_factor") {
        Some((key, _)) if steps.is_none() => {
            let mut keys = settings.table.keys();
            let slip = keys.find(|key| nearest(key.get_ref(), &["warmup_steps"]).is_some());
            if let Some(slip) = slip {
                let (span, name) = (slip.span(), slip.get_ref());
                return Err(Diagnostic::unknown(span, "key", name, ["warmup_steps"]));
            }
            return Err(Diagnostic::new(
                key.span(),
                "`warmup_start_factor` without `warmup_steps`",
            ));
        }
        Some((_, value)) => {
            let span = value.span();
            let factor = number("warmup_start_factor", value)?;
            at_least_zero("warmup_start_factor", factor)
                .map_err(|bad| Diagnostic::new(span, bad.to_string()))?;
            factor
        }
        None => 0.0,
    };
    let steps = steps.map(|value| whole("warmup_steps", value)).transpose()?;
    Ok(steps.map(|steps| Warmup { steps, start_factor }))
}

/// Schedules one after the other.
pub(crate) const JOINED_KIND: ScheduleKind =
    ScheduleKind { make: joined, describe: Vec::new, length: None };

/// `milestones` and `pieces`.
fn joined(registry: &Registry, mut settings: Settings<'_>) -> Result<Rate, Diagnostic> {
    let own = ["milestones", "pieces"];
    let right = || own.into_iter().chain(settings.also.iter().copied());
    refuse_others(&settings.table, |key| own.contains(&key), right)?;
    let span = settings.span.clone();
    let mut list = |key: &'static str| match settings.table.remove(key) {
        None => Err(Diagnostic::new(span.clone(), format!("missing field `{key}`"))),
        Some(value) => match value.get_ref().as_array() {
            None => Err(wrong_type(key, &value, "an array")),
            Some(array) => Ok((value.span(), array.iter().cloned().collect::<Vec<_>>())),
        },
    };
    let (milestones_span, milestones) = list("milestones")?;
    let (pieces_span, pieces) = list("pieces")?;
    let spans: Vec<_> = milestones.iter().map(Spanned::span).collect();
    let milestones = milestones.into_iter().map(|value| whole("milestones", value));
    let pieces = pieces.into_iter().map(|piece| rate(registry, "pieces", piece));
    let joined = Joined {
        milestones: milestones.collect::<Result<_, _>>()?,
        pieces: pieces.collect::<Result<_, _>>()?,
    };
    joined.check().map_err(|bad| {
        let element = bad.index().and_then(|i| spans.get(i)).cloned();
        let list = if bad.key() == "pieces" { pieces_span } else { milestones_span };
        Diagnostic::new(element.unwrap_or(list), bad.to_string())
    })?;
    Ok(Rate::of(joined))
}

fn number(key: &str, value: Spanned<DeValue<'_>>) -> Result<f64, Diagnostic> {
    let span = value.span();
    if !matches!(value.get_ref(), DeValue::Integer(_) | DeValue::Float(_)) {
        return Err(wrong_type(key, &value, "a number"));
    }
    f64::deserialize(ValueDeserializer::from(value))
        .map_err(|error| Diagnostic::new(span, format!("`{key}`: {}", error.message())))
}

fn whole(key: &str, value: Spanned<DeValue<'_>>) -> Result<u64, Diagnostic> {
    let (span, expected) = (value.span(), "a whole number of at least 0");
    if !value.get_ref().is_integer() {
        return Err(wrong_type(key, &value, expected));
    }
    u64::deserialize(ValueDeserializer::from(value))
        .map_err(|_| Diagnostic::new(span, format!("`{key}`: expected {expected}")))
}
