//! Metrics of predictions, streaming: batch by batch, with the value of all rows at once.

mod accuracy;
mod loss;
mod output;

use std::fmt::Debug;

use wengert_core::Tensor;

use crate::data::Targets;

pub use accuracy::Accuracy;
pub use loss::MeanLoss;

/// A number that tells how well predictions fit targets.
///
/// A metric sees the rows batch by batch. Its value does not depend on where one batch ends and the next begins:
/// counts are integers, and sums of floats are exact.
///
/// Outputs of a model are of shape `[.., classes]` for classes and tokens: logits. With two classes they may also
/// be `[n]` or `[n, 1]`: the logit of class 1. For values they have the shape of the targets.
pub trait Metric: Debug + Send {
    /// Returns the name, as in a configuration and in a table: `"accuracy"`.
    fn name(&self) -> &str;

    /// Whether the metric can compare outputs with such targets.
    fn accepts(&self, targets: &Targets) -> bool;

    /// Takes the outputs of a model for some rows, and their targets.
    ///
    /// # Panics
    /// If the targets are of the wrong kind, or the shape of the outputs does not fit them.
    fn update(&mut self, output: &Tensor<f32>, targets: &Targets);

    /// Returns the value over all rows since the last [`reset`](Metric::reset). NaN where it is undefined, as it
    /// is without rows.
    fn value(&self) -> f64;

    /// Forgets all rows.
    fn reset(&mut self);

    /// Whether a larger value is better. Default: true.
    fn larger_is_better(&self) -> bool {
        true
    }
}
