//! Transposed convolutions over one and over two axes.

use rand::Rng;
use wengert_core::ops::{ConvTransposeOptions, Pair};
use wengert_core::{Float, Param, Shape, Tensor, Var, WindowOps, params_of_precision};

use super::{along_channels, expect_bias, name_by_axes};
use crate::{Module, init, validate};

/// A transposed convolution of `[n, in_channels, length]`; see [`ConvTranspose`].
///
/// <https://docs.pytorch.org/docs/stable/generated/torch.nn.ConvTranspose1d.html>
///
/// ```
/// use rand::{SeedableRng, rngs::ChaCha8Rng};
/// use wengert_core::ConvOptions;
/// use wengert_nn::{ConvTranspose1d, check_shapes};
///
/// let rng = &mut ChaCha8Rng::seed_from_u64(0);
/// let layer = ConvTranspose1d::<f32>::new(8, 3, 4, ConvOptions::new().stride(2).padding(1), rng);
/// assert_eq!(check_shapes(&layer, [64, 8, 50]), Ok([64, 3, 100].into()));
/// ```
pub type ConvTranspose1d<F = f32> = ConvTranspose<1, F>;

/// A transposed convolution of `[n, in_channels, height, width]`; see [`ConvTranspose`].
///
/// <https://docs.pytorch.org/docs/stable/generated/torch.nn.ConvTranspose2d.html>
///
/// ```
/// use rand::{SeedableRng, rngs::ChaCha8Rng};
/// use wengert_core::ConvOptions;
/// use wengert_nn::{ConvTranspose2d, check_shapes};
///
/// let rng = &mut ChaCha8Rng::seed_from_u64(0);
/// let options = ConvOptions::new().stride(2).padding(1).output_padding(1);
/// let layer = ConvTranspose2d::<f32>::new(8, 3, 3, options, rng);
/// assert_eq!(layer.weight.value().shape(), [8, 3, 3, 3].into());
/// assert_eq!(check_shapes(&layer, [64, 8, 16, 16]), Ok([64, 3, 32, 32].into()));
/// ```
pub type ConvTranspose2d<F = f32> = ConvTranspose<2, F>;

/// A transposed convolution over the last `AXES` axes, written as [`ConvTranspose1d`] or [`ConvTranspose2d`].
///
/// It maps shapes as the derivative of a [`Conv`](crate::Conv) with the same options does, so a stride enlarges the
/// planes. Along an axis with `size` elements the output has
/// `(size - 1) * stride - 2 * padding + dilation * (kernel_size - 1) + output_padding + 1` elements.
///
/// * Input `[n, in_channels, ..]`, output `[n, out_channels, ..]`.
/// * Parameters: `weight` `[in_channels, out_channels / groups, ..kernel_size]`, `bias` `[out_channels]`.
///   Both start uniform within `1 / sqrt(out_channels / groups * kernel elements)`.
/// * [`ConvOptions`](wengert_core::ConvOptions) sets stride, padding, dilation, groups and output padding. Default: 1,
///   0, 1, 1 and 0.
#[derive(Clone, Debug)]
pub struct ConvTranspose<const AXES: usize, F: Float = f32> {
    /// Shape `[in_channels, out_channels / groups, ..kernel_size]`.
    pub weight: Param<F>,
    /// Shape `[out_channels]`.
    pub bias: Option<Param<F>>,
    /// Stride, padding, dilation, groups and output padding.
    pub options: ConvTransposeOptions,
}

impl<F: Float> ConvTranspose<1, F> {
    /// Returns a layer with a bias, drawn from `rng`.
    ///
    /// # Panics
    /// If the kernel is empty, or the groups do not divide both numbers of channels.
    #[track_caller]
    pub fn new(
        in_channels: usize,
        out_channels: usize,
        kernel_size: usize,
        options: impl Into<ConvTransposeOptions>,
        rng: &mut impl Rng,
    ) -> Self {
        Self::drawn([in_channels, out_channels], [kernel_size], options.into(), rng)
    }
}

impl<F: Float> ConvTranspose<2, F> {
    /// Returns a layer with a bias, drawn from `rng`. The kernel size is one number, or `[height, width]`.
    ///
    /// # Panics
    /// If the kernel is empty, or the groups do not divide both numbers of channels.
    #[track_caller]
    pub fn new(
        in_channels: usize,
        out_channels: usize,
        kernel_size: impl Pair,
        options: impl Into<ConvTransposeOptions>,
        rng: &mut impl Rng,
    ) -> Self {
        Self::drawn([in_channels, out_channels], kernel_size.pair(), options.into(), rng)
    }
}

impl<const AXES: usize, F: Float> ConvTranspose<AXES, F> {
    const NAME: &'static str = name_by_axes(AXES, ["ConvTranspose1d", "ConvTranspose2d"]);

    #[track_caller]
    fn drawn(
        [in_channels, out_channels]: [usize; 2],
        kernel_size: [usize; AXES],
        options: ConvTransposeOptions,
        rng: &mut impl Rng,
    ) -> Self {
        let (name, groups) = (Self::NAME, options.group_count());
        validate::nonzero(&format!("{name}: kernel_size"), kernel_size);
        assert!(
            groups > 0 && in_channels.is_multiple_of(groups) && out_channels.is_multiple_of(groups),
            "{name}: {groups} groups do not divide {in_channels} inputs and {out_channels} outputs"
        );
        let channels = [in_channels, out_channels / groups];
        let shape = Shape::from([&channels, &kernel_size[..]].concat().as_slice());
        // PyTorch takes axis 1 for the inputs here, too.
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
    /// If the weight is not `[in_channels, out_channels / groups, ..kernel_size]`, or the bias not
    /// `[out_channels]`.
    #[track_caller]
    pub fn from_tensors(
        weight: Tensor<F>,
        bias: Option<Tensor<F>>,
        options: impl Into<ConvTransposeOptions>,
    ) -> Self {
        let (name, shape, options) = (Self::NAME, weight.shape(), options.into());
        assert!(
            shape.rank() == 2 + AXES,
            "{name}: weight: expected {} axes, [in_channels, out_channels / groups, ..kernel_size], \
             found {shape:?}",
            2 + AXES
        );
        let outputs = shape[1] * options.group_count();
        expect_bias(name, bias.as_ref().map(Tensor::shape), outputs);
        Self { weight: Param::new(weight), bias: bias.map(Param::new), options }
    }
}

params_of_precision! {
    [const AXES: usize, F: Float] F; ConvTranspose<AXES, F> { weight, bias; options }
}

impl<const AXES: usize, F: Float> Module<F> for ConvTranspose<AXES, F> {
    #[track_caller]
    fn forward<'t>(&self, x: Var<'t, F>) -> Var<'t, F> {
        let tape = x.tape();
        let _layer = tape.layer(Self::NAME);
        let y = match AXES {
            1 => x.conv_transpose1d(&self.weight, self.options),
            _ => x.conv_transpose2d(&self.weight, self.options),
        };
        match &self.bias {
            Some(bias) => y + along_channels(tape.param(bias), y.shape()),
            None => y,
        }
    }
}
