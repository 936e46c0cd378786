//! Losses, as methods of variables. The short form takes the mean; `.._with` takes a [`Reduction`].

use wengert_core::{Elementary, Float, Indices, Operand, Reductions, Var};

/// How the losses of the elements, or of the examples, become one number.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Reduction {
    /// Their mean.
    #[default]
    Mean,
    /// Their sum.
    Sum,
}

impl Reduction {
    #[track_caller]
    fn of<'t, F: Float>(self, losses: Var<'t, F>) -> Var<'t, F> {
        match self {
            Self::Mean => losses.mean(),
            Self::Sum => losses.sum(),
        }
    }
}

/// The losses of a prediction. The target has the shape of the prediction, or one that broadcasts
/// to it.
pub trait Loss<'t, F: Float>: Sized {
    /// The mean of `(x - target)^2`.
    ///
    /// <https://docs.pytorch.org/docs/stable/generated/torch.nn.MSELoss.html>
    #[track_caller]
    fn mse(self, target: impl Operand<'t, F>) -> Var<'t, F> {
        self.mse_with(target, Reduction::Mean)
    }

    /// `(x - target)^2`, reduced.
    #[track_caller]
    fn mse_with(self, target: impl Operand<'t, F>, reduction: Reduction) -> Var<'t, F>;

    /// Half the sum of `(x - target)^2`, the loss of the textbooks.
    #[track_caller]
    fn half_squares(self, target: impl Operand<'t, F>) -> Var<'t, F> {
        self.half_squares_with(target, Reduction::Sum)
    }

    /// `(x - target)^2 / 2`, reduced.
    #[track_caller]
    fn half_squares_with(self, target: impl Operand<'t, F>, reduction: Reduction) -> Var<'t, F>;

    /// The mean over examples of `-log_softmax(x)[label]`, from logits `[.., classes]` and labels
    /// `[..]`.
    ///
    /// <https://docs.pytorch.org/docs/stable/generated/torch.nn.CrossEntropyLoss.html>
    ///
    /// # Panics
    /// If there is not one label to an example, or one is out of range; the message names it.
    #[track_caller]
    fn cross_entropy(self, labels: impl Into<Indices>) -> Var<'t, F> {
        self.cross_entropy_with(labels, Reduction::Mean)
    }

    /// `-log_softmax(x)[label]` of each example, reduced.
    #[track_caller]
    fn cross_entropy_with(self, labels: impl Into<Indices>, reduction: Reduction) -> Var<'t, F>;

    /// The mean of the binary cross-entropy between `sigmoid(x)` and targets from 0 to 1, without
    /// overflow.
    ///
    /// <https://docs.pytorch.org/docs/stable/generated/torch.nn.BCEWithLogitsLoss.html>
    #[track_caller]
    fn bce_with_logits(self, target: impl Operand<'t, F>) -> Var<'t, F> {
        self.bce_with_logits_with(target, Reduction::Mean)
    }

    /// The binary cross-entropy between `sigmoid(x)` and targets from 0 to 1, reduced.
    #[track_caller]
    fn bce_with_logits_with(self, target: impl Operand<'t, F>, reduction: Reduction) -> Var<'t, F>;
}

impl<'t, F: Float> Loss<'t, F> for Var<'t, F> {
    #[track_caller]
    fn mse_with(self, target: impl Operand<'t, F>, reduction: Reduction) -> Var<'t, F> {
        reduction.of((self - target).square())
    }

    #[track_caller]
    fn half_squares_with(self, target: impl Operand<'t, F>, reduction: Reduction) -> Var<'t, F> {
        reduction.of((self - target).square()) * 0.5
    }

    #[track_caller]
    fn cross_entropy_with(self, labels: impl Into<Indices>, reduction: Reduction) -> Var<'t, F> {
        -reduction.of(self.log_softmax().pick(labels))
    }

    #[track_caller]
    fn bce_with_logits_with(self, target: impl Operand<'t, F>, reduction: Reduction) -> Var<'t, F> {
        // -t ln s - (1 - t) ln(1 - s) with s = sigmoid(x), after cancelling: softplus(x) - t x.
        reduction.of(self.softplus() - self * target)
    }
}
