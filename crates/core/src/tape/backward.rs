//! The first-order sweep, and the functions that run it.

use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::error::rethrow;
use crate::float::PerPrecision;
use crate::op::Cotangent;
use crate::params::param::ParamId;
use crate::tape::deferred::ComputeDeferred;
use crate::tape::gradients::Gradients;
use crate::tape::record::{Checkpoint, Content, Inputs, Kind, Mode, ParamSlot, Record, Tape, Var};
use crate::tape::reuse::{borrow_tape, return_tape, spare_lists};
use crate::{Float, Shape, Tensor};

/// Runs `f` on a tape that records for training, differentiates the loss that it returns, and returns
/// the loss with the gradients of all parameters.
///
/// The tape no longer shares the parameters when this returns, so an optimizer can write them in
/// place.
///
/// ```
/// use wengert_core::{Param, ReduceOps, Tensor, UnaryOps, gradients};
///
/// let weight = Param::new(Tensor::<f64>::from([1.0, 2.0]));
/// let (loss, grads) = gradients(|tape| tape.param(&weight).square().sum());
/// assert_eq!(loss, 5.0);
/// assert_eq!(grads.get(&weight).unwrap().to_vec(), [2.0, 4.0]);
/// ```
///
/// # Panics
/// If the loss has more than one element.
#[track_caller]
pub fn gradients<F: Float>(f: impl for<'t> FnOnce(&'t Tape<F>) -> Var<'t, F>) -> (F, Gradients<F>) {
    seeded_with(None).gradients(f)
}

/// Computes [`gradients`] and passes on a second result of `f`: returns `(loss, gradients, aux)`.
///
/// ```
/// use wengert_core::{Param, ReduceOps, Tensor, UnaryOps, gradients_with};
///
/// let weight = Param::new(Tensor::<f64>::from([1.0, 2.0]));
/// let (loss, _, largest) = gradients_with(|tape| {
///     let squares = tape.param(&weight).square();
///     (squares.sum(), squares.max().item())
/// });
/// assert_eq!((loss, largest), (5.0, 4.0));
/// ```
///
/// # Panics
/// If the loss has more than one element.
#[track_caller]
pub fn gradients_with<F: Float, A>(
    f: impl for<'t> FnOnce(&'t Tape<F>) -> (Var<'t, F>, A),
) -> (F, Gradients<F>, A) {
    seeded_with(None).gradients_with(f)
}

/// Runs `f` on a tape that records for evaluation and returns the value of its result. Nothing is
/// differentiated.
///
/// The operations run when `f` has returned, or reads a value. A value is dropped after the operation that reads it
/// last, so a deep network takes the memory of its widest part.
///
/// ```
/// use wengert_core::{Param, ReduceOps, Tensor, evaluate};
///
/// let weight = Param::new(Tensor::<f64>::from([1.0, 2.0]));
/// assert_eq!(evaluate(|tape| tape.param(&weight).sum()).item(), 3.0);
/// ```
#[track_caller]
pub fn evaluate<F: Float>(f: impl for<'t> FnOnce(&'t Tape<F>) -> Var<'t, F>) -> Tensor<F> {
    seeded_with(None).evaluate(f)
}

/// Gives [`gradients`] and [`evaluate`] a key for random layers: `seeded(7).gradients(|tape| ..)`.
///
/// Use a new key for each step. Without a key a random layer panics in training, because it would draw the same
/// numbers at every step.
///
/// ```
/// use wengert_core::{Random, Tensor, seeded};
///
/// let noise = |step| seeded::<f32>(step).evaluate(|tape| tape.random([4], Random::Uniform));
/// assert_ne!(noise(0), noise(1));
/// ```
pub fn seeded<F: Float>(seed: u64) -> Seeded<F> {
    seeded_with(Some(seed))
}

fn seeded_with<F: Float>(seed: Option<u64>) -> Seeded<F> {
    Seeded { seed, precision: PhantomData }
}

/// A key for random layers, with the functions that use it; see [`seeded`].
///
/// ```
/// use wengert_core::{Random, seeded};
///
/// let noise = |step| seeded::<f32>(step).evaluate(|tape| tape.random([3], Random::Uniform));
/// assert_eq!(noise(1), noise(1));
/// assert_ne!(noise(1), noise(2));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Seeded<F: Float = f32> {
    seed: Option<u64>,
    precision: PhantomData<F>,
}

impl<F: Float> Seeded<F> {
    /// Makes a tape that records for training with this key.
    ///
    /// ```
    /// use wengert_core::{Random, seeded};
    ///
    /// let tape = seeded::<f64>(7).tape();
    /// let (first, second) = (tape.random([3], Random::Normal), tape.random([3], Random::Normal));
    /// assert_ne!(first.value(), second.value());
    /// ```
    pub fn tape(self) -> Tape<F> {
        Tape::with_mode(Mode::training(self.seed))
    }

