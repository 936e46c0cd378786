//! An optimizer's configuration: its rate, its chain of rules, its groups, its step policy.

use super::by_rows::rows_in_dispute;
use super::error::Source;
use super::keep::keep;
use super::rule::{Rule, Solver, TensorRule};
use super::rules::Ema;
use super::schedule::Rate;
use super::transform::{Alias, Transform, accepted};
use crate::Pattern;

/// Treatment of a trainable parameter that received no gradient.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnusedParameters {
    /// The step panics with the names of all such parameters. A mistake in the model is the usual cause.
    #[default]
    Error,
    /// The step leaves the parameter and its state unchanged.
    Skip,
}

/// Treatment of a gradient with an infinite or NaN element.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NonFinite {
    /// The step does not check for it.
    #[default]
    Ignore,
    /// The step panics with the names of the parameters.
    Error,
    /// The step leaves everything unchanged. [`Optimizer::skipped`](super::Optimizer::skipped)
    /// counts it.
    Skip,
}

/// A setting that is one of a few words in TOML.
pub(crate) trait Choice: Copy + Default + PartialEq + 'static {
    const ALL: &'static [(&'static str, Self)];

    /// Returns the word for this value.
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

/// Update of a set of parameters: a learning rate, and the transforms that a gradient passes through
/// before `param -= lr * update`.
///
/// ```
/// use wengert_nn::optim::{Adam, Plan, Recipe, Sgd};
/// let recipe = Recipe::new(1e-3, Adam::default())
///     .group(["head.*"], Plan::new(0.1, Sgd { momentum: 0.9, ..Sgd::default() }));
/// # assert_eq!(recipe.groups()[0].plan().unwrap().lr().at(0), 0.1);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    pub(crate) lr: Rate,
    pub(crate) chain: Vec<Transform>,
}

impl Plan {
    /// Creates a plan of one rule; `lr` is a number or a [`Schedule`](super::Schedule).
    ///
    /// # Panics
    /// If a setting is out of range.
    #[track_caller]
    pub fn new(lr: impl Into<Rate>, rule: impl Rule) -> Self {
        Plan::of(lr.into(), vec![Transform::new(rule)])
    }

    /// Creates a plan of one rule for whole tensors.
    ///
    /// # Panics
    /// If a setting is out of range.
    #[track_caller]
    pub fn tensor_rule<R: TensorRule>(lr: impl Into<Rate>, rule: R) -> Self {
        Plan::of(lr.into(), vec![accepted(R::KIND, Transform::tensor_rule(rule))])
    }

    /// Creates a plan of the transforms of an alias, such as [`AdamW`](super::AdamW).
    ///
    /// # Panics
    /// If a setting is out of range.
    #[track_caller]
    pub fn alias<A: Alias>(lr: impl Into<Rate>, alias: A) -> Self {
        Plan::of(lr.into(), accepted(A::KIND, alias.transforms()))
    }

    /// Creates a plan of one transform, for example one whose settings follow schedules: [`Transform::scheduled`].
    ///
    /// # Panics
    /// If a setting of the rate is out of range.
    #[track_caller]
    pub fn from_transform(lr: impl Into<Rate>, transform: Transform) -> Self {
        Plan::of(lr.into(), vec![transform])
    }

    #[track_caller]
    fn of(lr: Rate, chain: Vec<Transform>) -> Self {
        if let Err(invalid) = lr.check() {
            panic!("{} rate: {invalid}", lr.kind());
        }
        Plan { lr, chain }
    }

    /// Appends a rule to the chain.
    ///
    /// # Panics
    /// If a setting is out of range.
    #[must_use]
    #[track_caller]
    pub fn then(self, rule: impl Rule) -> Self {
        self.then_transform(Transform::new(rule))
    }

    /// Appends a transform to the chain.
    ///
    /// # Panics
    /// If one of them is a solver, a rule that [ends its chain](Rule::ends_chain) is followed by another than [`Ema`], or one
    /// leaves rows alone that another updates.
    #[must_use]
    #[track_caller]
    pub fn then_transform(mut self, transform: Transform) -> Self {
        if let Some(solver) = self.chain.iter().chain([&transform]).find(|t| t.is_solver()) {
            panic!("`{}` is a solver, and takes the place of a whole chain", solver.kind());
        }
        self.chain.push(transform);
        if let Some(dispute) = misplaced(&self.chain).or_else(|| rows_in_dispute(&self.chain)) {
            panic!("{dispute}");
        }
        self
    }

    /// Returns the learning rate.
    pub fn lr(&self) -> &Rate {
        &self.lr
    }

    /// Returns the transforms in the order in which a gradient passes through them; at least one.
    pub fn chain(&self) -> &[Transform] {
        &self.chain
    }

    /// Returns the solver that takes the place of the chain, if there is one.
    pub(crate) fn solver(&self) -> Option<&Transform> {
        self.chain.first().filter(|transform| transform.is_solver())
    }
}

