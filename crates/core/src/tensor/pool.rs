//! The buffers that a thread has dropped, and uses again.
//!
//! A steady training loop needs the same sizes at every step. Each thread therefore keeps the buffers that it drops, by
//! size class and together with their reference count. It holds at most [`ALWAYS_KEPT`] bytes, or twice what recent
//! steps took from it, whichever is more: a steady step allocates nothing, and what one large step or tensor left
//! behind goes back to the system. The buffers that were not used for the longest time go first. A step ends where
//! a tape ends.

use std::any::Any;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::Arc;

use crate::Float;
use crate::float::PerPrecision;

/// Bytes that a thread keeps in each precision, whatever recent steps needed.
const ALWAYS_KEPT: usize = 64 << 20;

/// Returns a buffer of at least `len > 0` arbitrary numbers, which has a single owner; `None` if the machine cannot
/// give it.
#[inline]
pub(crate) fn take<F: Float>(len: usize) -> Option<Arc<Vec<F>>> {
    F::run::<Take>(len)
}

/// Keeps a buffer of a single owner for the next [`take`], or frees it.
#[inline]
pub(crate) fn give<F: Float>(buffer: Arc<Vec<F>>) {
    F::run::<Give>(buffer);
}

/// Ends a step: what it took decides how much is kept.
pub(crate) fn end_step<F: Float>() {
    with_pool::<F, _>(Pool::end_step);
}

/// Frees all buffers that this thread keeps.
pub(crate) fn empty() {
    with_pool::<f32, _>(|pool| *pool = Pool::new());
    with_pool::<f64, _>(|pool| *pool = Pool::new());
}

/// The largest of recent figures: `now`, or one that came before, less a sixteenth for each that followed.
pub(crate) fn decayed(recent: usize, now: usize) -> usize {
    now.max(recent - recent / 16)
}

/// Job of [`take`].
struct Take;

impl<'a> PerPrecision<'a> for Take {
    type Input<F: Float> = usize;
    type Output<F: Float> = Option<Arc<Vec<F>>>;
    fn f32(len: usize) -> Option<Arc<Vec<f32>>> {
        taken(len)
    }
    fn f64(len: usize) -> Option<Arc<Vec<f64>>> {
        taken(len)
    }
}

/// Job of [`give`].
struct Give;

impl<'a> PerPrecision<'a> for Give {
    type Input<F: Float> = Arc<Vec<F>>;
    type Output<F: Float> = ();
    fn f32(buffer: Arc<Vec<f32>>) {
        with_pool(|pool| pool.give(buffer));
    }
    fn f64(buffer: Arc<Vec<f64>>) {
        with_pool(|pool| pool.give(buffer));
    }
}

fn taken<F: Float>(len: usize) -> Option<Arc<Vec<F>>> {
    let (class, size) = size_class(len);
    with_pool(|pool| pool.take(class)).flatten().or_else(|| allocated(class, size))
}

/// A new buffer, which counts only if the machine can give it.
#[cold]
fn allocated<F: Float>(class: usize, size: usize) -> Option<Arc<Vec<F>>> {
    let mut numbers = Vec::new();
    numbers.try_reserve_exact(size).ok()?;
    with_pool::<F, _>(|pool| pool.count_made(class));
    numbers.resize(size, F::ZERO);
    Some(Arc::new(numbers))
}

/// The binary logarithm of the number of size classes for each octave.
const CLASS_BITS: usize = 4;

/// Length of the shortest buffers.
const SHORTEST: usize = 1 << CLASS_BITS;

/// Index and length of the smallest size class that holds `len > 0` numbers. There are sixteen classes for each
/// octave, so that at most a sixteenth is unused.
fn size_class(len: usize) -> (usize, usize) {
    let last = len - 1;
    if last < SHORTEST {
        return (0, SHORTEST);
    }
    let shift = last.ilog2() as usize - CLASS_BITS;
    // The leading bits: from 16 to 31.
    let leading = last >> shift;
    ((shift << CLASS_BITS) + leading - SHORTEST + 1, (leading + 1) << shift)
}

/// The buffers that one thread has dropped.
struct Pool<F: Float> {
    classes: Vec<Class<F>>,
    /// Bytes of all free buffers.
    free: usize,
    /// Bytes that this step took so far: for each class, the most buffers that it had at a time.
    taken: usize,
    /// Bytes that the largest of recent steps took.
    recent: usize,
    /// Bytes that may be held.
    bound: usize,
    /// Number of this step.
    step: u64,
}

/// The buffers of one size class.
struct Class<F: Float> {
    /// The buffers, the one that was given last at the end.
    free: VecDeque<Arc<Vec<F>>>,
    /// The number of buffers that this thread has allocated and not freed. It keeps no more than that: a thread that
    /// drops buffers of other threads would otherwise hoard them.
    made: usize,
    /// The step that used this class last.
    step: u64,
    /// Buffers taken in that step and not given back; below zero if more were given back.
    out: isize,
    /// The largest `out` of that step.
    most: isize,
}

