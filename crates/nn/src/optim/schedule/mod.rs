//! Learning rates, and other settings, as functions of the step.
//!
//! A new schedule is a struct in one of these files and a line in the `list` at its top.

use std::fmt::Debug;
use std::ops::Range;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

#[cfg(wengert_mutants)]
use super::mutants;
use super::range::{InvalidSetting, at_least_zero};
use super::reflect;

mod cosine;
mod decays;
mod one_cycle;
mod plateau;

pub use cosine::*;
pub use decays::*;
pub use one_cycle::*;
pub use plateau::*;

/// Receiver of the kinds of the library's schedules: each file lists its own.
pub(crate) trait ScheduleList: Sized {
    fn schedule<S: Schedule>(self) -> Self;
}

/// Adds all schedules to `list`.
pub(crate) fn list<L: ScheduleList>(list: L) -> L {
    plateau::list(one_cycle::list(cosine::list(decays::list(list))))
}

/// A learning rate as a function of the global step and, for [`Plateau`], of a metric.
///
/// The schedule is the struct that implements the trait. Its fields are the settings of the TOML file, under
/// PyTorch's names in lower case; `lr` is the base rate, which PyTorch takes from the optimizer. PyTorch's schedulers
/// correspond to these when they are stepped after each update. [`Registry::schedule`](super::Registry::schedule)
/// adds a schedule to those that TOML may name.
///
/// ```
/// use serde::{Deserialize, Serialize};
/// use wengert_nn::optim::{InvalidSetting, Registry, Schedule, range::at_least_zero};
///
/// /// `lr / (1 + decay step)`.
/// #[derive(Debug, Serialize, Deserialize)]
/// #[serde(deny_unknown_fields)]
/// struct InverseTime {
///     lr: f64,
///     decay: f64,
/// }
///
/// impl Schedule for InverseTime {
///     const KIND: &'static str = "inverse_time";
///
///     fn check(&self) -> Result<(), InvalidSetting> {
///         at_least_zero("lr", self.lr)?;
///         at_least_zero("decay", self.decay)
///     }
///
///     fn rate(&self, step: u64) -> f64 {
///         self.lr / (1.0 + self.decay * step as f64)
///     }
/// }
///
/// let registry = Registry::default().schedule::<InverseTime>();
/// let text = "kind = 'sgd'\nlr = { kind = 'inverse_time', lr = 0.2, decay = 0.1 }";
/// assert_eq!(registry.read(text)?.lr().at(10), 0.1);
/// # Ok::<(), wengert_nn::optim::ConfigError>(())
/// ```
pub trait Schedule: Debug + Send + Sync + Serialize + DeserializeOwned + 'static {
    /// Name in configuration: `lr = { kind = "step", .. }`.
    const KIND: &'static str;

    /// Settings that count steps. In TOML they may also be shares of the training or epochs; see
    /// [`Registry::training`](super::Registry::training).
    const STEPS: &'static [&'static str] = &[];

    /// Setting that holds the length in steps, if there is one. In TOML it may also be given as
    /// `total_steps`, which includes the warm-up.
    const LENGTH: Option<&'static str> = None;

    /// Setting that describes a warm-up of the schedule itself, if there is one. Such a schedule accepts no other
    /// warm-up.
    const OWN_WARMUP: Option<&'static str> = None;

    /// Checks the ranges of the settings; see [`range`](super::range) for the usual ones.
    ///
    /// # Errors
    /// Returns an error for the first setting out of range.
    fn check(&self) -> Result<(), InvalidSetting> {
        Ok(())
    }

    /// Returns the rate of the update at global step `step`, counted from 0. A schedule that depends on
    /// a metric returns the rate before any metric was reported.
    fn rate(&self, step: u64) -> f64;

    /// Returns the initial state of a schedule that depends on a metric; empty for all others.
    fn state(&self) -> Vec<f64> {
        Vec::new()
    }

    /// Updates the state with a metric, such as the loss on held-out data.
    fn report_metric(&self, metric: f64, state: &mut [f64]) {
        let _ = (metric, state);
    }

    /// Returns the rate of the update at global step `step` for the current state.
    fn rate_after(&self, step: u64, state: &[f64]) -> f64 {
        let _ = state;
        self.rate(step)
    }
}

