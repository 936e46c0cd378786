//! Names of rules and schedules, and their types.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;

use super::settings::{ReadRate, take_schedules};
use super::shared::renamed;
use super::table::Table;
use crate::optim::asked::Fields;
use crate::optim::error::Diagnostic;
use crate::optim::reflect::{self, Setting};
use crate::optim::rule::{Rule, Solver, TensorRule};
use crate::optim::rules;
use crate::optim::schedule::{self, JOINED, Rate, Schedule, ScheduleList};
use crate::optim::transform::{Alias, RuleList, Transform};
use crate::optim::value::{Data, Entries, Key, Value};

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
    /// Epochs of the training, and batches of an epoch.
    pub(super) training: Option<(u64, u64)>,
    /// Keys at top level that belong to the program; if `None`, any unknown one may.
    pub(super) program_keys: Option<Vec<String>>,
}

/// A name for a rule, solver or alias.
#[derive(Clone, Copy, Debug)]
pub(super) struct RuleKind {
    make: fn(Table) -> Result<Vec<Transform>, Diagnostic>,
    pub(super) fields: Fields,
    pub(super) describe: fn() -> Vec<Setting>,
    /// Returns the field that a name stands for.
    field_of: fn(&str) -> Option<&'static str>,
    /// Whether it takes the place of a whole chain.
    pub(super) solver: bool,
    pub(super) lr: f64,
    /// Defaults that differ from those of the struct, as TOML.
    defaults: &'static str,
}

/// A name for a schedule.
#[derive(Clone, Copy, Debug)]
pub(super) enum ScheduleKind {
    One(OneSchedule),
    /// Several rates, one after the other.
    Joined,
}

/// A schedule that is a struct.
#[derive(Clone, Copy, Debug)]
pub(super) struct OneSchedule {
    pub(super) kind: &'static str,
    pub(super) make: fn(Table) -> Result<Rate, Diagnostic>,
    pub(super) fields: Fields,
    pub(super) describe: fn() -> Vec<Setting>,
    /// Returns the field that a name stands for.
    pub(super) field_of: fn(&str) -> Option<&'static str>,
    /// See [`Schedule::STEPS`].
    pub(super) steps: &'static [&'static str],
    /// See [`Schedule::LENGTH`].
    pub(super) length: Option<&'static str>,
    /// See [`Schedule::OWN_WARMUP`].
    pub(super) own_warmup: Option<&'static str>,
}

impl OneSchedule {
    /// Returns whether a setting has no default.
    pub(super) fn needs(&self, name: &str) -> bool {
        (self.describe)().iter().any(|setting| setting.provides == Some(name))
    }
}

