//! The inner loop of a step: a chain of transforms over one parameter, one cache-sized chunk at a time.
//!
//! A chain is divided into *phases*. A rule that needs the norm over the whole model begins a new one,
//! since all parameters have to arrive there first. A phase is divided into *passes* over the parameter.
//! A rule that needs the whole parameter begins a new one. Within a pass each chunk of the parameter goes
//! through all transforms while it is in the cache, so that a chain of five reads and writes memory once.
//! The state of the elements is one flat vector, chunk by chunk
//! (`[chunk 0: slot 0, slot 1, ..][chunk 1: ..]`). So chunks are independent, and the results do not
//! depend on where a chunk ends or on the number of threads.

use std::ops::Range;

use wengert_core::{Float, Shape, Tensor};

use super::body::{Body, Entry};
use super::chunk_run::ChunkRun;
use super::chunks::{CHUNK, LONG_CHUNK, sum_of_squares};
use super::rule::{Scope, StepContext};
use super::scheduled::Resolved;
use super::transform::{Transform, Work, accepted};

/// The transforms of a recipe, ready to run in precision `F`.
///
/// [`Optimizer`](super::Optimizer) uses it for each group of parameters; your own training loop may use it directly.
/// Each parameter needs a [`ChainState`]. A step takes all parameters through the phases:
///
/// ```text
/// for phase in 0..chain.phases() {
///     if chain.needs_norm(phase)   { norm = root of the sum of sum_of_squares(update) }
///     if phase is not the last one { updates = copies of the gradients, made once;
///                                    advance(phase, ..) each of them }
///     else                         { finish(..) each parameter }
/// }
/// ```
///
/// If only the first transform is a [`ClipNorm`](super::ClipNorm), there is one phase: `finish` reads the gradients
/// themselves, and nothing is copied.
///
/// ```
/// use wengert_core::Tensor;
/// use wengert_nn::optim::{Chain, Recipe, Sgd, StepContext};
///
/// let recipe = Recipe::new(0.5, Sgd { momentum: 0.5, ..Sgd::default() });
/// let chain = Chain::<f64>::new(recipe.chain());
/// let mut param = Tensor::from([1.0, 2.0]);
/// let mut state = chain.init(param.shape());
/// for step in 0..2 {
///     let context = StepContext::new(step, recipe.lr().at(step));
///     chain.finish(context, &Tensor::from([1.0, 0.0]), &mut param, &mut state);
/// }
/// assert_eq!(param.to_vec(), [1.0 - 0.5 * 1.0 - 0.5 * 1.5, 2.0]);
/// ```
#[derive(Debug)]
pub struct Chain<F: Float> {
    pub(super) entries: Vec<Entry<F>>,
    phases: Vec<Phase>,
    /// Number of slots of an element.
    pub(super) width: usize,
    /// Number of elements that go through a pass together.
    pub(super) chunk: usize,
    /// Settings that follow schedules.
    pub(super) resolved: Vec<Resolved>,
    /// The step whose settings the transforms have.
    pub(super) step: Option<u64>,
}

/// Passes that need no norm over the model in between.
#[derive(Debug)]
struct Phase {
    needs_norm: bool,
    passes: Vec<Pass>,
}

/// Elementwise transforms that run over each chunk together, and what happens before them.
#[derive(Clone, Debug)]
struct Pass {
    before: Before,
    transforms: Range<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Before {
    Nothing,
    /// The norms of the parameter and of its update are computed.
    Norms,
    /// This transform, a rule for whole tensors, is applied.
    Whole(usize),
}

/// State of a [`Chain`] for one parameter.
#[derive(Clone, Debug)]
pub struct ChainState<F: Float> {
    /// For each transform, how often it has been applied, and its number.
    pub(super) counts: Vec<(u64, f64)>,
    /// The slots of the elements, chunk by chunk.
    pub(super) elements: Vec<F>,
    /// The state of the rules for whole tensors.
    pub(super) tensors: Vec<Vec<Tensor<F>>>,
}

impl<F: Float> Chain<F> {
    /// Creates a chain of these transforms, in this order.
    ///
    /// # Panics
    /// If there are none, or one of them is a solver.
    #[track_caller]
    pub fn new(transforms: &[Transform]) -> Self {
        let mut chain = Self::unresolved(transforms);
        chain.set_step(0);
        chain
    }

