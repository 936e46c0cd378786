//! Names and what they stand for: the kinds of rules and schedules that configuration may use.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::Diagnostic;
use super::reflect::{self, Fields, Setting};
use super::rule::{Alias, Rule, Solver, TensorRule};
use super::rules::{
    Adadelta, Adagrad, Adam, Adamax, ClipNorm, ClipTensorNorm, ClipValue, Ema, Lion, Maximize,
    NAdam, RAdam, RmsProp, Sgd, WeightDecay,
};
use super::schedule::{
    Constant, Cosine, CosineWarmRestarts, Exponential, InverseSqrt, LinearRamp, MultiStep,
    OneCycle, Plateau, Polynomial, Rate, Schedule, StepDecay,
};
use super::schedule::{JOINED, read};
use super::table::{self, Settings};
use super::transform::Transform;

/// The kinds of rules and schedules that a recipe may name.
///
/// [`Registry::default`] knows those of the library; others are added by value, there is no global
/// list. See [`Rule`] for an example.
#[derive(Clone, Debug)]
pub struct Registry {
    pub(super) rules: BTreeMap<&'static str, RuleKind>,
    pub(super) schedules: BTreeMap<&'static str, ScheduleKind>,
}

/// A name for a rule: the rule's own, or another one for other defaults.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RuleKind {
    make: fn(Settings<'_>) -> Result<Vec<Transform>, Diagnostic>,
    pub(crate) fields: Fields,
    pub(crate) describe: fn() -> Vec<Setting>,
    /// Whether it takes the place of a whole chain.
    pub(crate) solver: bool,
    pub(crate) lr: f64,
    /// Settings that stand in for the rule's own defaults, as TOML.
    defaults: &'static str,
    /// The decoupled weight decay that follows the rule: AdamW's, and its default.
    pub(crate) decoupled: Option<f64>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct ScheduleKind {
    pub(crate) make: fn(&Registry, Settings<'_>) -> Result<Rate, Diagnostic>,
    pub(crate) describe: fn() -> Vec<Setting>,
    /// The setting that holds its length, if it has one.
    pub(crate) length: Option<&'static str>,
}

/// What a length is called.
const LENGTHS: [&str; 2] = ["t_max", "total_iters"];

impl Default for Registry {
    fn default() -> Self {
        Registry { rules: BTreeMap::new(), schedules: BTreeMap::new() }
            .rule::<WeightDecay>()
            .rule::<ClipNorm>()
            .rule::<ClipTensorNorm>()
            .rule::<ClipValue>()
            .rule::<Maximize>()
            .rule::<Ema>()
            .rule::<Sgd>()
            .rule::<Adagrad>()
            .rule::<RmsProp>()
            .rule::<Adadelta>()
            .rule::<Adam>()
            .rule::<Adamax>()
            .rule::<NAdam>()
            .rule::<RAdam>()
            .also::<Lion>(Lion::KIND, "", Some(0.0))
            .also::<Sgd>("momentum", "momentum = 0.9", None)
            .also::<Sgd>("nesterov", "momentum = 0.9\nnesterov = true", None)
            .also::<Adam>("amsgrad", "amsgrad = true", None)
            .also::<Adam>("adamw", "", Some(0.01))
            .schedule::<Constant>()
            .schedule::<StepDecay>()
            .schedule::<MultiStep>()
            .schedule::<Exponential>()
            .schedule::<LinearRamp>()
            .schedule::<Polynomial>()
            .schedule::<InverseSqrt>()
            .schedule::<Cosine>()
            .schedule::<CosineWarmRestarts>()
            .schedule::<OneCycle>()
            .schedule::<Plateau>()
            .insert_schedule(JOINED, read::JOINED_KIND)
    }
}

impl Registry {
    /// The names of all kinds of rules, solvers and aliases.
    pub fn rules(&self) -> impl Iterator<Item = &'static str> {
        self.rules.keys().copied()
    }

    /// The names of all kinds of schedules.
    pub fn schedules(&self) -> impl Iterator<Item = &'static str> {
        self.schedules.keys().copied()
    }

    /// Makes a rule known under its [`Rule::KIND`].
    ///
    /// # Panics
    /// When the name is taken.
    #[must_use]
    #[track_caller]
    pub fn rule<R: Rule>(self) -> Self {
        self.also::<R>(R::KIND, "", None)
    }

    /// Makes a schedule known under its [`Schedule::KIND`].
    ///
    /// # Panics
    /// When the name is taken.
    #[must_use]
    #[track_caller]
    pub fn schedule<S: Schedule>(self) -> Self {
        let kind = ScheduleKind {
            make: |_, settings| {
                settings.make(|schedule: S| {
                    schedule.check()?;
                    Ok(Rate::from(schedule))
                })
            },
            describe: reflect::describe::<S>,
            length: LENGTHS.into_iter().find(|name| reflect::of::<S>().names().contains(name)),
        };
        self.insert_schedule(S::KIND, kind)
    }

    #[track_caller]
    fn insert_schedule(mut self, name: &'static str, kind: ScheduleKind) -> Self {
        let old = self.schedules.insert(name, kind);
        assert!(old.is_none(), "the schedule `{name}` is registered already");
        self
    }

    /// Makes a rule for whole tensors known under its [`TensorRule::KIND`].
    ///
    /// # Panics
    /// When the name is taken.
    #[must_use]
    #[track_caller]
    pub fn tensor_rule<R: TensorRule>(self) -> Self {
        let make = |settings: Settings<'_>| {
            settings.make(|rule: R| Ok(vec![Transform::tensor_rule(rule)?]))
        };
        self.insert(R::KIND, RuleKind { lr: R::LR, ..RuleKind::new::<R>(make) })
    }

    /// Makes a solver known under its [`Solver::KIND`].
    ///
    /// # Panics
    /// When the name is taken.
    #[must_use]
    #[track_caller]
    pub fn solver<M: Solver>(self) -> Self {
        let make =
            |settings: Settings<'_>| settings.make(|rule: M| Ok(vec![Transform::solver(rule)?]));
        self.insert(M::KIND, RuleKind { lr: M::LR, solver: true, ..RuleKind::new::<M>(make) })
    }

    /// Makes a name for several transforms known under its [`Alias::KIND`].
    ///
    /// # Panics
    /// When the name is taken.
    #[must_use]
    #[track_caller]
    pub fn alias<C: Alias>(self) -> Self {
        let make = |settings: Settings<'_>| settings.make(C::transforms);
        self.insert(C::KIND, RuleKind { lr: C::LR, ..RuleKind::new::<C>(make) })
    }

    #[track_caller]
    fn also<R: Rule>(
        self,
        name: &'static str,
        defaults: &'static str,
        decoupled: Option<f64>,
    ) -> Self {
        let make =
            |settings: Settings<'_>| settings.make(|rule: R| Ok(vec![Transform::rule(rule)?]));
        self.insert(name, RuleKind { lr: R::LR, defaults, decoupled, ..RuleKind::new::<R>(make) })
    }

    #[track_caller]
    fn insert(mut self, name: &'static str, kind: RuleKind) -> Self {
        assert!(self.rules.insert(name, kind).is_none(), "the rule `{name}` is registered already");
        self
    }

    /// The kind of rule that `kind` names, at its place in the text.
    pub(crate) fn find_rule(&self, kind: &Spanned<DeValue<'_>>) -> Result<RuleKind, Diagnostic> {
        find(&self.rules, "optimizer", kind)
    }

    /// The kind of schedule that `kind` names, at its place in the text.
    pub(crate) fn find_schedule(
        &self,
        kind: &Spanned<DeValue<'_>>,
    ) -> Result<ScheduleKind, Diagnostic> {
        find(&self.schedules, "schedule", kind)
    }
}

