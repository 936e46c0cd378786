//! A table of settings on its way from the text into a struct, its positions kept.

use std::ops::Range;

use serde::de::DeserializeOwned;

use super::synonyms;
use crate::optim::asked::Fields;
use crate::optim::error::{Diagnostic, nearest};
use crate::optim::range::InvalidSetting;
use crate::optim::reflect;
use crate::optim::refused::Refused;
use crate::optim::value::{Data, Entries, Key, Value};

/// A table and its place in the text.
///
/// Keys that are not settings of the struct (`kind`, `lr`, ..) are removed before [`Table::make`].
#[derive(Debug)]
pub(super) struct Table {
    pub(super) entries: Entries,
    /// Bytes of the table or, once it has been removed, of its `kind`.
    pub(super) span: Range<usize>,
    /// Further valid keys of this table, listed in the message about an unknown one.
    pub(super) also: Vec<&'static str>,
}

impl Table {
    pub(super) fn new(entries: Entries, span: Range<usize>) -> Self {
        Table { entries, span, also: Vec::new() }
    }

    /// Returns the table that is the value of `key`.
    pub(super) fn of(key: &str, value: Value) -> Result<Self, Diagnostic> {
        match value.data {
            Data::Table(entries) => Ok(Table::new(entries, value.span)),
            _ => Err(value.unlike(key, "a table")),
        }
    }

    /// Removes `kind`, which names `what`; from then on it is the place of the table.
    pub(super) fn take_kind(&mut self, what: &str) -> Result<Value, Diagnostic> {
        self.also.push("kind");
        if let Some((_, kind)) = self.entries.remove("kind") {
            self.span = kind.span.clone();
            return Ok(kind);
        }
        Err(self.missing("kind", &format!("the name of {what}")))
    }

    /// Returns the diagnostic for a missing key, or for the other name or the typo that is in its place.
    pub(super) fn missing(&self, key: &'static str, expected: &str) -> Diagnostic {
        let meant = |found: &&Key| {
            synonyms::of_key(&found.name, &[key]).is_some()
                || nearest(&found.name, &[key]).is_some()
        };
        match self.entries.keys().find(meant) {
            Some(found) => Diagnostic::unknown(found.span.clone(), "key", &found.written, [key]),
            None => Diagnostic::new(self.span.clone(), format!("missing key `{key}`: {expected}")),
        }
    }

    /// Returns the table as a value, after a look at its keys.
    fn settings(self, fields: Fields) -> Result<Value, Diagnostic> {
        let Table { entries, span, also } = self;
        if fields != Fields::Open {
            let valid = || fields.names().iter().chain(&also).copied();
            refuse_others(&entries, |key| fields.names().contains(&key), valid)?;
        }
        Ok(Value { span, data: Data::Table(entries) })
    }

    /// Deserializes the settings, and passes them to `make`.
    pub(super) fn make<T: DeserializeOwned, M>(
        self,
        make: impl FnOnce(T) -> Result<M, InvalidSetting>,
    ) -> Result<M, Diagnostic> {
        let table = self.settings(reflect::of::<T>())?;
        let settings = reflect::read(&table)
            .map_err(|refused| located(refused, &table, reflect::field_of::<T>))?;
        make(settings).map_err(|invalid| blamed(&invalid, &table, reflect::field_of::<T>))
    }
}

/// Function that returns the field which a name stands for.
type FieldOf = fn(&str) -> Option<&'static str>;

/// Returns the entries of a table that stand for a field, under its own or another name.
fn entries_of<'a>(
    table: &'a Value,
    field: &str,
    field_of: FieldOf,
) -> impl Iterator<Item = (&'a Key, &'a Value)> {
    let entries = match &table.data {
        Data::Table(entries) => entries.as_slice(),
        _ => &[],
    };
    let stands = move |key: &Key| key.name == field || field_of(&key.name) == Some(field);
    entries.iter().filter(move |(key, _)| stands(key)).map(|(key, value)| (key, value))
}

/// Returns the diagnostic for a table that a struct refused.
fn located(refused: Refused, table: &Value, field_of: FieldOf) -> Diagnostic {
    let message = match refused {
        Refused::Located(diagnostic) => return diagnostic,
        Refused::Duplicate(field) => {
            let keys: Vec<&Key> = entries_of(table, field, field_of).map(|(key, _)| key).collect();
            if let [first, second, ..] = keys[..] {
                return both(first, second);
            }
            format!("two values for `{field}`")
        }
        Refused::Missing(name) => format!("missing key `{name}`"),
        Refused::UnknownKey(valid) => {
            format!("an unknown key; expected one of `{}`", valid.join("`, `"))
        }
        Refused::Said(_, message) => message,
    };
    Diagnostic::new(table.span.clone(), message)
}

/// Returns the diagnostic for a setting that is out of its range.
fn blamed(invalid: &InvalidSetting, table: &Value, field_of: FieldOf) -> Diagnostic {
    let entry = entries_of(table, invalid.key(), field_of).next();
    let name = entry.map_or(invalid.key(), |(key, _)| &key.written);
    let value = entry.map_or(table, |(_, value)| value);
    let element = invalid.index().and_then(|i| value.as_array()?.get(i));
    let message = match name {
        "" => invalid.message().to_owned(),
        name => format!("`{name}`: {}", invalid.message()),
    };
    Diagnostic::new(element.unwrap_or(value).span.clone(), message)
}

/// Returns the diagnostic for two keys with one meaning.
pub(super) fn both(first: &Key, second: &Key) -> Diagnostic {
    let message =
        format!("both `{}` and `{}`: expected one of them", first.written, second.written);
    Diagnostic::new(second.span.clone(), message)
}

/// Refuses the first key in the text that is not `known`.
pub(super) fn refuse_others<'a, V: Iterator<Item = &'a str>>(
    entries: &Entries,
    known: impl Fn(&str) -> bool,
    valid: impl Fn() -> V,
) -> Result<(), Diagnostic> {
    match entries.keys().find(|key| !known(&key.name)) {
        Some(key) => Err(Diagnostic::unknown(key.span.clone(), "key", &key.written, valid())),
        None => Ok(()),
    }
}

/// Reads a number, whole or not.
pub(super) fn number(key: &str, value: &Value) -> Result<f64, Diagnostic> {
    match value.data {
        Data::Whole(number) => Ok(number as f64),
        Data::Float(number) => Ok(number),
        _ => Err(value.unlike(key, "a number")),
    }
}

/// Reads a whole number of at least `least`.
pub(super) fn whole(key: &str, value: &Value, least: u64) -> Result<u64, Diagnostic> {
    let expected = format!("a whole number of at least {least}");
    let Data::Whole(number) = value.data else { return Err(value.unlike(key, &expected)) };
    u64::try_from(number).ok().filter(|number| *number >= least).ok_or_else(|| {
        let message = format!("`{key}`: expected {expected}, found {number}");
        Diagnostic::new(value.span.clone(), message)
    })
}

/// Reads `true` or `false`.
pub(super) fn flag(key: &str, value: &Value) -> Result<bool, Diagnostic> {
    match value.data {
        Data::Flag(flag) => Ok(flag),
        _ => Err(value.unlike(key, "`true` or `false`")),
    }
}
