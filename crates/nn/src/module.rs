//! Modules: one variable in, one out.

use wengert_core::{Float, Params, Var};

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
