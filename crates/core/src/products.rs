//! The methods of matrix products and of positions, for tensors and for variables.

use crate::op::Value;
use crate::ops::MovementOps;
use crate::ops::{Linear, Matmul, Pick};
use crate::{Float, Indices, Op, Operand, Shape, Tensor, Var};

impl<'t, F: Float> Var<'t, F> {
    /// The matrix product: `[m, k] x [k, n]` to `[m, n]`, with leading axes that broadcast as batch.
    /// A vector on the left is a row, one on the right a column, and its axis goes away.
    ///
    /// # Panics
    /// If the inner extents disagree, the batches do not broadcast, or an operand is a scalar.
    #[track_caller]
    pub fn matmul(self, other: impl Operand<'t, F>) -> Self {
        matmul(&self, &other.on(self.tape))
    }

    /// `self weight^T + bias`: from `[.., inputs]`, weight `[outputs, inputs]` and bias `[outputs]`
    /// to `[.., outputs]`.
    ///
    /// # Panics
    /// If the shapes disagree.
    #[track_caller]
    pub fn linear(self, weight: impl Operand<'t, F>, bias: impl Operand<'t, F>) -> Self {
        let (weight, bias) = (weight.on(self.tape), bias.on(self.tape));
        let shape = self.shape();
        let flat = rows_of(shape);
        if flat == shape || Linear.shape([flat, weight.shape(), bias.shape()]).is_err() {
            return Self::apply(Linear, [&self, &weight, &bias]);
        }
        let flat = Self::apply(Linear, [&self.reshape(flat), &weight, &bias]);
        flat.reshape(shape.with(shape.rank() - 1, flat.shape()[1]))
    }

    /// `self other^T`: from `[.., m, k]` and `[.., n, k]` to `[.., m, n]`; nothing is copied to be
    /// transposed. A vector on the left is a row, and its axis goes away.
    ///
    /// # Panics
    /// If the last extents disagree, the batches do not broadcast, or an operand is no matrix.
    #[track_caller]
    pub fn matmul_transposed(self, other: impl Operand<'t, F>) -> Self {
        let other = other.on(self.tape);
        let product = Matmul { transpose_a: false, transpose_b: true };
        let shape = self.shape();
        let flat = rows_of(shape);
        if flat == shape
            || other.shape().rank() != 2
            || product.shape([flat, other.shape()]).is_err()
        {
            return Self::apply(product, [&self, &other]);
        }
        let flat = Self::apply(product, [&self.reshape(flat), &other]);
        flat.reshape(shape.with(shape.rank() - 1, flat.shape()[1]))
    }

    /// One element of each row along the last axis: from `[.., n]` and positions `[..]` to `[..]`.
    ///
    /// # Panics
    /// If there is not one position to a row, or one is out of range; the message names it.
    #[track_caller]
    pub fn pick(self, positions: impl Into<Indices>) -> Self {
        Self::apply_indexed(Pick, &self, &self.tape.indices(positions))
    }
}

impl<F: Float> Tensor<F> {
    /// The matrix product; as [`Var::matmul`].
    #[track_caller]
    pub fn matmul(&self, other: &Self) -> Self {
        matmul(self, other)
    }

    /// One element of each row along the last axis; as [`Var::pick`].
    #[track_caller]
    pub fn pick(&self, positions: impl Into<Indices>) -> Self {
        Self::apply_indexed(Pick, self, &positions.into())
    }
}

#[track_caller]
fn matmul<V: Value>(a: &V, b: &V) -> V {
    let (left, right) = (a.shape(), b.shape());
    let product = Matmul { transpose_a: false, transpose_b: false };
    match (left.rank(), right.rank()) {
        // What does not chain goes on as it is, so that the message shows the shapes as handed in.
        _ if left.last() != right.get(right.rank().saturating_sub(2)) => V::apply(product, [a, b]),
        (1, r) if r > 0 => {
            let y = matmul(&a.reshape([1, left[0]]), b);
            let rank = y.shape().rank();
            // A vector on both sides leaves a scalar: the row is the only axis left.
            let row = if r == 1 { 0 } else { rank - 2 };
            y.reshape(without(y.shape(), row))
        }
        (r, 1) if r > 0 => {
            let y = matmul(a, &b.reshape([right[0], 1]));
            y.reshape(without(y.shape(), y.shape().rank() - 1))
        }
        (3.., 2) => {
            let y = V::apply(product, [&a.reshape(rows_of(left)), b]);
            y.reshape(left.with(left.rank() - 1, right[1]))
        }
        _ => V::apply(product, [a, b]),
    }
}

/// The matrix of all rows along the last axis: rows of all batches are rows of one tall matrix, and a
/// vector is one row. A scalar stays what it is.
fn rows_of(shape: Shape) -> Shape {
    match shape.split_last() {
        Some((&last, rows)) => Shape::from([rows.iter().product(), last]),
        None => shape,
    }
}

/// The shape without one axis.
fn without(shape: Shape, axis: usize) -> Shape {
    let axes = crate::Axes::of(shape, axis as isize);
    crate::shape::expect_shape("matmul", axes).removed(shape)
}
