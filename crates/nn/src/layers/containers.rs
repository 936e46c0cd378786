//! Modules that connect others.

use std::fmt::{self, Debug};
use std::sync::Arc;

use wengert_core::{
    Float, Leaf, LeafMut, MovementOps, Params, Path, Var, at_caller, params_generic,
};

use super::{forward_field, refuse};
use crate::Module;
use crate::module::SOURCES;

/// A module that can be cloned in a box. Every module that implements `Clone` is one.
///
/// ```
/// use wengert_nn::{CloneModule, Relu, Sequential, Tanh};
///
/// let activation = |name: &str| -> Box<dyn CloneModule> {
///     if name == "relu" { Box::new(Relu) } else { Box::new(Tanh) }
/// };
/// let net = Sequential::new().then(activation("tanh"));
/// assert_eq!(format!("{:?}", net.clone()), "[\"Tanh\"]");
/// ```
pub trait CloneModule<F: Float = f32>: Module<F> + Send + Sync {
    /// Returns a clone, whose parameters are new ones.
    fn clone_module(&self) -> Box<dyn CloneModule<F>>;
}

impl<F: Float, M: Module<F> + Clone + Send + Sync + 'static> CloneModule<F> for M {
    fn clone_module(&self) -> Box<dyn CloneModule<F>> {
        Box::new(self.clone())
    }
}

impl<F: Float> Clone for Box<dyn CloneModule<F>> {
    fn clone(&self) -> Self {
        (**self).clone_module()
    }
}

/// Modules that run one after the other.
///
/// * Input: that of the first module. Output: that of the last one. Without modules, the input is returned.
/// * Parameters: those of the modules, named by position, such as `0.weight` and `2.bias`.
///
/// <https://docs.pytorch.org/docs/stable/generated/torch.nn.Sequential.html>
///
/// ```
/// use rand::{SeedableRng, rngs::ChaCha8Rng};
/// use wengert_core::{Params, Tensor, evaluate};
/// use wengert_nn::{Linear, Module, Relu, Sequential};
///
/// let mut rng = ChaCha8Rng::seed_from_u64(0);
/// let net = Sequential::<f32>::new()
///     .then(Linear::new(4, 8, &mut rng))
///     .then(Relu)
///     .then(Linear::new(8, 2, &mut rng));
/// let y = evaluate(|tape| net.forward(tape.constant(&Tensor::ones([3, 4]))));
/// assert_eq!(y.shape(), [3, 2].into());
/// assert!(net.param("2.weight").is_some());
/// ```
#[derive(Clone)]
pub struct Sequential<F: Float = f32> {
    layers: Vec<Box<dyn CloneModule<F>>>,
}

impl<F: Float> Sequential<F> {
    /// Returns a sequence without modules.
    pub fn new() -> Self {
        Self { layers: Vec::new() }
    }

    /// Appends a module.
    pub fn then(mut self, layer: impl Module<F> + Clone + Send + Sync + 'static) -> Self {
        self.layers.push(Box::new(layer));
        self
    }

    /// Returns the modules, for example to run only some of them.
    pub fn layers(&self) -> &[Box<dyn CloneModule<F>>] {
        &self.layers
    }
}

impl<F: Float> Default for Sequential<F> {
    fn default() -> Self {
        Self::new()
    }
}

impl<F: Float> Debug for Sequential<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.layers.iter().map(|layer| layer.name())).finish()
    }
}

impl<F: Float> Params<F> for Sequential<F> {
    fn visit<'a>(&'a self, path: Path<'_>, visit: &mut dyn FnMut(Path<'_>, Leaf<'a, F>)) {
        Params::<F>::visit(&*self.layers, path, visit);
    }
    fn visit_mut<'a>(
        &'a mut self,
        path: Path<'_>,
        visit: &mut dyn FnMut(Path<'_>, LeafMut<'a, F>),
    ) {
        Params::<F>::visit_mut(&mut *self.layers, path, visit);
    }
}