    /// Computes the loss and its gradients with this key; see [`gradients`].
    ///
    /// # Panics
    /// If the loss has more than one element.
    #[track_caller]
    pub fn gradients(self, f: impl for<'t> FnOnce(&'t Tape<F>) -> Var<'t, F>) -> (F, Gradients<F>) {
        let (loss, gradients, ()) = self.gradients_with(|tape| (f(tape), ()));
        (loss, gradients)
    }

    /// Computes the loss, its gradients and a second result with this key; see [`gradients_with`].
    ///
    /// # Panics
    /// If the loss has more than one element.
    #[track_caller]
    pub fn gradients_with<A>(
        self,
        f: impl for<'t> FnOnce(&'t Tape<F>) -> (Var<'t, F>, A),
    ) -> (F, Gradients<F>, A) {
        let mut tape = borrow_tape(Mode::training(self.seed));
        let (loss, aux) = f(&tape);
        let id = loss.on_tape(&tape);
        check_scalar(loss.shape());
        let value = loss.value_once().item();
        let sweep = Sweep { loss: id, cotangent: F::ONE, release: true, watch: None };
        let gradients = F::run::<Backward>((tape.record.get_mut(), sweep));
        return_tape(tape);
        (value, gradients, aux)
    }

    /// Evaluates with this key; see [`evaluate`].
    #[track_caller]
    pub fn evaluate(self, f: impl for<'t> FnOnce(&'t Tape<F>) -> Var<'t, F>) -> Tensor<F> {
        let mut tape = borrow_tape(Mode::evaluation(self.seed));
        let id = f(&tape).on_tape(&tape);
        let record = tape.record.get_mut();
        // No variable is left, so that a value is dead after its last reader.
        F::run::<ComputeDeferred>((record, &[id], 0));
        let value = record.nodes[id as usize].value().clone();
        return_tape(tape);
        value
    }
}

impl<F: Float> Var<'_, F> {
    /// Differentiates this loss: returns the gradients of all parameters and variables on the tape.
    ///
    /// ```
    /// use wengert_core::{ReduceOps, Tape, Tensor, UnaryOps};
    ///
    /// let tape = Tape::<f64>::new();
    /// let x = tape.variable(&Tensor::from([1.0, 2.0]));
    /// let grads = x.square().sum().backward();
    /// assert_eq!(grads.wrt(x).unwrap().to_vec(), [2.0, 4.0]);
    /// ```
    ///
    /// # Panics
    /// If this has more than one element.
    #[track_caller]
    pub fn backward(self) -> Gradients<F> {
        self.tape.refuse_reading("backward");
        check_scalar(self.shape());
        let sweep = Sweep { loss: self.id, cotangent: F::ONE, release: false, watch: None };
        F::run::<Backward>((&mut *self.tape.record.borrow_mut(), sweep))
    }
}

/// A first-order sweep to be run.
pub(crate) struct Sweep<'a, F: Float> {
    pub(crate) loss: u32,
    /// The cotangent of the loss: 1 unless the loss is that of a part.
    pub(crate) cotangent: F,
    /// Whether values are dropped as soon as the sweep has passed them.
    pub(crate) release: bool,
    pub(crate) watch: Option<Watch<'a, F>>,
}

/// Sees each step of a sweep: the node, the input, the node's cotangent, and the cotangent of the input
/// as far as it is gathered.
pub(crate) type Watch<'a, F> = &'a mut dyn FnMut(usize, usize, &Tensor<F>, Option<&Tensor<F>>);

/// The sweep, compiled once for each precision.
struct Backward;

impl<'a> PerPrecision<'a> for Backward {
    type Input<F: Float> = (&'a mut Record<F>, Sweep<'a, F>);
    type Output<F: Float> = Gradients<F>;
    fn f32((record, sweep): Self::Input<f32>) -> Gradients<f32> {
        record.backward(sweep)
    }
    fn f64((record, sweep): Self::Input<f64>) -> Gradients<f64> {
        record.backward(sweep)
    }
}

impl<F: Float> Record<F> {
    /// Runs the first-order sweep.
    #[track_caller]
    pub(crate) fn backward(&mut self, mut sweep: Sweep<'_, F>) -> Gradients<F> {
        self.compute_updates();
        let updates = self.buffer_updates();
        let mut cotangents = self.seed_cotangents(sweep.loss as usize, sweep.cotangent);
        let mut current = sweep.loss as usize;
        let swept = catch_unwind(AssertUnwindSafe(|| {
            let mut restored = None;
            for at in (0..=sweep.loss as usize).rev() {
                self.release_passed(&mut restored, at);
                if let Some(g) = self.take_cotangent(&mut cotangents, at) {
                    current = at;
                    self.restore_around(&mut restored, at);
                    self.vjp_node(at, &g, &mut cotangents, &mut sweep.watch);
                }
                if sweep.release && self.nodes[at].kind == Kind::Op {
                    self.nodes[at].content = Content::Released;
                }
            }
            self.release_passed(&mut restored, 0);
        }));
        if let Err(panic) = swept {
            rethrow(
                panic,
                "differentiating",
                &self.op(current).name(),
                self.nodes[current].location,
            );
        }
        self.gather(cotangents, updates)
    }

