//! Pooling over cells of planes, and upsampling.
//!
//! Where the largest element of a cell lies is decided from the values, in the forward and again in
//! each derivative: a tape that runs again on other values decides again.

use super::MovementOps;
use super::conv::Pair;
use crate::kernels::{self, Cells};
use crate::op::{Op, Value};
use crate::{Float, Shape, ShapeError, Tensor};

/// A window that pools: its kernel, and by default a stride as large and no padding.
///
/// A number stands for such a window: `x.max_pool2d(2)`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pooling {
    kernel: [usize; 2],
    stride: [usize; 2],
    padding: [usize; 2],
    count_include_pad: bool,
}

impl Pooling {
    /// WindowOps of this size, side by side. In one dimension the second number counts.
    pub fn new(kernel: impl Pair) -> Self {
        let kernel = kernel.pair();
        Self { kernel, stride: kernel, padding: [0; 2], count_include_pad: true }
    }

    /// Returns the height and the width of the window.
    pub fn kernel_size(&self) -> [usize; 2] {
        self.kernel
    }

    /// WindowOps so many places apart.
    pub fn stride(self, stride: impl Pair) -> Self {
        Self { stride: stride.pair(), ..self }
    }

    /// So much padding on both sides, at most half of the kernel: -inf for a maximum, 0 for an
    /// average.
    pub fn padding(self, padding: impl Pair) -> Self {
        Self { padding: padding.pair(), ..self }
    }

    /// Whether an average divides by the whole kernel, padding and all, as it does at first.
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

/// What the last one or two axes are divided into.
#[derive(Clone, Copy, Debug)]
enum Division {
    Sliding(Pooling),
    Adaptive([usize; 2]),
}

/// A division of the last `axes` axes.
#[derive(Clone, Copy, Debug)]
struct Pool {
    division: Division,
    axes: usize,
}

impl Pool {
    /// The cells of the axes of the plane, rows and columns, and the shape of what is pooled.
    fn plan(&self, x: Shape) -> Result<([Cells; 2], Shape), ShapeError> {
        if x.rank() < self.axes {
            return Err(ShapeError::new(format!("{x:?} has no {} axes to pool", self.axes)));
        }
        let mut cells = [Cells::Adaptive { input: 1, output: 1 }; 2];
        let mut out = x;
        for (axis, cells) in cells.iter_mut().enumerate().skip(2 - self.axes) {
            let at = x.rank() + axis - 2;
            let (along, output) = self.along(axis, x[at])?;
            *cells = along;
            out = out.with(at, output);
        }
        Ok((cells, out))
    }

    fn along(&self, axis: usize, input: usize) -> Result<(Cells, usize), ShapeError> {
        let pooling = match self.division {
            Division::Adaptive(output) if input > 0 => {
                let output = output[axis];
                return Ok((Cells::Adaptive { input, output }, output));
            }
            Division::Adaptive(_) => {
                return Err(ShapeError::new("an axis without elements has no cells"));
            }
            Division::Sliding(pooling) => pooling,
        };
        let (kernel, stride) = (pooling.kernel[axis], pooling.stride[axis]);
        let before = pooling.padding[axis];
        if kernel == 0 || stride == 0 || 2 * before > kernel {
            return Err(ShapeError::new(format!(
                "a kernel of {kernel} with stride {stride} and padding {before} (none of the first two may be 0, and padding at most half the kernel)"
            )));
        }
        let padded = input + 2 * before;
        if input == 0 || kernel > padded {
            return Err(ShapeError::new(format!(
                "a kernel of {kernel} does not fit into {padded} with padding"
            )));
        }
        let output = (padded - kernel) / stride + 1;
        Ok((Cells::Sliding { input, output, kernel, stride, before }, output))
    }

    fn planned(&self, x: Shape) -> [Cells; 2] {
        self.plan(x).unwrap_or_else(|_| unreachable!("checked by shape")).0
    }

    fn count_include_pad(&self) -> bool {
        matches!(self.division, Division::Sliding(Pooling { count_include_pad: true, .. }))
    }

