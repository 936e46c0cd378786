//! A table of settings on its way from the text into a struct, its positions kept.

use std::ops::Range;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde::de::value::UnitDeserializer;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use crate::optim::error::{Diagnostic, nearest};
use crate::optim::range::InvalidSetting;
use crate::optim::reflect::{self, Fields};

/// A table and its place in the text.
///
/// Keys that are not settings of the struct (`kind`, `lr`, ..) are removed before [`Table::make`].
#[derive(Debug)]
pub(super) struct Table<'t> {
    pub(super) entries: DeTable<'t>,
    /// Bytes of the table or, once it has been removed, of its `kind`.
    pub(super) span: Range<usize>,
    /// Further valid keys of this table, listed in the message about an unknown one.
    pub(super) also: Vec<&'static str>,
}

impl<'t> Table<'t> {
    pub(super) fn new(entries: DeTable<'t>, span: Range<usize>) -> Self {
        Table { entries, span, also: Vec::new() }
    }

    /// Returns the table that is the value of `key`.
    pub(super) fn of(key: &str, value: Spanned<DeValue<'t>>) -> Result<Self, Diagnostic> {
        let span = value.span();
        if !matches!(value.get_ref(), DeValue::Table(_)) {
            return Err(wrong_type(key, &value, "a table"));
        }
        match value.into_inner() {
            DeValue::Table(entries) => Ok(Table::new(entries, span)),
            _ => unreachable!("checked above"),
        }
    }

    /// Removes `kind`, which names `what`; from then on it is the place of the table.
    pub(super) fn take_kind(&mut self, what: &str) -> Result<Spanned<DeValue<'t>>, Diagnostic> {
        self.also.push("kind");
        if let Some(kind) = self.entries.remove("kind") {
            self.span = kind.span();
            return Ok(kind);
        }
        Err(self.missing("kind", &format!("the name of {what}")))
    }

    /// Returns the diagnostic for a missing key, or for the typo that is in its place.
    pub(super) fn missing(&self, key: &'static str, expected: &str) -> Diagnostic {
        match self.entries.keys().find(|typo| nearest(typo.get_ref(), &[key]).is_some()) {
            Some(typo) => Diagnostic::unknown(typo.span(), "key", typo.get_ref(), [key]),
            None => Diagnostic::new(self.span.clone(), format!("missing key `{key}`: {expected}")),
        }
    }

    /// Deserializes the settings, and passes them to `make`.
    pub(super) fn make<T: DeserializeOwned, M>(
        self,
        make: impl FnOnce(T) -> Result<M, InvalidSetting>,
    ) -> Result<M, Diagnostic> {
        let Table { entries, span, also } = self;
        let fields = reflect::of::<T>();
        if fields != Fields::Open {
            let valid = || fields.names().iter().chain(&also).copied();
            refuse_others(&entries, |key| fields.names().contains(&key), valid)?;
        }
        let settings = match fields {
            Fields::Unit => T::deserialize(UnitDeserializer::<toml::de::Error>::new()),
            _ => {
                let table = Spanned::new(span.clone(), DeValue::Table(entries.clone()));
                T::deserialize(ValueDeserializer::from(table))
            }
        };
        let settings = settings.map_err(|error| {
            Diagnostic::new(error.span().unwrap_or(span.clone()), plain(error.message()))
        })?;
        make(settings).map_err(|invalid| {
            let value = entries.get(invalid.key());
            let element = invalid.index().and_then(|i| value?.get_ref().get(i));
            let span = element.or(value).map_or(span, Spanned::span);
            let message = match invalid.key() {
                "" => invalid.message().to_owned(),
                key => format!("`{key}`: {}", invalid.message()),
            };
            Diagnostic::new(span, message)
        })
    }
}

/// Replaces the names of Rust's types in serde's message.
fn plain(message: &str) -> String {
    message
        .replace("expected f64", "expected a number")
        .replace("expected u64", "expected a whole number of at least 0")
}

/// Refuses the first key in the text that is not `known`.
pub(super) fn refuse_others<'a, V: Iterator<Item = &'a str>>(
    table: &DeTable<'_>,
    known: impl Fn(&str) -> bool,
    valid: impl Fn() -> V,
) -> Result<(), Diagnostic> {
    let unknown = table.keys().filter(|key| !known(key.get_ref()));
    match unknown.min_by_key(|key| key.span().start) {
        Some(key) => Err(Diagnostic::unknown(key.span(), "key", key.get_ref(), valid())),
        None => Ok(()),
    }
}

/// Returns the diagnostic for a `key` whose value is not `expected`.
pub(super) fn wrong_type(key: &str, found: &Spanned<DeValue<'_>>, expected: &str) -> Diagnostic {
    let message = format!("`{key}`: expected {expected}, found {}", found.get_ref().type_str());
    Diagnostic::new(found.span(), message)
}

/// Reads a number, whole or not.
pub(super) fn number(key: &str, value: Spanned<DeValue<'_>>) -> Result<f64, Diagnostic> {
    let span = value.span();
    if !matches!(value.get_ref(), DeValue::Integer(_) | DeValue::Float(_)) {
        return Err(wrong_type(key, &value, "a number"));
    }
    f64::deserialize(ValueDeserializer::from(value))
        .map_err(|error| Diagnostic::new(span, format!("`{key}`: {}", error.message())))
}

/// Reads a whole number of at least `least`.
pub(super) fn whole(key: &str, value: Spanned<DeValue<'_>>, least: u64) -> Result<u64, Diagnostic> {
    let (span, expected) = (value.span(), format!("a whole number of at least {least}"));
    if !value.get_ref().is_integer() {
        return Err(wrong_type(key, &value, &expected));
    }
    match u64::deserialize(ValueDeserializer::from(value)) {
        Ok(number) if number >= least => Ok(number),
        _ => Err(Diagnostic::new(span, format!("`{key}`: expected {expected}"))),
    }
}

/// Reads `true` or `false`.
pub(super) fn flag(key: &str, value: &Spanned<DeValue<'_>>) -> Result<bool, Diagnostic> {
    value.get_ref().as_bool().ok_or_else(|| wrong_type(key, value, "`true` or `false`"))
}
