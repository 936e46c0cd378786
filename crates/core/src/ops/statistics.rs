//! Variance, norms, and the logarithm of a sum of exponentials.

use super::binary::Same;
use super::elementwise::{Elementary, Elementwise};
use super::rearrange::Reshape;
use super::reduce::{Max, Sum, choosable, reduced};
use crate::fold::{fold, sum};
use crate::kernels;
use crate::op::{Op, Value};
use crate::shape::{Axes, AxisList, expect_shape};
use crate::{Array, Float, Shape, ShapeError};

/// What is left when the mean over some axes is taken away. It is linear and its own transpose.
///
/// The mean is improved by the mean of what it leaves, so that equal elements leave exactly 0.
#[derive(Clone, Copy, Debug)]
pub struct Center {
    /// The axes that the mean is taken over.
    pub axes: Axes,
}

impl Op<1> for Center {
    fn shape(&self, [x]: [Shape; 1]) -> Result<Shape, ShapeError> {
        Ok(x)
    }
    fn forward<F: Float>(&self, [x]: [&Array<F>; 1], out: Shape) -> Array<F> {
        let share = (self.axes.count(out) as f64).recip();
        let mean = |x: &Array<F>| sum(x, self.axes).scale(share);
        let near = mean(x);
        x - &(mean(&(x - &near)) + near)
    }
    fn pull<V: Value>(&self, _: usize, _: [&V; 1], _: &V, g: &V) -> V {
        V::apply(*self, [g])
    }
}

/// `x` to the power of a constant, for `x` from 0 on, with derivative 0 at 0 (there a norm has a kink).
#[derive(Clone, Copy, Debug)]
pub struct FlatPower {
    /// The exponent.
    pub exponent: f64,
}

impl Elementwise for FlatPower {
    #[inline(always)]
    fn value<F: Float>(&self, x: F) -> F {
        if self.exponent == 0.5 { x.sqrt() } else { x.powf(F::of(self.exponent)) }
    }
    #[inline(always)]
    fn derivative<M: Elementary>(&self, x: &M, _: &M) -> M {
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
    fn forward<F: Float>(&self, [x]: [&Array<F>; 1], out: Shape) -> Array<F> {
        if self.axes.count(x.shape()) == 0 {
            return Array::full(out, -F::INFINITY);
        }
        let mut shift = fold(x, self.axes, kernels::max);
        for shift in shift.as_mut_slice() {
            // An infinite shift would be taken from itself.
            *shift = if shift.is_finite() { *shift } else { F::ZERO };
        }
        let total = sum(&(x - &shift).exp(), self.axes);
        (total.ln() + shift).with_shape(out)
    }
    fn pull<V: Value>(&self, _: usize, [x]: [&V; 1], y: &V, g: &V) -> V {
        let kept = self.axes.kept(x.shape());
        let (y, g) = (V::apply(Reshape { to: kept }, [y]), V::apply(Reshape { to: kept }, [g]));
        // Where all are -inf, 0 stands in for the value: exp(-inf - 0) is the 0 that is wanted.
        let none = V::apply(Same, [&y, &y.filled(f64::NEG_INFINITY)]);
        let shift = (-none + 1.0).gate(&y);
        g.gate(&(x.clone() - shift).exp())
    }
}

/// Statistics, alike for arrays and for variables. Axes may be counted from the end: `-1` is the last.
/// A shape mistake panics at the caller's line.
pub trait Statistics: Value {
    /// The variance of all elements, of shape `[]`: the squared distances from the mean, summed and
    /// divided by their number less `correction` (1 for the unbiased estimate). NaN if that leaves
    /// nothing to divide by.
    #[track_caller]
    fn var(&self, correction: usize) -> Self {
        var(self, Axes::all(self.shape()), correction, false)
    }

