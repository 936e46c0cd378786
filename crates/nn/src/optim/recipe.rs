//! A whole optimizer, described: its rate, its chain of rules, its groups, its policy.

use std::path::Path;

use super::config;
use super::error::{ConfigError, Source};
use super::registry::Registry;
use super::rule::{Rule, Solver, TensorRule};
use super::rules::Ema;
use super::schedule::Rate;
use super::transform::{Transform, accepted};
use crate::Pattern;

/// What a step does about a trainable parameter that received no gradient.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnusedParameters {
    /// It panics with their names: most often the model is wired wrongly.
    #[default]
    Error,
    /// It leaves them alone, and what is remembered of them too.
    Skip,
}

/// What a step does about a gradient that is infinite or NaN somewhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NonFinite {
    /// It does not look.
    #[default]
    Ignore,
    /// It panics with the names of the parameters.
    Error,
    /// It leaves everything as it is, and counts ([`Optimizer::skipped`](super::Optimizer::skipped)).
    Skip,
}

/// A setting that is one of a few words.
pub(crate) trait Choice: Copy + Default + PartialEq + 'static {
    const ALL: &'static [(&'static str, Self)];

    /// The word that configuration has for it.
    fn word(self) -> &'static str {
        Self::ALL.iter().find_map(|(word, choice)| (*choice == self).then_some(*word)).unwrap_or("")
    }
}

impl Choice for UnusedParameters {
    const ALL: &'static [(&'static str, Self)] =
        &[("error", UnusedParameters::Error), ("skip", UnusedParameters::Skip)];
}

impl Choice for NonFinite {
    const ALL: &'static [(&'static str, Self)] =
        &[("ignore", NonFinite::Ignore), ("error", NonFinite::Error), ("skip", NonFinite::Skip)];
}

/// How parameters are updated: a learning rate, and the transforms that a gradient passes through before
/// `param -= lr * update`.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    pub(crate) lr: Rate,
    pub(crate) chain: Vec<Transform>,
}

impl Plan {
    /// A plan of one rule; `lr` is a number or a [`Schedule`](super::Schedule).
    ///
    /// # Panics
    /// When a setting is out of range.
    #[track_caller]
    pub fn new(lr: impl Into<Rate>, rule: impl Rule) -> Self {
        Plan::of(lr.into(), Transform::new(rule))
    }

    /// A plan of one rule for whole tensors.
    ///
    /// # Panics
    /// When a setting is out of range.
    #[track_caller]
    pub fn tensor_rule<R: TensorRule>(lr: impl Into<Rate>, rule: R) -> Self {
        Plan::of(lr.into(), accepted(R::KIND, Transform::tensor_rule(rule)))
    }

    #[track_caller]
    fn of(lr: Rate, transform: Transform) -> Self {
        if let Err(bad) = lr.check() {
            panic!("{} rate: {bad}", lr.kind());
        }
        Plan { lr, chain: vec![transform] }
    }

    /// The plan with one transform more: `rule` transforms what the chain so far lets out.
    ///
    /// # Panics
    /// When a setting is out of range.
    #[must_use]
    #[track_caller]
    pub fn then(self, rule: impl Rule) -> Self {
        self.then_transform(Transform::new(rule))
    }

    /// The same, with a transform of any type.
    ///
    /// # Panics
    /// When a solver is to stand in a chain.
    #[must_use]
    #[track_caller]
    pub fn then_transform(mut self, transform: Transform) -> Self {
        let solver = self.chain.iter().chain([&transform]).find(|transform| transform.is_solver());
        if let Some(solver) = solver {
            panic!("`{}` is a solver, and takes the place of a whole chain", solver.kind());
        }
        let averaged = self.chain.iter().any(|transform| transform.kind() == Ema::KIND);
        assert!(
            !averaged,
            "`average` stands last in its chain: `{}` comes after it",
            transform.kind()
        );
        self.chain.push(transform);
        self
    }

    /// The learning rate.
    pub fn lr(&self) -> &Rate {
        &self.lr
    }