impl<F: Float> Class<F> {
    const EMPTY: Self = Self { free: VecDeque::new(), made: 0, step: 0, out: 0, most: 0 };

    /// Counts buffers that are taken, or given back if `count` is below zero. Returns whether more are out than ever
    /// before in this step.
    #[inline]
    fn count(&mut self, count: isize, step: u64) -> bool {
        if self.step != step {
            (self.step, self.out, self.most) = (step, 0, 0);
        }
        self.out += count;
        let record = self.out > self.most;
        self.most = self.most.max(self.out);
        record
    }
}

impl<F: Float> Pool<F> {
    const fn new() -> Self {
        Self { classes: Vec::new(), free: 0, taken: 0, recent: 0, bound: ALWAYS_KEPT, step: 0 }
    }

    /// A free buffer of this class, or of one that is up to a fifth larger.
    #[inline]
    fn take(&mut self, class: usize) -> Option<Arc<Vec<F>>> {
        let Some(buffer) = self.classes.get_mut(class).and_then(|own| own.free.pop_back()) else {
            return self.take_larger(class);
        };
        self.reused(class);
        Some(buffer)
    }

    #[cold]
    fn take_larger(&mut self, class: usize) -> Option<Arc<Vec<F>>> {
        const LARGER: usize = 3;
        let end = (class + 1 + LARGER).min(self.classes.len());
        for larger in class + 1..end {
            if let Some(buffer) = self.classes[larger].free.pop_back() {
                self.reused(larger);
                return Some(buffer);
            }
        }
        None
    }

    /// Accounts for a new buffer of this class. Memory that no step has needed lately makes room for it.
    fn count_made(&mut self, class: usize) {
        if class >= self.classes.len() {
            self.classes.resize_with(class + 1, || Class::EMPTY);
        }
        self.classes[class].made += 1;
        self.count_taken(class);
        if self.free + self.taken > self.bound {
            self.shrink(self.taken, self.step.saturating_sub(1));
        }
    }

    /// Accounts for a buffer of this class that is no longer free.
    #[inline]
    fn reused(&mut self, class: usize) {
        self.free -= bytes_of_class::<F>(class);
        self.count_taken(class);
    }

    #[inline]
    fn count_taken(&mut self, class: usize) {
        if self.classes[class].count(1, self.step) {
            self.taken += bytes_of_class::<F>(class);
        }
    }

    #[inline]
    fn give(&mut self, buffer: Arc<Vec<F>>) {
        let (class, size) = size_class(buffer.len().max(1));
        let Some(own) = self.classes.get_mut(class).filter(|_| buffer.len() == size) else {
            return;
        };
        own.count(-1, self.step);
        if own.free.len() < own.made {
            own.free.push_back(buffer);
            self.free += bytes_of_class::<F>(class);
            if self.free > self.bound {
                self.keep_to_bound(class);
            }
        }
    }

    /// Frees what is too much after a buffer of this class was given: itself if it alone is too large.
    #[cold]
    fn keep_to_bound(&mut self, class: usize) {
        if bytes_of_class::<F>(class) > self.bound {
            self.free_one(class);
        } else {
            self.shrink(0, self.step);
        }
    }

    fn end_step(&mut self) {
        self.recent = decayed(self.recent, self.taken);
        self.bound = ALWAYS_KEPT.max(2 * self.recent);
        self.taken = 0;
        self.step += 1;
        if self.free > self.bound {
            self.shrink(0, self.step);
        }
    }

    /// Frees buffers until what is free, and as many bytes in use, meet the bound: those first that were not used for
    /// the longest time, and none that were used after step `last`.
    #[cold]
    fn shrink(&mut self, in_use: usize, last: u64) {
        while self.free + in_use > self.bound {
            let kept = self.classes.iter().enumerate().filter(|(_, class)| !class.free.is_empty());
            match kept.min_by_key(|(_, class)| class.step) {
                Some((oldest, class)) if class.step <= last => self.free_one(oldest),
                _ => return,
            }
        }
    }

    /// Frees the buffer of this class that was given first. Those of a long tape lie one behind the other: a part of
    /// the heap then becomes free as a whole.
    fn free_one(&mut self, class: usize) {
        if self.classes[class].free.pop_front().is_some() {
            self.classes[class].made -= 1;
            self.free -= bytes_of_class::<F>(class);
        }
    }
}

/// Bytes of a buffer of this class.
#[inline]
fn bytes_of_class<F>(class: usize) -> usize {
    /// Bytes of the reference count, the vector, and what the allocator adds to both.
    const OVERHEAD: usize = 64;
    size_of_class(class) * size_of::<F>() + OVERHEAD
}

