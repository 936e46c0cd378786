//! The values of a TOML text, each with its place.

use std::ops::Range;

use ::toml::Spanned;
use ::toml::de::{DeInteger, DeTable, DeValue};

use super::error::{Diagnostic, shortened};

/// A value, and its bytes in the text.
#[derive(Clone, Debug)]
pub(crate) struct Value {
    pub(crate) span: Range<usize>,
    pub(crate) data: Data,
}

/// A value without its place.
#[derive(Clone, Debug)]
pub(crate) enum Data {
    Text(String),
    Whole(i64),
    Float(f64),
    Flag(bool),
    Date(String),
    Array(Vec<Value>),
    Table(Entries),
    /// A sample of whatever type is asked for: see [`Asked`](super::asked::Asked).
    Sample,
}

/// The entries of a table, in the order of the text.
#[derive(Clone, Debug, Default)]
pub(crate) struct Entries(Vec<(Key, Value)>);

/// A key of a table.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    pub(crate) name: String,
    /// The name in the text, of which `name` may be the present or the full form.
    pub(crate) written: String,
    pub(crate) span: Range<usize>,
}

impl Value {
    /// Converts a parsed value, whose bytes are counted from `start`.
    pub(crate) fn new(value: Spanned<DeValue<'_>>, start: usize) -> Result<Self, Diagnostic> {
        let span = shifted(value.span(), start);
        let data = match value.into_inner() {
            DeValue::String(text) => Data::Text(text.into_owned()),
            DeValue::Integer(number) => Data::Whole(whole(&number, &span)?),
            // "As `FromStr` reads it", so that it cannot fail.
            DeValue::Float(number) => Data::Float(number.as_str().parse().unwrap_or(f64::NAN)),
            DeValue::Boolean(flag) => Data::Flag(flag),
            DeValue::Datetime(date) => Data::Date(date.to_string()),
            DeValue::Array(values) => {
                let values = values.into_iter().map(|value| Value::new(value, start));
                Data::Array(values.collect::<Result<_, _>>()?)
            }
            DeValue::Table(table) => Data::Table(Entries::new(table, start)?),
        };
        Ok(Value { span, data })
    }

    /// Returns settings as a value without a place.
    pub(crate) fn of_toml(settings: &toml::Table) -> Self {
        let entry = |(key, value): (&String, &toml::Value)| {
            (Key::new(key.as_str(), 0..0), Value::of_any(value))
        };
        Value { span: 0..0, data: Data::Table(Entries(settings.iter().map(entry).collect())) }
    }

    fn of_any(value: &toml::Value) -> Self {
        let data = match value {
            toml::Value::String(text) => Data::Text(text.clone()),
            toml::Value::Integer(number) => Data::Whole(*number),
            toml::Value::Float(number) => Data::Float(*number),
            toml::Value::Boolean(flag) => Data::Flag(*flag),
            toml::Value::Datetime(date) => Data::Date(date.to_string()),
            toml::Value::Array(values) => Data::Array(values.iter().map(Value::of_any).collect()),
            toml::Value::Table(table) => return Value::of_toml(table),
        };
        Value { span: 0..0, data }
    }

    pub(crate) fn sample() -> Self {
        Value { span: 0..0, data: Data::Sample }
    }

    pub(crate) fn as_text(&self) -> Option<&str> {
        match &self.data {
            Data::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn as_array(&self) -> Option<&[Value]> {
        match &self.data {
            Data::Array(values) => Some(values),
            _ => None,
        }
    }

    /// Returns the name of the type, as TOML calls it.
    pub(crate) fn type_name(&self) -> &'static str {
        match &self.data {
            Data::Text(_) => "string",
            Data::Whole(_) => "integer",
            Data::Float(_) => "float",
            Data::Flag(_) => "boolean",
            Data::Date(_) => "datetime",
            Data::Array(_) => "array",
            Data::Table(_) | Data::Sample => "table",
        }
    }

    /// Returns the diagnostic for a value of `key` that is not `expected`.
    pub(crate) fn unlike(&self, key: &str, expected: &str) -> Diagnostic {
        let message = format!("`{key}`: expected {expected}, found {}", self.type_name());
        Diagnostic::new(self.span.clone(), message)
    }
}

fn shifted(span: Range<usize>, start: usize) -> Range<usize> {
    span.start + start..span.end + start
}

fn whole(number: &DeInteger<'_>, span: &Range<usize>) -> Result<i64, Diagnostic> {
    i64::from_str_radix(number.as_str(), number.radix()).map_err(|_| {
        let found = shortened(number.as_str());
        let message = format!("expected a whole number of at most 2^63 in size, found {found}");
        Diagnostic::new(span.clone(), message)
    })
}

impl Key {
    pub(crate) fn new(name: impl Into<String>, span: Range<usize>) -> Self {
        let name = name.into();
        Key { written: name.clone(), name, span }
    }
}

impl Entries {
    /// Converts a parsed table, whose bytes are counted from `start`.
    pub(crate) fn new(table: DeTable<'_>, start: usize) -> Result<Self, Diagnostic> {
        let convert = |(key, value): (Spanned<_>, _)| {
            let span = shifted(key.span(), start);
            Ok((
                Key::new(std::borrow::Cow::into_owned(key.into_inner()), span),
                Value::new(value, start)?,
            ))
        };
        let mut entries = table.into_iter().map(convert).collect::<Result<Vec<_>, _>>()?;
        entries.sort_by_key(|(key, _)| key.span.start);
        Ok(Entries(entries))
    }

    pub(crate) fn as_slice(&self) -> &[(Key, Value)] {
        &self.0
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Key, &Value)> {
        self.0.iter().map(|(key, value)| (key, value))
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (&mut Key, &mut Value)> {
        self.0.iter_mut().map(|(key, value)| (key, value))
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &Key> {
        self.0.iter().map(|(key, _)| key)
    }

    pub(crate) fn get(&self, name: &str) -> Option<(&Key, &Value)> {
        self.iter().find(|(key, _)| key.name == name)
    }

    pub(crate) fn contains(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    pub(crate) fn remove(&mut self, name: &str) -> Option<(Key, Value)> {
        let at = self.0.iter().position(|(key, _)| key.name == name)?;
        Some(self.0.remove(at))
    }

    /// Adds an entry; the table must not have one of this name.
    pub(crate) fn push(&mut self, key: Key, value: Value) -> &mut Value {
        self.0.push((key, value));
        &mut self.0.last_mut().expect("pushed above").1
    }
}