/// A [`Schedule`] of any type, or several joined, with an optional warm-up.
///
/// A rate is made from a number or a schedule. Two rates are equal when their kinds and settings
/// are.
///
/// ```
/// use wengert_nn::optim::{Cosine, Rate, StepDecay};
/// assert_eq!(Rate::from(0.1).at(1000), 0.1);
/// assert_eq!(Rate::from(StepDecay { lr: 0.2, step_size: 10, gamma: 0.5 }).at(10), 0.1);
/// // Ten steps of warm-up from 0.05 to 0.2, then a cosine down to 0.
/// let rate = Rate::from(Cosine { lr: 0.2, t_max: 100, eta_min: 0.0 }).warmup(10, 0.25);
/// assert_eq!((rate.at(0), rate.at(10), rate.at(110)), (0.05, 0.2, 0.0));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Rate {
    pub(crate) curve: Curve,
    pub(crate) warmup: Option<Warmup>,
}

/// A rate without its warm-up.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Curve {
    One(AnySchedule),
    Joined { milestones: Vec<u64>, pieces: Vec<Rate> },
}

/// A linear ramp before a schedule.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Warmup {
    pub(crate) steps: u64,
    pub(crate) start_factor: f64,
}

/// Kind of joined schedules in configuration.
pub(crate) const JOINED: &str = "joined";

impl Rate {
    /// Joins schedules: piece `i` runs from global step `milestones[i - 1]` on, and counts its own steps
    /// from 0.
    ///
    /// PyTorch's `SequentialLR`, <https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.SequentialLR.html>.
    ///
    /// # Panics
    /// Unless there is one milestone between each two pieces, and the milestones increase.
    #[track_caller]
    pub fn joined(milestones: impl Into<Vec<u64>>, pieces: impl Into<Vec<Rate>>) -> Self {
        match Rate::try_joined(milestones.into(), pieces.into()) {
            Ok(rate) => rate,
            Err(invalid) => panic!("joined rate: {invalid}"),
        }
    }

    pub(crate) fn try_joined(
        milestones: Vec<u64>,
        pieces: Vec<Rate>,
    ) -> Result<Self, InvalidSetting> {
        Rate::check_milestones(&milestones, pieces.len())?;
        pieces.iter().try_for_each(Rate::check)?;
        Ok(Rate { curve: Curve::Joined { milestones, pieces }, warmup: None })
    }

    /// Checks that there is one milestone between each two pieces, and that the milestones increase.
    pub(crate) fn check_milestones(
        milestones: &[u64],
        pieces: usize,
    ) -> Result<(), InvalidSetting> {
        let (found, expected) = (milestones.len(), pieces.saturating_sub(1));
        if pieces == 0 {
            return Err(InvalidSetting::new("pieces", "expected at least one, found none"));
        }
        if found != expected {
            let message = format!(
                "expected one between each two of the {pieces} pieces, so {expected}, found {found}"
            );
            return Err(InvalidSetting::new("milestones", message));
        }
        match milestones.windows(2).position(|pair| pair[0] >= pair[1]) {
            None => Ok(()),
            Some(i) => Err(InvalidSetting::new("milestones", "expected growing steps").at(i + 1)),
        }
    }

    /// Adds a linear warm-up of `steps` steps, from `start_factor` times the first rate of the schedule
    /// to that rate. The schedule counts its own steps from the end of the warm-up.
    ///
    /// Goyal et al. 2017, section 2.2, <https://arxiv.org/abs/1706.02677>.
    ///
    /// # Panics
    /// If the rate has a warm-up already, such as [`OneCycle`], or the factor is negative or not finite.
    #[must_use]
    #[track_caller]
    pub fn warmup(self, steps: u64, start_factor: f64) -> Self {
        let own = matches!(&self.curve, Curve::One(any) if any.own_warmup);
        assert!(self.warmup.is_none() && !own, "warmup: the rate has a warm-up already");
        if let Err(invalid) = at_least_zero("warmup_start_factor", start_factor) {
            panic!("{invalid}");
        }
        Rate { warmup: Some(Warmup { steps, start_factor }), ..self }
    }

    /// Returns the rate at global step `step`, counted from 0, before any metric was reported.
    pub fn at(&self, step: u64) -> f64 {
        self.at_with(step, &self.state())
    }

    /// Returns the rate at global step `step`, counted from 0, for the current state.
    pub fn at_with(&self, step: u64, state: &[f64]) -> f64 {
        match self.warmup {
            Some(Warmup { steps, start_factor }) if step < steps => {
                #[cfg(wengert_mutants)]
                let step = mutants::later::<Rate>("warmup", "inside", step);
                let progress = step as f64 / steps as f64;
                self.curve.at(0, state) * (start_factor + (1.0 - start_factor) * progress)
            }
            Some(Warmup { steps, .. }) => {
                #[cfg(wengert_mutants)]
                let step = mutants::later::<Rate>("warmup", "behind", step);
                self.curve.at(step - steps, state)
            }
            None => self.curve.at(step, state),
        }
    }

