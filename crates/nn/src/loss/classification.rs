//! Losses of scores or probabilities `[.., classes]` against labels.

use wengert_core::{
    BinaryOps, Elementwise, Float, IndexOps, Indices, MovementOps, Param, ReduceOps, Shape,
    ShapeError, Tensor, UnaryOps, Value, Var, ops::PlaceOneHot,
};

use super::Reduction;
use super::reduction::settings;
use crate::validate::fraction;

settings! {
    /// Settings of [`Loss::cross_entropy`](crate::Loss::cross_entropy).
    ///
    /// <https://docs.pytorch.org/docs/stable/generated/torch.nn.CrossEntropyLoss.html>
    ///
    /// ```
    /// use wengert_core::{Tensor, evaluate};
    /// use wengert_nn::{CrossEntropy, Loss, Reduction};
    ///
    /// let logits = Tensor::<f32>::from([[2.0, 0.5, 0.1], [0.3, 0.2, 1.0]]);
    /// let settings = CrossEntropy::new()
    ///     .weight(&Tensor::from([1.0, 2.0, 0.5]))
    ///     .ignore_index(255)
    ///     .label_smoothing(0.1)
    ///     .reduction(Reduction::Sum);
    /// let loss = evaluate(|tape| tape.constant(&logits).cross_entropy_with([0, 255], settings));
    /// assert!(loss.item() > 0.0);
    /// ```
    CrossEntropy<F> {
        /// Sets one weight for each class. The mean then divides by the sum of the weights of the labels;
        /// with soft targets by the number of rows. Default: none.
        weight: Option<Tensor<F>> = None, |weight: &Tensor<F>| Some(weight.clone());
        /// Sets a label whose rows are ignored: no loss, no gradient, no part in the mean. It need not be
        /// a class. If all rows are ignored, the mean is NaN and its gradient 0. Default: none (PyTorch:
        /// -100).
        ignore_index: Option<usize> = None, |label: usize| Some(label);
        /// Sets the fraction of the target that is spread evenly over all classes. Default: 0.
        ///
        /// # Panics
        /// If it is outside `0..=1`.
        label_smoothing: f64 = 0.0,
            |smoothing: f64| fraction("CrossEntropy: label_smoothing", smoothing);
    }
    /// Settings of [`Loss::nll`](crate::Loss::nll).
    Nll<F> {
        /// Sets one weight for each class. The mean then divides by the sum of the weights of the labels.
        /// Default: none.
        weight: Option<Tensor<F>> = None, |weight: &Tensor<F>| Some(weight.clone());
        /// Sets a label whose rows are ignored: no loss, no gradient, no part in the mean. It need not be a
        /// class. Default: none (PyTorch: -100).
        ignore_index: Option<usize> = None, |label: usize| Some(label);
    }
    /// Settings of [`Loss::multi_margin`](crate::Loss::multi_margin).
    MultiMargin<F> {
        /// Sets the exponent, 1 or 2. Default: 1.
        ///
        /// # Panics
        /// If it is another number.
        p: i32 = 1, |p: i32| one_or_two(p);
        /// Sets how much the score of the label should be above the others. Default: 1.
        margin: f64 = 1.0, |margin: f64| margin;
        /// Sets one weight for each class; the mean divides by the number of rows. Default: none.
        weight: Option<Tensor<F>> = None, |weight: &Tensor<F>| Some(weight.clone());
    }
}

const NAME: &str = "cross_entropy";

#[track_caller]
fn one_or_two(p: i32) -> i32 {
    assert!(p == 1 || p == 2, "MultiMargin: p must be 1 or 2, not {p}");
    p
}

/// The target of a cross-entropy, made by [`Targets`].
#[derive(Debug)]
pub enum Target<'t, F: Float> {
    /// A label for each row, shape `[..]`.
    Labels(Indices),
    /// A probability for each class, shape `[.., classes]`.
    Soft(Var<'t, F>),
}

