//! Reduction of the rate when a metric stops improving.

use serde::{Deserialize, Serialize};

use super::{Schedule, ScheduleList};
use crate::optim::range::{InvalidSetting, at_least_zero, fraction};

pub(super) fn list<L: ScheduleList>(list: L) -> L {
    list.schedule::<Plateau>()
}

/// Constant rate, multiplied by `factor` when a metric has not improved for more than `patience`
/// observations.
///
/// [`Optimizer::report_metric`](crate::optim::Optimizer::report_metric) reports the metric, usually once per epoch. A
/// step panics if none was reported in 2000 steps, so that the rate does not stay constant unnoticed. A NaN is no
/// improvement.
///
/// PyTorch's `ReduceLROnPlateau`,
/// <https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.ReduceLROnPlateau.html>. A
/// relative threshold is a fraction of `|best|`. PyTorch compares with `best (1 - threshold)`, which is worse than a
/// negative `best`: there a metric that stays the same is an improvement, and the rate is never reduced.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plateau {
    /// First rate, at least 0.
    pub lr: f64,
    /// Direction of improvement. Default: smaller is better.
    #[serde(default)]
    pub mode: PlateauMode,
    /// Factor of each reduction, at least 0 and below 1. Default: 0.1.
    #[serde(default = "tenth")]
    pub factor: f64,
    /// Observations without improvement before the rate is reduced. Default: 10.
    #[serde(default = "ten")]
    pub patience: u64,
    /// Smallest change that counts as an improvement, at least 0. Default: 1e-4.
    #[serde(default = "threshold")]
    pub threshold: f64,
    /// Unit of the threshold. Default: relative to the best metric.
    #[serde(default)]
    pub threshold_mode: ThresholdMode,
    /// Observations after a reduction that do not count. Default: 0.
    #[serde(default)]
    pub cooldown: u64,
    /// Lowest rate, at least 0. Default: 0.
    #[serde(default)]
    pub min_lr: f64,
    /// Smallest reduction that is applied, at least 0. Default: 1e-8.
    #[serde(default = "eps")]
    pub eps: f64,
}

/// Direction in which the metric of [`Plateau`] improves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PlateauMode {
    /// Smaller is better: losses.
    #[default]
    Min,
    /// Larger is better: accuracies.
    Max,
}

/// Unit of [`Plateau::threshold`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ThresholdMode {
    /// Relative to the best metric.
    #[default]
    Rel,
    /// Absolute.
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
        // A relative threshold is a fraction of |best|.
        let threshold = match self.threshold_mode {
            ThresholdMode::Rel => self.threshold * best.signum(),
            ThresholdMode::Abs => self.threshold,
        };
        match (self.mode, self.threshold_mode) {
            // The first metric.
            (PlateauMode::Min, _) if best == f64::INFINITY => metric < best,
            (PlateauMode::Max, _) if best == f64::NEG_INFINITY => metric > best,
            (PlateauMode::Min, ThresholdMode::Rel) => metric < best * (1.0 - threshold),
            (PlateauMode::Min, ThresholdMode::Abs) => metric < best - threshold,
            (PlateauMode::Max, ThresholdMode::Rel) => metric > best * (1.0 + threshold),
            (PlateauMode::Max, ThresholdMode::Abs) => metric > best + threshold,
        }
    }
}

impl Schedule for Plateau {
    const KIND: &'static str = "plateau";

    fn check(&self) -> Result<(), InvalidSetting> {
        at_least_zero("lr", self.lr)?;
        fraction("factor", self.factor)?;
        at_least_zero("threshold", self.threshold)?;
        at_least_zero("min_lr", self.min_lr)?;
        at_least_zero("eps", self.eps)
    }

    fn rate(&self, _: u64) -> f64 {
        self.lr
    }

    /// Returns the rate, the best metric, the bad observations in a row and the rest of the cooldown.
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
