//! A program run on each example of a batch by itself, or on each of several models, on all threads.

use std::marker::PhantomData;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;
use smallvec::SmallVec;

use crate::float::PerPrecision;
use crate::program::call::{Call, Part};
use crate::program::engine::Engine;
use crate::program::inputs::InputLeaf;
use crate::program::recorded::Recorded;
use crate::tape::record::{Content, Kind, Node, ParamSlot, Tape};
use crate::{Float, Gradients, Indices, Params, Tensor};

/// Number of examples that a thread takes at a time.
const AT_A_TIME: usize = 4;

/// Sees the number of an example, its loss and its gradients.
pub(crate) type Visit<'v, F> = &'v (dyn Fn(usize, F, &Gradients<F>) + Sync);

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

/// The part of an input that belongs to one example, with a first axis of extent 1.
enum Row<F: Float> {
    Tensor(Tensor<F>),
    Indices(Indices),
}

impl<F: Float> Row<F> {
    fn of(input: &InputLeaf<'_, F>, example: usize) -> Self {
        match input {
            InputLeaf::Tensor(x) => Self::Tensor(x.take_rows(&[example])),
            InputLeaf::Indices(x) => Self::Indices(x.row(example)),
        }
    }

    fn leaf(&self) -> InputLeaf<'_, F> {
        match self {
            Self::Tensor(x) => InputLeaf::Tensor(x),
            Self::Indices(x) => InputLeaf::Indices(x),
        }
    }
}

/// Calls `run` with the inputs of one example.
fn with_example<F: Float, R>(
    batch: &[InputLeaf<'_, F>],
    example: usize,
    run: impl FnOnce(&[InputLeaf<'_, F>]) -> R,
) -> R {
    let rows = batch.iter().map(|input| Row::of(input, example)).collect::<SmallVec<[_; 4]>>();
    run(&rows.iter().map(Row::leaf).collect::<SmallVec<[_; 4]>>())
}

/// The number of examples of a batch.
#[track_caller]
fn examples<F: Float>(batch: &[InputLeaf<'_, F>]) -> usize {
    let shape = |input: &InputLeaf<'_, F>| match input {
        InputLeaf::Tensor(x) => x.shape(),
        InputLeaf::Indices(x) => x.shape(),
    };
    let counts = || batch.iter().map(|input| shape(input).first().copied());
    let Some(Some(count)) = counts().next() else {
        panic!("per_example: the inputs have no axis of examples");
    };
    assert!(
        counts().all(|own| own == Some(count)),
        "per_example: the inputs differ in the number of examples: {:?}",
        batch.iter().map(shape).collect::<Vec<_>>()
    );
    count
}

impl<F: Float> Engine<F> {
    /// Runs the program on each example. Returns their number.
    #[track_caller]
    fn run_examples(&mut self, call: Call<'_, F>, visit: Visit<'_, F>) -> usize {
        let (batch, count) = (call.inputs, examples(call.inputs));
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
            with_example(batch, example, |inputs| worker.load_inputs(inputs))
        };
        let unusual = recorded.run_on(threads, AT_A_TIME, count, &load, visit);
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
        visit(0, loss.loss(), self.gradients());
        let recorded = &mut self.recorded[0];
        let threads = rayon::current_num_threads().min(count);
        let mut fits = true;
        for worker in recorded.workers(threads) {
            fits &= worker.load_inputs(call.inputs);
        }
        debug_assert!(fits, "the inputs of the first model");
        let load = |worker: &mut Recorded<F>, model: usize| worker.adopt(models(model));
        let unusual = recorded.run_on(threads, 1, count, &load, visit);
        for model in unusual {
            let loss = self.run(&Call {
                model: models(model),
                part: Part { example: None, model },
                ..call
            });
            visit(model, loss.loss(), self.gradients());
        }
    }

    #[track_caller]
    fn run_example(&mut self, call: &Call<'_, F>, example: usize, visit: Visit<'_, F>) {
        let loss = with_example(call.inputs, example, |inputs| {
            let part = Part { example: Some(example), ..call.part };
            self.run(&Call { inputs, part, ..*call })
        });
        visit(example, loss.loss(), self.gradients());
    }
}

/// Loads what belongs to this number; `false` if the recording is not one for it.
type Load<'l, F> = &'l (dyn Fn(&mut Recorded<F>, usize) -> bool + Sync);

impl<F: Float> Recorded<F> {
    /// Copies for this number of threads.
    fn workers(&mut self, threads: usize) -> &mut [Self] {
        while self.workers.len() < threads {
            let worker = self.copy();
            self.workers.push(worker);
        }
        &mut self.workers[..threads]
    }

    /// Runs the recording for the numbers from 1 to `count`; each thread takes some at a time. Returns the numbers that
    /// have to be recorded, or fail, on the thread of the caller.
    fn run_on(
        &mut self,
        threads: usize,
        at_a_time: usize,
        count: usize,
        load: Load<'_, F>,
        visit: Visit<'_, F>,
    ) -> Vec<usize> {
        let (next, unusual) = (AtomicUsize::new(1), Mutex::new(Vec::new()));
        self.workers(threads).par_iter_mut().for_each(|worker| {
            let mut gradients = Gradients::from_params(Vec::new());
            loop {
                let start = next.fetch_add(at_a_time, Ordering::Relaxed);
                if start >= count {
                    break;
                }
                for number in start..count.min(start + at_a_time) {
                    if load(worker, number) {
                        let loss = worker.compute_again(None, &mut gradients).loss();
                        visit(number, loss, &gradients);
                    } else {
                        unusual.lock().expect("no panic inside").push(number);
                    }
                }
            }
            worker.unload();
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
