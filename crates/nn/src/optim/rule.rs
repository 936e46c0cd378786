//! One transform of an optimizer: the traits that rules implement.

use std::fmt::Debug;

use serde::Serialize;
use serde::de::DeserializeOwned;
use wengert_core::{Float, Shape, Tensor};

use super::elements::{Elements, MapProof};
use super::range::InvalidSetting;
use super::transform::Transform;

/// One transform of an optimizer's chain: it turns the update that arrives into the one that leaves.
///
/// The first transform receives the gradient; what leaves the last is multiplied by the learning rate
/// and subtracted from the parameter. The struct that implements the trait *is* the rule: its
/// fields are the settings as they stand in a TOML file (so it derives `Serialize` and
/// `Deserialize`, with `#[serde(default, deny_unknown_fields)]`), and it holds nothing else. What
/// it must remember from step to step is kept for it, by name ([`Rule::state`]).
///
/// ```
/// use serde::{Deserialize, Serialize};
/// use wengert_core::Float;
/// use wengert_nn::optim::{StepContext, Elements, MapProof, Recipe, Registry, Rule};
///
/// /// `update = sign(g)`, and nothing to set.
/// #[derive(Debug, Serialize, Deserialize)]
/// #[serde(deny_unknown_fields)]
/// struct SignDescent {}
///
/// impl Rule for SignDescent {
///     const KIND: &'static str = "sign_descent";
///
///     fn apply<F: Float>(&self, _: StepContext, elements: Elements<'_, F>) -> MapProof {
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

    /// Whether the settings are in range; see [`setting`](super::range) for the usual ranges.
    ///
    /// # Errors
    /// With the first setting that is not, and what was expected of it.
    fn check(&self) -> Result<(), InvalidSetting> {
        Ok(())
    }

    /// The names of the numbers that the rule remembers for each element of a parameter.
    fn state(&self) -> &'static [&'static str] {
        &[]
    }

    /// What slot number `slot` of the state holds before the first step.
    fn initial(&self, slot: usize) -> f64 {
        let _ = slot;
        0.0
    }

    /// The name and the first value of a number that the rule remembers of each parameter as a whole,
    /// if there is one: [`StepContext::number`].
    fn number(&self) -> Option<(&'static str, f64)> {
        None
    }

    /// That number for the update at hand, from the one of the update before.
    fn advance(&self, context: StepContext, number: f64) -> f64 {
        let _ = context;
        number
    }

    /// How much the rule must see before it can transform its first element.
    fn scope(&self) -> Scope {
        Scope::Element
    }

    /// Transforms the elements at hand: computes what is the same for all of them, then ends with
    /// [`Elements::map`], once.
    ///
    /// The elements are a part of one parameter, and which part is not told: what becomes of one
    /// may depend on itself and on `at`, and on nothing else. Mark the solver `#[inline(always)]`
    /// and it is compiled for the vector instructions of the machine that it runs on.
    fn apply<F: Float>(&self, context: StepContext, elements: Elements<'_, F>) -> MapProof;
}

/// How much a rule must see before it can transform its first element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Scope {
    /// The element alone.
    Element,
    /// The update and the values of its whole parameter, for their norms ([`StepContext::norm`],
    /// [`StepContext::param_norm`]).
    Tensor,
    /// The updates of the whole model, for their norm ([`StepContext::norm`]): a barrier in the chain.
    Model,
}

/// Where in the training a rule is applied.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct StepContext {
    /// How often the rule has been applied to this parameter, this time included: 1 at first.
    pub count: u64,
    /// The global step, from 0: what schedules go by.
    pub step: u64,
    /// The learning rate of this step.
    pub lr: f64,
    /// The number that the rule remembers of the parameter as a whole ([`Rule::number`]).
    pub number: f64,
    /// The Euclidean norm of the update that arrives at this transform: over all parameters for a rule of
    /// [`Scope::Model`], over the one at hand for a rule of [`Scope::Tensor`], 0 otherwise.
    pub norm: f64,
    /// The Euclidean norm of the parameter at hand, for a rule of [`Scope::Tensor`], 0 otherwise.
    pub param_norm: f64,
}

