//! Evaluation on data that is not trained on.

use wengert_core::{Tensor, evaluate};

use super::{Best, Loss, Model, Trainer};
use crate::data::Dataset;
use crate::metrics::{MeanLoss, Metric};

/// Values of an evaluation.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Evaluation {
    /// Mean loss.
    pub loss: f64,
    /// Metrics by name, in the order in which they were added.
    pub metrics: Vec<(String, f64)>,
}

impl Evaluation {
    /// Returns the loss or a metric by name.
    pub fn value(&self, name: &str) -> Option<f64> {
        match name {
            "loss" => Some(self.loss),
            name => self.metrics.iter().find_map(|(own, value)| (own == name).then_some(*value)),
        }
    }
}

/// Rows of a batch of an evaluation.
const ROWS: usize = 256;

impl<M: Model> Trainer<M> {
    /// Evaluates the model on any data. The weights are the averages of the recipe's `ema`, if it has one.
    ///
    /// # Panics
    /// If the data does not fit the model or the metrics.
    pub fn evaluate(&mut self, data: &Dataset) -> Evaluation {
        let Self { model, optimizer, loss, metrics, .. } = self;
        optimizer.with_ema(model, |model| evaluation(model, data, loss, metrics))
    }

    /// Evaluates another model with the loss and the metrics of this trainer.
    ///
    /// # Panics
    /// If the data does not fit the model or the metrics.
    pub fn evaluate_model(&mut self, model: &M, data: &Dataset) -> Evaluation {
        evaluation(model, data, &self.loss, &mut self.metrics)
    }

    /// Calls `f` with the model while it holds the weights for evaluation: the averages of `ema`, if there are any.
    pub fn for_evaluation<R>(&mut self, f: impl FnOnce(&M) -> R) -> R {
        self.optimizer.with_ema(&mut self.model, f)
    }

    /// Returns the last evaluation.
    pub fn evaluation(&self) -> Option<&Evaluation> {
        self.evaluation.as_ref()
    }

    /// Returns the data for evaluation.
    pub fn validation_data(&self) -> Option<&Dataset> {
        self.validation.as_ref()
    }

    /// Takes the weights of the best evaluation, by name, if there was a new one since the last call.
    pub fn take_best_weights(&mut self) -> Option<Vec<(String, Tensor<f32>)>> {
        self.best_weights.take()
    }

    pub(super) fn evaluate_now(&mut self) -> Option<Evaluation> {
        let data = self.validation.take()?;
        let evaluation = self.evaluate(&data);
        self.validation = Some(data);
        Some(evaluation)
    }

    /// Returns the value that early stopping and the schedules follow, if there is a new one. Without data for
    /// evaluation it is the loss of the epoch.
    pub(super) fn monitored(
        &self,
        evaluation: Option<&Evaluation>,
        epoch_loss: Option<f64>,
    ) -> Option<f64> {
        match (evaluation, &self.early_stopping.metric) {
            (Some(evaluation), Some(metric)) => evaluation.value(metric),
            (Some(evaluation), None) => Some(evaluation.loss),
            (None, _) if self.validation.is_none() => epoch_loss,
            (None, _) => None,
        }
    }

    /// Notes a monitored value.
    pub(super) fn note(&mut self, value: f64) {
        let monitored = self.early_stopping.metric.as_deref();
        let mut metrics = self.metrics.iter().filter(|metric| Some(metric.name()) == monitored);
        let larger = metrics.next().is_some_and(|metric| metric.larger_is_better());
        if self.early_stopping.improves(value, self.progress.best, larger) {
            self.progress.best = Some(Best { step: self.progress.step, value });
            self.progress.since_best = 0;
            let weights = self.for_evaluation(|model| super::state::weights(model));
            self.best_weights = Some(weights);
        } else {
            self.progress.since_best += 1;
            let patience = self.early_stopping.patience;
            self.progress.stopped_early =
                patience.is_some_and(|patience| self.progress.since_best >= patience);
        }
    }
}

fn evaluation(
    model: &impl Model,
    data: &Dataset,
    loss: &Loss,
    metrics: &mut [Box<dyn Metric>],
) -> Evaluation {
    let mut mean = MeanLoss::default();
    metrics.iter_mut().for_each(|metric| metric.reset());
    outputs(model, data, |batch, outputs| {
        let value = evaluate(|tape| loss.of(tape.constant(outputs), batch)).item();
        mean.update(value, batch.len());
        metrics.iter_mut().for_each(|metric| metric.update(outputs, &batch.targets));
    });
    let metrics = metrics.iter().map(|metric| (metric.name().to_owned(), metric.value()));
    Evaluation { loss: mean.value(), metrics: metrics.collect() }
}

/// Computes the outputs of a model in evaluation mode, some rows at a time, and calls `f` with each part.
pub(crate) fn outputs(
    model: &impl Model,
    data: &Dataset,
    mut f: impl FnMut(&Dataset, &Tensor<f32>),
) {
    let rows: Vec<usize> = (0..data.len()).collect();
    for rows in rows.chunks(ROWS) {
        let batch = data.take_rows(rows);
        let outputs = evaluate(|tape| model.outputs(tape, &batch.inputs));
        f(&batch, &outputs);
    }
}
