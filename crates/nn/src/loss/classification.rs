//! Losses of scores or probabilities `[.., classes]` against one label to a row.

use wengert_core::{
    BinaryOps, Float, IndexOps, Indices, MovementOps, Param, ReduceOps, Shape, ShapeError, Tensor,
    UnaryOps, Var,
};

use super::Reduction;
use super::reduction::settings;

settings! {
    /// Settings of [`Loss::cross_entropy`](crate::Loss::cross_entropy).
    CrossEntropy<F> {
        /// One weight to a class. The mean divides by the sum of the weights of the rows' labels; with
        /// soft targets by the number of rows.
        weight: Option<Tensor<F>> = None, |weight: &Tensor<F>| Some(weight.clone());
        /// A label whose rows do not count: no loss, no gradient, no part in the mean. It need not be
        /// a class. If all rows are ignored, the mean is NaN and its gradient 0.
        ignore_index: Option<usize> = None, |label: usize| Some(label);
        /// The part of the target, 0 at first, that is spread evenly over all classes.
        ///
        /// # Panics
        /// If it is outside `0..=1`.
        label_smoothing: f64 = 0.0, |smoothing: f64| share(smoothing);
    }
    /// Settings of [`Loss::nll`](crate::Loss::nll).
    Nll<F> {
        /// One weight to a class. The mean divides by the sum of the weights of the rows' labels.
        weight: Option<Tensor<F>> = None, |weight: &Tensor<F>| Some(weight.clone());
        /// A label whose rows do not count; as [`CrossEntropy::ignore_index`].
        ignore_index: Option<usize> = None, |label: usize| Some(label);
    }
    /// Settings of [`Loss::multi_margin`](crate::Loss::multi_margin).
    MultiMargin<F> {
        /// The exponent, 1 (at first) or 2.
        ///
        /// # Panics
        /// If it is another.
        p: i32 = 1, |p: i32| one_or_two(p);
        /// By how much the label's score should be above the others, 1 at first.
        margin: f64 = 1.0, |margin: f64| margin;
        /// One weight to a class; the mean divides by the number of rows.
        weight: Option<Tensor<F>> = None, |weight: &Tensor<F>| Some(weight.clone());
    }
}

const NAME: &str = "cross_entropy";

#[track_caller]
fn share(smoothing: f64) -> f64 {
    let inside = (0.0..=1.0).contains(&smoothing);
    assert!(inside, "CrossEntropy: label_smoothing must be in 0..=1, not {smoothing}");
    smoothing
}

#[track_caller]
fn one_or_two(p: i32) -> i32 {
    assert!(p == 1 || p == 2, "MultiMargin: p must be 1 or 2, not {p}");
    p
}

/// What a cross-entropy is taken against.
#[derive(Debug)]
pub enum Target<'t, F: Float> {
    /// One label to a row, `[..]`.
    Labels(Indices),
    /// A probability for each class, `[.., classes]`.
    Soft(Var<'t, F>),
}

/// What may be the target of a cross-entropy: labels as arrays, vectors, slices or [`Indices`]; or soft
/// targets as a variable, a parameter or a tensor.
pub trait Targets<'t, F: Float> {
    /// The target for predictions that are on the tape of `x`.
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
    Labels labels: [] Indices, [] &Indices, [] Vec<usize>, [] &[usize], [const N: usize] [usize; N];
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
    match target.beside(x) {
        Target::Labels(labels) => labelled(NAME, x.log_softmax(), labels, settings),
        Target::Soft(target) => softly(x, target, settings),
    }
}

#[track_caller]
pub(super) fn nll<'t, F: Float>(
    x: Var<'t, F>,
    labels: impl Into<Indices>,
    Nll { weight, ignore_index, reduction }: Nll<F>,
) -> Var<'t, F> {
    let settings = CrossEntropy { weight, ignore_index, label_smoothing: 0.0, reduction };
    labelled("nll", x, labels.into(), settings)
}

