//! Losses, as methods of a predicted variable; see [`Loss`].
//!
//! The short form, such as `x.mse(&y)`, has PyTorch's defaults. The form `.._with` takes a [`Reduction`], or a struct
//! of settings if the loss has more of them:
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
#[doc(hidden)]
pub use probability::visit_losses;
pub use probability::{Bce, BceWithLogits, KlDiv};
pub use reduction::Reduction;
pub use regression::{GaussianNll, Huber, PoissonNll, SmoothL1};

use wengert_core::{Float, Indices, Operand, Var};

/// Declares the settings that hold tensors under the names of one precision, for a prelude.
#[doc(hidden)]
#[macro_export]
macro_rules! losses_of_precision {
    ($F:ty) => {
        /// Settings of a binary cross-entropy of probabilities.
        pub type Bce = $crate::Bce<$F>;
        /// Settings of a binary cross-entropy of logits.
        pub type BceWithLogits = $crate::BceWithLogits<$F>;
        /// Settings of a cross-entropy.
        pub type CrossEntropy = $crate::CrossEntropy<$F>;
        /// Settings of a margin between classes.
        pub type MultiMargin = $crate::MultiMargin<$F>;
        /// Settings of a negative log-likelihood.
        pub type Nll = $crate::Nll<$F>;
    };
}

