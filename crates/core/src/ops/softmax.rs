//! Softmax, its logarithm, and logarithms of sums of exponentials.

use super::broadcast::{Reshape, Sum};
use super::elementwise::Elementwise;
use super::functions::{EqualNan, UnaryOps};
use crate::kernels;
use crate::op::{Cotangent, Gathered, Instruction, Op, Value};
use crate::shape::Axes;
use crate::tensor::reduce::{reduce_axes, sum};
use crate::{Float, Shape, ShapeError, Tensor};

/// Softmax along the last axis, shifted by the maximum of each row so that nothing overflows.
#[derive(Clone, Copy, Debug)]
pub struct Softmax;

impl Op<1> for Softmax {
    crate::entry_points!(Op<1>);

    fn shape(&self, [x]: [Shape; 1]) -> Result<Shape, ShapeError> {
        LogSoftmax.shape([x])
    }

    fn forward<F: Float>(&self, [x]: [&Tensor<F>; 1], out: Shape) -> Tensor<F> {
        let n = out[out.rank() - 1];
        Tensor::written(out, |y| kernels::softmax(x.as_slice(), n, y))
    }

    fn vjp<V: Value>(&self, _: usize, _: [&V; 1], y: &V, g: &V) -> V {
        let last = Axes::one(y.shape().rank() - 1);
        let mean = V::apply(Sum { axes: last, keepdim: true }, [&g.mul_no_nan(y)]);
        (g.clone() - mean).mul_no_nan(y)
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
        into.write(|out, accumulate| kernels::softmax_vjp(y, g, n, out, accumulate));
    }

    fn instruction<F: Float>(&self, _: [Shape; 1], out: Shape) -> Option<Box<dyn Instruction<F>>> {
        Some(Box::new(Rows {
            n: out[out.rank() - 1],
            forward: kernels::softmax,
            vjp: kernels::softmax_vjp,
        }))
    }
}

/// The instruction of an operation on the rows of its operand.
struct Rows<F> {
    /// The length of a row.
    n: usize,
    forward: fn(&[F], usize, &mut [F]),
    /// From the value and its cotangent.
    vjp: fn(&[F], &[F], usize, &mut [F], bool),
}

impl<F: Float> Instruction<F> for Rows<F> {
    fn forward(&self, x: &[&[F]], y: &mut [F]) {
        (self.forward)(x[0], self.n, y);
    }
    fn vjp(&self, _: usize, _: &[&[F]], y: &[F], g: &[F], into: Gathered<'_, F>) {
        into.write(|out, accumulate| (self.vjp)(y, g, self.n, out, accumulate));
    }
}

/// The logarithm of softmax along the last axis, shifted by the maximum of each row so that nothing overflows.
#[derive(Clone, Copy, Debug)]
pub struct LogSoftmax;

impl Op<1> for LogSoftmax {
    crate::entry_points!(Op<1>);

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
        let last = Axes::one(y.shape().rank() - 1);
        g.clone() - V::apply(Sum { axes: last, keepdim: true }, [g]).mul_no_nan(&y.exp())
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

    fn instruction<F: Float>(&self, _: [Shape; 1], out: Shape) -> Option<Box<dyn Instruction<F>>> {
        Some(Box::new(Rows {
            n: out[out.rank() - 1],
            forward: kernels::log_softmax,
            vjp: kernels::log_softmax_vjp,
        }))
    }
}

/// `ln(sum(exp(x)))` over some axes, shifted by the maximum so that nothing overflows. Where all elements are
/// -inf it is -inf, with derivative 0.
#[derive(Clone, Copy, Debug)]
pub struct LogSumExp {
    /// The axes summed over.
    pub axes: Axes,
    /// Whether they stay, with extent 1.
    pub keepdim: bool,
}

impl Op<1> for LogSumExp {
    crate::entry_points!(Op<1>);

    fn shape(&self, [x]: [Shape; 1]) -> Result<Shape, ShapeError> {
        Ok(self.axes.reduced(x, self.keepdim))
    }
    fn forward<F: Float>(&self, [x]: [&Tensor<F>; 1], out: Shape) -> Tensor<F> {
        if self.axes.count(x.shape()) == 0 {
            return Tensor::full(out, -F::INFINITY);
        }
        let mut shift = reduce_axes(x, self.axes, kernels::max);
        for shift in shift.as_mut_slice() {
            // An infinite shift would be subtracted from itself.
            *shift = if shift.is_finite() { *shift } else { F::ZERO };
        }
        let total = sum(&(x - &shift).exp(), self.axes);
        (total.ln() + shift).with_shape(out)
    }
    fn vjp<V: Value>(&self, _: usize, [x]: [&V; 1], y: &V, g: &V) -> V {
        let kept = self.axes.kept(x.shape());
        let (y, g) = (V::apply(Reshape { to: kept }, [y]), V::apply(Reshape { to: kept }, [g]));
        // Where all elements are -inf, 0 replaces the value: exp(-inf - 0) is 0, as it must be.
        let none = V::apply(EqualNan, [&y, &y.filled(f64::NEG_INFINITY)]);
        let shift = (-none + 1.0).mul_no_nan(&y);
        g.mul_no_nan(&(x.clone() - shift).exp())
    }
}
