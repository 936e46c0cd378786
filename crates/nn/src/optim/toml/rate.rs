//! Reads learning rates.

use super::registry::{OneSchedule, Registry, ScheduleKind};
use super::table::{Table, both, number, refuse_others, whole};
use super::training::Training;
use crate::optim::error::{Diagnostic, nearest};
use crate::optim::range::{InvalidSetting, at_least_zero};
use crate::optim::schedule::{Constant, Rate, Schedule, Warmup};
use crate::optim::value::{Data, Key, Value};

/// Reader of learning rates.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rates<'a> {
    pub(super) registry: &'a Registry,
    pub(super) training: Training,
}

/// Names of the settings that every schedule accepts.
pub(super) const WARMUP: [&str; 2] = ["warmup_steps", "warmup_start_factor"];

impl Rates<'_> {
    /// Reads `lr`: a number, or a table that describes a schedule.
    pub(super) fn lr(self, value: Value) -> Result<Rate, Diagnostic> {
        self.read("lr", value, self.training.steps)
    }

    /// Reads the schedule of a setting called `key`.
    pub(super) fn of_setting(self, key: &str, value: Value) -> Result<Rate, Diagnostic> {
        self.read(key, value, self.training.steps)
    }

    /// Reads `lr` or a piece of a joined rate, which lasts for so many steps unless it gives its length.
    fn read(self, key: &str, value: Value, steps: Option<u64>) -> Result<Rate, Diagnostic> {
        match value.data {
            Data::Whole(_) | Data::Float(_) => {
                let constant = Constant { lr: number(key, &value)? };
                constant.check().map_err(|invalid| {
                    Diagnostic::new(value.span, format!("`{key}`: {}", invalid.message()))
                })?;
                Ok(constant.into())
            }
            Data::Table(_) => self.scheduled(Table::of(key, value)?, steps),
            _ => Err(value.unlike(key, "a number, or a table with the `kind` of a schedule")),
        }
    }

    fn scheduled(self, mut table: Table, steps: Option<u64>) -> Result<Rate, Diagnostic> {
        let kind = table.take_kind("a schedule")?;
        let one = match self.registry.find_schedule(&kind)? {
            ScheduleKind::Joined => None,
            ScheduleKind::One(one) => Some(one),
        };
        if let Some(OneSchedule { own_warmup: Some(own), kind, .. }) = one {
            if let Some((key, _)) = WARMUP.iter().find_map(|key| table.entries.get(key)) {
                let message = format!(
                    "`{}`: `{kind}` has a warm-up of its own: expected `{own}`",
                    key.written
                );
                return Err(Diagnostic::new(key.span.clone(), message));
            }
        } else {
            table.also.extend(WARMUP);
        }
        let counts = |key: &str| match one {
            _ if key == "warmup_steps" || key == "total_steps" => true,
            Some(one) => (one.field_of)(key).is_some_and(|field| one.steps.contains(&field)),
            None => key == "milestones",
        };
        for (key, value) in table.entries.iter_mut() {
            if counts(&key.name) {
                self.training.resolve(key, value)?;
            }
        }
        let warmup = warmup(&mut table)?;
        let before = warmup.map_or(0, |warmup| warmup.steps);
        let rate = match one {
            None => self.joined(table, steps.map(|steps| steps.saturating_sub(before)))?,
            Some(one) => {
                if let Some(length) = one.length {
                    length_of(&mut table, &one, length, before, steps)?;
                }
                (one.make)(table)?
            }
        };
        Ok(Rate { warmup, ..rate })
    }

    /// Reads `milestones` and `pieces`, which last for so many steps in all.
    fn joined(self, mut table: Table, steps: Option<u64>) -> Result<Rate, Diagnostic> {
        let own = ["milestones", "pieces"];
        let valid = || own.into_iter().chain(table.also.iter().copied());
        refuse_others(&table.entries, |key| own.contains(&key), valid)?;
        let span = table.span.clone();
        let mut list = |key: &'static str| match table.entries.remove(key) {
            None => Err(Diagnostic::new(span.clone(), format!("missing key `{key}`"))),
            Some((_, value)) => match value.data {
                Data::Array(values) => Ok((value.span, values)),
                _ => Err(value.unlike(key, "an array")),
            },
        };
        let (milestones_span, milestones) = list("milestones")?;
        let (pieces_span, pieces) = list("pieces")?;
        let spans: Vec<_> = milestones.iter().map(|value| value.span.clone()).collect();
        let milestones = milestones.iter().map(|value| whole("milestones", value, 0));
        let milestones: Vec<u64> = milestones.collect::<Result<_, _>>()?;
        let blamed = |invalid: InvalidSetting| {
            let element = invalid.index().and_then(|i| spans.get(i)).cloned();
            let list = if invalid.key() == "pieces" { &pieces_span } else { &milestones_span };
            Diagnostic::new(element.unwrap_or(list.clone()), invalid.to_string())
        };
        Rate::check_milestones(&milestones, pieces.len()).map_err(blamed)?;
        // Where the end is known, each piece lasts until the next begins, unless it gives its length.
        let ends = milestones.iter().copied().chain(steps).map(|end| steps.and(Some(end)));
        let begins = [0].into_iter().chain(milestones.iter().copied());
        let lengths = begins.zip(ends.chain([None]));
        let lengths = lengths.map(|(begin, end)| end.map(|end| end.saturating_sub(begin)));
        let pieces = pieces.into_iter().zip(lengths);
        let pieces = pieces.map(|(piece, steps)| self.read("pieces", piece, steps));
        Rate::try_joined(milestones.clone(), pieces.collect::<Result<_, _>>()?).map_err(blamed)
    }
}