/// Length of a buffer of this class: the second result of [`size_class`] for its first.
#[inline]
fn size_of_class(class: usize) -> usize {
    let Some(place) = class.checked_sub(1) else { return SHORTEST };
    let (shift, leading) = (place >> CLASS_BITS, place % SHORTEST + SHORTEST);
    (leading + 1) << shift
}

/// Runs `f` on this thread's pool; `None` while the thread shuts down.
fn with_pool<F: Float, R>(f: impl FnOnce(&mut Pool<F>) -> R) -> Option<R> {
    thread_local! {
        static POOLS: (RefCell<Pool<f32>>, RefCell<Pool<f64>>) =
            const { (RefCell::new(Pool::new()), RefCell::new(Pool::new())) };
    }
    POOLS
        .try_with(
            |(single, double)| f(&mut of_precision::<RefCell<_>>(single, double).borrow_mut()),
        )
        .ok()
}

/// The one of two values that has type `T`; free once compiled.
pub(crate) fn of_precision<'a, T: Any>(single: &'a dyn Any, double: &'a dyn Any) -> &'a T {
    single.downcast_ref().or_else(|| double.downcast_ref()).expect("f32 or f64")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn size_classes_are_ordered_and_waste_at_most_a_sixteenth() {
        let mut previous = (0, SHORTEST);
        for len in 1..20_000 {
            let (class, size) = size_class(len);
            assert!(size >= len && (size == SHORTEST || size * 16 <= len * 17 + 16));
            assert_eq!(size_class(size), (class, size));
            assert_eq!(size_of_class(class), size);
            assert!(
                class == previous.0 && size == previous.1
                    || class == previous.0 + 1 && size > previous.1
            );
            previous = (class, size);
        }
    }

    #[test]
    fn a_thread_keeps_no_more_than_it_made() {
        let foreign: Vec<_> =
            std::thread::spawn(|| (0..64).map(|_| take::<f32>(1 << 20).unwrap()).collect())
                .join()
                .unwrap();
        foreign.into_iter().for_each(give);
        with_pool::<f32, _>(|pool| assert_eq!(pool.free, 0));
    }

    /// Takes buffers of this many MiB all at once and gives them back.
    fn use_mib(sizes: &[usize]) {
        let buffers = sizes.iter().map(|mib| take::<f32>(mib << 18).unwrap()).collect::<Vec<_>>();
        buffers.into_iter().for_each(give);
    }

    fn free_mib() -> usize {
        with_pool::<f32, _>(|pool| pool.free >> 20).unwrap()
    }

    #[test]
    fn a_buffer_that_the_machine_cannot_give_leaves_no_trace() {
        assert!(take::<f64>(crate::shape::MAX_NUMEL).is_none());
        end_step::<f64>();
        let figures = with_pool::<f64, _>(|pool| (pool.classes.len(), pool.taken, pool.recent));
        assert_eq!(figures, Some((0, 0, 0)));
    }

    #[test]
    fn a_large_buffer_that_no_step_needed_is_freed() {
        use_mib(&[256]);
        assert_eq!(free_mib(), 0);
        use_mib(&[40; 10]);
        assert_eq!(free_mib(), 40);
    }

    #[test]
    fn a_steady_step_takes_all_from_the_pool() {
        for step in 0..6 {
            let made =
                with_pool::<f32, _>(|pool| pool.classes.iter().map(|c| c.made).sum::<usize>());
            // Two phases of different sizes, each above the bound.
            use_mib(&[100, 100, 1]);
            use_mib(&[72, 50, 1]);
            let now =
                with_pool::<f32, _>(|pool| pool.classes.iter().map(|c| c.made).sum::<usize>());
            assert!(step < 2 || made == now, "step {step}");
            end_step::<f32>();
        }
        assert_eq!(free_mib(), 100 + 100 + 1 + 72 + 50);
    }

    #[test]
    fn what_one_step_needed_goes_with_the_steps_that_follow() {
        (0..3).for_each(|_| {
            use_mib(&[304]);
            end_step::<f32>();
        });
        assert_eq!(free_mib(), 304);
        (0..40).for_each(|_| {
            use_mib(&[1]);
            end_step::<f32>();
        });
        assert_eq!(free_mib(), 1);
    }

    #[test]
    fn steps_of_random_sizes_keep_at_most_twice_the_largest() {
        let mut state = 1u64;
        for _ in 0..40 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let batch = 1 + (state >> 40) as usize % 40;
            use_mib(&[batch, 2 * batch, batch]);
            end_step::<f32>();
            assert!(free_mib() <= 2 * 4 * 42, "{} MiB", free_mib());
        }
    }
}
