//! The heart of a step: a chain of transforms over one parameter, a cache-sized chunk at a time.
//!
//! A chain is cut into *phases*: a rule that must see the whole model begins a new one, since all
//! parameters have to arrive there first. A phase is cut into *segments*: a rule that must see its
//! whole parameter begins a new one. Within a segment each chunk of the parameter passes through all
//! transforms while it is in the cache, so that a chain of five reads and writes state once. What is
//! remembered of the elements is one flat vector, chunk by chunk
//! (`[chunk 0: slot 0, slot 1, ..][chunk 1: ..]`), so that chunks are independent: results do not
//! depend on where a chunk ends, nor on the number of threads.
//!
//! A driver keeps `chain.slots(shape)` for each parameter, and steps so:
//!
//! ```text
//! for phase in 0..chain.phases() {
//!     if chain.needs_norm(phase)   { norm = root of the sum of sum_of_squares(update) }
//!     if phase is not the last one { updates = copies of the gradients, once;
//!                                    advance(phase, ..) each of them }
//!     else                         { finish(..) each parameter }
//! }
//! ```
//!
//! With a single phase, clipping first or not at all, `finish` reads the gradients themselves and
//! nothing is copied.

use std::ops::Range;
use std::sync::Arc;

use wengert_core::{Float, Shape, Tensor, vectorized};

use super::rule::{Scope, StepContext};
use super::transform::{ErasedRule, ErasedTensorRule, Transform, Work};

/// Elements that pass through the transforms together. With two slots of f32 they take 80 KB with the
/// gradient, the parameter and the update in hand, which an L2 cache holds.
pub(super) const CHUNK: usize = 4096;

/// Elements of one parameter from which on a second thread is asked for help: a step of Adam takes
/// some 25 us there, long enough to be worth waking it.
const PARALLEL: usize = 1 << 17;

/// A recipe's transforms, ready to run in precision `F`.
#[derive(Debug)]
pub struct Chain<F: Float> {
    pub(super) transforms: Vec<Stage<F>>,
    phases: Vec<Phase>,
    /// Numbers remembered of one element.
    pub(super) width: usize,
}

/// A transform, its name among those of the chain, and its place in what is remembered.
#[derive(Debug)]
pub(super) struct Stage<F: Float> {
    pub(super) name: String,
    pub(super) work: StageWork<F>,
}

#[derive(Debug)]
pub(super) enum StageWork<F: Float> {
    /// A rule of elements, and its slots among those of the chain.
    Elements(Arc<dyn ErasedRule<F>>, Range<usize>),
    /// A rule of whole tensors, and its number among those.
    Tensor(Arc<dyn ErasedTensorRule<F>>, usize),
}

/// Segments that run without a look at the rest of the model.
#[derive(Debug)]
struct Phase {
    needs_norm: bool,
    segments: Vec<Segment>,
}

/// Transforms of elements that run over a chunk together, and what must happen before them.
#[derive(Clone, Debug)]
struct Segment {
    head: Head,
    transforms: Range<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Head {
    Nothing,
    /// The norms of the parameter and of its update are taken.
    Norms,
    /// This transform transforms the update as a whole.
    Whole(usize),
}

/// What a chain remembers of one parameter.
#[derive(Clone, Debug)]
pub struct ChainState<F: Float> {
    /// Of each transform, how often it has been applied, and its number.
    pub(super) counts: Vec<(u64, f64)>,
    /// Of each element, chunk by chunk.
    pub(super) elements: Vec<F>,
    /// Of the parameter as a whole, for each transform that asks for it.
    pub(super) tensors: Vec<Vec<Tensor<F>>>,
}

impl<F: Float> Chain<F> {
    /// The chain of these transforms, in this order.
    ///
    /// # Panics
    /// When there is none, or one is a solver and no rule.
    #[track_caller]
    pub fn new(transforms: &[Transform]) -> Self {
        assert!(!transforms.is_empty(), "optimizer chain: no rule");
        let mut chain = Chain { transforms: Vec::new(), phases: Vec::new(), width: 0 };
        let mut tensors = 0;
        for (i, transform) in transforms.iter().enumerate() {
            let (work, head, barrier) = match transform.work::<F>() {
                Work::Rule(rule) => {
                    let slots = chain.width..chain.width + rule.state().len();
                    chain.width = slots.end;
                    let scope = rule.scope();
                    let head = if scope == Scope::Tensor { Head::Norms } else { Head::Nothing };
                    (StageWork::Elements(rule.clone(), slots), head, scope == Scope::Model)
                }
                Work::Tensor(rule) => {
                    tensors += 1;
                    (StageWork::Tensor(rule.clone(), tensors - 1), Head::Whole(i), false)
                }
                Work::Solver(_) => panic!("optimizer chain: `{}` is a solver", transform.kind()),
            };
            chain.place(i, head, barrier);
            let same =
                transforms[..i].iter().filter(|before| before.kind() == transform.kind()).count();
            let name = match same {
                0 => transform.kind().to_owned(),
                _ => format!("{}#{}", transform.kind(), same + 1),
            };
            chain.transforms.push(Stage { name, work });
        }
        chain
    }

