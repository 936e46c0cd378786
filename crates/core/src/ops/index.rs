//! Methods that take and put elements by index.

use super::gather::{Embedding, Gather, IndexAdd, IndexSelect, MaskedFill, Pick, Scatter};
use super::operand::Operand;
use crate::Indices;
use crate::error::{ensure_shape, expect_shape};
use crate::op::Value;

/// Indexing, for tensors and variables.
///
/// Indices are given as [`Indices`], an array, a slice or a `Vec` of `usize`. The axis may be counted from the
/// end: `-1` is the last. A derivative reaches the value and `src`, never the indices.
///
/// ```
/// use wengert_core::{IndexOps, Tensor};
///
/// let x = Tensor::<f64>::from([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]);
/// assert_eq!(x.pick([2, 0]), Tensor::from([3.0, 4.0]));
/// assert_eq!(x.index_select(1, [2, 2]), Tensor::from([[3.0, 3.0], [6.0, 6.0]]));
/// ```
///
/// # Panics
/// Every method panics at the caller's line if the shapes do not fit or an index is out of range; the message
/// gives the index, its place and the bound.
pub trait IndexOps: Value {
    /// Takes one element of each row along the last axis, from `[.., n]` and indices `[..]` to `[..]` (MXNet's
    /// `pick`).
    #[track_caller]
    fn pick(&self, index: impl Into<Indices>) -> Self {
        Self::apply_indexed(Pick, self, &self.indices(index.into()))
    }

    /// Takes elements along one axis, `y[i][j] = x[index[i][j]][j]` for axis 0; the result has the shape of the
    /// index ([`torch.gather`](https://docs.pytorch.org/docs/stable/generated/torch.gather.html)).
    ///
    /// # Panics
    /// If the index has another number of axes, or a larger extent along another axis; or if an index is out
    /// of range.
    #[track_caller]
    fn gather(&self, axis: isize, index: impl Into<Indices>) -> Self {
        let axis = expect_shape!(self.shape().axis(axis));
        Self::apply_indexed(Gather { axis }, self, &self.indices(index.into()))
    }

    /// Adds `src` at these indices along one axis, `y[index[i][j]][j] += src[i][j]` for axis 0. Repeated indices
    /// add up. `src` has the shape of the index
    /// ([`torch.Tensor.scatter_add`](https://docs.pytorch.org/docs/stable/generated/torch.Tensor.scatter_add_.html)).
    ///
    /// # Panics
    /// If `src` and the index differ in shape, the index does not fit the value as in
    /// [`gather`](Self::gather), or an index is out of range.
    #[track_caller]
    fn scatter_add(&self, axis: isize, index: impl Into<Indices>, src: impl Operand<Self>) -> Self {
        let axis = expect_shape!(self.shape().axis(axis));
        let op = Scatter { axis, to: self.shape() };
        self.clone() + Self::apply_indexed(op, &src.beside(self), &self.indices(index.into()))
    }

    /// Takes the slices at these indices along one axis, from `[.., n, ..]` and an index `[m]` to `[.., m, ..]`. If
    /// the index has another rank, all its axes take the place of the selected axis
    /// ([`torch.index_select`](https://docs.pytorch.org/docs/stable/generated/torch.index_select.html)).
    #[track_caller]
    fn index_select(&self, axis: isize, index: impl Into<Indices>) -> Self {
        let axis = expect_shape!(self.shape().axis(axis));
        Self::apply_indexed(IndexSelect { axis, skip: None }, self, &self.indices(index.into()))
    }

    /// Adds the slices of `src` `[.., m, ..]` at these indices `[m]` along one axis of the value `[.., n, ..]`.
    /// Repeated indices add up
    /// ([`torch.Tensor.index_add`](https://docs.pytorch.org/docs/stable/generated/torch.Tensor.index_add_.html)).
    #[track_caller]
    fn index_add(&self, axis: isize, index: impl Into<Indices>, src: impl Operand<Self>) -> Self {
        let (shape, src) = (self.shape(), src.beside(self));
        let axis = expect_shape!(shape.axis(axis));
        let op = IndexAdd { axis, extent: shape[axis], skip: None };
        let added = Self::apply_indexed(op, &src, &self.indices(index.into()));
        ensure_shape!(
            added.shape() == shape,
            "{:?} into {shape:?}: they differ in more than axis {axis}",
            src.shape()
        );
        self.clone() + added
    }

    /// Replaces elements by `value` where the mask is not 0. The shapes broadcast. The mask is not differentiated
    /// ([`torch.Tensor.masked_fill`](https://docs.pytorch.org/docs/stable/generated/torch.Tensor.masked_fill_.html)).
    #[track_caller]
    fn masked_fill(&self, mask: impl Operand<Self>, value: f64) -> Self {
        Self::apply(MaskedFill { value }, [self, &mask.beside(self)])
    }

    /// Looks up rows of this weight `[classes, width]` at tokens `[..]`, of shape `[.., width]`. The row at
    /// `padding_idx` is read like any other and receives no gradient
    /// ([`torch.nn.functional.embedding`](https://docs.pytorch.org/docs/stable/generated/torch.nn.functional.embedding.html)).
    ///
    /// # Panics
    /// If the weight is not a matrix, or a token or `padding_idx` is out of range.
    #[track_caller]
    fn embedding(&self, tokens: impl Into<Indices>, padding_idx: Option<usize>) -> Self {
        Self::apply_indexed(Embedding { padding_idx }, self, &self.indices(tokens.into()))
    }
}

impl<V: Value> IndexOps for V {}
