//! Methods over windows of the last axes: convolution, pooling, upsampling.

use super::conv::{Conv, ConvBias, ConvOptions, Pair};
use super::conv_transpose::ConvTransposeOptions;
use super::interpolate::Interpolate;
use super::movement::MovementOps;
use super::operand::Operand;
use super::pool::{AvgPool, MaxPool, Pool, Pooling};
use crate::ShapeError;
use crate::error::{ensure_shape, expect_shape};
use crate::op::Value;

/// Convolution, pooling and upsampling, for tensors and variables.
///
/// Layouts are PyTorch's: `[n, c, l]` in one dimension, `[n, c, h, w]` in two; pooling and upsampling accept any
/// leading axes. The output extent of a window is `(input + 2 padding - dilation (kernel - 1) - 1) / stride + 1`,
/// rounded down. Adaptive pooling makes the requested number of cells. Cell `i` of `m` along `n` elements ranges from
/// `i n / m`, rounded down, to `(i + 1) n / m`, rounded up.
///
/// ```
/// use wengert_core::{ConvOptions, Tensor, WindowOps};
///
/// let (x, weight) = (Tensor::<f32>::ones([1, 2, 8, 8]), Tensor::ones([4, 2, 3, 3]));
/// let y = x.conv2d(&weight, ConvOptions::new().padding(1));
/// assert_eq!(y.shape(), [1, 4, 8, 8].into());
/// assert_eq!(y.max_pool2d(2).shape(), [1, 4, 4, 4].into());
/// ```
///
/// # Panics
/// Every method panics at the caller's line if there are too few axes, an axis is empty, a kernel does not fit, or
/// padding of a pooling window exceeds half of it.
pub trait WindowOps: Value {
    /// Convolves `[n, c, l]` with a weight `[out, c / groups, k]`, to `[n, out, l']`
    /// ([`conv1d`](https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.conv1d.html)).
    ///
    /// # Panics
    /// If the shapes do not fit, the groups do not divide the channels, or the kernel does not fit.
    #[track_caller]
    fn conv1d(&self, weight: impl Operand<Self>, options: ConvOptions) -> Self {
        let weight = weight.beside(self);
        expect_shape!(need_rank(3, self, &weight));
        Self::apply(Conv(options), [self, &weight])
    }

    /// Convolves `[n, c, l]` with a weight `[out, c / groups, k]` and adds a bias `[out]`, to `[n, out, l']`
    /// ([`conv1d`](https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.conv1d.html)).
    ///
    /// # Panics
    /// If the shapes do not fit, the groups do not divide the channels, or the kernel does not fit.
    #[track_caller]
    fn conv1d_with_bias(
        &self,
        weight: impl Operand<Self>,
        bias: impl Operand<Self>,
        options: ConvOptions,
    ) -> Self {
        let (weight, bias) = (weight.beside(self), bias.beside(self));
        expect_shape!(need_rank(3, self, &weight));
        Self::apply(ConvBias(options), [self, &weight, &bias])
    }

    /// Convolves `[n, c, h, w]` with a weight `[out, c / groups, kh, kw]`, to `[n, out, h', w']`
    /// ([`conv2d`](https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.conv2d.html)).
    ///
    /// # Panics
    /// If the shapes do not fit, the groups do not divide the channels, or the kernel does not fit.
    #[track_caller]
    fn conv2d(&self, weight: impl Operand<Self>, options: ConvOptions) -> Self {
        let weight = weight.beside(self);
        expect_shape!(need_rank(4, self, &weight));
        Self::apply(Conv(options), [self, &weight])
    }

    /// Convolves `[n, c, h, w]` with a weight `[out, c / groups, kh, kw]` and adds a bias `[out]`, to
    /// `[n, out, h', w']`
    /// ([`conv2d`](https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.conv2d.html)).
    ///
    /// # Panics
    /// If the shapes do not fit, the groups do not divide the channels, or the kernel does not fit.
    #[track_caller]
    fn conv2d_with_bias(
        &self,
        weight: impl Operand<Self>,
        bias: impl Operand<Self>,
        options: ConvOptions,
    ) -> Self {
        let (weight, bias) = (weight.beside(self), bias.beside(self));
        expect_shape!(need_rank(4, self, &weight));
        Self::apply(ConvBias(options), [self, &weight, &bias])
    }

