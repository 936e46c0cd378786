//! Losses, as methods of variables.
//!
//! The short form of each takes PyTorch's defaults. The form `.._with` takes a [`Reduction`], or where
//! a loss has more to set its settings, for which a reduction may stand:
//!
//! ```
//! use wengert_core::{Tensor, evaluate};
//! use wengert_nn::{CrossEntropy, Loss, Reduction};
//!
//! let logits = Tensor::<f32>::from([[2.0, 0.5, 0.1], [0.3, 0.2, 1.0]]);
//! let sum = evaluate(|tape| tape.constant(&logits).cross_entropy_with([0, 2], Reduction::Sum));
//! let mean = evaluate(|tape| {
//!     let settings = CrossEntropy::new().label_smoothing(0.1).ignore_index(255);
//!     tape.constant(&logits).cross_entropy_with([0, 255], settings)
//! });
//! assert!(sum.item() > mean.item());
//! ```

mod classification;
mod margin;
mod probability;
mod reduction;
mod regression;

pub use classification::{CrossEntropy, MultiMargin, Nll, Target, Targets};
pub use margin::{CosineEmbedding, HingeEmbedding, MarginRanking, TripletMargin};
pub use probability::{Bce, BceWithLogits, KlDiv};
pub use reduction::Reduction;
pub use regression::{GaussianNll, Huber, PoissonNll, SmoothL1};

use wengert_core::{Float, Indices, Operand, Var};

/// For each loss its short form, and the form with settings, which is the function behind the arrow.
macro_rules! losses {
    ($(
        $(#[$doc:meta])*
        $name:ident $with:ident ($($arg:ident: $Arg:ty),*) $Settings:ty = $default:expr
            => $module:ident;
    )*) => {
        /// The losses of a prediction. Targets have the shape of the prediction, or one that broadcasts
        /// to it; where there are classes, they are the **last** axis.
        pub trait Loss<'t, F: Float>: Sized {
            $(
                $(#[$doc])*
                #[track_caller]
                fn $name(self, $($arg: $Arg),*) -> Var<'t, F> {
                    self.$with($($arg,)* $default)
                }

                #[doc = concat!("[`", stringify!($name), "`](Loss::", stringify!($name),
                    ") with a [`Reduction`], or with other settings where the loss has them.")]
                #[track_caller]
                fn $with(self, $($arg: $Arg,)* settings: impl Into<$Settings>) -> Var<'t, F>;
            )*
        }

        impl<'t, F: Float> Loss<'t, F> for Var<'t, F> {
            $(
                #[track_caller]
                fn $with(self, $($arg: $Arg,)* settings: impl Into<$Settings>) -> Var<'t, F> {
                    $module::$name(self, $($arg,)* settings.into())
                }
            )*
        }
    };
}

