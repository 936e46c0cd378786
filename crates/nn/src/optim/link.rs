//! A link of any type, as recipes hold it: the rule's own type erased, its precision still open.

use std::any::Any;
use std::fmt::Debug;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use wengert_core::{Float, Shape, Tensor, vectorized};

use super::elements::Elements;
use super::fields;
use super::rule::{At, LossAt, Method, Reach, Remembered, Rule, TensorRule};
use super::setting::BadSetting;

/// A [`Rule`], [`TensorRule`] or [`Method`] of any type, as recipes hold it: cheap to clone, equal
/// when kind and settings are.
#[derive(Clone, Debug)]
pub struct Link {
    kind: &'static str,
    settings: Arc<toml::Table>,
    order: &'static [&'static str],
    single: Work<f32>,
    double: Work<f64>,
}

/// What a link does, in one precision.
#[derive(Clone, Debug)]
pub(crate) enum Work<F: Float> {
    Rule(Arc<dyn Run<F>>),
    Tensor(Arc<dyn RunTensor<F>>),
    Method(Arc<dyn RunMethod<F>>),
}

impl Link {
    /// A link of this rule.
    ///
    /// # Panics
    /// When a setting is out of range ([`Rule::check`]).
    #[track_caller]
    pub fn new<R: Rule>(rule: R) -> Self {
        accepted(R::KIND, Link::rule(rule))
    }

    /// A link of this rule, or the setting that is wrong.
    ///
    /// # Errors
    /// With the first setting that is out of range.
    pub fn rule<R: Rule>(rule: R) -> Result<Self, BadSetting> {
        rule.check()?;
        let rule = &Arc::new(rule);
        Link::made(R::KIND, &**rule, Work::Rule(rule.clone()), Work::Rule(rule.clone()))
    }

    /// As [`Link::rule`], of a rule for whole tensors.
    ///
    /// # Errors
    /// With the first setting that is out of range.
    pub fn tensor_rule<R: TensorRule>(rule: R) -> Result<Self, BadSetting> {
        rule.check()?;
        let rule = &Arc::new(rule);
        Link::made(R::KIND, &**rule, Work::Tensor(rule.clone()), Work::Tensor(rule.clone()))
    }

    /// As [`Link::rule`], of a method that takes the place of a chain.
    pub(crate) fn method<M: Method>(method: M) -> Result<Self, BadSetting> {
        method.check()?;
        let method = &Arc::new(method);
        Link::made(M::KIND, &**method, Work::Method(method.clone()), Work::Method(method.clone()))
    }

    fn made<T: Serialize + DeserializeOwned>(
        kind: &'static str,
        settings: &T,
        single: Work<f32>,
        double: Work<f64>,
    ) -> Result<Self, BadSetting> {
        let order = fields::of::<T>().names();
        Ok(Link { kind, settings: Arc::new(fields::settings(settings)?), order, single, double })
    }

    /// The name under which configuration knows the link.
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

    /// Whether this is a method, which takes the place of a chain.
    pub(crate) fn is_method(&self) -> bool {
        matches!(self.single, Work::Method(_))
    }

    /// What the link does in precision `F`.
    pub(crate) fn work<F: Float>(&self) -> &Work<F> {
        // `Float` is sealed: its two types are these two.
        let [single, double]: [&dyn Any; 2] = [&self.single, &self.double];
        single.downcast_ref().or(double.downcast_ref()).expect("a precision is f32 or f64")
    }
}

impl PartialEq for Link {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind && self.settings == other.settings
    }
}

/// The link, or a panic that names the setting.
#[track_caller]
pub(crate) fn accepted(kind: &str, link: Result<Link, BadSetting>) -> Link {
    match link {
        Ok(link) => link,
        Err(bad) => panic!("{kind}: {bad}"),
    }
}

/// A [`Rule`] in one precision, its type erased.
pub(crate) trait Run<F: Float>: Debug + Send + Sync {
    fn memory(&self) -> &'static [&'static str];
    fn initial(&self, slot: usize) -> f64;
    fn number(&self) -> Option<(&'static str, f64)>;
    fn advance(&self, at: At, number: f64) -> f64;
    fn reach(&self) -> Reach;
    /// Transforms `update` in place.
    fn pass(&self, at: At, update: &mut [F], param: &[F], memory: &mut [F]);
    /// Transforms `update` and subtracts it: `param -= at.lr * update`.
    fn finish(&self, at: At, update: &[F], param: &mut [F], memory: &mut [F]);
}

// Without the attribute a closure of some size is not inlined into the dispatch, and its loops stay
// with the plainest vectors (measured: Adam, three times slower).
impl<F: Float, R: Rule> Run<F> for R {
    fn memory(&self) -> &'static [&'static str] {
        Rule::memory(self)
    }
    fn initial(&self, slot: usize) -> f64 {
        Rule::initial(self, slot)
    }
    fn number(&self) -> Option<(&'static str, f64)> {
        Rule::number(self)
    }
    fn advance(&self, at: At, number: f64) -> f64 {
        Rule::advance(self, at, number)
    }
    fn reach(&self) -> Reach {
        Rule::reach(self)
    }
    fn pass(&self, at: At, update: &mut [F], param: &[F], memory: &mut [F]) {
        vectorized(
            #[inline(always)]
            || self.apply(at, Elements::pass(update, param, memory)),
        );
    }
    fn finish(&self, at: At, update: &[F], param: &mut [F], memory: &mut [F]) {
        vectorized(
            #[inline(always)]
            || self.apply(at, Elements::finish(update, param, memory, at.lr)),
        );
    }
}

/// A [`TensorRule`] in one precision, its type erased.
pub(crate) trait RunTensor<F: Float>: Debug + Send + Sync {
    fn memory(&self, shape: Shape) -> Vec<(&'static str, Shape)>;
    fn apply(
        &self,
        at: At,
        update: Tensor<F>,
        param: &Tensor<F>,
        memory: &mut [Tensor<F>],
    ) -> Tensor<F>;
}

impl<F: Float, R: TensorRule> RunTensor<F> for R {
    fn memory(&self, shape: Shape) -> Vec<(&'static str, Shape)> {
        TensorRule::memory(self, shape)
    }
    fn apply(
        &self,
        at: At,
        update: Tensor<F>,
        param: &Tensor<F>,
        memory: &mut [Tensor<F>],
    ) -> Tensor<F> {
        TensorRule::apply(self, at, update, param, memory)
    }
}

/// A [`Method`] in one precision, its type erased.
pub(crate) trait RunMethod<F: Float>: Debug + Send + Sync {
    fn step(
        &self,
        at: At,
        x: &Tensor<F>,
        loss: &mut LossAt<'_, F>,
        memory: &mut Remembered<F>,
    ) -> (F, Tensor<F>);
}

impl<F: Float, M: Method> RunMethod<F> for M {
    fn step(
        &self,
        at: At,
        x: &Tensor<F>,
        loss: &mut LossAt<'_, F>,
        memory: &mut Remembered<F>,
    ) -> (F, Tensor<F>) {
        Method::step(self, at, x, loss, memory)
    }
}