    /// Returns the initial state; see [`Schedule::state`].
    pub fn state(&self) -> Vec<f64> {
        match &self.curve {
            Curve::One(any) => any.schedule.state(),
            Curve::Joined { pieces, .. } => pieces.iter().flat_map(Rate::state).collect(),
        }
    }

    /// Returns whether the rate depends on a metric, as that of [`Plateau`] does.
    pub fn follows_a_metric(&self) -> bool {
        !self.state().is_empty()
    }

    /// Updates the state with a metric; see [`Schedule::report_metric`].
    pub fn report_metric(&self, metric: f64, state: &mut [f64]) {
        match &self.curve {
            Curve::One(any) => any.schedule.report_metric(metric, state),
            Curve::Joined { pieces, .. } => {
                parts(pieces)
                    .for_each(|(piece, part)| piece.report_metric(metric, &mut state[part]));
            }
        }
    }

    /// Returns the name of the schedule in configuration.
    pub fn kind(&self) -> &'static str {
        match &self.curve {
            Curve::One(any) => any.kind,
            Curve::Joined { .. } => JOINED,
        }
    }

    /// Checks the ranges of the settings.
    pub(crate) fn check(&self) -> Result<(), InvalidSetting> {
        match &self.curve {
            Curve::One(any) => any.settings.as_ref().map(drop).map_err(Clone::clone),
            // Checked when they were joined.
            Curve::Joined { .. } => Ok(()),
        }
    }
}

impl Curve {
    fn at(&self, step: u64, state: &[f64]) -> f64 {
        match self {
            Curve::One(any) => any.schedule.at(step, state),
            Curve::Joined { milestones, pieces } => {
                let piece = milestones.iter().filter(|milestone| **milestone <= step).count();
                let start = piece.checked_sub(1).map_or(0, |last| milestones[last]);
                #[cfg(wengert_mutants)]
                let step = mutants::later::<Rate>("joined", "step", step);
                let (piece, part) =
                    parts(pieces).nth(piece).expect("there is one piece more than milestones");
                piece.at_with(step - start, &state[part])
            }
        }
    }
}

/// Returns each piece with its range in the state of them all.
fn parts(pieces: &[Rate]) -> impl Iterator<Item = (&Rate, Range<usize>)> {
    let mut end = 0;
    pieces.iter().map(move |piece| {
        let start = end;
        end += piece.state().len();
        (piece, start..end)
    })
}

impl From<f64> for Rate {
    fn from(lr: f64) -> Self {
        Constant { lr }.into()
    }
}

impl<S: Schedule> From<S> for Rate {
    fn from(schedule: S) -> Self {
        let settings = schedule.check().and_then(|()| reflect::settings(&schedule));
        let any = AnySchedule {
            kind: S::KIND,
            settings: settings.map(Arc::new),
            order: reflect::of::<S>().names(),
            own_warmup: S::OWN_WARMUP.is_some(),
            schedule: Arc::new(schedule),
        };
        Rate { curve: Curve::One(any), warmup: None }
    }
}

/// A schedule with its type erased.
#[derive(Clone, Debug)]
pub(crate) struct AnySchedule {
    kind: &'static str,
    /// All settings, or the first that is out of range.
    pub(crate) settings: Result<Arc<toml::Table>, InvalidSetting>,
    /// Names of the settings in order of declaration.
    pub(crate) order: &'static [&'static str],
    own_warmup: bool,
    schedule: Arc<dyn ErasedSchedule>,
}

impl PartialEq for AnySchedule {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind && self.settings == other.settings
    }
}

trait ErasedSchedule: Debug + Send + Sync {
    fn at(&self, step: u64, state: &[f64]) -> f64;
    fn state(&self) -> Vec<f64>;
    fn report_metric(&self, metric: f64, state: &mut [f64]);
}

impl<S: Schedule> ErasedSchedule for S {
    fn at(&self, step: u64, state: &[f64]) -> f64 {
        #[cfg(wengert_mutants)]
        let step = mutants::later::<S>(S::KIND, "step", step);
        let rate = self.rate_after(step, state);
        #[cfg(wengert_mutants)]
        let rate = mutants::number::<S>(S::KIND, "rate", rate);
        rate
    }
    fn state(&self) -> Vec<f64> {
        Schedule::state(self)
    }
    fn report_metric(&self, metric: f64, state: &mut [f64]) {
        Schedule::report_metric(self, metric, state);
    }
}
