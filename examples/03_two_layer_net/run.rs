//! A training run under a configuration from a TOML file. Example 13 uses it too.

use std::error::Error;
use std::num::NonZeroUsize;
use std::path::Path;

use rand::seq::SliceRandom;
use rand::{SeedableRng, rngs::ChaCha8Rng};
use serde::Deserialize;
use serde::de::IgnoredAny;
use wengert::prelude::*;

use crate::digits::Digits;
use crate::net::TwoLayer;

/// Settings of a run: all of a configuration file except its `[optimizer]` table, which
/// `Optimizer::load` reads.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    pub epochs: u64,
    pub batch_size: NonZeroUsize,
    pub hidden: NonZeroUsize,
    pub seed: u64,
    #[serde(rename = "optimizer")]
    _optimizer: IgnoredAny,
}

impl Run {
    pub fn load(file: &Path) -> Result<Self, Box<dyn Error>> {
        let located = |error: &dyn Error| format!("{}: {error}", file.display());
        let text = std::fs::read_to_string(file).map_err(|error| located(&error))?;
        Ok(toml::from_str(&text).map_err(|error| located(&error))?)
    }

    /// Trains a new net on mini-batches, shuffled in each epoch. Calls `after_epoch` with the number of
    /// epochs so far. Returns the net, and the loss and the learning rate of each step.
    ///
    /// Any recipe works: one that accumulates gradients makes its last step, and one whose rate follows
    /// a metric gets the mean loss of each epoch.
    pub fn train(
        &self,
        optimizer: &mut Optimizer,
        digits: &Digits,
        mut after_epoch: impl FnMut(u64),
    ) -> (TwoLayer, Vec<(f32, f64)>) {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        let mut net = TwoLayer::new(self.hidden.get(), &mut rng);
        let (mut history, mut order) = (vec![], (0..digits.labels.len()).collect::<Vec<_>>());
        for epoch in 1..=self.epochs {
            order.shuffle(&mut rng);
            let start = history.len();
            for batch in order.chunks(self.batch_size.get()) {
                let Digits { pixels, labels } = digits.take_rows(batch);
                let (loss, grads) =
                    gradients(|tape| net.forward(tape.constant(&pixels)).cross_entropy(labels));
                history.push((loss, optimizer.lr()));
                optimizer.step(&mut net, &grads);
            }
            optimizer.flush(&mut net);
            let losses = history[start..].iter().map(|(loss, _)| f64::from(*loss));
            optimizer.report_metric(losses.sum::<f64>() / (history.len() - start) as f64);
            after_epoch(epoch);
        }
        (net, history)
    }
}
