//! The backward sweep, and the functions that run it.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind};

use crate::op::{Cotangent, Value};
use crate::ops::reduce::sum_to;
use crate::recorded::Seen;
use crate::tape::{Kind, Record, Setting};
use crate::workshop::{borrow_tape, return_tape, spare_list};
use crate::{Array, Float, Gradients, Shape, Tape, Var};

/// Runs `f` on a tape that records for training, differentiates the loss that it returns, and gives
/// the loss with the gradients of all parameters.
///
/// The tape is gone when this returns, so that an optimizer writes parameters in place.
///
/// # Panics
/// If the loss has more than one element.
#[track_caller]
pub fn gradients<F: Float>(f: impl for<'t> FnOnce(&'t Tape<F>) -> Var<'t, F>) -> (F, Gradients<F>) {
    seeded(0).gradients(f)
}

/// As [`gradients`], with something else that `f` computed on the way: `((loss, gradients), aux)`.
#[track_caller]
pub fn gradients_with<F: Float, A>(
    f: impl for<'t> FnOnce(&'t Tape<F>) -> (Var<'t, F>, A),
) -> ((F, Gradients<F>), A) {
    seeded(0).gradients_with(f)
}

/// Runs `f` on a tape that records for evaluation, and gives the value that it returns. Nothing is
/// differentiated.
pub fn evaluate<F: Float>(f: impl for<'t> FnOnce(&'t Tape<F>) -> Var<'t, F>) -> Array<F> {
    seeded(0).evaluate(f)
}

/// [`gradients`] and [`evaluate`] with a key that random layers draw from:
/// `seeded(7).gradients(|tape| ..)`. The functions without one use key 0.
pub fn seeded(seed: u64) -> Seeded {
    Seeded(seed)
}

/// What [`seeded`] returns.
#[derive(Clone, Copy, Debug)]
pub struct Seeded(u64);

impl Seeded {
    /// As [`gradients`].
    #[track_caller]
    pub fn gradients<F: Float>(
        self,
        f: impl for<'t> FnOnce(&'t Tape<F>) -> Var<'t, F>,
    ) -> (F, Gradients<F>) {
        self.gradients_with(|tape| (f(tape), ())).0
    }

    /// As [`gradients_with`].
    #[track_caller]
    pub fn gradients_with<F: Float, A>(
        self,
        f: impl for<'t> FnOnce(&'t Tape<F>) -> (Var<'t, F>, A),
    ) -> ((F, Gradients<F>), A) {
        let mut tape = borrow_tape(Setting { tracking: true, training: true, seed: self.0 });
        let (loss, aux) = f(&tape);
        check_scalar(loss.shape());
        let (id, value) = (loss.on_tape(&tape), loss.item());
        let result = tape.record.get_mut().backward(id, true);
        return_tape(tape);
        ((value, result), aux)
    }

    /// As [`evaluate`].
    pub fn evaluate<F: Float>(self, f: impl for<'t> FnOnce(&'t Tape<F>) -> Var<'t, F>) -> Array<F> {
        let tape = borrow_tape(Setting { tracking: false, training: false, seed: self.0 });
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
        self.tape.record.borrow_mut().backward(self.id, false)
    }
}

