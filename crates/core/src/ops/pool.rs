//! Pooling over cells of the last axes.
//!
//! The forward computation and each derivative search for the largest element of a cell. A tape that runs again on
//! other values therefore finds the right one.

use smallvec::SmallVec;

use super::conv::{Pair, nonzero};
use crate::kernels::{self, Cells, Slide};
use crate::op::{Op, Value};
use crate::{Float, MAX_RANK, Shape, ShapeError, Tensor};

/// Settings of a pooling window. Default: the stride is the kernel size, no padding, dilation 1, no ceil mode.
///
/// A number is a window with these defaults: `x.max_pool2d(2)`.
///
/// ```
/// use wengert_core::{Pooling, Tensor, WindowOps};
///
/// let x = Tensor::<f32>::ones([1, 3, 8, 8]);
/// let y = x.avg_pool2d(Pooling::new(3).stride(2).padding(1).count_include_pad(false));
/// assert_eq!(y, Tensor::ones([1, 3, 4, 4]));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pooling {
    kernel: [usize; 2],
    stride: [usize; 2],
    padding: [usize; 2],
    dilation: [usize; 2],
    ceil_mode: bool,
    count_include_pad: bool,
}

impl Pooling {
    /// Creates a window of this size, with a stride of the same size. In one dimension, a pair's second number
    /// is the size.
    pub fn new(kernel: impl Pair) -> Self {
        let kernel = kernel.pair();
        Self {
            kernel,
            stride: kernel,
            padding: [0; 2],
            dilation: [1; 2],
            ceil_mode: false,
            count_include_pad: true,
        }
    }

    /// Returns the height and the width of the window.
    pub fn kernel_size(&self) -> [usize; 2] {
        self.kernel
    }

    /// Sets the distance from one window to the next. Default: the kernel size.
    ///
    /// # Panics
    /// If it is 0.
    #[track_caller]
    pub fn stride(self, stride: impl Pair) -> Self {
        Self { stride: nonzero("Pooling: stride", stride), ..self }
    }

    /// Sets the padding on both sides, at most half of the kernel: -inf for a maximum, 0 for an average.
    /// Default: 0.
    pub fn padding(self, padding: impl Pair) -> Self {
        Self { padding: padding.pair(), ..self }
    }

    /// Sets the distance between neighbouring elements of the window. Default: 1.
    ///
    /// # Panics
    /// If it is 0.
    #[track_caller]
    pub fn dilation(self, dilation: impl Pair) -> Self {
        Self { dilation: nonzero("Pooling: dilation", dilation), ..self }
    }

    /// Rounds the number of windows up, so that the last one may reach beyond the padding, where there is nothing.
    /// A window must begin before the padding at the end. Default: false.
    ///
    /// ```
    /// use wengert_core::{Pooling, Tensor, WindowOps};
    ///
    /// let x = Tensor::<f64>::from([1.0, 2.0, 3.0, 4.0, 5.0]);
    /// assert_eq!(x.avg_pool1d(2), Tensor::from([1.5, 3.5]));
    /// assert_eq!(x.avg_pool1d(Pooling::new(2).ceil_mode(true)), Tensor::from([1.5, 3.5, 5.0]));
    /// ```
    pub fn ceil_mode(self, ceil_mode: bool) -> Self {
        Self { ceil_mode, ..self }
    }

    /// Sets whether an average counts the padding in its divisor. What lies beyond the padding never counts. Default:
    /// true.
    pub fn count_include_pad(self, counts: bool) -> Self {
        Self { count_include_pad: counts, ..self }
    }
}

impl From<usize> for Pooling {
    fn from(kernel: usize) -> Self {
        Self::new(kernel)
    }
}

impl From<[usize; 2]> for Pooling {
    fn from(kernel: [usize; 2]) -> Self {
        Self::new(kernel)
    }
}

/// The cells that the last one or two axes are divided into.
#[derive(Clone, Copy, Debug)]
enum Division {
    Sliding(Pooling),
    Adaptive([usize; 2]),
}

/// A division of the last `axes` axes into cells.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pool {
    division: Division,
    axes: usize,
}

