//! Rates that follow a cosine.

use std::f64::consts::PI;

use serde::{Deserialize, Serialize};

use super::{Schedule, ScheduleList};
use crate::optim::range::{InvalidSetting, above_zero, at_least_one, at_least_zero, unit_interval};

pub(super) fn list<L: ScheduleList>(list: L) -> L {
    list.schedule::<Cosine>().schedule::<CosineWarmRestarts>().schedule::<OneCycle>()
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
fn half_cosine(from: f64, to: f64, progress: f64) -> f64 {
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

/// One-cycle schedule: up from `max_lr / div_factor` to `max_lr` in `pct_start total_steps` steps, then
/// down to `max_lr / div_factor / final_div_factor`, where it stays.
///
/// With `three_phase` the way down mirrors the way up before it goes on to the end. PyTorch's
/// `OneCycleLR`, <https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.OneCycleLR.html>,
/// without its cycle of momentum; Smith and Topin 2018, <https://arxiv.org/abs/1708.07120>.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OneCycle {
    /// Highest rate, at least 0.
    pub max_lr: f64,
    /// Length of the cycle in steps, at least 1.
    pub total_steps: u64,
    /// Share of the cycle that goes up, from 0 to 1. Default: 0.3.
    #[serde(default = "way_up")]
    pub pct_start: f64,
    /// Curve between two rates. Default: a cosine.
    #[serde(default)]
    pub anneal_strategy: Anneal,
    /// Highest rate divided by the first, above 0. Default: 25.
    #[serde(default = "div_factor")]
    pub div_factor: f64,
    /// First rate divided by the last, above 0. Default: 1e4.
    #[serde(default = "final_div_factor")]
    pub final_div_factor: f64,
    /// Whether the way down mirrors the way up. Default: false.
    #[serde(default)]
    pub three_phase: bool,
}

/// Curve between two rates of [`OneCycle`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Anneal {
    /// Half a cosine.
    #[default]
    Cos,
    /// A line.
    Linear,
}

fn way_up() -> f64 {
    0.3
}

fn div_factor() -> f64 {
    25.0
}

fn final_div_factor() -> f64 {
    1e4
}

impl Schedule for OneCycle {
    const KIND: &'static str = "one_cycle";
    const STEPS: &'static [&'static str] = &["total_steps"];
    const LENGTH: Option<&'static str> = Some("total_steps");
    const OWN_WARMUP: Option<&'static str> = Some("pct_start");

    fn check(&self) -> Result<(), InvalidSetting> {
        at_least_zero("max_lr", self.max_lr)?;
        at_least_one("total_steps", self.total_steps)?;
        unit_interval("pct_start", self.pct_start)?;
        above_zero("div_factor", self.div_factor)?;
        above_zero("final_div_factor", self.final_div_factor)
    }

    fn rate(&self, step: u64) -> f64 {
        let (step, total) = (step as f64, self.total_steps as f64);
        let first = self.max_lr / self.div_factor;
        let last = first / self.final_div_factor;
        let up = (self.pct_start * total - 1.0, self.max_lr);
        let down = (2.0 * self.pct_start * total - 2.0, first);
        let end = (total - 1.0, last);
        // The end of each phase, computed as PyTorch does, and the rate there.
        let phases = if self.three_phase { [up, down, end] } else { [up, up, end] };
        let mut from = (0.0, first);
        for to in phases {
            if step <= to.0 {
                let progress = if to.0 > from.0 { (step - from.0) / (to.0 - from.0) } else { 1.0 };
                return match self.anneal_strategy {
                    Anneal::Cos => half_cosine(from.1, to.1, progress),
                    Anneal::Linear => from.1 + (to.1 - from.1) * progress,
                };
            }
            from = to;
        }
        last
    }
}