impl<F: Float> Module<F> for Sequential<F> {
    #[track_caller]
    fn forward<'t>(&self, mut x: Var<'t, F>) -> Var<'t, F> {
        let _layer = x.tape().layer("Sequential");
        // A closure would lose the caller's line.
        for (i, layer) in self.layers.iter().enumerate() {
            let _part = x.tape().layer(i);
            x = layer.forward(x);
        }
        x
    }
}

/// A sum of the input and a module's output, `x + body(x)`.
///
/// * Input and output: any shape that the body keeps.
/// * Parameters: those of the body, under `body`.
///
/// He et al. 2015, <https://arxiv.org/abs/1512.03385>.
///
/// ```
/// use wengert_core::{Tensor, evaluate};
/// use wengert_nn::{Module, Relu, Residual};
///
/// let x = Tensor::<f64>::from([-1.0, 2.0]);
/// let y = evaluate(|tape| Residual::new(Relu).forward(tape.constant(&x)));
/// assert_eq!(y, Tensor::from([-1.0, 4.0]));
/// ```
#[derive(Clone, Debug)]
pub struct Residual<M> {
    /// The module whose output is added.
    pub body: M,
}

impl<M> Residual<M> {
    /// Returns a residual connection around `body`.
    pub fn new(body: M) -> Self {
        Self { body }
    }
}

impl<F: Float, M: Params<F>> Params<F> for Residual<M> {
    fn visit<'a>(&'a self, path: Path<'_>, visit: &mut dyn FnMut(Path<'_>, Leaf<'a, F>)) {
        self.body.visit(path.field("body"), visit);
    }
    fn visit_mut<'a>(
        &'a mut self,
        path: Path<'_>,
        visit: &mut dyn FnMut(Path<'_>, LeafMut<'a, F>),
    ) {
        self.body.visit_mut(path.field("body"), visit);
    }
}

impl<F: Float, M: Module<F>> Module<F> for Residual<M> {
    #[track_caller]
    fn forward<'t>(&self, x: Var<'t, F>) -> Var<'t, F> {
        let _layer = x.tape().layer("Residual");
        let y = forward_field("body", &self.body, x);
        if y.shape() != x.shape() {
            let message =
                format!("the body changes the shape, from {:?} to {:?}", x.shape(), y.shape());
            refuse("Residual", x, message);
        }
        x + y
    }
}

/// A module that always runs in evaluation mode, also where the model around it trains: its batch norms use
/// and keep their running statistics, and its dropout changes nothing.
///
/// The parameters inside are trained unless they are frozen. In a `forward` of your own,
/// [`Tape::eval_mode`](wengert_core::Tape::eval_mode) does the same for any part.
///
/// * Input and output: those of the module.
/// * Parameters: those of the module, under the same names.
///
/// ```
/// use wengert_core::{ReduceOps, Tensor, gradients};
/// use wengert_nn::{BatchNorm1d, EvalMode, Module};
///
/// let norm = EvalMode::new(BatchNorm1d::<f64>::new(1).eps(0.0));
/// // The statistics of a new layer are mean 0 and variance 1; those of this batch are 4 and 4.
/// let x = Tensor::from([[2.0], [6.0]]);
/// let (_, grads) = gradients(|tape| {
///     let y = norm.forward(tape.constant(&x));
///     assert_eq!(y.value(), x);
///     y.sum()
/// });
/// assert!(grads.updates().is_empty());
/// ```
#[derive(Clone, Debug)]
pub struct EvalMode<M> {
    /// The module that runs in evaluation mode.
    pub module: M,
}

impl<M> EvalMode<M> {
    /// Returns `module` in evaluation mode.
    pub fn new(module: M) -> Self {
        Self { module }
    }
}

impl<F: Float, M: Params<F>> Params<F> for EvalMode<M> {
    fn visit<'a>(&'a self, path: Path<'_>, visit: &mut dyn FnMut(Path<'_>, Leaf<'a, F>)) {
        self.module.visit(path, visit);
    }
    fn visit_mut<'a>(
        &'a mut self,
        path: Path<'_>,
        visit: &mut dyn FnMut(Path<'_>, LeafMut<'a, F>),
    ) {
        self.module.visit_mut(path, visit);
    }
}