impl Pool {
    pub(super) fn sliding(window: Pooling, axes: usize) -> Self {
        Self { division: Division::Sliding(window), axes }
    }

    pub(super) fn adaptive(output: [usize; 2], axes: usize) -> Self {
        Self { division: Division::Adaptive(output), axes }
    }

    /// The cells along rows and columns, and the shape of the output.
    fn plan(&self, x: Shape) -> Result<([Cells; 2], Shape), ShapeError> {
        if x.rank() < self.axes {
            return Err(ShapeError::new(format!("{x:?} has fewer than {} axes", self.axes)));
        }
        let mut cells = [Cells::Adaptive { input: 1, output: 1 }; 2];
        let mut out = x.iter().copied().collect::<SmallVec<[usize; MAX_RANK]>>();
        for (axis, cells) in cells.iter_mut().enumerate().skip(2 - self.axes) {
            let at = x.rank() + axis - 2;
            let (along, output) = self.along(axis, x[at])?;
            *cells = along;
            out[at] = output;
        }
        Ok((cells, Shape::try_new(&out)?))
    }

    fn along(&self, axis: usize, input: usize) -> Result<(Cells, usize), ShapeError> {
        let pooling = match self.division {
            Division::Adaptive(output) if input > 0 => {
                let output = output[axis];
                return Ok((Cells::Adaptive { input, output }, output));
            }
            Division::Adaptive(_) => {
                return Err(ShapeError::new("the axis is empty"));
            }
            Division::Sliding(pooling) => pooling,
        };
        let (kernel, stride) = (pooling.kernel[axis], pooling.stride[axis]);
        let (before, dilation) = (pooling.padding[axis], pooling.dilation[axis]);
        // What is too large saturates, and does not fit.
        let reach = dilation.saturating_mul(kernel.saturating_sub(1)).saturating_add(1);
        if kernel == 0 || stride == 0 || before > kernel / 2 {
            return Err(ShapeError::new(format!(
                "kernel {kernel}, stride {stride}, padding {before}: kernel and stride must be above 0, padding at most half the kernel"
            )));
        }
        let padded = input.saturating_add(2 * before);
        let room = padded.saturating_add(if pooling.ceil_mode { stride - 1 } else { 0 });
        if input == 0 || reach > room {
            return Err(ShapeError::new(format!(
                "kernel over {reach} elements does not fit into {padded} with padding"
            )));
        }
        if before > 0 && dilation > input {
            return Err(ShapeError::new(format!(
                "dilation {dilation}, input {input}: a window could hold nothing but padding"
            )));
        }
        let mut output = (room - reach) / stride + 1;
        if pooling.ceil_mode && (output - 1) * stride >= input + before {
            output -= 1;
        }
        Ok((Cells::Sliding(Slide { input, kernel, output, stride, dilation, before }), output))
    }

    fn planned(&self, x: Shape) -> [Cells; 2] {
        self.plan(x).unwrap_or_else(|_| unreachable!("checked by shape")).0
    }

    fn count_include_pad(&self) -> bool {
        matches!(self.division, Division::Sliding(Pooling { count_include_pad: true, .. }))
    }

    /// `input`, or an error if pooling does not make `pooled` of it.
    fn unpooled(&self, input: Shape, pooled: Shape) -> Result<Shape, ShapeError> {
        let out = self.plan(input)?.1;
        if out == pooled {
            return Ok(input);
        }
        Err(ShapeError::new(format!("expected shape {out:?}, found {pooled:?}")))
    }
}

/// The largest element of each cell. NaN wins; the first of equals takes the whole cotangent.
#[derive(Clone, Copy, Debug)]
pub struct MaxPool(pub(super) Pool);

/// Each element of the second input added to zeros at the largest element of its cell in the first input: the
/// derivative of [`MaxPool`].
#[derive(Clone, Copy, Debug)]
pub struct MaxPoolBackward(Pool);

/// The elements of the second input at the largest element of each cell in the first input.
#[derive(Clone, Copy, Debug)]
pub struct MaxPoolGather(Pool);

impl Op<1> for MaxPool {
    crate::entry_points!(Op<1>);

