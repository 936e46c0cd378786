//! The traits that rules and solvers implement, and the context of a step.

use std::fmt::Debug;

use serde::Serialize;
use serde::de::DeserializeOwned;
use wengert_core::{Float, Shape, Tensor};

use super::elements::{Elements, MapProof};
use super::range::InvalidSetting;

/// Elementwise transform of an update.
///
/// The first rule of a chain receives the gradient. The result of the last is multiplied by the learning
/// rate and subtracted from the parameter.
///
/// The struct that implements the trait holds the settings and nothing else. Its fields are the keys of
/// the TOML file, so it derives `Serialize` and `Deserialize`, with
/// `#[serde(default, deny_unknown_fields)]`. The optimizer keeps the state, by name: see [`Rule::state`].
///
/// ```
/// use serde::{Deserialize, Serialize};
/// use wengert_core::Float;
/// use wengert_nn::optim::{
///     Elements, InvalidSetting, MapProof, Registry, Rule, StepContext, range::fraction,
/// };
///
/// /// Signum, the sign of an average gradient: `m = momentum m + (1 - momentum) g`, `u = sign(m)`.
/// #[derive(Debug, Serialize, Deserialize)]
/// #[serde(default, deny_unknown_fields)]
/// struct Signum {
///     momentum: f64,
/// }
///
/// impl Default for Signum {
///     fn default() -> Self {
///         Signum { momentum: 0.9 }
///     }
/// }
///
/// impl Rule for Signum {
///     const KIND: &'static str = "signum";
///
///     fn check(&self) -> Result<(), InvalidSetting> {
///         fraction("momentum", self.momentum)
///     }
///
///     fn state(&self) -> &'static [&'static str] {
///         &["exp_avg"]
///     }
///
///     #[inline(always)]
///     fn apply<F: Float>(&self, _: StepContext, elements: Elements<'_, F>) -> MapProof {
///         let (past, present) = (F::of(self.momentum), F::of(1.0 - self.momentum));
///         elements.map(|g, _, [m]| {
///             let m = past * m + present * g;
///             (if m == F::ZERO { m } else { m / m.abs() }, [m])
///         })
///     }
/// }
///
/// let registry = Registry::default().rule::<Signum>();
/// let recipe = registry.read("kind = 'signum'\nlr = 0.01\nmomentum = 0.95")?;
/// # assert_eq!(recipe.chain()[0].kind(), "signum");
/// # Ok::<(), wengert_nn::optim::ConfigError>(())
/// ```
pub trait Rule: Debug + Send + Sync + Serialize + DeserializeOwned + 'static {
    /// Name in configuration: `kind = "adam"`.
    const KIND: &'static str;

    /// Default learning rate of a recipe in the short form. NaN, the default, means that there is none: the recipe
    /// has to give `lr`.
    const LR: f64 = f64::NAN;

    /// Formula of the update in plain text, in the names of [`Rule::apply`] and of the settings;
    /// [`Recipe::explain`](super::Recipe::explain) prints it. Default: none.
    const FORMULA: &'static str = "";

    /// Checks the ranges of the settings; see [`range`](super::range) for the usual ones.
    ///
    /// # Errors
    /// Returns an error for the first setting out of range.
    fn check(&self) -> Result<(), InvalidSetting> {
        Ok(())
    }

    /// Returns the names of the slots: the numbers of state that each element of a parameter has.
    fn state(&self) -> &'static [&'static str] {
        &[]
    }

    /// Returns the initial value of slot number `slot`.
    fn initial(&self, slot: usize) -> f64 {
        let _ = slot;
        0.0
    }

    /// Returns the name and the initial value of a number that the state holds once per parameter, if there is one.
    /// [`StepContext::number`] holds it.
    fn number(&self) -> Option<(&'static str, f64)> {
        None
    }

    /// Returns the value of that number for this update, given the value for the previous one.
    fn next_number(&self, context: StepContext, number: f64) -> f64 {
        let _ = context;
        number
    }

    /// Returns the scope of the norms that the rule needs.
    fn scope(&self) -> Scope {
        Scope::Element
    }

    /// Returns the treatment of rows that a loss did not read, such as those of an embedding whose tokens are not in the
    /// batch.
    ///
    /// The optimizer knows them from [`Gradients::rows`](wengert_core::Gradients::rows), and passes them over if all
    /// rules of a chain leave them as they are. The time of a step then depends on the rows that are read.
    fn unread_rows(&self) -> UnreadRows {
        UnreadRows::Updated
    }

    /// Returns whether the rule has to be the last of its chain, where it alone decides how the parameters move; only an
    /// [`Ema`](super::Ema) may follow. Default: false.
    fn ends_chain(&self) -> bool {
        false
    }

    /// Transforms elements. An implementation computes common factors, then calls [`Elements::map`]
    /// once.
    ///
    /// The elements are an unspecified part of one parameter. The result for one element may depend only
    /// on that element and on `context`. With `#[inline(always)]` the method is compiled for the vector
    /// instructions of the machine that it runs on.
    fn apply<F: Float>(&self, context: StepContext, elements: Elements<'_, F>) -> MapProof;

    /// Returns the value that an element has while the model is evaluated, for example an average, given the parameter
    /// and the rule's state after a step. `None`, the default, is the parameter itself.
    /// [`Optimizer::with_ema`](super::Optimizer::with_ema) puts it in its place; the last rule of a chain that has
    /// one decides.
    fn evaluated<F: Float>(&self, param: F, state: &[F]) -> Option<F> {
        let _ = (param, state);
        None
    }
}

