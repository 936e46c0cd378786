//! Trains the net of example 03 for a number of full batches, under any optimizer.

use std::error::Error;

use rand::seq::SliceRandom;
use rand::{SeedableRng, rngs::ChaCha8Rng};
use wengert::prelude::*;

use crate::digits::Digits;
use crate::net::TwoLayer;

/// The digits, shuffled once; a third of them is held out.
pub struct Task {
    seen: Digits,
    unseen: Digits,
}

impl Task {
    pub fn load() -> Result<Self, Box<dyn Error>> {
        let (seen, unseen) = Digits::split()?;
        Ok(Self { seen, unseen })
    }

    /// Returns the loss of each step, the accuracy on unseen digits at the end, and the net.
    pub fn train(
        &self,
        optimizer: &mut Optimizer,
        batch: usize,
        steps: usize,
    ) -> (Vec<f32>, f64, TwoLayer) {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut net = TwoLayer::new(64, &mut rng);
        let (mut losses, mut order) = (Vec::new(), (0..self.seen.labels.len()).collect::<Vec<_>>());
        while losses.len() < steps {
            order.shuffle(&mut rng);
            for rows in order.chunks_exact(batch).take(steps - losses.len()) {
                let digits = self.seen.take_rows(rows);
                losses.push(optimizer.minimize(&mut net, |net| {
                    gradients(|tape| {
                        net.forward(tape.constant(&digits.pixels)).cross_entropy(&*digits.labels)
                    })
                }));
            }
        }
        let accuracy = net.accuracy(&self.unseen);
        (losses, accuracy, net)
    }
}
