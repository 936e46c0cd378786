//! The output of a model beside its targets.

use wengert_core::{Indices, Tensor};

use crate::data::Targets;

/// Logits of some rows, with the class of each.
pub(super) struct Logits<'a> {
    logits: &'a [f32],
    labels: &'a [usize],
    /// Logits of a row: as many as classes, or 1 for the logit of class 1 of two.
    width: usize,
}

impl<'a> Logits<'a> {
    /// Reads outputs for targets that are classes or tokens.
    #[track_caller]
    pub(super) fn new(metric: &str, output: &'a Tensor<f32>, targets: &'a Targets) -> Self {
        let (labels, names): (&Indices, _) = match targets {
            Targets::Classes { labels, names } => (labels, Some(names.len())),
            Targets::Tokens(tokens) => (tokens, None),
            other => panic!("{metric}: expected targets that are classes, found {}", other.kind()),
        };
        let (found, rows) = (output.shape(), labels.shape());
        let width = match found.split_last() {
            Some((&width, rest)) if *rest == *rows && names.is_none_or(|names| names == width) => {
                width
            }
            Some((1, rest)) if *rest == *rows && names == Some(2) => 1,
            _ if found == rows && names == Some(2) => 1,
            _ => {
                let expected = names.map_or("classes".to_owned(), |names| names.to_string());
                panic!(
                    "{metric}: expected outputs of shape {:?} with {expected} logits each, found {found:?}",
                    rows
                )
            }
        };
        Logits { logits: output.as_slice(), labels: labels.as_slice(), width }
    }

    /// Returns the number of classes.
    pub(super) fn classes(&self) -> usize {
        self.width.max(2)
    }

    /// Returns the logits and the class of each row.
    pub(super) fn rows(&self) -> impl Iterator<Item = (&'a [f32], usize)> {
        self.logits.chunks(self.width.max(1)).zip(self.labels.iter().copied())
    }
}

/// Returns the class with the largest logit, the first of equal ones; NaN counts as largest. A single logit is that of
/// class 1, and decides for class 0 if it is zero.
pub(super) fn predicted(logits: &[f32]) -> usize {
    match logits {
        [logit] => usize::from(*logit > 0.0),
        _ => {
            let larger = |&best: &usize, &class: &usize| {
                logits[best] >= logits[class] || logits[best].is_nan()
            };
            (0..logits.len())
                .reduce(|best, class| if larger(&best, &class) { best } else { class })
                .unwrap_or(0)
        }
    }
}

/// Returns the logarithm of the probability of each class. Logits in another order give equal numbers in that order,
/// so that ties stay ties.
pub(super) fn log_softmax(logits: &[f32]) -> impl Iterator<Item = f64> {
    let largest = f64::from(logits.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    let mut exponentials: Vec<f64> =
        logits.iter().map(|&logit| (f64::from(logit) - largest).exp()).collect();
    exponentials.sort_unstable_by(f64::total_cmp);
    let log_sum = exponentials.iter().sum::<f64>().ln();
    logits.iter().map(move |&logit| f64::from(logit) - largest - log_sum)
}
