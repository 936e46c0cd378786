//! Transforms of any type, which a recipe holds for both precisions.

use std::fmt::Debug;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use wengert_core::{Float, PerPrecision, Shape, Tensor, vectorized};

use super::elements::Elements;
use super::error::Source;
#[cfg(wengert_mutants)]
use super::mutants;
use super::range::InvalidSetting;
use super::reflect;
use super::rule::{LossAt, Rule, Scope, Solver, SolverState, StepContext, TensorRule, UnreadRows};
use super::scheduled::ScheduledSetting;
use super::value::Value;

/// A [`Rule`], [`TensorRule`] or [`Solver`] of any type.
///
/// A transform is cheap to clone. Two transforms are equal when their kinds and settings are.
///
/// ```
/// use wengert_nn::optim::{ClipNorm, Plan, Sgd, Transform};
/// let transforms = [Transform::new(ClipNorm { max_norm: 1.0 })];
/// assert_eq!(transforms[0].kind(), "clip_norm");
/// assert_eq!(transforms[0].settings()["max_norm"].as_float(), Some(1.0));
/// // A chain built in a loop.
/// let plan = transforms.into_iter().fold(Plan::new(0.1, Sgd::default()), Plan::then_transform);
/// assert_eq!(plan.chain().len(), 2);
/// ```
#[derive(Clone, Debug)]
pub struct Transform {
    kind: &'static str,
    /// Settings; those that follow a schedule have their first value.
    pub(super) settings: Arc<toml::Table>,
    order: &'static [&'static str],
    formula: &'static str,
    /// Position of the kind in a file.
    pub(crate) source: Option<Arc<Source>>,
    pub(super) scheduled: Vec<ScheduledSetting>,
    pub(super) single: Work<f32>,
    pub(super) double: Work<f64>,
}

/// A name for several transforms in a row. AdamW, for example, is Adam followed by weight decay.
///
/// The struct that implements the trait is read from the settings and returns the transforms. A printed
/// recipe lists the transforms themselves. [`Registry::alias`](super::Registry::alias) adds an alias to
/// the kinds that TOML may name, and [`Recipe::alias`](super::Recipe::alias) uses one in Rust.
///
/// ```
/// use serde::{Deserialize, Serialize};
/// use wengert_nn::optim::{Alias, ClipNorm, InvalidSetting, Registry, Sgd, Transform};
///
/// /// SGD with momentum on clipped gradients.
/// #[derive(Debug, Serialize, Deserialize)]
/// #[serde(deny_unknown_fields)]
/// struct ClippedMomentum {
///     max_norm: f64,
///     momentum: f64,
/// }
///
/// impl Alias for ClippedMomentum {
///     const KIND: &'static str = "clipped_momentum";
///
///     fn transforms(self) -> Result<Vec<Transform>, InvalidSetting> {
///         let sgd = Sgd { momentum: self.momentum, ..Sgd::default() };
///         Ok(vec![
///             Transform::rule(ClipNorm { max_norm: self.max_norm })?,
///             Transform::rule(sgd)?,
///         ])
///     }
/// }
///
/// let registry = Registry::default().alias::<ClippedMomentum>();
/// let recipe = registry.read("kind = 'clipped_momentum'\nlr = 0.1\nmax_norm = 1.0\nmomentum = 0.9")?;
/// assert_eq!(recipe.chain().len(), 2);
/// # Ok::<(), wengert_nn::optim::ConfigError>(())
/// ```
pub trait Alias: Debug + Serialize + DeserializeOwned + 'static {
    /// Name in configuration: `kind = "adamw"`.
    const KIND: &'static str;

    /// Default learning rate of a recipe in the short form, as [`Rule::LR`].
    const LR: f64 = f64::NAN;

    /// Returns the transforms, at least one.
    ///
    /// # Errors
    /// Returns an error for the first setting out of range.
    fn transforms(self) -> Result<Vec<Transform>, InvalidSetting>;
}

/// Receiver of the kinds of the library's rules: each file of `rules/` lists its own.
pub(crate) trait RuleList: Sized {
    /// Adds a rule under its [`Rule::KIND`].
    fn rule<R: Rule>(self) -> Self {
        self.variant::<R>(R::KIND, "")
    }
    /// Adds a rule under another name, with other defaults, written as TOML.
    fn variant<R: Rule>(self, name: &'static str, defaults: &'static str) -> Self;
    /// Adds a rule for whole tensors.
    fn tensor_rule<R: TensorRule>(self) -> Self;
    /// Adds an alias.
    fn alias<A: Alias>(self) -> Self;
}

