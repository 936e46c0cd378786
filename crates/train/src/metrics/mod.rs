//! Metrics of predictions, streaming: batch by batch, with the value of all rows at once.
//!
//! | of | metrics |
//! | --- | --- |
//! | classes, tokens | [`Accuracy`], [`TopK`], [`ClassScore`] (precision, recall, F1), [`LogLoss`] and perplexity, [`ConfusionMatrix`] |
//! | classes | [`RocAuc`] |
//! | values | [`ValueError`]: mean absolute error, root mean square error, R2 |
//!
//! The values are those of scikit-learn. [`named`] finds a metric by the name that a configuration has.

mod accuracy;
mod auc;
mod confusion;
mod loss;
mod output;
mod regression;
mod sum;

use std::fmt::Debug;

use wengert_core::Tensor;

use crate::DataError;
use crate::data::Targets;

pub use accuracy::{Accuracy, TopK};
pub use auc::RocAuc;
pub use confusion::{Average, ClassScore, ConfusionMatrix};
pub use loss::{LogLoss, MeanLoss};
pub use regression::ValueError;

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

/// Names of metrics. In place of `top_5` there may be any number, and in place of `macro` the number of a class.
const NAMES: [&str; 14] = [
    "accuracy",
    "top_5",
    "precision_micro",
    "precision_macro",
    "recall_micro",
    "recall_macro",
    "f1_micro",
    "f1_macro",
    "roc_auc",
    "log_loss",
    "perplexity",
    "mae",
    "rmse",
    "r2",
];

/// Returns the metric of this name: `accuracy`, `top_5` and other numbers, `precision_micro`, `precision_macro`,
/// `precision_2` for class 2, likewise `recall_..` and `f1_..`, `roc_auc`, `log_loss`, `perplexity`, `mae`, `rmse`, `r2`.
///
/// # Errors
/// If there is no such metric; the message has the nearest name.
///
/// ```
/// use wengert_train::metrics;
///
/// assert_eq!(metrics::named("top_3")?.name(), "top_3");
/// let error = metrics::named("acuracy").unwrap_err().to_string();
/// assert!(error.starts_with("unknown metric `acuracy`; did you mean `accuracy`?"));
/// # Ok::<(), wengert_train::DataError>(())
/// ```
pub fn named(name: &str) -> Result<Box<dyn Metric>, DataError> {
    let unknown = || DataError::unknown("metric", name, &NAMES);
    Ok(match name {
        "accuracy" => Box::new(Accuracy::default()),
        "roc_auc" => Box::new(RocAuc::default()),
        "log_loss" => Box::new(LogLoss::default()),
        "perplexity" => Box::new(LogLoss::perplexity()),
        "mae" => Box::new(ValueError::mae()),
        "rmse" => Box::new(ValueError::rmse()),
        "r2" => Box::new(ValueError::r2()),
        _ => {
            let (kind, detail) = name.split_once('_').ok_or_else(unknown)?;
            let number = detail.parse().ok().filter(|_| detail.bytes().all(|b| b.is_ascii_digit()));
            let average = match (detail, number) {
                ("micro", _) => Some(Average::Micro),
                ("macro", _) => Some(Average::Macro),
                (_, number) => number.map(Average::Class),
            };
            match (kind, number, average) {
                ("top", Some(k @ 1..), _) => Box::new(TopK::new(k)),
                ("precision", _, Some(average)) => Box::new(ClassScore::precision(average)),
                ("recall", _, Some(average)) => Box::new(ClassScore::recall(average)),
                ("f1", _, Some(average)) => Box::new(ClassScore::f1(average)),
                _ => return Err(unknown()),
            }
        }
    })
}