    /// Gives transform `i` its place: in the last segment, or in a new one, or in a new phase.
    fn place(&mut self, i: usize, head: Head, barrier: bool) {
        if barrier || self.phases.is_empty() {
            self.phases.push(Phase { needs_norm: barrier, segments: Vec::new() });
        }
        let segments = &mut self.phases.last_mut().expect("one is there").segments;
        let transforms = if matches!(head, Head::Whole(_)) { i + 1..i + 1 } else { i..i + 1 };
        match segments.last_mut() {
            Some(segment) if head == Head::Nothing => segment.transforms.end = i + 1,
            _ => segments.push(Segment { head, transforms }),
        }
    }

    /// The number of phases: 1, and 1 more for each barrier that is not the first transform.
    pub fn phases(&self) -> usize {
        self.phases.len()
    }

    /// Whether phase `phase` begins with a rule that asks for [`StepContext::norm`] over the whole model.
    pub fn needs_norm(&self, phase: usize) -> bool {
        self.phases.get(phase).is_some_and(|phase| phase.needs_norm)
    }

    /// What the chain remembers of a parameter of this shape before its first step.
    pub fn slots(&self, shape: Shape) -> ChainState<F> {
        let (len, mut elements, mut tensors) = (shape.numel(), Vec::new(), Vec::new());
        let (mut initial, mut counts) = (Vec::new(), Vec::new());
        for transform in &self.transforms {
            let mut number = 0.0;
            match &transform.work {
                StageWork::Elements(rule, slots) => {
                    number = rule.number().map_or(0.0, |(_, first)| first);
                    initial.extend((0..slots.len()).map(|slot| F::of(rule.initial(slot))));
                }
                StageWork::Tensor(rule, _) => {
                    let zeros = |(_, shape)| Tensor::zeros(shape);
                    tensors.push(rule.state(shape).into_iter().map(zeros).collect());
                }
            }
            counts.push((0, number));
        }
        elements.reserve_exact(len * self.width);
        for start in (0..len).step_by(CHUNK) {
            for initial in &initial {
                elements.resize(elements.len() + CHUNK.min(len - start), *initial);
            }
        }
        ChainState { counts, elements, tensors }
    }

    /// Runs a phase that is not the last over a parameter's update, in place.
    ///
    /// `context.norm` is the norm of all updates as they arrive, if the phase asks for it.
    ///
    /// # Panics
    /// When the shapes do not belong together.
    #[track_caller]
    pub fn advance(
        &self,
        phase: usize,
        context: StepContext,
        update: &mut Tensor<F>,
        param: &Tensor<F>,
        slots: &mut ChainState<F>,
    ) {
        self.check(update, param, slots);
        for segment in &self.phases[phase].segments {
            self.pass(segment, context, update, param, slots);
        }
    }

