//! Schedules of a rule's settings: a table in the place of a number.

use std::ops::Range;

use crate::optim::asked::Type;
use crate::optim::error::Diagnostic;
use crate::optim::reflect::Setting;
use crate::optim::schedule::Rate;
use crate::optim::scheduled::{ALMOST_ZERO, ScheduledSetting};
use crate::optim::transform::Transform;
use crate::optim::value::{Data, Entries, Value};

/// Reader of the schedule of a setting, given its name and the table.
pub(super) type ReadRate<'a> = &'a dyn Fn(&str, Value) -> Result<Rate, Diagnostic>;

/// A schedule in the place of a number of a kind.
pub(super) struct Given {
    setting: ScheduledSetting,
    /// The name in the text.
    written: String,
    span: Range<usize>,
}

/// Returns the number that stands for a schedule while the transforms are made: its first one, above 0.
pub(super) fn first(rate: &Rate) -> f64 {
    match rate.at(0) {
        0.0 => ALMOST_ZERO,
        first => first,
    }
}

/// Replaces the tables in the place of numbers by their first numbers, and returns the schedules.
pub(super) fn take_schedules(
    entries: &mut Entries,
    describe: fn() -> Vec<Setting>,
    field_of: fn(&str) -> Option<&'static str>,
    read: ReadRate<'_>,
) -> Result<Vec<Given>, Diagnostic> {
    let is_table = |value: &Value| matches!(value.data, Data::Table(_));
    let has_table = |value: &Value| {
        is_table(value) || value.as_array().is_some_and(|list| list.iter().any(is_table))
    };
    let mut given = Vec::new();
    if !entries.iter().any(|(_, value)| has_table(value)) {
        return Ok(given);
    }
    let settings = describe();
    for (key, value) in entries.iter_mut() {
        let setting = settings.iter().find(|setting| setting.name == key.name);
        let Some((setting, name)) = setting.zip(field_of(&key.name)) else { continue };
        let numbers: &mut [Value] = match (&setting.of, &mut value.data) {
            (Type::Number, Data::Table(_)) => std::slice::from_mut(value),
            (Type::List(of, _), Data::Array(values)) if **of == Type::Number => values,
            _ => continue,
        };
        let in_list = setting.of != Type::Number;
        for (i, number) in numbers.iter_mut().enumerate().filter(|(_, number)| is_table(number)) {
            let rate = read(&key.written, number.clone())?;
            number.data = Data::Float(first(&rate));
            given.push(Given {
                setting: ScheduledSetting { name, index: in_list.then_some(i), rate },
                written: key.written.clone(),
                span: number.span.clone(),
            });
        }
    }
    Ok(given)
}

impl Given {
    /// Gives the schedule to the transform that has the setting. An alias passes its settings on under their names.
    pub(super) fn give(self, kind: &Value, to: &mut [Transform]) -> Result<(), Diagnostic> {
        let Given { setting, written, span } = self;
        let said = |message: &str| Diagnostic::new(span.clone(), format!("`{written}`: {message}"));
        let has = |own: &&mut Transform| {
            own.number(setting.name, setting.index) == Some(first(&setting.rate))
        };
        let Some(transform) = to.iter_mut().find(has) else {
            let kind = kind.as_text().unwrap_or_default();
            return Err(said(&format!(
                "expected a number: `{kind}` does not pass it on as it is, so that it cannot follow a schedule"
            )));
        };
        *transform =
            transform.clone().with_schedule(setting).map_err(|invalid| said(invalid.message()))?;
        Ok(())
    }
}
