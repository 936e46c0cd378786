//! The heart of a step: a chain of rules over slices, a cache-sized chunk at a time.
//!
//! A chain is cut into *segments*: a rule that must see the whole model begins a new one. Within a
//! segment each chunk of a parameter passes through all links while it is in the cache, so that a
//! chain of five reads and writes memory once. The memory of a parameter is one flat vector, chunk
//! by chunk (`[chunk 0: slot 0, slot 1, ..][chunk 1: ..]`), so that chunks are independent: results
//! do not depend on where a chunk ends, nor on the number of threads.
//!
//! A driver keeps `chain.memory(n)` for each parameter, and steps so:
//!
//! ```text
//! for segment in 0..chain.segments() {
//!     if chain.needs_norm(segment)   { norm = root of the sum of sum_of_squares(update) }
//!     if segment is not the last one { updates = copies of the gradients, once;
//!                                      advance(segment, ..) each of them }
//!     else                           { finish(..) each parameter }
//! }
//! ```
//!
//! With a single segment, clipping first or not at all, `finish` reads the gradients themselves
//! and nothing is copied.

use std::ops::Range;
use std::sync::Arc;

use wengert_core::{Float, vectorized};

use super::rule::{At, Link, Reach, Run};

/// Elements that pass through the links together. With two slots of f32 they take 80 KB with the
/// gradient, the parameter and the update in hand, which an L2 cache holds.
const CHUNK: usize = 4096;

/// Elements of one parameter from which on a second thread is asked for help: a step of Adam takes
/// some 25 us there, long enough to be worth waking it.
const PARALLEL: usize = 1 << 17;

/// A recipe's links, ready to run over slices of precision `F`.
#[derive(Debug)]
pub struct Chain<F: Float> {
    links: Vec<Stage<F>>,
    /// Where each segment begins; the first is 0.
    starts: Vec<usize>,
    slots: usize,
}

/// A link and its place in a parameter's memory.
#[derive(Debug)]
struct Stage<F: Float> {
    rule: Arc<dyn Run<F>>,
    /// Its slots among those of the chain, and what they hold before the first step.
    slots: Range<usize>,
    initial: Vec<f64>,
    reach: Reach,
}

impl<F: Float> Chain<F> {
    /// The chain of these links, in this order.
    ///
    /// # Panics
    /// When there is none.
    #[track_caller]
    pub fn new(links: &[Link]) -> Self {
        assert!(!links.is_empty(), "optimizer chain: no rule");
        let mut chain = Chain { links: Vec::new(), starts: vec![0], slots: 0 };
        for (i, link) in links.iter().enumerate() {
            if i > 0 && link.reach() == Reach::Model {
                chain.starts.push(i);
            }
            let slots = link.memory().len();
            chain.links.push(Stage {
                rule: link.typed(),
                initial: (0..slots).map(|slot| link.initial(slot)).collect(),
                slots: chain.slots..chain.slots + slots,
                reach: link.reach(),
            });
            chain.slots += slots;
        }
        chain
    }

    /// The number of segments: 1, and 1 more for each barrier that is not the first link.
    pub fn segments(&self) -> usize {
        self.starts.len()
    }

    /// Whether segment `segment` begins with a rule that asks for [`At::norm`].
    pub fn needs_norm(&self, segment: usize) -> bool {
        self.links.get(self.starts[segment]).is_some_and(|link| link.reach == Reach::Model)
    }

    /// What the chain remembers of a parameter of `len` elements before its first step.
    pub fn memory(&self, len: usize) -> Vec<F> {
        let mut memory = Vec::with_capacity(len * self.slots);
        for start in (0..len).step_by(CHUNK) {
            let chunk = CHUNK.min(len - start);
            for initial in self.links.iter().flat_map(|link| &link.initial) {
                memory.resize(memory.len() + chunk, F::of(*initial));
            }
        }
        memory
    }