    /// Creates a chain whose settings by schedule are yet those that [`Transform`] was made with.
    #[track_caller]
    pub(super) fn unresolved(transforms: &[Transform]) -> Self {
        assert!(!transforms.is_empty(), "optimizer chain: no rule");
        let (entries, phases, resolved) = (Vec::new(), Vec::new(), Vec::new());
        let mut chain =
            Chain { entries, phases, width: 0, chunk: LONG_CHUNK, resolved, step: None };
        let mut tensors = 0;
        for (i, transform) in transforms.iter().enumerate() {
            let (mut body, before, barrier) = match transform.work::<F>() {
                Work::Rule(rule) => {
                    let slots = chain.width..chain.width + rule.state().len();
                    chain.width = slots.end;
                    let scope = rule.scope();
                    let before =
                        if scope == Scope::Tensor { Before::Norms } else { Before::Nothing };
                    (Body::Elements(rule.clone(), slots), before, scope == Scope::Model)
                }
                Work::Tensor(rule) => {
                    tensors += 1;
                    (Body::Tensor(rule.clone(), tensors - 1), Before::Whole(i), false)
                }
                Work::Solver(_) => panic!("optimizer chain: `{}` is a solver", transform.kind()),
            };
            chain.place(i, before, barrier);
            let same = transforms[..i].iter().filter(|other| other.kind() == transform.kind());
            let name = match same.count() {
                0 => transform.kind().to_owned(),
                others => format!("{}#{}", transform.kind(), others + 1),
            };
            if !transform.scheduled.is_empty() {
                let (settings, scheduled) = (transform.first(), transform.scheduled.clone());
                accepted(transform.kind(), body.make_own(&settings));
                chain.resolved.push(Resolved { entry: i, settings, scheduled });
            }
            chain.entries.push(Entry { name, body });
        }
        let mut passes = chain.phases.iter().flat_map(|phase| &phase.passes);
        if passes.any(|pass| pass.transforms.len() > 1) {
            chain.chunk = CHUNK;
        }
        chain
    }

    /// Places transform `i` in the last pass, a new pass, or a new phase.
    fn place(&mut self, i: usize, before: Before, barrier: bool) {
        if barrier || self.phases.is_empty() {
            self.phases.push(Phase { needs_norm: barrier, passes: Vec::new() });
        }
        let passes = &mut self.phases.last_mut().expect("there is a phase").passes;
        let transforms = if matches!(before, Before::Whole(_)) { i + 1..i + 1 } else { i..i + 1 };
        match passes.last_mut() {
            Some(pass) if before == Before::Nothing => pass.transforms.end = i + 1,
            _ => passes.push(Pass { before, transforms }),
        }
    }

    /// Returns the number of phases: 1, and 1 more for each rule of [`Scope::Model`] that is not the
    /// first transform.
    pub fn phases(&self) -> usize {
        self.phases.len()
    }

    /// Returns whether phase `phase` begins with a rule that needs [`StepContext::norm`] over the whole
    /// model.
    pub fn needs_norm(&self, phase: usize) -> bool {
        self.phases.get(phase).is_some_and(|phase| phase.needs_norm)
    }

    /// Returns the transforms of the only pass, if there is one pass and it needs no norm of its parameter.
    pub(super) fn only_pass(&self) -> Option<Range<usize>> {
        match &self.phases[..] {
            [Phase { passes, .. }] => match &passes[..] {
                [Pass { before: Before::Nothing, transforms }] => Some(transforms.clone()),
                _ => None,
            },
            _ => None,
        }
    }

