//! The reports of steps and evaluations.

use std::fmt;

use super::Evaluation;

/// Outcome of a step.
#[derive(Clone, Debug)]
pub struct Step {
    /// Number of the step, counted from 1.
    pub step: u64,
    /// Number of its epoch, counted from 1.
    pub epoch: u64,
    /// Loss of the batch before the step.
    pub loss: f32,
    /// Learning rate of the step.
    pub lr: f64,
    /// Rows of the batch.
    pub rows: usize,
    /// Norms by parameter, if they were due.
    pub norms: Option<Norms>,
    /// Mean loss of the rows of the epoch, if the step ends one.
    pub epoch_loss: Option<f64>,
    /// Evaluation, if one was due and there is data for it.
    pub evaluation: Option<Evaluation>,
}

/// Euclidean norms by name of the parameter, in the model's order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Norms {
    /// Norms of the gradients of the step.
    pub gradients: Vec<(String, f64)>,
    /// Norms of the weights after the step.
    pub weights: Vec<(String, f64)>,
}

/// Reason for the end of a training.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// All epochs are done.
    Done,
    /// Evaluations were no better for longer than the patience of early stopping.
    Early,
    /// A hook asked for it.
    Hook,
}

/// A loss or a gradient that is not finite. The step was not made.
#[derive(Clone, Debug, PartialEq)]
pub struct Diverged {
    /// Number of the step, counted from 1.
    pub step: u64,
    /// Number of its epoch, counted from 1.
    pub epoch: u64,
    /// Loss of the batch; finite if a gradient is not.
    pub loss: f32,
    /// Learning rate of the step.
    pub lr: f64,
}

impl fmt::Display for Diverged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { step, epoch, loss, .. } = self;
        let what =
            if loss.is_finite() { "a gradient is not finite" } else { "the loss is not finite" };
        write!(f, "{what} at step {step} in epoch {epoch}: loss {loss}")
    }
}

impl std::error::Error for Diverged {}
