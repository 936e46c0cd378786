//! Settings that follow schedules, in transforms and chains.
//!
//! A rule knows nothing of this: before a step its struct is read anew from its settings, through serde as when a text
//! is read, with the numbers of that step.

use std::sync::Arc;

use wengert_core::Float;

use super::chain::Chain;
use super::range::InvalidSetting;
use super::schedule::{Constant, Rate, Schedule};
use super::scheduled::{ALMOST_ZERO, Resolved, ScheduledSetting, put};
use super::transform::{Transform, accepted};
use super::value::Value;

/// The steps at which a new schedule is checked: 0, and the powers of 2 up to this one.
const CHECKED: u32 = 10;

impl Transform {
    /// Lets a numeric setting follow a schedule: `momentum`, or `betas.0` for the first number of a list.
    ///
    /// The schedule's own settings have their usual names: the `lr` of a [`Cosine`](super::Cosine) is the value at
    /// which the setting begins.
    ///
    /// ```
    /// use wengert_nn::optim::{Cosine, Plan, Recipe, Sgd, Transform, WeightDecay};
    ///
    /// let decay = Transform::new(WeightDecay { weight_decay: 0.1 });
    /// let decay = decay.scheduled("weight_decay", Cosine { lr: 0.1, t_max: 1000, eta_min: 0.0 });
    /// let recipe = Recipe::from(Plan::new(0.01, Sgd::default()).then_transform(decay));
    /// let in_toml = "
    ///     kind = 'sgd'
    ///     lr = 0.01
    ///     decoupled_weight_decay = true
    ///     weight_decay = { kind = 'cosine', lr = 0.1, t_max = 1000 }
    /// ";
    /// assert_eq!(recipe, in_toml.parse()?);
    /// # Ok::<(), wengert_nn::optim::ConfigError>(())
    /// ```
    ///
    /// # Panics
    /// If there is no such number, the schedule follows a metric, a value is out of range, or the transform is a
    /// solver.
    #[must_use]
    #[track_caller]
    pub fn scheduled(self, setting: &str, rate: impl Into<Rate>) -> Self {
        let (name, index) = match setting.split_once('.') {
            Some((name, index)) => (name, index.parse().ok()),
            None => (setting, None),
        };
        let found = self.order().iter().copied().find(|own| *own == name);
        let Some(name) = found.filter(|name| self.number(name, index).is_some()) else {
            panic!("{}: no number among the settings is called `{setting}`", self.kind());
        };
        let kind = self.kind();
        accepted(kind, self.with_schedule(ScheduledSetting { name, index, rate: rate.into() }))
    }

    /// Lets a number follow a schedule. The setting must be there.
    pub(crate) fn with_schedule(mut self, new: ScheduledSetting) -> Result<Self, InvalidSetting> {
        let ScheduledSetting { name, index, rate } = &new;
        let name = *name;
        rate.check()?;
        if rate.follows_a_metric() {
            let message = format!("expected a schedule of the step alone, found `{}`", rate.kind());
            return Err(InvalidSetting::new(name, message));
        }
        if self.is_solver() {
            return Err(InvalidSetting::new(name, "expected a number, as for any solver"));
        }
        let settings = Arc::make_mut(&mut self.settings);
        if let Some(number) = number_in(settings, name, *index) {
            *number = toml::Value::Float(rate.at(0));
        }
        let is_constant = rate.warmup.is_none() && rate.kind() == Constant::KIND;
        self.scheduled.retain(|old| (old.name, old.index) != (name, *index));
        if !is_constant {
            self.scheduled.push(new);
        }
        let first = self.first();
        self.single = self.single.with(&first)?;
        self.double = self.double.with(&first)?;
        let mut chain = Chain::<f32>::unresolved(std::slice::from_ref(&self));
        let steps = [0].into_iter().chain((0..=CHECKED).map(|power| 1 << power));
        for step in steps {
            // What grows or decays without end soon becomes infinite, or 0 by rounding: no training goes that far.
            let within = |scheduled: &ScheduledSetting| {
                let value = scheduled.rate.at(step);
                value == 0.0 || (1e-100..1e100).contains(&value)
            };
            if step > 0 && !self.scheduled.iter().all(within) {
                break;
            }
            chain.try_set_step(step).map_err(|(_, invalid)| invalid)?;
        }
        Ok(self)
    }

    /// Returns the settings at step 0, with every number that follows a schedule above 0: they decide of the state.
    pub(super) fn first(&self) -> Value {
        let mut first = Value::of_toml(&self.settings);
        put(&mut first, &self.scheduled, 0, ALMOST_ZERO);
        first
    }

    /// Returns the schedule that a setting, or number `index` of a list, follows.
    pub fn schedule(&self, setting: &str, index: Option<usize>) -> Option<&Rate> {
        let is_it = |own: &&ScheduledSetting| (own.name, own.index) == (setting, index);
        self.scheduled.iter().find(is_it).map(|own| &own.rate)
    }

    /// Returns the value of a setting, or of number `index` of a list, if it is a number with a fraction.
    pub(crate) fn number(&self, name: &str, index: Option<usize>) -> Option<f64> {
        match (self.settings().get(name)?, index) {
            (toml::Value::Float(number), None) => Some(*number),
            (toml::Value::Array(numbers), Some(index)) => numbers.get(index)?.as_float(),
            _ => None,
        }
    }
}

fn number_in<'a>(
    settings: &'a mut toml::Table,
    name: &str,
    index: Option<usize>,
) -> Option<&'a mut toml::Value> {
    match index {
        None => settings.get_mut(name),
        Some(index) => settings.get_mut(name)?.as_array_mut()?.get_mut(index),
    }
}

impl<F: Float> Chain<F> {
    /// Sets the settings that follow schedules to their values at global step `step`, counted from 0. Allocates
    /// nothing.
    ///
    /// [`Optimizer`](super::Optimizer) does so before each step. A new chain has the settings of step 0.
    ///
    /// # Panics
    /// If a value is out of range.
    #[track_caller]
    pub fn set_step(&mut self, step: u64) {
        if let Err(invalid) = self.try_set_step(step) {
            panic!("optimizer chain: {}", self.out_of_range(&invalid));
        }
    }

    /// Sets the settings to those of `step`. An error names the transform by its index.
    pub(super) fn try_set_step(&mut self, step: u64) -> Result<(), (usize, InvalidSetting)> {
        if self.step == Some(step) {
            return Ok(());
        }
        for Resolved { entry, settings, scheduled } in &mut self.resolved {
            let body = &mut self.entries[*entry].body;
            let invalid = |invalid: InvalidSetting| (*entry, invalid.at_step(step));
            let has_zero = put(settings, scheduled, step, 0.0);
            if !body.set(settings).map_err(invalid)? && has_zero {
                put(settings, scheduled, step, ALMOST_ZERO);
                body.set(settings).map_err(invalid)?;
            }
            body.check().map_err(invalid)?;
        }
        self.step = Some(step);
        Ok(())
    }

    /// Returns the message about a setting of one of the transforms.
    pub(super) fn out_of_range(&self, (entry, invalid): &(usize, InvalidSetting)) -> String {
        format!("{}: {invalid}", self.entries[*entry].name)
    }
}
