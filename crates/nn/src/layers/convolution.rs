//! Convolutions with a weight and a bias.

use rand::Rng;
use wengert_core::ops::Pair;
use wengert_core::{ConvOptions, Float, Param, Shape, Tensor, Var, WindowOps, params_generic};

use crate::{Module, init};

/// A weight with a window of this size and its bias, uniform within `1 / sqrt(fan_in)`, PyTorch's default.
#[track_caller]
fn drawn<F: Float>(
    [outputs, inputs]: [usize; 2],
    window: &[usize],
    rng: &mut impl Rng,
) -> (Tensor<F>, Option<Tensor<F>>) {
    let weight = Shape::from([&[outputs, inputs], window].concat().as_slice());
    let bound = (init::fans(weight).0.max(1) as f64).sqrt().recip();
    (init::uniform(weight, bound, rng), Some(init::uniform([outputs], bound, rng)))
}

/// How many inputs there are to each output.
#[track_caller]
fn inputs_of_group(layer: &str, inputs: usize, outputs: usize, by: ConvOptions) -> usize {
    let groups = by.group_count();
    assert!(
        groups > 0 && inputs.is_multiple_of(groups) && outputs.is_multiple_of(groups),
        "{layer}: {groups} groups do not divide {inputs} inputs and {outputs} outputs"
    );
    inputs / groups
}

macro_rules! convolutions {
    ($($Layer:ident $method:ident $with_bias:ident, kernel $kernel:ident: $Kernel:ty => $window:expr, axes $axes:literal,
        $input:literal to $output:literal, weight $weight:literal;)*) => {$(
        #[doc = concat!("The convolution `", $input, "` to `", $output, "` with a weight `", $weight,
            "` and a bias `[outputs]`; a [`ConvOptions`] says stride, padding, dilation and groups.\n\n",
            "<https://docs.pytorch.org/docs/stable/generated/torch.nn.", stringify!($Layer), ".html>")]
        #[derive(Clone, Debug)]
        pub struct $Layer<F: Float = f32> {
            #[doc = concat!("Shape `", $weight, "`.")]
            pub weight: Param<F>,
            /// Shape `[outputs]`.
            pub bias: Option<Param<F>>,
            /// How the kernel slides.
            pub by: ConvOptions,
        }

        impl<F: Float> $Layer<F> {
            /// Weight and bias uniform within `1 / sqrt(inputs / groups * kernel)`, PyTorch's default.
            ///
            /// # Panics
            /// If the groups do not divide inputs and outputs.
            #[track_caller]
            pub fn new(
                inputs: usize,
                outputs: usize,
                $kernel: $Kernel,
                by: ConvOptions,
                rng: &mut impl Rng,
            ) -> Self {
                let inputs = inputs_of_group(stringify!($Layer), inputs, outputs, by);
                let (weight, bias) = drawn([outputs, inputs], &$window, rng);
                Self::from_tensors(weight, bias, by)
            }

            /// This layer without its bias.
            pub fn without_bias(self) -> Self {
                Self { bias: None, ..self }
            }

            /// A layer with these values.
            ///
            /// # Panics
            #[doc = concat!("If the weight is not `", $weight, "`, or the bias is not one number for",
                " each output.")]
            #[track_caller]
            pub fn from_tensors(weight: Tensor<F>, bias: Option<Tensor<F>>, by: ConvOptions) -> Self {
                let (layer, shape) = (stringify!($Layer), weight.shape());
                assert!(shape.rank() == $axes, "{layer}: weight {shape:?} is not {}", $weight);
                if let Some(bias) = &bias {
                    let given = bias.shape();
                    assert!(
                        given == [shape[0]].into(),
                        "{layer}: weight {shape:?} and bias {given:?} disagree"
                    );
                }
                Self { weight: Param::new(weight), bias: bias.map(Param::new), by }
            }
        }

        params_generic! { $Layer { weight, bias; by } }

        impl<F: Float> Module<F> for $Layer<F> {
            #[track_caller]
            fn forward<'t>(&self, x: Var<'t, F>) -> Var<'t, F> {
                let _layer = x.tape().layer(stringify!($Layer));
                match &self.bias {
                    Some(bias) => x.$with_bias(&self.weight, bias, self.by),
                    None => x.$method(&self.weight, self.by),
                }
            }
        }
    )*};
}

convolutions! {
    Conv1d conv1d conv1d_with_bias, kernel kernel: usize => [kernel], axes 3,
        "[n, inputs, l]" to "[n, outputs, l']", weight "[outputs, inputs / groups, k]";
    Conv2d conv2d conv2d_with_bias, kernel kernel: impl Pair => kernel.pair(), axes 4,
        "[n, inputs, h, w]" to "[n, outputs, h', w']", weight "[outputs, inputs / groups, kh, kw]";
}