/// Returns why these transforms cannot stand in this order, if one follows a rule that has to be the last.
pub(crate) fn misplaced(chain: &[Transform]) -> Option<String> {
    chain.windows(2).find_map(|pair| {
        let [last, next] = [&pair[0], &pair[1]].map(Transform::kind);
        let allowed = next == Ema::KIND && last != Ema::KIND;
        (pair[0].ends_chain() && !allowed)
            .then(|| format!("`{last}` must be last in its chain: `{next}` follows it"))
    })
}

/// Parameters with their own plan; see [`Recipe`].
#[derive(Clone, Debug)]
pub struct Group {
    pub(crate) params: Vec<Pattern>,
    /// Position of each pattern in a file.
    pub(crate) sources: Vec<Source>,
    /// `None` for a frozen group.
    pub(crate) plan: Option<Plan>,
}

impl Group {
    /// Returns the patterns for the names of the parameters.
    pub fn params(&self) -> &[Pattern] {
        &self.params
    }

    /// Returns the plan, or `None` for a frozen group.
    pub fn plan(&self) -> Option<&Plan> {
        self.plan.as_ref()
    }
}

impl PartialEq for Group {
    fn eq(&self, other: &Self) -> bool {
        self.params == other.params && self.plan == other.plan
    }
}

/// An optimizer's configuration: the learning rate, and the chain of rules that a gradient passes
/// through before `param -= lr * update`.
///
/// A recipe is written in Rust, or read from TOML with `text.parse::<Recipe>()`, [`Registry::read`]
/// or [`Registry::load`]. In TOML, the short form has the name of an optimizer, its settings, and
/// keys that all optimizers share. `to_string` prints the long form, which lists every transform in
/// order.
///
/// [`Registry::read`]: super::Registry::read
/// [`Registry::load`]: super::Registry::load
///
/// ```
/// # use wengert_nn::optim::*;
/// let recipe: Recipe = "
///     kind = 'adamw'
///     lr = { kind = 'step', lr = 1e-3, step_size = 1000, gamma = 0.5 }
///     betas = [0.9, 0.99]
///     weight_decay = 0.01
///     clip_norm = 1.0
/// ".parse()?;
/// let rate = StepDecay { lr: 1e-3, step_size: 1000, gamma: 0.5 };
/// let in_rust = Recipe::new(rate, ClipNorm { max_norm: 1.0 })
///     .then(Adam { betas: [0.9, 0.99], ..Adam::default() })
///     .then(WeightDecay { weight_decay: 0.01 });
/// assert_eq!(recipe, in_rust);
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
/// assert_eq!(recipe.to_string().parse::<Recipe>()?, recipe);
/// # Ok::<(), ConfigError>(())
/// ```
///
/// The recipe is the whole file, or its table `[optimizer]`; the other keys then belong to the
/// program, except for names that are nearly those of a recipe. The short form puts the transforms of its shared keys in this order:
///
/// 1. before the rule: `clip_value`, `clip_tensor_norm`, `clip_norm` (over the whole model), `maximize`,
///    and `weight_decay` as an L2 penalty;
/// 2. the rule;
/// 3. after the rule: a decoupled `weight_decay`, as in `adamw` and `lion` or with
///    `decoupled_weight_decay = true`, and `ema`, the decay of an [`Ema`].
///
/// `lr` is a number or a schedule. Default: [`Rule::LR`] of the rule. A rule without one requires `lr`, and so does a
/// transform as the `kind`, which then works on the gradient alone: `kind = 'clip_norm'` is clipped gradient descent.
///
/// Both forms have `accumulate`, the number of gradients whose mean makes a step; `non_finite`, the
/// treatment of gradients that are not finite ([`NonFinite`]); `unused_parameters`, the treatment of
/// parameters without a gradient ([`UnusedParameters`]); and `groups`:
///
/// ```
/// # use wengert_nn::optim::*;
/// let recipe: Recipe = "
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
/// ".parse()?;
/// assert!(recipe.groups()[2].plan().is_none());
/// # Ok::<(), ConfigError>(())
/// ```
///
/// A parameter belongs to the first group with a [`Pattern`] that matches its name. A group inherits the keys of the
/// recipe, except for those that it sets. In the place of the recipe's rule a group may have one of its own:
///
/// * A group with its own `kind` does not inherit the rate, the weight decay, and the settings of the recipe's `kind`.
/// * A group with a `chain` inherits the rate, and neither `maximize` nor the weight decay.
///
/// Both keep the recipe's clipping and `ema`, whether the recipe is in the short or the long form, unless they have
/// their own. Any other rule of [`Scope::Model`](super::Scope::Model) is kept like `clip_norm`.
#[derive(Clone, Debug, PartialEq)]
pub struct Recipe {
    pub(crate) plan: Plan,
    pub(crate) groups: Vec<Group>,
    pub(crate) policy: StepPolicy,
}