    /// The transforms, in the order in which a gradient passes through them; at least one.
    pub fn chain(&self) -> &[Transform] {
        &self.chain
    }
}

/// Parameters that are treated in a way of their own; see [`Recipe`].
#[derive(Clone, Debug)]
pub struct Group {
    pub(crate) params: Vec<Pattern>,
    /// Where each pattern stands in a file.
    pub(crate) sources: Vec<Source>,
    /// `None` if they are not trained.
    pub(crate) plan: Option<Plan>,
}

impl Group {
    /// The patterns that names are compared with.
    pub fn params(&self) -> &[Pattern] {
        &self.params
    }

    /// How the parameters are updated; `None` if they stay as they are.
    pub fn plan(&self) -> Option<&Plan> {
        self.plan.as_ref()
    }
}

impl PartialEq for Group {
    fn eq(&self, other: &Self) -> bool {
        self.params == other.params && self.plan == other.plan
    }
}

/// A whole optimizer as configuration: the learning rate, and the chain of rules that a gradient
/// passes through before `param -= lr * update`.
///
/// In TOML, short: a name, its settings, and what all optimizers share.
///
/// ```
/// # use wengert_nn::optim::*;
/// let recipe = Recipe::from_toml("
///     kind = 'adamw'
///     lr = { kind = 'step', lr = 1e-3, step_size = 1000, gamma = 0.5 }
///     betas = [0.9, 0.99]
///     weight_decay = 0.01
///     clip_norm = 1.0
/// ")?;
/// // The same in Rust.
/// let same = Recipe::new(StepDecay { lr: 1e-3, step_size: 1000, gamma: 0.5 }, ClipNorm { max_norm: 1.0 })
///     .then(Adam { betas: [0.9, 0.99], ..Adam::default() })
///     .then(WeightDecay { weight_decay: 0.01 });
/// assert_eq!(recipe, same);
/// // Printed: the long form, in which the order of the transforms is meaning.
/// assert_eq!(recipe.to_string(), r#"[optimizer]
/// lr = { kind = "step", lr = 0.001, step_size = 1000, gamma = 0.5 }
/// accumulate = 1
/// non_finite = "ignore"
/// unused_parameters = "error"
///
/// [[optimizer.chain]]
/// kind = "clip_norm"
/// max_norm = 1.0
///
/// [[optimizer.chain]]
/// kind = "adam"
/// betas = [0.9, 0.99]
/// eps = 1e-8
/// amsgrad = false
///
/// [[optimizer.chain]]
/// kind = "weight_decay"
/// weight_decay = 0.01
/// "#);
/// assert_eq!(Recipe::from_toml(&recipe.to_string())?, recipe);
/// # Ok::<(), ConfigError>(())
/// ```
///
/// The recipe stands at top level, or in a table `[optimizer]` of a file whose other keys belong
/// to the application. Shared keys of the short form, in the order of the transforms that they stand for:
/// `clip_value`, `clip_tensor_norm`, `clip_norm` (over the whole model), `maximize`, `weight_decay` (an
/// L2 penalty in front of the rule, but decoupled in `adamw` and `lion`, or with
/// `decoupled_weight_decay = true`), the rule, and `average`, the decay of an [`Ema`](super::Ema).
/// `lr` is a number or a schedule (default: the rule's, [`Rule::LR`]).
///
/// Of either form: `accumulate`, the number of gradients whose mean makes a step; `non_finite`, what
/// becomes of a gradient that is not finite, `"ignore"`, `"error"` or `"skip"`; `unused_parameters`,
/// `"error"` or `"skip"`; and `groups`, whose parameters are treated otherwise:
///
/// ```
/// # use wengert_nn::optim::*;
/// let recipe = Recipe::from_toml("
///     kind = 'adamw'
///     lr = 1e-3
///     [[groups]]
///     params = ['*.bias', '*.norm.weight']
///     weight_decay = 0.0
///     [[groups]]
///     params = 'head.*'
///     kind = 'sgd'
///     [[groups]]
///     params = 'encoder.*'
///     frozen = true
/// ")?;
/// assert!(recipe.groups()[2].plan().is_none());
/// # Ok::<(), ConfigError>(())
/// ```
///
/// A parameter belongs to the first group of which a [`Pattern`] fits its name. A group is the
/// recipe with the keys replaced that it gives. With a `kind` of its own, or a `chain`, it keeps the
/// clipping and the average; its rate and decay are its own.
#[derive(Clone, Debug, PartialEq)]
pub struct Recipe {
    pub(crate) plan: Plan,
    pub(crate) groups: Vec<Group>,
    pub(crate) policy: StepPolicy,
}

