//! Losses with a margin. Their derivative at the margin itself is 0, like that of `relu` at 0.

use wengert_core::{BinaryOps, Float, Operand, ReduceOps, UnaryOps, Var};

use super::Reduction;
use super::reduction::{TINY, settings, target_for};
use crate::validate::positive;

settings! {
    /// Settings of [`Loss::hinge_embedding`](crate::Loss::hinge_embedding).
    HingeEmbedding {
        /// Sets the distance at and above which a dissimilar pair has no loss. Default: 1.
        margin: f64 = 1.0, |margin: f64| margin;
    }
    /// Settings of [`Loss::margin_ranking`](crate::Loss::margin_ranking).
    MarginRanking {
        /// Sets the least difference between the larger and the smaller input. Default: 0.
        margin: f64 = 0.0, |margin: f64| margin;
    }
    /// Settings of [`Loss::cosine_embedding`](crate::Loss::cosine_embedding).
    CosineEmbedding {
        /// Sets the cosine at and below which a dissimilar pair has no loss. Default: 0.
        margin: f64 = 0.0, |margin: f64| margin;
    }
    /// Settings of [`Loss::triplet_margin`](crate::Loss::triplet_margin).
    TripletMargin {
        /// Sets how much farther away the negative should be than the positive. Default: 1.
        ///
        /// # Panics
        /// If it is not above 0.
        margin: f64 = 1.0, |margin: f64| positive("TripletMargin: margin", margin);
        /// Sets the norm that measures distances. Default: 2.
        ///
        /// # Panics
        /// If it is not above 0.
        p: f64 = 2.0, |p: f64| positive("TripletMargin: p", p);
        /// Sets the number that is added to each difference of coordinates. Default: 1e-6.
        eps: f64 = 1e-6, |eps: f64| eps;
        /// Sets whether the distance of the negative is the smaller of its distances to the anchor and to the
        /// positive. If not, it is the distance to the anchor. Default: false.
        swap: bool = false, |swap: bool| swap;
    }
}

#[track_caller]
pub(super) fn hinge<'t, F: Float>(
    x: Var<'t, F>,
    target: impl Operand<Var<'t, F>>,
    reduction: Reduction,
) -> Var<'t, F> {
    let target = target_for("hinge", x, target);
    reduction.apply((-(x * target) + 1.0).relu())
}

#[track_caller]
pub(super) fn hinge_embedding<'t, F: Float>(
    x: Var<'t, F>,
    target: impl Operand<Var<'t, F>>,
    HingeEmbedding { margin, reduction }: HingeEmbedding,
) -> Var<'t, F> {
    let target = target_for("hinge_embedding", x, target);
    let like = target.greater(0.0);
    reduction.apply(like.where_cond(x, (-x + margin).relu()))
}

#[track_caller]
pub(super) fn margin_ranking<'t, F: Float>(
    x: Var<'t, F>,
    other: impl Operand<Var<'t, F>>,
    target: impl Operand<Var<'t, F>>,
    MarginRanking { margin, reduction }: MarginRanking,
) -> Var<'t, F> {
    let other = target_for("margin_ranking", x, other);
    let target = target_for("margin_ranking", x, target);
    reduction.apply((-(x - other) * target + margin).relu())
}

#[track_caller]
pub(super) fn cosine_embedding<'t, F: Float>(
    x: Var<'t, F>,
    other: impl Operand<Var<'t, F>>,
    target: impl Operand<Var<'t, F>>,
    CosineEmbedding { margin, reduction }: CosineEmbedding,
) -> Var<'t, F> {
    let other = other.beside(&x);
    let like = target.beside(&x).greater(0.0);
    // The root of the squared length and 1e-12, without overflow of a square.
    let length = |x: Var<'t, F>| x.norm_axes(2.0, -1, true).hypot(TINY.sqrt());
    let cosine = (x / length(x) * (other / length(other))).sum_axes(-1, false);
    reduction.apply(like.where_cond(-cosine + 1.0, (cosine - margin).relu()))
}

#[track_caller]
pub(super) fn triplet_margin<'t, F: Float>(
    x: Var<'t, F>,
    positive: impl Operand<Var<'t, F>>,
    negative: impl Operand<Var<'t, F>>,
    TripletMargin { margin, p, eps, swap, reduction }: TripletMargin,
) -> Var<'t, F> {
    let (positive, negative) = (positive.beside(&x), negative.beside(&x));
    let near = (x - positive + eps).norm_axes(p, -1, false);
    let mut far = (x - negative + eps).norm_axes(p, -1, false);
    if swap {
        far = far.minimum((positive - negative + eps).norm_axes(p, -1, false));
    }
    reduction.apply((near - far + margin).relu())
}