    /// Runs the last phase and updates the parameter: `param -= context.lr * update`.
    ///
    /// # Panics
    /// When the shapes do not belong together.
    #[track_caller]
    pub fn finish(
        &self,
        context: StepContext,
        update: &Tensor<F>,
        param: &mut Tensor<F>,
        slots: &mut ChainState<F>,
    ) {
        self.check(update, param, slots);
        let phase = self.phases.last().expect("a chain has a phase");
        let (last, before) = phase.segments.split_last().expect("a phase has a segment");
        // A copy is made for whoever transforms the update ahead of the last segment.
        let mut own = None;
        for segment in before {
            let own = own.get_or_insert_with(|| update.clone());
            self.pass(segment, context, own, param, slots);
        }
        let context = match last.head {
            Head::Nothing => context,
            Head::Norms => norms(context, own.as_ref().unwrap_or(update), param),
            Head::Whole(transform) => {
                let arrived = own.take().unwrap_or_else(|| update.clone());
                own = Some(self.whole(transform, context, arrived, param, slots));
                context
            }
        };
        let update = own.as_ref().unwrap_or(update).as_slice();
        let param = param.as_mut_slice();
        if last.transforms.is_empty() {
            let lr = F::of(context.lr);
            return param.iter_mut().zip(update).for_each(|(p, u)| *p -= lr * *u);
        }
        self.count(&last.transforms, context, slots);
        let run = ChunkRun {
            chain: self,
            transforms: last.transforms.clone(),
            context,
            counts: &slots.counts,
        };
        run.finish_half(update, param, &mut slots.elements);
    }

    #[track_caller]
    fn check(&self, update: &Tensor<F>, param: &Tensor<F>, slots: &ChainState<F>) {
        let (own, given) = (param.shape(), update.shape());
        assert!(own == given, "optimizer chain: a parameter {own:?} meets an update {given:?}");
        let (found, expected) = (slots.elements.len(), param.numel() * self.width);
        assert!(
            found == expected,
            "optimizer chain: a parameter {own:?} meets {found} numbers of state ({expected} expected)"
        );
    }

    /// Runs one segment over an update, in place.
    fn pass(
        &self,
        segment: &Segment,
        context: StepContext,
        update: &mut Tensor<F>,
        param: &Tensor<F>,
        slots: &mut ChainState<F>,
    ) {
        let context = match segment.head {
            Head::Nothing => context,
            Head::Norms => norms(context, update, param),
            Head::Whole(transform) => {
                let arrived = std::mem::replace(update, Tensor::zeros([0]));
                *update = self.whole(transform, context, arrived, param, slots);
                context
            }
        };
        self.count(&segment.transforms, context, slots);
        let run = ChunkRun {
            chain: self,
            transforms: segment.transforms.clone(),
            context,
            counts: &slots.counts,
        };
        run.advance_half(update.as_mut_slice(), param.as_slice(), &mut slots.elements);
    }

    /// Counts one more update for these transforms.
    fn count(&self, transforms: &Range<usize>, context: StepContext, slots: &mut ChainState<F>) {
        for (transform, (count, number)) in self
            .transforms
            .iter()
            .zip(&mut slots.counts)
            .skip(transforms.start)
            .take(transforms.len())
        {
            *count += 1;
            if let StageWork::Elements(rule, _) = &transform.work {
                *number = rule.advance(StepContext { count: *count, ..context }, *number);
            }
        }
    }

    /// Lets a transform transform an update as a whole.
    #[track_caller]
    fn whole(
        &self,
        transform: usize,
        context: StepContext,
        update: Tensor<F>,
        param: &Tensor<F>,
        slots: &mut ChainState<F>,
    ) -> Tensor<F> {
        let Stage { name, work: StageWork::Tensor(rule, number) } = &self.transforms[transform]
        else {
            unreachable!("the head of a segment is a rule of tensors");
        };
        slots.counts[transform].0 += 1;
        let context = StepContext { count: slots.counts[transform].0, ..context };
        let update = rule.apply(context, update, param, &mut slots.tensors[*number]);
        let (own, given) = (param.shape(), update.shape());
        assert!(own == given, "{name}: the update of a parameter {own:?} became {given:?}");
        update
    }
}

/// Both norms that a rule of [`Scope::Tensor`] may read.
fn norms<F: Float>(context: StepContext, update: &Tensor<F>, param: &Tensor<F>) -> StepContext {
    let norm = |x: &Tensor<F>| sum_of_squares(x.as_slice()).sqrt();
    StepContext { norm: norm(update), param_norm: norm(param), ..context }
}

/// The transforms of one segment on their way over a parameter.
struct ChunkRun<'a, F: Float> {
    chain: &'a Chain<F>,
    transforms: Range<usize>,
    context: StepContext,
    counts: &'a [(u64, f64)],
}

