//! A program run on each example of a batch by itself, or on each of several models, on all threads.

use std::marker::PhantomData;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;

use crate::float::PerPrecision;
use crate::program::batch::{count_rows, with_rows};
use crate::program::call::{Call, Part};
use crate::program::engine::Engine;
use crate::program::inputs::Rows;
use crate::program::recorded::Recorded;
use crate::tape::record::{Content, Kind, Node, ParamSlot, Tape};
use crate::tensor::pool;
use crate::{Float, Gradients, Params};

/// Number of examples that a thread takes at a time.
const AT_A_TIME: usize = 4;

/// Sees the number of an example, its loss and its gradients.
pub(crate) type Visit<'v, F> = &'v (dyn Fn(usize, F, &mut Gradients<F>) + Sync);

/// Job of [`Engine::run_examples`], compiled once for each precision.
pub(crate) struct RunExamples<'x>(PhantomData<&'x ()>);

impl<'a> PerPrecision<'a> for RunExamples<'a> {
    type Input<F: Float> = (&'a mut Engine<F>, Call<'a, F>, Visit<'a, F>);
    type Output<F: Float> = usize;
    fn f32((engine, call, visit): Self::Input<f32>) -> usize {
        engine.run_examples(call, visit)
    }
    fn f64((engine, call, visit): Self::Input<f64>) -> usize {
        engine.run_examples(call, visit)
    }
}

/// The models of a run, by number.
pub(crate) type Models<'m, F> = &'m (dyn Fn(usize) -> Model<'m, F> + Sync);

type Model<'m, F> = &'m dyn Params<F>;

/// Job of [`Engine::run_models`], compiled once for each precision.
pub(crate) struct RunModels<'x>(PhantomData<&'x ()>);

impl<'a> PerPrecision<'a> for RunModels<'a> {
    type Input<F: Float> = (&'a mut Engine<F>, Call<'a, F>, usize, Models<'a, F>, Visit<'a, F>);
    type Output<F: Float> = ();
    fn f32((engine, call, count, models, visit): Self::Input<f32>) {
        engine.run_models(call, count, models, visit);
    }
    fn f64((engine, call, count, models, visit): Self::Input<f64>) {
        engine.run_models(call, count, models, visit);
    }
}

impl<F: Float> Engine<F> {
    /// Runs the program on each example. Returns their number.
    #[track_caller]
    fn run_examples(&mut self, call: Call<'_, F>, visit: Visit<'_, F>) -> usize {
        let (batch, count) = (call.inputs, count_rows(call.inputs, "per_example"));
        if count == 0 {
            return 0;
        }
        // The first example records if need be.
        self.run_example(&call, 0, visit);
        let recorded = &mut self.recorded[0];
        let threads = rayon::current_num_threads().min(count.div_ceil(AT_A_TIME));
        for worker in recorded.workers(threads) {
            // Each holds the model from here on.
            let fits = worker.adopt(call.model);
            debug_assert!(fits, "the model of the first example");
        }
        let load = |worker: &mut Recorded<F>, example: usize| {
            with_rows(batch, Rows { start: example, len: 1 }, |inputs| worker.load_inputs(inputs))
        };
        let sharing =
            Sharing { threads, at_a_time: AT_A_TIME, key: &|_| None, cotangent: &|_| F::ONE };
        let unusual = recorded.run_on(sharing, 1..count, &load, visit);
        unusual.into_iter().for_each(|example| self.run_example(&call, example, visit));
        count
    }

    /// Runs the program on each model. The call has the first of them.
    #[track_caller]
    fn run_models(
        &mut self,
        call: Call<'_, F>,
        count: usize,
        models: Models<'_, F>,
        visit: Visit<'_, F>,
    ) {
        let loss = self.run(&call);
        visit(0, loss.loss(), &mut self.gradients);
        let recorded = &mut self.recorded[0];
        let threads = rayon::current_num_threads().min(count);
        let mut fits = true;
        for worker in recorded.workers(threads) {
            fits &= worker.load_inputs(call.inputs);
        }
        debug_assert!(fits, "the inputs of the first model");
        let load = |worker: &mut Recorded<F>, model: usize| worker.adopt(models(model));
        let sharing = Sharing { threads, at_a_time: 1, key: &|_| None, cotangent: &|_| F::ONE };
        let unusual = recorded.run_on(sharing, 1..count, &load, visit);
        for model in unusual {
            let loss =
                self.run(&Call { model: models(model), part: Part { rows: None, model }, ..call });
            visit(model, loss.loss(), &mut self.gradients);
        }
    }

