//! One link of an optimizer: the trait that rules implement, and the handle that recipes hold.

use std::any::{Any, TypeId};
use std::fmt::Debug;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use wengert_core::{Float, vectorized};

use super::elements::{Elements, Mapped};
use super::setting::BadSetting;

/// One link of an optimizer's chain: it turns the update that arrives into the one that leaves.
///
/// The first link receives the gradient; what leaves the last is multiplied by the learning rate
/// and subtracted from the parameter. The struct that implements the trait *is* the rule: its
/// fields are the settings as they stand in a TOML file (so it derives `Serialize` and
/// `Deserialize`, with `#[serde(default, deny_unknown_fields)]`), and it holds nothing else. What
/// it must remember from step to step is kept for it, by name ([`Rule::memory`]).
///
/// ```
/// use serde::{Deserialize, Serialize};
/// use wengert_core::Float;
/// use wengert_nn::optim::{At, Elements, Mapped, Recipe, Registry, Rule};
///
/// /// `update = sign(g)`, and nothing to set.
/// #[derive(Debug, Serialize, Deserialize)]
/// #[serde(deny_unknown_fields)]
/// struct SignDescent {}
///
/// impl Rule for SignDescent {
///     const KIND: &'static str = "sign_descent";
///
///     fn apply<F: Float>(&self, _: At, elements: Elements<'_, F>) -> Mapped {
///         elements.map(|g, _, []| {
///             let u = if g > F::ZERO { F::ONE } else if g < F::ZERO { -F::ONE } else { g };
///             (u, [])
///         })
///     }
/// }
///
/// let registry = Registry::default().rule::<SignDescent>();
/// let recipe = Recipe::from_toml_with(&registry, "kind = 'sign_descent'\nlr = 0.01")?;
/// # assert_eq!(recipe.chain()[0].kind(), "sign_descent");
/// # Ok::<(), wengert_nn::optim::ConfigError>(())
/// ```
pub trait Rule: Debug + Send + Sync + Serialize + DeserializeOwned + 'static {
    /// The name under which configuration knows the rule: `kind = "adam"`.
    const KIND: &'static str;

    /// The learning rate of a short form that gives none.
    const LR: f64 = 1e-3;

    /// Whether the settings are in range; see [`setting`](super::setting) for the usual ranges.
    ///
    /// # Errors
    /// With the first setting that is not, and what was expected of it.
    fn check(&self) -> Result<(), BadSetting> {
        Ok(())
    }

    /// The names of the numbers that the rule remembers for each element of a parameter.
    fn memory(&self) -> &'static [&'static str] {
        &[]
    }

    /// What slot number `slot` of the memory holds before the first step.
    fn initial(&self, slot: usize) -> f64 {
        let _ = slot;
        0.0
    }

    /// How much the rule must see before it can transform its first element.
    fn reach(&self) -> Reach {
        Reach::Element
    }

    /// Transforms the elements at hand: computes what is the same for all of them, then ends with
    /// [`Elements::map`], once.
    ///
    /// The elements are a part of one parameter, and which part is not told: what becomes of one
    /// may depend on itself and on `at`, and on nothing else. Mark the method `#[inline(always)]`
    /// and it is compiled for the vector instructions of the machine that it runs on.
    fn apply<F: Float>(&self, at: At, elements: Elements<'_, F>) -> Mapped;
}

/// How much a rule must see before it can transform its first element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reach {
    /// The element alone.
    Element,
    /// The updates of the whole model, for their norm ([`At::norm`]): a barrier in the chain.
    Model,
}

/// Where in the training a rule is applied.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct At {
    /// How often this parameter has been updated, this time included: 1 at first.
    pub count: u64,
    /// The global step, from 0: what schedules go by.
    pub step: u64,
    /// The learning rate of this step.
    pub lr: f64,
    /// The Euclidean norm of the update that arrives at this link, over all parameters. Only a rule
    /// that asks for it by [`Reach::Model`] may read it.
    pub norm: f64,
}

impl At {
    /// The update number `count` of a parameter (from 1) at global step `step` (from 0).
    pub fn new(count: u64, step: u64, lr: f64) -> Self {
        At { count, step, lr, norm: 0.0 }
    }