impl<F: Float> ChunkRun<'_, F> {
    fn advance_half(&self, update: &mut [F], param: &[F], state: &mut [F]) {
        let Some(mid) = middle(param.len()) else {
            for transform in self.transforms.clone() {
                let (rule, context, state) = self.transform(transform, state, param.len());
                rule.pass(context, update, param, state);
            }
            return;
        };
        let (u, v) = update.split_at_mut(mid);
        let (p, q) = param.split_at(mid);
        let (m, n) = state.split_at_mut(mid * self.chain.width);
        both(param.len(), || self.advance_half(u, p, m), || self.advance_half(v, q, n));
    }

    fn finish_half(&self, update: &[F], param: &mut [F], state: &mut [F]) {
        let Some(mid) = middle(param.len()) else {
            return self.finish_chunk(update, param, state);
        };
        let len = param.len();
        let (u, v) = update.split_at(mid);
        let (p, q) = param.split_at_mut(mid);
        let (m, n) = state.split_at_mut(mid * self.chain.width);
        both(len, || self.finish_half(u, p, m), || self.finish_half(v, q, n));
    }

    fn finish_chunk(&self, update: &[F], param: &mut [F], state: &mut [F]) {
        if self.transforms.len() == 1 {
            // The most frequent case: one rule, which reads the update where it is.
            let (rule, context, state) = self.transform(self.transforms.start, state, param.len());
            return rule.finish(context, update, param, state);
        }
        // Clearing a scratch of 4,096 numbers would cost a bias more than its step.
        match param.len() {
            0..=64 => self.finish_links::<64>(update, param, state),
            65..=512 => self.finish_links::<512>(update, param, state),
            _ => self.finish_links::<CHUNK>(update, param, state),
        }
    }

    /// Not inlined, so that the recursion above does not carry the scratch on its stack.
    #[inline(never)]
    fn finish_links<const N: usize>(&self, update: &[F], param: &mut [F], state: &mut [F]) {
        let mut scratch = [F::ZERO; N];
        let scratch = &mut scratch[..update.len()];
        scratch.copy_from_slice(update);
        let last = self.transforms.end - 1;
        for transform in self.transforms.start..last {
            let (rule, context, state) = self.transform(transform, state, param.len());
            rule.pass(context, scratch, param, state);
        }
        let (rule, context, state) = self.transform(last, state, param.len());
        rule.finish(context, scratch, param, state);
    }

    /// A transform, where it stands, and its slots in the state of a chunk of `len` elements.
    fn transform<'m>(
        &self,
        transform: usize,
        chunk: &'m mut [F],
        len: usize,
    ) -> (&dyn ErasedRule<F>, StepContext, &'m mut [F]) {
        let StageWork::Elements(rule, slots) = &self.chain.transforms[transform].work else {
            unreachable!("the transforms of a segment are rules of elements");
        };
        let (count, number) = self.counts[transform];
        let context = StepContext { count, number, ..self.context };
        (&**rule, context, &mut chunk[slots.start * len..slots.end * len])
    }
}

/// The sum of the squares, in double precision, the same bits for any number of threads.
///
/// Blocked in a fixed tree, so that rounding grows with the logarithm of the length.
pub fn sum_of_squares<F: Float>(x: &[F]) -> f64 {
    let Some(mid) = middle(x.len()) else {
        return vectorized(
            #[inline(always)]
            || {
                let (blocks, rest) = x.as_chunks::<8>();
                let mut lanes = [0.0; 8];
                for block in blocks {
                    for (lane, x) in lanes.iter_mut().zip(block) {
                        *lane += x.to_f64() * x.to_f64();
                    }
                }
                let rest: f64 = rest.iter().map(|x| x.to_f64() * x.to_f64()).sum();
                lanes.iter().sum::<f64>() + rest
            },
        );
    };
    let (left, right) = x.split_at(mid);
    let (left, right) = both(x.len(), || sum_of_squares(left), || sum_of_squares(right));
    left + right
}

/// Where to halve a slice, at the border of a chunk; `None` for a single chunk.
fn middle(len: usize) -> Option<usize> {
    (len > CHUNK).then(|| len.div_ceil(CHUNK) / 2 * CHUNK)
}

/// Does both, on two threads where `len` elements are worth it.
fn both<A: Send, B: Send>(
    len: usize,
    a: impl FnOnce() -> A + Send,
    b: impl FnOnce() -> B + Send,
) -> (A, B) {
    if len >= PARALLEL && rayon::current_num_threads() > 1 { rayon::join(a, b) } else { (a(), b()) }
}
