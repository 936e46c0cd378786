//! Names of rules and schedules, and their types.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::shared::renamed;
use super::table::{Table, wrong_type};
use crate::optim::error::Diagnostic;
use crate::optim::reflect::{self, Fields, Setting};
use crate::optim::rule::{Rule, Solver, TensorRule};
use crate::optim::rules;
use crate::optim::schedule::{self, JOINED, Rate, Schedule, ScheduleList};
use crate::optim::transform::{Alias, RuleList, Transform};

/// Kinds of rules and schedules that a TOML recipe may name.
///
/// [`Registry::default`] holds the kinds of the library. Other kinds are added to a registry value;
/// there is no global registry.
///
/// ```
/// # use serde::{Deserialize, Serialize};
/// # use wengert_core::Float;
/// # use wengert_nn::optim::{Elements, MapProof, Registry, Rule, StepContext};
/// /// `u = sign(g)`.
/// #[derive(Debug, Serialize, Deserialize)]
/// #[serde(deny_unknown_fields)]
/// struct SignDescent {}
///
/// impl Rule for SignDescent {
///     const KIND: &'static str = "sign_descent";
///
///     fn apply<F: Float>(&self, _: StepContext, elements: Elements<'_, F>) -> MapProof {
///         elements.map(|g, _, []| (if g == F::ZERO { g } else { g / g.abs() }, []))
///     }
/// }
///
/// let registry = Registry::default().rule::<SignDescent>();
/// let recipe = registry.read("kind = 'sign_descent'\nlr = 0.1")?;
/// assert_eq!(recipe.chain()[0].kind(), "sign_descent");
///
/// // Settings from a command line replace those of the text.
/// let recipe = registry.overridden(&["lr=0.5"]).read("kind = 'sign_descent'\nlr = 0.1")?;
/// assert_eq!(recipe.lr().at(0), 0.5);
/// # Ok::<(), wengert_nn::optim::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Registry {
    pub(super) rules: BTreeMap<&'static str, RuleKind>,
    pub(super) schedules: BTreeMap<&'static str, ScheduleKind>,
    pub(super) overrides: Vec<String>,
}

/// A name for a rule, solver or alias.
#[derive(Clone, Copy, Debug)]
pub(super) struct RuleKind {
    make: fn(Table<'_>) -> Result<Vec<Transform>, Diagnostic>,
    pub(super) fields: Fields,
    pub(super) describe: fn() -> Vec<Setting>,
    /// Whether it takes the place of a whole chain.
    pub(super) solver: bool,
    pub(super) lr: f64,
    /// Defaults that differ from those of the struct, as TOML.
    defaults: &'static str,
}

/// A name for a schedule.
#[derive(Clone, Copy, Debug)]
pub(super) enum ScheduleKind {
    /// A schedule that is a struct.
    One {
        /// Makes the rate, of this length if one is given.
        make: fn(Table<'_>, Option<u64>) -> Result<Rate, Diagnostic>,
        describe: fn() -> Vec<Setting>,
        /// See [`Schedule::LENGTH`].
        length: Option<&'static str>,
    },
    /// Several rates, one after the other.
    Joined,
}

impl Default for Registry {
    fn default() -> Self {
        let empty = Registry {
            rules: BTreeMap::new(),
            schedules: BTreeMap::from([(JOINED, ScheduleKind::Joined)]),
            overrides: Vec::new(),
        };
        schedule::list(rules::list(empty))
    }
}

impl Registry {
    /// Returns the names of all rules, solvers and aliases.
    pub fn rules(&self) -> impl Iterator<Item = &'static str> {
        self.rules.keys().copied()
    }

    /// Returns the names of all schedules.
    pub fn schedules(&self) -> impl Iterator<Item = &'static str> {
        self.schedules.keys().copied()
    }

    /// Adds a rule under its [`Rule::KIND`].
    ///
    /// # Panics
    /// If the name is taken.
    #[must_use]
    #[track_caller]
    pub fn rule<R: Rule>(self) -> Self {
        self.variant::<R>(R::KIND, "")
    }

    /// Adds a rule for whole tensors under its [`TensorRule::KIND`].
    ///
    /// # Panics
    /// If the name is taken.
    #[must_use]
    #[track_caller]
    pub fn tensor_rule<R: TensorRule>(self) -> Self {
        let make = |table: Table<'_>| table.make(|rule: R| Ok(vec![Transform::tensor_rule(rule)?]));
        self.insert(R::KIND, RuleKind { lr: R::LR, ..RuleKind::new::<R>(make) })
    }

    /// Adds a solver under its [`Solver::KIND`].
    ///
    /// # Panics
    /// If the name is taken.
    #[must_use]
    #[track_caller]
    pub fn solver<S: Solver>(self) -> Self {
        let make = |table: Table<'_>| table.make(|solver: S| Ok(vec![Transform::solver(solver)?]));
        self.insert(S::KIND, RuleKind { lr: S::LR, solver: true, ..RuleKind::new::<S>(make) })
    }

