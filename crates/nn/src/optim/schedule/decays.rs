//! Constant rates, and rates that decay in stairs, along a line or along a power.

use serde::{Deserialize, Serialize};

use super::{Schedule, ScheduleList};
use crate::optim::range::{InvalidSetting, at_least_one, at_least_zero};

pub(super) fn list<L: ScheduleList>(list: L) -> L {
    list.schedule::<Constant>()
        .schedule::<StepDecay>()
        .schedule::<MultiStep>()
        .schedule::<Exponential>()
        .schedule::<LinearRamp>()
        .schedule::<Polynomial>()
        .schedule::<InverseSqrt>()
}

/// Constant rate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Constant {
    /// The rate, at least 0.
    pub lr: f64,
}

impl Schedule for Constant {
    const KIND: &'static str = "constant";

    fn check(&self) -> Result<(), InvalidSetting> {
        at_least_zero("lr", self.lr)
    }

    fn rate(&self, _: u64) -> f64 {
        self.lr
    }
}

/// Step decay: `lr gamma^floor(step / step_size)`.
///
/// PyTorch's `StepLR`, <https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.StepLR.html>.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepDecay {
    /// First rate, at least 0.
    pub lr: f64,
    /// Steps between two decays, at least 1.
    pub step_size: u64,
    /// Factor of each decay, at least 0. Default: 0.1.
    #[serde(default = "tenth")]
    pub gamma: f64,
}

fn tenth() -> f64 {
    0.1
}

impl Schedule for StepDecay {
    const KIND: &'static str = "step";
    const STEPS: &'static [&'static str] = &["step_size"];

    fn check(&self) -> Result<(), InvalidSetting> {
        at_least_zero("lr", self.lr)?;
        at_least_zero("gamma", self.gamma)?;
        at_least_one("step_size", self.step_size)
    }

    fn rate(&self, step: u64) -> f64 {
        let decays = step / self.step_size.max(1);
        decayed(self.lr, self.gamma, decays)
    }
}

/// Returns `lr gamma^n`, or the largest number where that overflows.
fn decayed(lr: f64, gamma: f64, n: u64) -> f64 {
    let n = i32::try_from(n).unwrap_or(i32::MAX);
    let power = gamma.powi(n);
    if power.is_finite() || lr == 0.0 {
        return (lr * power.min(f64::MAX)).min(f64::MAX);
    }
    // A small rate may be in range where the power alone is not.
    let half = n / 2;
    (lr * gamma.powi(half) * gamma.powi(n - half)).min(f64::MAX)
}

/// Decay at milestones: `lr gamma^k`, where `k` is the number of milestones reached.
///
/// PyTorch's `MultiStepLR`, <https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.MultiStepLR.html>.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MultiStep {
    /// First rate, at least 0.
    pub lr: f64,
    /// Steps at which the rate decays, in rising order. A step listed twice counts twice.
    pub milestones: Vec<u64>,
    /// Factor of each decay, at least 0. Default: 0.1.
    #[serde(default = "tenth")]
    pub gamma: f64,
}

impl Schedule for MultiStep {
    const KIND: &'static str = "multi_step";
    const STEPS: &'static [&'static str] = &["milestones"];

    fn check(&self) -> Result<(), InvalidSetting> {
        at_least_zero("lr", self.lr)?;
        at_least_zero("gamma", self.gamma)?;
        match self.milestones.windows(2).position(|pair| pair[0] > pair[1]) {
            None => Ok(()),
            Some(i) => {
                Err(InvalidSetting::new("milestones", "expected steps in rising order").at(i + 1))
            }
        }
    }

    fn rate(&self, step: u64) -> f64 {
        let reached = self.milestones.iter().filter(|milestone| **milestone <= step).count();
        decayed(self.lr, self.gamma, reached as u64)
    }
}

/// Exponential decay: `lr gamma^step`. With a `gamma` above 1 the rate grows, as in a range test, which looks for the
/// rate at which the loss diverges (Smith 2017, section 3.3, <https://arxiv.org/abs/1506.01186>).
///
/// PyTorch's `ExponentialLR`, <https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.ExponentialLR.html>.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exponential {
    /// First rate, at least 0.
    pub lr: f64,
    /// Factor of each step, at least 0.
    pub gamma: f64,
}