    #[track_caller]
    fn run_example(&mut self, call: &Call<'_, F>, example: usize, visit: Visit<'_, F>) {
        let rows = Rows { start: example, len: 1 };
        let loss = with_rows(call.inputs, rows, |inputs| {
            let part = Part { rows: Some(rows), ..call.part };
            self.run(&Call { inputs, part, ..*call })
        });
        visit(example, loss.loss(), &mut self.gradients);
    }
}

/// How runs are shared among threads.
pub(super) struct Sharing<'w, F: Float> {
    pub(super) threads: usize,
    /// The number of runs that a thread takes at a time.
    pub(super) at_a_time: usize,
    /// The key of each run.
    pub(super) key: &'w (dyn Fn(usize) -> Option<u64> + Sync),
    /// The cotangent of each loss.
    pub(super) cotangent: &'w (dyn Fn(usize) -> F + Sync),
}

/// Loads what belongs to this number; `false` if the recording is not one for it.
pub(super) type Load<'l, F> = &'l (dyn Fn(&mut Recorded<F>, usize) -> bool + Sync);

impl<F: Float> Recorded<F> {
    /// Copies for this number of threads.
    pub(super) fn workers(&mut self, threads: usize) -> &mut [Self] {
        while self.workers.len() < threads {
            let worker = self.copy();
            self.workers.push(worker);
        }
        &mut self.workers[..threads]
    }

    /// Runs the recording for these numbers. Returns those that have to be recorded, or fail, on the thread of the caller.
    pub(super) fn run_on(
        &mut self,
        sharing: Sharing<'_, F>,
        numbers: Range<usize>,
        load: Load<'_, F>,
        visit: Visit<'_, F>,
    ) -> Vec<usize> {
        let (next, unusual) = (AtomicUsize::new(numbers.start), Mutex::new(Vec::new()));
        self.workers(sharing.threads).par_iter_mut().for_each(|worker| {
            let mut gradients = Gradients::from_params(Vec::new());
            loop {
                let start = next.fetch_add(sharing.at_a_time, Ordering::Relaxed);
                if start >= numbers.end {
                    break;
                }
                for number in start..numbers.end.min(start + sharing.at_a_time) {
                    if load(worker, number) {
                        let (key, cotangent) = ((sharing.key)(number), (sharing.cotangent)(number));
                        let loss = worker.compute_again(key, cotangent, &mut gradients).loss();
                        visit(number, loss, &mut gradients);
                    } else {
                        unusual.lock().expect("no panic inside").push(number);
                    }
                }
            }
            worker.unload();
            pool::end_step::<F>();
        });
        let mut unusual = unusual.into_inner().expect("no panic inside");
        unusual.sort_unstable();
        unusual
    }

    /// A copy without values, for another thread.
    fn copy(&self) -> Self {
        let from = self.tape.record.borrow();
        let mut tape = Tape::with_mode(self.tape.mode.get());
        let to = tape.record.get_mut();
        for (id, node) in from.nodes.iter().enumerate() {
            let Node { kind, tracked, generation, location, .. } = *node;
            let content = match (&node.content, kind) {
                (Content::Value(constant), Kind::Leaf) if !self.is_replaced(id as u32) => {
                    Content::Value(constant.clone())
                }
                _ => Content::Shape(self.shapes[id]),
            };
            let inputs = node.inputs.clone();
            to.nodes.push(Node { content, kind, inputs, tracked, generation, location });
            to.ops.push((kind == Kind::Op).then(|| from.op(id).boxed()));
        }
        let slot = |slot: &ParamSlot| ParamSlot { id: slot.id, leaf: slot.leaf, bound: slot.bound };
        to.params = from.params.iter().map(slot).collect();
        to.indices.clone_from(&from.indices);
        to.randoms.clone_from(&from.randoms);
        to.updates.clone_from(&from.updates);
        to.checkpoints.clone_from(&from.checkpoints);
        to.repeat = Some(Box::default());
        self.with_tape(tape)
    }
}