impl Default for Registry {
    fn default() -> Self {
        let empty = Registry {
            rules: BTreeMap::new(),
            schedules: BTreeMap::from([(JOINED, ScheduleKind::Joined)]),
            overrides: Vec::new(),
            training: None,
            program_keys: None,
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
        let make = |table: Table| table.make(|rule: R| Ok(vec![Transform::tensor_rule(rule)?]));
        self.insert(R::KIND, RuleKind { lr: R::LR, ..RuleKind::new::<R>(make) })
    }

    /// Adds a solver under its [`Solver::KIND`].
    ///
    /// # Panics
    /// If the name is taken.
    #[must_use]
    #[track_caller]
    pub fn solver<S: Solver>(self) -> Self {
        let make = |table: Table| table.make(|solver: S| Ok(vec![Transform::solver(solver)?]));
        self.insert(S::KIND, RuleKind { lr: S::LR, solver: true, ..RuleKind::new::<S>(make) })
    }

    /// Adds an alias under its [`Alias::KIND`].
    ///
    /// # Panics
    /// If the name is taken.
    #[must_use]
    #[track_caller]
    pub fn alias<A: Alias>(self) -> Self {
        let make = |table: Table| table.make(A::transforms);
        self.insert(A::KIND, RuleKind { lr: A::LR, ..RuleKind::new::<A>(make) })
    }

    /// Adds a schedule under its [`Schedule::KIND`].
    ///
    /// # Panics
    /// If the name is taken.
    #[must_use]
    #[track_caller]
    pub fn schedule<S: Schedule>(mut self) -> Self {
        let kind = ScheduleKind::One(OneSchedule {
            kind: S::KIND,
            make: |table| {
                table.make(|schedule: S| {
                    schedule.check()?;
                    Ok(Rate::from(schedule))
                })
            },
            fields: reflect::of::<S>(),
            describe: reflect::describe::<S>,
            field_of: reflect::field_of::<S>,
            steps: S::STEPS,
            length: S::LENGTH,
            own_warmup: S::OWN_WARMUP,
        });
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

    /// Sets the length of the training: `epochs` passes over `batches` batches, with a call of
    /// [`Optimizer::step`](super::super::Optimizer::step) for each batch. A loop without epochs has one.
    ///
    /// Every number of steps in a schedule may then be a share of the training or a number of epochs. A schedule whose
    /// length is required, such as [`Cosine`](super::super::Cosine), lasts for the whole training if the text gives no
    /// length; a piece of several lasts until the next begins. A step takes several batches if the text sets `accumulate`.
    ///
    /// ```
    /// use wengert_nn::optim::{ConfigError, Registry};
    ///
    /// let (epochs, batches) = (20, 50);
    /// let registry = Registry::default().training(epochs, batches);
    /// let recipe = registry.read("
    ///     kind = 'adam'
    ///     lr = { kind = 'cosine', peak = 1e-3, warmup_steps = '10%' }
    /// ")?;
    /// let in_steps = "{ kind = \"cosine\", lr = 0.001, t_max = 900, eta_min = 0.0, warmup_steps = 100, \
    ///                 warmup_start_factor = 0.0 }";
    /// assert_eq!(recipe.lr().to_string(), in_steps);
    ///
    /// let stairs = registry.read("
    ///     kind = 'sgd'
    ///     lr = { kind = 'step', lr = 0.1, step_size = '5 epochs' }
    /// ")?;
    /// assert_eq!([249, 250].map(|step| stairs.lr().at(step)), [0.1, 0.1 * 0.1]);
    /// # Ok::<(), ConfigError>(())
    /// ```
    ///
    /// # Panics
    /// If one of the numbers is 0.
    #[must_use]
    #[track_caller]
    pub fn training(mut self, epochs: usize, batches: usize) -> Self {
        assert!(
            epochs > 0 && batches > 0,
            "training: {epochs} epochs of {batches} batches make no step"
        );
        self.training = Some((epochs as u64, batches as u64));
        self
    }

    /// Sets the names of the keys and tables beside `[optimizer]` that belong to the program. Every other one is then an
    /// error. Without this call, only names that are nearly those of a recipe are errors.
    ///
    /// ```
    /// use wengert_nn::optim::Registry;
    ///
    /// let registry = Registry::default().program_keys(&["model", "data"]);
    /// let text = "[data]\nbatch = 64\n[mode]\nlayers = 3\n[optimizer]\nkind = 'adam'";
    /// let error = registry.read(text).unwrap_err();
    /// assert!(error.message().starts_with("unknown table `mode`; did you mean `model`?"));
    /// ```
    #[must_use]
    pub fn program_keys(mut self, names: &[impl AsRef<str>]) -> Self {
        let names = names.iter().map(|name| name.as_ref().to_owned());
        self.program_keys.get_or_insert_default().extend(names);
        self
    }

    #[track_caller]
    fn insert(mut self, name: &'static str, kind: RuleKind) -> Self {
        assert!(self.rules.insert(name, kind).is_none(), "the rule `{name}` is registered already");
        self
    }

    /// Returns the rule that `kind` names.
    pub(super) fn find_rule(&self, kind: &Value) -> Result<RuleKind, Diagnostic> {
        find(&self.rules, "optimizer", kind)
    }

    /// Returns the schedule that `kind` names.
    pub(super) fn find_schedule(&self, kind: &Value) -> Result<ScheduleKind, Diagnostic> {
        find(&self.schedules, "schedule", kind)
    }
}

impl RuleList for Registry {
    #[track_caller]
    fn variant<R: Rule>(self, name: &'static str, defaults: &'static str) -> Self {
        let make = |table: Table| table.make(|rule: R| Ok(vec![Transform::rule(rule)?]));
        self.insert(name, RuleKind { lr: R::LR, defaults, ..RuleKind::new::<R>(make) })
    }
    fn tensor_rule<R: TensorRule>(self) -> Self {
        self.tensor_rule::<R>()
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
    what: &'static str,
    kind: &Value,
) -> Result<K, Diagnostic> {
    let Some(name) = kind.as_text() else { return Err(kind.unlike("kind", "a string")) };
    let found = kinds.get(name).or_else(|| kinds.get(renamed(name)?));
    let valid = || kinds.keys().copied();
    found.copied().ok_or_else(|| Diagnostic::unknown(kind.span.clone(), what, name, valid()))
}

impl RuleKind {
    fn new<T: DeserializeOwned>(make: fn(Table) -> Result<Vec<Transform>, Diagnostic>) -> Self {
        let (fields, describe) = (reflect::of::<T>(), reflect::describe::<T>);
        let field_of = reflect::field_of::<T>;
        RuleKind { make, fields, describe, field_of, solver: false, lr: 0.0, defaults: "" }
    }

    /// Returns the transforms for these settings of the kind called `kind`.
    pub(super) fn transforms(
        &self,
        kind: &Value,
        mut table: Table,
        read: ReadRate<'_>,
    ) -> Result<Vec<Transform>, Diagnostic> {
        let given = take_schedules(&mut table.entries, self.describe, self.field_of, read)?;
        let defaults = toml::de::DeTable::parse(self.defaults).map(toml::Spanned::into_inner);
        let defaults = Entries::new(defaults.expect("defaults of the library are TOML"), 0)?;
        for (key, implied) in defaults.iter() {
            match table.entries.get(&key.name) {
                Some((_, given)) => agrees(kind, key, implied, given)?,
                None => {
                    // A mistake with a default is blamed on the kind that implies it.
                    let span = table.span.clone();
                    let value = Value { span: span.clone(), data: implied.data.clone() };
                    table.entries.push(Key::new(&*key.name, span), value);
                }
            }
        }
        let mut transforms = (self.make)(table)?;
        given.into_iter().try_for_each(|given| given.give(kind, &mut transforms))?;
        Ok(transforms)
    }
}

/// Refuses a value that takes back what the name of the kind says: `kind = "amsgrad"` with `amsgrad = false`.
fn agrees(kind: &Value, key: &Key, implied: &Value, given: &Value) -> Result<(), Diagnostic> {
    let expected = match (&implied.data, &given.data) {
        (Data::Flag(true), Data::Flag(false)) => "true",
        (Data::Float(_), Data::Float(0.0) | Data::Whole(0)) => "a number above 0",
        _ => return Ok(()),
    };
    let found = if expected == "true" { "false" } else { "0" };
    let (name, kind) = (&key.name, kind.as_text().unwrap_or_default());
    let message = format!("`{name}`: expected {expected} for `{kind}`, found {found}");
    Err(Diagnostic::new(given.span.clone(), message))
}