/// A transform in one precision.
#[derive(Clone, Debug)]
pub(crate) enum Work<F: Float> {
    Rule(Arc<dyn ErasedRule<F>>),
    Tensor(Arc<dyn ErasedTensorRule<F>>),
    Solver(Arc<dyn ErasedSolver<F>>),
}

impl Transform {
    /// Creates a transform of a rule.
    ///
    /// # Panics
    /// If a setting is out of range.
    #[track_caller]
    pub fn new<R: Rule>(rule: R) -> Self {
        accepted(R::KIND, Transform::rule(rule))
    }

    /// Creates a transform of a rule.
    ///
    /// # Errors
    /// Returns an error for the first setting out of range.
    pub fn rule<R: Rule>(rule: R) -> Result<Self, InvalidSetting> {
        rule.check()?;
        let rule = &Arc::new(rule);
        let (single, double) = (Work::Rule(rule.clone()), Work::Rule(rule.clone()));
        Transform::made(R::KIND, R::FORMULA, &**rule, single, double)
    }

    /// Creates a transform of a rule for whole tensors.
    ///
    /// # Errors
    /// Returns an error for the first setting out of range.
    pub fn tensor_rule<R: TensorRule>(rule: R) -> Result<Self, InvalidSetting> {
        rule.check()?;
        let rule = &Arc::new(rule);
        let (single, double) = (Work::Tensor(rule.clone()), Work::Tensor(rule.clone()));
        Transform::made(R::KIND, R::FORMULA, &**rule, single, double)
    }

    /// Creates a transform of a solver, which takes the place of a whole chain.
    pub(crate) fn solver<M: Solver>(solver: M) -> Result<Self, InvalidSetting> {
        solver.check()?;
        let solver = &Arc::new(solver);
        let (single, double) = (Work::Solver(solver.clone()), Work::Solver(solver.clone()));
        Transform::made(M::KIND, "", &**solver, single, double)
    }

    fn made<T: Serialize + DeserializeOwned>(
        kind: &'static str,
        formula: &'static str,
        settings: &T,
        single: Work<f32>,
        double: Work<f64>,
    ) -> Result<Self, InvalidSetting> {
        let order = reflect::of::<T>().names();
        Ok(Transform {
            kind,
            settings: Arc::new(reflect::settings(settings)?),
            order,
            formula,
            source: None,
            scheduled: Vec::new(),
            single,
            double,
        })
    }

    /// Returns the name in configuration.
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    /// Returns the formula of the update in plain text, or an empty text; see [`Rule::FORMULA`].
    pub fn formula(&self) -> &'static str {
        self.formula
    }

    /// Checks the shape of a parameter; see [`TensorRule::accepts`].
    pub(crate) fn accepts(&self, shape: Shape) -> Result<(), String> {
        match &self.single {
            Work::Tensor(rule) => rule.accepts(shape),
            Work::Rule(_) | Work::Solver(_) => Ok(()),
        }
    }

    /// Returns all settings, including those with default values. A setting that follows a schedule has its value at
    /// step 0 here; see [`Transform::schedule`].
    pub fn settings(&self) -> &toml::Table {
        &self.settings
    }

    /// Returns the names of the settings, as far as they are known, in order of declaration.
    pub(crate) fn order(&self) -> &'static [&'static str] {
        self.order
    }

    /// Returns whether this is a solver, which takes the place of a whole chain.
    pub fn is_solver(&self) -> bool {
        matches!(self.single, Work::Solver(_))
    }

    /// Returns whether the transform is a rule that measures the whole model.
    pub(crate) fn is_model_wide(&self) -> bool {
        matches!(&self.single, Work::Rule(rule) if rule.scope() == Scope::Model)
    }

    /// Returns the treatment of rows that a loss did not read.
    pub fn unread_rows(&self) -> UnreadRows {
        match &self.single {
            Work::Rule(rule) => rule.unread_rows(),
            Work::Tensor(_) | Work::Solver(_) => UnreadRows::Updated,
        }
    }

    /// Returns whether at most an [`Ema`](super::Ema) may follow in a chain.
    pub(crate) fn ends_chain(&self) -> bool {
        match &self.single {
            Work::Rule(rule) => rule.ends_chain(),
            Work::Tensor(_) | Work::Solver(_) => false,
        }
    }

    /// Returns the transform in precision `F`.
    pub(crate) fn work<F: Float>(&self) -> &Work<F> {
        F::run::<WorkOf>(self)
    }
}

