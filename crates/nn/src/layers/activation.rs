//! Activations as modules, for places that take a module. Elsewhere call the method: `x.relu()`.

use wengert_core::{
    BinaryOps, Float, Param, ReduceOps, ShapeError, Tensor, UnaryOps, Var, params_generic,
};

use crate::Module;

macro_rules! activations {
    ($($(#[$doc:meta])* $Layer:ident $page:literal $method:ident;)*) => {$(
        $(#[$doc])*
        ///
        #[doc = concat!("<https://docs.pytorch.org/docs/stable/generated/torch.nn.", $page, ".html>")]
        #[derive(Clone, Copy, Debug)]
        pub struct $Layer;

        params_generic! { plain $Layer {} }

        impl<F: Float> Module<F> for $Layer {
            #[track_caller]
            fn forward<'t>(&self, x: Var<'t, F>) -> Var<'t, F> {
                let _layer = x.tape().layer($page);
                x.$method()
            }
        }
    )*};
}

macro_rules! activations_with {
    ($($(#[$doc:meta])* $Layer:ident $page:literal $method:ident($setting:ident: $T:ty = $default:literal);)*) => {$(
        $(#[$doc])*
        ///
        #[doc = concat!("<https://docs.pytorch.org/docs/stable/generated/torch.nn.", $page, ".html>")]
        #[derive(Clone, Copy, Debug)]
        pub struct $Layer {
            #[doc = concat!("`", stringify!($default), "` by default, as in PyTorch where it has one.")]
            pub $setting: $T,
        }

        impl Default for $Layer {
            fn default() -> Self {
                Self { $setting: $default }
            }
        }

        params_generic! { plain $Layer {; $setting } }

        impl<F: Float> Module<F> for $Layer {
            #[track_caller]
            fn forward<'t>(&self, x: Var<'t, F>) -> Var<'t, F> {
                let _layer = x.tape().layer($page);
                x.$method(self.$setting)
            }
        }
    )*};
}

activations! {
    /// `max(x, 0)`.
    Relu "ReLU" relu;
    /// `min(max(x, 0), 6)`.
    Relu6 "ReLU6" relu6;
    /// `x * Phi(x)`.
    Gelu "GELU" gelu;
    /// Gelu by a hyperbolic tangent: PyTorch's `GELU(approximate='tanh')`.
    GeluTanh "GELU" gelu_tanh;
    /// `x * sigmoid(x)`.
    Silu "SiLU" silu;
    /// `x tanh(softplus(x))`.
    Mish "Mish" mish;
    /// Elu with the constants that keep mean 0 and variance 1.
    Selu "SELU" selu;
    /// Hyperbolic tangent.
    Tanh "Tanh" tanh;
    /// `1 / (1 + exp(-x))`.
    Sigmoid "Sigmoid" sigmoid;
    /// `ln(sigmoid(x))`.
    LogSigmoid "LogSigmoid" log_sigmoid;
    /// `ln(1 + exp(x))`.
    Softplus "Softplus" softplus;
    /// `x / (1 + |x|)`.
    Softsign "Softsign" softsign;
    /// `min(max(x, -1), 1)`.
    Hardtanh "Hardtanh" hardtanh;
    /// `min(max(x + 3, 0), 6) / 6`.
    Hardsigmoid "Hardsigmoid" hardsigmoid;
    /// `x min(max(x + 3, 0), 6) / 6`.
    Hardswish "Hardswish" hardswish;
}

activations_with! {
    /// `x` above 0, else `slope x`.
    LeakyRelu "LeakyReLU" leaky_relu(slope: f64 = 0.01);
    /// `x` above 0, else `alpha (exp(x) - 1)`.
    Elu "ELU" elu(alpha: f64 = 1.0);
    /// `x` above 0, else `alpha (exp(x / alpha) - 1)`.
    Celu "CELU" celu(alpha: f64 = 1.0);
    /// `exp(x)` divided by its sum along an axis.
    Softmax "Softmax" softmax_axis(axis: isize = -1);
    /// The logarithm of [`Softmax`], without overflow.
    LogSoftmax "LogSoftmax" log_softmax_axis(axis: isize = -1);
}

/// `x` above 0, else `weight x`, where the weight is learned: one for all, or one for each channel
/// (axis 1). The derivative at 0 is the weight.
///
/// <https://docs.pytorch.org/docs/stable/generated/torch.nn.PReLU.html>, <https://arxiv.org/abs/1502.01852>.
#[derive(Clone, Debug)]
pub struct PRelu<F: Float = f32> {
    /// Shape `[1]` or `[channels]`.
    pub weight: Param<F>,
}

impl<F: Float> PRelu<F> {
    /// So many weights of 0.25: 1, or the number of channels.
    pub fn new(weights: usize) -> Self {
        Self { weight: Tensor::full([weights], F::of(0.25)).into() }
    }
}

params_generic! { PRelu { weight } }

impl<F: Float> Module<F> for PRelu<F> {
    #[track_caller]
    fn forward<'t>(&self, x: Var<'t, F>) -> Var<'t, F> {
        let _layer = x.tape().layer("PReLU");
        let (shape, weights) = (x.shape(), self.weight.value().numel());
        let mut weight = x.tape().param(&self.weight);
        if weights != 1 {
            if shape.get(1) != Some(&weights) {
                ShapeError::new(format!("{shape:?} has not {weights} channels in axis 1"))
                    .in_operation("PReLU")
                    .raise();
            }
            weight = super::along_channels(weight, shape);
        }
        x.greater(0.0).where_cond(x, x * weight)
    }
}
