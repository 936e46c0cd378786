//! What a setting may be: ranges, and how a value outside of them is told.

use std::fmt;

/// A setting that is out of its range.
///
/// It names the setting and not a place in a file, so that the same check serves a recipe built in
/// Rust and one read from TOML, where the reader knows at which line and column the setting stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidSetting {
    key: &'static str,
    index: Option<usize>,
    message: String,
}

impl InvalidSetting {
    /// The setting `key` is wrong for the reason that `message` gives ("expected .., found ..").
    /// An empty key blames the settings as a whole.
    pub fn new(key: &'static str, message: impl Into<String>) -> Self {
        InvalidSetting { key, index: None, message: message.into() }
    }

    /// The same, of element `index` of a setting that is a list.
    #[must_use]
    pub fn at(self, index: usize) -> Self {
        InvalidSetting { index: Some(index), ..self }
    }

    /// The name of the setting.
    pub fn key(&self) -> &'static str {
        self.key
    }

    /// The element that is wrong, when the setting is a list.
    pub fn index(&self) -> Option<usize> {
        self.index
    }

    /// What was expected and what was found.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for InvalidSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.index {
            _ if self.key.is_empty() => f.write_str(&self.message),
            Some(i) => write!(f, "`{}[{i}]`: {}", self.key, self.message),
            None => write!(f, "`{}`: {}", self.key, self.message),
        }
    }
}

impl std::error::Error for InvalidSetting {}

/// Zero or a finite number above: rates, epsilons, decays.
///
/// # Errors
/// For anything else, NaN among it.
pub fn at_least_zero(key: &'static str, value: f64) -> Result<(), InvalidSetting> {
    in_range(value.is_finite() && value >= 0.0, key, value, "a finite number of at least 0")
}

/// A finite number above zero: norms.
///
/// # Errors
/// For anything else, NaN among it.
pub fn above_zero(key: &'static str, value: f64) -> Result<(), InvalidSetting> {
    in_range(value.is_finite() && value > 0.0, key, value, "a finite number above 0")
}

/// At least 0 and below 1: the weight that a running average gives to its past.
///
/// # Errors
/// For anything else, NaN among it.
pub fn fraction(key: &'static str, value: f64) -> Result<(), InvalidSetting> {
    in_range((0.0..1.0).contains(&value), key, value, "a number of at least 0 and below 1")
}

/// [`fraction`] of each element of a list.
///
/// # Errors
/// With the first that is none.
pub fn fractions(key: &'static str, values: &[f64]) -> Result<(), InvalidSetting> {
    let mut each = values.iter().enumerate();
    each.try_for_each(|(i, &value)| fraction(key, value).map_err(|bad| bad.at(i)))
}

/// A number of steps, at least 1.
///
/// # Errors
/// For 0.
pub fn above_zero_steps(key: &'static str, value: u64) -> Result<(), InvalidSetting> {
    match value {
        0 => Err(InvalidSetting::new(key, "expected a number of at least 1, found 0")),
        _ => Ok(()),
    }
}

fn in_range(ok: bool, key: &'static str, value: f64, expected: &str) -> Result<(), InvalidSetting> {
    if ok {
        Ok(())
    } else {
        Err(InvalidSetting::new(key, format!("expected {expected}, found {value:?}")))
    }
}
