//! An operation of a user's crate.

use wengert::ops::Matmul;
use wengert::prelude::*;
use wengert::{Float, Op, ShapeError, Tensor, Value};

/// Squared distances between the rows of two matrices: `[m, k]` and `[n, k]` to `[m, n]`.
#[derive(Clone, Debug)]
pub struct SquaredDistance;

impl Op<2> for SquaredDistance {
    fn shape(&self, [a, b]: [Shape; 2]) -> Result<Shape, ShapeError> {
        match (&*a, &*b) {
            (&[m, k], &[n, l]) if k == l => Ok([m, n].into()),
            _ => Err(ShapeError::new(format!("{a:?} and {b:?} have rows of different lengths"))),
        }
    }

    fn forward<F: Float>(&self, [a, b]: [&Tensor<F>; 2], out: Shape) -> Tensor<F> {
        let (n, k) = (out[1], a.shape()[1]);
        let row = |x: &Tensor<F>, i: usize| x.as_slice()[i * k..][..k].to_vec();
        Tensor::from_fn(out, |at| {
            let pairs = row(a, at / n).into_iter().zip(row(b, at % n));
            pairs.fold(F::ZERO, |sum, (a, b)| sum + (a - b) * (a - b))
        })
    }

    fn vjp<V: Value>(&self, i: usize, [a, b]: [&V; 2], _: &V, g: &V) -> V {
        // For row i of a: the sum over j of 2 g_ij (a_i - b_j). For b, a and b change roles.
        let (own, other, along) = if i == 0 { (a, b, -1) } else { (b, a, 0) };
        let weight = g.sum_axes(along, false).reshape([own.shape()[0], 1]);
        let product = Matmul { transpose_a: i == 1, transpose_b: false };
        (weight * own - V::apply(product, [g, other])) * 2.0
    }
}