/// Settings of a recipe besides its plans.
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
    /// Creates a recipe of one rule; `lr` is a number or a [`Schedule`](super::Schedule).
    ///
    /// # Panics
    /// If a setting is out of range.
    #[track_caller]
    pub fn new(lr: impl Into<Rate>, rule: impl Rule) -> Self {
        Plan::new(lr, rule).into()
    }

    /// Creates a recipe of the transforms of an alias, such as [`AdamW`](super::AdamW).
    ///
    /// # Panics
    /// If a setting is out of range.
    #[track_caller]
    pub fn alias<A: Alias>(lr: impl Into<Rate>, alias: A) -> Self {
        Plan::alias(lr, alias).into()
    }

    /// Creates a recipe of one solver.
    ///
    /// # Panics
    /// If a setting is out of range.
    #[track_caller]
    pub fn solver<S: Solver>(lr: impl Into<Rate>, solver: S) -> Self {
        Plan::of(lr.into(), vec![accepted(S::KIND, Transform::solver(solver))]).into()
    }

    /// Appends a rule to the chain.
    ///
    /// # Panics
    /// If a setting is out of range.
    #[must_use]
    #[track_caller]
    pub fn then(mut self, rule: impl Rule) -> Self {
        self.plan = self.plan.then(rule);
        for plan in self.groups.iter_mut().filter_map(|group| group.plan.as_mut()) {
            keep(&self.plan.chain, &mut plan.chain, false);
        }
        self
    }

    /// Adds a group. Parameters follow `plan` if their names match one of the patterns, and match none of an earlier
    /// group. The plan keeps the recipe's clipping and [`Ema`], as a group with a `chain` does in TOML.
    ///
    /// ```
    /// use wengert_nn::optim::{Adam, ClipNorm, Plan, Recipe, Sgd};
    ///
    /// let recipe = Recipe::new(1e-3, ClipNorm { max_norm: 1.0 })
    ///     .then(Adam::default())
    ///     .group(["*.bias"], Plan::new(0.1, Sgd::default()));
    /// let plan = recipe.groups()[0].plan().unwrap();
    /// let kinds: Vec<&str> = plan.chain().iter().map(|transform| transform.kind()).collect();
    /// assert_eq!(kinds, ["clip_norm", "sgd"]);
    /// ```
    ///
    /// # Panics
    /// If the recipe is a solver, which works on all parameters at once.
    #[must_use]
    #[track_caller]
    pub fn group<'p>(self, params: impl IntoIterator<Item = &'p str>, plan: Plan) -> Self {
        self.with_group(params, Some(plan))
    }

    /// Adds a group of parameters that are not trained.
    #[must_use]
    pub fn freeze<'p>(self, params: impl IntoIterator<Item = &'p str>) -> Self {
        self.with_group(params, None)
    }

    #[track_caller]
    fn with_group<'p>(
        mut self,
        params: impl IntoIterator<Item = &'p str>,
        mut plan: Option<Plan>,
    ) -> Self {
        if let Some(plan) = &mut plan {
            if let Some(solver) = self.plan.solver() {
                panic!(
                    "`{}` works on all parameters at once: a group can only be frozen",
                    solver.kind()
                );
            }
            keep(&self.plan.chain, &mut plan.chain, false);
        }
        let params = params.into_iter().map(Pattern::new).collect();
        self.groups.push(Group { params, sources: Vec::new(), plan });
        self
    }

    /// Sets the treatment of parameters that received no gradient.
    #[must_use]
    pub fn with_unused_parameters(mut self, unused_parameters: UnusedParameters) -> Self {
        self.policy.unused_parameters = unused_parameters;
        self
    }

    /// Sets the treatment of gradients that are not finite.
    #[must_use]
    pub fn with_non_finite(mut self, non_finite: NonFinite) -> Self {
        self.policy.non_finite = non_finite;
        self
    }

    /// Sets the number of gradients whose mean makes a step.
    ///
    /// # Panics
    /// If `gradients` is 0, or above 1 for a solver, which calls the loss itself.
    #[must_use]
    #[track_caller]
    pub fn with_accumulate(mut self, gradients: u64) -> Self {
        assert!(gradients > 0, "accumulate: expected a number of at least 1, found 0");
        if let (Some(solver), true) = (self.plan.solver(), gradients > 1) {
            panic!("`{}` calls the loss itself, and accumulates no gradients", solver.kind());
        }
        self.policy.accumulate = gradients;
        self
    }

    /// Returns the plan of the parameters outside of all groups.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Returns the learning rate of the parameters outside of all groups.
    pub fn lr(&self) -> &Rate {
        &self.plan.lr
    }

    /// Returns the transforms for the parameters outside of all groups, in the order in which a gradient
    /// passes through them; at least one.
    pub fn chain(&self) -> &[Transform] {
        &self.plan.chain
    }

    /// Returns the groups; a parameter belongs to the first that matches its name.
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// Returns the number of gradients whose mean makes a step.
    pub fn accumulate(&self) -> u64 {
        self.policy.accumulate
    }

    /// Returns the treatment of gradients that are not finite.
    pub fn non_finite(&self) -> NonFinite {
        self.policy.non_finite
    }

    /// Returns the treatment of parameters that received no gradient.
    pub fn unused_parameters(&self) -> UnusedParameters {
        self.policy.unused_parameters
    }
}
