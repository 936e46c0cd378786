//! Layer normalisation.

use wengert_core::{Array, Elementary, Float, Param, Reductions, Shape, Var, params_generic};

use crate::Module;

/// `(x - mean) / sqrt(var + eps) * weight + bias` over the last axes.
///
/// <https://docs.pytorch.org/docs/stable/generated/torch.nn.LayerNorm.html>
#[derive(Clone, Debug)]
pub struct LayerNorm<F: Float = f32> {
    /// The scale.
    pub weight: Param<F>,
    /// The shift.
    pub bias: Option<Param<F>>,
}

params_generic! { LayerNorm { weight, bias } }

impl<F: Float> LayerNorm<F> {
    /// Over axes of this shape.
    pub fn new(shape: impl Into<Shape>) -> Self {
        let shape = shape.into();
        Self { weight: Array::ones(shape).into(), bias: Some(Array::zeros(shape).into()) }
    }
}

impl<F: Float> Module<F> for LayerNorm<F> {
    #[track_caller]
    fn forward<'t>(&self, x: Var<'t, F>) -> Var<'t, F> {
        let centered = x - x.mean_axes(-1, true);
        let y = centered * (centered.square().mean_axes(-1, true) + 1e-5).rsqrt() * &self.weight;
        match &self.bias {
            Some(bias) => y + bias,
            None => y,
        }
    }
}
