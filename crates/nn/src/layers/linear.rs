//! The fully connected layer.

use rand::Rng;
use wengert_core::{Float, MatmulOps, Param, Tensor, Var, params_generic};

use super::expect_bias;
use crate::{Module, init};

/// A fully connected layer, `y = x W^T + b` along the last axis.
///
/// * Input `[.., in_features]`, output `[.., out_features]`.
/// * Parameters: `weight` `[out_features, in_features]`, `bias` `[out_features]`. Both start uniform within
///   `1 / sqrt(in_features)`.
///
/// Names and shapes are PyTorch's, so its checkpoints load:
/// <https://docs.pytorch.org/docs/stable/generated/torch.nn.Linear.html>.
///
/// ```
/// use rand::{SeedableRng, rngs::ChaCha8Rng};
/// use wengert_core::{Tensor, evaluate};
/// use wengert_nn::{Linear, Module};
///
/// let layer = Linear::<f32>::new(4, 3, &mut ChaCha8Rng::seed_from_u64(0));
/// let y = evaluate(|tape| layer.forward(tape.constant(&Tensor::ones([64, 4]))));
/// assert_eq!(y.shape(), [64, 3].into());
/// ```
#[derive(Clone, Debug)]
pub struct Linear<F: Float = f32> {
    /// Shape `[out_features, in_features]`.
    pub weight: Param<F>,
    /// Shape `[out_features]`.
    pub bias: Option<Param<F>>,
}

impl<F: Float> Linear<F> {
    /// Returns a layer with a bias, drawn from `rng`.
    pub fn new(in_features: usize, out_features: usize, rng: &mut impl Rng) -> Self {
        let bound = (in_features.max(1) as f64).sqrt().recip();
        let weight = init::uniform([out_features, in_features], bound, rng);
        Self::from_tensors(weight, Some(init::uniform([out_features], bound, rng)))
    }

    /// Removes the bias: PyTorch's `bias=False`.
    pub fn without_bias(self) -> Self {
        Self { bias: None, ..self }
    }

    /// Returns a layer with these values.
    ///
    /// # Panics
    /// If the weight is not `[out_features, in_features]`, or the bias not `[out_features]`.
    #[track_caller]
    pub fn from_tensors(weight: Tensor<F>, bias: Option<Tensor<F>>) -> Self {
        let shape = weight.shape();
        assert!(
            shape.rank() == 2,
            "Linear: weight: expected shape [out_features, in_features], found {shape:?}"
        );
        expect_bias("Linear", bias.as_ref().map(Tensor::shape), shape[0]);
        Self { weight: Param::new(weight), bias: bias.map(Param::new) }
    }
}

params_generic! { Linear { weight, bias } }

impl<F: Float> Module<F> for Linear<F> {
    #[track_caller]
    fn forward<'t>(&self, x: Var<'t, F>) -> Var<'t, F> {
        let _layer = x.tape().layer("Linear");
        match &self.bias {
            Some(bias) => x.linear(&self.weight, bias),
            None => x.matmul_transposed(&self.weight),
        }
    }
}
