//! A table of settings on its way from the text into a struct, its positions kept.

use std::ops::Range;

use serde::de::DeserializeOwned;
use serde::de::value::UnitDeserializer;
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue, ValueDeserializer};

use super::error::Diagnostic;
use super::range::InvalidSetting;
use super::reflect::{self, Fields};
use super::rule::Rule;
use super::rules::WeightDecay;
use super::transform::Transform;

/// A table and its place in the text: that of its `kind`, once this has been taken out.
///
/// Keys that belong to somebody else (`kind`, `lr`, ..) are taken out before [`Settings::read`].
#[derive(Debug)]
pub(crate) struct Settings<'t> {
    pub(crate) table: DeTable<'t>,
    pub(crate) span: Range<usize>,
    /// Keys that were right here too, for the sake of a message.
    pub(crate) also: Vec<&'static str>,
}

impl<'t> Settings<'t> {
    pub(crate) fn new(table: DeTable<'t>, span: Range<usize>) -> Self {
        Settings { table, span, also: Vec::new() }
    }

    /// The table that `key` should hold.
    pub(crate) fn of(key: &str, value: Spanned<DeValue<'t>>) -> Result<Self, Diagnostic> {
        let span = value.span();
        if !matches!(value.get_ref(), DeValue::Table(_)) {
            return Err(wrong_type(key, &value, "a table"));
        }
        match value.into_inner() {
            DeValue::Table(table) => Ok(Settings::new(table, span)),
            _ => unreachable!("looked at above"),
        }
    }

    /// A table of one setting.
    fn only(key: &'static str, value: Spanned<DeValue<'t>>) -> Self {
        let span = value.span();
        let key = Spanned::new(span.clone(), DeString::Borrowed(key));
        Settings::new(DeTable::from_iter([(key, value)]), span)
    }

    /// The struct that the table describes, and where its settings stand.
    pub(crate) fn read<T: DeserializeOwned>(self) -> Result<(T, Spans<'t>), Diagnostic> {
        let Settings { table, span, also } = self;
        let fields = reflect::of::<T>();
        if fields != Fields::Open {
            let right = || fields.names().iter().chain(&also).copied();
            refuse_others(&table, |key| fields.names().contains(&key), right)?;
        }
        let spans = Spans { table: table.clone(), span: span.clone() };
        let value = match fields {
            Fields::Unit => T::deserialize(UnitDeserializer::<toml::de::Error>::new()),
            _ => {
                let table = Spanned::new(span.clone(), DeValue::Table(table));
                T::deserialize(ValueDeserializer::from(table))
            }
        };
        match value {
            Ok(value) => Ok((value, spans)),
            Err(error) => {
                Err(Diagnostic::new(error.span().unwrap_or(span), plain(error.message())))
            }
        }
    }
}

impl Settings<'_> {
    /// What `make` makes of the struct that the table describes.
    pub(crate) fn make<T: DeserializeOwned, M>(
        self,
        make: impl FnOnce(T) -> Result<M, InvalidSetting>,
    ) -> Result<M, Diagnostic> {
        let (value, spans) = self.read::<T>()?;
        make(value).map_err(|bad| spans.diagnostic(&bad))
    }
}

/// What serde says, without the names of Rust's types.
fn plain(message: &str) -> String {
    message
        .replace("expected f64", "expected a number")
        .replace("expected u64", "expected a whole number of at least 0")
}

/// Where the settings of a table stand.
#[derive(Debug)]
pub(crate) struct Spans<'t> {
    table: DeTable<'t>,
    span: Range<usize>,
}

impl Spans<'_> {
    /// The place of a setting that is out of range.
    pub(crate) fn diagnostic(&self, bad: &InvalidSetting) -> Diagnostic {
        let value = self.table.get(bad.key());
        let element = bad.index().and_then(|i| value?.get_ref().get(i));
        let span = element.or(value).map_or(self.span.clone(), Spanned::span);
        let message = match bad.key() {
            "" => bad.message().to_owned(),
            key => format!("`{key}`: {}", bad.message()),
        };
        Diagnostic::new(span, message)
    }
}

/// Refuses the first key in the text that is not `known`.
pub(crate) fn refuse_others<'a, R: Iterator<Item = &'a str>>(
    table: &DeTable<'_>,
    known: impl Fn(&str) -> bool,
    right: impl Fn() -> R,
) -> Result<(), Diagnostic> {
    let unknown = table.keys().filter(|key| !known(key.get_ref()));
    match unknown.min_by_key(|key| key.span().start) {
        Some(key) => Err(Diagnostic::unknown(key.span(), "key", key.get_ref(), right())),
        None => Ok(()),
    }
}

/// `key` holds something else than `expected`.
pub(crate) fn wrong_type(key: &str, found: &Spanned<DeValue<'_>>, expected: &str) -> Diagnostic {
    let message = format!("`{key}`: expected {expected}, found {}", found.get_ref().type_str());
    Diagnostic::new(found.span(), message)
}

/// A shared key that stands for a transform of type `R`, whose setting `setting` it gives.
pub(crate) fn shared_link<R: Rule>(
    key: &str,
    setting: &'static str,
    value: Option<Spanned<DeValue<'_>>>,
) -> Result<Option<Transform>, Diagnostic> {
    let Some(value) = value else { return Ok(None) };
    let span = value.span();
    let of_key = |message: &str| Diagnostic::new(span.clone(), format!("`{key}`: {message}"));
    let (rule, _) = Settings::only(setting, value).read::<R>()?;
    Transform::rule(rule).map(Some).map_err(|bad| of_key(bad.message()))
}

/// The shared key `weight_decay`: a transform, or none for 0.
pub(crate) fn weight_decay(value: Spanned<DeValue<'_>>) -> Result<Option<Transform>, Diagnostic> {
    let transform = shared_link::<WeightDecay>("weight_decay", "weight_decay", Some(value))?;
    let off = |transform: &Transform| {
        transform.settings().get("weight_decay").and_then(toml::Value::as_float) == Some(0.0)
    };
    Ok(transform.filter(|transform| !off(transform)))
}
