//! Memory of tensors: shared, copied on write, and reused from step to step.

use std::sync::Arc;

use crate::Float;
use crate::tensor::pool;

/// A shared buffer of numbers, at least as long as the tensor that reads it; its tail is arbitrary.
pub(crate) struct Storage<F: Float>(Option<Arc<Vec<F>>>); // `None` is the empty buffer

impl<F: Float> Storage<F> {
    /// The empty buffer.
    pub(crate) const NOTHING: Self = Self(None);

    /// A buffer of at least `len` arbitrary numbers, NaN in debug builds; `None` if the machine cannot give it.
    pub(crate) fn scratch(len: usize) -> Option<Self> {
        if len == 0 {
            return Some(Self(None));
        }
        let mut buffer = pool::take(len)?;
        if cfg!(debug_assertions) {
            // A kernel that reads what it did not write is found, and does not meet zeros by chance.
            Arc::get_mut(&mut buffer).expect("a single owner").fill(F::NAN);
        }
        Some(Self(Some(buffer)))
    }

    /// A buffer with the numbers of `data`, which are not copied.
    pub(crate) fn from_vec(data: Vec<F>) -> Self {
        Self((!data.is_empty()).then(|| Arc::new(data)))
    }

    #[inline]
    pub(crate) fn as_slice(&self) -> &[F] {
        self.0.as_deref().map_or(&[], Vec::as_slice)
    }

    pub(crate) fn is_shared_with(&self, other: &Self) -> bool {
        matches!((&self.0, &other.0), (Some(own), Some(other)) if Arc::ptr_eq(own, other))
    }

    /// The first `len` numbers for writing, with arbitrary contents. A shared buffer is left to the others.
    #[inline]
    pub(crate) fn overwrite(&mut self, len: usize) -> &mut [F] {
        if self.0.as_ref().is_some_and(|shared| Arc::strong_count(shared) > 1) {
            *self = Self::scratch(len).expect("memory for another tensor of this size");
        }
        let Some(own) = &mut self.0 else { return &mut [] };
        let own = &mut Arc::get_mut(own).expect("a single owner")[..len];
        if cfg!(debug_assertions) {
            own.fill(F::NAN);
        }
        own
    }

    /// The first `len` numbers for writing; they are copied first if the buffer is shared.
    pub(crate) fn make_mut(&mut self, len: usize) -> &mut [F] {
        // Nobody holds weak references. Reading the count is cheaper than a second `get_mut`, which locks.
        if self.0.as_ref().is_some_and(|shared| Arc::strong_count(shared) > 1) {
            let mut own = Self::scratch(len).expect("memory for a copy of the tensor");
            own.make_mut(len).copy_from_slice(&self.as_slice()[..len]);
            *self = own;
        }
        match &mut self.0 {
            Some(own) => &mut Arc::get_mut(own).expect("a single owner")[..len],
            None => &mut [],
        }
    }
}

impl<F: Float> Clone for Storage<F> {
    #[inline]
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<F: Float> Drop for Storage<F> {
    fn drop(&mut self) {
        if let Some(last) = self.0.take()
            && Arc::strong_count(&last) == 1
        {
            pool::give(last);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(debug_assertions)]
    fn fresh_memory_is_poisoned_also_when_it_is_reused() {
        for _ in 0..2 {
            let mut fresh = Storage::<f32>::scratch(100).unwrap();
            assert!(fresh.as_slice().iter().all(|x| x.is_nan()));
            fresh.make_mut(100).fill(1.0);
        }
    }

    #[test]
    fn writing_does_not_reach_other_readers() {
        let mut a = Storage::from_vec(vec![1.0, 2.0]);
        let b = a.clone();
        a.make_mut(2)[0] = 5.0;
        assert_eq!(b.as_slice(), [1.0, 2.0]);
        assert_eq!(a.as_slice()[..2], [5.0, 2.0]);
    }
}