/// The derivatives of a loss by some values of the same tape, recorded on it like anything else, so
/// that they can be differentiated again. Where the loss does not depend on a value, they are zero.
///
/// # Panics
/// If the loss has more than one element.
#[track_caller]
pub fn grad<'t, F: Float>(loss: Var<'t, F>, wrt: &[Var<'t, F>]) -> Vec<Var<'t, F>> {
    check_scalar(loss.shape());
    vjp(loss, wrt, loss.constant_like(loss.shape(), 1.0))
}

/// The vector-Jacobian products of a value by some values of the same tape, recorded: each is the
/// transposed Jacobian of `y` applied to `cotangent`, which has the shape of `y`.
///
/// # Panics
/// If the cotangent has another shape than `y`.
#[track_caller]
pub fn vjp<'t, F: Float>(
    y: Var<'t, F>,
    wrt: &[Var<'t, F>],
    cotangent: Var<'t, F>,
) -> Vec<Var<'t, F>> {
    let tape = y.tape;
    let (shape, given) = (y.shape(), cotangent.shape());
    assert!(shape == given, "vjp: a value of shape {shape:?} was handed a cotangent of {given:?}");
    let last = y.id as usize;
    // Which nodes depend on what is asked for; nothing else is differentiated.
    let mut needed = vec![false; last + 1];
    for var in wrt {
        if let Some(needed) = needed.get_mut(var.on_tape(tape) as usize) {
            *needed = true;
        }
    }
    let mut kept: Vec<Option<Var<'t, F>>> = vec![None; wrt.len()];
    {
        let record = tape.record.borrow();
        for at in 0..=last {
            let mut inputs = record.nodes[at].inputs.iter();
            needed[at] |= record.nodes[at].tracked && inputs.any(|&input| needed[input as usize]);
        }
    }
    let mut cotangents: Vec<Option<Var<'t, F>>> = vec![None; last + 1];
    cotangents[last] = Some(cotangent);
    for at in (0..=last).rev() {
        let Some(g) = cotangents[at] else { continue };
        for (kept, _) in kept.iter_mut().zip(wrt).filter(|(_, var)| var.id as usize == at) {
            *kept = Some(g);
        }
        let mut record = tape.record.borrow_mut();
        let node = &record.nodes[at];
        if !matches!(node.kind, Kind::Op) {
            continue;
        }
        let (inputs, location) = (node.inputs.clone(), node.location);
        let wanted = |input: u32| needed[input as usize] && record.nodes[input as usize].tracked;
        let wanted = inputs.iter().map(|&input| wanted(input)).collect::<Vec<_>>();
        let op = record.op(at).boxed();
        let before = record.origin.replace(location);
        drop(record);
        let y = Var { tape, id: at as u32 };
        let pulled = catch_unwind(AssertUnwindSafe(|| {
            for (i, &input) in inputs.iter().enumerate().filter(|(i, _)| wanted[*i]) {
                let shape = Var { tape, id: input }.shape();
                let pulled = sum_to(&op.pull(i, &inputs, y, g), shape);
                let gathered = &mut cotangents[input as usize];
                *gathered = Some(gathered.map_or(pulled, |sum| sum + pulled));
            }
        }));
        tape.record.borrow_mut().origin = before;
        if let Err(panic) = pulled {
            rethrow(panic, &op.name(), location);
        }
    }
    let zeros = |var: &Var<'t, F>| var.constant_like(var.shape(), 0.0);
    kept.into_iter().zip(wrt).map(|(g, var)| g.unwrap_or_else(|| zeros(var))).collect()
}

impl<F: Float> Record<F> {
    /// The first-order sweep. With `release`, values are dropped as soon as they are not needed.
    fn backward(&mut self, loss: u32, release: bool) -> Gradients<F> {
        let last = loss as usize;
        let Self { nodes, ops, cotangents, positions, .. } = self;
        let updates =
            self.updates.iter().map(|&(id, node)| (id, nodes[node as usize].value().clone()));
        let updates = updates.collect();
        cotangents.clear();
        cotangents.resize_with(last + 1, || None);
        if nodes[last].tracked {
            cotangents[last] = Some(Array::full(nodes[last].value().shape(), F::ONE));
        }
        let current = Cell::new(last);
        let swept = catch_unwind(AssertUnwindSafe(|| {
            for at in (0..=last).rev() {
                if !matches!(nodes[at].kind, Kind::Op) {
                    continue;
                }
                let (before, rest) = cotangents.split_at_mut(at);
                if let Some(g) = rest[0].take() {
                    current.set(at);
                    let op = ops[at].as_deref().expect("an operation");
                    for (i, &input) in nodes[at].inputs.iter().enumerate() {
                        let from = &nodes[input as usize];
                        if from.tracked {
                            let gathered = &mut before[input as usize];
                            let into = Cotangent::new(from.value().shape(), gathered);
                            op.pull_into(i, Seen { nodes, positions }, at, &g, into);
                        }
                    }
                }
                if release {
                    nodes[at].value = None;
                }
            }
        }));
        if let Err(panic) = swept {
            let at = current.get();
            rethrow(panic, &self.op(at).name(), self.nodes[at].location);
        }
        let mut params = spare_list();
        let mut arrived = |leaf: u32| cotangents.get_mut(leaf as usize).and_then(Option::take);
        for &(id, leaf) in &self.params {
            if let Some(g) = leaf.and_then(&mut arrived) {
                params.push((id, g));
            }
        }
        let variables =
            self.variables.iter().filter_map(|&leaf| Some((leaf, arrived(leaf)?))).collect();
        Gradients { params, variables, updates }
    }
}

/// Goes on with a panic from inside a rule, naming the user's line that recorded the operation.
#[cold]
fn rethrow(panic: Box<dyn Any + Send>, op: &str, recorded: &Location<'_>) -> ! {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    match text.or_else(|| panic.downcast_ref::<&str>().copied()) {
        Some(text) => panic!("{text}\n  while differentiating {op} recorded at {recorded}"),
        None => resume_unwind(panic),
    }
}

#[track_caller]
fn check_scalar(shape: Shape) {
    assert!(shape.numel() == 1, "gradients: the loss has shape {shape:?}, not one element");
}
