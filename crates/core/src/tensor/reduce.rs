//! Arrays reduced over axes.

use crate::kernels;
use crate::shape::Axes;
use crate::{Float, Tensor};

/// The sum over `axes`, which stay with extent 1.
pub(crate) fn sum<F: Float>(x: &Tensor<F>, axes: Axes) -> Tensor<F> {
    fold(x, axes, |x, outer, n, inner, y| kernels::sum(x, outer, n, inner, y, false))
}

/// Reduces run after run of neighbouring axes, the last run first; the axes stay with extent 1.
/// `kernel` takes input, extents before, within and after the run, and output.
pub(crate) fn fold<F: Float>(
    x: &Tensor<F>,
    axes: Axes,
    kernel: impl Fn(&[F], usize, usize, usize, &mut [F]),
) -> Tensor<F> {
    let mut array = x.clone();
    let mut end = x.shape().rank();
    while end > 0 {
        let start = (0..end).rev().take_while(|&axis| axes.contains(axis)).last().unwrap_or(end);
        if start < end {
            let shape = array.shape();
            let (outer, n, inner) = shape.around(start..end);
            let kept = (start..end).fold(shape, |shape, axis| shape.with(axis, 1));
            if n == 1 {
                array = array.with_shape(kept);
            } else {
                let x = array;
                array = Tensor::written(kept, |y| kernel(x.as_slice(), outer, n, inner, y));
            }
        }
        end = start.min(end - 1);
    }
    array
}
