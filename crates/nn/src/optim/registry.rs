//! Names and what they stand for: the kinds of rules and schedules that configuration may use.

use std::collections::BTreeMap;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::Fault;
use super::fields::{self, Fields};
use super::rule::{Link, Rule};
use super::rules::{Adagrad, Adam, ClipNorm, RmsProp, Sgd, WeightDecay};
use super::schedule::{Constant, Rate, Schedule, Step};
use super::settings::{self, Settings};

/// The kinds of rules and schedules that a recipe may name.
///
/// [`Registry::default`] knows those of the library; others are added by value, there is no global
/// list. See [`Rule`] for an example.
#[derive(Clone, Debug)]
pub struct Registry {
    rules: BTreeMap<&'static str, RuleKind>,
    schedules: BTreeMap<&'static str, ScheduleKind>,
}

/// A name for a rule: the rule's own, or another one for other defaults.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RuleKind {
    make: fn(Settings<'_>) -> Result<Link, Fault>,
    pub(crate) fields: Fields,
    pub(crate) lr: f64,
    /// Settings that stand in for the rule's own defaults, as TOML.
    defaults: &'static str,
    /// The decoupled weight decay that follows the rule: AdamW's, and its default.
    pub(crate) decoupled: Option<f64>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct ScheduleKind {
    pub(crate) make: fn(Settings<'_>) -> Result<Rate, Fault>,
}

impl Default for Registry {
    fn default() -> Self {
        Registry { rules: BTreeMap::new(), schedules: BTreeMap::new() }
            .rule::<WeightDecay>()
            .rule::<ClipNorm>()
            .rule::<Sgd>()
            .rule::<Adagrad>()
            .rule::<RmsProp>()
            .rule::<Adam>()
            .also::<Sgd>("momentum", "momentum = 0.9", None)
            .also::<Sgd>("nesterov", "momentum = 0.9\nnesterov = true", None)
            .also::<Adam>("amsgrad", "amsgrad = true", None)
            .also::<Adam>("adamw", "", Some(0.01))
            .schedule::<Constant>()
            .schedule::<Step>()
    }
}

impl Registry {
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
    pub fn schedule<S: Schedule>(mut self) -> Self {
        let kind = ScheduleKind {
            make: |settings| {
                let (schedule, spans) = settings.read::<S>()?;
                let rate = Rate::from(schedule);
                rate.settings().map_err(|bad| spans.fault(&bad))?;
                Ok(rate)
            },
        };
        assert!(
            self.schedules.insert(S::KIND, kind).is_none(),
            "the schedule `{}` is registered already",
            S::KIND
        );
        self
    }

    #[track_caller]
    fn also<R: Rule>(
        mut self,
        name: &'static str,
        defaults: &'static str,
        decoupled: Option<f64>,
    ) -> Self {
        let kind = RuleKind {
            make: |settings| {
                let (rule, spans) = settings.read::<R>()?;
                Link::checked(rule).map_err(|bad| spans.fault(&bad))
            },
            fields: fields::of::<R>(),
            lr: R::LR,
            defaults,
            decoupled,
        };
        assert!(self.rules.insert(name, kind).is_none(), "the rule `{name}` is registered already");
        self
    }

    /// The kind of rule that `kind` names, at its place in the text.
    pub(crate) fn find_rule(&self, kind: &Spanned<DeValue<'_>>) -> Result<RuleKind, Fault> {
        find(&self.rules, "optimizer", kind)
    }

    /// The kind of schedule that `kind` names, at its place in the text.
    pub(crate) fn find_schedule(&self, kind: &Spanned<DeValue<'_>>) -> Result<ScheduleKind, Fault> {
        find(&self.schedules, "schedule", kind)
    }
}

fn find<K: Copy>(
    kinds: &BTreeMap<&'static str, K>,
    what: &str,
    kind: &Spanned<DeValue<'_>>,
) -> Result<K, Fault> {
    let Some(name) = kind.get_ref().as_str() else {
        return Err(settings::wrong_type("kind", kind, "a string"));
    };
    let known = || kinds.keys().copied();
    kinds.get(name).copied().ok_or_else(|| Fault::unknown(kind.span(), what, name, known()))
}

impl RuleKind {
    /// The links that these settings describe: one, or a rule and its decoupled decay.
    pub(crate) fn links(&self, mut settings: Settings<'_>) -> Result<Vec<Link>, Fault> {
        let decay = match self.decoupled {
            None => None,
            Some(default) => {
                settings.also.push("weight_decay");
                match settings.table.remove("weight_decay") {
                    Some(given) => settings::weight_decay(given)?,
                    None => Some(Link::new(WeightDecay { weight_decay: default })),
                }
            }
        };
        let defaults = DeTable::parse(self.defaults).expect("the library's own text is TOML");
        for (key, value) in defaults.into_inner() {
            // Their place in the reader's text is that of the name that implies them.
            let span = settings.span.clone();
            let key = Spanned::new(span.clone(), key.into_inner());
            settings.table.entry(key).or_insert(Spanned::new(span, value.into_inner()));
        }
        let rule = (self.make)(settings)?;
        Ok(std::iter::once(rule).chain(decay).collect())
    }
}
