//! Reads learning rates.

use toml::Spanned;
use toml::de::DeValue;

use super::registry::{Registry, ScheduleKind};
use super::table::{Table, number, refuse_others, whole, wrong_type};
use crate::optim::error::{Diagnostic, nearest};
use crate::optim::range::at_least_zero;
use crate::optim::schedule::{Constant, Rate, Schedule, Warmup};

/// Reads `lr`, or a piece of a joined rate: a number, or a table that describes a schedule.
pub(super) fn rate(
    registry: &Registry,
    key: &str,
    value: Spanned<DeValue<'_>>,
) -> Result<Rate, Diagnostic> {
    let span = value.span();
    match value.get_ref() {
        DeValue::Integer(_) | DeValue::Float(_) => {
            let constant = Constant { lr: number(key, value)? };
            constant.check().map_err(|invalid| {
                Diagnostic::new(span, format!("`{key}`: {}", invalid.message()))
            })?;
            Ok(constant.into())
        }
        DeValue::Table(_) => scheduled(registry, Table::of(key, value)?),
        _ => Err(wrong_type(key, &value, "a number, or a table with the `kind` of a schedule")),
    }
}

fn scheduled(registry: &Registry, mut table: Table<'_>) -> Result<Rate, Diagnostic> {
    let kind = table.take_kind("a schedule")?;
    table.also.extend(["warmup_steps", "warmup_start_factor"]);
    let warmup = warmup(&mut table)?;
    let rate = match registry.find_schedule(&kind)? {
        ScheduleKind::Joined => joined(registry, table)?,
        ScheduleKind::One { make, length: None, .. } => make(table, None)?,
        ScheduleKind::One { make, length: Some(length), .. } => {
            let steps = length_left(&mut table, length, warmup.map_or(0, |warmup| warmup.steps))?;
            make(table, steps)?
        }
    };
    Ok(Rate { warmup, ..rate })
}

/// Reads `total_steps`, which includes the warm-up, and returns the steps that remain for the
/// schedule. The value stays in the table under the name of the setting that it stands for.
fn length_left(
    table: &mut Table<'_>,
    length: &'static str,
    warmup: u64,
) -> Result<Option<u64>, Diagnostic> {
    table.also.push("total_steps");
    let Some((key, value)) = table.entries.remove_entry("total_steps") else { return Ok(None) };
    if table.entries.keys().any(|key| key.get_ref().eq_ignore_ascii_case(length)) {
        let message = format!("both `total_steps` and `{length}`: expected one of them");
        return Err(Diagnostic::new(key.span(), message));
    }
    let (span, total) = (value.span(), whole("total_steps", value.clone(), 0)?);
    let Some(left) = total.checked_sub(warmup).filter(|left| *left > 0) else {
        let message = format!("`total_steps`: expected more than {warmup}, found {total}");
        return Err(Diagnostic::new(span, message));
    };
    table.entries.insert(Spanned::new(key.span(), length.into()), value);
    Ok(Some(left))
}

fn warmup(table: &mut Table<'_>) -> Result<Option<Warmup>, Diagnostic> {
    let steps = table.entries.remove("warmup_steps");
    let start_factor = match table.entries.remove_entry("warmup_start_factor") {
        Some((key, _)) if steps.is_none() => {
            let mut keys = table.entries.keys();
            let typo = keys.find(|key| nearest(key.get_ref(), &["warmup_steps"]).is_some());
            if let Some(typo) = typo {
                let (span, name) = (typo.span(), typo.get_ref());
                return Err(Diagnostic::unknown(span, "key", name, ["warmup_steps"]));
            }
            let message = "`warmup_start_factor` without `warmup_steps`";
            return Err(Diagnostic::new(key.span(), message));
        }
        Some((_, value)) => {
            let span = value.span();
            let factor = number("warmup_start_factor", value)?;
            at_least_zero("warmup_start_factor", factor)
                .map_err(|invalid| Diagnostic::new(span, invalid.to_string()))?;
            factor
        }
        None => 0.0,
    };
    let steps = steps.map(|value| whole("warmup_steps", value, 0)).transpose()?;
    Ok(steps.map(|steps| Warmup { steps, start_factor }))
}

/// Reads `milestones` and `pieces`.
fn joined(registry: &Registry, mut table: Table<'_>) -> Result<Rate, Diagnostic> {
    let own = ["milestones", "pieces"];
    let valid = || own.into_iter().chain(table.also.iter().copied());
    refuse_others(&table.entries, |key| own.contains(&key), valid)?;
    let span = table.span.clone();
    let mut list = |key: &'static str| match table.entries.remove(key) {
        None => Err(Diagnostic::new(span.clone(), format!("missing field `{key}`"))),
        Some(value) => match value.get_ref().as_array() {
            None => Err(wrong_type(key, &value, "an array")),
            Some(array) => Ok((value.span(), array.iter().cloned().collect::<Vec<_>>())),
        },
    };
    let (milestones_span, milestones) = list("milestones")?;
    let (pieces_span, pieces) = list("pieces")?;
    let spans: Vec<_> = milestones.iter().map(Spanned::span).collect();
    let milestones = milestones.into_iter().map(|value| whole("milestones", value, 0));
    let pieces = pieces.into_iter().map(|piece| rate(registry, "pieces", piece));
    let (milestones, pieces) =
        (milestones.collect::<Result<_, _>>()?, pieces.collect::<Result<_, _>>()?);
    Rate::try_joined(milestones, pieces).map_err(|invalid| {
        let element = invalid.index().and_then(|i| spans.get(i)).cloned();
        let list = if invalid.key() == "pieces" { pieces_span } else { milestones_span };
        Diagnostic::new(element.unwrap_or(list), invalid.to_string())
    })
}
