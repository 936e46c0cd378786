//! The first-order sweep, and the functions that run it.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind};

use crate::op::Cotangent;
use crate::tape::checkpoint::Checkpoint;
use crate::tape::erased::TapeView;
use crate::tape::reuse::{borrow_tape, return_tape, spare_list};
use crate::tape::{Kind, Mode, ParamSlot, Record};
use crate::{Float, Gradients, Shape, Tape, Tensor, Var};

/// Runs `f` on a tape that records for training, differentiates the loss that it returns, and gives
/// the loss with the gradients of all parameters.
///
/// The tape is gone when this returns, so that an optimizer writes parameters in place.
///
/// # Panics
/// If the loss has more than one element.
#[track_caller]
pub fn gradients<F: Float>(f: impl for<'t> FnOnce(&'t Tape<F>) -> Var<'t, F>) -> (F, Gradients<F>) {
    Seeded(None).gradients(f)
}

/// As [`gradients`], with something else that `f` computed on the way: `(loss, gradients, aux)`.
#[track_caller]
pub fn gradients_with<F: Float, A>(
    f: impl for<'t> FnOnce(&'t Tape<F>) -> (Var<'t, F>, A),
) -> (F, Gradients<F>, A) {
    Seeded(None).gradients_with(f)
}

/// Runs `f` on a tape that records for evaluation, and gives the value that it returns. Nothing is
/// differentiated.
pub fn evaluate<F: Float>(f: impl for<'t> FnOnce(&'t Tape<F>) -> Var<'t, F>) -> Tensor<F> {
    Seeded(None).evaluate(f)
}

/// [`gradients`] and [`evaluate`] with a key that random layers draw from:
/// `seeded(7).gradients(|tape| ..)`. Take another key for each step. Without a key a random layer
/// panics in training, rather than draw the same numbers at every step.
pub fn seeded(seed: u64) -> Seeded {
    Seeded(Some(seed))
}

/// What [`seeded`] returns.
#[derive(Clone, Copy, Debug)]
pub struct Seeded(Option<u64>);

impl Seeded {
    /// A tape that records for training with this key, for whoever takes derivatives by hand.
    pub fn tape<F: Float>(self) -> Tape<F> {
        Tape::with_mode(Mode { tracking: true, training: true, seed: self.0 })
    }

    /// As [`gradients`].
    #[track_caller]
    pub fn gradients<F: Float>(
        self,
        f: impl for<'t> FnOnce(&'t Tape<F>) -> Var<'t, F>,
    ) -> (F, Gradients<F>) {
        let (loss, gradients, ()) = self.gradients_with(|tape| (f(tape), ()));
        (loss, gradients)
    }

    /// As [`gradients_with`].
    #[track_caller]
    pub fn gradients_with<F: Float, A>(
        self,
        f: impl for<'t> FnOnce(&'t Tape<F>) -> (Var<'t, F>, A),
    ) -> (F, Gradients<F>, A) {
        let mut tape = borrow_tape(Mode { tracking: true, training: true, seed: self.0 });
        let (loss, aux) = f(&tape);
        check_scalar(loss.shape());
        let (id, value) = (loss.on_tape(&tape), loss.item());
        let gradients = tape.record.get_mut().backward(id, true, |_, _, _, _| ());
        return_tape(tape);
        (value, gradients, aux)
    }

    /// As [`evaluate`].
    pub fn evaluate<F: Float>(
        self,
        f: impl for<'t> FnOnce(&'t Tape<F>) -> Var<'t, F>,
    ) -> Tensor<F> {
        let tape = borrow_tape(Mode { tracking: false, training: false, seed: self.0 });
        let value = f(&tape).value();
        return_tape(tape);
        value
    }
}

impl<F: Float> Var<'_, F> {
    /// Differentiates this loss: the gradients of all parameters and variables of the tape.
    ///
    /// # Panics
    /// If this has more than one element.
    #[track_caller]
    pub fn backward(self) -> Gradients<F> {
        check_scalar(self.shape());
        self.tape.record.borrow_mut().backward(self.id, false, |_, _, _, _| ())
    }
}

impl<F: Float> Record<F> {
    /// The first-order sweep. With `release`, values are dropped as soon as they are not needed. `watch`
    /// sees what each rule gave: the node, the input, the output's cotangent, the input's so far.
    pub(crate) fn backward(
        &mut self,
        loss: u32,
        release: bool,
        mut watch: impl FnMut(usize, usize, &Tensor<F>, Option<&Tensor<F>>),
    ) -> Gradients<F> {
        let last = loss as usize;
        let value = |&(id, node): &(_, u32)| (id, self.nodes[node as usize].value().clone());
        let updates = self.updates.iter().map(value).collect();
        let mut cotangents = std::mem::take(&mut self.cotangents);
        cotangents.clear();
        cotangents.resize_with(last + 1, || None);
        if self.nodes[last].tracked {
            cotangents[last] = Some(Tensor::full(self.nodes[last].value().shape(), F::ONE));
        }
        let current = Cell::new(last);
        let swept = catch_unwind(AssertUnwindSafe(|| {
            // A checkpointed stretch whose values are there for now.
            let mut restored: Option<Checkpoint> = None;
            for at in (0..=last).rev() {
                if let Some(passed) = restored.take_if(|segment| (at as u32) < segment.nodes.start)
                {
                    self.release(&passed);
                }
                if self.nodes[at].kind != Kind::Op {
                    continue;
                }
                let (before, rest) = cotangents.split_at_mut(at);
                if let Some(g) = rest[0].take() {
                    current.set(at);
                    if !self.segments.is_empty() {
                        restored = self.restore(at as u32).or(restored);
                    }
                    let Self { nodes, ops, indices, .. } = &*self;
                    let op = ops[at].as_deref().expect("an operation");
                    for (i, &input) in nodes[at].inputs.iter().enumerate() {
                        let from = &nodes[input as usize];
                        if from.tracked {
                            let gathered = &mut before[input as usize];
                            let into = Cotangent::new(from.value().shape(), gathered);
                            op.vjp_into(i, TapeView { nodes, indices, shapes: &[] }, at, &g, into);
                            watch(at, i, &g, before[input as usize].as_ref());
                        }
                    }
                }
                if release {
                    self.nodes[at].value = None;
                }
            }
            if let Some(passed) = restored {
                self.release(&passed);
            }
        }));
        if let Err(panic) = swept {
            let at = current.get();
            rethrow(panic, &self.op(at).name(), self.nodes[at].location);
        }
        let mut params = spare_list();
        let mut arrived = |leaf: u32| cotangents.get_mut(leaf as usize).and_then(Option::take);
        for &ParamSlot { id, leaf, .. } in &self.params {
            if let Some(g) = leaf.and_then(&mut arrived) {
                params.push((id, g));
            }
        }
        let variables =
            self.variables.iter().filter_map(|&leaf| Some((leaf, arrived(leaf)?))).collect();
        self.cotangents = cotangents;
        Gradients { params, variables, updates }
    }
}

/// Goes on with a panic from inside a rule, naming the user's line that recorded the operation.
#[cold]
pub(crate) fn rethrow(panic: Box<dyn Any + Send>, op: &str, recorded: &Location<'_>) -> ! {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    match text.or_else(|| panic.downcast_ref::<&str>().copied()) {
        Some(text) => panic!("{text}\n  while differentiating {op} recorded at {recorded}"),
        None => resume_unwind(panic),
    }
}

#[track_caller]
pub(crate) fn check_scalar(shape: Shape) {
    assert!(shape.numel() == 1, "gradients: the loss has shape {shape:?}, not one element");
}
