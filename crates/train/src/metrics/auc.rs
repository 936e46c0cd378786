//! The area under the receiver operating characteristic.

use wengert_core::Tensor;

use super::Metric;
use super::output::{Logits, log_softmax};
use crate::data::Targets;

/// The area under the ROC curve: the probability that a row of the class has a larger score than a row of another
/// class, where equal scores count half. Of two classes, that of class 1; of more, the mean over each class against
/// the rest. NaN if a class, or all but a class, is absent.
///
/// The scores of all rows are kept, so that the value is exact.
///
/// ```
/// use wengert_core::Tensor;
/// use wengert_train::data::Targets;
/// use wengert_train::metrics::{Metric, RocAuc};
///
/// let mut auc = RocAuc::default();
/// let logits = Tensor::from([0.1, 0.4, 0.35, 0.8]); // Of class 1.
/// auc.update(&logits, &Targets::classes([0, 0, 1, 1], ["healthy", "ill"]));
/// assert_eq!(auc.value(), 0.75);
/// ```
#[derive(Clone, Debug, Default)]
pub struct RocAuc {
    /// For each class the score of each row; of two classes, for class 1 alone.
    scores: Vec<Vec<f64>>,
    labels: Vec<usize>,
}

impl Metric for RocAuc {
    fn name(&self) -> &str {
        "roc_auc"
    }

    fn accepts(&self, targets: &Targets) -> bool {
        matches!(targets, Targets::Classes { names, .. } if names.len() >= 2)
    }

    #[track_caller]
    fn update(&mut self, output: &Tensor<f32>, targets: &Targets) {
        let logits = Logits::new("roc_auc", output, targets);
        let classes = logits.classes();
        self.scores.resize_with(if classes == 2 { 1 } else { classes }, Vec::new);
        for (logits, label) in logits.rows() {
            match *logits {
                [logit] => self.scores[0].push(logit.into()),
                [zero, one] => self.scores[0].push(f64::from(one) - f64::from(zero)),
                // The logarithm of a probability orders rows as the probability does, without reaching 0 or 1.
                _ => {
                    let scores = log_softmax(logits);
                    self.scores.iter_mut().zip(scores).for_each(|(all, score)| all.push(score));
                }
            }
            self.labels.push(label);
        }
    }

    fn value(&self) -> f64 {
        match &self.scores[..] {
            [] => f64::NAN,
            [one] => area(one, &self.labels, 1),
            several => {
                let areas = several.iter().enumerate();
                let sum =
                    areas.map(|(class, scores)| area(scores, &self.labels, class)).sum::<f64>();
                sum / several.len() as f64
            }
        }
    }

    fn reset(&mut self) {
        *self = Self::default();
    }
}

/// Returns the share of pairs, of a row of the class and another row, in which the former has the larger score.
fn area(scores: &[f64], labels: &[usize], class: usize) -> f64 {
    if scores.iter().any(|score| score.is_nan()) {
        return f64::NAN;
    }
    let mut rows: Vec<(f64, bool)> =
        scores.iter().zip(labels).map(|(&score, &label)| (score, label == class)).collect();
    rows.sort_unstable_by(|(a, _), (b, _)| a.total_cmp(b));
    // Counted twice, so that half a pair is a whole number.
    let (mut pairs, mut positive, mut negative) = (0u128, 0u128, 0u128);
    for equal in rows.chunk_by(|(a, _), (b, _)| a == b) {
        let inside = equal.iter().filter(|(_, is_class)| *is_class).count() as u128;
        let outside = equal.len() as u128 - inside;
        pairs += inside * (2 * negative + outside);
        positive += inside;
        negative += outside;
    }
    pairs as f64 / (2 * positive * negative) as f64
}
