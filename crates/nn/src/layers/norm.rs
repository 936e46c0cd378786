//! Layer, group and RMS normalisation: over the axes of one example, alike in training and evaluation.

use wengert_core::ops::SubtractMean;
use wengert_core::{
    Axes, Float, MAX_RANK, MovementOps, Param, ReduceOps, Shape, ShapeError, Tensor, UnaryOps,
    Value, Var, params_generic,
};

use super::along_channels;
use crate::Module;

/// `x` less its mean over some axes, and its biased variance there, with those axes kept. In two passes,
/// so that a large mean costs no digits and equal elements leave exactly 0.
#[track_caller]
pub(super) fn centered<'t, F: Float>(x: Var<'t, F>, axes: &[isize]) -> (Var<'t, F>, Var<'t, F>) {
    let deviation = match Axes::of(x.shape(), axes) {
        Ok(axes) => Value::apply(SubtractMean { axes }, [&x]),
        Err(error) => error.raise(),
    };
    (deviation, deviation.square().mean_axes(axes, true))
}

/// The last axes of `x`, if they have these extents.
#[track_caller]
fn last_axes(layer: &str, x: Shape, normalized: Shape) -> &'static [isize] {
    const FROM_THE_END: [isize; MAX_RANK] = [-1, -2, -3, -4, -5, -6, -7, -8];
    if !x.ends_with(&normalized) {
        ShapeError::new(format!("{x:?} does not end in {normalized:?}"))
            .in_operation(layer)
            .raise();
    }
    &FROM_THE_END[..normalized.rank()]
}

/// `(x - mean) / sqrt(var + eps) * weight + bias` with mean and biased variance over the last axes.
///
/// <https://docs.pytorch.org/docs/stable/generated/torch.nn.LayerNorm.html>, <https://arxiv.org/abs/1607.06450>.
#[derive(Clone, Debug)]
pub struct LayerNorm<F: Float = f32> {
    /// The shape that is normalised; ones at first.
    pub weight: Option<Param<F>>,
    /// The shape that is normalised; zeros at first.
    pub bias: Option<Param<F>>,
    /// Added to the variance; 1e-5 at first.
    pub eps: f64,
    normalized: Shape,
}

impl<F: Float> LayerNorm<F> {
    /// Over the last axes, which have these extents: `[width]`, `[channels, rows, columns]`.
    #[track_caller]
    pub fn new(normalized_shape: impl Into<Shape>) -> Self {
        let normalized = normalized_shape.into();
        Self {
            weight: Some(Tensor::ones(normalized).into()),
            bias: Some(Tensor::zeros(normalized).into()),
            eps: 1e-5,
            normalized,
        }
    }

    /// With this number added to the variance.
    pub fn eps(self, eps: f64) -> Self {
        Self { eps, ..self }
    }

    /// This layer without its bias.
    pub fn without_bias(self) -> Self {
        Self { bias: None, ..self }
    }

    /// This layer without weight and bias: PyTorch's `elementwise_affine=False`.
    pub fn without_affine(self) -> Self {
        Self { weight: None, bias: None, ..self }
    }
}

params_generic! { LayerNorm { weight, bias; eps, normalized } }

impl<F: Float> Module<F> for LayerNorm<F> {
    #[track_caller]
    fn forward<'t>(&self, x: Var<'t, F>) -> Var<'t, F> {
        let _layer = x.tape().layer("LayerNorm");
        let axes = last_axes("LayerNorm", x.shape(), self.normalized);
        let (deviation, variance) = centered(x, axes);
        let mut y = deviation * variance.add_scalar(self.eps).rsqrt();
        if let Some(weight) = &self.weight {
            y = y * weight;
        }
        if let Some(bias) = &self.bias {
            y = y + bias;
        }
        y
    }
}

/// `x / sqrt(mean(x^2) + eps) * weight` with the mean over the last axes.
///
/// <https://docs.pytorch.org/docs/stable/generated/torch.nn.RMSNorm.html>, <https://arxiv.org/abs/1910.07467>.
#[derive(Clone, Debug)]
pub struct RmsNorm<F: Float = f32> {
    /// The shape that is normalised; ones at first.
    pub weight: Option<Param<F>>,
    /// Added to the mean of the squares; at first the machine epsilon of the precision, as in PyTorch.
    pub eps: f64,
    normalized: Shape,
}

