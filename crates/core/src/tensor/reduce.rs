//! Reductions of tensors over axes, and broadcasting.

use smallvec::SmallVec;

use crate::kernels;
use crate::shape::{Axes, Shape};
use crate::{Float, Tensor};

/// The sum over `axes`, which stay with extent 1.
pub(crate) fn sum<F: Float>(x: &Tensor<F>, axes: Axes) -> Tensor<F> {
    reduce_axes(x, axes, |x, outer, n, inner, y| kernels::sum(x, outer, n, inner, y, false))
}

/// The extents before, within and after each run of neighbouring axes of a reduction, in order.
pub(crate) type Runs = SmallVec<[(usize, usize, usize); 2]>;

/// The runs of neighbouring axes that a reduction takes in turn, the last run first. Runs of extent 1 are left out.
pub(crate) fn runs(shape: Shape, axes: Axes) -> Runs {
    let (mut runs, mut kept, mut end) = (Runs::new(), shape, shape.rank());
    while end > 0 {
        let start = (0..end).rev().take_while(|&axis| axes.contains(axis)).last().unwrap_or(end);
        if start < end {
            let (outer, n, inner) = kept.around(start..end);
            kept = (start..end).fold(kept, |shape, axis| Axes::one(axis).kept(shape));
            if n != 1 {
                runs.push((outer, n, inner));
            }
        }
        end = start.min(end - 1);
    }
    runs
}

/// Reduces each run of neighbouring axes in turn, the last run first; the axes stay with extent 1.
/// `kernel` takes the input, the extents before, within and after the run, and the output.
pub(crate) fn reduce_axes<F: Float>(
    x: &Tensor<F>,
    axes: Axes,
    kernel: impl Fn(&[F], usize, usize, usize, &mut [F]),
) -> Tensor<F> {
    let mut reduced = x.clone();
    for (outer, n, inner) in runs(x.shape(), axes) {
        let x = reduced;
        let out = Shape::from(outer * inner);
        reduced = Tensor::written(out, |y| kernel(x.as_slice(), outer, n, inner, y));
    }
    reduced.with_shape(axes.kept(x.shape()))
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