    /// The variance over some axes, which stay with extent 1 if `keepdim`.
    #[track_caller]
    fn var_axes(&self, axes: impl AxisList, correction: usize, keepdim: bool) -> Self {
        var(self, expect_shape("var_axes", Axes::of(self.shape(), axes)), correction, keepdim)
    }

    /// The standard deviation of all elements, of shape `[]`: the root of [`Statistics::var`]. Where
    /// all elements are equal, its derivative is 0.
    #[track_caller]
    fn std(&self, correction: usize) -> Self {
        std(self, Axes::all(self.shape()), correction, false)
    }

    /// The standard deviation over some axes, which stay with extent 1 if `keepdim`.
    #[track_caller]
    fn std_axes(&self, axes: impl AxisList, correction: usize, keepdim: bool) -> Self {
        std(self, expect_shape("std_axes", Axes::of(self.shape(), axes)), correction, keepdim)
    }

    /// The p-norm of all elements, of shape `[]`: the p-th root of the sum of their magnitudes to the
    /// power of `p`, or the largest magnitude if `p` is infinite. Its derivative at 0 is 0.
    ///
    /// # Panics
    /// If `p` is not above 0, or if it is infinite and there are no elements.
    #[track_caller]
    fn norm(&self, p: f64) -> Self {
        norm(self, p, Axes::all(self.shape()), false)
    }

    /// The p-norm over some axes, which stay with extent 1 if `keepdim`; see [`Statistics::norm`].
    ///
    /// # Panics
    /// If `p` is not above 0, or if it is infinite and there are no elements along these axes.
    #[track_caller]
    fn norm_axes(&self, p: f64, axes: impl AxisList, keepdim: bool) -> Self {
        norm(self, p, expect_shape("norm_axes", Axes::of(self.shape(), axes)), keepdim)
    }

    /// `ln(sum(exp(x)))` of all elements, of shape `[]`, without overflow; -inf if there are none, or if
    /// all are -inf, and then with derivative 0.
    #[track_caller]
    fn logsumexp(&self) -> Self {
        Self::apply(LogSumExp { axes: Axes::all(self.shape()), keepdim: false }, [self])
    }

    /// `ln(sum(exp(x)))` over some axes, which stay with extent 1 if `keepdim`.
    #[track_caller]
    fn logsumexp_axes(&self, axes: impl AxisList, keepdim: bool) -> Self {
        let axes = expect_shape("logsumexp_axes", Axes::of(self.shape(), axes));
        Self::apply(LogSumExp { axes, keepdim }, [self])
    }
}

impl<V: Value> Statistics for V {}

/// How many elements a variance divides by.
fn freedom(x: Shape, axes: Axes, correction: usize) -> f64 {
    axes.count(x).saturating_sub(correction) as f64
}

fn var<V: Value>(x: &V, axes: Axes, correction: usize, keepdim: bool) -> V {
    let squares = V::apply(Center { axes }, [x]).square();
    V::apply(Sum { axes, keepdim }, [&squares]).scale(freedom(x.shape(), axes, correction).recip())
}

/// A norm of what the mean leaves, whose derivative at 0 is 0.
fn std<V: Value>(x: &V, axes: Axes, correction: usize, keepdim: bool) -> V {
    let length = euclidean(&V::apply(Center { axes }, [x]), axes, keepdim);
    length.scale(freedom(x.shape(), axes, correction).sqrt().recip())
}

fn euclidean<V: Value>(x: &V, axes: Axes, keepdim: bool) -> V {
    V::apply(FlatPower { exponent: 0.5 }, [&V::apply(Sum { axes, keepdim }, [&x.square()])])
}

#[track_caller]
fn norm<V: Value>(x: &V, p: f64, axes: Axes, keepdim: bool) -> V {
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
    let powers = V::apply(FlatPower { exponent: p }, [&x.abs()]);
    let sum = V::apply(Sum { axes, keepdim }, [&powers]);
    V::apply(FlatPower { exponent: p.recip() }, [&sum])
}