    /// Applies the transpose of a convolution to `[n, c, l]`, with a weight `[c, out / groups, k]`, to `[n, out, l']`
    /// where `l' = (l - 1) stride - 2 padding + dilation (k - 1) + output_padding + 1`
    /// ([`conv_transpose1d`](https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.conv_transpose1d.html)).
    ///
    /// # Panics
    /// If the shapes do not fit, the groups do not divide the channels, the output padding is not below the stride, or
    /// the padding leaves nothing.
    #[track_caller]
    fn conv_transpose1d(
        &self,
        weight: impl Operand<Self>,
        options: impl Into<ConvTransposeOptions>,
    ) -> Self {
        let weight = weight.beside(self);
        expect_shape!(need_rank(3, self, &weight));
        let op = expect_shape!(options.into().plan(self.shape(), weight.shape()));
        Self::apply(op, [self, &weight])
    }

    /// Applies the transpose of a convolution to `[n, c, h, w]`, with a weight `[c, out / groups, kh, kw]`, to
    /// `[n, out, h', w']`; see [`conv_transpose1d`](Self::conv_transpose1d)
    /// ([`conv_transpose2d`](https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.conv_transpose2d.html)).
    ///
    /// # Panics
    /// If the shapes do not fit, the groups do not divide the channels, the output padding is not below the stride, or
    /// the padding leaves nothing.
    #[track_caller]
    fn conv_transpose2d(
        &self,
        weight: impl Operand<Self>,
        options: impl Into<ConvTransposeOptions>,
    ) -> Self {
        let weight = weight.beside(self);
        expect_shape!(need_rank(4, self, &weight));
        let op = expect_shape!(options.into().plan(self.shape(), weight.shape()));
        Self::apply(op, [self, &weight])
    }

    /// Takes the maximum under a window that slides along the last axis. NaN wins; the first of equal elements
    /// gets the gradient; padding is -inf
    /// ([`max_pool1d`](https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.max_pool1d.html)).
    #[track_caller]
    fn max_pool1d(&self, window: impl Into<Pooling>) -> Self {
        Self::apply(MaxPool(Pool::sliding(window.into(), 1)), [self])
    }

    /// Takes the maximum under a window that slides along the last two axes. NaN wins; the first of equal
    /// elements gets the gradient; padding is -inf
    /// ([`max_pool2d`](https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.max_pool2d.html)).
    #[track_caller]
    fn max_pool2d(&self, window: impl Into<Pooling>) -> Self {
        Self::apply(MaxPool(Pool::sliding(window.into(), 2)), [self])
    }

    /// Takes the mean under a window that slides along the last axis; padding counts unless
    /// [`Pooling::count_include_pad`] says otherwise
    /// ([`avg_pool1d`](https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.avg_pool1d.html)).
    #[track_caller]
    fn avg_pool1d(&self, window: impl Into<Pooling>) -> Self {
        Self::apply(AvgPool(Pool::sliding(window.into(), 1)), [self])
    }

    /// Takes the mean under a window that slides along the last two axes; padding counts unless
    /// [`Pooling::count_include_pad`] says otherwise
    /// ([`avg_pool2d`](https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.avg_pool2d.html)).
    #[track_caller]
    fn avg_pool2d(&self, window: impl Into<Pooling>) -> Self {
        Self::apply(AvgPool(Pool::sliding(window.into(), 2)), [self])
    }

    /// Takes the maxima of `output` cells along the last axis
    /// ([`adaptive_max_pool1d`](https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.adaptive_max_pool1d.html)).
    #[track_caller]
    fn adaptive_max_pool1d(&self, output: usize) -> Self {
        Self::apply(MaxPool(Pool::adaptive([output; 2], 1)), [self])
    }

    /// Takes the maxima of a grid of cells over the last two axes
    /// ([`adaptive_max_pool2d`](https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.adaptive_max_pool2d.html)).
    #[track_caller]
    fn adaptive_max_pool2d(&self, output: impl Pair) -> Self {
        Self::apply(MaxPool(Pool::adaptive(output.pair(), 2)), [self])
    }

    /// Takes the means of `output` cells along the last axis
    /// ([`adaptive_avg_pool1d`](https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.adaptive_avg_pool1d.html)).
    #[track_caller]
    fn adaptive_avg_pool1d(&self, output: usize) -> Self {
        Self::apply(AvgPool(Pool::adaptive([output; 2], 1)), [self])
    }

