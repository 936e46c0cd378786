//! Extremes, means, variances and norms.

use super::broadcast::{Reshape, Sum, spread};
use super::elementwise::{Elementwise, UnaryOp};
use super::functions::{EqualNan, Greater, Less, UnaryOps};
use super::rearrange::StopGradient;
use crate::kernels::{self, zip1};
use crate::op::{Cotangent, Op, Value};
use crate::shape::Axes;
use crate::tensor::reduce::{reduce_axes, sum};
use crate::{Float, MAX_RANK, Shape, ShapeError, Tensor};

/// The largest element over some axes. NaN wins; ties share the cotangent evenly.
#[derive(Clone, Copy, Debug)]
pub struct Max {
    /// The axes searched.
    pub axes: Axes,
    /// Whether they stay, with extent 1.
    pub keepdim: bool,
}

impl Op<1> for Max {
    crate::entry_points!(Op<1>);

    fn shape(&self, [x]: [Shape; 1]) -> Result<Shape, ShapeError> {
        not_empty(x, self.axes)?;
        Ok(self.axes.reduced(x, self.keepdim))
    }
    fn forward<F: Float>(&self, [x]: [&Tensor<F>; 1], out: Shape) -> Tensor<F> {
        reduce_axes(x, self.axes, kernels::max).with_shape(out)
    }
    fn vjp<V: Value>(&self, _: usize, [x]: [&V; 1], y: &V, g: &V) -> V {
        // A mask is constant, whatever the cotangent.
        let winners = V::apply(EqualNan, [x, &spread(y, self.axes, x.shape())]);
        let winners = V::apply(StopGradient, [&winners]);
        let ties = V::apply(Sum { axes: self.axes, keepdim: true }, [&winners]);
        let g = V::apply(Reshape { to: ties.shape() }, [g]);
        (g / ties).mul_no_nan(&winners)
    }
}

/// An error if there are no elements along `axes`.
pub(super) fn not_empty(x: Shape, axes: Axes) -> Result<(), ShapeError> {
    if axes.count(x) == 0 {
        return Err(ShapeError::new(format!("{x:?} has no elements to choose from")));
    }
    Ok(())
}

/// The smallest element: minus the largest of the negatives, with the same ties and NaN.
#[track_caller]
pub(super) fn min<V: Value>(x: &V, axes: Axes, keepdim: bool) -> V {
    V::apply(Max { axes, keepdim }, [&x.neg()]).neg()
}

/// The mean; of no elements it is 0 * inf, which is NaN.
#[track_caller]
pub(super) fn mean<V: Value>(x: &V, axes: Axes, keepdim: bool) -> V {
    let count = axes.count(x.shape()) as f64;
    V::apply(Sum { axes, keepdim }, [x]).mul_scalar(count.recip())
}

/// The difference from the mean over some axes. Linear, and its own transpose.
///
/// The mean is corrected by the mean of the differences, so that equal elements give exactly 0.
#[derive(Clone, Copy, Debug)]
pub struct SubtractMean {
    /// The axes of the mean.
    pub axes: Axes,
}

impl Op<1> for SubtractMean {
    crate::entry_points!(Op<1>);

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

/// The difference from the mean over the last axes, divided by `sqrt(var + eps)` with the biased variance.
#[derive(Clone, Copy, Debug)]
pub struct Normalize {
    /// The number of axes.
    pub trailing: usize,
    /// The summand under the root.
    pub eps: f64,
}

impl Normalize {
    /// The axes of a value, and the number of elements along them.
    fn axes(&self, x: Shape) -> Result<(Axes, usize), ShapeError> {
        const FROM_THE_END: [isize; MAX_RANK] = [-1, -2, -3, -4, -5, -6, -7, -8];
        match FROM_THE_END.get(..self.trailing) {
            Some(axes) => Axes::of(x, axes).map(|axes| (axes, axes.count(x))),
            None => Err(ShapeError::new(format!("{x:?} has fewer than {} axes", self.trailing))),
        }
    }

    fn checked(&self, x: Shape) -> (Axes, usize) {
        self.axes(x).unwrap_or_else(|_| unreachable!("checked by shape"))
    }
}

impl Op<1> for Normalize {
    crate::entry_points!(Op<1>);

    fn shape(&self, [x]: [Shape; 1]) -> Result<Shape, ShapeError> {
        self.axes(x)?;
        Ok(x)
    }
    fn forward<F: Float>(&self, [x]: [&Tensor<F>; 1], out: Shape) -> Tensor<F> {
        let (_, n) = self.checked(out);
        Tensor::written(out, |y| kernels::normalize(x.as_slice(), n, self.eps, y))
    }
    fn vjp<V: Value>(&self, _: usize, [x]: [&V; 1], y: &V, g: &V) -> V {
        let (axes, n) = self.checked(x.shape());
        let count = n as f64;
        let deviation = V::apply(SubtractMean { axes }, [x]);
        let norm = EuclideanNorm { axes, keepdim: true, eps: count * self.eps };
        let slope = V::apply(norm, [&deviation]).recip() * count.sqrt();
        let common = mean(&g.mul_no_nan(y), axes, true).mul_no_nan(y);
        V::apply(SubtractMean { axes }, [&(g.clone() - common).mul_no_nan(&slope)])
    }
    fn vjp_into<F: Float>(
        &self,
        _: usize,
        [x]: [&Tensor<F>; 1],
        y: &Tensor<F>,
        g: &Tensor<F>,
        into: Cotangent<'_, F>,
    ) {
        let (_, n) = self.checked(x.shape());
        let rows = [x, y, g].map(Tensor::as_slice);
        into.write(|out, accumulate| kernels::normalize_vjp(rows, n, self.eps, out, accumulate));
    }
}

/// `x` to the power of a constant for `x` of at least 0, with derivative 0 at 0, where a norm has a kink.
#[derive(Clone, Copy, Debug)]
pub struct NormPow {
    /// The exponent.
    pub exponent: f64,
}

impl UnaryOp for NormPow {
    crate::entry_points!(Op<1>);

