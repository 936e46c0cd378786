//! The fully connected layer.

use rand::Rng;
use wengert_core::{Float, MatmulOps, Param, Tensor, Var, params_generic};

use crate::{Module, init};

/// `y = x W^T + b`, from `[.., inputs]` to `[.., outputs]`; the weight is stored `[outputs, inputs]`
/// as PyTorch stores it, so that its checkpoints load by name.
///
/// <https://docs.pytorch.org/docs/stable/generated/torch.nn.Linear.html>
#[derive(Clone, Debug)]
pub struct Linear<F: Float = f32> {
    /// Shape `[outputs, inputs]`.
    pub weight: Param<F>,
    /// Shape `[outputs]`.
    pub bias: Option<Param<F>>,
}

impl<F: Float> Linear<F> {
    /// Weight and bias uniform within `1 / sqrt(inputs)`, PyTorch's default.
    pub fn new(inputs: usize, outputs: usize, rng: &mut impl Rng) -> Self {
        let bound = (inputs.max(1) as f64).sqrt().recip();
        let weight = init::uniform([outputs, inputs], bound, rng);
        Self::from_tensors(weight, Some(init::uniform([outputs], bound, rng)))
    }

    /// This layer without its bias.
    pub fn without_bias(self) -> Self {
        Self { bias: None, ..self }
    }

    /// A layer with these values.
    ///
    /// # Panics
    /// If the weight is no matrix, or the bias is not one number for each of its rows.
    #[track_caller]
    pub fn from_tensors(weight: Tensor<F>, bias: Option<Tensor<F>>) -> Self {
        let shape = weight.shape();
        assert!(shape.rank() == 2, "Linear: weight {shape:?} is no matrix [outputs, inputs]");
        if let Some(bias) = &bias {
            let given = bias.shape();
            assert!(
                given == [shape[0]].into(),
                "Linear: weight {shape:?} and bias {given:?} disagree"
            );
        }
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
