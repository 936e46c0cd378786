//! A transform of any type, as recipes hold it: the rule's own type erased, its precision still open.

use std::any::Any;
use std::fmt::Debug;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use wengert_core::{Float, Shape, Tensor, vectorized};

use super::elements::Elements;
use super::range::InvalidSetting;
use super::reflect;
use super::rule::{LossAt, Rule, Scope, Solver, SolverState, StepContext, TensorRule};

/// A [`Rule`], [`TensorRule`] or [`Solver`] of any type, as recipes hold it: cheap to clone, equal
/// when kind and settings are.
#[derive(Clone, Debug)]
pub struct Transform {
    kind: &'static str,
    settings: Arc<toml::Table>,
    order: &'static [&'static str],
    single: Work<f32>,
    double: Work<f64>,
}

/// What a transform does, in one precision.
#[derive(Clone, Debug)]
pub(crate) enum Work<F: Float> {
    Rule(Arc<dyn ErasedRule<F>>),
    Tensor(Arc<dyn ErasedTensorRule<F>>),
    Solver(Arc<dyn ErasedSolver<F>>),
}

impl Transform {
    /// A transform of this rule.
    ///
    /// # Panics
    /// When a setting is out of range ([`Rule::check`]).
    #[track_caller]
    pub fn new<R: Rule>(rule: R) -> Self {
        accepted(R::KIND, Transform::rule(rule))
    }

    /// A transform of this rule, or the setting that is wrong.
    ///
    /// # Errors
    /// With the first setting that is out of range.
    pub fn rule<R: Rule>(rule: R) -> Result<Self, InvalidSetting> {
        rule.check()?;
        let rule = &Arc::new(rule);
        Transform::made(R::KIND, &**rule, Work::Rule(rule.clone()), Work::Rule(rule.clone()))
    }

    /// As [`Transform::rule`], of a rule for whole tensors.
    ///
    /// # Errors
    /// With the first setting that is out of range.
    pub fn tensor_rule<R: TensorRule>(rule: R) -> Result<Self, InvalidSetting> {
        rule.check()?;
        let rule = &Arc::new(rule);
        Transform::made(R::KIND, &**rule, Work::Tensor(rule.clone()), Work::Tensor(rule.clone()))
    }

    /// As [`Transform::rule`], of a solver that takes the place of a chain.
    pub(crate) fn solver<M: Solver>(solver: M) -> Result<Self, InvalidSetting> {
        solver.check()?;
        let solver = &Arc::new(solver);
        Transform::made(
            M::KIND,
            &**solver,
            Work::Solver(solver.clone()),
            Work::Solver(solver.clone()),
        )
    }

    fn made<T: Serialize + DeserializeOwned>(
        kind: &'static str,
        settings: &T,
        single: Work<f32>,
        double: Work<f64>,
    ) -> Result<Self, InvalidSetting> {
        let order = reflect::of::<T>().names();
        Ok(Transform {
            kind,
            settings: Arc::new(reflect::settings(settings)?),
            order,
            single,
            double,
        })
    }

    /// The name under which configuration knows the transform.
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    /// Every setting, the defaults spelled out.
    pub fn settings(&self) -> &toml::Table {
        &self.settings
    }

    /// The names of the settings, as far as they are known, in the order of their declaration.
    pub(crate) fn order(&self) -> &'static [&'static str] {
        self.order
    }

    /// Whether this is a solver, which takes the place of a chain.
    pub(crate) fn is_solver(&self) -> bool {
        matches!(self.single, Work::Solver(_))
    }

    /// What the transform does in precision `F`.
    pub(crate) fn work<F: Float>(&self) -> &Work<F> {
        // `Float` is sealed: its two types are these two.
        let [single, double]: [&dyn Any; 2] = [&self.single, &self.double];
        single.downcast_ref().or(double.downcast_ref()).expect("a precision is f32 or f64")
    }
}

impl PartialEq for Transform {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind && self.settings == other.settings
    }
}

/// The transform, or a panic that names the setting.
#[track_caller]
pub(crate) fn accepted(kind: &str, transform: Result<Transform, InvalidSetting>) -> Transform {
    match transform {
        Ok(transform) => transform,
        Err(bad) => panic!("{kind}: {bad}"),
    }
}

/// A [`Rule`] in one precision, its type erased.
pub(crate) trait ErasedRule<F: Float>: Debug + Send + Sync {
    fn state(&self) -> &'static [&'static str];
    fn initial(&self, slot: usize) -> f64;
    fn number(&self) -> Option<(&'static str, f64)>;
    fn advance(&self, context: StepContext, number: f64) -> f64;
    fn scope(&self) -> Scope;
    /// Transforms `update` in place.
    fn pass(&self, context: StepContext, update: &mut [F], param: &[F], state: &mut [F]);
    /// Transforms `update` and subtracts it: `param -= context.lr * update`.
    fn finish(&self, context: StepContext, update: &[F], param: &mut [F], state: &mut [F]);
}

// Without the attribute a closure of some size is not inlined into the dispatch, and its loops stay
// with the plainest vectors (measured: Adam, three times slower).
impl<F: Float, R: Rule> ErasedRule<F> for R {
    fn state(&self) -> &'static [&'static str] {
        Rule::state(self)
    }
    fn initial(&self, slot: usize) -> f64 {
        Rule::initial(self, slot)
    }
    fn number(&self) -> Option<(&'static str, f64)> {
        Rule::number(self)
    }
    fn advance(&self, context: StepContext, number: f64) -> f64 {
        Rule::advance(self, context, number)
    }
    fn scope(&self) -> Scope {
        Rule::scope(self)
    }
    fn pass(&self, context: StepContext, update: &mut [F], param: &[F], state: &mut [F]) {
        vectorized(
            #[inline(always)]
            || self.apply(context, Elements::pass(update, param, state)),
        );
    }
    fn finish(&self, context: StepContext, update: &[F], param: &mut [F], state: &mut [F]) {
        vectorized(
            #[inline(always)]
            || self.apply(context, Elements::finish(update, param, state, context.lr)),
        );
    }
}

/// A [`TensorRule`] in one precision, its type erased.
pub(crate) trait ErasedTensorRule<F: Float>: Debug + Send + Sync {
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
        TensorRule::apply(self, context, update, param, state)
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
        Solver::step(self, context, x, loss, state)
    }
}
