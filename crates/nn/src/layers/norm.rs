//! Layer, group and RMS normalization, which treat each example separately, and training like
//! evaluation.

use wengert_core::ops::{EuclideanNorm, Normalize, SubtractMean};
use wengert_core::{
    Axes, Float, MAX_RANK, MovementOps, Param, Shape, Tensor, UnaryOps, Value, Var, params_generic,
};

use super::{along_channels, mismatch, refuse};
use crate::{Module, validate};

/// Layer normalization, `(x - mean) / sqrt(var + eps) * weight + bias`, with the mean and the biased
/// variance of the last axes.
///
/// * Input and output: `[.., ..normalized_shape]`.
/// * Parameters: `weight` `[..normalized_shape]`, initially 1; `bias` `[..normalized_shape]`, initially 0.
///
/// <https://docs.pytorch.org/docs/stable/generated/torch.nn.LayerNorm.html>, Ba et al. 2016,
/// <https://arxiv.org/abs/1607.06450>.
///
/// ```
/// use wengert_core::{Tensor, evaluate};
/// use wengert_nn::{LayerNorm, Module};
///
/// let norm = LayerNorm::<f64>::new([2]).eps(0.0);
/// let x = Tensor::from([[1.0, 3.0], [10.0, 30.0]]);
/// let y = evaluate(|tape| norm.forward(tape.constant(&x)));
/// assert_eq!(y, Tensor::from([[-1.0, 1.0], [-1.0, 1.0]]));
/// ```
#[derive(Clone, Debug)]
pub struct LayerNorm<F: Float = f32> {
    /// The normalized shape.
    pub weight: Option<Param<F>>,
    /// The normalized shape.
    pub bias: Option<Param<F>>,
    /// Added to the variance. Default: 1e-5.
    pub eps: f64,
    normalized_shape: Shape,
}

impl<F: Float> LayerNorm<F> {
    /// Returns a layer that normalizes the last axes, which have this shape: `[width]`,
    /// `[channels, height, width]`.
    #[track_caller]
    pub fn new(normalized_shape: impl Into<Shape>) -> Self {
        let normalized_shape = normalized_shape.into();
        Self {
            weight: Some(Tensor::ones(normalized_shape).into()),
            bias: Some(Tensor::zeros(normalized_shape).into()),
            eps: 1e-5,
            normalized_shape,
        }
    }

    /// Sets the number that is added to the variance. Default: 1e-5.
    ///
    /// # Panics
    /// If it is negative.
    #[track_caller]
    pub fn eps(self, eps: f64) -> Self {
        Self { eps: validate::non_negative("LayerNorm: eps", eps), ..self }
    }

    /// Removes the bias: PyTorch's `bias=False`.
    pub fn without_bias(self) -> Self {
        Self { bias: None, ..self }
    }

    /// Removes weight and bias: PyTorch's `elementwise_affine=False`.
    pub fn without_affine(self) -> Self {
        Self { weight: None, bias: None, ..self }
    }
}

params_generic! { LayerNorm { weight, bias; eps, normalized_shape } }

impl<F: Float> Module<F> for LayerNorm<F> {
    #[track_caller]
    fn forward<'t>(&self, x: Var<'t, F>) -> Var<'t, F> {
        let _layer = x.tape().layer("LayerNorm");
        let trailing = last_axes("LayerNorm", x, self.normalized_shape).len();
        let mut y = x.apply_op(Normalize { trailing, eps: self.eps });
        if let Some(weight) = &self.weight {
            y = y * weight;
        }
        if let Some(bias) = &self.bias {
            y = y + bias;
        }
        y
    }
}

