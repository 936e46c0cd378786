//! The learning rate as a pure function of the global step.

use std::fmt::{self, Debug};
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::print;
use super::range::InvalidSetting;

mod cosine;
mod decays;
mod joined;
mod plateau;
pub(crate) mod read;
mod stairs;

pub use cosine::{Anneal, Cosine, CosineWarmRestarts, OneCycle};
pub use decays::{InverseSqrt, LinearRamp, Polynomial};
pub use plateau::{Plateau, PlateauMode, ThresholdMode};
pub use stairs::{Constant, Exponential, MultiStep, StepDecay};

pub(crate) use joined::JOINED;
use joined::Joined;

/// A learning rate that depends on the step and on nothing else; or, of a few, on a metric besides.
///
/// As with a [`Rule`](super::Rule), the struct is the schedule and its fields are the settings of
/// the TOML file; [`Registry::schedule`](super::Registry::schedule) makes one known by name.
///
/// PyTorch's names stand for the settings, in small letters. `lr` is the base rate, which PyTorch
/// takes from the optimizer. Schedulers there are stepped after each update, as they are here.
pub trait Schedule: Debug + Send + Sync + Serialize + DeserializeOwned + 'static {
    /// The name under which configuration knows the schedule: `lr = { kind = "step", .. }`.
    const KIND: &'static str;

    /// Whether the settings are in range; see [`setting`](super::range) for the usual ranges.
    ///
    /// # Errors
    /// With the first setting that is not, and what was expected of it.
    fn check(&self) -> Result<(), InvalidSetting> {
        Ok(())
    }

    /// The rate of the update at global step `step`, from 0. For a schedule that looks at a metric: as
    /// long as it has seen none.
    fn rate(&self, step: u64) -> f64;

    /// What a schedule remembers that looks at a metric: numbers, with their first values. Most look
    /// at none.
    fn state(&self) -> Vec<f64> {
        Vec::new()
    }

    /// Takes a metric in, such as the loss on held-out data.
    fn report_metric(&self, metric: f64, state: &mut [f64]) {
        let _ = (metric, state);
    }

    /// The rate of the update at global step `step` after what was observed.
    fn rate_after(&self, step: u64, state: &[f64]) -> f64 {
        let _ = state;
        self.rate(step)
    }
}

/// A schedule of any type, as recipes hold it: made from a number or from a [`Schedule`], with a
/// warm-up before it if one is wanted.
///
/// ```
/// use wengert_nn::optim::{Cosine, Rate, StepDecay};
/// assert_eq!(Rate::from(0.1).at(1000), 0.1);
/// assert_eq!(Rate::from(StepDecay { lr: 0.2, step_size: 10, gamma: 0.5 }).at(10), 0.1);
/// // From a quarter up to 0.2 in ten steps, then down along a cosine.
/// let rate = Rate::from(Cosine { lr: 0.2, t_max: 100, eta_min: 0.0 }).warmup(10, 0.25);
/// assert_eq!((rate.at(0), rate.at(10), rate.at(110)), (0.05, 0.2, 0.0));
/// ```
#[derive(Clone, Debug)]
pub struct Rate {
    schedule: Arc<dyn AnySchedule>,
    warmup: Option<Warmup>,
}

/// A linear ramp before a schedule.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Warmup {
    pub(crate) steps: u64,
    pub(crate) start_factor: f64,
}

impl Rate {
    /// Schedules one after the other: the piece number `i` begins, with its own step 0, at the global
    /// step `milestones[i - 1]`.
    ///
    /// PyTorch's `SequentialLR`, <https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.SequentialLR.html>.
    ///
    /// # Panics
    /// If there is not one milestone between each two pieces, or they do not grow.
    #[track_caller]
    pub fn joined(milestones: impl Into<Vec<u64>>, pieces: impl Into<Vec<Rate>>) -> Self {
        let joined = Joined { milestones: milestones.into(), pieces: pieces.into() };
        if let Err(bad) = joined.check() {
            panic!("joined rate: {bad}");
        }
        Rate::of(joined)
    }