    /// `input`, if `pooled` is what pooling makes of it.
    fn undone(&self, input: Shape, pooled: Shape) -> Result<Shape, ShapeError> {
        let out = self.plan(input)?.1;
        if out == pooled {
            return Ok(input);
        }
        Err(ShapeError::new(format!("{pooled:?} is not {input:?} pooled, which is {out:?}")))
    }
}

/// The largest element of each cell. NaN wins; the first of equals takes the whole cotangent.
#[derive(Clone, Copy, Debug)]
pub struct MaxPool(Pool);

/// Each element of the second input put where the first has the largest of its cell; what meets there
/// adds up.
#[derive(Clone, Copy, Debug)]
pub struct MaxPoolBackward(Pool);

/// The elements of the second input where the first has the largest of each cell.
#[derive(Clone, Copy, Debug)]
pub struct MaxPoolGather(Pool);

impl Op<1> for MaxPool {
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
    fn shape(&self, [x, g]: [Shape; 2]) -> Result<Shape, ShapeError> {
        self.0.undone(x, g)
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
    fn shape(&self, [x, from]: [Shape; 2]) -> Result<Shape, ShapeError> {
        if x != from {
            return Err(ShapeError::new(format!("{x:?} and {from:?} differ")));
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
pub struct AvgPool(Pool);

/// Each element shared among its cell: the transpose of [`AvgPool`].
#[derive(Clone, Copy, Debug)]
pub struct AvgPoolBackward {
    pool: Pool,
    to: Shape,
}

impl Op<1> for AvgPool {
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
    fn shape(&self, [g]: [Shape; 1]) -> Result<Shape, ShapeError> {
        self.pool.undone(self.to, g)
    }
    fn forward<F: Float>(&self, [g]: [&Tensor<F>; 1], out: Shape) -> Tensor<F> {
        let (cells, padded) = (self.pool.planned(out), self.pool.count_include_pad());
        Tensor::written(out, |x| kernels::spread(cells, padded, g.as_slice(), x))
    }
    fn vjp<V: Value>(&self, _: usize, _: [&V; 1], _: &V, c: &V) -> V {
        V::apply(AvgPool(self.pool), [c])
    }
}

/// Pooling and upsampling of the last axes, alike for arrays and for variables; PyTorch's layouts,
/// `[n, c, l]` in one dimension and `[n, c, h, w]` in two, with any axes in front.
///
/// An output extent is `(input + 2 * padding - kernel) / stride + 1`, rounded down. Adaptive pooling
/// has the output extent that is asked for: cell `i` of `m` along `n` elements goes from `i * n / m`
/// to `(i + 1) * n / m`, rounded down and up.
///
/// # Panics
/// Each at the caller's line: if there are too few axes, an axis is empty, a kernel does not fit, or
/// padding is more than half of it.
pub trait WindowOps: Value {
    /// The largest element under a sliding window along the last axis. NaN wins, the first of equals
    /// takes the gradient, padding is -inf.
    /// [PyTorch](https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.max_pool1d.html).
    #[track_caller]
    fn max_pool1d(&self, window: impl Into<Pooling>) -> Self {
        Self::apply(MaxPool(sliding(window, 1)), [self])
    }

    /// As [`WindowOps::max_pool1d`], of the last two axes.
    /// [PyTorch](https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.max_pool2d.html).
    #[track_caller]
    fn max_pool2d(&self, window: impl Into<Pooling>) -> Self {
        Self::apply(MaxPool(sliding(window, 2)), [self])
    }

    /// The mean under a sliding window along the last axis; padding counts unless the window says
    /// otherwise.
    /// [PyTorch](https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.avg_pool1d.html).
    #[track_caller]
    fn avg_pool1d(&self, window: impl Into<Pooling>) -> Self {
        Self::apply(AvgPool(sliding(window, 1)), [self])
    }

    /// As [`WindowOps::avg_pool1d`], of the last two axes.
    /// [PyTorch](https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.avg_pool2d.html).
    #[track_caller]
    fn avg_pool2d(&self, window: impl Into<Pooling>) -> Self {
        Self::apply(AvgPool(sliding(window, 2)), [self])
    }

    /// The largest elements of `output` cells along the last axis.
    /// [PyTorch](https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.adaptive_max_pool1d.html).
    #[track_caller]
    fn adaptive_max_pool1d(&self, output: usize) -> Self {
        Self::apply(MaxPool(adaptive(output, 1)), [self])
    }

    /// The largest elements of cells of the last two axes, so many along each.
    /// [PyTorch](https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.adaptive_max_pool2d.html).
    #[track_caller]
    fn adaptive_max_pool2d(&self, output: impl Pair) -> Self {
        Self::apply(MaxPool(adaptive(output, 2)), [self])
    }

    /// The means of `output` cells along the last axis.
    /// [PyTorch](https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.adaptive_avg_pool1d.html).
    #[track_caller]
    fn adaptive_avg_pool1d(&self, output: usize) -> Self {
        Self::apply(AvgPool(adaptive(output, 1)), [self])
    }

    /// The means of cells of the last two axes, so many along each.
    /// [PyTorch](https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.adaptive_avg_pool2d.html).
    #[track_caller]
    fn adaptive_avg_pool2d(&self, output: impl Pair) -> Self {
        Self::apply(AvgPool(adaptive(output, 2)), [self])
    }

    /// Each element of the last axis repeated `factor` times: `[.., l]` to `[.., l * factor]`.
    /// [PyTorch](https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.interpolate.html).
    #[track_caller]
    fn upsample_nearest1d(&self, factor: usize) -> Self {
        let shape = self.shape();
        let Some((&l, lead)) = shape.split_last() else {
            panic!("upsample_nearest1d: a scalar has no last axis")
        };
        let n = lead.iter().product();
        let repeated = self.reshape([n, l, 1]).expand([n, l, factor]);
        repeated.reshape(shape.with(lead.len(), l * factor))
    }

    /// Each element of the last two axes repeated so many times along both: `[.., h, w]` to
    /// `[.., h * rows, w * columns]`.
    /// [PyTorch](https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.interpolate.html).
    #[track_caller]
    fn upsample_nearest2d(&self, factor: impl Pair) -> Self {
        let (shape, [rows, columns]) = (self.shape(), factor.pair());
        let &[ref lead @ .., h, w] = &*shape else {
            panic!("upsample_nearest2d: {shape:?} has no two axes")
        };
        let (n, rank) = (lead.iter().product(), shape.rank());
        let repeated = self.reshape([n, h, 1, w, 1]).expand([n, h, rows, w, columns]);
        repeated.reshape(shape.with(rank - 2, h * rows).with(rank - 1, w * columns))
    }
}

impl<V: Value> WindowOps for V {}

fn sliding(window: impl Into<Pooling>, axes: usize) -> Pool {
    Pool { division: Division::Sliding(window.into()), axes }
}

fn adaptive(output: impl Pair, axes: usize) -> Pool {
    Pool { division: Division::Adaptive(output.pair()), axes }
}