/// Targets of a cross-entropy: labels as an array, a vector, a slice or [`Indices`], or probabilities as
/// a variable, a parameter or a tensor.
///
/// ```
/// use wengert_core::{Tensor, evaluate};
/// use wengert_nn::Loss;
///
/// let logits = Tensor::<f64>::from([[2.0, 0.5]]);
/// let hard = evaluate(|tape| tape.constant(&logits).cross_entropy([0]));
/// let soft = evaluate(|tape| tape.constant(&logits).cross_entropy(&Tensor::from([[1.0, 0.0]])));
/// assert_eq!(hard, soft);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a target of a cross-entropy in precision `{F}`",
    label = "expected labels or probabilities",
    note = "labels are `usize`: `[0, 2, 1]`, `Vec<usize>`, `&[usize]` or `Indices`",
    note = "probabilities are a `Tensor<{F}>` by reference, a parameter or a variable"
)]
pub trait Targets<'t, F: Float> {
    /// Returns the target for a prediction `x`.
    #[track_caller]
    fn beside(self, x: Var<'t, F>) -> Target<'t, F>;
}

macro_rules! targets {
    ($($kind:ident $convert:ident: $([$($generics:tt)*] $Target:ty),*;)*) => {$($(
        impl<'t, F: Float, $($generics)*> Targets<'t, F> for $Target {
            #[track_caller]
            fn beside(self, x: Var<'t, F>) -> Target<'t, F> {
                Target::$kind($convert(self, x))
            }
        }
    )*)*};
}

targets! {
    Labels labels: [] Indices, [] &Indices, [] Vec<usize>, [] &Vec<usize>, [] &[usize],
        [const N: usize] [usize; N], [const N: usize] &[usize; N],
        [const N: usize, const M: usize] [[usize; M]; N];
    Soft soft: [] Var<'t, F>, [] &Var<'t, F>, [] &Param<F>, [] &Tensor<F>;
}

fn labels<'t, F: Float>(labels: impl Into<Indices>, _: Var<'t, F>) -> Indices {
    labels.into()
}

#[track_caller]
fn soft<'t, F: Float>(target: impl wengert_core::Operand<Var<'t, F>>, x: Var<'t, F>) -> Var<'t, F> {
    target.beside(&x)
}

#[track_caller]
pub(super) fn cross_entropy<'t, F: Float>(
    x: Var<'t, F>,
    target: impl Targets<'t, F>,
    settings: CrossEntropy<F>,
) -> Var<'t, F> {
    if x.shape().rank() == 0 {
        mistake(NAME, "a scalar has no axis of classes".into());
    }
    match target.beside(x) {
        Target::Labels(labels) => nll_of_labels(NAME, x.log_softmax(), labels, settings),
        Target::Soft(target) => cross_entropy_of_probabilities(x, target, settings),
    }
}

#[track_caller]
pub(super) fn nll<'t, F: Float>(
    x: Var<'t, F>,
    labels: impl Into<Indices>,
    Nll { weight, ignore_index, reduction }: Nll<F>,
) -> Var<'t, F> {
    let settings = CrossEntropy { weight, ignore_index, label_smoothing: 0.0, reduction };
    nll_of_labels("nll", x, labels.into(), settings)
}

/// Records the loss of log-probabilities at the label of each row.
#[track_caller]
fn nll_of_labels<'t, F: Float>(
    name: &str,
    x: Var<'t, F>,
    labels: Indices,
    CrossEntropy { weight, ignore_index, label_smoothing, reduction }: CrossEntropy<F>,
) -> Var<'t, F> {
    let all = labels;
    // An ignored label need not be a class; class 0 stands for it.
    let labels = ignore_index.map_or_else(|| all.clone(), |ignored| all.replaced(ignored, 0));
    let classes = classes_of(name, x.shape(), &labels);
    if weight.is_none() && ignore_index.is_none() && label_smoothing == 0.0 {
        return -reduction.apply(x.pick(labels));
    }
    let kept = match ignore_index {
        None => x.tape().constant(&Tensor::ones(labels.shape())),
        Some(ignored) => kept_rows(x, &all, ignored, classes),
    };
    let weight = x.tape().constant(&class_weight(name, weight, classes));
    let shares = weight.index_select(0, &labels);
    // A class of weight 0 adds nothing, even if its logarithm is -inf.
    let mut losses = -shares.mul_no_nan(&x.pick(labels));
    if label_smoothing > 0.0 {
        let all = weight.mul_no_nan(&x).sum_axes(-1, false);
        let spread = all * (label_smoothing / classes as f64);
        losses = losses * (1.0 - label_smoothing) - spread;
    }
    // The branch that is not selected gets no gradient, even if the mean divides by 0.
    let losses = kept.where_cond(losses, 0.0);
    match reduction {
        Reduction::Mean => losses.sum() / (shares * kept).sum(),
        _ => reduction.apply(losses),
    }
}