    /// Returns the phase that begins with barrier number `barrier`, counted from 1: the `barrier`-th rule of
    /// [`Scope::Model`]. Number 0 is the beginning of the chain.
    pub(super) fn phase_behind(&self, barrier: usize) -> Option<usize> {
        let begins_with_one = usize::from(self.needs_norm(0));
        let phase = barrier.checked_sub(begins_with_one)?;
        (phase < self.phases()).then_some(phase)
    }

    /// Returns the initial state for a parameter of this shape.
    pub fn init(&self, shape: Shape) -> ChainState<F> {
        let (len, mut elements, mut tensors) = (shape.numel(), Vec::new(), Vec::new());
        let (mut initial, mut counts) = (Vec::new(), Vec::new());
        for entry in &self.entries {
            let mut number = 0.0;
            match &entry.body {
                Body::Elements(rule, slots) => {
                    number = rule.number().map_or(0.0, |(_, first)| first);
                    initial.extend((0..slots.len()).map(|slot| F::of(rule.initial(slot))));
                }
                Body::Tensor(rule, _) => {
                    let zeros = |(_, shape)| Tensor::zeros(shape);
                    tensors.push(rule.state(shape).into_iter().map(zeros).collect());
                }
            }
            counts.push((0, number));
        }
        elements.reserve_exact(len * self.width);
        for start in (0..len).step_by(self.chunk) {
            for initial in &initial {
                elements.resize(elements.len() + self.chunk.min(len - start), *initial);
            }
        }
        ChainState { counts, elements, tensors }
    }

    /// Runs a phase that is not the last one: transforms a parameter's update in place.
    ///
    /// `context.norm` is the norm over all incoming updates, if the phase needs it.
    ///
    /// # Panics
    /// If update, parameter and state differ in shape, or a rule returns an update of another shape.
    #[track_caller]
    pub fn advance(
        &self,
        phase: usize,
        context: StepContext,
        update: &mut Tensor<F>,
        param: &Tensor<F>,
        state: &mut ChainState<F>,
    ) {
        self.check(context, update, param, state);
        if let Err(mistake) = self.try_advance(phase, &context, update, param, state) {
            panic!("optimizer chain: {mistake}");
        }
    }

    /// Runs a phase that is not the last one, on an update whose shape was checked.
    pub(super) fn try_advance(
        &self,
        phase: usize,
        context: &StepContext,
        update: &mut Tensor<F>,
        param: &Tensor<F>,
        state: &mut ChainState<F>,
    ) -> Result<(), String> {
        let mut passes = self.phases[phase].passes.iter();
        passes.try_for_each(|pass| self.run_pass(pass, context, update, param, state))
    }

    /// Runs the last phase, and updates the parameter: `param -= context.lr * update`.
    ///
    /// `context.norm` is the norm over all incoming updates, if the phase needs it.
    ///
    /// # Panics
    /// If update, parameter and state differ in shape, or a rule returns an update of another shape.
    #[track_caller]
    pub fn finish(
        &self,
        context: StepContext,
        update: &Tensor<F>,
        param: &mut Tensor<F>,
        state: &mut ChainState<F>,
    ) {
        self.check(context, update, param, state);
        if let Err(mistake) = self.try_finish(&context, update, param, state) {
            panic!("optimizer chain: {mistake}");
        }
    }

    /// Runs the last phase, on an update whose shape was checked.
    pub(super) fn try_finish(
        &self,
        context: &StepContext,
        update: &Tensor<F>,
        param: &mut Tensor<F>,
        state: &mut ChainState<F>,
    ) -> Result<(), String> {
        let phase = self.phases.last().expect("a chain has a phase");
        let (last, before) = phase.passes.split_last().expect("a phase has a pass");
        // The update is copied only if it is transformed before the last pass.
        let mut own = None;
        for pass in before {
            let own = own.get_or_insert_with(|| update.clone());
            self.run_pass(pass, context, own, param, state)?;
        }
        let measured;
        let context = match last.before {
            Before::Nothing => context,
            Before::Norms => {
                measured = norms(context, own.as_ref().unwrap_or(update), param);
                &measured
            }
            Before::Whole(index) => {
                let incoming = own.take().unwrap_or_else(|| update.clone());
                own = Some(self.apply_whole(index, context, incoming, param, state)?);
                context
            }
        };
        let update = own.as_ref().unwrap_or(update).as_slice();
        let param = param.as_mut_slice();
        if last.transforms.is_empty() {
            let lr = F::of(context.lr);
            param.iter_mut().zip(update).for_each(|(p, u)| *p -= lr * *u);
            return Ok(());
        }
        let run = self.begin(&last.transforms, context, &mut state.counts);
        run.finish(update, param, &mut state.elements);
        Ok(())
    }