losses! {
    /// The mean of `(x - target)^2`.
    ///
    /// <https://docs.pytorch.org/docs/stable/generated/torch.nn.MSELoss.html>
    mse mse_with(target: impl Operand<Var<'t, F>>) Reduction = Reduction::Mean => regression;

    /// Half the **sum** of `(x - target)^2`, the loss of the textbooks.
    half_sse half_squares_with(target: impl Operand<Var<'t, F>>) Reduction = Reduction::Sum
        => regression;

    /// The mean of `|x - target|`; the derivative where they are equal is 0.
    ///
    /// <https://docs.pytorch.org/docs/stable/generated/torch.nn.L1Loss.html>
    l1 l1_with(target: impl Operand<Var<'t, F>>) Reduction = Reduction::Mean => regression;

    /// The mean of `d^2 / 2` where `d = |x - target|` is below `delta`, else of
    /// `delta (d - delta / 2)`.
    ///
    /// <https://docs.pytorch.org/docs/stable/generated/torch.nn.HuberLoss.html>
    huber huber_with(target: impl Operand<Var<'t, F>>) Huber = Huber::new() => regression;

    /// The mean of `d^2 / (2 beta)` where `d = |x - target|` is below `beta`, else of `d - beta / 2`:
    /// Huber's loss divided by `beta`.
    ///
    /// <https://docs.pytorch.org/docs/stable/generated/torch.nn.SmoothL1Loss.html>
    smooth_l1 smooth_l1_with(target: impl Operand<Var<'t, F>>) SmoothL1 = SmoothL1::new() => regression;

    /// The mean of `(ln v + (x - target)^2 / v) / 2`: the negative log-likelihood of the target under a
    /// normal distribution with mean `x` and variance `v`. A variance below `eps` counts as `eps`, and
    /// has the gradient that `eps` would have.
    ///
    /// <https://docs.pytorch.org/docs/stable/generated/torch.nn.GaussianNLLLoss.html>
    gaussian_nll gaussian_nll_with(target: impl Operand<Var<'t, F>>, variance: impl Operand<Var<'t, F>>)
        GaussianNll = GaussianNll::new() => regression;

    /// The mean of `exp(x) - target x`: the negative log-likelihood of a count under a Poisson
    /// distribution with rate `exp(x)`, without the constant `ln(target!)`.
    ///
    /// <https://docs.pytorch.org/docs/stable/generated/torch.nn.PoissonNLLLoss.html>
    poisson_nll poisson_nll_with(target: impl Operand<Var<'t, F>>) PoissonNll = PoissonNll::new()
        => regression;

    /// The mean over rows of `-log_softmax(x)[label]`, from logits `[.., classes]` and labels `[..]`;
    /// or of `-sum(target * log_softmax(x))`, from soft targets `[.., classes]`.
    ///
    /// <https://docs.pytorch.org/docs/stable/generated/torch.nn.CrossEntropyLoss.html>, which has the
    /// classes in axis 1.
    ///
    /// # Panics
    /// If there is not one label to a row, or one is out of range: the message names it, its place and
    /// the bound. If soft targets have another shape, or go with an `ignore_index`. If the weight is not
    /// one number to a class.
    cross_entropy cross_entropy_with(target: impl Targets<'t, F>) CrossEntropy<F>
        = CrossEntropy::new() => classification;

    /// The mean over rows of `-x[label]`, from log-probabilities `[.., classes]` and labels `[..]`.
    ///
    /// <https://docs.pytorch.org/docs/stable/generated/torch.nn.NLLLoss.html>, which has the classes in
    /// axis 1.
    ///
    /// # Panics
    /// As [`Loss::cross_entropy`].
    nll nll_with(labels: impl Into<Indices>) Nll<F> = Nll::new() => classification;

    /// The mean over rows of the sum of `max(0, margin - x[label] + x[other])^p` over all other classes,
    /// divided by the number of classes; from scores `[.., classes]` and labels `[..]`.
    ///
    /// <https://docs.pytorch.org/docs/stable/generated/torch.nn.MultiMarginLoss.html>
    ///
    /// # Panics
    /// As [`Loss::cross_entropy`].
    multi_margin multi_margin_with(labels: impl Into<Indices>) MultiMargin<F> = MultiMargin::new()
        => classification;

    /// The mean of the binary cross-entropy `-t ln x - (1 - t) ln(1 - x)` between probabilities and
    /// targets from 0 to 1. A logarithm is at least -100; the derivative is
    /// `(x - t) / max(x (1 - x), 1e-12)`. A probability outside of 0 and 1 gives NaN.
    ///
    /// <https://docs.pytorch.org/docs/stable/generated/torch.nn.BCELoss.html>
    bce bce_with(target: impl Operand<Var<'t, F>>) Bce<F> = Bce::new() => probability;

    /// The mean of the binary cross-entropy between `sigmoid(x)` and targets from 0 to 1, without
    /// overflow.
    ///
    /// <https://docs.pytorch.org/docs/stable/generated/torch.nn.BCEWithLogitsLoss.html>
    bce_with_logits bce_with_logits_with(target: impl Operand<Var<'t, F>>) BceWithLogits<F>
        = BceWithLogits::new() => probability;

    /// The mean of `t (ln t - x)`, from log-probabilities `x` and probabilities `t`; 0 where `t` is 0.
    /// The divergence of Kullback and Leibler itself is a sum over classes: it needs
    /// [`Reduction::BatchMean`].
    ///
    /// <https://docs.pytorch.org/docs/stable/generated/torch.nn.KLDivLoss.html>
    kl_div kl_div_with(target: impl Operand<Var<'t, F>>) KlDiv = KlDiv::new() => probability;

    /// The mean of `max(0, 1 - target x)`, with targets -1 and 1: the loss of support vector machines.
    /// The derivative at the margin is 0.
    hinge hinge_with(target: impl Operand<Var<'t, F>>) Reduction = Reduction::Mean => margin;

    /// The mean of `x` where the target is 1, and of `max(0, margin - x)` where it is -1; `x` is a
    /// distance. The derivative at the margin is 0.
    ///
    /// <https://docs.pytorch.org/docs/stable/generated/torch.nn.HingeEmbeddingLoss.html>
    hinge_embedding hinge_embedding_with(target: impl Operand<Var<'t, F>>)
        HingeEmbedding = HingeEmbedding::new() => margin;

    /// The mean of `max(0, margin - target (x - other))`: with target 1 `x` should be the larger one,
    /// with -1 the other. The derivative at the margin is 0.
    ///
    /// <https://docs.pytorch.org/docs/stable/generated/torch.nn.MarginRankingLoss.html>
    margin_ranking margin_ranking_with(other: impl Operand<Var<'t, F>>, target: impl Operand<Var<'t, F>>)
        MarginRanking = MarginRanking::new() => margin;

    /// The mean over rows of `1 - cos` where the target is 1, and of `max(0, cos - margin)` where it is
    /// -1, with the cosine between the vectors `x` and `other`, `[.., width]`; targets `[..]`. The square of
    /// each length is increased by 1e-12, so that the cosine of a zero vector is 0.
    ///
    /// <https://docs.pytorch.org/docs/stable/generated/torch.nn.CosineEmbeddingLoss.html>
    cosine_embedding cosine_embedding_with(other: impl Operand<Var<'t, F>>, target: impl Operand<Var<'t, F>>)
        CosineEmbedding = CosineEmbedding::new() => margin;

    /// The mean over rows of `max(0, |x - positive| - |x - negative| + margin)`, for vectors
    /// `[.., width]`; `x` is the anchor. The distance is `|a - b + eps|`, so that between equal points
    /// the gradient is finite; where the norm itself is 0, and at the margin, the derivative is 0.
    ///
    /// <https://docs.pytorch.org/docs/stable/generated/torch.nn.TripletMarginLoss.html>
    triplet_margin triplet_margin_with(positive: impl Operand<Var<'t, F>>, negative: impl Operand<Var<'t, F>>)
        TripletMargin = TripletMargin::new() => margin;
}