    /// This rate after a warm-up of `steps` steps, from `start_factor` times its first rate, along a
    /// line, up to that. Then it begins, with its own step 0.
    ///
    /// Goyal et al. 2017, section 2.2, <https://arxiv.org/abs/1706.02677>.
    ///
    /// # Panics
    /// If there is a warm-up already, or the factor is negative or not finite.
    #[must_use]
    #[track_caller]
    pub fn warmup(self, steps: u64, start_factor: f64) -> Self {
        assert!(self.warmup.is_none(), "warmup: the rate has a warm-up already");
        if let Err(bad) = super::range::at_least_zero("warmup_start_factor", start_factor) {
            panic!("{bad}");
        }
        Rate { warmup: Some(Warmup { steps, start_factor }), ..self }
    }

    fn of(schedule: impl AnySchedule + 'static) -> Self {
        Rate { schedule: Arc::new(schedule), warmup: None }
    }

    /// The rate at global step `step`, from 0, as long as no metric was observed.
    pub fn at(&self, step: u64) -> f64 {
        self.at_with(step, &self.state())
    }

    /// The rate at global step `step`, from 0, after what was observed.
    pub fn at_with(&self, step: u64, state: &[f64]) -> f64 {
        match self.warmup {
            Some(Warmup { steps, start_factor }) if step < steps => {
                let along = step as f64 / steps as f64;
                self.schedule.at(0, state) * (start_factor + (1.0 - start_factor) * along)
            }
            Some(Warmup { steps, .. }) => self.schedule.at(step - steps, state),
            None => self.schedule.at(step, state),
        }
    }

    /// What the schedule remembers at first; see [`Schedule::state`].
    pub fn state(&self) -> Vec<f64> {
        self.schedule.state()
    }

    /// Takes a metric in; see [`Schedule::report_metric`].
    pub fn report_metric(&self, metric: f64, state: &mut [f64]) {
        self.schedule.report_metric(metric, state);
    }

    /// The name under which configuration knows the schedule.
    pub fn kind(&self) -> &'static str {
        self.schedule.kind()
    }

    /// The setting that is wrong, if one is.
    pub(crate) fn check(&self) -> Result<(), InvalidSetting> {
        self.text().map(drop)
    }

    /// The rate as TOML: a number, or a table on one line with every default spelled out.
    fn text(&self) -> Result<String, InvalidSetting> {
        let mut settings = self.schedule.text()?;
        match (&self.warmup, self.kind()) {
            (None, Constant::KIND) => return Ok(settings[0].1.clone()),
            (None, _) => {}
            (Some(Warmup { steps, start_factor }), _) => {
                settings.push(("warmup_steps".into(), steps.to_string()));
                settings.push(("warmup_start_factor".into(), format!("{start_factor:?}")));
            }
        }
        let entries =
            settings.iter().map(|(key, value)| format!(", {} = {value}", print::quoted(key)));
        Ok(format!("{{ kind = \"{}\"{} }}", self.kind(), entries.collect::<String>()))
    }
}

impl From<f64> for Rate {
    fn from(lr: f64) -> Self {
        Constant { lr }.into()
    }
}

impl<S: Schedule> From<S> for Rate {
    fn from(schedule: S) -> Self {
        Rate::of(schedule)
    }
}

impl PartialEq for Rate {
    fn eq(&self, other: &Self) -> bool {
        self.text() == other.text()
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text().map_err(|_| fmt::Error)?)
    }
}

/// A schedule with its type erased.
trait AnySchedule: Debug + Send + Sync {
    fn at(&self, step: u64, state: &[f64]) -> f64;
    fn state(&self) -> Vec<f64>;
    fn report_metric(&self, metric: f64, state: &mut [f64]);
    fn kind(&self) -> &'static str;
    /// The settings, each as TOML, in the order of their declaration; or the one that is wrong.
    fn text(&self) -> Result<Vec<(String, String)>, InvalidSetting>;
}

impl<S: Schedule> AnySchedule for S {
    fn at(&self, step: u64, state: &[f64]) -> f64 {
        self.rate_after(step, state)
    }
    fn state(&self) -> Vec<f64> {
        Schedule::state(self)
    }
    fn report_metric(&self, metric: f64, state: &mut [f64]) {
        Schedule::report_metric(self, metric, state);
    }
    fn kind(&self) -> &'static str {
        S::KIND
    }
    fn text(&self) -> Result<Vec<(String, String)>, InvalidSetting> {
        self.check()?;
        let (settings, order) =
            (super::reflect::settings(self)?, super::reflect::of::<S>().names());
        let entry = |(key, value): (&String, _)| (key.clone(), print::written(value));
        Ok(print::ordered(&settings, order).map(entry).collect())
    }
}