    /// The cotangents before the sweep: one at the loss, none elsewhere.
    fn seed_cotangents(&mut self, loss: usize, cotangent: F) -> Vec<Option<Tensor<F>>> {
        let mut cotangents = std::mem::take(&mut self.cotangents);
        cotangents.clear();
        cotangents.resize_with(loss + 1, || None);
        if self.nodes[loss].tracked {
            cotangents[loss] = Some(Tensor::full(*self.nodes[loss].shape(), cotangent));
        }
        cotangents
    }

    /// The cotangent of a node, if it is an operation that one arrived at.
    fn take_cotangent(&self, cotangents: &mut [Option<Tensor<F>>], at: usize) -> Option<Tensor<F>> {
        if self.nodes[at].kind == Kind::Op { cotangents[at].take() } else { None }
    }

    /// Adds to the cotangents of the inputs of a node.
    fn vjp_node(
        &self,
        at: usize,
        g: &Tensor<F>,
        cotangents: &mut [Option<Tensor<F>>],
        watch: &mut Option<Watch<'_, F>>,
    ) {
        let (op, node, view) = (self.op(at), &self.nodes[at], self.view());
        let (values, index) = view.split(&node.inputs);
        let x = view.values(values);
        for (i, &input) in node.inputs.iter().enumerate() {
            let from = &self.nodes[input as usize];
            if from.tracked {
                let gathered = &mut cotangents[input as usize];
                let into = Cotangent::new(*from.shape(), gathered);
                op.vjp_into(i, &x, index, node.value(), g, into);
                if let Some(watch) = watch {
                    watch(at, i, g, gathered.as_ref());
                }
            }
        }
    }

    /// Computes the values of the checkpoint around a node, if the node is in one.
    fn restore_around(&mut self, restored: &mut Option<Checkpoint>, at: usize) {
        if !self.checkpoints.is_empty() && restored.is_none() {
            *restored = self.restore(at as u32);
        }
    }

    /// Releases the restored checkpoint when the sweep has left it, or has ended.
    #[inline]
    fn release_passed(&mut self, restored: &mut Option<Checkpoint>, at: usize) {
        if let Some(checkpoint) = restored
            && (at as u32) < checkpoint.nodes.start
        {
            self.release(checkpoint);
            *restored = None;
        }
    }

    /// Sees to it that the new values of buffers are computed.
    fn compute_updates(&mut self) {
        if !self.updates.is_empty() {
            let nodes = self.updates.iter().map(|&(_, node)| node).collect::<Inputs>();
            self.compute_deferred(&nodes, Self::NONE_DEAD);
        }
    }

    /// The new values of buffers, which leave with the gradients.
    pub(crate) fn buffer_updates(&self) -> Vec<(ParamId, Tensor<F>)> {
        let value = |&(id, node): &(_, u32)| (id, self.nodes[node as usize].value().clone());
        self.updates.iter().map(value).collect()
    }

    /// The gradients of parameters and variables, out of the cotangents of their leaves.
    fn gather(
        &mut self,
        mut cotangents: Vec<Option<Tensor<F>>>,
        updates: Vec<(ParamId, Tensor<F>)>,
    ) -> Gradients<F> {
        let mut arrived = |leaf: u32| cotangents.get_mut(leaf as usize).and_then(Option::take);
        let (mut params, mut rows) = spare_lists();
        for &ParamSlot { id, leaf, .. } in &self.params {
            if let Some(g) = leaf.and_then(&mut arrived) {
                params.push((id, g));
            }
        }
        for (leaf, place) in self.row_reads() {
            if let Some(slot) = self.params.iter().find(|slot| slot.leaf == Some(leaf)) {
                rows.push((slot.id, self.indices[place as usize].clone()));
            }
        }
        let key = |leaf: u32| (leaf, self.nodes[leaf as usize].generation);
        let variables =
            self.variables.iter().filter_map(|&leaf| Some((key(leaf), arrived(leaf)?))).collect();
        self.cotangents = cotangents;
        Gradients { params, rows, variables, updates, recording: self.recording }
    }
}

#[track_caller]
pub(crate) fn check_scalar(shape: Shape) {
    assert!(shape.numel() == 1, "gradients: expected a loss of one element, found shape {shape:?}");
}