    #[inline(always)]
    fn value<F: Float>(&self, x: F) -> F {
        if self.exponent == 0.5 { x.sqrt() } else { x.powf(F::of(self.exponent)) }
    }
    #[inline(always)]
    fn derivative<M: Elementwise>(&self, x: &M, _: &M) -> M {
        // 1 replaces a 0 before the power, so that nothing is infinite in any order; then it is masked.
        let positive = x.step();
        let safe = -positive.clone() + 1.0 + x;
        safe.powf(self.exponent - 1.0) * self.exponent * positive
    }
}

/// The Euclidean norm `sqrt(sum(x^2) + eps)` over some axes, with derivative 0 where it is 0. Neither the norm nor its
/// derivative overflows or vanishes where the exact one does not.
#[derive(Clone, Copy, Debug)]
pub struct EuclideanNorm {
    /// The axes of the norm.
    pub axes: Axes,
    /// Whether they stay, with extent 1.
    pub keepdim: bool,
    /// The summand under the root; 0 for a norm.
    pub eps: f64,
}

impl EuclideanNorm {
    /// The norm proper.
    pub(super) fn over(axes: Axes, keepdim: bool) -> Self {
        Self { axes, keepdim, eps: 0.0 }
    }
}

impl Op<1> for EuclideanNorm {
    crate::entry_points!(Op<1>);

    fn shape(&self, [x]: [Shape; 1]) -> Result<Shape, ShapeError> {
        Ok(self.axes.reduced(x, self.keepdim))
    }
    fn forward<F: Float>(&self, [x]: [&Tensor<F>; 1], out: Shape) -> Tensor<F> {
        // The norm of the norms over each run of axes. A run of one element is not reduced, so that its sign is left.
        let norm = reduce_axes(x, self.axes, kernels::norm).with_shape(out);
        let root = F::of(self.eps.sqrt());
        Tensor::written(out, |y| zip1(y, norm.as_slice(), |y, norm| *y = norm.hypot(root)))
    }
    fn vjp<V: Value>(&self, _: usize, [x]: [&V; 1], y: &V, g: &V) -> V {
        let kept = self.axes.kept(x.shape());
        let (y, g) = (V::apply(Reshape { to: kept }, [y]), V::apply(Reshape { to: kept }, [g]));
        // 1 replaces a norm of 0, so that nothing is infinite in any order; then it is masked. A mask is constant, whatever
        // the cotangent.
        let positive = V::apply(StopGradient, [&y.step()]);
        let safe = -positive.clone() + 1.0 + y;
        (g * positive).mul_no_nan(&(x.clone() / safe))
    }
}

/// The divisor of a variance; NaN if it would not be positive.
fn degrees_of_freedom(x: Shape, axes: Axes, correction: usize) -> f64 {
    let count = axes.count(x);
    if count > correction { (count - correction) as f64 } else { f64::NAN }
}

#[track_caller]
pub(super) fn var<V: Value>(x: &V, axes: Axes, correction: usize, keepdim: bool) -> V {
    let squares = V::apply(SubtractMean { axes }, [x]).square();
    V::apply(Sum { axes, keepdim }, [&squares])
        .mul_scalar(degrees_of_freedom(x.shape(), axes, correction).recip())
}

/// The standard deviation: a Euclidean norm of the differences from the mean, whose derivative at 0 is 0.
#[track_caller]
pub(super) fn std<V: Value>(x: &V, axes: Axes, correction: usize, keepdim: bool) -> V {
    let distances = V::apply(SubtractMean { axes }, [x]);
    V::apply(EuclideanNorm::over(axes, keepdim), [&distances])
        .mul_scalar(degrees_of_freedom(x.shape(), axes, correction).sqrt().recip())
}

/// The p-norm; an error if `p` is not above 0, or infinite where there are no elements.
#[track_caller]
pub(super) fn norm<V: Value>(x: &V, p: f64, axes: Axes, keepdim: bool) -> Result<V, ShapeError> {
    if p.is_nan() || p <= 0.0 {
        return Err(ShapeError::new(format!("p must be above 0, not {p}")));
    }
    if p == 2.0 {
        return Ok(V::apply(EuclideanNorm::over(axes, keepdim), [x]));
    }
    if p == f64::INFINITY {
        not_empty(x.shape(), axes)?;
        return Ok(V::apply(Max { axes, keepdim }, [&x.abs()]));
    }
    if p == 1.0 {
        return Ok(V::apply(Sum { axes, keepdim }, [&x.abs()]));
    }
    if axes.count(x.shape()) == 0 {
        return Ok(V::apply(Sum { axes, keepdim }, [x]));
    }
    // The powers of the elements divided by the largest neither overflow nor vanish. The scale is a constant: the
    // norm does not depend on it.
    let size = x.abs();
    let largest = V::apply(Max { axes, keepdim: true }, [&V::apply(StopGradient, [&size])]);
    let usable = largest.combine(Greater, &largest.filled(0.0))
        * largest.combine(Less, &largest.filled(f64::INFINITY));
    let scale = usable.select(&largest, &largest.filled(1.0));
    let powers = V::apply(NormPow { exponent: p }, [&(size / &scale)]);
    let sum = V::apply(Sum { axes, keepdim: true }, [&powers]);
    let norm = V::apply(NormPow { exponent: p.recip() }, [&sum]) * scale;
    Ok(V::apply(Reshape { to: axes.reduced(x.shape(), keepdim) }, [&norm]))
}
