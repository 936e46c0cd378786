//! Numbers among the settings of a rule that follow schedules.

use super::schedule::Rate;
use super::value::{Data, Value};

/// A number among the settings that follows a schedule.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ScheduledSetting {
    pub(crate) name: &'static str,
    /// Index of the number, if the setting is a list.
    pub(crate) index: Option<usize>,
    pub(crate) rate: Rate,
}

/// Smallest number above 0, which stands for a 0 where that would change the rule's state: a momentum of 0 has none.
/// In the update it is 0, since it vanishes beside any gradient.
pub(crate) const ALMOST_ZERO: f64 = f64::MIN_POSITIVE;

/// Sets the numbers that follow schedules to those of `step`, with `zero` in place of 0. Returns whether there was one.
pub(crate) fn put(
    settings: &mut Value,
    scheduled: &[ScheduledSetting],
    step: u64,
    zero: f64,
) -> bool {
    let mut has_zero = false;
    let Data::Table(entries) = &mut settings.data else { return false };
    for ScheduledSetting { name, index, rate } in scheduled {
        let mut at = rate.at(step);
        if at == 0.0 {
            (at, has_zero) = (zero, true);
        }
        let setting = entries.iter_mut().find(|(key, _)| key.name == *name);
        let number = match (setting.map(|(_, value)| value), index) {
            (Some(value), None) => value,
            (Some(Value { data: Data::Array(values), .. }), Some(index)) => &mut values[*index],
            _ => unreachable!("a schedule is given to a setting that is there"),
        };
        number.data = Data::Float(at);
    }
    has_zero
}

/// The settings of one transform of a chain, some of which follow schedules.
#[derive(Debug)]
pub(super) struct Resolved {
    /// Index of the transform.
    pub(super) entry: usize,
    pub(super) settings: Value,
    pub(super) scheduled: Vec<ScheduledSetting>,
}