    /// `1 - beta^count`: the share of real gradients, as against the zeros it began with, in a
    /// running average whose past weighs `beta` (Kingma and Ba 2015, section 3).
    #[inline]
    pub fn bias_correction(&self, beta: f64) -> f64 {
        // Exact to the last digits for a beta near 1, and as fast at step 100,000 as at step 1.
        -(self.count as f64 * beta.ln()).exp_m1()
    }
}

/// A rule of any type, as recipes hold it: cheap to clone, equal when kind and settings are.
#[derive(Clone, Debug)]
pub struct Link {
    rule: Arc<dyn AnyRule>,
    settings: Arc<toml::Table>,
}

impl Link {
    /// A link of this rule.
    ///
    /// # Panics
    /// When a setting is out of range ([`Rule::check`]).
    #[track_caller]
    pub fn new<R: Rule>(rule: R) -> Self {
        match Link::checked(rule) {
            Ok(link) => link,
            Err(bad) => panic!("{}: {bad}", R::KIND),
        }
    }

    /// A link of this rule, or the setting that is wrong.
    pub(crate) fn checked<R: Rule>(rule: R) -> Result<Self, BadSetting> {
        rule.check()?;
        let settings = super::fields::settings(&rule)?;
        Ok(Link { rule: Arc::new(rule), settings: Arc::new(settings) })
    }

    /// The name under which configuration knows the rule.
    pub fn kind(&self) -> &'static str {
        self.rule.kind()
    }

    /// Every setting, the defaults spelled out.
    pub fn settings(&self) -> &toml::Table {
        &self.settings
    }

    /// The names of the settings, as far as they are known, in the order of their declaration.
    pub(crate) fn order(&self) -> &'static [&'static str] {
        self.rule.order()
    }

    /// See [`Rule::memory`].
    pub fn memory(&self) -> &'static [&'static str] {
        self.rule.memory()
    }

    /// See [`Rule::initial`].
    pub fn initial(&self, slot: usize) -> f64 {
        self.rule.initial(slot)
    }

    /// See [`Rule::reach`].
    pub fn reach(&self) -> Reach {
        self.rule.reach()
    }

    /// The rule as it runs in precision `F`.
    pub(crate) fn typed<F: Float>(&self) -> Arc<dyn Run<F>> {
        // `Float` is sealed, and its two types are the two that `in_precision` knows.
        let typed = self.rule.clone().in_precision(TypeId::of::<F>());
        *typed.downcast().expect("a precision is f32 or f64")
    }
}

impl PartialEq for Link {
    fn eq(&self, other: &Self) -> bool {
        self.kind() == other.kind() && self.settings == other.settings
    }
}

/// A rule in one precision, its type erased.
pub(crate) trait Run<F: Float>: Debug + Send + Sync {
    /// Transforms `update` in place.
    fn pass(&self, at: At, update: &mut [F], param: &[F], memory: &mut [F]);
    /// Transforms `update` and subtracts it: `param -= at.lr * update`.
    fn finish(&self, at: At, update: &[F], param: &mut [F], memory: &mut [F]);
}

// Without the attribute a closure of some size is not inlined into the dispatch, and its loops stay
// with the plainest vectors (measured: Adam, three times slower).
impl<F: Float, R: Rule> Run<F> for R {
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

/// A rule with its type erased and its precision still open.
trait AnyRule: Debug + Send + Sync {
    fn kind(&self) -> &'static str;
    fn order(&self) -> &'static [&'static str];
    fn memory(&self) -> &'static [&'static str];
    fn initial(&self, slot: usize) -> f64;
    fn reach(&self) -> Reach;
    /// An `Arc<dyn Run<f32>>` or an `Arc<dyn Run<f64>>`.
    fn in_precision(self: Arc<Self>, precision: TypeId) -> Box<dyn Any>;
}

impl<R: Rule> AnyRule for R {
    fn kind(&self) -> &'static str {
        R::KIND
    }
    fn order(&self) -> &'static [&'static str] {
        super::fields::of::<R>().names()
    }
    fn memory(&self) -> &'static [&'static str] {
        Rule::memory(self)
    }
    fn initial(&self, slot: usize) -> f64 {
        Rule::initial(self, slot)
    }
    fn reach(&self) -> Reach {
        Rule::reach(self)
    }
    fn in_precision(self: Arc<Self>, precision: TypeId) -> Box<dyn Any> {
        if precision == TypeId::of::<f32>() {
            Box::new(self as Arc<dyn Run<f32>>)
        } else {
            Box::new(self as Arc<dyn Run<f64>>)
        }
    }
}