/// Puts the length of a schedule under the setting that holds it: the value of `total_steps`, or else `steps`, without
/// the warm-up.
fn length_of(
    table: &mut Table,
    schedule: &OneSchedule,
    length: &'static str,
    warmup: u64,
    steps: Option<u64>,
) -> Result<(), Diagnostic> {
    if length != "total_steps" {
        table.also.push("total_steps");
    }
    let total = table.entries.remove("total_steps");
    let own = table.entries.keys().find(|key| (schedule.field_of)(&key.name) == Some(length));
    let (key, value) = match (total, own, steps) {
        (Some((total, _)), Some(own), _) => {
            let mut keys = [&total, own];
            keys.sort_by_key(|key| key.span.start);
            return Err(both(keys[0], keys[1]));
        }
        (Some(total), None, _) => total,
        (None, None, Some(steps)) if schedule.needs(length) => {
            let steps = i64::try_from(steps).unwrap_or(i64::MAX);
            let value = Value { span: table.span.clone(), data: Data::Whole(steps) };
            (Key::new("total_steps", table.span.clone()), value)
        }
        (None, ..) => return Ok(()),
    };
    let total = whole("total_steps", &value, 0)?;
    let Some(left) = total.checked_sub(warmup).filter(|left| *left > 0) else {
        let message = format!("`total_steps`: expected more than {warmup}, found {total}");
        return Err(Diagnostic::new(value.span, message));
    };
    let data = Data::Whole(left.cast_signed());
    table.entries.push(Key { name: length.into(), ..key }, Value { data, ..value });
    Ok(())
}

fn warmup(table: &mut Table) -> Result<Option<Warmup>, Diagnostic> {
    let steps = table.entries.remove("warmup_steps");
    let start_factor = match table.entries.remove("warmup_start_factor") {
        Some((key, _)) if steps.is_none() => {
            let mut keys = table.entries.keys();
            let typo = keys.find(|key| nearest(&key.name, &["warmup_steps"]).is_some());
            if let Some(typo) = typo {
                let span = typo.span.clone();
                return Err(Diagnostic::unknown(span, "key", &typo.written, ["warmup_steps"]));
            }
            let message = "`warmup_start_factor` without `warmup_steps`";
            return Err(Diagnostic::new(key.span, message));
        }
        Some((_, value)) => {
            let factor = number("warmup_start_factor", &value)?;
            at_least_zero("warmup_start_factor", factor)
                .map_err(|invalid| Diagnostic::new(value.span, invalid.to_string()))?;
            factor
        }
        None => 0.0,
    };
    let steps = steps.map(|(_, value)| whole("warmup_steps", &value, 0)).transpose()?;
    Ok(steps.map(|steps| Warmup { steps, start_factor }))
}
