//! The transforms of one pass on their way over the chunks of a parameter, on one thread or two.

use wengert_core::Float;

use super::body::{Body, Entry};
use super::chunks::{CHUNK, both, middle};
use super::rule::StepContext;
use super::transform::ErasedRule;

/// The transforms of one pass on their way over the chunks of a parameter.
pub(super) struct ChunkRun<'a, F: Float> {
    pub(super) entries: &'a [Entry<F>],
    /// For each of them, how often it has been applied, and its number.
    pub(super) counts: &'a [(u64, f64)],
    /// Number of slots of an element, in the whole chain.
    pub(super) width: usize,
    /// Number of elements that go through the pass together.
    pub(super) chunk: usize,
    pub(super) context: &'a StepContext,
}

impl<F: Float> ChunkRun<'_, F> {
    /// Transforms the update in place.
    pub(super) fn advance(&self, update: &mut [F], param: &[F], state: &mut [F]) {
        let Some(mid) = middle(param.len(), self.chunk) else {
            for index in 0..self.entries.len() {
                let (rule, context, state) = self.transform(index, state, param.len());
                rule.transform(context, update, param, state);
            }
            return;
        };
        let (u, v) = update.split_at_mut(mid);
        let (p, q) = param.split_at(mid);
        let (m, n) = state.split_at_mut(mid * self.width);
        both(param.len(), || self.advance(u, p, m), || self.advance(v, q, n));
    }

    /// Transforms the update and applies it to the parameter.
    #[inline]
    pub(super) fn finish(&self, update: &[F], param: &mut [F], state: &mut [F]) {
        match middle(param.len(), self.chunk) {
            None => self.finish_chunk(update, param, state),
            Some(mid) => self.finish_halves(mid, update, param, state),
        }
    }

    fn finish_halves(&self, mid: usize, update: &[F], param: &mut [F], state: &mut [F]) {
        let len = param.len();
        let (u, v) = update.split_at(mid);
        let (p, q) = param.split_at_mut(mid);
        let (m, n) = state.split_at_mut(mid * self.width);
        both(len, || self.finish(u, p, m), || self.finish(v, q, n));
    }

    #[inline]
    pub(super) fn finish_chunk(&self, update: &[F], param: &mut [F], state: &mut [F]) {
        if self.entries.len() == 1 {
            // The most frequent case: one rule, which reads the update where it is.
            let (rule, context, state) = self.transform(0, state, param.len());
            return rule.finish(context, update, param, state);
        }
        // Clearing a scratch of 4,096 numbers would cost a bias more than its step.
        match param.len() {
            0..=64 => self.finish_through::<64>(update, param, state),
            65..=512 => self.finish_through::<512>(update, param, state),
            _ => self.finish_through::<CHUNK>(update, param, state),
        }
    }

    /// Runs the transforms over a scratch copy of the update. Not inlined, so that its callers do not carry the scratch
    /// on their stack.
    #[inline(never)]
    fn finish_through<const N: usize>(&self, update: &[F], param: &mut [F], state: &mut [F]) {
        let mut scratch = [F::ZERO; N];
        let scratch = &mut scratch[..update.len()];
        scratch.copy_from_slice(update);
        let last = self.entries.len() - 1;
        for index in 0..last {
            let (rule, context, state) = self.transform(index, state, param.len());
            rule.transform(context, scratch, param, state);
        }
        let (rule, context, state) = self.transform(last, state, param.len());
        rule.finish(context, scratch, param, state);
    }

    /// Returns a transform, its context, and its slots in the state of a chunk of `len` elements.
    #[inline]
    fn transform<'m>(
        &self,
        index: usize,
        chunk: &'m mut [F],
        len: usize,
    ) -> (&dyn ErasedRule<F>, StepContext, &'m mut [F]) {
        let Body::Elements(rule, slots) = &self.entries[index].body else {
            unreachable!("a pass has only elementwise rules");
        };
        let (count, number) = self.counts[index];
        let context = StepContext { count, number, ..*self.context };
        (&**rule, context, &mut chunk[slots.start * len..slots.end * len])
    }
}
