//! A training step that is recorded once and run again.

mod batch;
mod call;
mod compare;
mod engine;
mod examples;
pub(crate) mod inputs;
mod plan;
mod planner;
mod recorded;
mod replay;
mod split;
mod steps;

use std::fmt::{self, Debug};
use std::sync::{Arc, Mutex};

use smallvec::SmallVec;

use crate::program::call::{Call, Part};
use crate::program::engine::{Engine, RunProgram};
use crate::program::examples::{RunExamples, RunModels, Visit};
use crate::program::inputs::{Input, InputLeaf, InputTape};
use crate::program::split::{RunParts, Split, Total};
use crate::tape::record::{Mode, Tape, Var};
use crate::tensor::indices::InputNotes;
use crate::{Float, Gradients, Params, Tensor};

/// A computation that is recorded at its first run and repeated at every further one, without recording: a small
/// training step then takes a fraction of the time.
///
/// It is made of the closure that [`gradients`](crate::gradients) would take, with two more arguments: the model and
/// the inputs. `Program::<Net, (Tensor, Indices)>::new(|net, tape, (x, y)| ..)` names the types of both. The results
/// have the same bits as a new recording at each run.
///
/// ```
/// use wengert_core::{MatmulOps, Param, Program, ReduceOps, Tensor, UnaryOps, gradients};
///
/// let mut weight = Param::new(Tensor::<f32>::from([[0.5], [-1.0]]));
/// let mut step = Program::<Param<f32>, (Tensor<f32>, Tensor<f32>)>::new(|weight, _, (x, y)| {
///     (x.matmul(weight) - y).square().mean()
/// });
/// for batch in 0..10 {
///     let x = Tensor::from([[1.0, batch as f32], [2.0, -1.0]]);
///     let y = Tensor::from([[1.0], [0.0]]);
///     let (loss, grads) = step.gradients(&weight, (&x, &y));
///     let again = gradients(|tape| (tape.constant(&x).matmul(&weight) - &y).square().mean());
///     assert_eq!((loss, grads.get(&weight)), (again.0, again.1.get(&weight)));
///     let change = grads.get(&weight).unwrap() * 0.01;
///     *weight.value_mut() = weight.value() - &change;
/// }
/// ```
///
/// # What changes from run to run
///
/// * The inputs. In the closure a tensor is a constant; [`Var::to_variable`] makes it a variable, to differentiate
///   with respect to it. Indices can be used wherever [`Indices`](crate::Indices) can.
/// * Parameters of the model, and buffers that are read with [`Tape::buffer`].
/// * Random numbers, by the key: `step.seeded(key).gradients(..)`.
///
/// Everything else is as at the first run: what the closure captures, which cannot change because it is borrowed, and
/// fields of the model that are neither parameters nor buffers. A closure that records another computation from run to
/// run is refused, as soon as a run is recorded again to compare: the second, the fourth, the eighth and so on.
///
/// Inputs of another shape are recorded anew, and so is a model with other parameters, or with parameters of another
/// shape or frozen state. The last few recordings are kept, so the last batch of an epoch may be smaller.
///
/// # Panics
/// While the closure records, reading a value ([`Var::value`], [`Var::item`], [`Var::backward`],
/// [`Indices::as_slice`](crate::Indices::as_slice)) panics at that line, since the next run has another. So does a
/// parameter that is not in the model. Shape mistakes panic as on every tape.
pub struct Program<'a, M, I: Input<F>, F: Float = f32> {
    record: Box<Closure<'a, M, I, F>>,
    engine: Engine<F>,
    split: Option<Split>,
}

/// The closure of a program.
type Closure<'a, M, I, F> =
    dyn for<'t> Fn(&M, &'t Tape<F>, <I as Input<F>>::Recorded<'t>) -> Var<'t, F> + 'a;

impl<'a, M: Params<F>, I: Input<F>, F: Float> Program<'a, M, I, F> {
    /// Makes a program that has not run yet.
    pub fn new(
        record: impl for<'t> Fn(&M, &'t Tape<F>, I::Recorded<'t>) -> Var<'t, F> + 'a,
    ) -> Self {
        Self { record: Box::new(record), engine: Engine::new(), split: None }
    }

