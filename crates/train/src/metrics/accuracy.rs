//! The share of correct predictions.

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
