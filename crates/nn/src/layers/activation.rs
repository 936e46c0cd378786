//! Activations as modules, for places that take a module. Elsewhere call the method: `x.relu()`.

use wengert_core::{Elementary, Float, Var, params_generic};

use crate::Module;

macro_rules! activations {
    ($($(#[$doc:meta])* $Layer:ident $method:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct $Layer;

        params_generic! { plain $Layer {} }

        impl<F: Float> Module<F> for $Layer {
            #[track_caller]
            fn forward<'t>(&self, x: Var<'t, F>) -> Var<'t, F> {
                x.$method()
            }
        }
    )*};
}

activations! {
    /// `max(x, 0)`.
    Relu relu;
    /// `x * Phi(x)`.
    Gelu gelu;
    /// `x * sigmoid(x)`.
    Silu silu;
    /// Hyperbolic tangent.
    Tanh tanh;
    /// `1 / (1 + exp(-x))`.
    Sigmoid sigmoid;
}
