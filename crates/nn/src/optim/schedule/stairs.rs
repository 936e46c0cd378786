//! Rates that are constant, or fall in stairs.

use serde::{Deserialize, Serialize};

use super::Schedule;
use crate::optim::range::{InvalidSetting, above_zero_steps, at_least_zero};

/// The same rate at every step.
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

/// `lr gamma^floor(step / step_size)`: a staircase.
///
/// PyTorch's `StepLR`, <https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.StepLR.html>,
/// stepped after each update.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepDecay {
    /// The first rate, at least 0.
    pub lr: f64,
    /// The length of a stair in steps, at least 1.
    pub step_size: u64,
    /// What each stair multiplies the rate by, at least 0; 0.1 when a file leaves it out.
    #[serde(default = "tenth")]
    pub gamma: f64,
}

fn tenth() -> f64 {
    0.1
}

impl Schedule for StepDecay {
    const KIND: &'static str = "step";

    fn check(&self) -> Result<(), InvalidSetting> {
        at_least_zero("lr", self.lr)?;
        at_least_zero("gamma", self.gamma)?;
        above_zero_steps("step_size", self.step_size)
    }

    fn rate(&self, step: u64) -> f64 {
        let stairs = step / self.step_size.max(1);
        self.lr * power(self.gamma, stairs)
    }
}

/// `gamma^n`, also for an `n` that no `i32` holds.
fn power(gamma: f64, n: u64) -> f64 {
    gamma.powi(i32::try_from(n).unwrap_or(i32::MAX))
}

/// `lr gamma^k`, with `k` the number of milestones that are reached.
///
/// PyTorch's `MultiStepLR`, <https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.MultiStepLR.html>.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MultiStep {
    /// The first rate, at least 0.
    pub lr: f64,
    /// The steps at which the rate falls, in rising order; one that is listed twice counts twice.
    pub milestones: Vec<u64>,
    /// What each of them multiplies the rate by, at least 0; 0.1 when a file leaves it out.
    #[serde(default = "tenth")]
    pub gamma: f64,
}

impl Schedule for MultiStep {
    const KIND: &'static str = "multi_step";

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
        self.lr * power(self.gamma, reached as u64)
    }
}

/// `lr gamma^step`.
///
/// PyTorch's `ExponentialLR`, <https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.ExponentialLR.html>.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exponential {
    /// The first rate, at least 0.
    pub lr: f64,
    /// What each step multiplies the rate by, from 0 to 1.
    pub gamma: f64,
}

impl Schedule for Exponential {
    const KIND: &'static str = "exponential";

    fn check(&self) -> Result<(), InvalidSetting> {
        at_least_zero("lr", self.lr)?;
        // A larger one would end in infinity.
        if (0.0..=1.0).contains(&self.gamma) {
            return Ok(());
        }
        let message = format!("expected a number from 0 to 1, found {:?}", self.gamma);
        Err(InvalidSetting::new("gamma", message))
    }

    fn rate(&self, step: u64) -> f64 {
        self.lr * power(self.gamma, step)
    }
}