    /// Computes gradients on parts of each batch: each a run of its own, several at a time on as many threads. A step that
    /// one operation after the other shares among threads gains less, because its operations are small.
    ///
    /// The loss must be a mean over the rows of the inputs, that is, over their first axis; see
    /// [`split_sum`](Self::split_sum) for a sum. The loss of the batch is compared with that of its parts when the parts
    /// are first recorded, unless random numbers are drawn. Parts differ by a row at most. The number of threads does not
    /// change a bit of the results; the number of parts changes roundings. Random layers draw other numbers for each part.
    /// [`evaluate`](Self::evaluate), [`per_example`](Self::per_example) and [`per_model`](Self::per_model) do not split.
    ///
    /// ```
    /// use wengert_core::{MatmulOps, Param, Program, ReduceOps, Tensor, UnaryOps};
    ///
    /// let weight = Param::new(Tensor::<f64>::from([[2.0], [1.0]]));
    /// let mut step = Program::<_, Tensor<f64>, f64>::new(|weight: &Param<f64>, _, x| {
    ///     x.matmul(weight).square().mean()
    /// })
    /// .split(2);
    /// let (loss, grads) = step.gradients(&weight, &Tensor::from([[1.0, 0.0], [0.0, 3.0]]));
    /// assert_eq!(loss, (4.0 + 9.0) / 2.0);
    /// assert_eq!(grads.get(&weight), Some(&Tensor::from([[2.0], [9.0]])));
    /// ```
    ///
    /// # Panics
    /// If `parts` is 0. Runs panic if the inputs have no axis of rows, or differ in its extent; if the loss is not a mean
    /// over the rows; and if a layer has a new value for a buffer, such as batch normalization.
    #[track_caller]
    pub fn split(self, parts: usize) -> Self {
        self.split_into(parts, Total::Mean)
    }

    /// [`split`](Self::split) for a loss that is a sum over the rows.
    ///
    /// # Panics
    /// As [`split`](Self::split).
    #[track_caller]
    pub fn split_sum(self, parts: usize) -> Self {
        self.split_into(parts, Total::Sum)
    }

    #[track_caller]
    fn split_into(self, parts: usize, total: Total) -> Self {
        assert!(parts > 0, "split: a batch has at least one part");
        Self { split: Some(Split { parts, total }), ..self }
    }

    /// Computes the loss and its gradients as [`gradients`](crate::gradients) does.
    ///
    /// # Panics
    /// If the loss has more than one element, and as the [type](Program) says.
    #[track_caller]
    pub fn gradients(&mut self, model: &M, inputs: I::Given<'_>) -> (F, &Gradients<F>) {
        let loss = self.train(None, model, inputs);
        (loss, self.engine.gradients())
    }

    /// Computes the value of the result as [`evaluate`](crate::evaluate) does: layers evaluate and do not train.
    ///
    /// # Panics
    /// As the [type](Program) says.
    #[track_caller]
    pub fn evaluate(&mut self, model: &M, inputs: I::Given<'_>) -> Tensor<F> {
        self.value(None, model, inputs)
    }

    /// Gives the next run a key for random layers; see [`seeded`](crate::seeded()).
    ///
    /// ```
    /// use wengert_core::{Param, Program, Random, ReduceOps, Tensor, seeded};
    ///
    /// let scale = Param::new(Tensor::<f32>::scalar(2.0));
    /// let mut noise = Program::<Param<f32>, ()>::new(|scale, tape, ()| {
    ///     (tape.random([100], Random::Normal) * scale).sum()
    /// });
    /// for key in 0..10 {
    ///     let again = seeded(key).evaluate(|tape| (tape.random([100], Random::Normal) * &scale).sum());
    ///     assert_eq!(noise.seeded(key).evaluate(&scale, ()), again);
    /// }
    /// ```
    pub fn seeded(&mut self, key: u64) -> SeededProgram<'_, 'a, M, I, F> {
        SeededProgram { program: self, key }
    }

