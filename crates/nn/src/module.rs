//! Modules: one variable in, one out.

use std::fmt::{self, Debug};

use wengert_core::{Float, Leaf, LeafMut, Params, Path, Var};

/// The plain case of a layer or a model: one variable in, one out. Layers that need masks, tokens
/// or a state have methods of their own.
pub trait Module<F: Float = f32>: Params<F> {
    /// The output for input `x`, recorded on the tape of `x`.
    fn forward<'t>(&self, x: Var<'t, F>) -> Var<'t, F>;

    /// The type's name, for messages.
    fn name(&self) -> &'static str {
        let path = std::any::type_name::<Self>();
        let path = path.split('<').next().unwrap_or(path);
        path.rsplit("::").next().unwrap_or(path)
    }
}

impl<F: Float, M: Module<F> + ?Sized> Module<F> for Box<M> {
    fn forward<'t>(&self, x: Var<'t, F>) -> Var<'t, F> {
        (**self).forward(x)
    }
    fn name(&self) -> &'static str {
        (**self).name()
    }
}

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
