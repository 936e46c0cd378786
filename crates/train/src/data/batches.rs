//! Batches of rows, as a function of epoch and batch.

use rand::rngs::ChaCha8Rng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};

/// The order in which training visits the rows of a dataset: which rows make batch `batch` of epoch `epoch`.
///
/// The rows are a function of these two numbers and the settings. So a position in the training is two numbers,
/// and a run that resumes there needs no state of a generator.
///
/// ```
/// use wengert_train::data::Batches;
///
/// let batches = Batches::new(10).size(4).seed(7);
/// assert_eq!(batches.per_epoch(), 3);
/// let epoch: Vec<Vec<usize>> = batches.epoch(0).collect();
/// assert_eq!(epoch[1], batches.rows(0, 1));
/// assert_eq!(epoch[2].len(), 2); // Two rows are left.
///
/// let mut rows = epoch.concat();
/// rows.sort();
/// assert_eq!(rows, (0..10).collect::<Vec<_>>());
/// assert_ne!(batches.rows(0, 0), batches.rows(1, 0)); // Each epoch has its own order.
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batches {
    len: usize,
    size: usize,
    seed: u64,
    shuffled: bool,
    drop_last: bool,
}

impl Batches {
    /// Makes batches of `len` rows. Default: 32 rows a batch, shuffled with seed 0; the last batch may be
    /// smaller.
    pub fn new(len: usize) -> Self {
        Self { len, size: 32, seed: 0, shuffled: true, drop_last: false }
    }

    /// Sets the number of rows of a batch: 1 for stochastic gradient descent, the number of all rows for full
    /// batches.
    ///
    /// # Panics
    /// If it is 0.
    #[track_caller]
    pub fn size(mut self, size: usize) -> Self {
        assert!(size > 0, "Batches: a batch has at least one row");
        self.size = size;
        self
    }

    /// Sets the seed of the orders.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Leaves the rows in their order, in each epoch.
    pub fn in_order(mut self) -> Self {
        self.shuffled = false;
        self
    }

    /// Leaves out a last batch that is smaller than the others.
    pub fn drop_last(mut self) -> Self {
        self.drop_last = true;
        self
    }

    /// Returns the number of rows.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Returns whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns the number of batches of an epoch.
    pub fn per_epoch(&self) -> usize {
        match self.drop_last {
            true => self.len / self.size,
            false => self.len.div_ceil(self.size),
        }
    }

    /// Returns the rows of batch `batch` of epoch `epoch`, both counted from 0. To visit a whole epoch use
    /// [`epoch`](Self::epoch), which shuffles once.
    ///
    /// # Panics
    /// If the epoch has fewer batches.
    #[track_caller]
    pub fn rows(&self, epoch: u64, batch: usize) -> Vec<usize> {
        let batches = self.per_epoch();
        assert!(batch < batches, "Batches: batch {batch} is out of range (0..{batches})");
        self.epoch(epoch).nth(batch).expect("the batch is in range")
    }

    /// Returns the rows of each batch of an epoch. Skips to a position with `.skip(batch)`.
    pub fn epoch(&self, epoch: u64) -> Epoch {
        let mut order: Vec<usize> = (0..self.len).collect();
        if self.shuffled {
            order.shuffle(&mut generator(self.seed, epoch));
        }
        order.truncate(self.per_epoch().saturating_mul(self.size));
        Epoch { order, size: self.size, next: 0 }
    }
}

/// The batches of one epoch: an iterator over the rows of each.
#[derive(Clone, Debug)]
pub struct Epoch {
    order: Vec<usize>,
    size: usize,
    next: usize,
}

impl Iterator for Epoch {
    type Item = Vec<usize>;

    fn next(&mut self) -> Option<Vec<usize>> {
        let rest = &self.order[self.next..];
        let batch = rest[..self.size.min(rest.len())].to_vec();
        self.next += batch.len();
        (!batch.is_empty()).then_some(batch)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = (self.order.len() - self.next).div_ceil(self.size);
        (left, Some(left))
    }

    fn nth(&mut self, n: usize) -> Option<Vec<usize>> {
        self.next = n.saturating_mul(self.size).saturating_add(self.next).min(self.order.len());
        self.next()
    }
}

impl ExactSizeIterator for Epoch {}

/// Returns the generator of a stream of the seed's numbers. The streams of one seed are independent.
pub(super) fn generator(seed: u64, stream: u64) -> impl Rng {
    let mut generator = ChaCha8Rng::seed_from_u64(seed);
    generator.set_stream(stream);
    generator
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_of_batches() {
        let sizes = |batches: Batches| batches.epoch(3).map(|rows| rows.len()).collect::<Vec<_>>();
        assert_eq!(sizes(Batches::new(7).size(3)), [3, 3, 1]);
        assert_eq!(sizes(Batches::new(7).size(3).drop_last()), [3, 3]);
        assert_eq!(sizes(Batches::new(6).size(3)), [3, 3]);
        assert_eq!(sizes(Batches::new(3).size(1)), [1, 1, 1]);
        assert_eq!(sizes(Batches::new(3).size(3)), [3]);
        assert_eq!(sizes(Batches::new(3).size(usize::MAX)), [3]);
        assert_eq!(sizes(Batches::new(3).size(5).drop_last()), [0; 0]);
        assert_eq!(sizes(Batches::new(0)), [0; 0]);
        assert_eq!(Batches::new(7).size(3).epoch(0).skip(1).len(), 2);
    }

    #[test]
    fn order_depends_on_seed_and_epoch_alone() {
        let order = |seed, epoch| Batches::new(50).seed(seed).epoch(epoch).collect::<Vec<_>>();
        assert_eq!(order(1, 2), order(1, 2));
        assert_ne!(order(1, 2), order(2, 2));
        assert_ne!(order(1, 2), order(1, 3));
        let in_order = Batches::new(5).size(2).in_order();
        assert_eq!(in_order.rows(9, 2), [4]);
        assert_eq!(in_order.rows(9, 0), [0, 1]);
    }

    #[test]
    #[should_panic = "batch 2 is out of range (0..2)"]
    fn batch_out_of_range() {
        Batches::new(4).size(2).rows(0, 2);
    }
}
