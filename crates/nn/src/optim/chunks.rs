//! Division of a parameter into chunks of the size of the cache, and between threads.

use wengert_core::{Float, vectorized};

/// Elements that go through several transforms together. With two slots of f32 they take 80 KB, including
/// gradient, parameter and update: an L2 cache holds that.
pub(super) const CHUNK: usize = 4096;

/// Elements that go through a single transform together. Nothing is read twice, and long streams of memory are
/// faster than short ones.
pub(super) const LONG_CHUNK: usize = 1 << 16;

/// Elements of a parameter from which on a second thread helps. A step of Adam takes about 25 us there,
/// long enough to be worth waking the thread.
const PARALLEL: usize = 1 << 17;

/// Returns the sum of the squares in double precision; the same bits for any number of threads.
///
/// Summed in a fixed tree of blocks, so that the rounding error grows with the logarithm of the length.
pub fn sum_of_squares<F: Float>(x: &[F]) -> f64 {
    let Some(mid) = middle(x.len(), CHUNK) else {
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

/// Returns the border between chunks nearest to the middle of a slice, or `None` for a single chunk.
pub(super) fn middle(len: usize, chunk: usize) -> Option<usize> {
    (len > chunk).then(|| len.div_ceil(chunk) / 2 * chunk)
}

/// Runs both closures, on two threads if `len` elements are worth it.
pub(super) fn both<A: Send, B: Send>(
    len: usize,
    a: impl FnOnce() -> A + Send,
    b: impl FnOnce() -> B + Send,
) -> (A, B) {
    if len >= PARALLEL && rayon::current_num_threads() > 1 { rayon::join(a, b) } else { (a(), b()) }
}
