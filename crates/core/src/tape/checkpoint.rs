//! Memory released before the end of a recording: checkpoints, whose values are computed again, and
//! temporary stretches, which are dropped.

use std::panic::{Location, resume_unwind};

use smallvec::SmallVec;

use crate::float::PerPrecision;
use crate::tape::deferred::ComputeDeferred;
use crate::tape::outputs::Outputs;
use crate::tape::record::{Checkpoint, Content, Inputs, Kind, Mode, Record, Tape, Var};
use crate::tensor::pool;
use crate::{Float, Tensor};

impl<'t, F: Float> Var<'t, F> {
    /// Runs `f` on this variable in a [`Tape::checkpoint`]: releases the values inside, and computes them again when
    /// a sweep needs them.
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
    pub fn checkpoint<O: Outputs<'t, F>>(self, f: impl FnOnce(Self) -> O) -> O {
        self.tape.checkpoint(|| f(self))
    }
}

/// # Parts of a recording
impl<F: Float> Tape<F> {
    /// Runs `f` and releases the values that it recorded, except for those it returns. A sweep that needs them
    /// computes them again. This saves memory and costs a second forward pass. The results have the same bits as
    /// without a checkpoint.
    ///
    /// `f` may read any variable of the tape, and return one variable or several.
    ///
    /// Source: Chen et al. 2016, <https://arxiv.org/abs/1604.06174>; PyTorch's
    /// `torch.utils.checkpoint`.
    ///
    /// ```
    /// use wengert_core::{Tape, Tensor, UnaryOps};
    ///
    /// let tape = Tape::<f64>::new();
    /// let (x, y) = (tape.variable(&Tensor::scalar(0.5)), tape.variable(&Tensor::scalar(2.0)));
    /// let [product, quotient] = tape.checkpoint(|| [(x * y).tanh(), (x / y).tanh()]);
    /// let grads = (product + quotient).backward();
    /// assert!(grads.wrt(x).is_some() && grads.wrt(y).is_some());
    /// ```
    #[track_caller]
    pub fn checkpoint<'t, O: Outputs<'t, F>>(&'t self, f: impl FnOnce() -> O) -> O {
        let start = self.len() as u32;
        let (vars, outputs) = variables_of(f());
        let kept = self.numbers_of(&vars);
        let record = &mut *self.record.borrow_mut();
        let checkpoint =
            Checkpoint { nodes: start..record.nodes.len() as u32, outputs: kept, held_from: None };
        if self.mode.get().releases() {
            record.release(&checkpoint);
            record.checkpoints.push(checkpoint);
        }
        outputs
    }

    /// Runs `f`, keeps the values that it returns as constants, and leaves no other trace on the tape: what was
    /// recorded on the way is dropped; parameters that were bound, and buffers that were updated, are as before. Use it
    /// for long evaluations on one tape.
    ///
    /// `f` may return one variable, several, or nothing. Random numbers go on: they are not drawn again later.
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
    /// If a value depends on a variable or a parameter that is differentiated: its gradient would be
    /// lost. A variable made inside panics when it is used afterwards.
    #[track_caller]
    pub fn temporarily<'t, O: Outputs<'t, F>>(&'t self, f: impl FnOnce() -> O) -> O {
        let recording = Temporary { tape: self, start: Start::of(self) };
        let (vars, outputs) = variables_of(f());
        let numbers = self.numbers_of(&vars);
        if self.infers() {
            return outputs;
        }
        let mut values = SmallVec::<[Tensor<F>; 2]>::new();
        {
            let record = &mut *self.record.borrow_mut();
            F::run::<ComputeDeferred>((record, &numbers, recording.start.nodes as u32));
            for &id in &numbers {
                let node = &record.nodes[id as usize];
                assert!(
                    !node.tracked,
                    "temporarily: the result depends on a value that is differentiated; its gradient \
                     would be lost"
                );
                values.push(node.value().clone());
            }
        }
        drop(recording);
        let (mut values, line) = (values.into_iter().zip(numbers), Location::caller());
        outputs.map_vars(&mut |_| {
            let (value, source) = values.next().expect("as many values as variables");
            let var = self.leaf_at(value, false, line);
            self.note_copy(var, source);
            var
        })
    }

