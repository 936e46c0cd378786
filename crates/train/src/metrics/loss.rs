//! Means of losses.

use wengert_core::Tensor;

use super::Metric;
use super::output::{Logits, log_softmax};
use super::sum::ExactSum;
use crate::data::Targets;

/// The mean loss over rows, from the mean losses of batches.
///
/// ```
/// use wengert_train::metrics::MeanLoss;
///
/// let mut loss = MeanLoss::default();
/// loss.update(0.5, 32);
/// loss.update(0.75, 16); // A smaller last batch weighs less.
/// assert_eq!(loss.value(), (0.5 * 32.0 + 0.75 * 16.0) / 48.0);
/// ```
#[derive(Clone, Debug, Default)]
pub struct MeanLoss {
    sum: f64,
    rows: u64,
}

impl MeanLoss {
    /// Takes the mean loss of a batch of `rows` rows.
    pub fn update(&mut self, loss: f32, rows: usize) {
        self.sum += f64::from(loss) * rows as f64;
        self.rows += rows as u64;
    }

    /// Returns the mean over all rows. NaN without rows.
    pub fn value(&self) -> f64 {
        self.sum / self.rows as f64
    }

    /// Returns the sum of the rows' losses, and the number of rows: the state of a mean in a file.
    pub fn parts(&self) -> (f64, u64) {
        (self.sum, self.rows)
    }

    /// Restores a mean from its [`parts`](Self::parts).
    pub fn from_parts(sum: f64, rows: u64) -> Self {
        Self { sum, rows }
    }

    /// Forgets all rows.
    pub fn reset(&mut self) {
        *self = Self::default();
    }
}

/// The mean of minus the logarithm of the probability of the right class (cross-entropy), or its exponential, the
/// perplexity.
///
/// ```
/// use wengert_core::Tensor;
/// use wengert_train::data::Targets;
/// use wengert_train::metrics::{LogLoss, Metric};
///
/// let (mut loss, mut perplexity) = (LogLoss::default(), LogLoss::perplexity());
/// let (logits, tokens) = (Tensor::zeros([2, 3, 5]), Targets::Tokens([[0, 4, 1], [3, 3, 3]].into()));
/// loss.update(&logits, &tokens);
/// perplexity.update(&logits, &tokens);
/// assert!((loss.value() - 5.0f64.ln()).abs() < 1e-15);
/// assert!((perplexity.value() - 5.0).abs() < 1e-14); // As good as a choice among five.
/// ```
#[derive(Clone, Debug, Default)]
pub struct LogLoss {
    sum: ExactSum,
    rows: u64,
    exponential: bool,
}

impl LogLoss {
    /// Makes the metric that is the exponential of the mean.
    pub fn perplexity() -> Self {
        Self { exponential: true, ..Self::default() }
    }
}

impl Metric for LogLoss {
    fn name(&self) -> &str {
        if self.exponential { "perplexity" } else { "log_loss" }
    }

    fn accepts(&self, targets: &Targets) -> bool {
        matches!(targets, Targets::Classes { .. } | Targets::Tokens(_))
    }

    #[track_caller]
    fn update(&mut self, output: &Tensor<f32>, targets: &Targets) {
        for (logits, label) in Logits::new(self.name(), output, targets).rows() {
            let log_probability = match *logits {
                // Class 0 has the logit 0.
                [logit] => log_softmax(&[0.0, logit]).nth(label),
                _ => log_softmax(logits).nth(label),
            };
            self.sum.add(-log_probability.expect("a label below the number of classes"));
            self.rows += 1;
        }
    }

    fn value(&self) -> f64 {
        let mean = self.sum.value() / self.rows as f64;
        if self.exponential { mean.exp() } else { mean }
    }

    fn reset(&mut self) {
        *self = Self { exponential: self.exponential, ..Self::default() };
    }

    fn larger_is_better(&self) -> bool {
        false
    }
}
