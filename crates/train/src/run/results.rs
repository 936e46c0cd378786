//! `results.json`: what a finished run found, for reports and tables.

use wengert_core::{Params, Tensor};
use wengert_nn::summary_of;

use super::{Network, Plan};
use crate::data::{Dataset, Inputs, Targets};
use crate::report::{Confusion, Results, Sample};
use crate::trainer::{Model, Trainer, outputs};

/// Rows of which the predictions are listed.
const SAMPLES: usize = 24;

/// Returns the results of a model.
pub(super) fn of(plan: &Plan, trainer: &mut Trainer<Network>, model: &Network) -> Results {
    let (split, data) = match &plan.data.validation {
        Some(validation) => ("validation", validation),
        None => ("train", &plan.data.train),
    };
    let evaluation = trainer.evaluate_model(model, data);
    let mut metrics = vec![(format!("{split} loss"), evaluation.loss)];
    metrics.extend(evaluation.metrics.into_iter().map(|(name, v)| (format!("{split} {name}"), v)));
    metrics.retain(|(_, value)| value.is_finite());
    let row = data.take_rows(&[0]);
    let summary = summary_of(model, &plan.name, |tape| model.outputs(tape, &row.inputs));
    let per_epoch = trainer.steps_per_epoch();
    Results {
        status: "done".to_owned(),
        metrics,
        best_epoch: trainer.progress().best.map(|best| best.step.div_ceil(per_epoch)),
        confusion: confusion(model, data),
        samples: samples(model, data),
        summary: summary.map(|summary| summary.to_string()).unwrap_or_default(),
        params: model.param_count() as u64,
        seed: plan.seed,
        versions: [("wengert".to_owned(), env!("CARGO_PKG_VERSION").to_owned())].into(),
    }
}

/// Returns how often each class was predicted for each class.
fn confusion(model: &Network, data: &Dataset) -> Option<Confusion> {
    let Targets::Classes { names, .. } = &data.targets else { return None };
    let mut confusion = Confusion::new(names.iter());
    outputs(model, data, |batch, outputs| {
        let classes = predicted(outputs).into_iter().map(|(class, _)| class);
        for (&label, class) in batch.labels().as_slice().iter().zip(classes) {
            confusion.counts[label][class] += 1;
        }
    });
    Some(confusion)
}

/// Returns the class that each row of logits predicts, and its probability.
pub(super) fn predicted(logits: &Tensor<f32>) -> Vec<(usize, f64)> {
    let width = logits.shape().last().copied().unwrap_or(1);
    let of_row = |row: &[f32]| match row {
        [logit] => {
            let probability = 1.0 / (1.0 + f64::from(-logit).exp());
            if *logit > 0.0 { (1, probability) } else { (0, 1.0 - probability) }
        }
        _ => {
            let larger = |best, class| if row[class] > row[best] { class } else { best };
            let class = (0..row.len()).reduce(larger).unwrap_or(0);
            let odds = row.iter().map(|logit| f64::from(logit - row[class]).exp());
            (class, 1.0 / odds.sum::<f64>())
        }
    };
    logits.as_slice().chunks(width.max(1)).map(of_row).collect()
}

/// Returns predictions for some rows: those that are wrong first.
fn samples(model: &Network, data: &Dataset) -> Vec<Sample> {
    let (mut wrong, mut right, mut first) = (Vec::new(), Vec::new(), 0);
    outputs(model, data, |batch, outputs| {
        for (i, sample) in of_batch(batch, outputs).into_iter().enumerate() {
            let sample = Sample { row: first + i, ..sample };
            let list = if sample.expected == sample.predicted { &mut right } else { &mut wrong };
            if list.len() < SAMPLES {
                list.push(sample);
            }
        }
        first += batch.len();
    });
    wrong.truncate(SAMPLES / 2);
    wrong.into_iter().chain(right).take(SAMPLES).collect()
}

fn of_batch(batch: &Dataset, outputs: &Tensor<f32>) -> Vec<Sample> {
    let (names, width) = (batch.targets.class_names(), outputs.numel() / batch.len().max(1));
    let numbers = |numbers: &[f32]| {
        let texts = numbers.iter().take(4).map(|number| format!("{number:.4}"));
        texts.collect::<Vec<_>>().join(" ")
    };
    let row = |i: usize| {
        let mut sample = Sample::default();
        let own = &outputs.as_slice()[i * width..][..width];
        match &batch.targets {
            Targets::Classes { labels, .. } => {
                let logits = Tensor::from_vec(own.to_vec(), [1, width]);
                let (class, probability) = predicted(&logits)[0];
                sample.expected.clone_from(&names[labels.as_slice()[i]]);
                sample.predicted.clone_from(&names[class]);
                sample.probability = Some(probability);
            }
            Targets::Values(values) => {
                sample.expected = numbers(values.take_rows(&[i]).as_slice());
                sample.predicted = numbers(own);
            }
            Targets::Tokens(_) | Targets::None => {}
        }
        if let Inputs::Numbers(inputs) = &batch.inputs {
            let row = inputs.take_rows(&[i]);
            sample.shape = row.shape()[1..].to_vec();
            sample.inputs = row.to_vec();
        }
        sample
    };
    (0..batch.len()).map(row).collect()
}