impl<F: Float, M: Module<F>> Module<F> for EvalMode<M> {
    #[track_caller]
    fn forward<'t>(&self, x: Var<'t, F>) -> Var<'t, F> {
        at_caller(SOURCES, || x.tape().eval_mode(|| self.module.forward(x)))
    }
    fn name(&self) -> &'static str {
        self.module.name()
    }
}

/// The identity.
///
/// * Input and output: any shape.
///
/// <https://docs.pytorch.org/docs/stable/generated/torch.nn.Identity.html>
///
/// ```
/// use wengert_core::{Tensor, evaluate};
/// use wengert_nn::{Identity, Module};
///
/// let x = Tensor::<f32>::ones([2]);
/// assert_eq!(evaluate(|tape| Identity.forward(tape.constant(&x))), x);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Identity;

params_generic! { plain Identity {} }

impl<F: Float> Module<F> for Identity {
    fn forward<'t>(&self, x: Var<'t, F>) -> Var<'t, F> {
        let _layer = x.tape().layer("Identity");
        x
    }
}

/// A layer that merges adjacent axes into one, by default all but the first.
///
/// * Input `[n, ..]`, output `[n, features]`.
///
/// <https://docs.pytorch.org/docs/stable/generated/torch.nn.Flatten.html>
///
/// ```
/// use wengert_nn::{Flatten, check_shapes};
///
/// assert_eq!(check_shapes::<f32>(&Flatten::new(), [64, 16, 5, 5]), Ok([64, 400].into()));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Flatten {
    start_axis: isize,
    end_axis: isize,
}

impl Flatten {
    /// Returns a layer that merges axis 1 to the last.
    pub fn new() -> Self {
        Self::axes(1, -1)
    }

    /// Returns a layer that merges the axes from `start_axis` to `end_axis`, both included. Negative
    /// numbers count from the end.
    pub fn axes(start_axis: isize, end_axis: isize) -> Self {
        Self { start_axis, end_axis }
    }
}

impl Default for Flatten {
    fn default() -> Self {
        Self::new()
    }
}

params_generic! { plain Flatten {; start_axis, end_axis } }

impl<F: Float> Module<F> for Flatten {
    #[track_caller]
    fn forward<'t>(&self, x: Var<'t, F>) -> Var<'t, F> {
        let _layer = x.tape().layer("Flatten");
        x.flatten_axes(self.start_axis, self.end_axis)
    }
}

type Function<F> = dyn for<'t> Fn(Var<'t, F>) -> Var<'t, F> + Send + Sync;

/// A function without parameters as a module.
///
/// * Input and output: those of the function.
///
/// ```
/// use wengert_core::{Tensor, UnaryOps, evaluate};
/// use wengert_nn::{Lambda, Module, Sequential};
///
/// let net = Sequential::<f64>::new().then(Lambda::new(|x| x.square() + 1.0));
/// assert_eq!(evaluate(|tape| net.forward(tape.constant(&Tensor::scalar(3.0)))).item(), 10.0);
/// ```
#[derive(Clone)]
pub struct Lambda<F: Float = f32> {
    function: Arc<Function<F>>,
}

impl<F: Float> Lambda<F> {
    /// Returns a module that calls `f`. Clones share the function.
    pub fn new(f: impl for<'t> Fn(Var<'t, F>) -> Var<'t, F> + Send + Sync + 'static) -> Self {
        Self { function: Arc::new(f) }
    }
}

impl<F: Float> Debug for Lambda<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lambda")
    }
}

params_generic! { Lambda {; function } }

impl<F: Float> Module<F> for Lambda<F> {
    fn forward<'t>(&self, x: Var<'t, F>) -> Var<'t, F> {
        let _layer = x.tape().layer("Lambda");
        (self.function)(x)
    }
}
