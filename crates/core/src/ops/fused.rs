//! Operations that could be composed of others, and are one for speed or for accuracy.

use super::elementwise::UnaryOps;
use super::matmul::Matmul;
use super::reduce::Sum;
use crate::kernels;
use crate::op::{Cotangent, Op, Value};
use crate::shape::Axes;
use crate::{Float, Shape, ShapeError, Tensor};

/// `x W^T + b`: from `x` of shape `[n, inputs]`, weight `[outputs, inputs]` and bias `[outputs]` to
/// `[n, outputs]`.
#[derive(Clone, Copy, Debug)]
pub struct Linear;

const PRODUCT: Matmul = Matmul { transpose_a: false, transpose_b: true };

impl Op<3> for Linear {
    fn shape(&self, [x, weight, bias]: [Shape; 3]) -> Result<Shape, ShapeError> {
        let (Some((&inputs, rows)), &[outputs, inner], &[added]) =
            (x.split_last(), &*weight, &*bias)
        else {
            return Err(ShapeError::new(format!(
                "{x:?}, weight {weight:?}, bias {bias:?} (expected [.., inputs], [outputs, inputs], [outputs])"
            )));
        };
        if inputs != inner {
            return Err(ShapeError::new(format!(
                "{x:?} and weight {weight:?} do not chain ({inputs} against {inner})"
            )));
        }
        if outputs != added {
            return Err(ShapeError::new(format!(
                "weight {weight:?} and bias {bias:?} disagree ({outputs} against {added})"
            )));
        }
        match rows {
            &[n] => Ok(Shape::from([n, outputs])),
            _ => Err(ShapeError::new(format!("{x:?} is no matrix (use `Var::linear`)"))),
        }
    }

    fn forward<F: Float>(&self, [x, weight, bias]: [&Tensor<F>; 3], out: Shape) -> Tensor<F> {
        let bias = bias.as_slice();
        Tensor::written(out, |y| {
            y.chunks_exact_mut(bias.len().max(1)).for_each(|row| row.copy_from_slice(bias));
            let (m, n, k) = (out[0], out[1], x.shape()[1]);
            kernels::matmul(m, n, k, x.as_slice(), false, weight.as_slice(), true, y, true);
        })
    }

    fn multiply_adds(&self, [x, ..]: [Shape; 3], out: Shape) -> u64 {
        (out.numel() * (x[1] + 1)) as u64
    }

    fn vjp<V: Value>(&self, i: usize, [x, weight, _]: [&V; 3], y: &V, g: &V) -> V {
        if i == 2 { g.clone() } else { PRODUCT.vjp(i, [x, weight], y, g) }
    }

    fn vjp_into<F: Float>(
        &self,
        i: usize,
        [x, weight, _]: [&Tensor<F>; 3],
        y: &Tensor<F>,
        g: &Tensor<F>,
        into: Cotangent<'_, F>,
    ) {
        if i < 2 {
            return PRODUCT.vjp_into(i, [x, weight], y, g, into);
        }
        let (rows, columns) = (g.shape()[0], g.shape()[1]);
        into.write(|sum, accumulate| kernels::sum(g.as_slice(), 1, rows, columns, sum, accumulate));
    }
}

/// The logarithm of softmax along the last axis, shifted by the row's maximum so that nothing
/// overflows.
#[derive(Clone, Copy, Debug)]
pub struct LogSoftmax;

impl Op<1> for LogSoftmax {
    fn shape(&self, [x]: [Shape; 1]) -> Result<Shape, ShapeError> {
        if x.rank() == 0 {
            return Err(ShapeError::new("a scalar has no last axis"));
        }
        Ok(x)
    }

    fn forward<F: Float>(&self, [x]: [&Tensor<F>; 1], out: Shape) -> Tensor<F> {
        let n = out[out.rank() - 1];
        Tensor::written(out, |y| kernels::log_softmax(x.as_slice(), n, y))
    }

    fn vjp<V: Value>(&self, _: usize, _: [&V; 1], y: &V, g: &V) -> V {
        let last = Axes::of(y.shape(), -1).unwrap_or_else(|_| unreachable!("checked by shape"));
        g.clone() - y.exp() * V::apply(Sum { axes: last, keepdim: true }, [g])
    }

    fn vjp_into<F: Float>(
        &self,
        _: usize,
        _: [&Tensor<F>; 1],
        y: &Tensor<F>,
        g: &Tensor<F>,
        into: Cotangent<'_, F>,
    ) {
        let n = y.shape()[y.shape().rank() - 1];
        let (y, g) = (y.as_slice(), g.as_slice());
        into.write(|out, accumulate| kernels::log_softmax_vjp(y, g, n, out, accumulate));
    }
}
