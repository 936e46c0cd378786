//! Stretches of a tape that do not keep their values: checkpoints, which compute them again, and
//! scopes, which are dropped.

use std::ops::Range;

use crate::tape::{Kind, Record};
use crate::{Float, Tape, Var};

/// A checkpointed stretch: its nodes, and the one whose value stays.
#[derive(Clone, Debug)]
pub(crate) struct Checkpoint {
    pub(crate) nodes: Range<u32>,
    output: u32,
}

impl<'t, F: Float> Var<'t, F> {
    /// Runs `f` on this variable and forgets the values inside; a sweep that needs them computes them
    /// again. Memory is bought with a second forward; the bits are the same with and without.
    ///
    /// Chen et al. 2016, <https://arxiv.org/abs/1604.06174>.
    #[track_caller]
    pub fn checkpoint(self, f: impl FnOnce(Self) -> Self) -> Self {
        let tape = self.tape;
        let first = tape.len() as u32;
        let y = f(self);
        let output = y.on_tape(tape);
        let segment = Checkpoint { nodes: first..tape.len() as u32, output };
        let mut record = tape.record.borrow_mut();
        record.release(&segment);
        record.segments.push(segment);
        drop(record);
        y
    }
}

impl<F: Float> Tape<F> {
    /// Runs `f`, keeps only the value that it returns, as a constant, and drops all that was recorded on
    /// the way: for long evaluations. Variables made inside are gone; using one afterwards panics.
    ///
    /// # Panics
    /// If the value depends on what is differentiated: its gradient would be lost.
    #[track_caller]
    pub fn temporarily<'t>(&'t self, f: impl FnOnce() -> Var<'t, F>) -> Var<'t, F> {
        let first = self.len();
        let result = f();
        if self.infers() {
            return result;
        }
        let id = result.on_tape(self) as usize;
        let value = result.value();
        let mut record = self.record.borrow_mut();
        assert!(
            !record.nodes[id].tracked,
            "temporarily: the result depends on what is differentiated, and its gradient would be lost"
        );
        record.truncate(first);
        drop(record);
        self.constant(&value)
    }
}

impl<F: Float> Record<F> {
    /// Drops the values inside a checkpointed stretch.
    pub(crate) fn release(&mut self, segment: &Checkpoint) {
        // What a buffer is to remember leaves with the gradients.
        let updates = &self.updates;
        let kept = |id: &u32| *id == segment.output || updates.iter().any(|(_, node)| node == id);
        for id in segment.nodes.clone().filter(|id| !kept(id)) {
            let node = &mut self.nodes[id as usize];
            if node.kind == Kind::Op {
                node.value = None;
            }
        }
    }

    /// Computes the values of the checkpointed stretch around node `id` again, if it is in one and they
    /// are not there. Returns the stretch, to be released when it has been passed.
    pub(crate) fn restore(&mut self, id: u32) -> Option<Checkpoint> {
        // Of nested stretches the outer ends last, and stands last.
        let segment = self.segments.iter().rfind(|segment| segment.nodes.contains(&id))?.clone();
        let mut restored = false;
        for id in segment.nodes.clone() {
            let node = &self.nodes[id as usize];
            if node.kind == Kind::Op && node.value.is_none() {
                let value = self.op(id as usize).run(self.seen(), &node.inputs);
                let value = value.unwrap_or_else(|error| unreachable!("recompute: {error}"));
                self.nodes[id as usize].value = Some(value);
                restored = true;
            }
        }
        restored.then_some(segment)
    }

    /// Drops the nodes from number `first` on.
    fn truncate(&mut self, first: usize) {
        let kept = |leaf: &u32| (*leaf as usize) < first;
        self.nodes.truncate(first);
        self.variables.retain(kept);
        self.updates.retain(|(_, leaf)| kept(leaf));
        for known in &mut self.params {
            known.leaf = known.leaf.filter(kept);
            known.bound = known.bound.filter(kept);
        }
        self.segments.retain(|segment| segment.nodes.end as usize <= first);
        self.generation += 1;
    }
}