impl Schedule for Exponential {
    const KIND: &'static str = "exponential";

    fn check(&self) -> Result<(), InvalidSetting> {
        at_least_zero("lr", self.lr)?;
        at_least_zero("gamma", self.gamma)
    }

    fn rate(&self, step: u64) -> f64 {
        decayed(self.lr, self.gamma, step)
    }
}

/// Linear ramp from `lr start_factor` to `lr end_factor` in `total_iters` steps, constant afterwards.
///
/// PyTorch's `LinearLR`, <https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.LinearLR.html>.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinearRamp {
    /// Base rate, at least 0.
    pub lr: f64,
    /// Factor of the first rate, at least 0. Default: 1/3.
    #[serde(default = "third")]
    pub start_factor: f64,
    /// Factor of the last rate, at least 0. Default: 1.
    #[serde(default = "one")]
    pub end_factor: f64,
    /// Length of the ramp in steps, at least 1. Default: 5.
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

/// Returns the share of `steps` that is done at `step`, from 0 to 1.
fn progress(step: u64, steps: u64) -> f64 {
    step.min(steps) as f64 / steps.max(1) as f64
}

impl Schedule for LinearRamp {
    const KIND: &'static str = "linear";
    const STEPS: &'static [&'static str] = &["total_iters"];
    const LENGTH: Option<&'static str> = Some("total_iters");

    fn check(&self) -> Result<(), InvalidSetting> {
        at_least_zero("lr", self.lr)?;
        at_least_zero("start_factor", self.start_factor)?;
        at_least_zero("end_factor", self.end_factor)?;
        at_least_one("total_iters", self.total_iters)
    }

    fn rate(&self, step: u64) -> f64 {
        let rise = self.end_factor - self.start_factor;
        self.lr * (self.start_factor + rise * progress(step, self.total_iters))
    }
}

/// Polynomial decay: `lr (1 - step / total_iters)^power`, and 0 from `total_iters` on.
///
/// PyTorch's `PolynomialLR`, <https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.PolynomialLR.html>.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Polynomial {
    /// First rate, at least 0.
    pub lr: f64,
    /// Steps until the rate is 0, at least 1. Default: 5.
    #[serde(default = "five")]
    pub total_iters: u64,
    /// Exponent, at least 0. Default: 1.
    #[serde(default = "one")]
    pub power: f64,
}

impl Schedule for Polynomial {
    const KIND: &'static str = "polynomial";
    const STEPS: &'static [&'static str] = &["total_iters"];
    const LENGTH: Option<&'static str> = Some("total_iters");

    fn check(&self) -> Result<(), InvalidSetting> {
        at_least_zero("lr", self.lr)?;
        at_least_zero("power", self.power)?;
        at_least_one("total_iters", self.total_iters)
    }

    fn rate(&self, step: u64) -> f64 {
        self.lr * (1.0 - progress(step, self.total_iters)).powf(self.power)
    }
}

/// Inverse square root decay: `lr sqrt(timescale / (timescale + step))`.
///
/// With a warm-up of `timescale` steps this is the schedule of Vaswani et al. 2017, section 5.3,
/// <https://arxiv.org/abs/1706.03762>.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InverseSqrt {
    /// First rate, at least 0.
    pub lr: f64,
    /// Steps until the rate is `lr / sqrt(2)`, at least 1.
    pub timescale: u64,
}

impl Schedule for InverseSqrt {
    const KIND: &'static str = "inverse_sqrt";
    const STEPS: &'static [&'static str] = &["timescale"];

    fn check(&self) -> Result<(), InvalidSetting> {
        at_least_zero("lr", self.lr)?;
        at_least_one("timescale", self.timescale)
    }

    fn rate(&self, step: u64) -> f64 {
        let timescale = self.timescale as f64;
        self.lr * (timescale / (timescale + step as f64)).sqrt()
    }
}
