//! Pooling and upsampling.

use wengert_core::ops::Pair;
use wengert_core::{Float, Pooling, Var, WindowOps, params_generic, params_of_precision};

use super::{mismatch, name_by_axes};
use crate::{Module, validate};

/// The maximum of windows that slide along the last axis; see [`MaxPool`].
///
/// <https://docs.pytorch.org/docs/stable/generated/torch.nn.MaxPool1d.html>
pub type MaxPool1d = MaxPool<1>;

/// The maximum of windows that slide over the last two axes; see [`MaxPool`].
///
/// <https://docs.pytorch.org/docs/stable/generated/torch.nn.MaxPool2d.html>
pub type MaxPool2d = MaxPool<2>;

/// A layer that takes the maximum of each window, written as [`MaxPool1d`] or [`MaxPool2d`].
///
/// * Input `[.., size]` along each of the last `AXES` axes, output
///   `[.., (size + 2 * padding - dilation * (kernel_size - 1) - 1) / stride + 1]`, rounded down, or up in
///   ceil mode.
/// * [`Pooling`] sets kernel size, stride, padding, dilation and ceil mode; a number is the kernel size alone.
///   Default: stride equal to the kernel size, padding 0, dilation 1. Padding counts as minus infinity. The first of
///   equal elements receives the gradient.
///
/// ```
/// use wengert_core::{Tensor, Pooling, evaluate};
/// use wengert_nn::{Module, MaxPool2d};
///
/// let x = Tensor::<f32>::from([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]]);
/// let pool = MaxPool2d::new(Pooling::new(2).stride(1));
/// let y = evaluate(|tape| pool.forward(tape.constant(&x)));
/// assert_eq!(y, Tensor::from([[5.0, 6.0], [8.0, 9.0]]));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct MaxPool<const AXES: usize> {
    window: Pooling,
}

impl<const AXES: usize> MaxPool<AXES> {
    const NAME: &'static str = name_by_axes(AXES, ["MaxPool1d", "MaxPool2d"]);

    /// Returns a layer with this window: a kernel size, `[height, width]`, or a [`Pooling`].
    ///
    /// # Panics
    /// If the kernel is empty.
    #[track_caller]
    pub fn new(window: impl Into<Pooling>) -> Self {
        Self { window: expect_window::<AXES>(Self::NAME, window.into()) }
    }
}

params_of_precision! { [const AXES: usize, F: Float] F; MaxPool<AXES> {; window } }

impl<const AXES: usize, F: Float> Module<F> for MaxPool<AXES> {
    #[track_caller]
    fn forward<'t>(&self, x: Var<'t, F>) -> Var<'t, F> {
        let _layer = x.tape().layer(Self::NAME);
        match AXES {
            1 => x.max_pool1d(self.window),
            _ => x.max_pool2d(self.window),
        }
    }
}

/// The mean of windows that slide along the last axis; see [`AvgPool`].
///
/// <https://docs.pytorch.org/docs/stable/generated/torch.nn.AvgPool1d.html>
pub type AvgPool1d = AvgPool<1>;

/// The mean of windows that slide over the last two axes; see [`AvgPool`].
///
/// <https://docs.pytorch.org/docs/stable/generated/torch.nn.AvgPool2d.html>
pub type AvgPool2d = AvgPool<2>;

/// A layer that takes the mean of each window, written as [`AvgPool1d`] or [`AvgPool2d`].
///
/// * Input `[.., size]` along each of the last `AXES` axes, output
///   `[.., (size + 2 * padding - dilation * (kernel_size - 1) - 1) / stride + 1]`, rounded down, or up in
///   ceil mode.
/// * [`Pooling`] sets kernel size, stride, padding, dilation and ceil mode; a number is the kernel size alone.
///   Default: stride equal to the kernel size, padding 0, dilation 1. Padding counts as 0, unless the window sets
///   `count_include_pad(false)`.
///
/// ```
/// use wengert_core::{Tensor, Pooling, evaluate};
/// use wengert_nn::{Module, AvgPool2d};
///
/// let x = Tensor::<f32>::from([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]]);
/// let pool = AvgPool2d::new(Pooling::new(2).stride(1));
/// let y = evaluate(|tape| pool.forward(tape.constant(&x)));
/// assert_eq!(y, Tensor::from([[3.0, 4.0], [6.0, 7.0]]));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct AvgPool<const AXES: usize> {
    window: Pooling,
}

impl<const AXES: usize> AvgPool<AXES> {
    const NAME: &'static str = name_by_axes(AXES, ["AvgPool1d", "AvgPool2d"]);

    /// Returns a layer with this window: a kernel size, `[height, width]`, or a [`Pooling`].
    ///
    /// # Panics
    /// If the kernel is empty.
    #[track_caller]
    pub fn new(window: impl Into<Pooling>) -> Self {
        Self { window: expect_window::<AXES>(Self::NAME, window.into()) }
    }
}

params_of_precision! { [const AXES: usize, F: Float] F; AvgPool<AXES> {; window } }

