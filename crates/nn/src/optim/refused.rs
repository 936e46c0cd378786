//! Mistakes in settings, in words of TOML.

use std::fmt;
use std::ops::Range;

use serde::de::{self, Expected, Unexpected};

use super::error::Diagnostic;
use super::value::{Key, Value};

/// Error of [`Asked`](super::asked::Asked).
#[derive(Debug)]
pub(crate) enum Refused {
    /// A required field is missing.
    Missing(&'static str),
    /// A field stands twice, under two names.
    Duplicate(&'static str),
    /// A key is none of the valid ones.
    UnknownKey(&'static [&'static str]),
    /// The value at these bytes, or else the one that was being read, is not the expected one.
    Said(Option<Range<usize>>, String),
    Located(Diagnostic),
}

impl Refused {
    /// Returns the error with its place, unless it has one: the entry with this key and value.
    pub(crate) fn in_entry(self, key: &Key, value: &Value) -> Self {
        let message = |text: String| format!("`{}`: {text}", key.written);
        Refused::Located(match self {
            Refused::Located(diagnostic) => diagnostic,
            Refused::Said(span, text) => {
                Diagnostic::new(span.unwrap_or(value.span.clone()), message(text))
            }
            Refused::Missing(name) => {
                Diagnostic::new(value.span.clone(), message(format!("missing key `{name}`")))
            }
            Refused::Duplicate(name) => {
                Diagnostic::new(value.span.clone(), message(format!("two values for `{name}`")))
            }
            Refused::UnknownKey(valid) => {
                Diagnostic::unknown(key.span.clone(), "key", &key.written, valid.iter().copied())
            }
        })
    }

    /// Returns the error with the place of an element, unless it has one.
    pub(crate) fn in_element(self, value: &Value) -> Self {
        match self {
            Refused::Said(None, text) => Refused::Said(Some(value.span.clone()), text),
            other => other,
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl std::error::Error for Refused {}

/// Says what a visitor expected in words of TOML.
fn in_toml(expected: &dyn Expected) -> String {
    let text = expected.to_string();
    let of_bits =
        |bits: &str| bits.parse().map_or(u64::MAX, |n: u32| u64::MAX >> (64 - n.clamp(1, 64)));
    if let Some(bits) = text.strip_prefix('u')
        && bits.parse::<u32>().is_ok()
    {
        return format!("a whole number from 0 to {}", of_bits(bits));
    }
    match text.strip_prefix('i').filter(|bits| bits.parse::<u32>().is_ok()) {
        Some(bits) => format!("a whole number of at most {} in size", of_bits(bits) / 2),
        None if text.starts_with("struct ") => "a table".into(),
        None if text == "unit" => "nothing".into(),
        None => text,
    }
}

// Messages of the visitors. Those that come up often are made by `Asked`, which knows the types beforehand.
impl de::Error for Refused {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Refused::Said(None, message.to_string())
    }
    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        de::Error::invalid_value(found, expected)
    }
    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let found = match found {
            Unexpected::Bool(flag) => flag.to_string(),
            Unexpected::Unsigned(number) => number.to_string(),
            Unexpected::Signed(number) => number.to_string(),
            Unexpected::Float(number) => format!("{number:?}"),
            Unexpected::Str(text) => format!("`{text}`"),
            Unexpected::Seq => "an array".into(),
            Unexpected::Map => "a table".into(),
            _ => "another type".into(),
        };
        Refused::Said(None, format!("expected {}, found {found}", in_toml(expected)))
    }
    fn invalid_length(found: usize, expected: &dyn Expected) -> Self {
        Refused::Said(None, format!("expected {}, found {found} values", in_toml(expected)))
    }
    fn unknown_field(_: &str, valid: &'static [&'static str]) -> Self {
        Refused::UnknownKey(valid)
    }
    fn missing_field(name: &'static str) -> Self {
        Refused::Missing(name)
    }
    fn duplicate_field(name: &'static str) -> Self {
        Refused::Duplicate(name)
    }
}
