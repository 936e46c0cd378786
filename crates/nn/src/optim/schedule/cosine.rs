//! Rates that follow a cosine.

use std::f64::consts::PI;

use serde::{Deserialize, Serialize};

use super::{Schedule, ScheduleList};
use crate::optim::range::{InvalidSetting, at_least_one, at_least_zero};

pub(super) fn list<L: ScheduleList>(list: L) -> L {
    list.schedule::<Cosine>().schedule::<CosineWarmRestarts>()
}

/// Cosine annealing: `eta_min + (lr - eta_min) (1 + cos(pi step / t_max)) / 2`.
///
/// Beyond `t_max` the rate follows the cosine up again. PyTorch's `CosineAnnealingLR`,
/// <https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.CosineAnnealingLR.html>;
/// Loshchilov and Hutter 2017, <https://arxiv.org/abs/1608.03983>.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cosine {
    /// First rate, at least 0. TOML also accepts `peak`.
    #[serde(alias = "peak")]
    pub lr: f64,
    /// Steps until the lowest rate, at least 1. TOML also accepts `T_max`.
    #[serde(alias = "T_max")]
    pub t_max: u64,
    /// Lowest rate, at least 0. Default: 0.
    #[serde(default)]
    pub eta_min: f64,
}

/// Returns the rate at the share `progress` of a half cosine from `from` to `to`.
pub(super) fn half_cosine(from: f64, to: f64, progress: f64) -> f64 {
    to + (from - to) * (1.0 + (PI * progress).cos()) / 2.0
}

impl Schedule for Cosine {
    const KIND: &'static str = "cosine";
    const STEPS: &'static [&'static str] = &["t_max"];
    const LENGTH: Option<&'static str> = Some("t_max");

    fn check(&self) -> Result<(), InvalidSetting> {
        at_least_zero("lr", self.lr)?;
        at_least_zero("eta_min", self.eta_min)?;
        at_least_one("t_max", self.t_max)
    }

    fn rate(&self, step: u64) -> f64 {
        // The cosine is periodic; reduced first, a large step loses no digits.
        let step = step % self.t_max.saturating_mul(2).max(1);
        half_cosine(self.lr, self.eta_min, step as f64 / self.t_max as f64)
    }
}

/// Cosine annealing with warm restarts: the first half cosine takes `t_0` steps. Each later one
/// takes `t_mult` times as many steps as the one before.
///
/// PyTorch's `CosineAnnealingWarmRestarts`,
/// <https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.CosineAnnealingWarmRestarts.html>;
/// Loshchilov and Hutter 2017, <https://arxiv.org/abs/1608.03983>.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CosineWarmRestarts {
    /// Rate at each restart, at least 0.
    pub lr: f64,
    /// Steps until the first restart, at least 1. TOML also accepts `T_0`.
    #[serde(alias = "T_0")]
    pub t_0: u64,
    /// Growth of the periods, at least 1. TOML also accepts `T_mult`. Default: 1.
    #[serde(alias = "T_mult", default = "once")]
    pub t_mult: u64,
    /// Lowest rate, at least 0. Default: 0.
    #[serde(default)]
    pub eta_min: f64,
}

fn once() -> u64 {
    1
}

impl Schedule for CosineWarmRestarts {
    const KIND: &'static str = "cosine_warm_restarts";
    const STEPS: &'static [&'static str] = &["t_0"];

    fn check(&self) -> Result<(), InvalidSetting> {
        at_least_zero("lr", self.lr)?;
        at_least_zero("eta_min", self.eta_min)?;
        at_least_one("t_0", self.t_0)?;
        at_least_one("t_mult", self.t_mult)
    }

    fn rate(&self, step: u64) -> f64 {
        let (mut step, mut period) = (step, self.t_0.max(1));
        if self.t_mult == 1 {
            step %= period;
        }
        while step >= period {
            step -= period;
            period = period.saturating_mul(self.t_mult.max(2));
        }
        half_cosine(self.lr, self.eta_min, step as f64 / period as f64)
    }
}
