//! Rates that follow a cosine.

use std::f64::consts::PI;

use serde::{Deserialize, Serialize};

use super::Schedule;
use crate::optim::range::{InvalidSetting, above_zero, above_zero_steps, at_least_zero};

/// From `lr` to `eta_min` along half a wave of `t_max` steps, and on along the wave.
///
/// `eta_min + (lr - eta_min) (1 + cos(pi step / t_max)) / 2`; PyTorch's `CosineAnnealingLR`,
/// <https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.CosineAnnealingLR.html>;
/// Loshchilov and Hutter 2017, <https://arxiv.org/abs/1608.03983>.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cosine {
    /// The first rate, at least 0; also called `peak`.
    #[serde(alias = "peak")]
    pub lr: f64,
    /// The steps to the lowest rate, at least 1; also called `T_max`.
    #[serde(alias = "T_max")]
    pub t_max: u64,
    /// The lowest rate, at least 0; 0 when a file leaves it out.
    #[serde(default)]
    pub eta_min: f64,
}

/// From `high` to `low` along half a wave, of which `along` is done.
fn wave(high: f64, low: f64, along: f64) -> f64 {
    low + (high - low) * (1.0 + (PI * along).cos()) / 2.0
}

impl Schedule for Cosine {
    const KIND: &'static str = "cosine";

    fn check(&self) -> Result<(), InvalidSetting> {
        at_least_zero("lr", self.lr)?;
        at_least_zero("eta_min", self.eta_min)?;
        above_zero_steps("t_max", self.t_max)
    }

    fn rate(&self, step: u64) -> f64 {
        // The wave is periodic: a large step loses no digits.
        let step = step % self.t_max.saturating_mul(2).max(1);
        wave(self.lr, self.eta_min, step as f64 / self.t_max as f64)
    }
}

/// Half waves from `lr` to `eta_min`, each begun anew: the first takes `t_0` steps, each further one
/// `t_mult` times as many as the one before.
///
/// PyTorch's `CosineAnnealingWarmRestarts`,
/// <https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.CosineAnnealingWarmRestarts.html>;
/// Loshchilov and Hutter 2017, <https://arxiv.org/abs/1608.03983>.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CosineWarmRestarts {
    /// The rate at each restart, at least 0.
    pub lr: f64,
    /// The steps to the first restart, at least 1; also called `T_0`.
    #[serde(alias = "T_0")]
    pub t_0: u64,
    /// The growth of the stretches, at least 1; 1 when a file leaves it out; also called `T_mult`.
    #[serde(alias = "T_mult", default = "once")]
    pub t_mult: u64,
    /// The lowest rate, at least 0; 0 when a file leaves it out.
    #[serde(default)]
    pub eta_min: f64,
}

fn once() -> u64 {
    1
}

impl Schedule for CosineWarmRestarts {
    const KIND: &'static str = "cosine_warm_restarts";

    fn check(&self) -> Result<(), InvalidSetting> {
        at_least_zero("lr", self.lr)?;
        at_least_zero("eta_min", self.eta_min)?;
        above_zero_steps("t_0", self.t_0)?;
        above_zero_steps("t_mult", self.t_mult)
    }

    fn rate(&self, step: u64) -> f64 {
        let (mut step, mut length) = (step, self.t_0.max(1));
        if self.t_mult == 1 {
            step %= length;
        }
        while step >= length {
            step -= length;
            length = length.saturating_mul(self.t_mult.max(2));
        }
        wave(self.lr, self.eta_min, step as f64 / length as f64)
    }
}

/// One cycle: up to `max_lr` within the share `pct_start` of `total_steps`, and down to far below
/// where it began.
///
/// It begins at `max_lr / div_factor` and ends at that divided by `final_div_factor`, where it stays.
/// With `three_phase` it goes down as steeply as it came up, and then to the end. PyTorch's
/// `OneCycleLR`, <https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.OneCycleLR.html>, without
/// its cycle of momentum; Smith and Topin 2018, <https://arxiv.org/abs/1708.07120>.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OneCycle {
    /// The highest rate, at least 0.
    pub max_lr: f64,
    /// The length of the cycle in steps, at least 1.
    pub total_steps: u64,
    /// The share of the way up, from 0 to 1; 0.3 when a file leaves it out.
    #[serde(default = "way_up")]
    pub pct_start: f64,
    /// The way from one rate to the next; a cosine when a file leaves it out.
    #[serde(default)]
    pub anneal_strategy: Anneal,
    /// What the first rate is the highest one divided by, above 0; 25 when a file leaves it out.
    #[serde(default = "div_factor")]
    pub div_factor: f64,
    /// What the last rate is the first one divided by, above 0; 1e4 when a file leaves it out.
    #[serde(default = "final_div_factor")]
    pub final_div_factor: f64,
    /// Whether the way down is a mirror of the way up; not when a file leaves it out.
    #[serde(default)]
    pub three_phase: bool,
}

/// The way from one rate to another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Anneal {
    /// Half a wave.
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

    fn check(&self) -> Result<(), InvalidSetting> {
        at_least_zero("max_lr", self.max_lr)?;
        above_zero_steps("total_steps", self.total_steps)?;
        if !(0.0..=1.0).contains(&self.pct_start) {
            let message = format!("expected a number from 0 to 1, found {:?}", self.pct_start);
            return Err(InvalidSetting::new("pct_start", message));
        }
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
        // Where each phase ends, in PyTorch's own reckoning, and at which rate.
        let phases = if self.three_phase { [up, down, end] } else { [up, up, end] };
        let mut from = (0.0, first);
        for to in phases {
            if step <= to.0 {
                let along = if to.0 > from.0 { (step - from.0) / (to.0 - from.0) } else { 1.0 };
                return match self.anneal_strategy {
                    Anneal::Cos => wave(from.1, to.1, along),
                    Anneal::Linear => from.1 + (to.1 - from.1) * along,
                };
            }
            from = to;
        }
        last
    }
}