impl<const AXES: usize, F: Float> Module<F> for AvgPool<AXES> {
    #[track_caller]
    fn forward<'t>(&self, x: Var<'t, F>) -> Var<'t, F> {
        let _layer = x.tape().layer(Self::NAME);
        match AXES {
            1 => x.avg_pool1d(self.window),
            _ => x.avg_pool2d(self.window),
        }
    }
}

/// The maximum of a fixed number of cells of the last axis; see [`AdaptiveMaxPool`].
///
/// <https://docs.pytorch.org/docs/stable/generated/torch.nn.AdaptiveMaxPool1d.html>
pub type AdaptiveMaxPool1d = AdaptiveMaxPool<1>;

/// The maximum of a fixed number of cells of the last two axes; see [`AdaptiveMaxPool`].
///
/// <https://docs.pytorch.org/docs/stable/generated/torch.nn.AdaptiveMaxPool2d.html>
pub type AdaptiveMaxPool2d = AdaptiveMaxPool<2>;

/// A layer that divides each of the last `AXES` axes into a fixed number of cells and takes the maximum
/// of each, written as [`AdaptiveMaxPool1d`] or [`AdaptiveMaxPool2d`].
///
/// Cell `i` of an axis covers the elements from `i * size / output_size`, rounded down, to
/// `(i + 1) * size / output_size`, rounded up.
///
/// * Input `[.., size]` along each of the last `AXES` axes, output `[.., output_size]`.
///
/// ```
/// use wengert_core::{Tensor, evaluate};
/// use wengert_nn::{AdaptiveMaxPool1d, Module};
///
/// let x = Tensor::<f32>::from([1.0, 2.0, 3.0, 4.0]);
/// let y = evaluate(|tape| AdaptiveMaxPool1d::new(2).forward(tape.constant(&x)));
/// assert_eq!(y, Tensor::from([2.0, 4.0]));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct AdaptiveMaxPool<const AXES: usize> {
    output_size: [usize; 2],
}

impl AdaptiveMaxPool<1> {
    /// Returns a layer with this output size.
    ///
    /// # Panics
    /// If it is 0.
    #[track_caller]
    pub fn new(output_size: usize) -> Self {
        Self { output_size: expect_output_size(Self::NAME, [output_size; 2]) }
    }
}

impl AdaptiveMaxPool<2> {
    /// Returns a layer with this output size: one number for both axes, or `[height, width]`.
    ///
    /// # Panics
    /// If a size is 0.
    #[track_caller]
    pub fn new(output_size: impl Pair) -> Self {
        Self { output_size: expect_output_size(Self::NAME, output_size.pair()) }
    }
}

impl<const AXES: usize> AdaptiveMaxPool<AXES> {
    const NAME: &'static str = name_by_axes(AXES, ["AdaptiveMaxPool1d", "AdaptiveMaxPool2d"]);
}

params_of_precision! { [const AXES: usize, F: Float] F; AdaptiveMaxPool<AXES> {; output_size } }

impl<const AXES: usize, F: Float> Module<F> for AdaptiveMaxPool<AXES> {
    #[track_caller]
    fn forward<'t>(&self, x: Var<'t, F>) -> Var<'t, F> {
        let _layer = x.tape().layer(Self::NAME);
        match AXES {
            1 => x.adaptive_max_pool1d(self.output_size[1]),
            _ => x.adaptive_max_pool2d(self.output_size),
        }
    }
}

/// The mean of a fixed number of cells of the last axis; see [`AdaptiveAvgPool`].
///
/// <https://docs.pytorch.org/docs/stable/generated/torch.nn.AdaptiveAvgPool1d.html>
pub type AdaptiveAvgPool1d = AdaptiveAvgPool<1>;

/// The mean of a fixed number of cells of the last two axes; see [`AdaptiveAvgPool`].
///
/// <https://docs.pytorch.org/docs/stable/generated/torch.nn.AdaptiveAvgPool2d.html>
pub type AdaptiveAvgPool2d = AdaptiveAvgPool<2>;

/// A layer that divides each of the last `AXES` axes into a fixed number of cells and takes the mean of
/// each, written as [`AdaptiveAvgPool1d`] or [`AdaptiveAvgPool2d`].
///
/// Cell `i` of an axis covers the elements from `i * size / output_size`, rounded down, to
/// `(i + 1) * size / output_size`, rounded up.
///
/// * Input `[.., size]` along each of the last `AXES` axes, output `[.., output_size]`.
///
/// ```
/// use wengert_core::{Tensor, evaluate};
/// use wengert_nn::{AdaptiveAvgPool1d, Module};
///
/// let x = Tensor::<f32>::from([1.0, 2.0, 3.0, 4.0]);
/// let y = evaluate(|tape| AdaptiveAvgPool1d::new(2).forward(tape.constant(&x)));
/// assert_eq!(y, Tensor::from([1.5, 3.5]));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct AdaptiveAvgPool<const AXES: usize> {
    output_size: [usize; 2],
}

