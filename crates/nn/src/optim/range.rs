//! Ranges of settings, and the error for a value outside of its range.

use std::fmt;

/// A setting that is out of its range.
///
/// It names the setting rather than a place in a file, so that one check serves recipes built in
/// Rust and recipes read from TOML. The TOML reader adds line and column.
///
/// ```
/// use wengert_nn::optim::range::fraction;
///
/// let invalid = fraction("momentum", 1.5).unwrap_err();
/// assert_eq!(
///     invalid.to_string(),
///     "`momentum`: expected a number of at least 0 and below 1, found 1.5"
/// );
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct InvalidSetting {
    key: &'static str,
    index: Option<usize>,
    message: String,
}

impl InvalidSetting {
    /// Creates an error about the setting `key`; `message` reads "expected .., found ..". An empty
    /// key blames the settings as a whole.
    pub fn new(key: &'static str, message: impl Into<String>) -> Self {
        InvalidSetting { key, index: None, message: message.into() }
    }

    /// Names element `index` of a setting that is a list.
    #[must_use]
    pub fn at(self, index: usize) -> Self {
        InvalidSetting { index: Some(index), ..self }
    }

    /// Says at which step a setting that follows a schedule is out of its range.
    pub(crate) fn at_step(self, step: u64) -> Self {
        InvalidSetting { message: format!("{} at step {step}", self.message), ..self }
    }

    /// Returns the name of the setting.
    pub fn key(&self) -> &'static str {
        self.key
    }

    /// Returns the index of the invalid element, if the setting is a list.
    pub fn index(&self) -> Option<usize> {
        self.index
    }

    /// Returns the expected and the found value, in words.
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

/// Prints what `Display` prints: this is what `main` shows when it returns the error.
impl fmt::Debug for InvalidSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for InvalidSetting {}

/// Accepts finite numbers of at least 0: rates, epsilons, decays.
///
/// # Errors
/// Returns an error for any other number, including NaN.
pub fn at_least_zero(key: &'static str, value: f64) -> Result<(), InvalidSetting> {
    in_range(value.is_finite() && value >= 0.0, key, value, "a finite number of at least 0")
}

/// Accepts finite numbers above 0: norms, divisors.
///
/// # Errors
/// Returns an error for any other number, including NaN.
pub fn above_zero(key: &'static str, value: f64) -> Result<(), InvalidSetting> {
    in_range(value.is_finite() && value > 0.0, key, value, "a finite number above 0")
}

/// Accepts numbers of at least 0 and below 1: decay rates of exponential moving averages.
///
/// # Errors
/// Returns an error for any other number, including NaN.
pub fn fraction(key: &'static str, value: f64) -> Result<(), InvalidSetting> {
    in_range((0.0..1.0).contains(&value), key, value, "a number of at least 0 and below 1")
}

/// Checks each element of a list with [`fraction`].
///
/// # Errors
/// Returns an error for the first element out of range.
pub fn fractions(key: &'static str, values: &[f64]) -> Result<(), InvalidSetting> {
    let mut each = values.iter().enumerate();
    each.try_for_each(|(i, &value)| fraction(key, value).map_err(|invalid| invalid.at(i)))
}

/// Accepts numbers from 0 to 1, both included.
///
/// # Errors
/// Returns an error for any other number, including NaN.
pub fn unit_interval(key: &'static str, value: f64) -> Result<(), InvalidSetting> {
    in_range((0.0..=1.0).contains(&value), key, value, "a number from 0 to 1")
}

/// Accepts counts of at least 1: steps, periods.
///
/// # Errors
/// Returns an error for 0.
pub fn at_least_one(key: &'static str, value: u64) -> Result<(), InvalidSetting> {
    match value {
        0 => Err(InvalidSetting::new(key, "expected a number of at least 1, found 0")),
        _ => Ok(()),
    }
}

fn in_range(
    accepted: bool,
    key: &'static str,
    value: f64,
    expected: &str,
) -> Result<(), InvalidSetting> {
    if accepted {
        Ok(())
    } else {
        Err(InvalidSetting::new(key, format!("expected {expected}, found {value:?}")))
    }
}