    /// Takes the means of a grid of cells over the last two axes
    /// ([`adaptive_avg_pool2d`](https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.adaptive_avg_pool2d.html)).
    #[track_caller]
    fn adaptive_avg_pool2d(&self, output: impl Pair) -> Self {
        Self::apply(AvgPool(Pool::adaptive(output.pair(), 2)), [self])
    }

    /// Repeats each element of the last axis `factor` times, from `[.., l]` to `[.., l * factor]`
    /// ([`interpolate`](https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.interpolate.html)).
    #[track_caller]
    fn upsample_nearest1d(&self, factor: usize) -> Self {
        let shape = self.shape();
        ensure_shape!(shape.rank() >= 1, "a scalar has no last axis");
        let lead = shape.rank() - 1;
        let (n, l) = (shape[..lead].iter().product::<usize>(), shape[lead]);
        let to = expect_shape!(shape.with(lead, l.saturating_mul(factor)));
        self.reshape([n, l, 1]).expand([n, l, factor]).reshape(to)
    }

    /// Repeats each element of the last two axes, from `[.., h, w]` to `[.., h * rows, w * columns]`
    /// ([`interpolate`](https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.interpolate.html)).
    #[track_caller]
    fn upsample_nearest2d(&self, factor: impl Pair) -> Self {
        let (shape, [rows, columns]) = (self.shape(), factor.pair());
        ensure_shape!(shape.rank() >= 2, "{shape:?} has fewer than two axes");
        let lead = shape.rank() - 2;
        let (n, h, w) = (shape[..lead].iter().product::<usize>(), shape[lead], shape[lead + 1]);
        let plane = [h.saturating_mul(rows), w.saturating_mul(columns)];
        let to = expect_shape!(shape.leading(lead).followed_by(&plane));
        self.reshape([n, h, 1, w, 1]).expand([n, h, rows, w, columns]).reshape(to)
    }

    /// Interpolates the last axis linearly, from `[.., l]` to `[.., l * factor]`; [`ops::Interpolate`] has the places
    /// of the new elements
    /// ([`interpolate`](https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.interpolate.html)).
    ///
    /// [`ops::Interpolate`]: crate::ops::Interpolate
    #[track_caller]
    fn upsample_linear1d(&self, factor: usize, align_corners: bool) -> Self {
        let shape = self.shape();
        ensure_shape!(shape.rank() >= 1, "a scalar has no last axis");
        let axis = shape.rank() - 1;
        let to = shape[axis].saturating_mul(factor);
        expect_shape!(shape.with(axis, to));
        Self::apply(Interpolate { axis, to, align_corners }, [self])
    }

    /// Interpolates the last two axes linearly, from `[.., h, w]` to `[.., h * rows, w * columns]`;
    /// [`ops::Interpolate`] has the places of the new elements
    /// ([`interpolate`](https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.interpolate.html)).
    ///
    /// [`ops::Interpolate`]: crate::ops::Interpolate
    #[track_caller]
    fn upsample_bilinear2d(&self, factor: impl Pair, align_corners: bool) -> Self {
        let (shape, [rows, columns]) = (self.shape(), factor.pair());
        ensure_shape!(shape.rank() >= 2, "{shape:?} has fewer than two axes");
        let axis = shape.rank() - 2;
        let [h, w] = [shape[axis].saturating_mul(rows), shape[axis + 1].saturating_mul(columns)];
        expect_shape!(shape.leading(axis).followed_by(&[h, w]));
        // The columns first: there are fewer rows before the other axis grows.
        let wide = Self::apply(Interpolate { axis: axis + 1, to: w, align_corners }, [self]);
        Self::apply(Interpolate { axis, to: h, align_corners }, [&wide])
    }
}

impl<V: Value> WindowOps for V {}

/// An error unless both have the rank in the method's name; the operations take one dimension and two.
fn need_rank<V: Value>(rank: usize, x: &V, weight: &V) -> Result<(), ShapeError> {
    let (x, weight) = (x.shape(), weight.shape());
    if x.rank() == rank && weight.rank() == rank {
        return Ok(());
    }
    Err(ShapeError::new(format!("{x:?} with weight {weight:?}: expected {rank} axes each")))
}