/// Records the cross-entropy of logits and probabilities.
#[track_caller]
fn cross_entropy_of_probabilities<'t, F: Float>(
    x: Var<'t, F>,
    target: Var<'t, F>,
    CrossEntropy { weight, ignore_index, label_smoothing, reduction }: CrossEntropy<F>,
) -> Var<'t, F> {
    assert!(ignore_index.is_none(), "cross_entropy: ignore_index needs labels, not probabilities");
    let (logits, probabilities) = (x.shape(), target.shape());
    if logits != probabilities {
        mistake(
            NAME,
            format!("expected probabilities of shape {logits:?}, found {probabilities:?}"),
        );
    }
    let x = x.log_softmax();
    let classes = logits[logits.rank() - 1];
    let smooth = match label_smoothing {
        0.0 => target,
        smoothing => target * (1.0 - smoothing) + smoothing / classes as f64,
    };
    let share = match weight {
        None => smooth,
        weight => smooth * &class_weight(NAME, weight, classes),
    };
    // A class of probability 0 adds nothing, even if its logarithm is -inf.
    -reduction.apply(share.mul_no_nan(&x).sum_axes(-1, false))
}

#[track_caller]
pub(super) fn multi_margin<'t, F: Float>(
    x: Var<'t, F>,
    labels: impl Into<Indices>,
    MultiMargin { p, margin, weight, reduction }: MultiMargin<F>,
) -> Var<'t, F> {
    let labels = labels.into();
    let classes = classes_of("multi_margin", x.shape(), &labels);
    let ones = x.tape().constant(&Tensor::ones(labels.shape()));
    let rows = x.tape().indices(&labels);
    let own = Var::apply_indexed(PlaceOneHot { n: classes }, &ones, &rows);
    let gaps = (x - x.pick(&labels).unsqueeze(-1) + margin).relu().powi(p);
    let losses = own.where_cond(0.0, gaps).sum_axes(-1, false) * (classes as f64).recip();
    match weight {
        None => reduction.apply(losses),
        weight => {
            let weight = class_weight("multi_margin", weight, classes);
            reduction.apply(losses * x.tape().constant(&weight).index_select(0, labels))
        }
    }
}

/// Records a mask of the labels that are not ignored. A table is looked up, and the labels are not read, so that a
/// `Program` can run it again on other labels.
fn kept_rows<'t, F: Float>(
    x: Var<'t, F>,
    labels: &Indices,
    ignored: usize,
    classes: usize,
) -> Var<'t, F> {
    let kept = Tensor::from_fn([classes + 1], |i| if i < classes { F::ONE } else { F::ZERO });
    x.tape().constant(&kept).index_select(0, labels.replaced(ignored, classes))
}

/// Returns the number of classes if there is a label for each row, and each label is a class.
#[track_caller]
fn classes_of(name: &str, x: Shape, labels: &Indices) -> usize {
    let Some((&classes, rows)) = x.split_last() else {
        mistake(name, "a scalar has no axis of classes".into());
    };
    if *rows != *labels.shape() {
        let (expected, found) = (Shape::from(rows), labels.shape());
        mistake(name, format!("{x:?} needs labels of shape {expected:?}, found {found:?}"));
    }
    if labels.check_below(classes).is_err()
        && let Some(i) = labels.as_slice().iter().position(|&label| label >= classes)
    {
        let (label, shape) = (labels.as_slice()[i], labels.shape());
        let along = |(stride, extent): (&usize, &usize)| i / stride % extent;
        let row = match shape.rank() {
            1 => i.to_string(),
            _ => {
                format!("{:?}", shape.strides().iter().zip(&*shape).map(along).collect::<Vec<_>>())
            }
        };
        mistake(
            name,
            format!("label {label} of row {row} is not a class; {x:?} has classes 0..{classes}"),
        );
    }
    classes
}

/// Returns the weights of the classes, by default ones.
#[track_caller]
fn class_weight<F: Float>(name: &str, weight: Option<Tensor<F>>, classes: usize) -> Tensor<F> {
    let Some(weight) = weight else {
        return Tensor::ones([classes]);
    };
    let shape = weight.shape();
    if shape != [classes].into() {
        mistake(name, format!("weight: expected shape [{classes}], found {shape:?}"));
    }
    weight
}

#[cold]
#[track_caller]
fn mistake(name: &str, message: String) -> ! {
    ShapeError::new(message).in_operation(name).raise()
}
