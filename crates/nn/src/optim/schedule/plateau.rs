//! A rate that falls when a metric no longer improves.

use serde::{Deserialize, Serialize};

use super::Schedule;
use crate::optim::range::{InvalidSetting, at_least_zero};

/// Constant, but multiplied by `factor` whenever a metric has not improved for more than `patience`
/// observations: the one schedule that has a state.
///
/// The metric comes by [`Optimizer::report_metric`](crate::optim::Optimizer::report_metric), most often once an
/// epoch. After a reduction `cooldown` observations pass before bad ones are counted again. A metric
/// that is NaN is no improvement. PyTorch's `ReduceLROnPlateau`,
/// <https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.ReduceLROnPlateau.html>.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plateau {
    /// The first rate, at least 0.
    pub lr: f64,
    /// Whether small or large metrics are good; small ones when a file leaves it out.
    #[serde(default)]
    pub mode: PlateauMode,
    /// What a reduction multiplies the rate by, at least 0 and below 1; 0.1 when a file leaves it out.
    #[serde(default = "tenth")]
    pub factor: f64,
    /// How many bad observations are borne; 10 when a file leaves it out.
    #[serde(default = "ten")]
    pub patience: u64,
    /// By how much the best metric must be bettered, at least 0; 1e-4 when a file leaves it out.
    #[serde(default = "threshold")]
    pub threshold: f64,
    /// Whether that is a share of the best metric, or an amount; a share when a file leaves it out.
    #[serde(default)]
    pub threshold_mode: ThresholdMode,
    /// Observations after a reduction that are not counted; 0 when a file leaves it out.
    #[serde(default)]
    pub cooldown: u64,
    /// The lowest rate, at least 0; 0 when a file leaves it out.
    #[serde(default)]
    pub min_lr: f64,
    /// A smaller reduction than this is not made, at least 0; 1e-8 when a file leaves it out.
    #[serde(default = "eps")]
    pub eps: f64,
}

/// Which metrics are good.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PlateauMode {
    /// Small ones, such as losses.
    #[default]
    Min,
    /// Large ones, such as accuracies.
    Max,
}

/// How an improvement is measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ThresholdMode {
    /// As a share of the best metric.
    #[default]
    Rel,
    /// As an amount.
    Abs,
}

fn tenth() -> f64 {
    0.1
}

fn ten() -> u64 {
    10
}

fn threshold() -> f64 {
    1e-4
}

fn eps() -> f64 {
    1e-8
}

impl Plateau {
    fn improves(&self, metric: f64, best: f64) -> bool {
        match (self.mode, self.threshold_mode) {
            (PlateauMode::Min, ThresholdMode::Rel) => metric < best * (1.0 - self.threshold),
            (PlateauMode::Min, ThresholdMode::Abs) => metric < best - self.threshold,
            (PlateauMode::Max, ThresholdMode::Rel) => metric > best * (1.0 + self.threshold),
            (PlateauMode::Max, ThresholdMode::Abs) => metric > best + self.threshold,
        }
    }
}

impl Schedule for Plateau {
    const KIND: &'static str = "plateau";

    fn check(&self) -> Result<(), InvalidSetting> {
        at_least_zero("lr", self.lr)?;
        if !(0.0..1.0).contains(&self.factor) {
            let message =
                format!("expected a number of at least 0 and below 1, found {:?}", self.factor);
            return Err(InvalidSetting::new("factor", message));
        }
        at_least_zero("threshold", self.threshold)?;
        at_least_zero("min_lr", self.min_lr)?;
        at_least_zero("eps", self.eps)
    }

    fn rate(&self, _: u64) -> f64 {
        self.lr
    }

    /// The rate, the best metric, bad observations in a row, observations of the cooldown left.
    fn state(&self) -> Vec<f64> {
        let worst = match self.mode {
            PlateauMode::Min => f64::INFINITY,
            PlateauMode::Max => f64::NEG_INFINITY,
        };
        vec![self.lr, worst, 0.0, 0.0]
    }

    fn report_metric(&self, metric: f64, state: &mut [f64]) {
        let [lr, best, bad, cooldown] = state else { return };
        if self.improves(metric, *best) {
            (*best, *bad) = (metric, 0.0);
        } else {
            *bad += 1.0;
        }
        if *cooldown > 0.0 {
            (*cooldown, *bad) = (*cooldown - 1.0, 0.0);
        }
        if *bad > self.patience as f64 {
            let reduced = (*lr * self.factor).max(self.min_lr);
            if *lr - reduced > self.eps {
                *lr = reduced;
            }
            (*cooldown, *bad) = (self.cooldown as f64, 0.0);
        }
    }

    fn rate_after(&self, _: u64, state: &[f64]) -> f64 {
        state.first().copied().unwrap_or(self.lr)
    }
}
