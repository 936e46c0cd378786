//! A two-layer net for the digits. Examples 11 to 13 use it too.

use rand::rngs::ChaCha8Rng;
use wengert::prelude::*;

use crate::digits::Digits;

/// `relu(x A + a) B + b`: one logit for each digit.
pub struct TwoLayer {
    pub hidden: Linear,
    pub output: Linear,
}

params! { TwoLayer { hidden, output } }

impl Module for TwoLayer {
    fn forward<'t>(&self, x: Var<'t>) -> Var<'t> {
        self.output.forward(self.hidden.forward(x).relu())
    }
}

impl TwoLayer {
    pub fn new(hidden: usize, rng: &mut ChaCha8Rng) -> Self {
        Self { hidden: Linear::new(64, hidden, rng), output: Linear::new(hidden, 10, rng) }
    }

    /// Returns the fraction of digits that are classified correctly.
    pub fn accuracy(&self, digits: &Digits) -> f64 {
        let found = evaluate(|tape| self.forward(tape.constant(&digits.pixels))).argmax();
        let correct = found.as_slice().iter().zip(&digits.labels).filter(|(a, b)| a == b);
        correct.count() as f64 / digits.labels.len() as f64
    }
}
