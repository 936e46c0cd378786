//! How far a training is, and which evaluation was the best.

use crate::metrics::MeanLoss;

/// Position of a training.
#[derive(Clone, Debug, Default)]
pub struct Progress {
    /// Steps made.
    pub step: u64,
    /// Mean loss of the present epoch so far.
    pub loss: MeanLoss,
    /// Best evaluation so far.
    pub best: Option<Best>,
    /// Evaluations since then.
    pub since_best: u64,
    /// Whether early stopping ended the training.
    pub stopped_early: bool,
}

/// The best evaluation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Best {
    /// Step after which it was made.
    pub step: u64,
    /// Value of the monitored metric.
    pub value: f64,
}

/// Choice of the best evaluation, and of when to stop.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EarlyStopping {
    /// Metric by name. `None`: the loss.
    pub metric: Option<String>,
    /// Evaluations in a row without an improvement after which training stops. Default: never.
    pub patience: Option<u64>,
    /// Least difference that counts as an improvement.
    pub min_delta: f64,
}

impl EarlyStopping {
    /// Returns whether `value` improves on the best one.
    pub(super) fn improves(&self, value: f64, best: Option<Best>, larger_is_better: bool) -> bool {
        match best {
            None => !value.is_nan(),
            Some(best) if larger_is_better => value > best.value + self.min_delta,
            Some(best) => value < best.value - self.min_delta,
        }
    }
}

/// Interval between two events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Every {
    /// At the end of every so many epochs.
    Epochs(u64),
    /// After every so many steps.
    Steps(u64),
}

impl Every {
    /// Returns whether the event is due after `step` steps.
    pub fn is_due(self, step: u64, steps_per_epoch: u64) -> bool {
        match self {
            Every::Epochs(n) => step.is_multiple_of(n.saturating_mul(steps_per_epoch)),
            Every::Steps(n) => step.is_multiple_of(n),
        }
    }
}