impl StepContext {
    /// Global step `step` (from 0) at this learning rate; the rest is filled in by the chain.
    pub fn new(step: u64, lr: f64) -> Self {
        StepContext { step, lr, ..StepContext::default() }
    }

    /// `1 - beta^count`: the share of real gradients, as against the zeros it began with, in a
    /// running average whose past weighs `beta` (Kingma and Ba 2015, section 3).
    #[inline]
    pub fn bias_correction(&self, beta: f64) -> f64 {
        // Exact to the last digits for a beta near 1, and as fast at step 100,000 as at step 1.
        -(self.count as f64 * beta.ln()).exp_m1()
    }
}

/// A transform that transforms the update of a parameter as a whole, such as one that orthogonalises a
/// matrix. What is said of the struct that implements [`Rule`] holds here too;
/// [`Registry::tensor_rule`](super::Registry::tensor_rule) makes it known by name.
pub trait TensorRule: Debug + Send + Sync + Serialize + DeserializeOwned + 'static {
    /// As [`Rule::KIND`].
    const KIND: &'static str;

    /// As [`Rule::LR`].
    const LR: f64 = 1e-3;

    /// As [`Rule::check`].
    ///
    /// # Errors
    /// As there.
    fn check(&self) -> Result<(), InvalidSetting> {
        Ok(())
    }

    /// Names and shapes of what the rule remembers of a parameter of this shape; zeros at first.
    fn state(&self, shape: Shape) -> Vec<(&'static str, Shape)> {
        let _ = shape;
        Vec::new()
    }

    /// The update that leaves, from the one that arrives, the parameter, and what is remembered in
    /// the order of [`TensorRule::state`]. All shapes stay as they are.
    fn apply<F: Float>(
        &self,
        context: StepContext,
        update: Tensor<F>,
        param: &Tensor<F>,
        state: &mut [Tensor<F>],
    ) -> Tensor<F>;
}

/// A whole solver that calls the loss itself, such as L-BFGS with its line search: it takes the place
/// of the chain. [`Registry::solver`](super::Registry::solver) makes it known by name, and
/// [`Optimizer::minimize`](super::Optimizer::minimize) runs it.
pub trait Solver: Debug + Send + Sync + Serialize + DeserializeOwned + 'static {
    /// As [`Rule::KIND`].
    const KIND: &'static str;

    /// As [`Rule::LR`].
    const LR: f64 = 1.0;

    /// As [`Rule::check`].
    ///
    /// # Errors
    /// As there.
    fn check(&self) -> Result<(), InvalidSetting> {
        Ok(())
    }

    /// One step from the point `x`, which holds all trained parameters in order of declaration, of
    /// shape `[n]`: the loss at `x`, and the point where the step ends. `loss` gives value and
    /// gradient anywhere.
    ///
    /// `state` holds what the last step left there, by name; it is empty at first, and saved with
    /// the optimizer.
    fn step<F: Float>(
        &self,
        context: StepContext,
        x: &Tensor<F>,
        loss: &mut LossAt<'_, F>,
        state: &mut SolverState<F>,
    ) -> (F, Tensor<F>);
}

/// The loss as a [`Solver`] calls it: the value at a point, and the gradient there, of the point's
/// shape.
pub type LossAt<'a, F> = dyn FnMut(&Tensor<F>) -> (F, Tensor<F>) + 'a;

/// What a [`Solver`] remembers from step to step, by name.
pub type SolverState<F> = std::collections::BTreeMap<String, Tensor<F>>;

/// A name for several transforms in a row, as AdamW is Adam and a weight decay: its struct is read from
/// the settings, and gives the transforms. [`Registry::alias`](super::Registry::alias) makes it
/// known. A recipe prints the transforms themselves.
pub trait Alias: Debug + Serialize + DeserializeOwned + 'static {
    /// As [`Rule::KIND`].
    const KIND: &'static str;

    /// As [`Rule::LR`].
    const LR: f64 = 1e-3;

    /// The transforms, at least one.
    ///
    /// # Errors
    /// With the first setting that is out of range.
    fn transforms(self) -> Result<Vec<Transform>, InvalidSetting>;
}
