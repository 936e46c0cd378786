//! Rates that run along a line or a power.

use serde::{Deserialize, Serialize};

use super::Schedule;
use crate::optim::range::{InvalidSetting, above_zero_steps, at_least_zero};

/// From `lr start_factor` to `lr end_factor` along a line of `total_iters` steps, and constant
/// afterwards.
///
/// PyTorch's `LinearLR`, <https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.LinearLR.html>.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinearRamp {
    /// The base rate, at least 0.
    pub lr: f64,
    /// What the first rate is of it, at least 0; a third when a file leaves it out.
    #[serde(default = "third")]
    pub start_factor: f64,
    /// What the last rate is of it, at least 0; 1 when a file leaves it out.
    #[serde(default = "one")]
    pub end_factor: f64,
    /// The length of the line in steps, at least 1; 5 when a file leaves it out.
    #[serde(default = "five")]
    pub total_iters: u64,
}

fn third() -> f64 {
    1.0 / 3.0
}

fn one() -> f64 {
    1.0
}

fn five() -> u64 {
    5
}

/// How far `step` is along a stretch of `steps`, from 0 to 1.
fn along(step: u64, steps: u64) -> f64 {
    step.min(steps) as f64 / steps.max(1) as f64
}

impl Schedule for LinearRamp {
    const KIND: &'static str = "linear";

    fn check(&self) -> Result<(), InvalidSetting> {
        at_least_zero("lr", self.lr)?;
        at_least_zero("start_factor", self.start_factor)?;
        at_least_zero("end_factor", self.end_factor)?;
        above_zero_steps("total_iters", self.total_iters)
    }

    fn rate(&self, step: u64) -> f64 {
        let factor = self.end_factor - self.start_factor;
        self.lr * (self.start_factor + factor * along(step, self.total_iters))
    }
}

/// `lr (1 - step / total_iters)^power`, and 0 from `total_iters` on.
///
/// PyTorch's `PolynomialLR`, <https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.PolynomialLR.html>.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Polynomial {
    /// The first rate, at least 0.
    pub lr: f64,
    /// The steps until the rate is 0, at least 1; 5 when a file leaves it out.
    #[serde(default = "five")]
    pub total_iters: u64,
    /// The power, at least 0; 1 when a file leaves it out.
    #[serde(default = "one")]
    pub power: f64,
}

impl Schedule for Polynomial {
    const KIND: &'static str = "polynomial";

    fn check(&self) -> Result<(), InvalidSetting> {
        at_least_zero("lr", self.lr)?;
        at_least_zero("power", self.power)?;
        above_zero_steps("total_iters", self.total_iters)
    }

    fn rate(&self, step: u64) -> f64 {
        self.lr * (1.0 - along(step, self.total_iters)).powf(self.power)
    }
}

/// `lr sqrt(timescale / (timescale + step))`: the inverse square root of the step, once this is
/// large. After `warmup_steps = timescale` it is the schedule of Vaswani et al. 2017, section 5.3,
/// <https://arxiv.org/abs/1706.03762>.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InverseSqrt {
    /// The first rate, at least 0.
    pub lr: f64,
    /// The steps after which the rate is `lr / sqrt(2)`, at least 1.
    pub timescale: u64,
}

impl Schedule for InverseSqrt {
    const KIND: &'static str = "inverse_sqrt";

    fn check(&self) -> Result<(), InvalidSetting> {
        at_least_zero("lr", self.lr)?;
        above_zero_steps("timescale", self.timescale)
    }

    fn rate(&self, step: u64) -> f64 {
        let timescale = self.timescale as f64;
        self.lr * (timescale / (timescale + step as f64)).sqrt()
    }
}