/// What a recipe says besides its plans.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct StepPolicy {
    pub(crate) accumulate: u64,
    pub(crate) non_finite: NonFinite,
    pub(crate) unused_parameters: UnusedParameters,
}

impl Default for StepPolicy {
    fn default() -> Self {
        let (non_finite, unused_parameters) = Default::default();
        StepPolicy { accumulate: 1, non_finite, unused_parameters }
    }
}

impl From<Plan> for Recipe {
    fn from(plan: Plan) -> Self {
        Recipe { plan, groups: Vec::new(), policy: StepPolicy::default() }
    }
}

impl Recipe {
    /// A recipe of one rule; `lr` is a number or a [`Schedule`](super::Schedule).
    ///
    /// # Panics
    /// When a setting is out of range.
    #[track_caller]
    pub fn new(lr: impl Into<Rate>, rule: impl Rule) -> Self {
        Plan::new(lr, rule).into()
    }

    /// A recipe of one solver that calls the loss itself.
    ///
    /// # Panics
    /// When a setting is out of range.
    #[track_caller]
    pub fn solver<M: Solver>(lr: impl Into<Rate>, solver: M) -> Self {
        Plan::of(lr.into(), accepted(M::KIND, Transform::solver(solver))).into()
    }

    /// The recipe with one transform more: `rule` transforms what the chain so far lets out.
    ///
    /// # Panics
    /// When a setting is out of range.
    #[must_use]
    #[track_caller]
    pub fn then(mut self, rule: impl Rule) -> Self {
        self.plan = self.plan.then(rule);
        self
    }