/// Root mean square normalization, `x / sqrt(mean(x^2) + eps) * weight`, with the mean over the last axes.
///
/// * Input and output: `[.., ..normalized_shape]`.
/// * Parameters: `weight` `[..normalized_shape]`, initially 1.
///
/// <https://docs.pytorch.org/docs/stable/generated/torch.nn.RMSNorm.html>, Zhang and Sennrich 2019,
/// <https://arxiv.org/abs/1910.07467>.
///
/// ```
/// use wengert_core::{Tensor, evaluate};
/// use wengert_nn::{Module, RmsNorm};
///
/// let norm = RmsNorm::<f64>::new([4]).eps(0.0);
/// let x = Tensor::from([2.0, -2.0, 2.0, 2.0]);
/// let y = evaluate(|tape| norm.forward(tape.constant(&x)));
/// assert_eq!(y, Tensor::from([1.0, -1.0, 1.0, 1.0]));
/// ```
#[derive(Clone, Debug)]
pub struct RmsNorm<F: Float = f32> {
    /// The normalized shape.
    pub weight: Option<Param<F>>,
    /// Added to the mean square. Default: the machine epsilon of the precision.
    pub eps: f64,
    normalized_shape: Shape,
}

impl<F: Float> RmsNorm<F> {
    /// Returns a layer that normalizes the last axes, which have this shape.
    #[track_caller]
    pub fn new(normalized_shape: impl Into<Shape>) -> Self {
        let normalized_shape = normalized_shape.into();
        let weight = Some(Tensor::ones(normalized_shape).into());
        Self { weight, eps: F::EPSILON.to_f64(), normalized_shape }
    }

    /// Sets the number that is added to the mean square. Default: the machine epsilon of the precision.
    ///
    /// # Panics
    /// If it is negative.
    #[track_caller]
    pub fn eps(self, eps: f64) -> Self {
        Self { eps: validate::non_negative("RMSNorm: eps", eps), ..self }
    }

    /// Removes the weight: PyTorch's `elementwise_affine=False`.
    pub fn without_affine(self) -> Self {
        Self { weight: None, ..self }
    }
}

params_generic! { RmsNorm { weight; eps, normalized_shape } }

impl<F: Float> Module<F> for RmsNorm<F> {
    #[track_caller]
    fn forward<'t>(&self, x: Var<'t, F>) -> Var<'t, F> {
        let _layer = x.tape().layer("RMSNorm");
        let axes = last_axes("RMSNorm", x, self.normalized_shape);
        let y = x / root_mean_square(x, axes, self.eps);
        match &self.weight {
            Some(weight) => y * weight,
            None => y,
        }
    }
}

/// Group normalization: divides the channels (axis 1) into groups, normalizes each group by its own mean
/// and biased variance, and applies a weight and a bias to each channel.
///
/// * Input and output: `[n, num_channels, ..]`.
/// * Parameters: `weight` `[num_channels]`, initially 1; `bias` `[num_channels]`, initially 0.
///
/// <https://docs.pytorch.org/docs/stable/generated/torch.nn.GroupNorm.html>, Wu and He 2018,
/// <https://arxiv.org/abs/1803.08494>.
///
/// ```
/// use wengert_core::{Tensor, evaluate};
/// use wengert_nn::{GroupNorm, Module};
///
/// let norm = GroupNorm::<f64>::new(2, 4).eps(0.0);
/// let x = Tensor::from([[1.0, 3.0, 10.0, 30.0]]);
/// let y = evaluate(|tape| norm.forward(tape.constant(&x)));
/// assert_eq!(y, Tensor::from([[-1.0, 1.0, -1.0, 1.0]]));
/// ```
#[derive(Clone, Debug)]
pub struct GroupNorm<F: Float = f32> {
    /// Shape `[num_channels]`.
    pub weight: Option<Param<F>>,
    /// Shape `[num_channels]`.
    pub bias: Option<Param<F>>,
    /// Added to the variance. Default: 1e-5.
    pub eps: f64,
    num_groups: usize,
    num_channels: usize,
}