/// Scope of the norms that a rule needs before it can transform its first element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Scope {
    /// No norms.
    Element,
    /// Norms of the parameter and of its update: [`StepContext::norm`], [`StepContext::param_norm`].
    Tensor,
    /// Norm of the update of the whole model: [`StepContext::norm`]. All parameters wait for it.
    Model,
}

/// Treatment of the rows of a parameter that a loss did not read; see [`Rule::unread_rows`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UnreadRows {
    /// They are updated like all others. The default.
    Updated,
    /// An update of 0 changes neither an element nor its state, and stays 0. Passing these rows over gives the same
    /// numbers as updating them.
    Unchanged,
    /// They are left alone, which is part of the rule. No other rule of the chain may update them.
    Skipped,
}

/// Position in the training at which a rule is applied.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct StepContext {
    /// Number of times the rule has been applied to this parameter, including this one; 1 at first.
    pub count: u64,
    /// Global step, counted from 0, on which schedules depend.
    pub step: u64,
    /// Learning rate of this step.
    pub lr: f64,
    /// Number that the state holds once per parameter; see [`Rule::number`].
    pub number: f64,
    /// Euclidean norm of the incoming update: over all parameters for [`Scope::Model`], over this
    /// parameter for [`Scope::Tensor`], otherwise 0.
    pub norm: f64,
    /// Euclidean norm of the parameter for [`Scope::Tensor`], otherwise 0.
    pub param_norm: f64,
}

impl StepContext {
    /// Creates the context of global step `step`, counted from 0. A chain fills in the rest.
    pub fn new(step: u64, lr: f64) -> Self {
        StepContext { step, lr, ..StepContext::default() }
    }

    /// Returns `1 - beta^count`, the bias correction of an exponential moving average with decay `beta`
    /// that began at 0.
    ///
    /// Kingma and Ba 2015, section 3, <https://arxiv.org/abs/1412.6980>.
    #[inline]
    pub fn bias_correction(&self, beta: f64) -> f64 {
        // Accurate for a beta near 1, and as fast at step 100,000 as at step 1.
        -(self.count as f64 * beta.ln()).exp_m1()
    }
}

/// Transform of the update of a whole tensor, such as the orthogonalization of a matrix.
///
/// The struct holds the settings, as for [`Rule`].
/// [`Registry::tensor_rule`](super::Registry::tensor_rule) adds it to the kinds that TOML may name.
///
/// ```
/// use serde::{Deserialize, Serialize};
/// use wengert_core::{Float, ReduceOps, Tensor};
/// use wengert_nn::optim::{Optimizer, Registry, StepContext, TensorRule};
///
/// /// Subtracts the mean of the update.
/// #[derive(Debug, Serialize, Deserialize)]
/// #[serde(deny_unknown_fields)]
/// struct Centered {}
///
/// impl TensorRule for Centered {
///     const KIND: &'static str = "centered";
///
///     fn apply<F: Float>(
///         &self,
///         _: StepContext,
///         update: Tensor<F>,
///         _param: &Tensor<F>,
///         _state: &mut [Tensor<F>],
///     ) -> Tensor<F> {
///         let mean = update.mean();
///         update - mean
///     }
/// }
///
/// let registry = Registry::default().tensor_rule::<Centered>();
/// let recipe = registry.read("lr = 0.1\n[[chain]]\nkind = 'centered'\n[[chain]]\nkind = 'adam'")?;
/// let optimizer = Optimizer::<f64>::new(recipe);
/// # Ok::<(), wengert_nn::optim::ConfigError>(())
/// ```
pub trait TensorRule: Debug + Send + Sync + Serialize + DeserializeOwned + 'static {
    /// Name in configuration: `kind = "muon"`.
    const KIND: &'static str;

    /// Default learning rate of a recipe in the short form, as [`Rule::LR`].
    const LR: f64 = f64::NAN;

    /// Formula of the update in plain text, as [`Rule::FORMULA`].
    const FORMULA: &'static str = "";

    /// Checks the ranges of the settings; see [`range`](super::range) for the usual ones.
    ///
    /// # Errors
    /// Returns an error for the first setting out of range.
    fn check(&self) -> Result<(), InvalidSetting> {
        Ok(())
    }

    /// Checks the shape of a parameter before the first step. Default: every shape is accepted.
    ///
    /// # Errors
    /// Returns what the rule is for, such as "it is a rule for matrices".
    fn accepts(&self, shape: Shape) -> Result<(), String> {
        let _ = shape;
        Ok(())
    }

    /// Returns names and shapes of the state of a parameter of this shape. The initial values are 0.
    fn state(&self, shape: Shape) -> Vec<(&'static str, Shape)> {
        let _ = shape;
        Vec::new()
    }

    /// Returns the outgoing update, given the incoming one, the parameter, and the state in the order of
    /// [`TensorRule::state`]. All shapes must stay unchanged.
    fn apply<F: Float>(
        &self,
        context: StepContext,
        update: Tensor<F>,
        param: &Tensor<F>,
        state: &mut [Tensor<F>],
    ) -> Tensor<F>;
}