fn find<K: Copy>(
    kinds: &BTreeMap<&'static str, K>,
    what: &str,
    kind: &Spanned<DeValue<'_>>,
) -> Result<K, Diagnostic> {
    let Some(name) = kind.get_ref().as_str() else {
        return Err(table::wrong_type("kind", kind, "a string"));
    };
    let known = || kinds.keys().copied();
    kinds.get(name).copied().ok_or_else(|| Diagnostic::unknown(kind.span(), what, name, known()))
}

impl RuleKind {
    fn new<T: DeserializeOwned>(
        make: fn(Settings<'_>) -> Result<Vec<Transform>, Diagnostic>,
    ) -> Self {
        let (fields, describe) = (reflect::of::<T>(), reflect::describe::<T>);
        RuleKind { make, fields, describe, solver: false, lr: 0.0, defaults: "", decoupled: None }
    }

    /// The transforms that these settings of a chain describe: those of the rule, and its decoupled decay.
    pub(crate) fn transforms(
        &self,
        mut settings: Settings<'_>,
    ) -> Result<Vec<Transform>, Diagnostic> {
        let decay = match self.decoupled {
            None => None,
            Some(default) => {
                settings.also.push("weight_decay");
                match settings.table.remove("weight_decay") {
                    Some(given) => table::weight_decay(given)?,
                    None => RuleKind::decay(default),
                }
            }
        };
        Ok(self.rule(settings)?.into_iter().chain(decay).collect())
    }

    /// The transforms of the rule alone.
    pub(crate) fn rule(&self, mut settings: Settings<'_>) -> Result<Vec<Transform>, Diagnostic> {
        let defaults = DeTable::parse(self.defaults).expect("the library's own text is TOML");
        for (key, value) in defaults.into_inner() {
            // Their place in the reader's text is that of the name that implies them.
            let span = settings.span.clone();
            let key = Spanned::new(span.clone(), key.into_inner());
            settings.table.entry(key).or_insert(Spanned::new(span, value.into_inner()));
        }
        (self.make)(settings)
    }

    /// A weight decay that was not written, if it is not 0.
    pub(crate) fn decay(weight_decay: f64) -> Option<Transform> {
        (weight_decay != 0.0).then(|| Transform::new(WeightDecay { weight_decay }))
    }
}