/// The loss of log-probabilities at one label to a row.
#[track_caller]
fn labelled<'t, F: Float>(
    name: &str,
    x: Var<'t, F>,
    labels: Indices,
    CrossEntropy { weight, ignore_index, label_smoothing, reduction }: CrossEntropy<F>,
) -> Var<'t, F> {
    let (labels, kept) = set_aside(labels, ignore_index);
    let classes = classes_of(name, x.shape(), &labels);
    if weight.is_none() && ignore_index.is_none() && label_smoothing == 0.0 {
        return -reduction.of(x.pick(labels));
    }
    let kept = x.tape().constant(&kept.unwrap_or_else(|| Tensor::ones(labels.shape())));
    let weight = x.tape().constant(&class_weight(name, weight, classes));
    let shares = weight.index_select(0, &labels);
    let mut losses = -x.pick(labels) * shares;
    if label_smoothing > 0.0 {
        let spread = (x * weight).sum_axes(-1, false) * (label_smoothing / classes as f64);
        losses = losses * (1.0 - label_smoothing) - spread;
    }
    // What is not selected gets no gradient, even if the mean divides by 0.
    let losses = kept.where_cond(losses, 0.0);
    match reduction {
        Reduction::Mean => losses.sum() / (shares * kept).sum(),
        _ => reduction.of(losses),
    }
}

/// The cross-entropy of logits against probabilities.
#[track_caller]
fn softly<'t, F: Float>(
    x: Var<'t, F>,
    target: Var<'t, F>,
    CrossEntropy { weight, ignore_index, label_smoothing, reduction }: CrossEntropy<F>,
) -> Var<'t, F> {
    assert!(
        ignore_index.is_none(),
        "cross_entropy: ignore_index goes with labels, not with soft targets"
    );
    let (logits, probabilities) = (x.shape(), target.shape());
    if logits != probabilities {
        mistake(NAME, format!("{logits:?} against {probabilities:?} (the shapes must agree)"));
    }
    let x = x.log_softmax();
    let classes = logits[logits.rank() - 1];
    let smooth = match label_smoothing {
        0.0 => target,
        smoothing => target * (1.0 - smoothing) + smoothing / classes as f64,
    };
    let terms = match weight {
        None => x * smooth,
        weight => x * &class_weight(NAME, weight, classes) * smooth,
    };
    -reduction.of(terms.sum_axes(-1, false))
}

#[track_caller]
pub(super) fn multi_margin<'t, F: Float>(
    x: Var<'t, F>,
    labels: impl Into<Indices>,
    MultiMargin { p, margin, weight, reduction }: MultiMargin<F>,
) -> Var<'t, F> {
    let labels = labels.into();
    let classes = classes_of("multi_margin", x.shape(), &labels);
    let own = x.tape().constant(&Tensor::one_hot(&labels, classes));
    let gaps = (x - x.pick(&labels).unsqueeze(-1) + margin).relu().powi(p);
    let losses = own.where_cond(0.0, gaps).sum_axes(-1, false) * (classes as f64).recip();
    match weight {
        None => reduction.of(losses),
        weight => {
            let weight = class_weight("multi_margin", weight, classes);
            reduction.of(losses * x.tape().constant(&weight).index_select(0, labels))
        }
    }
}

/// The labels, the first class in place of an ignored one, which need not be a class; and a mask of
/// those that are kept, if some may be ignored.
fn set_aside<F: Float>(labels: Indices, ignored: Option<usize>) -> (Indices, Option<Tensor<F>>) {
    let (shape, all) = (labels.shape(), labels.as_slice());
    let Some(ignored) = ignored else {
        return (labels, None);
    };
    let inside = all.iter().map(|&label| if label == ignored { 0 } else { label }).collect();
    let kept = Tensor::from_fn(shape, |i| if all[i] == ignored { F::ZERO } else { F::ONE });
    (Indices::from_vec(inside, shape), Some(kept))
}

/// The number of classes, if there is one label to a row, and each is a class.
#[track_caller]
fn classes_of(name: &str, x: Shape, labels: &Indices) -> usize {
    let Some((&classes, rows)) = x.split_last() else {
        mistake(name, "a scalar has no last axis of classes".into());
    };
    if *rows != *labels.shape() {
        let labels = labels.shape();
        mistake(name, format!("{x:?} at labels {labels:?} (one label to a row is needed)"));
    }
    if let Err(error) = labels.check_below(classes) {
        error.in_operation(name).raise();
    }
    classes
}

/// The weights of the classes; ones if there are none.
#[track_caller]
fn class_weight<F: Float>(name: &str, weight: Option<Tensor<F>>, classes: usize) -> Tensor<F> {
    let Some(weight) = weight else {
        return Tensor::ones([classes]);
    };
    let shape = weight.shape();
    if shape != [classes].into() {
        mistake(name, format!("weight {shape:?} is not one number to each of {classes} classes"));
    }
    weight
}

#[cold]
#[track_caller]
fn mistake(name: &str, message: String) -> ! {
    ShapeError::new(message).in_operation(name).raise()
}
