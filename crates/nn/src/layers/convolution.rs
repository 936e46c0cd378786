//! Convolutions over one and over two axes.

use rand::Rng;
use wengert_core::ops::Pair;
use wengert_core::{ConvOptions, Float, Param, Shape, Tensor, Var, WindowOps, params_of_precision};

use super::{expect_bias, name_by_axes};
use crate::{Module, init, validate};

/// A convolution of `[n, in_channels, length]`; see [`Conv`].
///
/// <https://docs.pytorch.org/docs/stable/generated/torch.nn.Conv1d.html>
///
/// ```
/// use rand::{SeedableRng, rngs::ChaCha8Rng};
/// use wengert_core::ConvOptions;
/// use wengert_nn::{Conv1d, check_shapes};
///
/// let rng = &mut ChaCha8Rng::seed_from_u64(0);
/// let layer = Conv1d::<f32>::new(3, 8, 5, ConvOptions::new().padding(2), rng);
/// assert_eq!(check_shapes(&layer, [64, 3, 100]), Ok([64, 8, 100].into()));
/// ```
pub type Conv1d<F = f32> = Conv<1, F>;

/// A convolution of `[n, in_channels, height, width]`; see [`Conv`].
///
/// <https://docs.pytorch.org/docs/stable/generated/torch.nn.Conv2d.html>
///
/// ```
/// use rand::{SeedableRng, rngs::ChaCha8Rng};
/// use wengert_core::ConvOptions;
/// use wengert_nn::{Conv2d, check_shapes};
///
/// let rng = &mut ChaCha8Rng::seed_from_u64(0);
/// let layer = Conv2d::<f32>::new(3, 8, 3, ConvOptions::new().stride(2).padding(1), rng);
/// assert_eq!(layer.weight.value().shape(), [8, 3, 3, 3].into());
/// assert_eq!(check_shapes(&layer, [64, 3, 32, 32]), Ok([64, 8, 16, 16].into()));
/// ```
pub type Conv2d<F = f32> = Conv<2, F>;

/// A convolution over the last `AXES` axes, written as [`Conv1d`] or [`Conv2d`].
///
/// Each output channel is the sum over input channels of the correlation with a kernel, plus a bias.
/// Along an axis with `size` elements the output has
/// `(size + 2 * padding - dilation * (kernel_size - 1) - 1) / stride + 1` elements, rounded down.
///
/// * Input `[n, in_channels, ..]`, output `[n, out_channels, ..]`.
/// * Parameters: `weight` `[out_channels, in_channels / groups, ..kernel_size]`, `bias` `[out_channels]`.
///   Both start uniform within `1 / sqrt(in_channels / groups * kernel elements)`.
/// * [`ConvOptions`] sets stride, padding, dilation and groups. Default: 1, 0, 1 and 1.
#[derive(Clone, Debug)]
pub struct Conv<const AXES: usize, F: Float = f32> {
    /// Shape `[out_channels, in_channels / groups, ..kernel_size]`.
    pub weight: Param<F>,
    /// Shape `[out_channels]`.
    pub bias: Option<Param<F>>,
    /// Stride, padding, dilation and groups.
    pub options: ConvOptions,
}

impl<F: Float> Conv<1, F> {
    /// Returns a layer with a bias, drawn from `rng`.
    ///
    /// # Panics
    /// If the kernel is empty, or the groups do not divide both numbers of channels.
    #[track_caller]
    pub fn new(
        in_channels: usize,
        out_channels: usize,
        kernel_size: usize,
        options: ConvOptions,
        rng: &mut impl Rng,
    ) -> Self {
        Self::drawn([in_channels, out_channels], [kernel_size], options, rng)
    }
}

impl<F: Float> Conv<2, F> {
    /// Returns a layer with a bias, drawn from `rng`. The kernel size is one number, or `[height, width]`.
    ///
    /// # Panics
    /// If the kernel is empty, or the groups do not divide both numbers of channels.
    #[track_caller]
    pub fn new(
        in_channels: usize,
        out_channels: usize,
        kernel_size: impl Pair,
        options: ConvOptions,
        rng: &mut impl Rng,
    ) -> Self {
        Self::drawn([in_channels, out_channels], kernel_size.pair(), options, rng)
    }
}

impl<const AXES: usize, F: Float> Conv<AXES, F> {
    const NAME: &'static str = name_by_axes(AXES, ["Conv1d", "Conv2d"]);

    #[track_caller]
    fn drawn(
        [in_channels, out_channels]: [usize; 2],
        kernel_size: [usize; AXES],
        options: ConvOptions,
        rng: &mut impl Rng,
    ) -> Self {
        let (name, groups) = (Self::NAME, options.group_count());
        validate::nonzero(&format!("{name}: kernel_size"), kernel_size);
        assert!(
            groups > 0 && in_channels.is_multiple_of(groups) && out_channels.is_multiple_of(groups),
            "{name}: {groups} groups do not divide {in_channels} inputs and {out_channels} outputs"
        );
        let channels = [out_channels, in_channels / groups];
        let shape = Shape::from([&channels, &kernel_size[..]].concat().as_slice());
        let bound = (init::fans(shape).0.max(1) as f64).sqrt().recip();
        let weight = init::uniform(shape, bound, rng);
        Self::from_tensors(weight, Some(init::uniform([out_channels], bound, rng)), options)
    }

    /// Removes the bias: PyTorch's `bias=False`.
    pub fn without_bias(self) -> Self {
        Self { bias: None, ..self }
    }

    /// Returns a layer with these values.
    ///
    /// # Panics
    /// If the weight is not `[out_channels, in_channels / groups, ..kernel_size]`, or the bias not
    /// `[out_channels]`.
    #[track_caller]
    pub fn from_tensors(weight: Tensor<F>, bias: Option<Tensor<F>>, options: ConvOptions) -> Self {
        let (name, shape) = (Self::NAME, weight.shape());
        assert!(
            shape.rank() == 2 + AXES,
            "{name}: weight: expected {} axes, [out_channels, in_channels / groups, ..kernel_size], \
             found {shape:?}",
            2 + AXES
        );
        expect_bias(name, bias.as_ref().map(Tensor::shape), shape[0]);
        Self { weight: Param::new(weight), bias: bias.map(Param::new), options }
    }
}

params_of_precision! {
    [const AXES: usize, F: Float] F; Conv<AXES, F> { weight, bias; options }
}

impl<const AXES: usize, F: Float> Module<F> for Conv<AXES, F> {
    #[track_caller]
    fn forward<'t>(&self, x: Var<'t, F>) -> Var<'t, F> {
        let _layer = x.tape().layer(Self::NAME);
        let (weight, options) = (&self.weight, self.options);
        match (AXES, &self.bias) {
            (1, Some(bias)) => x.conv1d_with_bias(weight, bias, options),
            (1, None) => x.conv1d(weight, options),
            (_, Some(bias)) => x.conv2d_with_bias(weight, bias, options),
            (_, None) => x.conv2d(weight, options),
        }
    }
}