    /// The recipe with a group: parameters whose names fit one of the patterns, and no group before it,
    /// follow `plan`.
    #[must_use]
    pub fn group<'p>(self, params: impl IntoIterator<Item = &'p str>, plan: Plan) -> Self {
        self.with_group(params, Some(plan))
    }

    /// The recipe with a group of parameters that stay as they are.
    #[must_use]
    pub fn freeze<'p>(self, params: impl IntoIterator<Item = &'p str>) -> Self {
        self.with_group(params, None)
    }

    fn with_group<'p>(
        mut self,
        params: impl IntoIterator<Item = &'p str>,
        plan: Option<Plan>,
    ) -> Self {
        let params = params.into_iter().map(Pattern::new).collect();
        self.groups.push(Group { params, sources: Vec::new(), plan });
        self
    }

    /// The recipe with another answer to parameters that received no gradient.
    #[must_use]
    pub fn with_unused_parameters(mut self, unused_parameters: UnusedParameters) -> Self {
        self.policy.unused_parameters = unused_parameters;
        self
    }

    /// The recipe with another answer to gradients that are not finite.
    #[must_use]
    pub fn with_non_finite(mut self, non_finite: NonFinite) -> Self {
        self.policy.non_finite = non_finite;
        self
    }

    /// The recipe with steps that are made of the mean of `gradients` gradients.
    ///
    /// # Panics
    /// For 0.
    #[must_use]
    #[track_caller]
    pub fn with_accumulate(mut self, gradients: u64) -> Self {
        assert!(gradients > 0, "accumulate: expected a number of at least 1, found 0");
        self.policy.accumulate = gradients;
        self
    }

    /// The recipe that a TOML text describes.
    ///
    /// # Errors
    /// When the text is not TOML, or not a recipe; the error tells where and what was expected.
    pub fn from_toml(text: &str) -> Result<Self, ConfigError> {
        Recipe::from_toml_with(&Registry::default(), text)
    }

    /// The same, with the rules and schedules of `registry`.
    ///
    /// # Errors
    /// As [`Recipe::from_toml`].
    pub fn from_toml_with(registry: &Registry, text: &str) -> Result<Self, ConfigError> {
        config::read(registry, text, &[])
    }

    /// The same, with settings from elsewhere, such as a command line, in place of those of the text:
    /// `optimizer.lr=0.01`, `optimizer.groups.0.frozen=true`, `optimizer.kind=sgd` (`optimizer.` may be
    /// left out, and so may the quotes of a word). They go through the same checks.
    ///
    /// # Errors
    /// As [`Recipe::from_toml`]; for a mistake in an override the error quotes that.
    pub fn from_toml_with_overrides(
        registry: &Registry,
        text: &str,
        overrides: &[impl AsRef<str>],
    ) -> Result<Self, ConfigError> {
        let overrides: Vec<&str> = overrides.iter().map(AsRef::as_ref).collect();
        config::read(registry, text, &overrides)
    }

    /// The recipe that a TOML file describes.
    ///
    /// # Errors
    /// When the file cannot be read, or as [`Recipe::from_toml`].
    pub fn load(path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        Recipe::load_with(&Registry::default(), path)
    }

    /// The same, with the rules and schedules of `registry`.
    ///
    /// # Errors
    /// As [`Recipe::load`].
    pub fn load_with(registry: &Registry, path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        Recipe::load_with_overrides(registry, path, &[] as &[&str])
    }

    /// The same, with overrides; see [`Recipe::from_toml_with_overrides`].
    ///
    /// # Errors
    /// As [`Recipe::load`].
    pub fn load_with_overrides(
        registry: &Registry,
        path: impl AsRef<Path>,
        overrides: &[impl AsRef<str>],
    ) -> Result<Self, ConfigError> {
        let path = path.as_ref();
        let text =
            std::fs::read_to_string(path).map_err(|error| ConfigError::unreadable(path, error))?;
        let mut recipe = Recipe::from_toml_with_overrides(registry, &text, overrides)
            .map_err(|error| error.in_file(path))?;
        for source in recipe.groups.iter_mut().flat_map(|group| &mut group.sources) {
            source.in_file(path);
        }
        Ok(recipe)
    }

    /// The learning rate of parameters that no group names.
    pub fn lr(&self) -> &Rate {
        &self.plan.lr
    }

    /// The transforms for parameters that no group names, in the order in which a gradient passes through
    /// them; at least one.
    pub fn chain(&self) -> &[Transform] {
        &self.plan.chain
    }

    /// The groups; a parameter belongs to the first that fits.
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// The number of gradients that make a step.
    pub fn accumulate(&self) -> u64 {
        self.policy.accumulate
    }

    /// What a step does about a gradient that is not finite.
    pub fn non_finite(&self) -> NonFinite {
        self.policy.non_finite
    }

    /// What a step does about a parameter that received no gradient.
    pub fn unused_parameters(&self) -> UnusedParameters {
        self.policy.unused_parameters
    }

    /// The group of the parameter with this name, by its number.
    pub(crate) fn group_of(&self, name: &str) -> Option<usize> {
        self.groups
            .iter()
            .position(|group| group.params.iter().any(|pattern| pattern.matches(name)))
    }

    /// Whether each pattern fits a parameter of the model, whose names these are.
    pub(crate) fn check_names(&self, names: &[String]) -> Result<(), ConfigError> {
        for group in &self.groups {
            for (i, pattern) in group.params.iter().enumerate() {
                if !names.iter().any(|name| pattern.matches(name)) {
                    let source = group.sources.get(i).cloned().unwrap_or_default();
                    let message = format!(
                        "no parameter is called `{pattern}`; the model has `{}`",
                        names.join("`, `")
                    );
                    return Err(source.error(message));
                }
            }
        }
        Ok(())
    }
}