    fn shape(&self, [x]: [Shape; 1]) -> Result<Shape, ShapeError> {
        Ok(self.0.plan(x)?.1)
    }
    fn forward<F: Float>(&self, [x]: [&Tensor<F>; 1], out: Shape) -> Tensor<F> {
        let cells = self.0.planned(x.shape());
        Tensor::written(out, |y| kernels::max_pool(cells, x.as_slice(), y))
    }
    fn vjp<V: Value>(&self, _: usize, [x]: [&V; 1], _: &V, g: &V) -> V {
        V::apply(MaxPoolBackward(self.0), [x, g])
    }
}

impl Op<2> for MaxPoolBackward {
    crate::entry_points!(Op<2>);

    fn shape(&self, [x, g]: [Shape; 2]) -> Result<Shape, ShapeError> {
        self.0.unpooled(x, g)
    }
    fn forward<F: Float>(&self, [x, g]: [&Tensor<F>; 2], out: Shape) -> Tensor<F> {
        let cells = self.0.planned(out);
        Tensor::written(out, |y| kernels::scatter_winners(cells, x.as_slice(), g.as_slice(), y))
    }
    fn vjp<V: Value>(&self, i: usize, [x, _]: [&V; 2], _: &V, c: &V) -> V {
        match i {
            0 => x.constant_like(x.shape(), 0.0),
            _ => V::apply(MaxPoolGather(self.0), [x, c]),
        }
    }
}

impl Op<2> for MaxPoolGather {
    crate::entry_points!(Op<2>);

    fn shape(&self, [x, from]: [Shape; 2]) -> Result<Shape, ShapeError> {
        if x != from {
            return Err(ShapeError::new(format!("{x:?} and {from:?} must be equal")));
        }
        Ok(self.0.plan(x)?.1)
    }
    fn forward<F: Float>(&self, [x, from]: [&Tensor<F>; 2], out: Shape) -> Tensor<F> {
        let cells = self.0.planned(x.shape());
        Tensor::written(out, |y| kernels::gather_winners(cells, x.as_slice(), from.as_slice(), y))
    }
    fn vjp<V: Value>(&self, i: usize, [x, _]: [&V; 2], _: &V, g: &V) -> V {
        match i {
            0 => x.constant_like(x.shape(), 0.0),
            _ => V::apply(MaxPoolBackward(self.0), [x, g]),
        }
    }
}

/// The mean of each cell.
#[derive(Clone, Copy, Debug)]
pub struct AvgPool(pub(super) Pool);

/// Each element shared evenly among its cell: the transpose of [`AvgPool`].
#[derive(Clone, Copy, Debug)]
pub struct AvgPoolBackward {
    pool: Pool,
    to: Shape,
}

impl Op<1> for AvgPool {
    crate::entry_points!(Op<1>);

    fn shape(&self, [x]: [Shape; 1]) -> Result<Shape, ShapeError> {
        Ok(self.0.plan(x)?.1)
    }
    fn forward<F: Float>(&self, [x]: [&Tensor<F>; 1], out: Shape) -> Tensor<F> {
        let (cells, padded) = (self.0.planned(x.shape()), self.0.count_include_pad());
        Tensor::written(out, |y| kernels::average(cells, padded, x.as_slice(), y))
    }
    fn vjp<V: Value>(&self, _: usize, [x]: [&V; 1], _: &V, g: &V) -> V {
        V::apply(AvgPoolBackward { pool: self.0, to: x.shape() }, [g])
    }
}

impl Op<1> for AvgPoolBackward {
    crate::entry_points!(Op<1>);

    fn shape(&self, [g]: [Shape; 1]) -> Result<Shape, ShapeError> {
        self.pool.unpooled(self.to, g)
    }
    fn forward<F: Float>(&self, [g]: [&Tensor<F>; 1], out: Shape) -> Tensor<F> {
        let (cells, padded) = (self.pool.planned(out), self.pool.count_include_pad());
        Tensor::written(out, |x| kernels::spread(cells, padded, g.as_slice(), x))
    }
    fn vjp<V: Value>(&self, _: usize, _: [&V; 1], _: &V, c: &V) -> V {
        V::apply(AvgPool(self.pool), [c])
    }
}
