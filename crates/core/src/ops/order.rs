//! Methods that order elements along an axis.

use super::choose::{Chosen, TakeChosen};
use super::operand::Operand;
use super::rearrange::StopGradient;
use crate::error::{ensure_shape, expect_shape};
use crate::kernels::Choice;
use crate::op::Value;

/// Sorting, for tensors and variables.
///
/// The axis may be counted from the end: `-1` is the last. Equal elements keep their order, in both directions; NaN
/// counts as greatest. The derivative goes back to the place that an element came from. The places themselves are
/// [`Tensor::argsort`](crate::Tensor::argsort) and [`Tensor::argtopk`](crate::Tensor::argtopk).
///
/// ```
/// use wengert_core::{OrderOps, Tensor};
///
/// let x = Tensor::<f64>::from([[3.0, 1.0, 2.0], [0.0, 5.0, 4.0]]);
/// assert_eq!(x.sort(-1, false), Tensor::from([[1.0, 2.0, 3.0], [0.0, 4.0, 5.0]]));
/// assert_eq!(x.topk(1, 0, true), Tensor::from([[3.0, 5.0, 4.0]]));
/// ```
///
/// # Panics
/// Every method panics at the caller's line if the axis does not exist.
pub trait OrderOps: Value {
    /// Sorts along one axis
    /// ([`torch.sort`](https://docs.pytorch.org/docs/stable/generated/torch.sort.html) with `stable=True`).
    #[track_caller]
    fn sort(&self, axis: isize, descending: bool) -> Self {
        let axis = expect_shape!(self.shape().axis(axis));
        let count = self.shape()[axis];
        chosen(self, self, axis, Choice::Sorted { count, descending })
    }

    /// Puts the elements into the order in which `keys` are sorted along one axis. The keys have the same shape, and
    /// get no gradient.
    ///
    /// # Panics
    /// If the shapes differ.
    #[track_caller]
    fn sort_by(&self, keys: impl Operand<Self>, axis: isize, descending: bool) -> Self {
        let (shape, keys) = (self.shape(), keys.beside(self));
        let axis = expect_shape!(shape.axis(axis));
        ensure_shape!(keys.shape() == shape, "{shape:?} by keys {:?}: they differ", keys.shape());
        chosen(self, &keys, axis, Choice::Sorted { count: shape[axis], descending })
    }

    /// Returns the `k` largest (or smallest) elements along one axis, in order
    /// ([`torch.topk`](https://docs.pytorch.org/docs/stable/generated/torch.topk.html)).
    ///
    /// # Panics
    /// If there are fewer than `k` elements along the axis.
    #[track_caller]
    fn topk(&self, k: usize, axis: isize, largest: bool) -> Self {
        let shape = self.shape();
        let axis = expect_shape!(shape.axis(axis));
        ensure_shape!(k <= shape[axis], "{k} of {} along axis {axis} of {shape:?}", shape[axis]);
        chosen(self, self, axis, Choice::Sorted { count: k, descending: largest })
    }
}

impl<V: Value> OrderOps for V {}

/// The elements of `x` that `keys` choose.
#[track_caller]
pub(super) fn chosen<V: Value>(x: &V, keys: &V, axis: usize, choice: Choice) -> V {
    let keys = V::apply(StopGradient, [keys]);
    V::apply(TakeChosen(Chosen { axis, choice }), [x, &keys])
}
