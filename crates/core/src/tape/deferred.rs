//! Values that are computed when they are read, on a tape that differentiates nothing.
//!
//! [`evaluate`](crate::evaluate) records the shapes of all values first. When one is read, and at the end, the
//! operations that it depends on are known, and so is the last reader of each value, after which the value is
//! dropped. Evaluating a deep network takes the memory of its widest part and not of all its layers.
//!
//! A value that is read in the middle may be needed again by operations that are yet to come. A large value is dropped
//! even so, and computed again if it is needed: at most once, because it then stays.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::Float;
use crate::error::rethrow;
use crate::float::PerPrecision;
use crate::tape::record::{Content, Kind, Readers, Record};

/// Job of [`Record::compute_deferred`].
pub(crate) struct ComputeDeferred;

impl<'a> PerPrecision<'a> for ComputeDeferred {
    type Input<F: Float> = (&'a mut Record<F>, &'a [u32], u32);
    type Output<F: Float> = ();
    fn f32((record, outputs, dead_from): Self::Input<f32>) {
        record.compute_deferred(outputs, dead_from);
    }
    fn f64((record, outputs, dead_from): Self::Input<f64>) {
        record.compute_deferred(outputs, dead_from);
    }
}

impl<F: Float> Record<F> {
    /// The `dead_from` of [`Record::compute_deferred`] where any value may be read again.
    pub(crate) const NONE_DEAD: u32 = u32::MAX;

    /// Computes the deferred values among these, and all that they are computed from. Nodes from number `dead_from` on
    /// are not read again after this, except for `outputs`.
    #[track_caller]
    pub(crate) fn compute_deferred(&mut self, outputs: &[u32], dead_from: u32) {
        if outputs.iter().all(|&id| !self.is_deferred(id)) {
            return;
        }
        let first = self.count_readers(outputs);
        let last = outputs.iter().copied().max().unwrap_or(0);
        let mut current = first as usize;
        let computed = catch_unwind(AssertUnwindSafe(|| {
            for id in first..=last {
                if self.is_deferred(id) && self.readers[id as usize].count > 0 {
                    current = id as usize;
                    self.compute_one(id, dead_from);
                }
            }
        }));
        if let Err(panic) = computed {
            self.readers.clear();
            rethrow(panic, "computing", &self.op(current).name(), self.nodes[current].location);
        }
        for &id in outputs {
            self.readers[id as usize] = Readers::default();
        }
    }

    fn is_deferred(&self, id: u32) -> bool {
        matches!(self.nodes[id as usize].content, Content::Deferred { .. })
    }

    /// Counts the readers of each value that is to be computed or read. Returns the first node to be computed.
    fn count_readers(&mut self, outputs: &[u32]) -> u32 {
        if self.readers.len() < self.nodes.len() {
            self.readers.resize(self.nodes.len(), Readers::default());
        }
        // The number of nodes that are known to be computed, and not yet passed.
        let mut open = 0;
        for &id in outputs {
            open += self.add_reader(id);
        }
        let mut at = outputs.iter().copied().max().unwrap_or(0);
        loop {
            if self.is_deferred(at) && self.readers[at as usize].count > 0 {
                open -= 1;
                for place in 0..self.nodes[at as usize].inputs.len() {
                    open += self.add_reader(self.nodes[at as usize].inputs[place]);
                }
            }
            if open == 0 {
                return at;
            }
            at -= 1;
        }
    }

    /// Counts a reader. Returns 1 if this is the first of a value to be computed, else 0.
    fn add_reader(&mut self, id: u32) -> usize {
        let readers = &mut self.readers[id as usize];
        readers.count += 1;
        usize::from(readers.count == 1 && self.is_deferred(id))
    }

    /// Computes a value, and drops those inputs of which it is the last reader.
    fn compute_one(&mut self, id: u32, dead_from: u32) {
        let Content::Deferred { again, .. } = self.nodes[id as usize].content else { return };
        let value = self.recompute(id as usize);
        self.nodes[id as usize].content = Content::Value(value);
        self.readers[id as usize].fresh = !again;
        for place in 0..self.nodes[id as usize].inputs.len() {
            let input = self.nodes[id as usize].inputs[place];
            let readers = &mut self.readers[input as usize];
            readers.count -= 1;
            if readers.count == 0 {
                let fresh = std::mem::take(readers).fresh;
                self.drop_read(input, input >= dead_from, fresh);
            }
        }
    }

    /// Drops a value after its last reader: for good if it is dead, and not a constant of a recording that repeats; to be computed again if it is large, and was
    /// computed just now for the first time.
    fn drop_read(&mut self, id: u32, dead: bool, fresh: bool) {
        /// Number of elements of a value that is worth dropping.
        const LARGE: usize = 1 << 14;
        let node = &mut self.nodes[id as usize];
        let Content::Value(value) = &node.content else { return };
        if dead && (node.kind == Kind::Op || self.repeat.is_none()) {
            node.content = Content::Released;
        } else if fresh && node.kind == Kind::Op && value.numel() >= LARGE {
            node.content = Content::Deferred { shape: value.shape(), again: true };
        }
    }
}