    /// Adds an alias under its [`Alias::KIND`].
    ///
    /// # Panics
    /// If the name is taken.
    #[must_use]
    #[track_caller]
    pub fn alias<A: Alias>(self) -> Self {
        let make = |table: Table<'_>| table.make(A::transforms);
        self.insert(A::KIND, RuleKind { lr: A::LR, ..RuleKind::new::<A>(make) })
    }

    /// Adds a schedule under its [`Schedule::KIND`].
    ///
    /// # Panics
    /// If the name is taken.
    #[must_use]
    #[track_caller]
    pub fn schedule<S: Schedule>(mut self) -> Self {
        let kind = ScheduleKind::One {
            make: |table, length| {
                table.make(|schedule: S| {
                    let schedule = match length {
                        Some(steps) => schedule.lasting(steps),
                        None => schedule,
                    };
                    schedule.check()?;
                    Ok(Rate::from(schedule))
                })
            },
            describe: reflect::describe::<S>,
            length: S::LENGTH,
        };
        let old = self.schedules.insert(S::KIND, kind);
        assert!(old.is_none(), "the schedule `{}` is registered already", S::KIND);
        self
    }

    /// Sets overrides, for example from a command line. They replace settings in every text that this registry reads:
    /// `optimizer.lr=0.01`, `optimizer.groups.0.frozen=true`, `optimizer.kind=sgd`. The prefix `optimizer.` is
    /// optional, and so are the quotes of a word. Later overrides win.
    ///
    /// Overrides pass through the same checks as the text; an error quotes the override.
    #[must_use]
    pub fn overridden(mut self, overrides: &[impl AsRef<str>]) -> Self {
        self.overrides.extend(overrides.iter().map(|text| text.as_ref().to_owned()));
        self
    }

    #[track_caller]
    fn insert(mut self, name: &'static str, kind: RuleKind) -> Self {
        assert!(self.rules.insert(name, kind).is_none(), "the rule `{name}` is registered already");
        self
    }

    /// Returns the rule that `kind` names.
    pub(super) fn find_rule(&self, kind: &Spanned<DeValue<'_>>) -> Result<RuleKind, Diagnostic> {
        find(&self.rules, "optimizer", kind)
    }

    /// Returns the schedule that `kind` names.
    pub(super) fn find_schedule(
        &self,
        kind: &Spanned<DeValue<'_>>,
    ) -> Result<ScheduleKind, Diagnostic> {
        find(&self.schedules, "schedule", kind)
    }
}

impl RuleList for Registry {
    #[track_caller]
    fn variant<R: Rule>(self, name: &'static str, defaults: &'static str) -> Self {
        let make = |table: Table<'_>| table.make(|rule: R| Ok(vec![Transform::rule(rule)?]));
        self.insert(name, RuleKind { lr: R::LR, defaults, ..RuleKind::new::<R>(make) })
    }
    fn alias<A: Alias>(self) -> Self {
        self.alias::<A>()
    }
}

impl ScheduleList for Registry {
    fn schedule<S: Schedule>(self) -> Self {
        self.schedule::<S>()
    }
}

fn find<K: Copy>(
    kinds: &BTreeMap<&'static str, K>,
    what: &str,
    kind: &Spanned<DeValue<'_>>,
) -> Result<K, Diagnostic> {
    let Some(name) = kind.get_ref().as_str() else {
        return Err(wrong_type("kind", kind, "a string"));
    };
    let found = kinds.get(name).or_else(|| kinds.get(renamed(name)?));
    let valid = || kinds.keys().copied();
    found.copied().ok_or_else(|| Diagnostic::unknown(kind.span(), what, name, valid()))
}

impl RuleKind {
    fn new<T: DeserializeOwned>(make: fn(Table<'_>) -> Result<Vec<Transform>, Diagnostic>) -> Self {
        let (fields, describe) = (reflect::of::<T>(), reflect::describe::<T>);
        RuleKind { make, fields, describe, solver: false, lr: 0.0, defaults: "" }
    }

    /// Returns the transforms for these settings.
    pub(super) fn transforms(&self, mut table: Table<'_>) -> Result<Vec<Transform>, Diagnostic> {
        let defaults = DeTable::parse(self.defaults).expect("defaults of the library are TOML");
        for (key, value) in defaults.into_inner() {
            // A mistake with a default is blamed on the kind that implies it.
            let span = table.span.clone();
            let key = Spanned::new(span.clone(), key.into_inner());
            table.entries.entry(key).or_insert(Spanned::new(span, value.into_inner()));
        }
        (self.make)(table)
    }
}
