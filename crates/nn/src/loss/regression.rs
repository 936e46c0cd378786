//! Losses of predicted numbers.

use std::f64::consts::PI;

use wengert_core::{BinaryOps, Float, MovementOps, Operand, UnaryOps, Var};

use super::Reduction;
use super::reduction::{settings, target_for};
use crate::validate::{non_negative, positive};

settings! {
    /// Settings of [`Loss::huber`](crate::Loss::huber).
    Huber {
        /// Sets the distance at which the parabola becomes a line. Default: 1.
        ///
        /// # Panics
        /// If it is not above 0.
        delta: f64 = 1.0, |delta: f64| positive("Huber: delta", delta);
    }
    /// Settings of [`Loss::smooth_l1`](crate::Loss::smooth_l1).
    SmoothL1 {
        /// Sets the distance at which the parabola becomes a line; with 0 there is only the line. Default: 1.
        ///
        /// # Panics
        /// If it is negative.
        beta: f64 = 1.0, |beta: f64| non_negative("SmoothL1: beta", beta);
    }
    /// Settings of [`Loss::gaussian_nll`](crate::Loss::gaussian_nll).
    GaussianNll {
        /// Sets whether the loss includes the constant `ln(2 pi) / 2`. Default: false.
        full: bool = false, |full: bool| full;
        /// Sets the least variance. Default: 1e-6.
        ///
        /// # Panics
        /// If it is not above 0.
        eps: f64 = 1e-6, |eps: f64| positive("GaussianNll: eps", eps);
    }
    /// Settings of [`Loss::poisson_nll`](crate::Loss::poisson_nll).
    PoissonNll {
        /// Sets whether the prediction is the logarithm of the rate, or the rate itself. Default: true.
        log_input: bool = true, |log_input: bool| log_input;
        /// Sets whether the loss includes Stirling's approximation of `ln(target!)`. Default: false.
        full: bool = false, |full: bool| full;
        /// Sets the number that is added to a rate before its logarithm is taken. Default: 1e-8.
        ///
        /// # Panics
        /// If it is negative.
        eps: f64 = 1e-8, |eps: f64| non_negative("PoissonNll: eps", eps);
    }
}

#[track_caller]
pub(super) fn mse<'t, F: Float>(
    x: Var<'t, F>,
    target: impl Operand<Var<'t, F>>,
    reduction: Reduction,
) -> Var<'t, F> {
    let target = target_for("mse", x, target);
    reduction.apply((x - target).square())
}

#[track_caller]
pub(super) fn half_sse<'t, F: Float>(
    x: Var<'t, F>,
    target: impl Operand<Var<'t, F>>,
    reduction: Reduction,
) -> Var<'t, F> {
    let target = target_for("half_sse", x, target);
    reduction.apply((x - target).square()) * 0.5
}

#[track_caller]
pub(super) fn l1<'t, F: Float>(
    x: Var<'t, F>,
    target: impl Operand<Var<'t, F>>,
    reduction: Reduction,
) -> Var<'t, F> {
    let target = target_for("l1", x, target);
    reduction.apply((x - target).abs())
}

#[track_caller]
pub(super) fn huber<'t, F: Float>(
    x: Var<'t, F>,
    target: impl Operand<Var<'t, F>>,
    Huber { delta, reduction }: Huber,
) -> Var<'t, F> {
    let target = target_for("huber", x, target);
    let error = x - target;
    // The parabola is one of the error: through `abs`, its second derivative at 0 would be 0.
    let (distance, parabola) = (error.abs(), error.square() * 0.5);
    let line = (distance - delta / 2.0) * delta;
    reduction.apply(distance.less(delta).where_cond(parabola, line))
}

#[track_caller]
pub(super) fn smooth_l1<'t, F: Float>(
    x: Var<'t, F>,
    target: impl Operand<Var<'t, F>>,
    SmoothL1 { beta, reduction }: SmoothL1,
) -> Var<'t, F> {
    let target = target_for("smooth_l1", x, target);
    let error = x - target;
    let (distance, parabola) = (error.abs(), error * (error * (0.5 / beta)));
    reduction.apply(distance.less(beta).where_cond(parabola, distance - beta / 2.0))
}

#[track_caller]
pub(super) fn gaussian_nll<'t, F: Float>(
    x: Var<'t, F>,
    target: impl Operand<Var<'t, F>>,
    variance: impl Operand<Var<'t, F>>,
    GaussianNll { full, eps, reduction }: GaussianNll,
) -> Var<'t, F> {
    let target = target_for("gaussian_nll", x, target);
    let variance = target_for("gaussian_nll", x, variance);
    let variance = variance.beside(&x);
    // A smaller variance is replaced by the least one, with the derivative of the original.
    let least = variance - variance.stop_gradient() + eps;
    let variance = variance.less(eps).where_cond(least, variance);
    let losses = (variance.ln() + ((x - target) / variance.sqrt()).square()) * 0.5;
    reduction.apply(if full { losses + 0.5 * (2.0 * PI).ln() } else { losses })
}

#[track_caller]
pub(super) fn poisson_nll<'t, F: Float>(
    x: Var<'t, F>,
    target: impl Operand<Var<'t, F>>,
    PoissonNll { log_input, full, eps, reduction }: PoissonNll,
) -> Var<'t, F> {
    let target = target_for("poisson_nll", x, target);
    let losses = if log_input { x.exp() - target * x } else { x - target * (x + eps).ln() };
    if !full {
        return reduction.apply(losses);
    }
    let stirling = target * target.ln() - target + (target * (2.0 * PI)).ln() * 0.5;
    reduction.apply(losses + target.greater(1.0).where_cond(stirling, 0.0))
}
