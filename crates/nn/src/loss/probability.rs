//! Losses of predicted probabilities.

use wengert_core::ops::{BinaryOp, Visitor};
use wengert_core::{BinaryOps, Elementwise, Float, Operand, Tensor, UnaryOps, Var};

use super::reduction::{TINY, settings, target_for};

settings! {
    /// Settings of [`Loss::bce`](crate::Loss::bce).
    Bce<F> {
        /// Sets the factor of the loss of each element; it broadcasts. Default: none.
        weight: Option<Tensor<F>> = None, |weight: &Tensor<F>| Some(weight.clone());
    }
    /// Settings of [`Loss::bce_with_logits`](crate::Loss::bce_with_logits).
    BceWithLogits<F> {
        /// Sets the factor of the loss of each element; it broadcasts. Default: none.
        weight: Option<Tensor<F>> = None, |weight: &Tensor<F>| Some(weight.clone());
        /// Sets the factor of the positive part of each loss; it broadcasts, for example `[classes]`.
        /// Default: none.
        pos_weight: Option<Tensor<F>> = None, |weight: &Tensor<F>| Some(weight.clone());
    }
    /// Settings of [`Loss::kl_div`](crate::Loss::kl_div).
    KlDiv {
        /// Sets whether the target consists of logarithms, too. Default: false.
        log_target: bool = false, |log_target: bool| log_target;
    }
}

/// `-t ln x - (1 - t) ln(1 - x)`, with logarithms of at least -100.
#[derive(Clone, Copy, Debug)]
struct BinaryCrossEntropy;

impl BinaryOp for BinaryCrossEntropy {
    wengert_core::entry_points!(Op<2>);

    fn value<F: Float>(&self, x: F, t: F) -> F {
        // A comparison instead of `max`, so that NaN stays NaN.
        let limited = |ln: F| if ln < F::of(-100.0) { F::of(-100.0) } else { ln };
        (t - F::ONE) * limited((-x).ln_1p()) - t * limited(x.ln())
    }

    fn derivative<M: UnaryOps>(&self, i: usize, x: &M, t: &M) -> M {
        if i == 0 {
            (x.clone() - t) / ((-x.clone() + 1.0) * x).clamp_min(TINY)
        } else {
            x.neg().ln_1p().clamp_min(-100.0) - x.ln().clamp_min(-100.0)
        }
    }
}

/// `-t ln s - (1 - t) ln(1 - s)` with `s = sigmoid(x)`. Neither logarithm cancels, and a share of 0 adds nothing, even if
/// its logarithm is infinite.
#[derive(Clone, Copy, Debug)]
struct LogitCrossEntropy;

impl BinaryOp for LogitCrossEntropy {
    wengert_core::entry_points!(Op<2>);

    #[inline(always)]
    fn value<F: Float>(&self, x: F, t: F) -> F {
        // -ln s is max(-x, 0) and a rest, -ln(1 - s) is max(x, 0) and the same rest.
        let share =
            |share: F, x: F| if (share == F::ZERO) | (x <= F::ZERO) { F::ZERO } else { share * x };
        share(F::ONE - t, x) + share(t, -x) + (-x.abs()).exp().ln_1p()
    }

    #[inline(always)]
    fn derivative<M: UnaryOps>(&self, i: usize, x: &M, t: &M) -> M {
        if i == 0 { (-t.clone() + 1.0) * x.sigmoid() - x.neg().sigmoid() * t } else { x.neg() }
    }
}

/// Passes the functions above to `visitor`; all other losses are made of operations of the core.
#[doc(hidden)]
pub fn visit_losses(visitor: &mut impl Visitor) {
    visitor.binary(BinaryCrossEntropy, [(0.0, 1.0); 2], false);
    visitor.binary(LogitCrossEntropy, [(-4.0, 4.0), (0.0, 1.0)], false);
}

#[track_caller]
pub(super) fn bce<'t, F: Float>(
    x: Var<'t, F>,
    target: impl Operand<Var<'t, F>>,
    Bce { weight, reduction }: Bce<F>,
) -> Var<'t, F> {
    let target = target_for("bce", x, target);
    let losses = x.combine(BinaryCrossEntropy, &target);
    reduction.apply(weighted(losses, weight))
}

#[track_caller]
pub(super) fn bce_with_logits<'t, F: Float>(
    x: Var<'t, F>,
    target: impl Operand<Var<'t, F>>,
    BceWithLogits { weight, pos_weight, reduction }: BceWithLogits<F>,
) -> Var<'t, F> {
    let target = target_for("bce_with_logits", x, target);
    let losses = match pos_weight {
        None => x.combine(LogitCrossEntropy, &target),
        Some(pos_weight) => {
            let positive = (target * &pos_weight).mul_no_nan(&(-x).softplus());
            positive + (-target + 1.0).mul_no_nan(&x.softplus())
        }
    };
    reduction.apply(weighted(losses, weight))
}

#[track_caller]
pub(super) fn kl_div<'t, F: Float>(
    x: Var<'t, F>,
    target: impl Operand<Var<'t, F>>,
    KlDiv { log_target, reduction }: KlDiv,
) -> Var<'t, F> {
    let target = target_for("kl_div", x, target);
    // Where the target is 0, the loss is 0 even if a logarithm is -inf.
    if log_target {
        let terms = target.exp() * (target - x);
        return reduction.apply(target.equal(f64::NEG_INFINITY).where_cond(0.0, terms));
    }
    let entropy = target.equal(0.0).where_cond(0.0, target * target.ln());
    reduction.apply(entropy - target.mul_no_nan(&x))
}

#[track_caller]
fn weighted<'t, F: Float>(losses: Var<'t, F>, weight: Option<Tensor<F>>) -> Var<'t, F> {
    match weight {
        None => losses,
        Some(weight) => losses * &weight,
    }
}
