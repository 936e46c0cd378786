//! The learning rate as a pure function of the global step.

use std::fmt::Debug;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::setting::{BadSetting, at_least_zero};

/// A learning rate that depends on the step and on nothing else.
///
/// As with a [`Rule`](super::Rule), the struct is the schedule and its fields are the settings of
/// the TOML file; [`Registry::schedule`](super::Registry::schedule) makes one known by name.
pub trait Schedule: Debug + Send + Sync + Serialize + DeserializeOwned + 'static {
    /// The name under which configuration knows the schedule: `lr = { kind = "step", .. }`.
    const KIND: &'static str;

    /// Whether the settings are in range; see [`setting`](super::setting) for the usual ranges.
    ///
    /// # Errors
    /// With the first setting that is not, and what was expected of it.
    fn check(&self) -> Result<(), BadSetting> {
        Ok(())
    }

    /// The rate of the update at global step `step`, from 0.
    fn rate(&self, step: u64) -> f64;
}

/// The same rate at every step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Constant {
    /// The rate, at least 0.
    pub lr: f64,
}

impl Schedule for Constant {
    const KIND: &'static str = "constant";

    fn check(&self) -> Result<(), BadSetting> {
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
pub struct Step {
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

impl Schedule for Step {
    const KIND: &'static str = "step";

    fn check(&self) -> Result<(), BadSetting> {
        at_least_zero("lr", self.lr)?;
        at_least_zero("gamma", self.gamma)?;
        if self.step_size == 0 {
            return Err(BadSetting::new("step_size", "expected a number of at least 1, found 0"));
        }
        Ok(())
    }

    fn rate(&self, step: u64) -> f64 {
        let stairs = step / self.step_size.max(1);
        self.lr * self.gamma.powi(i32::try_from(stairs).unwrap_or(i32::MAX))
    }
}

/// A schedule of any type, as recipes hold it: made from a number or from a [`Schedule`].
///
/// ```
/// use wengert_nn::optim::{Rate, Step};
/// assert_eq!(Rate::from(0.1).at(1000), 0.1);
/// assert_eq!(Rate::from(Step { lr: 0.2, step_size: 10, gamma: 0.5 }).at(10), 0.1);
/// ```
#[derive(Clone, Debug)]
pub struct Rate {
    schedule: Arc<dyn AnySchedule>,
}

impl Rate {
    /// The rate at global step `step`, from 0.
    pub fn at(&self, step: u64) -> f64 {
        self.schedule.at(step)
    }

    /// tmp
    pub fn at_with(&self, step: u64, _: &[f64]) -> f64 {
        self.at(step)
    }
    /// tmp
    pub fn memory(&self) -> Vec<f64> {
        Vec::new()
    }
    /// tmp
    pub fn observe(&self, _: f64, _: &mut [f64]) {}

    /// The name under which configuration knows the schedule.
    pub fn kind(&self) -> &'static str {
        self.schedule.kind()
    }

    /// Every setting, the defaults spelled out, or the one that is wrong.
    pub(crate) fn settings(&self) -> Result<toml::Table, BadSetting> {
        self.schedule.settings()
    }

    /// The names of the settings, as far as they are known, in the order of their declaration.
    pub(crate) fn order(&self) -> &'static [&'static str] {
        self.schedule.order()
    }
}

impl From<f64> for Rate {
    fn from(lr: f64) -> Self {
        Constant { lr }.into()
    }
}

impl<S: Schedule> From<S> for Rate {
    fn from(schedule: S) -> Self {
        Rate { schedule: Arc::new(schedule) }
    }
}

impl PartialEq for Rate {
    fn eq(&self, other: &Self) -> bool {
        self.kind() == other.kind() && self.settings() == other.settings()
    }
}

/// A schedule with its type erased.
trait AnySchedule: Debug + Send + Sync {
    fn at(&self, step: u64) -> f64;
    fn kind(&self) -> &'static str;
    fn settings(&self) -> Result<toml::Table, BadSetting>;
    fn order(&self) -> &'static [&'static str];
}

impl<S: Schedule> AnySchedule for S {
    fn at(&self, step: u64) -> f64 {
        self.rate(step)
    }
    fn kind(&self) -> &'static str {
        S::KIND
    }
    fn settings(&self) -> Result<toml::Table, BadSetting> {
        self.check()?;
        super::fields::settings(self)
    }
    fn order(&self) -> &'static [&'static str] {
        super::fields::of::<S>().names()
    }
}
