//! Memory released before the end of a recording: checkpoints, whose values are computed again, and
//! temporary stretches, which are dropped.

use crate::tape::record::{Checkpoint, Content, Kind, Record, Tape, Var};
use crate::{Float, Tensor};

impl<'t, F: Float> Var<'t, F> {
    /// Runs `f` on this variable and releases the values inside. A sweep that needs them computes them again. This
    /// saves memory and costs a second forward pass. The result has the same bits as without a checkpoint.
    ///
    /// Source: Chen et al. 2016, <https://arxiv.org/abs/1604.06174>; PyTorch's
    /// `torch.utils.checkpoint`.
    ///
    /// ```
    /// use wengert_core::{ReduceOps, Tape, Tensor, UnaryOps};
    ///
    /// let tape = Tape::<f64>::new();
    /// let x = tape.variable(&Tensor::from([0.5, 1.0]));
    /// let loss = x.checkpoint(|x| x.sin().exp().sqrt()).sum();
    /// assert_eq!(loss.backward().wrt(x).unwrap().numel(), 2);
    /// ```
    #[track_caller]
    pub fn checkpoint(self, f: impl FnOnce(Self) -> Self) -> Self {
        let tape = self.tape;
        let start = tape.len() as u32;
        let y = f(self);
        let output = y.on_tape(tape);
        let checkpoint = Checkpoint { nodes: start..tape.len() as u32, output };
        let record = &mut *tape.record.borrow_mut();
        record.release(&checkpoint);
        record.checkpoints.push(checkpoint);
        y
    }
}

impl<F: Float> Tape<F> {
    /// Runs `f`, keeps the value that it returns as a constant, and drops everything else that was
    /// recorded on the way. Use it for long evaluations on one tape.
    ///
    /// ```
    /// use wengert_core::{Tape, Tensor, UnaryOps};
    ///
    /// let tape = Tape::<f64>::new();
    /// let mut x = tape.constant(&Tensor::scalar(1.0));
    /// for _ in 0..1000 {
    ///     x = tape.temporarily(|| x.cos());
    /// }
    /// assert!((x.item() - 0.739_085).abs() < 1e-6);
    /// ```
    ///
    /// # Panics
    /// If the value depends on a variable or a parameter that is differentiated: its gradient would be
    /// lost. A variable made inside panics when it is used afterwards.
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
            "temporarily: the result depends on a value that is differentiated; its gradient would \
             be lost"
        );
        record.truncate(first);
        drop(record);
        self.constant(&value)
    }
}

impl<F: Float> Record<F> {
    /// Drops the values inside a checkpoint.
    pub(crate) fn release(&mut self, checkpoint: &Checkpoint) {
        // The new value of a buffer leaves with the gradients.
        let updates = &self.updates;
        let kept = |id: u32| id == checkpoint.output || updates.iter().any(|&(_, node)| node == id);
        for id in checkpoint.nodes.clone().filter(|&id| !kept(id)) {
            let node = &mut self.nodes[id as usize];
            if node.kind == Kind::Op && node.value_if_held().is_some() {
                node.content = Content::Released;
            }
        }
    }

    /// Computes the released values of the checkpoint around node `id`, if there are any. Returns the
    /// checkpoint, to be released when the sweep has passed it.
    pub(crate) fn restore(&mut self, id: u32) -> Option<Checkpoint> {
        // Of nested checkpoints the outer one ends last, and stands last.
        let around = |checkpoint: &&Checkpoint| checkpoint.nodes.contains(&id);
        let checkpoint = self.checkpoints.iter().rfind(around)?.clone();
        let mut restored = false;
        for id in checkpoint.nodes.clone().map(|id| id as usize) {
            if matches!(self.nodes[id].content, Content::Released) {
                let value = self.recompute(id);
                self.nodes[id].content = Content::Value(value);
                restored = true;
            }
        }
        restored.then_some(checkpoint)
    }

    /// Computes the value of an operation from the values of its inputs.
    pub(crate) fn recompute(&self, id: usize) -> Tensor<F> {
        let (op, view) = (self.op(id), self.view());
        let (values, index) = view.split(&self.nodes[id].inputs);
        let value = op.compute(&view.values(values), index);
        value.expect("the shapes fitted when it was recorded")
    }

    /// Drops the nodes from number `first` on.
    fn truncate(&mut self, first: usize) {
        let kept = |leaf: &u32| (*leaf as usize) < first;
        self.nodes.truncate(first);
        self.variables.retain(kept);
        self.updates.retain(|(_, node)| kept(node));
        for slot in &mut self.params {
            slot.leaf = slot.leaf.filter(kept);
            slot.bound = slot.bound.filter(kept);
        }
        self.checkpoints.retain(|checkpoint| checkpoint.nodes.end as usize <= first);
        self.generation += 1;
    }
}
