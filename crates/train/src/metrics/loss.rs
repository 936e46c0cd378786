//! The mean of a loss.

/// The mean loss over rows, from the mean losses of batches.
///
/// ```
/// use wengert_train::metrics::MeanLoss;
///
/// let mut loss = MeanLoss::default();
/// loss.update(0.5, 32);
/// loss.update(0.75, 16); // A smaller last batch weighs less.
/// assert_eq!(loss.value(), (0.5 * 32.0 + 0.75 * 16.0) / 48.0);
/// ```
#[derive(Clone, Debug, Default)]
pub struct MeanLoss {
    sum: f64,
    rows: u64,
}

impl MeanLoss {
    /// Takes the mean loss of a batch of `rows` rows.
    pub fn update(&mut self, loss: f32, rows: usize) {
        self.sum += f64::from(loss) * rows as f64;
        self.rows += rows as u64;
    }

    /// Returns the mean over all rows. NaN without rows.
    pub fn value(&self) -> f64 {
        self.sum / self.rows as f64
    }

    /// Forgets all rows.
    pub fn reset(&mut self) {
        *self = Self::default();
    }
}