impl AdaptiveAvgPool<1> {
    /// Returns a layer with this output size.
    ///
    /// # Panics
    /// If it is 0.
    #[track_caller]
    pub fn new(output_size: usize) -> Self {
        Self { output_size: expect_output_size(Self::NAME, [output_size; 2]) }
    }
}

impl AdaptiveAvgPool<2> {
    /// Returns a layer with this output size: one number for both axes, or `[height, width]`.
    ///
    /// # Panics
    /// If a size is 0.
    #[track_caller]
    pub fn new(output_size: impl Pair) -> Self {
        Self { output_size: expect_output_size(Self::NAME, output_size.pair()) }
    }
}

impl<const AXES: usize> AdaptiveAvgPool<AXES> {
    const NAME: &'static str = name_by_axes(AXES, ["AdaptiveAvgPool1d", "AdaptiveAvgPool2d"]);
}

params_of_precision! { [const AXES: usize, F: Float] F; AdaptiveAvgPool<AXES> {; output_size } }

impl<const AXES: usize, F: Float> Module<F> for AdaptiveAvgPool<AXES> {
    #[track_caller]
    fn forward<'t>(&self, x: Var<'t, F>) -> Var<'t, F> {
        let _layer = x.tape().layer(Self::NAME);
        match AXES {
            1 => x.adaptive_avg_pool1d(self.output_size[1]),
            _ => x.adaptive_avg_pool2d(self.output_size),
        }
    }
}

/// Returns the window if its kernel has elements along each of the last `AXES` axes.
#[track_caller]
fn expect_window<const AXES: usize>(layer: &str, window: Pooling) -> Pooling {
    let kernel_size = window.kernel_size();
    let used: [usize; AXES] = std::array::from_fn(|axis| kernel_size[2 - AXES + axis]);
    validate::nonzero(&format!("{layer}: kernel_size"), used);
    window
}

#[track_caller]
fn expect_output_size(layer: &str, output_size: [usize; 2]) -> [usize; 2] {
    validate::nonzero(&format!("{layer}: output_size"), output_size)
}

/// Upsampling: each element is repeated, or new elements are interpolated between the old ones.
///
/// * Input `[n, channels, length]`, output `[n, channels, length * factor]`; or input
///   `[n, channels, height, width]`, output `[n, channels, height * rows, width * columns]`.
///
/// <https://docs.pytorch.org/docs/stable/generated/torch.nn.Upsample.html>
///
/// ```
/// use wengert_core::{Tensor, evaluate};
/// use wengert_nn::{Module, Upsample, UpsampleMode};
///
/// let x = Tensor::<f32>::from([[[1.0, 2.0]]]);
/// let y = evaluate(|tape| Upsample::new(2).forward(tape.constant(&x)));
/// assert_eq!(y, Tensor::from([[[1.0, 1.0, 2.0, 2.0]]]));
///
/// let linear = Upsample::new(2).mode(UpsampleMode::Linear { align_corners: false });
/// let y = evaluate(|tape| linear.forward(tape.constant(&x)));
/// assert_eq!(y, Tensor::from([[[1.0, 1.25, 1.75, 2.0]]]));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Upsample {
    scale_factor: [usize; 2],
    mode: UpsampleMode,
}

/// The values of the new elements of an [`Upsample`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum UpsampleMode {
    /// Each element is repeated.
    #[default]
    Nearest,
    /// Linear interpolation along each axis: PyTorch's modes `linear` and `bilinear`.
    Linear {
        /// Whether the first and the last elements of an axis stay at its ends, and not the borders of the elements.
        align_corners: bool,
    },
}

impl Upsample {
    /// Returns a layer with this factor: one number for every axis, or `[rows, columns]`. It repeats each element.
    ///
    /// # Panics
    /// If a factor is 0.
    #[track_caller]
    pub fn new(scale_factor: impl Pair) -> Self {
        let scale_factor = validate::nonzero("Upsample: scale_factor", scale_factor.pair());
        Self { scale_factor, mode: UpsampleMode::Nearest }
    }

    /// Sets the mode. Default: [`UpsampleMode::Nearest`].
    pub fn mode(self, mode: UpsampleMode) -> Self {
        Self { mode, ..self }
    }
}

params_generic! { plain Upsample {; scale_factor, mode } }

impl<F: Float> Module<F> for Upsample {
    #[track_caller]
    fn forward<'t>(&self, x: Var<'t, F>) -> Var<'t, F> {
        use UpsampleMode::{Linear, Nearest};

        let _layer = x.tape().layer("Upsample");
        match (x.shape().rank(), self.mode) {
            (3, Nearest) => x.upsample_nearest1d(self.scale_factor[1]),
            (3, Linear { align_corners }) => {
                x.upsample_linear1d(self.scale_factor[1], align_corners)
            }
            (4, Nearest) => x.upsample_nearest2d(self.scale_factor),
            (4, Linear { align_corners }) => {
                x.upsample_bilinear2d(self.scale_factor, align_corners)
            }
            _ => mismatch("Upsample", x, "[n, channels, length] or [n, channels, height, width]"),
        }
    }
}
