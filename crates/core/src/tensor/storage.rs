//! Memory of tensors: shared, copied on write, and reused from step to step.
//!
//! A steady training loop needs the same sizes at every step. Each thread therefore keeps the buffers that it
//! drops, by size class and together with their reference count, and reuses them.

use std::any::Any;
use std::cell::RefCell;
use std::sync::Arc;

use crate::Float;

/// A shared buffer of numbers, at least as long as the tensor that reads it; its tail is arbitrary.
pub(crate) struct Storage<F: Float>(Option<Arc<Vec<F>>>); // `None` is the empty buffer

impl<F: Float> Storage<F> {
    /// A buffer of at least `len` arbitrary numbers, or `None` if the machine cannot give it.
    pub(crate) fn scratch(len: usize) -> Option<Self> {
        if len == 0 {
            return Some(Self(None));
        }
        let (class, size) = size_class(len);
        if let Some(reused) = with_pool(|pool| pool.take(class)).flatten() {
            return Some(Self(Some(reused)));
        }
        let mut numbers = Vec::new();
        numbers.try_reserve_exact(size).ok()?;
        numbers.resize(size, F::ZERO);
        Some(Self(Some(Arc::new(numbers))))
    }

    /// A buffer with the numbers of `data`, which are not copied.
    pub(crate) fn from_vec(data: Vec<F>) -> Self {
        Self((!data.is_empty()).then(|| Arc::new(data)))
    }

    #[inline]
    pub(crate) fn as_slice(&self) -> &[F] {
        self.0.as_deref().map_or(&[], Vec::as_slice)
    }

    /// The first `len` numbers for writing; they are copied first if the buffer is shared.
    pub(crate) fn make_mut(&mut self, len: usize) -> &mut [F] {
        // Nobody holds weak references. Reading the count is cheaper than a second `get_mut`, which locks.
        if self.0.as_ref().is_some_and(|shared| Arc::strong_count(shared) > 1) {
            let mut own = Self::scratch(len).expect("memory for a copy of the tensor");
            own.make_mut(len).copy_from_slice(&self.as_slice()[..len]);
            *self = own;
        }
        match &mut self.0 {
            Some(own) => &mut Arc::get_mut(own).expect("a single owner")[..len],
            None => &mut [],
        }
    }
}

impl<F: Float> Clone for Storage<F> {
    #[inline]
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<F: Float> Drop for Storage<F> {
    fn drop(&mut self) {
        if let Some(last) = self.0.take()
            && Arc::strong_count(&last) == 1
        {
            with_pool(|pool| pool.give(last));
        }
    }
}

/// Index and length of the smallest size class that holds `len > 0` numbers. There are four classes per octave, so
/// that at most a quarter is unused.
fn size_class(len: usize) -> (usize, usize) {
    let last = len - 1;
    if last < 8 {
        return (0, 8);
    }
    let octave = last.ilog2() as usize;
    let quarter = last >> (octave - 2);
    ((octave - 3) * 4 + quarter - 3, (quarter + 1) << (octave - 2))
}

/// The buffers that one thread has dropped, by size class.
struct Pool<F: Float> {
    classes: Vec<Class<F>>,
}

struct Class<F: Float> {
    free: Vec<Arc<Vec<F>>>,
    /// The number of buffers this thread has allocated. It keeps no more than that: a thread that drops buffers of
    /// other threads would otherwise hoard them.
    made: usize,
}

impl<F: Float> Pool<F> {
    const fn new() -> Self {
        Self { classes: Vec::new() }
    }

    #[inline]
    fn class(&mut self, class: usize) -> &mut Class<F> {
        if class >= self.classes.len() {
            self.classes.resize_with(class + 1, || Class { free: Vec::new(), made: 0 });
        }
        &mut self.classes[class]
    }

    fn take(&mut self, class: usize) -> Option<Arc<Vec<F>>> {
        let class = self.class(class);
        let reused = class.free.pop();
        if reused.is_none() {
            class.made += 1;
        }
        reused
    }

    fn give(&mut self, buffer: Arc<Vec<F>>) {
        let (class, size) = size_class(buffer.len());
        if buffer.len() == size {
            let class = self.class(class);
            if class.free.len() < class.made {
                class.free.push(buffer);
            }
        }
    }
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
    fn size_classes_are_ordered_and_waste_at_most_a_quarter() {
        let mut previous = (0, 8);
        for len in 1..5000 {
            let (class, size) = size_class(len);
            assert!(size >= len && (size == 8 || size * 4 <= len * 5 + 8));
            assert_eq!(size_class(size), (class, size));
            assert!(
                class == previous.0 && size == previous.1
                    || class == previous.0 + 1 && size > previous.1
            );
            previous = (class, size);
        }
    }

    #[test]
    fn a_thread_keeps_no_more_than_it_made() {
        let foreign: Vec<_> = std::thread::spawn(|| {
            (0..64).map(|_| Storage::<f32>::scratch(1 << 20).unwrap()).collect()
        })
        .join()
        .unwrap();
        drop(foreign);
        with_pool::<f32, _>(|pool| assert!(pool.class(size_class(1 << 20).0).free.is_empty()));
    }

    #[test]
    fn writing_does_not_reach_other_readers() {
        let mut a = Storage::from_vec(vec![1.0, 2.0]);
        let b = a.clone();
        a.make_mut(2)[0] = 5.0;
        assert_eq!(b.as_slice(), [1.0, 2.0]);
        assert_eq!(a.as_slice()[..2], [5.0, 2.0]);
    }
}