/// Declares the trait: for each loss its short form, its form with settings, and the defaults of the
/// settings. Behind the arrow is the module with the function that computes it.
macro_rules! losses {
    ($(
        $(#[$doc:meta])*
        $name:ident $with:ident ($($arg:ident: $Arg:ty),*) $Settings:ty = $default:expr
            => $module:ident;
    )*) => {
        /// Losses of a prediction `x`, as methods of the variable.
        ///
        /// * Elementwise losses take a prediction of any shape and a target of the same shape, or one that
        ///   broadcasts to it: a variable, a tensor or a number.
        /// * Losses of classes take a prediction `[.., classes]` and labels `[..]`. The classes are the **last**
        ///   axis; in PyTorch they are axis 1.
        /// * The result is one number, the mean, unless a [`Reduction`] says otherwise.
        ///
        /// # Panics
        /// If the target does not broadcast to the prediction, or labels do not match its rows. The
        /// message names the loss and both shapes.
        ///
        /// ```
        /// use wengert_core::{Tensor, evaluate};
        /// use wengert_nn::{Huber, Loss, Reduction};
        ///
        /// let (x, y) = (Tensor::<f64>::from([1.0, 5.0]), Tensor::from([1.0, 2.0]));
        /// assert_eq!(evaluate(|tape| tape.constant(&x).mse(&y)).item(), 4.5);
        /// assert_eq!(evaluate(|tape| tape.constant(&x).mse_with(&y, Reduction::Sum)).item(), 9.0);
        /// let huber = Huber::new().delta(2.0).reduction(Reduction::Sum);
        /// assert_eq!(evaluate(|tape| tape.constant(&x).huber_with(&y, huber)).item(), 4.0);
        /// ```
        pub trait Loss<'t, F: Float>: Sized {
            $(
                $(#[$doc])*
                #[track_caller]
                fn $name(self, $($arg: $Arg),*) -> Var<'t, F> {
                    self.$with($($arg,)* $default)
                }

                #[doc = concat!("Records [`", stringify!($name), "`](Loss::", stringify!($name),
                    ") with a [`Reduction`], or with other settings if the loss has any.")]
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
    /// Records the mean squared error, the mean of `(x - target)^2`.
    ///
    /// <https://docs.pytorch.org/docs/stable/generated/torch.nn.MSELoss.html>
    ///
    /// ```
    /// use wengert_core::{Tensor, evaluate};
    /// use wengert_nn::Loss;
    ///
    /// let x = Tensor::<f64>::from([1.0, 5.0]);
    /// assert_eq!(evaluate(|tape| tape.constant(&x).mse(2.0)).item(), 5.0);
    /// ```
    mse mse_with(target: impl Operand<Var<'t, F>>) Reduction = Reduction::Mean => regression;

    /// Records half the sum of squared errors, half the **sum** of `(x - target)^2`.
    ///
    /// ```
    /// use wengert_core::{Tensor, evaluate};
    /// use wengert_nn::Loss;
    ///
    /// let x = Tensor::<f64>::from([1.0, 5.0]);
    /// assert_eq!(evaluate(|tape| tape.constant(&x).half_sse(2.0)).item(), 5.0);
    /// ```
    half_sse half_sse_with(target: impl Operand<Var<'t, F>>) Reduction = Reduction::Sum => regression;

    /// Records the mean absolute error, the mean of `|x - target|`. The derivative where both are equal
    /// is 0.
    ///
    /// <https://docs.pytorch.org/docs/stable/generated/torch.nn.L1Loss.html>
    ///
    /// ```
    /// use wengert_core::{Tensor, evaluate};
    /// use wengert_nn::Loss;
    ///
    /// let x = Tensor::<f64>::from([1.0, 5.0]);
    /// assert_eq!(evaluate(|tape| tape.constant(&x).l1(2.0)).item(), 2.0);
    /// ```
    l1 l1_with(target: impl Operand<Var<'t, F>>) Reduction = Reduction::Mean => regression;

    /// Records the Huber loss: the mean of `d^2 / 2` where `d = |x - target|` is below `delta`, else of
    /// `delta * (d - delta / 2)`. Default: `delta` 1.
    ///
    /// <https://docs.pytorch.org/docs/stable/generated/torch.nn.HuberLoss.html>
    ///
    /// ```
    /// use wengert_core::{Tensor, evaluate};
    /// use wengert_nn::Loss;
    ///
    /// let x = Tensor::<f64>::from([0.5, 3.0]);
    /// assert_eq!(evaluate(|tape| tape.constant(&x).huber(0.0)).item(), (0.125 + 2.5) / 2.0);
    /// ```
    huber huber_with(target: impl Operand<Var<'t, F>>) Huber = Huber::new() => regression;

    /// Records the smooth L1 loss: the mean of `d^2 / (2 * beta)` where `d = |x - target|` is below
    /// `beta`, else of `d - beta / 2`. Default: `beta` 1. It is the Huber loss divided by `beta`.
    ///
    /// <https://docs.pytorch.org/docs/stable/generated/torch.nn.SmoothL1Loss.html>
    ///
    /// ```
    /// use wengert_core::{Tensor, evaluate};
    /// use wengert_nn::Loss;
    ///
    /// let x = Tensor::<f64>::from([0.5, 3.0]);
    /// assert_eq!(evaluate(|tape| tape.constant(&x).smooth_l1(0.0)).item(), (0.125 + 2.5) / 2.0);
    /// ```
    smooth_l1 smooth_l1_with(target: impl Operand<Var<'t, F>>) SmoothL1 = SmoothL1::new() => regression;

    /// Records the Gaussian negative log-likelihood, the mean of `(ln v + (x - target)^2 / v) / 2`, for
    /// predicted means `x` and variances `v`.
    ///
    /// A variance below `eps` counts as `eps`, and gets the gradient that `eps` would get. Default: `eps`
    /// 1e-6, without the constant `ln(2 pi) / 2`.
    ///
    /// <https://docs.pytorch.org/docs/stable/generated/torch.nn.GaussianNLLLoss.html>
    ///
    /// ```
    /// use wengert_core::{Tensor, evaluate};
    /// use wengert_nn::Loss;
    ///
    /// let x = Tensor::<f64>::from([1.0, 5.0]);
    /// assert_eq!(evaluate(|tape| tape.constant(&x).gaussian_nll(2.0, 1.0)).item(), 2.5);
    /// ```
    gaussian_nll gaussian_nll_with(target: impl Operand<Var<'t, F>>, variance: impl Operand<Var<'t, F>>)
        GaussianNll = GaussianNll::new() => regression;

    /// Records the Poisson negative log-likelihood, the mean of `exp(x) - target * x`, for predicted
    /// logarithms `x` of rates. Default: without the constant `ln(target!)`.
    ///
    /// <https://docs.pytorch.org/docs/stable/generated/torch.nn.PoissonNLLLoss.html>
    ///
    /// ```
    /// use wengert_core::{Tensor, evaluate};
    /// use wengert_nn::Loss;
    ///
    /// let x = Tensor::<f64>::from([0.0, 0.0]);
    /// assert_eq!(evaluate(|tape| tape.constant(&x).poisson_nll(3.0)).item(), 1.0);
    /// ```
    poisson_nll poisson_nll_with(target: impl Operand<Var<'t, F>>) PoissonNll = PoissonNll::new()
        => regression;

    /// Records the cross-entropy of logits: the mean over rows of `-log_softmax(x)[label]`; or, for
    /// probabilities, of `-sum(target * log_softmax(x))`.
    ///
    /// * Logits `[.., classes]`; labels `[..]` or probabilities `[.., classes]`. PyTorch has the classes
    ///   in axis 1.
    ///
    /// <https://docs.pytorch.org/docs/stable/generated/torch.nn.CrossEntropyLoss.html>
    ///
    /// # Panics
    /// If there is not one label for each row, or a label is out of range; the message has the label, its
    /// position and the number of classes. If the probabilities have another shape, or are used with
    /// `ignore_index`. If the class weights are not `[classes]`.
    ///
    /// ```
    /// use wengert_core::{Tensor, evaluate};
    /// use wengert_nn::Loss;
    ///
    /// let logits = Tensor::<f64>::from([[0.0, 0.0], [0.0, 0.0]]);
    /// let loss = evaluate(|tape| tape.constant(&logits).cross_entropy([1, 0]));
    /// assert_eq!(loss.item(), 2f64.ln());
    /// ```
    cross_entropy cross_entropy_with(target: impl Targets<'t, F>) CrossEntropy<F>
        = CrossEntropy::new() => classification;

    /// Records the negative log-likelihood of labels: the mean over rows of `-x[label]`, for
    /// log-probabilities `x`.
    ///
    /// * Log-probabilities `[.., classes]`; labels `[..]`. PyTorch has the classes in axis 1.
    ///
    /// <https://docs.pytorch.org/docs/stable/generated/torch.nn.NLLLoss.html>
    ///
    /// # Panics
    /// If there is not one label for each row, or a label is out of range. If the class weights are not
    /// `[classes]`.
    ///
    /// ```
    /// use wengert_core::{Tensor, evaluate};
    /// use wengert_nn::Loss;
    ///
    /// let x = Tensor::<f64>::from([[-1.0, -2.0]]);
    /// assert_eq!(evaluate(|tape| tape.constant(&x).nll([1])).item(), 2.0);
    /// ```
    nll nll_with(labels: impl Into<Indices>) Nll<F> = Nll::new() => classification;

    /// Records the margin loss of several classes: the mean over rows of
    /// `sum(max(0, margin - x[label] + x[other])^p) / classes`, summed over all other classes. Default:
    /// `margin` 1, `p` 1.
    ///
    /// * Scores `[.., classes]`; labels `[..]`.
    ///
    /// <https://docs.pytorch.org/docs/stable/generated/torch.nn.MultiMarginLoss.html>
    ///
    /// # Panics
    /// If there is not one label for each row, or a label is out of range. If the class weights are not
    /// `[classes]`.
    ///
    /// ```
    /// use wengert_core::{Tensor, evaluate};
    /// use wengert_nn::Loss;
    ///
    /// let x = Tensor::<f64>::from([[0.5, 0.25]]);
    /// assert_eq!(evaluate(|tape| tape.constant(&x).multi_margin([0])).item(), 0.75 / 2.0);
    /// ```
    multi_margin multi_margin_with(labels: impl Into<Indices>) MultiMargin<F> = MultiMargin::new()
        => classification;

    /// Records the binary cross-entropy of probabilities: the mean of `-t * ln(x) - (1 - t) * ln(1 - x)`,
    /// for targets `t` between 0 and 1.
    ///
    /// A logarithm is at least -100, and the derivative is `(x - t) / max(x * (1 - x), 1e-12)`. A
    /// probability outside `0..=1` gives NaN.
    ///
    /// <https://docs.pytorch.org/docs/stable/generated/torch.nn.BCELoss.html>
    ///
    /// ```
    /// use wengert_core::{Tensor, evaluate};
    /// use wengert_nn::Loss;
    ///
    /// let x = Tensor::<f64>::from([0.5, 0.5]);
    /// assert_eq!(evaluate(|tape| tape.constant(&x).bce(1.0)).item(), 2f64.ln());
    /// ```
    bce bce_with(target: impl Operand<Var<'t, F>>) Bce<F> = Bce::new() => probability;

    /// Records the binary cross-entropy of logits: [`Loss::bce`] of `sigmoid(x)`, without overflow.
    ///
    /// <https://docs.pytorch.org/docs/stable/generated/torch.nn.BCEWithLogitsLoss.html>
    ///
    /// ```
    /// use wengert_core::{Tensor, evaluate};
    /// use wengert_nn::Loss;
    ///
    /// let x = Tensor::<f64>::from([0.0, 0.0]);
    /// assert_eq!(evaluate(|tape| tape.constant(&x).bce_with_logits(1.0)).item(), 2f64.ln());
    /// ```
    bce_with_logits bce_with_logits_with(target: impl Operand<Var<'t, F>>) BceWithLogits<F>
        = BceWithLogits::new() => probability;

    /// Records the Kullback-Leibler divergence: the mean of `t * (ln(t) - x)`, for log-probabilities `x`
    /// and probabilities `t`; 0 where `t` is 0.
    ///
    /// The mean over elements is PyTorch's default. To sum over classes, as the divergence is
    /// defined, use [`Reduction::BatchMean`].
    ///
    /// <https://docs.pytorch.org/docs/stable/generated/torch.nn.KLDivLoss.html>
    ///
    /// ```
    /// use wengert_core::{Tensor, evaluate};
    /// use wengert_nn::Loss;
    ///
    /// let x = Tensor::<f64>::from([[0.5, 0.5]]).ln();
    /// assert_eq!(evaluate(|tape| tape.constant(&x).kl_div(0.5)).item(), 0.0);
    /// # use wengert_core::UnaryOps;
    /// ```
    kl_div kl_div_with(target: impl Operand<Var<'t, F>>) KlDiv = KlDiv::new() => probability;

    /// Records the hinge loss of support vector machines: the mean of `max(0, 1 - target * x)`, for
    /// targets -1 and 1. The derivative at the margin is 0.
    ///
    /// ```
    /// use wengert_core::{Tensor, evaluate};
    /// use wengert_nn::Loss;
    ///
    /// let x = Tensor::<f64>::from([0.5, 2.0]);
    /// assert_eq!(evaluate(|tape| tape.constant(&x).hinge(1.0)).item(), 0.25);
    /// ```
    hinge hinge_with(target: impl Operand<Var<'t, F>>) Reduction = Reduction::Mean => margin;

    /// Records the hinge embedding loss of distances: the mean of `x` where the target is 1, and of
    /// `max(0, margin - x)` where it is -1. Default: `margin` 1. The derivative at the margin is 0.
    ///
    /// <https://docs.pytorch.org/docs/stable/generated/torch.nn.HingeEmbeddingLoss.html>
    ///
    /// ```
    /// use wengert_core::{Tensor, evaluate};
    /// use wengert_nn::Loss;
    ///
    /// let x = Tensor::<f64>::from([0.5, 2.0]);
    /// assert_eq!(evaluate(|tape| tape.constant(&x).hinge_embedding(-1.0)).item(), 0.25);
    /// ```
    hinge_embedding hinge_embedding_with(target: impl Operand<Var<'t, F>>)
        HingeEmbedding = HingeEmbedding::new() => margin;

    /// Records the margin ranking loss: the mean of `max(0, margin - target * (x - other))`. With target
    /// 1, `x` should be larger than `other`; with target -1, smaller. Default: `margin` 0. The derivative
    /// at the margin is 0.
    ///
    /// <https://docs.pytorch.org/docs/stable/generated/torch.nn.MarginRankingLoss.html>
    ///
    /// ```
    /// use wengert_core::{Tensor, evaluate};
    /// use wengert_nn::Loss;
    ///
    /// let x = Tensor::<f64>::from([0.5, 2.0]);
    /// assert_eq!(evaluate(|tape| tape.constant(&x).margin_ranking(1.0, 1.0)).item(), 0.25);
    /// ```
    margin_ranking margin_ranking_with(other: impl Operand<Var<'t, F>>, target: impl Operand<Var<'t, F>>)
        MarginRanking = MarginRanking::new() => margin;

    /// Records the cosine embedding loss: the mean over rows of `1 - cos` where the target is 1, and of
    /// `max(0, cos - margin)` where it is -1, with the cosine of the angle between `x` and `other`.
    /// Default: `margin` 0.
    ///
    /// * Vectors `[.., width]`; targets `[..]`. The squared length of each vector is increased by 1e-12,
    ///   so that the cosine of a zero vector is 0.
    ///
    /// <https://docs.pytorch.org/docs/stable/generated/torch.nn.CosineEmbeddingLoss.html>
    ///
    /// ```
    /// use wengert_core::{Tensor, evaluate};
    /// use wengert_nn::Loss;
    ///
    /// let (x, y) = (Tensor::<f64>::from([[1.0, 0.0]]), Tensor::from([[0.0, 1.0]]));
    /// assert_eq!(evaluate(|tape| tape.constant(&x).cosine_embedding(&y, 1.0)).item(), 1.0);
    /// ```
    cosine_embedding cosine_embedding_with(other: impl Operand<Var<'t, F>>, target: impl Operand<Var<'t, F>>)
        CosineEmbedding = CosineEmbedding::new() => margin;

    /// Records the triplet margin loss: the mean over rows of
    /// `max(0, |x - positive| - |x - negative| + margin)`, for an anchor `x`. Default: `margin` 1, the
    /// 2-norm.
    ///
    /// * Vectors `[.., width]`. The distance is `|a - b + eps|`, which keeps the gradient between equal
    ///   points finite. Where the norm itself is 0, and at the margin, the derivative is 0.
    ///
    /// <https://docs.pytorch.org/docs/stable/generated/torch.nn.TripletMarginLoss.html>
    ///
    /// ```
    /// use wengert_core::{Tensor, evaluate};
    /// use wengert_nn::Loss;
    ///
    /// let (x, y) = (Tensor::<f64>::from([[0.0, 0.0]]), Tensor::from([[3.0, 4.0]]));
    /// let loss = evaluate(|tape| tape.constant(&x).triplet_margin(&y, &y));
    /// assert_eq!(loss.item(), 1.0);
    /// ```
    triplet_margin triplet_margin_with(positive: impl Operand<Var<'t, F>>, negative: impl Operand<Var<'t, F>>)
        TripletMargin = TripletMargin::new() => margin;
}
