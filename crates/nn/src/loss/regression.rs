//! Losses of numbers against numbers.

use std::f64::consts::PI;

use wengert_core::{BinaryOps, Float, MovementOps, Operand, UnaryOps, Var};

use super::Reduction;
use super::reduction::{above_zero, fits, not_negative, settings};

settings! {
    /// Settings of [`Loss::huber`](crate::Loss::huber).
    Huber {
        /// The distance at which the parabola becomes a line, 1 at first.
        ///
        /// # Panics
        /// If it is not above 0.
        delta: f64 = 1.0, |delta: f64| above_zero("Huber: delta", delta);
    }
    /// Settings of [`Loss::smooth_l1`](crate::Loss::smooth_l1).
    SmoothL1 {
        /// The distance at which the parabola becomes a line, 1 at first; with 0 there is no parabola.
        ///
        /// # Panics
        /// If it is negative.
        beta: f64 = 1.0, |beta: f64| not_negative("SmoothL1: beta", beta);
    }
    /// Settings of [`Loss::gaussian_nll`](crate::Loss::gaussian_nll).
    GaussianNll {
        /// Whether the constant `ln(2 pi) / 2` belongs to the loss; at first not.
        full: bool = false, |full: bool| full;
        /// The least variance, 1e-6 at first.
        ///
        /// # Panics
        /// If it is not above 0.
        eps: f64 = 1e-6, |eps: f64| above_zero("GaussianNll: eps", eps);
    }
    /// Settings of [`Loss::poisson_nll`](crate::Loss::poisson_nll).
    PoissonNll {
        /// Whether the prediction is the logarithm of the rate, as it is at first, or the rate.
        log_input: bool = true, |log_input: bool| log_input;
        /// Whether Stirling's approximation of `ln(target!)` belongs to the loss; at first not.
        full: bool = false, |full: bool| full;
        /// What is added to a rate before its logarithm is taken, 1e-8 at first.
        ///
        /// # Panics
        /// If it is negative.
        eps: f64 = 1e-8, |eps: f64| not_negative("PoissonNll: eps", eps);
    }
}

#[track_caller]
pub(super) fn mse<'t, F: Float>(
    x: Var<'t, F>,
    target: impl Operand<Var<'t, F>>,
    reduction: Reduction,
) -> Var<'t, F> {
    let target = fits("mse", x, target);
    reduction.of((x - target).square())
}

#[track_caller]
pub(super) fn half_sse<'t, F: Float>(
    x: Var<'t, F>,
    target: impl Operand<Var<'t, F>>,
    reduction: Reduction,
) -> Var<'t, F> {
    let target = fits("half_sse", x, target);
    reduction.of((x - target).square()) * 0.5
}

#[track_caller]
pub(super) fn l1<'t, F: Float>(
    x: Var<'t, F>,
    target: impl Operand<Var<'t, F>>,
    reduction: Reduction,
) -> Var<'t, F> {
    let target = fits("l1", x, target);
    reduction.of((x - target).abs())
}

#[track_caller]
pub(super) fn huber<'t, F: Float>(
    x: Var<'t, F>,
    target: impl Operand<Var<'t, F>>,
    Huber { delta, reduction }: Huber,
) -> Var<'t, F> {
    let target = fits("huber", x, target);
    let distance = (x - target).abs();
    let line = (distance - delta / 2.0) * delta;
    reduction.of(distance.less(delta).where_cond(distance.square() * 0.5, line))
}

#[track_caller]
pub(super) fn smooth_l1<'t, F: Float>(
    x: Var<'t, F>,
    target: impl Operand<Var<'t, F>>,
    SmoothL1 { beta, reduction }: SmoothL1,
) -> Var<'t, F> {
    let target = fits("smooth_l1", x, target);
    let distance = (x - target).abs();
    let parabola = distance.square() * (0.5 / beta);
    reduction.of(distance.less(beta).where_cond(parabola, distance - beta / 2.0))
}

#[track_caller]
pub(super) fn gaussian_nll<'t, F: Float>(
    x: Var<'t, F>,
    target: impl Operand<Var<'t, F>>,
    variance: impl Operand<Var<'t, F>>,
    GaussianNll { full, eps, reduction }: GaussianNll,
) -> Var<'t, F> {
    let target = fits("gaussian_nll", x, target);
    let variance = fits("gaussian_nll", x, variance);
    let variance = variance.beside(&x);
    // The least variance in place of a smaller one, and the derivative as if it were not in place.
    let least = variance - variance.stop_gradient() + eps;
    let variance = variance.less(eps).where_cond(least, variance);
    let losses = (variance.ln() + (x - target).square() / variance) * 0.5;
    reduction.of(if full { losses + 0.5 * (2.0 * PI).ln() } else { losses })
}

#[track_caller]
pub(super) fn poisson_nll<'t, F: Float>(
    x: Var<'t, F>,
    target: impl Operand<Var<'t, F>>,
    PoissonNll { log_input, full, eps, reduction }: PoissonNll,
) -> Var<'t, F> {
    let target = fits("poisson_nll", x, target);
    let losses = if log_input { x.exp() - target * x } else { x - target * (x + eps).ln() };
    if !full {
        return reduction.of(losses);
    }
    let stirling = target * target.ln() - target + (target * (2.0 * PI)).ln() * 0.5;
    reduction.of(losses + target.greater(1.0).where_cond(stirling, 0.0))
}
