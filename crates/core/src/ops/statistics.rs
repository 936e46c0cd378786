//! Variance, norms, and the logarithm of a sum of exponentials.

use super::binary::EqualNan;
use super::elementwise::{UnaryOp, UnaryOps};
use super::rearrange::Reshape;
use super::reduce::{Max, Sum, choosable, reduced};
use crate::kernels;
use crate::op::{Op, Value};
use crate::shape::{Axes, expect_shape};
use crate::tensor::reduce::{fold, sum};
use crate::{Float, Shape, ShapeError, Tensor};

/// What is left when the mean over some axes is taken away. It is linear and its own transpose.
///
/// The mean is improved by the mean of what it leaves, so that equal elements leave exactly 0.
#[derive(Clone, Copy, Debug)]
pub struct SubtractMean {
    /// The axes that the mean is taken over.
    pub axes: Axes,
}

impl Op<1> for SubtractMean {
    fn shape(&self, [x]: [Shape; 1]) -> Result<Shape, ShapeError> {
        Ok(x)
    }
    fn forward<F: Float>(&self, [x]: [&Tensor<F>; 1], out: Shape) -> Tensor<F> {
        let share = (self.axes.count(out) as f64).recip();
        let mean = |x: &Tensor<F>| sum(x, self.axes).mul_scalar(share);
        let near = mean(x);
        x - &(mean(&(x - &near)) + near)
    }
    fn vjp<V: Value>(&self, _: usize, _: [&V; 1], _: &V, g: &V) -> V {
        V::apply(*self, [g])
    }
}

/// `x` to the power of a constant, for `x` from 0 on, with derivative 0 at 0 (there a norm has a kink).
#[derive(Clone, Copy, Debug)]
pub struct NormPow {
    /// The exponent.
    pub exponent: f64,
}

impl UnaryOp for NormPow {
    #[inline(always)]
    fn value<F: Float>(&self, x: F) -> F {
        if self.exponent == 0.5 { x.sqrt() } else { x.powf(F::of(self.exponent)) }
    }
    #[inline(always)]
    fn derivative<M: UnaryOps>(&self, x: &M, _: &M) -> M {
        // 1 stands in for a 0, so that nothing infinite arises, in no order; then it is masked.
        let positive = x.step();
        let safe = -positive.clone() + 1.0 + x;
        safe.powf(self.exponent - 1.0) * self.exponent * positive
    }
}

/// `ln(sum(exp(x)))` over some axes, each kept with extent 1 or removed; shifted by the maximum, so that
/// nothing overflows. Where all are -inf it is -inf, with derivative 0.
#[derive(Clone, Copy, Debug)]
pub struct LogSumExp {
    /// The axes summed over.
    pub axes: Axes,
    /// Whether they stay, with extent 1.
    pub keepdim: bool,
}

impl Op<1> for LogSumExp {
    fn shape(&self, [x]: [Shape; 1]) -> Result<Shape, ShapeError> {
        Ok(reduced(x, self.axes, self.keepdim))
    }
    fn forward<F: Float>(&self, [x]: [&Tensor<F>; 1], out: Shape) -> Tensor<F> {
        if self.axes.count(x.shape()) == 0 {
            return Tensor::full(out, -F::INFINITY);
        }
        let mut shift = fold(x, self.axes, kernels::max);
        for shift in shift.as_mut_slice() {
            // An infinite shift would be taken from itself.
            *shift = if shift.is_finite() { *shift } else { F::ZERO };
        }
        let total = sum(&(x - &shift).exp(), self.axes);
        (total.ln() + shift).with_shape(out)
    }
    fn vjp<V: Value>(&self, _: usize, [x]: [&V; 1], y: &V, g: &V) -> V {
        let kept = self.axes.kept(x.shape());
        let (y, g) = (V::apply(Reshape { to: kept }, [y]), V::apply(Reshape { to: kept }, [g]));
        // Where all are -inf, 0 stands in for the value: exp(-inf - 0) is the 0 that is wanted.
        let none = V::apply(EqualNan, [&y, &y.filled(f64::NEG_INFINITY)]);
        let shift = (-none + 1.0).mul_no_nan(&y);
        g.mul_no_nan(&(x.clone() - shift).exp())
    }
}

/// How many elements a variance divides by.
fn freedom(x: Shape, axes: Axes, correction: usize) -> f64 {
    axes.count(x).saturating_sub(correction) as f64
}

pub(super) fn var<V: Value>(x: &V, axes: Axes, correction: usize, keepdim: bool) -> V {
    let squares = V::apply(SubtractMean { axes }, [x]).square();
    V::apply(Sum { axes, keepdim }, [&squares])
        .mul_scalar(freedom(x.shape(), axes, correction).recip())
}

/// A norm of what the mean leaves, whose derivative at 0 is 0.
pub(super) fn std<V: Value>(x: &V, axes: Axes, correction: usize, keepdim: bool) -> V {
    let length = euclidean(&V::apply(SubtractMean { axes }, [x]), axes, keepdim);
    length.mul_scalar(freedom(x.shape(), axes, correction).sqrt().recip())
}

fn euclidean<V: Value>(x: &V, axes: Axes, keepdim: bool) -> V {
    V::apply(NormPow { exponent: 0.5 }, [&V::apply(Sum { axes, keepdim }, [&x.square()])])
}

#[track_caller]
pub(super) fn norm<V: Value>(x: &V, p: f64, axes: Axes, keepdim: bool) -> V {
    if p.is_nan() || p <= 0.0 {
        panic!("norm: p must be above 0, not {p}");
    }
    if p == 2.0 {
        return euclidean(x, axes, keepdim);
    }
    if p == f64::INFINITY {
        expect_shape("norm", choosable(x.shape(), axes));
        return V::apply(Max { axes, keepdim }, [&x.abs()]);
    }
    if p == 1.0 {
        return V::apply(Sum { axes, keepdim }, [&x.abs()]);
    }
    let powers = V::apply(NormPow { exponent: p }, [&x.abs()]);
    let sum = V::apply(Sum { axes, keepdim }, [&powers]);
    V::apply(NormPow { exponent: p.recip() }, [&sum])
}