impl<F: Float> GroupNorm<F> {
    /// Returns a layer that divides `num_channels` channels into `num_groups` groups.
    ///
    /// # Panics
    /// If the groups do not divide the channels.
    #[track_caller]
    pub fn new(num_groups: usize, num_channels: usize) -> Self {
        assert!(
            num_groups > 0 && num_channels.is_multiple_of(num_groups),
            "GroupNorm: {num_groups} groups do not divide {num_channels} channels"
        );
        Self {
            weight: Some(Tensor::ones([num_channels]).into()),
            bias: Some(Tensor::zeros([num_channels]).into()),
            eps: 1e-5,
            num_groups,
            num_channels,
        }
    }

    /// Sets the number that is added to the variance. Default: 1e-5.
    ///
    /// # Panics
    /// If it is negative.
    #[track_caller]
    pub fn eps(self, eps: f64) -> Self {
        Self { eps: validate::non_negative("GroupNorm: eps", eps), ..self }
    }

    /// Removes weight and bias: PyTorch's `affine=False`.
    pub fn without_affine(self) -> Self {
        Self { weight: None, bias: None, ..self }
    }
}

params_generic! { GroupNorm { weight, bias; eps, num_groups, num_channels } }

impl<F: Float> Module<F> for GroupNorm<F> {
    #[track_caller]
    fn forward<'t>(&self, x: Var<'t, F>) -> Var<'t, F> {
        let _layer = x.tape().layer("GroupNorm");
        let (shape, channels) = (x.shape(), self.num_channels);
        if shape.get(1) != Some(&channels) {
            mismatch("GroupNorm", x, format_args!("[n, {channels}, ..]"));
        }
        let group_size = shape[1..].iter().product::<usize>() / self.num_groups;
        let grouped = x.reshape([shape[0], self.num_groups, group_size]);
        let mut y = grouped.apply_op(Normalize { trailing: 1, eps: self.eps }).reshape(shape);
        if let Some(weight) = &self.weight {
            y = y * along_channels(x.tape().param(weight), shape);
        }
        if let Some(bias) = &self.bias {
            y = y + along_channels(x.tape().param(bias), shape);
        }
        y
    }
}

/// Returns `x` minus its mean over the axes, and the root of its biased variance plus `eps`; both keep the axes. The
/// two passes lose no digits to a large mean, and equal elements leave exactly 0.
#[track_caller]
pub(super) fn centered<'t, F: Float>(
    x: Var<'t, F>,
    axes: &[isize],
    eps: f64,
) -> (Var<'t, F>, Var<'t, F>) {
    let deviation = Value::apply(SubtractMean { axes: expect_axes(x, axes) }, [&x]);
    (deviation, root_mean_square(deviation, axes, eps))
}

/// Returns `sqrt(mean(x^2) + eps)` over the axes, which it keeps, without overflow of the squares. To divide by it is
/// safer than to multiply by its inverse, whose derivative is a square again.
#[track_caller]
fn root_mean_square<'t, F: Float>(x: Var<'t, F>, axes: &[isize], eps: f64) -> Var<'t, F> {
    let axes = expect_axes(x, axes);
    let count = axes.count(x.shape()) as f64;
    let norm = EuclideanNorm { axes, keepdim: true, eps: count * eps };
    Value::apply(norm, [&x]).mul_scalar(count.sqrt().recip())
}

#[track_caller]
fn expect_axes<F: Float>(x: Var<'_, F>, axes: &[isize]) -> Axes {
    match Axes::of(x.shape(), axes) {
        Ok(axes) => axes,
        Err(error) => error.raise(),
    }
}

/// Returns the last axes of `x`, whose shape must end in `normalized_shape`.
#[track_caller]
fn last_axes<F: Float>(layer: &str, x: Var<'_, F>, normalized_shape: Shape) -> &'static [isize] {
    const FROM_THE_END: [isize; MAX_RANK] = [-1, -2, -3, -4, -5, -6, -7, -8];
    if !x.shape().ends_with(&normalized_shape) {
        let message =
            format!("expected input ending in {normalized_shape:?}, found {:?}", x.shape());
        refuse(layer, x, message);
    }
    &FROM_THE_END[..normalized_shape.rank()]
}
