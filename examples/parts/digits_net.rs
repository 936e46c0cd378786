//! A two-layer net on the handwritten digits, trained by any recipe: what several examples share.

use std::error::Error;
use std::path::Path;

use rand::seq::SliceRandom;
use rand::{SeedableRng, rngs::ChaCha8Rng};
use wengert::prelude::*;

pub use crate::data::Digits;

/// `relu(x A + a) B + b`.
pub struct Net {
    hidden: Linear,
    output: Linear,
}
params! { Net { hidden, output } }

impl Module for Net {
    fn forward<'t>(&self, x: Var<'t>) -> Var<'t> {
        self.output.forward(self.hidden.forward(x).relu())
    }
}

/// The digits in an order that is always the same, a third of them held out.
pub struct Task {
    seen: Digits,
    unseen: Digits,
}

impl Task {
    pub fn load() -> Result<Self, Box<dyn Error>> {
        let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
        let digits = Digits::load(&examples.join("data/digits.csv"))?;
        let mut order = (0..digits.labels.len()).collect::<Vec<_>>();
        order.shuffle(&mut ChaCha8Rng::seed_from_u64(0));
        let (unseen, seen) = order.split_at(order.len() / 3);
        Ok(Self { seen: digits.take_rows(seen), unseen: digits.take_rows(unseen) })
    }

    /// Trains a new net; the loss of each step, and the accuracy on unseen digits at the end.
    pub fn train(
        &self,
        optimizer: &mut Optimizer,
        batch: usize,
        steps: usize,
    ) -> (Vec<f32>, f64, Net) {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut net =
            Net { hidden: Linear::new(64, 64, &mut rng), output: Linear::new(64, 10, &mut rng) };
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
        let said = evaluate(|tape| net.forward(tape.constant(&self.unseen.pixels))).argmax();
        let right = said.as_slice().iter().zip(&self.unseen.labels).filter(|(a, b)| a == b);
        let accuracy = right.count() as f64 / self.unseen.labels.len() as f64;
        (losses, accuracy, net)
    }
}
