//! Reductions of tensors over axes, and broadcasting.

use crate::kernels;
use crate::shape::{Axes, Shape};
use crate::{Float, Tensor};

/// The sum over `axes`, which stay with extent 1.
pub(crate) fn sum<F: Float>(x: &Tensor<F>, axes: Axes) -> Tensor<F> {
    reduce_axes(x, axes, |x, outer, n, inner, y| kernels::sum(x, outer, n, inner, y, false))
}

/// Reduces each run of neighbouring axes in turn, the last run first; the axes stay with extent 1.
/// `kernel` takes the input, the extents before, within and after the run, and the output.
pub(crate) fn reduce_axes<F: Float>(
    x: &Tensor<F>,
    axes: Axes,
    kernel: impl Fn(&[F], usize, usize, usize, &mut [F]),
) -> Tensor<F> {
    let mut reduced = x.clone();
    let mut kept = x.shape();
    let mut end = x.shape().rank();
    while end > 0 {
        let start = (0..end).rev().take_while(|&axis| axes.contains(axis)).last().unwrap_or(end);
        if start < end {
            let (outer, n, inner) = kept.around(start..end);
            kept = (start..end).fold(kept, |shape, axis| Axes::one(axis).kept(shape));
            if n == 1 {
                reduced = reduced.with_shape(kept);
            } else {
                let x = reduced;
                reduced = Tensor::written(kept, |y| kernel(x.as_slice(), outer, n, inner, y));
            }
        }
        end = start.min(end - 1);
    }
    reduced
}

impl<F: Float> Tensor<F> {
    /// The tensor repeated to shape `to`, to which it broadcasts.
    pub(crate) fn broadcast_to(&self, to: Shape) -> Self {
        if self.shape() == to {
            return self.clone();
        }
        let strides = self.shape().strides_in(&to);
        Self::written(to, |y| kernels::broadcast1(y, &to, self.as_slice(), &strides))
    }
}