struct WorkOf;

impl<'a> PerPrecision<'a> for WorkOf {
    type Input<F: Float> = &'a Transform;
    type Output<F: Float> = &'a Work<F>;
    fn f32(transform: &'a Transform) -> &'a Work<f32> {
        &transform.single
    }
    fn f64(transform: &'a Transform) -> &'a Work<f64> {
        &transform.double
    }
}

impl PartialEq for Transform {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind
            && self.settings == other.settings
            && self.scheduled == other.scheduled
    }
}

/// Unwraps, or panics with the name of the setting.
#[track_caller]
pub(crate) fn accepted<T>(kind: &str, made: Result<T, InvalidSetting>) -> T {
    match made {
        Ok(made) => made,
        Err(invalid) => panic!("{kind}: {invalid}"),
    }
}

impl<F: Float> Work<F> {
    /// Returns the same kind with other settings.
    pub(super) fn with(&self, settings: &Value) -> Result<Self, InvalidSetting> {
        Ok(match self {
            Work::Rule(rule) => Work::Rule(rule.with(settings)?),
            Work::Tensor(rule) => Work::Tensor(rule.with(settings)?),
            Work::Solver(solver) => Work::Solver(solver.clone()),
        })
    }
}

/// Reads the settings of a rule that was made before.
fn remade<R: DeserializeOwned>(settings: &Value) -> Result<R, InvalidSetting> {
    reflect::read(settings).map_err(|refused| InvalidSetting::new("", refused.to_string()))
}

/// A [`Rule`] in one precision, its type erased.
pub(crate) trait ErasedRule<F: Float>: Debug + Send + Sync {
    /// Returns a rule of this type with other settings.
    fn with(&self, settings: &Value) -> Result<Arc<dyn ErasedRule<F>>, InvalidSetting>;
    /// Replaces the settings, which are not checked.
    fn set(&mut self, settings: &Value) -> Result<(), InvalidSetting>;
    fn check(&self) -> Result<(), InvalidSetting>;
    fn state(&self) -> &'static [&'static str];
    fn initial(&self, slot: usize) -> f64;
    fn number(&self) -> Option<(&'static str, f64)>;
    fn next_number(&self, context: StepContext, number: f64) -> f64;
    fn scope(&self) -> Scope;
    fn unread_rows(&self) -> UnreadRows;
    fn ends_chain(&self) -> bool;
    /// Transforms `update` in place: the transform is not the last of its chain.
    fn transform(&self, context: StepContext, update: &mut [F], param: &[F], state: &mut [F]);
    /// Transforms `update` and applies it, `param -= context.lr * update`: the transform is the last.
    fn finish(&self, context: StepContext, update: &[F], param: &mut [F], state: &mut [F]);
    /// Returns the values of a parameter in evaluation, if they are others; `slots` has one slice for each slot.
    fn evaluated(&self, param: &[F], slots: &[&[F]]) -> Option<Vec<F>>;
}

// Without `inline(always)` a large closure is not inlined into the dispatch, and its loops are not
// compiled for wide vectors; Adam is then three times slower.
impl<F: Float, R: Rule> ErasedRule<F> for R {
    fn with(&self, settings: &Value) -> Result<Arc<dyn ErasedRule<F>>, InvalidSetting> {
        Ok(Arc::new(remade::<R>(settings)?))
    }
    fn set(&mut self, settings: &Value) -> Result<(), InvalidSetting> {
        remade(settings).map(|made| *self = made)
    }
    fn check(&self) -> Result<(), InvalidSetting> {
        Rule::check(self)
    }
    fn state(&self) -> &'static [&'static str] {
        Rule::state(self)
    }
    fn initial(&self, slot: usize) -> f64 {
        Rule::initial(self, slot)
    }
    fn number(&self) -> Option<(&'static str, f64)> {
        Rule::number(self)
    }
    fn next_number(&self, context: StepContext, number: f64) -> f64 {
        let next = Rule::next_number(self, context, number);
        #[cfg(wengert_mutants)]
        let next = mutants::next_number(self, next);
        next
    }
    fn scope(&self) -> Scope {
        Rule::scope(self)
    }
    fn unread_rows(&self) -> UnreadRows {
        Rule::unread_rows(self)
    }
    fn ends_chain(&self) -> bool {
        Rule::ends_chain(self)
    }
    fn transform(&self, context: StepContext, update: &mut [F], param: &[F], state: &mut [F]) {
        #[cfg(wengert_mutants)]
        let context = mutants::context(self, context);
        vectorized(
            #[inline(always)]
            || self.apply(context, Elements::to_update(update, param, state)),
        );
        #[cfg(wengert_mutants)]
        {
            mutants::scale::<R, F>(R::KIND, "inner", update);
            mutants::state(self, state);
        }
    }
    fn finish(&self, context: StepContext, update: &[F], param: &mut [F], state: &mut [F]) {
        let lr = context.lr;
        #[cfg(wengert_mutants)]
        let (context, lr) =
            (mutants::context(self, context), mutants::number::<R>(R::KIND, "last", lr));
        vectorized(
            #[inline(always)]
            || self.apply(context, Elements::to_param(update, param, state, lr)),
        );
        #[cfg(wengert_mutants)]
        mutants::state(self, state);
    }
    fn evaluated(&self, param: &[F], slots: &[&[F]]) -> Option<Vec<F>> {
        let mut state = Vec::with_capacity(slots.len());
        let element = |(i, p): (usize, &F)| {
            state.clear();
            state.extend(slots.iter().map(|slot| slot[i]));
            let value = Rule::evaluated(self, *p, &state);
            #[cfg(wengert_mutants)]
            let value = value.map(|x| x * F::of(mutants::number::<R>(R::KIND, "evaluated", 1.0)));
            value
        };
        param.iter().enumerate().map(element).collect()
    }
}