    #[track_caller]
    fn check(
        &self,
        context: StepContext,
        update: &Tensor<F>,
        param: &Tensor<F>,
        state: &ChainState<F>,
    ) {
        assert!(
            self.resolved.is_empty() || self.step == Some(context.step),
            "optimizer chain: some settings follow schedules; call `set_step({})` first",
            context.step
        );
        let (own, given) = (param.shape(), update.shape());
        assert!(
            own == given,
            "optimizer chain: expected an update of shape {own:?}, found {given:?}"
        );
        let (found, expected) = (state.elements.len(), param.numel() * self.width);
        assert!(
            found == expected,
            "optimizer chain: expected a state of {expected} numbers for shape {own:?}, found {found}"
        );
    }

    /// Runs one pass over an update, in place.
    fn run_pass(
        &self,
        pass: &Pass,
        context: &StepContext,
        update: &mut Tensor<F>,
        param: &Tensor<F>,
        state: &mut ChainState<F>,
    ) -> Result<(), String> {
        let measured;
        let context = match pass.before {
            Before::Nothing => context,
            Before::Norms => {
                measured = norms(context, update, param);
                &measured
            }
            Before::Whole(index) => {
                let incoming = std::mem::replace(update, Tensor::zeros([0]));
                *update = self.apply_whole(index, context, incoming, param, state)?;
                context
            }
        };
        let run = self.begin(&pass.transforms, context, &mut state.counts);
        run.advance(update.as_mut_slice(), param.as_slice(), &mut state.elements);
        Ok(())
    }

    /// Increments the counts of the transforms of a pass and updates their numbers. Returns the transforms, ready for
    /// chunks.
    #[inline]
    pub(super) fn begin<'a>(
        &'a self,
        transforms: &Range<usize>,
        context: &'a StepContext,
        counts: &'a mut [(u64, f64)],
    ) -> ChunkRun<'a, F> {
        let entries = &self.entries[transforms.clone()];
        let counts = &mut counts[transforms.clone()];
        for (entry, (count, number)) in entries.iter().zip(&mut *counts) {
            *count += 1;
            if let Body::Elements(rule, _) = &entry.body {
                *number = rule.next_number(StepContext { count: *count, ..*context }, *number);
            }
        }
        ChunkRun { entries, counts, width: self.width, chunk: self.chunk, context }
    }

    /// Applies a rule for whole tensors.
    fn apply_whole(
        &self,
        index: usize,
        context: &StepContext,
        update: Tensor<F>,
        param: &Tensor<F>,
        state: &mut ChainState<F>,
    ) -> Result<Tensor<F>, String> {
        let Entry { name, body: Body::Tensor(rule, tensors) } = &self.entries[index] else {
            unreachable!("`Before::Whole` is a rule for whole tensors");
        };
        state.counts[index].0 += 1;
        let context = StepContext { count: state.counts[index].0, ..*context };
        let update = rule.apply(context, update, param, &mut state.tensors[*tensors]);
        let (own, given) = (param.shape(), update.shape());
        if own == given {
            Ok(update)
        } else {
            Err(format!("`{name}` returned an update of shape {given:?} for one of {own:?}"))
        }
    }
}

/// Computes both norms that a rule of [`Scope::Tensor`] may read.
fn norms<F: Float>(context: &StepContext, update: &Tensor<F>, param: &Tensor<F>) -> StepContext {
    let norm = |x: &Tensor<F>| sum_of_squares(x.as_slice()).sqrt();
    StepContext { norm: norm(update), param_norm: norm(param), ..*context }
}