    /// The numbers of the nodes of variables, which must be on this tape.
    #[track_caller]
    fn numbers_of(&self, vars: &[Var<'_, F>]) -> Inputs {
        // A loop, because a closure would hide the caller's line.
        let mut numbers = Inputs::new();
        for var in vars {
            numbers.push(var.on_tape(self));
        }
        numbers
    }
}

/// The variables that a closure returned.
fn variables_of<'t, F: Float, O: Outputs<'t, F>>(outputs: O) -> (SmallVec<[Var<'t, F>; 2]>, O) {
    let mut vars = SmallVec::new();
    let outputs = outputs.map_vars(&mut |var| {
        vars.push(var);
        var
    });
    (vars, outputs)
}

/// A temporary recording. When it ends, also by a panic, the tape is as it was at the start.
struct Temporary<'t, F: Float> {
    tape: &'t Tape<F>,
    start: Start,
}

impl<F: Float> Drop for Temporary<'_, F> {
    fn drop(&mut self) {
        self.tape.mode.set(self.start.mode);
        F::run::<Rewind<'_>>((&mut *self.tape.record.borrow_mut(), &self.start));
        pool::end_step::<F>();
    }
}

/// The state of a tape at the start of a temporary recording: the lengths of its lists, and what can change in
/// place.
struct Start {
    nodes: usize,
    variables: usize,
    indices: usize,
    randoms: usize,
    params: usize,
    rebound: usize,
    updates: usize,
    checkpoints: usize,
    layers: usize,
    cursor: usize,
    mode: Mode,
}

impl Start {
    fn of<F: Float>(tape: &Tape<F>) -> Self {
        let record = tape.record.borrow();
        Self {
            nodes: record.nodes.len(),
            variables: record.variables.len(),
            indices: record.indices.len(),
            randoms: record.randoms.len(),
            params: record.params.len(),
            rebound: record.rebound.len(),
            updates: record.updates.len(),
            checkpoints: record.checkpoints.len(),
            layers: record.layers.len(),
            cursor: record.cursor,
            mode: tape.mode.get(),
        }
    }
}

/// Job of [`Record::rewind`].
struct Rewind<'x>(std::marker::PhantomData<&'x ()>);

impl<'a> PerPrecision<'a> for Rewind<'a> {
    type Input<F: Float> = (&'a mut Record<F>, &'a Start);
    type Output<F: Float> = ();
    fn f32((record, start): Self::Input<f32>) {
        record.rewind(start);
    }
    fn f64((record, start): Self::Input<f64>) {
        record.rewind(start);
    }
}

impl<F: Float> Record<F> {
    /// Drops the values inside a checkpoint.
    pub(crate) fn release(&mut self, checkpoint: &Checkpoint) {
        // The new value of a buffer leaves with the gradients.
        let updates = &self.updates;
        let kept = |id: u32| {
            checkpoint.outputs.contains(&id) || updates.iter().any(|&(_, node)| node == id)
        };
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
        let place = self.restore_place(id)?;
        Some(self.checkpoints[place].clone())
    }

    /// Computes the released values around node `id`, which stay: nodes that are yet to be recorded read them.
    pub(crate) fn restore_and_hold(&mut self, id: u32) {
        if let Some(place) = self.restore_place(id) {
            self.checkpoints[place].held_from = Some(self.nodes.len() as u32);
        }
    }

    fn restore_place(&mut self, id: u32) -> Option<usize> {
        // Of nested checkpoints the outer one ends last, and stands last.
        let around = |checkpoint: &Checkpoint| checkpoint.nodes.contains(&id);
        let place = self.checkpoints.iter().rposition(around)?;
        let mut restored = false;
        for id in self.checkpoints[place].nodes.clone().map(|id| id as usize) {
            if matches!(self.nodes[id].content, Content::Released) {
                let value = self.recompute(id);
                self.nodes[id].content = Content::Value(value);
                restored = true;
            }
        }
        restored.then_some(place)
    }

