//! A value for each node of a part of the tape.

use crate::{Float, Var};

/// One entry for each node of a part of the tape. Nodes outside have the default, and setting them does
/// nothing.
pub(super) struct PerNode<T> {
    first: u32,
    entries: Vec<T>,
}

impl<T: Copy + Default> PerNode<T> {
    pub(super) fn new(first: u32, last: u32) -> Self {
        let length = (last + 1).saturating_sub(first);
        Self { first, entries: vec![T::default(); length as usize] }
    }

    pub(super) fn get(&self, id: u32) -> T {
        let place = id.checked_sub(self.first);
        place.and_then(|place| self.entries.get(place as usize).copied()).unwrap_or_default()
    }

    pub(super) fn set(&mut self, id: u32, entry: T) {
        if let Some(place) = id.checked_sub(self.first)
            && let Some(own) = self.entries.get_mut(place as usize)
        {
            *own = entry;
        }
    }
}

impl<'t, F: Float> PerNode<Option<Var<'t, F>>> {
    pub(super) fn add(&mut self, id: u32, term: Var<'t, F>) {
        self.set(id, Some(self.get(id).map_or(term, |sum| sum + term)));
    }
}
