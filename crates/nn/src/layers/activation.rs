//! Activations as modules, for places that take a module. In an expression call the method: `x.relu()`.

use wengert_core::{BinaryOps, Float, Param, ReduceOps, Tensor, UnaryOps, Var, params_generic};

use super::mismatch;
use crate::Module;

/// Declares activations without settings: description, type, PyTorch's name, method.
macro_rules! activations {
    ($($(#[$doc:meta])* $Layer:ident $page:literal $method:ident;)*) => {$(
        $(#[$doc])*
        ///
        /// * Input and output: any shape.
        ///
        #[doc = concat!("<https://docs.pytorch.org/docs/stable/generated/torch.nn.", $page, ".html>")]
        ///
        /// ```
        /// use wengert_core::{Tensor, UnaryOps, evaluate};
        #[doc = concat!("use wengert_nn::{Module, ", stringify!($Layer), "};")]
        ///
        /// let x = Tensor::<f64>::from([-2.0, 0.5]);
        #[doc = concat!("let y = evaluate(|tape| ", stringify!($Layer), ".forward(tape.constant(&x)));")]
        #[doc = concat!("assert_eq!(y, x.", stringify!($method), "());")]
        /// ```
        #[derive(Clone, Copy, Debug, Default)]
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

/// Declares activations with a setting: description, type, PyTorch's name, method, setting, its
/// description.
macro_rules! activations_with {
    ($(
        $(#[$doc:meta])*
        $Layer:ident $page:literal $method:ident($setting:ident: $T:ty = $default:literal) $about:literal;
    )*) => {$(
        $(#[$doc])*
        ///
        /// * Input and output: any shape.
        ///
        #[doc = concat!("<https://docs.pytorch.org/docs/stable/generated/torch.nn.", $page, ".html>")]
        ///
        /// ```
        /// use wengert_core::{Tensor, ReduceOps, UnaryOps, evaluate};
        #[doc = concat!("use wengert_nn::{Module, ", stringify!($Layer), "};")]
        ///
        /// let x = Tensor::<f64>::from([-2.0, 0.5]);
        #[doc = concat!("let layer = ", stringify!($Layer), " { ", stringify!($setting), ": ",
            stringify!($default), " };")]
        /// let y = evaluate(|tape| layer.forward(tape.constant(&x)));
        #[doc = concat!("assert_eq!(y, x.", stringify!($method), "(", stringify!($default), "));")]
        /// ```
        #[derive(Clone, Copy, Debug)]
        pub struct $Layer {
            #[doc = concat!($about, " Default: ", stringify!($default), ".")]
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
    /// The rectified linear unit, `max(x, 0)`. The derivative at 0 is 0.
    Relu "ReLU" relu;
    /// The rectified linear unit with a ceiling, `min(max(x, 0), 6)`.
    Relu6 "ReLU6" relu6;
    /// The Gaussian error linear unit, `x * Phi(x)`, where `Phi` is the normal distribution function.
    Gelu "GELU" gelu;
    /// The approximation of [`Gelu`] by a hyperbolic tangent: PyTorch's `GELU(approximate='tanh')`.
    GeluTanh "GELU" gelu_tanh;
    /// The sigmoid linear unit or swish, `x * sigmoid(x)`.
    Silu "SiLU" silu;
    /// Mish, `x * tanh(softplus(x))`.
    Mish "Mish" mish;
    /// The scaled exponential linear unit, which keeps mean 0 and variance 1.
    Selu "SELU" selu;
    /// The hyperbolic tangent.
    Tanh "Tanh" tanh;
    /// The logistic sigmoid, `1 / (1 + exp(-x))`.
    Sigmoid "Sigmoid" sigmoid;
    /// The logarithm of the sigmoid, without overflow.
    LogSigmoid "LogSigmoid" log_sigmoid;
    /// The softplus, `ln(1 + exp(x))`, without overflow.
    Softplus "Softplus" softplus;
    /// The softsign, `x / (1 + |x|)`.
    Softsign "Softsign" softsign;
    /// A piecewise linear tanh, `min(max(x, -1), 1)`.
    Hardtanh "Hardtanh" hardtanh;
    /// A piecewise linear sigmoid, `min(max(x + 3, 0), 6) / 6`.
    Hardsigmoid "Hardsigmoid" hardsigmoid;
    /// A piecewise swish, `x * min(max(x + 3, 0), 6) / 6`.
    Hardswish "Hardswish" hardswish;
}

activations_with! {
    /// The leaky rectified linear unit: `x` above 0, else `negative_slope * x`.
    LeakyRelu "LeakyReLU" leaky_relu(negative_slope: f64 = 0.01) "The slope below 0.";
    /// The exponential linear unit: `x` above 0, else `alpha * (exp(x) - 1)`.
    Elu "ELU" elu(alpha: f64 = 1.0) "The limit far below 0, negated.";
    /// The continuously differentiable exponential linear unit: `x` above 0, else
    /// `alpha * (exp(x / alpha) - 1)`.
    Celu "CELU" celu(alpha: f64 = 1.0) "The limit far below 0, negated.";
    /// The softmax, `exp(x)` divided by its sum along an axis, without overflow.
    Softmax "Softmax" softmax_axis(axis: isize = -1) "The axis that sums to 1; negative numbers count from the end.";
    /// The logarithm of [`Softmax`], without overflow.
    LogSoftmax "LogSoftmax" log_softmax_axis(axis: isize = -1) "The axis whose exponentials sum to 1; negative numbers count from the end.";
}

/// A rectified linear unit with a trained slope: `x` above 0, else `weight * x`. The derivative at 0 is
/// the weight.
///
/// * Input and output: any shape with one weight, `[n, channels, ..]` with one weight for each channel.
/// * Parameters: `weight` `[1]` or `[channels]`, initially 0.25.
///
/// <https://docs.pytorch.org/docs/stable/generated/torch.nn.PReLU.html>, He et al. 2015,
/// <https://arxiv.org/abs/1502.01852>.
///
/// ```
/// use wengert_core::{Tensor, evaluate};
/// use wengert_nn::{Module, PRelu};
///
/// let layer = PRelu::<f64>::new(1);
/// let x = Tensor::from([-2.0, 3.0]);
/// let y = evaluate(|tape| layer.forward(tape.constant(&x)));
/// assert_eq!(y, Tensor::from([-0.5, 3.0]));
/// ```
#[derive(Clone, Debug)]
pub struct PRelu<F: Float = f32> {
    /// Shape `[1]` or `[channels]`.
    pub weight: Param<F>,
}

impl<F: Float> PRelu<F> {
    /// Returns a layer with this number of weights: 1, or the number of channels.
    pub fn new(num_parameters: usize) -> Self {
        Self { weight: Tensor::full([num_parameters], F::of(0.25)).into() }
    }
}

params_generic! { PRelu { weight } }

impl<F: Float> Module<F> for PRelu<F> {
    #[track_caller]
    fn forward<'t>(&self, x: Var<'t, F>) -> Var<'t, F> {
        let _layer = x.tape().layer("PReLU");
        let (shape, channels) = (x.shape(), self.weight.value().numel());
        let mut weight = x.tape().param(&self.weight);
        if channels != 1 {
            if shape.get(1) != Some(&channels) {
                mismatch("PReLU", x, format_args!("[n, {channels}, ..]"));
            }
            weight = super::along_channels(weight, shape);
        }
        x.greater(0.0).where_cond(x, x * weight)
    }
}
