//! Steps that a recipe gives in shares of the training or in epochs.

use crate::optim::error::{Diagnostic, shortened};
use crate::optim::value::{Data, Key, Value};

/// Length of a training in steps, as far as the program has told it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Training {
    pub(super) steps: Option<u64>,
    /// Steps of an epoch; with accumulation perhaps a fraction.
    pub(super) epoch: f64,
}

/// What a number of steps may be.
const EXPECTED: &str =
    "a whole number, a share of the training such as \"10%\", or epochs such as \"3 epochs\"";

impl Training {
    /// Returns the length of `epochs` passes over `batches`, of which `accumulate` make a step.
    pub(super) fn new(epochs: u64, batches: u64, accumulate: u64) -> Self {
        Training {
            steps: Some(epochs.saturating_mul(batches) / accumulate),
            epoch: batches as f64 / accumulate as f64,
        }
    }

    /// Replaces texts by numbers of steps, in the value of `key` or in its elements.
    pub(super) fn resolve(self, key: &Key, value: &mut Value) -> Result<(), Diagnostic> {
        let span = value.span.clone();
        match &mut value.data {
            Data::Array(values) => values.iter_mut().try_for_each(|value| self.resolve(key, value)),
            Data::Text(text) => {
                let said = |message: String| {
                    Diagnostic::new(span.clone(), format!("`{}`: {message}", key.written))
                };
                let (number, unit) = parts(text).ok_or_else(|| {
                    said(format!("expected {EXPECTED}, found \"{}\"", shortened(text)))
                })?;
                let Some(total) = self.steps else {
                    let text = shortened(text);
                    let message = format!(
                        "\"{text}\" needs the length of the training, which the program tells with \
                         `Registry::training`"
                    );
                    return Err(said(message));
                };
                let steps = match unit {
                    Unit::Share => number / 100.0 * total as f64,
                    Unit::Epochs => number * self.epoch,
                };
                // Saturates.
                value.data = Data::Whole(steps.round() as i64);
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

#[derive(Clone, Copy)]
enum Unit {
    Share,
    Epochs,
}

/// Pattern of the texts that [`parts`] reads, for the schema.
pub(super) const PATTERN: &str = "^[0-9]+(\\\\.[0-9]+)?(%| epochs?)$";

/// Returns the number and the unit of a text such as `10%`, `1 epoch` or `2.5 epochs`.
fn parts(text: &str) -> Option<(f64, Unit)> {
    let units = [("%", Unit::Share), (" epoch", Unit::Epochs), (" epochs", Unit::Epochs)];
    let mut found = units.iter().filter_map(|(end, unit)| Some((text.strip_suffix(end)?, *unit)));
    let (number, unit) = found.next()?;
    let (whole, rest) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit());
    (digits(whole) && digits(rest)).then(|| Some((number.parse().ok()?, unit)))?
}