/// Optimization method that evaluates the loss itself, such as L-BFGS with its line search.
///
/// A solver takes the place of a whole chain; [`Optimizer::minimize`](super::Optimizer::minimize) runs
/// it. The struct holds the settings, as for [`Rule`]. [`Registry::solver`](super::Registry::solver) adds
/// it to the kinds that TOML may name.
///
/// ```
/// use serde::{Deserialize, Serialize};
/// use wengert_core::{Float, Tensor, UnaryOps};
/// use wengert_nn::optim::{LossAt, Registry, Solver, SolverState, StepContext};
///
/// /// Gradient descent that halves the rate until the loss falls.
/// #[derive(Debug, Serialize, Deserialize)]
/// #[serde(deny_unknown_fields)]
/// struct Backtracking {}
///
/// impl Solver for Backtracking {
///     const KIND: &'static str = "backtracking";
///
///     fn step<F: Float>(
///         &self,
///         context: StepContext,
///         x: &Tensor<F>,
///         loss: &mut LossAt<'_, F>,
///         _: &mut SolverState<F>,
///     ) -> (F, Tensor<F>) {
///         let (value, gradient) = loss(x);
///         let mut rate = context.lr;
///         for _ in 0..30 {
///             let end = x - gradient.mul_scalar(rate);
///             if loss(&end).0 < value {
///                 return (value, end);
///             }
///             rate /= 2.0;
///         }
///         (value, x.clone())
///     }
/// }
///
/// let registry = Registry::default().solver::<Backtracking>();
/// let recipe = registry.read("kind = 'backtracking'\nlr = 4.0")?;
/// # Ok::<(), wengert_nn::optim::ConfigError>(())
/// ```
pub trait Solver: Debug + Send + Sync + Serialize + DeserializeOwned + 'static {
    /// Name in configuration: `kind = "lbfgs"`.
    const KIND: &'static str;

    /// Default learning rate of a recipe.
    const LR: f64 = 1.0;

    /// Checks the ranges of the settings; see [`range`](super::range) for the usual ones.
    ///
    /// # Errors
    /// Returns an error for the first setting out of range.
    fn check(&self) -> Result<(), InvalidSetting> {
        Ok(())
    }

    /// Makes one step from the point `x`, of shape `[n]`, which holds all trained parameters in order of
    /// declaration. Returns the loss at `x`, and the end point of the step, of shape `[n]`.
    ///
    /// `loss` evaluates loss and gradient at any point. `state` holds what the last step stored there; it
    /// is empty at first, and saved with the optimizer.
    fn step<F: Float>(
        &self,
        context: StepContext,
        x: &Tensor<F>,
        loss: &mut LossAt<'_, F>,
        state: &mut SolverState<F>,
    ) -> (F, Tensor<F>);
}

/// Loss function that a [`Solver`] calls. It takes a point of shape `[n]` and returns the loss there, with its
/// gradient of shape `[n]`.
pub type LossAt<'a, F> = dyn FnMut(&Tensor<F>) -> (F, Tensor<F>) + 'a;

/// State of a [`Solver`] by name.
pub type SolverState<F> = std::collections::BTreeMap<String, Tensor<F>>;
