//! Modules that connect others.

use std::fmt::{self, Debug};
use std::sync::Arc;

use wengert_core::{
    Float, Leaf, LeafMut, MovementOps, Params, Path, ShapeError, Var, params_generic,
};

use crate::Module;

/// Modules one after the other. Its parameters are named by number, `0.weight`, as in PyTorch.
///
/// ```
/// use rand::{SeedableRng, rngs::ChaCha8Rng};
/// use wengert_core::Tensor;
/// use wengert_nn::{Linear, Module, Relu, Sequential};
///
/// let mut rng = ChaCha8Rng::seed_from_u64(0);
/// let net = Sequential::<f32>::new()
///     .then(Linear::new(4, 8, &mut rng))
///     .then(Relu)
///     .then(Linear::new(8, 2, &mut rng));
/// let y = wengert_core::evaluate(|tape| net.forward(tape.constant(&Tensor::ones([3, 4]))));
/// assert_eq!(y.shape(), [3, 2].into());
/// ```
pub struct Sequential<F: Float = f32> {
    layers: Vec<Box<dyn Module<F> + Send + Sync>>,
}

impl<F: Float> Sequential<F> {
    /// No modules: the identity.
    pub fn new() -> Self {
        Self { layers: Vec::new() }
    }

    /// These modules and one more.
    pub fn then(mut self, layer: impl Module<F> + Send + Sync + 'static) -> Self {
        self.layers.push(Box::new(layer));
        self
    }

    /// The modules, so that some can be run by themselves.
    pub fn layers(&self) -> &[Box<dyn Module<F> + Send + Sync>] {
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
        self.layers.iter().enumerate().for_each(|(i, layer)| layer.visit(path.index(i), visit));
    }
    fn visit_mut<'a>(
        &'a mut self,
        path: Path<'_>,
        visit: &mut dyn FnMut(Path<'_>, LeafMut<'a, F>),
    ) {
        let layers = self.layers.iter_mut().enumerate();
        layers.for_each(|(i, layer)| layer.visit_mut(path.index(i), visit));
    }
}

impl<F: Float> Module<F> for Sequential<F> {
    fn forward<'t>(&self, x: Var<'t, F>) -> Var<'t, F> {
        let _layer = x.tape().layer("Sequential");
        self.layers.iter().enumerate().fold(x, |x, (i, layer)| {
            let _part = x.tape().layer(i);
            layer.forward(x)
        })
    }
}

/// The input itself.
///
/// <https://docs.pytorch.org/docs/stable/generated/torch.nn.Identity.html>
#[derive(Clone, Copy, Debug)]
pub struct Identity;

params_generic! { plain Identity {} }

impl<F: Float> Module<F> for Identity {
    fn forward<'t>(&self, x: Var<'t, F>) -> Var<'t, F> {
        let _layer = x.tape().layer("Identity");
        x
    }
}

/// Axes made one: at first all but that of the examples, `[n, ..]` to `[n, features]`.
///
/// <https://docs.pytorch.org/docs/stable/generated/torch.nn.Flatten.html>
#[derive(Clone, Copy, Debug)]
pub struct Flatten {
    first: isize,
    last: isize,
}

impl Flatten {
    /// Axis 1 to the last.
    pub fn new() -> Self {
        Self::axes(1, -1)
    }

    /// The axes from `first` to `last`, both included.
    pub fn axes(first: isize, last: isize) -> Self {
        Self { first, last }
    }
}

impl Default for Flatten {
    fn default() -> Self {
        Self::new()
    }
}

params_generic! { plain Flatten {; first, last } }

impl<F: Float> Module<F> for Flatten {
    #[track_caller]
    fn forward<'t>(&self, x: Var<'t, F>) -> Var<'t, F> {
        let _layer = x.tape().layer("Flatten");
        x.flatten_axes(self.first, self.last)
    }
}

/// `x + body(x)`; <https://arxiv.org/abs/1512.03385>. The body's parameters are named `body.weight` and
/// so on, as in a PyTorch module with an attribute of that name.
#[derive(Clone, Debug)]
pub struct Residual<M> {
    /// What is added to the input; it keeps the shape.
    pub body: M,
}

impl<M> Residual<M> {
    /// Around this module.
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
        let y = self.body.forward(x);
        if y.shape() != x.shape() {
            ShapeError::new(format!("the body makes {:?} of {:?}", y.shape(), x.shape()))
                .in_operation("Residual")
                .raise();
        }
        x + y
    }
}

type Function<F> = dyn for<'t> Fn(Var<'t, F>) -> Var<'t, F> + Send + Sync;

/// A function without parameters as a module, for a step between others.
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
    /// This function; a clone shares it.
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
