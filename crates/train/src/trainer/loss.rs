//! Losses by name.

use std::fmt;
use std::sync::Arc;

use wengert_core::{MovementOps, Var};
use wengert_nn::{CrossEntropy, Loss as _};

use crate::data::{Dataset, Inputs, Targets};

/// Function of outputs and batch that records a loss.
pub type LossFn = dyn for<'t> Fn(Var<'t, f32>, &Dataset) -> Var<'t, f32> + Send + Sync;

/// Loss of a model's outputs for a batch.
///
/// Outputs are `[.., classes]` for classes and tokens, and have the shape of the targets for values. Without targets,
/// the inputs are the targets: an autoencoder.
#[derive(Clone)]
pub enum Loss {
    /// Cross-entropy of logits, for classes and tokens.
    CrossEntropy {
        /// Fraction of the target that is spread evenly over all classes.
        label_smoothing: f64,
    },
    /// Binary cross-entropy of one logit, for two classes or for values from 0 to 1.
    BceWithLogits,
    /// Mean squared error.
    Mse,
    /// Mean absolute error.
    L1,
    /// Huber loss with delta 1.
    Huber,
    /// A function of the outputs and the batch.
    Custom(Arc<LossFn>),
}

impl Loss {
    /// Names in configurations.
    pub const NAMES: [&'static str; 5] = ["cross_entropy", "bce_with_logits", "mse", "l1", "huber"];

    /// Returns the usual loss for such targets: cross-entropy for classes and tokens, else the mean squared error.
    pub fn for_targets(targets: &Targets) -> Self {
        match targets {
            Targets::Classes { .. } | Targets::Tokens(_) => {
                Loss::CrossEntropy { label_smoothing: 0.0 }
            }
            Targets::Values(_) | Targets::None => Loss::Mse,
        }
    }

    /// Returns the loss of this name.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "cross_entropy" => Loss::CrossEntropy { label_smoothing: 0.0 },
            "bce_with_logits" => Loss::BceWithLogits,
            "mse" => Loss::Mse,
            "l1" => Loss::L1,
            "huber" => Loss::Huber,
            _ => return None,
        })
    }

    /// Returns the name in configurations.
    pub fn name(&self) -> &'static str {
        match self {
            Loss::CrossEntropy { .. } => "cross_entropy",
            Loss::BceWithLogits => "bce_with_logits",
            Loss::Mse => "mse",
            Loss::L1 => "l1",
            Loss::Huber => "huber",
            Loss::Custom(_) => "custom",
        }
    }

    /// Returns whether the loss compares outputs with such targets.
    pub fn accepts(&self, targets: &Targets) -> bool {
        match (self, targets) {
            (Loss::Custom(_), _) => true,
            (Loss::CrossEntropy { .. }, targets) => {
                matches!(targets, Targets::Classes { .. } | Targets::Tokens(_))
            }
            (Loss::BceWithLogits, Targets::Classes { names, .. }) => names.len() == 2,
            (_, targets) => matches!(targets, Targets::Values(_) | Targets::None),
        }
    }

    /// Records the mean loss of a batch.
    ///
    /// # Panics
    /// If the outputs do not fit the targets, or the loss does not accept them.
    #[track_caller]
    pub fn of<'t>(&self, outputs: Var<'t, f32>, batch: &Dataset) -> Var<'t, f32> {
        let labels = match &batch.targets {
            Targets::Classes { labels, .. } | Targets::Tokens(labels) => Some(labels),
            Targets::Values(_) | Targets::None => None,
        };
        let values = || match (&batch.targets, &batch.inputs, labels) {
            (Targets::Values(values), ..) => values.clone(),
            (Targets::None, Inputs::Numbers(inputs), _) => inputs.clone(),
            (_, _, Some(labels)) => {
                let numbers = labels.as_slice().iter().map(|&label| label as f32).collect();
                wengert_core::Tensor::from_vec(numbers, outputs.shape())
            }
            _ => panic!("{}: the targets are no numbers", self.name()),
        };
        match self {
            Loss::CrossEntropy { label_smoothing } => {
                let Some(labels) = labels else {
                    panic!("cross_entropy: the targets are no classes")
                };
                outputs.cross_entropy_with(
                    labels,
                    CrossEntropy::new().label_smoothing(*label_smoothing),
                )
            }
            Loss::BceWithLogits => outputs.flatten().bce_with_logits(&values().flatten()),
            Loss::Mse => outputs.mse(&values()),
            Loss::L1 => outputs.l1(&values()),
            Loss::Huber => outputs.huber(&values()),
            Loss::Custom(loss) => loss(outputs, batch),
        }
    }
}

impl fmt::Debug for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
