//! Losses that ask for a margin. Their derivative at the margin itself is 0, as that of `relu` at 0.

use wengert_core::{BinaryOps, Float, Operand, ReduceOps, UnaryOps, Var};

use super::Reduction;
use super::reduction::{TINY, above_zero, fits, settings};

settings! {
    /// Settings of [`Loss::hinge_embedding`](crate::Loss::hinge_embedding).
    HingeEmbedding {
        /// The distance at which what is unlike is far enough, 1 at first.
        margin: f64 = 1.0, |margin: f64| margin;
    }
    /// Settings of [`Loss::margin_ranking`](crate::Loss::margin_ranking).
    MarginRanking {
        /// By how much the order must be right, 0 at first.
        margin: f64 = 0.0, |margin: f64| margin;
    }
    /// Settings of [`Loss::cosine_embedding`](crate::Loss::cosine_embedding).
    CosineEmbedding {
        /// The cosine at which what is unlike is far enough, 0 at first.
        margin: f64 = 0.0, |margin: f64| margin;
    }
    /// Settings of [`Loss::triplet_margin`](crate::Loss::triplet_margin).
    TripletMargin {
        /// By how much the negative should be farther away than the positive, 1 at first.
        ///
        /// # Panics
        /// If it is not above 0.
        margin: f64 = 1.0, |margin: f64| above_zero("TripletMargin: margin", margin);
        /// Which norm measures distances, 2 at first.
        ///
        /// # Panics
        /// If it is not above 0.
        p: f64 = 2.0, |p: f64| above_zero("TripletMargin: p", p);
        /// What is added to each difference of coordinates, 1e-6 at first.
        eps: f64 = 1e-6, |eps: f64| eps;
        /// Whether the negative's distance is that to the anchor or to the positive, whichever is
        /// smaller; at first that to the anchor.
        swap: bool = false, |swap: bool| swap;
    }
}

#[track_caller]
pub(super) fn hinge<'t, F: Float>(
    x: Var<'t, F>,
    target: impl Operand<Var<'t, F>>,
    reduction: Reduction,
) -> Var<'t, F> {
    let target = fits("hinge", x, target);
    reduction.of((-(x * target) + 1.0).relu())
}

#[track_caller]
pub(super) fn hinge_embedding<'t, F: Float>(
    x: Var<'t, F>,
    target: impl Operand<Var<'t, F>>,
    HingeEmbedding { margin, reduction }: HingeEmbedding,
) -> Var<'t, F> {
    let target = fits("hinge_embedding", x, target);
    let like = target.greater(0.0);
    reduction.of(like.where_cond(x, (-x + margin).relu()))
}

#[track_caller]
pub(super) fn margin_ranking<'t, F: Float>(
    x: Var<'t, F>,
    other: impl Operand<Var<'t, F>>,
    target: impl Operand<Var<'t, F>>,
    MarginRanking { margin, reduction }: MarginRanking,
) -> Var<'t, F> {
    let other = fits("margin_ranking", x, other);
    let target = fits("margin_ranking", x, target);
    reduction.of((-(x - other) * target + margin).relu())
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
    let (x_square, other_square) =
        (x.square().sum_axes(-1, false), other.square().sum_axes(-1, false));
    let lengths = ((x_square + TINY) * (other_square + TINY)).sqrt();
    let cosine = (x * other).sum_axes(-1, false) / lengths;
    reduction.of(like.where_cond(-cosine + 1.0, (cosine - margin).relu()))
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
    reduction.of((near - far + margin).relu())
}