    #[track_caller]
    fn train(&mut self, key: Option<u64>, model: &M, given: I::Given<'_>) -> F {
        let split = self.split;
        self.run(Mode::training(key), model, given, |engine, call| match split {
            Some(split) => F::run::<RunParts<'_>>((engine, call, split)),
            None => F::run::<RunProgram<'_>>((engine, call)).loss(),
        })
    }

    #[track_caller]
    fn value(&mut self, key: Option<u64>, model: &M, given: I::Given<'_>) -> Tensor<F> {
        self.run(Mode::evaluation(key), model, given, |engine, call| {
            F::run::<RunProgram<'_>>((engine, call)).value()
        })
    }

    #[track_caller]
    fn run<R>(
        &mut self,
        mode: Mode,
        model: &M,
        given: I::Given<'_>,
        run: impl FnOnce(&mut Engine<F>, &Call<'_, F>) -> R,
    ) -> R {
        let mut inputs = SmallVec::<[_; 4]>::new();
        I::visit(given, &mut |leaf: InputLeaf<'_, F>| inputs.push(leaf));
        let record = |tape: &Tape<F>, notes: &Arc<InputNotes>, part: Part| {
            let recorded = I::record(given, &mut InputTape::new(tape, notes, part.rows));
            (self.record)(model, tape, recorded).on_tape(tape)
        };
        let (part, cotangent) = (Part::default(), F::ONE);
        let call = Call { mode, model, inputs: &inputs, part, cotangent, record: &record };
        run(&mut self.engine, &call)
    }

    /// Computes the loss and the gradients of each example of a batch by itself, on all threads, and collects what `f`
    /// makes of them, in the order of the examples.
    ///
    /// An example is a batch of one: each input has an axis of examples in front, which the closure sees with extent 1.
    /// `f` is given the number of the example, its loss and its gradients, with the bits of a run on that example alone.
    /// Its calls come in any order and from several threads.
    ///
    /// ```
    /// use wengert_core::{Gradients, MatmulOps, Param, Program, ReduceOps, Tensor, UnaryOps};
    ///
    /// let weight = Param::new(Tensor::<f64>::from([[2.0], [1.0]]));
    /// let mut step = Program::<_, Tensor<f64>, f64>::new(|weight: &Param<f64>, _, x| {
    ///     x.matmul(weight).square().sum()
    /// });
    /// let x = Tensor::from([[1.0, 0.0], [0.0, 3.0]]);
    /// let norms = step.per_example(&weight, &x, |_, _, grads| grads.global_norm());
    /// assert_eq!(norms, [4.0, 18.0]);
    ///
    /// // Gradients clipped one by one and summed, as for differentially private training.
    /// let clipped = step.per_example(&weight, &x, |_, _, grads| {
    ///     grads.clone() * (1.0 / grads.global_norm().max(1.0))
    /// });
    /// let sum = clipped.iter().fold(Gradients::from_params(Vec::new()), |mut sum, grads| {
    ///     sum += grads;
    ///     sum
    /// });
    /// assert_eq!(sum.get(&weight), Some(&Tensor::from([[1.0], [1.0]])));
    /// ```
    ///
    /// # Panics
    /// If the inputs have no axis of examples, or differ in its extent; and as [`gradients`](Self::gradients).
    #[track_caller]
    pub fn per_example<R: Send>(
        &mut self,
        model: &M,
        inputs: I::Given<'_>,
        f: impl Fn(usize, F, &Gradients<F>) -> R + Sync,
    ) -> Vec<R> {
        self.collect(&[model], inputs, &f, |engine, call, visit| {
            F::run::<RunExamples<'_>>((engine, call, visit));
        })
    }

    /// Computes the loss and the gradients of several models on the same inputs, on all threads, and collects what `f`
    /// makes of them, in the order of the models. The models are of one structure, such as the members of an ensemble.
    ///
    /// `f` is given the number of the model, its loss and its gradients, with the bits of a run of that model alone.
    ///
    /// ```
    /// use wengert_core::{MatmulOps, Param, Program, ReduceOps, Tensor, UnaryOps};
    ///
    /// let models = [1.0, 2.0, 3.0].map(|slope| Param::new(Tensor::<f64>::from([[slope]])));
    /// let mut step = Program::<Param<f64>, Tensor<f64>, f64>::new(|weight, _, x| {
    ///     x.matmul(weight).square().sum()
    /// });
    /// let x = Tensor::from([[1.0], [2.0]]);
    /// let losses = step.per_model(&models.each_ref(), &x, |_, loss, _| loss);
    /// assert_eq!(losses, [5.0, 20.0, 45.0]);
    /// ```
    ///
    /// # Panics
    /// As [`gradients`](Self::gradients).
    #[track_caller]
    pub fn per_model<R: Send>(
        &mut self,
        models: &[&M],
        inputs: I::Given<'_>,
        f: impl Fn(usize, F, &Gradients<F>) -> R + Sync,
    ) -> Vec<R>
    where
        M: Sync,
    {
        if models.is_empty() {
            return Vec::new();
        }
        self.collect(models, inputs, &f, |engine, call, visit| {
            F::run::<RunModels<'_>>((engine, call, models.len(), &|model| models[model], visit));
        })
    }

    /// Collects what `f` makes of the runs that `run` makes, by their numbers.
    #[track_caller]
    fn collect<R: Send>(
        &mut self,
        models: &[&M],
        given: I::Given<'_>,
        f: &(impl Fn(usize, F, &Gradients<F>) -> R + Sync),
        run: impl FnOnce(&mut Engine<F>, Call<'_, F>, Visit<'_, F>),
    ) -> Vec<R> {
        let mut inputs = SmallVec::<[_; 4]>::new();
        I::visit(given, &mut |leaf: InputLeaf<'_, F>| inputs.push(leaf));
        let record = |tape: &Tape<F>, notes: &Arc<InputNotes>, part: Part| {
            let recorded = I::record(given, &mut InputTape::new(tape, notes, part.rows));
            (self.record)(models[part.model], tape, recorded).on_tape(tape)
        };
        let mode = Mode::training(None);
        let (part, cotangent) = (Part::default(), F::ONE);
        let call =
            Call { mode, model: models[0], inputs: &inputs, part, cotangent, record: &record };
        let results = Mutex::new(Vec::new());
        run(&mut self.engine, call, &|number, loss, grads| {
            let result = f(number, loss, grads);
            results.lock().expect("no panic inside").push((number, result));
        });
        let mut results = results.into_inner().expect("no panic inside");
        results.sort_unstable_by_key(|(number, _)| *number);
        results.into_iter().map(|(_, result)| result).collect()
    }
}

impl<M, I: Input<F>, F: Float> Debug for Program<'_, M, I, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Program, {:?}", self.engine)
    }
}

/// A [`Program`] with the key of its next run; see [`Program::seeded`].
#[derive(Debug)]
pub struct SeededProgram<'p, 'a, M, I: Input<F>, F: Float = f32> {
    program: &'p mut Program<'a, M, I, F>,
    key: u64,
}

impl<'p, M: Params<F>, I: Input<F>, F: Float> SeededProgram<'p, '_, M, I, F> {
    /// Computes the loss and its gradients with this key; see [`Program::gradients`].
    ///
    /// # Panics
    /// As [`Program::gradients`].
    #[track_caller]
    pub fn gradients(self, model: &M, inputs: I::Given<'_>) -> (F, &'p Gradients<F>) {
        let loss = self.program.train(Some(self.key), model, inputs);
        (loss, self.program.engine.gradients())
    }

    /// Computes the value of the result with this key; see [`Program::evaluate`].
    ///
    /// # Panics
    /// As [`Program::evaluate`].
    #[track_caller]
    pub fn evaluate(self, model: &M, inputs: I::Given<'_>) -> Tensor<F> {
        self.program.value(Some(self.key), model, inputs)
    }
}
