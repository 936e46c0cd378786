//! Shares of correct predictions.

use std::cmp::Ordering;

use wengert_core::Tensor;

use super::Metric;
use super::output::{Logits, predicted};
use crate::data::Targets;

/// The share of rows whose largest logit is that of their class; of tokens, for targets that are tokens.
///
/// ```
/// use wengert_core::Tensor;
/// use wengert_train::data::Targets;
/// use wengert_train::metrics::{Accuracy, Metric};
///
/// let mut accuracy = Accuracy::default();
/// let logits = Tensor::from([[2.0, -1.0], [0.5, 0.0], [-3.0, 1.0]]);
/// accuracy.update(&logits, &Targets::classes([0, 1, 1], ["oak", "elm"]));
/// assert_eq!(accuracy.value(), 2.0 / 3.0);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Accuracy {
    correct: u64,
    rows: u64,
}

impl Metric for Accuracy {
    fn name(&self) -> &str {
        "accuracy"
    }

    fn accepts(&self, targets: &Targets) -> bool {
        matches!(targets, Targets::Classes { .. } | Targets::Tokens(_))
    }

    #[track_caller]
    fn update(&mut self, output: &Tensor<f32>, targets: &Targets) {
        for (logits, label) in Logits::new("accuracy", output, targets).rows() {
            self.correct += u64::from(predicted(logits) == label);
            self.rows += 1;
        }
    }

    fn value(&self) -> f64 {
        self.correct as f64 / self.rows as f64
    }

    fn reset(&mut self) {
        *self = Self::default();
    }
}

/// The share of rows whose class is among the `k` with the largest logits. Of equal logits, those of earlier classes
/// count as larger; NaN counts as largest.
///
/// ```
/// use wengert_core::Tensor;
/// use wengert_train::data::Targets;
/// use wengert_train::metrics::{Metric, TopK};
///
/// let mut top_2 = TopK::new(2);
/// let logits = Tensor::from([[2.0, 1.0, 0.0], [0.0, 1.0, 2.0]]);
/// top_2.update(&logits, &Targets::classes([1, 0], ["oak", "elm", "ash"]));
/// assert_eq!((top_2.name(), top_2.value()), ("top_2", 0.5));
/// ```
#[derive(Clone, Debug)]
pub struct TopK {
    name: String,
    k: usize,
    counts: Accuracy,
}

impl TopK {
    /// Makes the metric for `k` classes.
    ///
    /// # Panics
    /// If `k` is 0.
    #[track_caller]
    pub fn new(k: usize) -> Self {
        assert!(k > 0, "TopK: at least one class");
        Self { name: format!("top_{k}"), k, counts: Accuracy::default() }
    }
}

impl Metric for TopK {
    fn name(&self) -> &str {
        &self.name
    }

    fn accepts(&self, targets: &Targets) -> bool {
        self.counts.accepts(targets)
    }

    #[track_caller]
    fn update(&mut self, output: &Tensor<f32>, targets: &Targets) {
        for (logits, label) in Logits::new(&self.name, output, targets).rows() {
            let place = match *logits {
                [_] => usize::from(predicted(logits) != label),
                _ => place(logits, label),
            };
            self.counts.correct += u64::from(place < self.k);
            self.counts.rows += 1;
        }
    }

    fn value(&self) -> f64 {
        self.counts.value()
    }

    fn reset(&mut self) {
        self.counts.reset();
    }
}

/// Returns the place of a class among all in the order of falling logits.
fn place(logits: &[f32], label: usize) -> usize {
    let rank = |class: usize| (logits[class].is_nan(), logits[class]);
    let before = |&class: &usize| match rank(class).partial_cmp(&rank(label)) {
        Some(Ordering::Greater) => true,
        Some(Ordering::Less) => false,
        // Equal, or both NaN.
        _ => class < label,
    };
    (0..logits.len()).filter(before).count()
}
