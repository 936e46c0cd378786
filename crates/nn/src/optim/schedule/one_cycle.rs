//! The one-cycle schedule of rate and momentum.

use serde::{Deserialize, Serialize};

use super::cosine::half_cosine;
use super::{Schedule, ScheduleList};
use crate::optim::range::{InvalidSetting, above_zero, at_least_one, at_least_zero, unit_interval};

pub(super) fn list<L: ScheduleList>(list: L) -> L {
    list.schedule::<OneCycle>().schedule::<OneCycleMomentum>()
}

/// One-cycle schedule: up from `max_lr / div_factor` to `max_lr` in `pct_start total_steps` steps, then
/// down to `max_lr / div_factor / final_div_factor`, where it stays.
///
/// With `three_phase` the way down mirrors the way up before it goes on to the end. PyTorch's
/// `OneCycleLR`, <https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.OneCycleLR.html>,
/// whose cycle of momentum is [`OneCycleMomentum`]; Smith and Topin 2018, <https://arxiv.org/abs/1708.07120>.
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
        let first = self.max_lr / self.div_factor;
        let cycle = Cycle {
            total_steps: self.total_steps,
            pct_start: self.pct_start,
            anneal_strategy: self.anneal_strategy,
            three_phase: self.three_phase,
        };
        cycle.at(step, [first, self.max_lr, first, first / self.final_div_factor])
    }
}

/// The momentum of a one-cycle schedule: down from `max_momentum` to `base_momentum` while the rate goes up, and back
/// up while the rate goes down.
///
/// It stands in the place of a rule's `momentum` or first number of `betas`, beside a rate of [`OneCycle`] with the
/// same settings. PyTorch's `OneCycleLR` with `cycle_momentum`,
/// <https://docs.pytorch.org/docs/stable/generated/torch.optim.lr_scheduler.OneCycleLR.html>.
///
/// ```
/// use wengert_nn::optim::Recipe;
///
/// let recipe: Recipe = "
///     kind = 'adam'
///     lr = { kind = 'one_cycle', max_lr = 0.01, total_steps = 500 }
///     betas = [{ kind = 'one_cycle_momentum', total_steps = 500 }, 0.999]
/// ".parse()?;
/// let momentum = recipe.chain()[0].schedule("betas", Some(0)).unwrap();
/// assert_eq!([0, 149, 499].map(|step| momentum.at(step)), [0.95, 0.85, 0.95]);
/// # Ok::<(), wengert_nn::optim::ConfigError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OneCycleMomentum {
    /// Lowest momentum, at least 0. Default: 0.85.
    #[serde(default = "base_momentum")]
    pub base_momentum: f64,
    /// Highest momentum, at least 0: the first and the last. Default: 0.95.
    #[serde(default = "max_momentum")]
    pub max_momentum: f64,
    /// Length of the cycle in steps, at least 1.
    pub total_steps: u64,
    /// Share of the cycle in which the momentum goes down, from 0 to 1. Default: 0.3.
    #[serde(default = "way_up")]
    pub pct_start: f64,
    /// Curve between the two momenta. Default: a cosine.
    #[serde(default)]
    pub anneal_strategy: Anneal,
    /// Whether the way up mirrors the way down. Default: false.
    #[serde(default)]
    pub three_phase: bool,
}

fn base_momentum() -> f64 {
    0.85
}

fn max_momentum() -> f64 {
    0.95
}

impl Schedule for OneCycleMomentum {
    const KIND: &'static str = "one_cycle_momentum";
    const STEPS: &'static [&'static str] = &["total_steps"];
    const LENGTH: Option<&'static str> = Some("total_steps");
    const OWN_WARMUP: Option<&'static str> = Some("pct_start");

    fn check(&self) -> Result<(), InvalidSetting> {
        at_least_zero("base_momentum", self.base_momentum)?;
        at_least_zero("max_momentum", self.max_momentum)?;
        at_least_one("total_steps", self.total_steps)?;
        unit_interval("pct_start", self.pct_start)
    }

    fn rate(&self, step: u64) -> f64 {
        let cycle = Cycle {
            total_steps: self.total_steps,
            pct_start: self.pct_start,
            anneal_strategy: self.anneal_strategy,
            three_phase: self.three_phase,
        };
        let (low, high) = (self.base_momentum, self.max_momentum);
        cycle.at(step, [high, low, high, high])
    }
}

/// The phases of a cycle.
struct Cycle {
    total_steps: u64,
    pct_start: f64,
    anneal_strategy: Anneal,
    three_phase: bool,
}

impl Cycle {
    /// Returns the value at a step, given the first one, and those at the end of each of three phases. The second phase
    /// is left out unless there are three.
    fn at(&self, step: u64, [first, peak, back, last]: [f64; 4]) -> f64 {
        let (step, total) = (step as f64, self.total_steps as f64);
        // The end of each phase, computed as PyTorch does, and the value there.
        let up = (self.pct_start * total - 1.0, peak);
        let down = (2.0 * self.pct_start * total - 2.0, back);
        let end = (total - 1.0, last);
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