impl<F: Float> RmsNorm<F> {
    /// Over the last axes, which have these extents.
    #[track_caller]
    pub fn new(normalized_shape: impl Into<Shape>) -> Self {
        let normalized = normalized_shape.into();
        let weight = Some(Tensor::ones(normalized).into());
        Self { weight, eps: F::EPSILON.to_f64(), normalized }
    }

    /// With this number added to the mean of the squares.
    pub fn eps(self, eps: f64) -> Self {
        Self { eps, ..self }
    }

    /// This layer without its weight: PyTorch's `elementwise_affine=False`.
    pub fn without_affine(self) -> Self {
        Self { weight: None, ..self }
    }
}

params_generic! { RmsNorm { weight; eps, normalized } }

impl<F: Float> Module<F> for RmsNorm<F> {
    #[track_caller]
    fn forward<'t>(&self, x: Var<'t, F>) -> Var<'t, F> {
        let _layer = x.tape().layer("RMSNorm");
        let axes = last_axes("RMSNorm", x.shape(), self.normalized);
        let y = x * x.square().mean_axes(axes, true).add_scalar(self.eps).rsqrt();
        match &self.weight {
            Some(weight) => y * weight,
            None => y,
        }
    }
}

/// Channels (axis 1) in groups, each normalised by its own mean and biased variance, then weighted by
/// channel: `[n, channels, ..]` to the same.
///
/// <https://docs.pytorch.org/docs/stable/generated/torch.nn.GroupNorm.html>, <https://arxiv.org/abs/1803.08494>.
#[derive(Clone, Debug)]
pub struct GroupNorm<F: Float = f32> {
    /// Shape `[channels]`; ones at first.
    pub weight: Option<Param<F>>,
    /// Shape `[channels]`; zeros at first.
    pub bias: Option<Param<F>>,
    /// Added to the variance; 1e-5 at first.
    pub eps: f64,
    groups: usize,
    channels: usize,
}

impl<F: Float> GroupNorm<F> {
    /// So many groups of so many channels in all.
    ///
    /// # Panics
    /// If the groups do not divide the channels.
    #[track_caller]
    pub fn new(groups: usize, channels: usize) -> Self {
        assert!(
            groups > 0 && channels.is_multiple_of(groups),
            "GroupNorm: {groups} groups do not divide {channels} channels"
        );
        Self {
            weight: Some(Tensor::ones([channels]).into()),
            bias: Some(Tensor::zeros([channels]).into()),
            eps: 1e-5,
            groups,
            channels,
        }
    }

    /// With this number added to the variance.
    pub fn eps(self, eps: f64) -> Self {
        Self { eps, ..self }
    }

    /// This layer without weight and bias.
    pub fn without_affine(self) -> Self {
        Self { weight: None, bias: None, ..self }
    }
}

params_generic! { GroupNorm { weight, bias; eps, groups, channels } }

impl<F: Float> Module<F> for GroupNorm<F> {
    #[track_caller]
    fn forward<'t>(&self, x: Var<'t, F>) -> Var<'t, F> {
        let _layer = x.tape().layer("GroupNorm");
        let (shape, channels) = (x.shape(), self.channels);
        if shape.get(1) != Some(&channels) {
            ShapeError::new(format!("{shape:?} has not {channels} channels in axis 1"))
                .in_operation("GroupNorm")
                .raise();
        }
        let inside = shape[1..].iter().product::<usize>() / self.groups;
        let grouped = x.reshape([shape[0], self.groups, inside]);
        let (deviation, variance) = centered(grouped, &[-1]);
        let mut y = (deviation * variance.add_scalar(self.eps).rsqrt()).reshape(shape);
        if let Some(weight) = &self.weight {
            y = y * along_channels(x.tape().param(weight), shape);
        }
        if let Some(bias) = &self.bias {
            y = y + along_channels(x.tape().param(bias), shape);
        }
        y
    }
}