/// A [`TensorRule`] in one precision, its type erased.
pub(crate) trait ErasedTensorRule<F: Float>: Debug + Send + Sync {
    /// Returns a rule of this type with other settings.
    fn with(&self, settings: &Value) -> Result<Arc<dyn ErasedTensorRule<F>>, InvalidSetting>;
    /// Replaces the settings, which are not checked.
    fn set(&mut self, settings: &Value) -> Result<(), InvalidSetting>;
    fn check(&self) -> Result<(), InvalidSetting>;
    fn accepts(&self, shape: Shape) -> Result<(), String>;
    fn state(&self, shape: Shape) -> Vec<(&'static str, Shape)>;
    fn apply(
        &self,
        context: StepContext,
        update: Tensor<F>,
        param: &Tensor<F>,
        state: &mut [Tensor<F>],
    ) -> Tensor<F>;
}

impl<F: Float, R: TensorRule> ErasedTensorRule<F> for R {
    fn with(&self, settings: &Value) -> Result<Arc<dyn ErasedTensorRule<F>>, InvalidSetting> {
        Ok(Arc::new(remade::<R>(settings)?))
    }
    fn set(&mut self, settings: &Value) -> Result<(), InvalidSetting> {
        remade(settings).map(|made| *self = made)
    }
    fn check(&self) -> Result<(), InvalidSetting> {
        TensorRule::check(self)
    }
    fn accepts(&self, shape: Shape) -> Result<(), String> {
        TensorRule::accepts(self, shape)
    }
    fn state(&self, shape: Shape) -> Vec<(&'static str, Shape)> {
        TensorRule::state(self, shape)
    }
    fn apply(
        &self,
        context: StepContext,
        update: Tensor<F>,
        param: &Tensor<F>,
        state: &mut [Tensor<F>],
    ) -> Tensor<F> {
        let update = TensorRule::apply(self, context, update, param, state);
        #[cfg(wengert_mutants)]
        let update = mutants::tensors::<R, F>(R::KIND, update, state);
        update
    }
}

/// A [`Solver`] in one precision, its type erased.
pub(crate) trait ErasedSolver<F: Float>: Debug + Send + Sync {
    fn step(
        &self,
        context: StepContext,
        x: &Tensor<F>,
        loss: &mut LossAt<'_, F>,
        state: &mut SolverState<F>,
    ) -> (F, Tensor<F>);
}

impl<F: Float, M: Solver> ErasedSolver<F> for M {
    fn step(
        &self,
        context: StepContext,
        x: &Tensor<F>,
        loss: &mut LossAt<'_, F>,
        state: &mut SolverState<F>,
    ) -> (F, Tensor<F>) {
        let (value, end) = Solver::step(self, context, x, loss, state);
        #[cfg(wengert_mutants)]
        let end = mutants::end::<M, F>(M::KIND, x, end);
        (value, end)
    }
}