    /// Runs one segment but the last over a parameter's update, in place.
    ///
    /// `at.norm` is the norm of all updates as they arrive, if the segment asks for it.
    ///
    /// # Panics
    /// When the lengths do not belong together.
    #[track_caller]
    pub fn advance(&self, segment: usize, at: At, update: &mut [F], param: &[F], memory: &mut [F]) {
        self.check_lengths(update.len(), param.len(), memory.len());
        let links = self.starts[segment]..self.starts[segment + 1];
        self.advance_half(&links, at, update, param, memory);
    }

    /// Runs the last segment and updates the parameter: `param -= at.lr * update`.
    ///
    /// # Panics
    /// When the lengths do not belong together.
    #[track_caller]
    pub fn finish(&self, at: At, update: &[F], param: &mut [F], memory: &mut [F]) {
        self.check_lengths(update.len(), param.len(), memory.len());
        self.finish_half(at, update, param, memory);
    }

    #[track_caller]
    fn check_lengths(&self, update: usize, param: usize, memory: usize) {
        assert!(
            update == param && memory == param * self.slots,
            "optimizer chain: {param} parameters meet {update} updates and {memory} numbers of \
             memory ({} expected)",
            param * self.slots,
        );
    }

    fn advance_half(
        &self,
        links: &Range<usize>,
        at: At,
        update: &mut [F],
        param: &[F],
        memory: &mut [F],
    ) {
        let Some(mid) = middle(param.len()) else {
            for link in &self.links[links.clone()] {
                link.rule.pass(at, update, param, link.memory(memory, param.len()));
            }
            return;
        };
        let (u, v) = update.split_at_mut(mid);
        let (p, q) = param.split_at(mid);
        let (m, n) = memory.split_at_mut(mid * self.slots);
        both(
            param.len(),
            || self.advance_half(links, at, u, p, m),
            || self.advance_half(links, at, v, q, n),
        );
    }

    fn finish_half(&self, at: At, update: &[F], param: &mut [F], memory: &mut [F]) {
        let Some(mid) = middle(param.len()) else {
            return self.finish_chunk(at, update, param, memory);
        };
        let len = param.len();
        let (u, v) = update.split_at(mid);
        let (p, q) = param.split_at_mut(mid);
        let (m, n) = memory.split_at_mut(mid * self.slots);
        both(len, || self.finish_half(at, u, p, m), || self.finish_half(at, v, q, n));
    }

    fn finish_chunk(&self, at: At, update: &[F], param: &mut [F], memory: &mut [F]) {
        let last = self.links.len() - 1;
        let first = self.starts[self.starts.len() - 1];
        if first == last {
            // The most frequent case: one rule, which reads the update where it is.
            return self.links[last].finish(at, update, param, memory);
        }
        // Clearing a scratch of 4,096 numbers would cost a bias more than its step.
        match param.len() {
            0..=64 => self.finish_chain::<64>(first, at, update, param, memory),
            65..=512 => self.finish_chain::<512>(first, at, update, param, memory),
            _ => self.finish_chain::<CHUNK>(first, at, update, param, memory),
        }
    }

    /// Not inlined, so that the recursion above does not carry the scratch on its stack.
    #[inline(never)]
    fn finish_chain<const N: usize>(
        &self,
        first: usize,
        at: At,
        update: &[F],
        param: &mut [F],
        memory: &mut [F],
    ) {
        let mut scratch = [F::ZERO; N];
        let scratch = &mut scratch[..update.len()];
        scratch.copy_from_slice(update);
        let last = self.links.len() - 1;
        for link in &self.links[first..last] {
            link.rule.pass(at, scratch, param, link.memory(memory, param.len()));
        }
        self.links[last].finish(at, scratch, param, memory);
    }
}

impl<F: Float> Stage<F> {
    /// The slots of this link in the memory of a chunk of `len` elements.
    fn memory<'a>(&self, chunk: &'a mut [F], len: usize) -> &'a mut [F] {
        &mut chunk[self.slots.start * len..self.slots.end * len]
    }

    fn finish(&self, at: At, update: &[F], param: &mut [F], memory: &mut [F]) {
        let memory = self.memory(memory, param.len());
        self.rule.finish(at, update, param, memory);
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