    /// Computes the value of an operation from the values of its inputs.
    pub(crate) fn recompute(&self, id: usize) -> Tensor<F> {
        let (op, view, node) = (self.op(id), self.view(), &self.nodes[id]);
        let (values, index) = view.split(&node.inputs);
        let value = match node.content {
            Content::Deferred { shape, .. } => op.forward(&view.values(values), index, shape),
            _ => op.compute(&view.values(values), index),
        };
        value.unwrap_or_else(|mistake| resume_unwind(Box::new(mistake.in_operation(&op.name()))))
    }

    /// Takes back what was recorded since the start of a temporary recording.
    fn rewind(&mut self, start: &Start) {
        for (slot, bound) in self.rebound.drain(start.rebound..).rev() {
            self.params[slot].bound = bound;
        }
        self.updates.truncate(start.updates);
        self.checkpoints.truncate(start.checkpoints);
        self.layers.truncate(start.layers);
        self.cursor = start.cursor;
        if self.infers() {
            // A tape that infers shapes keeps the nodes, whose figures count.
            return;
        }
        if let Some(trace) = &mut self.trace {
            trace.layers.retain(|mark| mark.nodes.end <= start.nodes);
        }
        if self.repeat.is_some() {
            self.keep_temporary(start.nodes);
        } else {
            self.nodes.truncate(start.nodes);
            self.indices.truncate(start.indices);
            self.randoms.truncate(start.randoms);
        }
        self.variables.truncate(start.variables);
        self.params.truncate(start.params);
        let kept = |node: &u32| (*node as usize) < start.nodes;
        for slot in &mut self.params {
            slot.leaf = slot.leaf.filter(kept);
            slot.bound = slot.bound.filter(kept);
        }
        for place in 0..self.checkpoints.len() {
            // The derivatives that read these values are gone.
            if self.checkpoints[place].held_from.is_some_and(|from| !kept(&from)) {
                self.checkpoints[place].held_from = None;
                let checkpoint = self.checkpoints[place].clone();
                self.release(&checkpoint);
            }
        }
        self.generation = self.generation.wrapping_add(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::random::Random;
    use crate::{IndexOps, MovementOps, Param, ReduceOps, UnaryOps, grad, seeded};

    fn lengths(tape: &Tape<f64>) -> [usize; 8] {
        let r = tape.record.borrow();
        let [nodes, variables, indices] = [r.nodes.len(), r.variables.len(), r.indices.len()];
        let [randoms, params, updates] = [r.randoms.len(), r.params.len(), r.updates.len()];
        [nodes, variables, indices, randoms, params, updates, r.rebound.len(), r.checkpoints.len()]
    }

    #[test]
    fn a_temporary_recording_shortens_every_list_to_what_it_was() {
        let tape = seeded(0).tape();
        let x = tape.variable(&Tensor::ones([2, 2]));
        let p = Param::new(Tensor::ones([2, 2]));
        tape.bind(&p, x);
        let before = lengths(&tape);
        tape.temporarily(|| {
            let own = Param::new(Tensor::ones([2, 2]));
            let y = tape.random([2, 2], Random::Normal) * &own + tape.variable(&Tensor::ones([2]));
            tape.bind(&p, y);
            tape.update_buffer(&crate::Buffer::new(Tensor::ones([2, 2])), x);
            y.checkpoint(|y| y.exp()).pick([0, 1]);
        });
        assert_eq!(lengths(&tape), before);
    }

    #[test]
    fn values_that_a_temporary_derivative_restored_are_released_again() {
        let tape = Tape::<f64>::new();
        let x = tape.variable(&Tensor::scalar(2.0));
        let y = x.checkpoint(|x| x.exp().sin()).sum();
        let held =
            || tape.record.borrow().nodes.iter().filter(|n| n.value_if_held().is_some()).count();
        let before = held();
        tape.temporarily(|| grad(y, &[x])[0].stop_gradient());
        assert_eq!(held(), before + 1);
        // A derivative that stays needs the values.
        let first = grad(y, &[x])[0];
        let after = held();
        tape.temporarily(|| grad(y, &[x])[0].stop_gradient());
        assert_eq!(held(), after + 1);
        assert!(grad(first, &[x])[0].item().is_finite());
    }
}
