//! Loops over slices: the one place where SIMD and threads live.
//!
//! The kernels know neither tensors nor shapes. Their results do not depend on the number of threads: the size
//! alone decides where work is cut, and partial results are combined in order.

mod block;
mod broadcast;
mod choose;
mod depthwise;
mod halve;
mod interleave;
mod interpolate;
mod lanes;
pub(crate) mod linalg;
mod map;
mod matmul;
mod nest;
mod norm;
mod normalize;
mod pieces;
mod pool;
mod reduce;
mod scan;
mod softmax;
mod sum;
mod window;
#[cfg(test)]
mod window_check;

use multiversion::{multiversion, target::target_cfg_f};

pub(crate) use broadcast::{broadcast1, broadcast2};
pub(crate) use choose::{Choice, choose, search_sorted};
pub(crate) use interpolate::{Interpolation, interpolate, interpolate_backward};
pub(crate) use map::{add_to, zip1, zip2, zip3};
pub(crate) use matmul::{Tiny, batch, matmul};
pub(crate) use norm::norm;
pub(crate) use normalize::{normalize, normalize_vjp};
pub(crate) use pool::{Cells, average, gather_winners, max_pool, scatter_winners, spread};
pub(crate) use reduce::{dot, is_finite, max, sum};
pub(crate) use scan::{cumsum, product, recurrence};
pub(crate) use softmax::{log_softmax, log_softmax_vjp, softmax, softmax_vjp};
pub(crate) use window::{Correlation, Slide};

use crate::float::Float;

/// Runs `f` compiled for the widest vector instructions of this machine.
///
/// Loops are vectorised only if they are inlined into `f`, and `f` into this function. The compiler does
/// not inline a large closure unless told to: `vectorized(#[inline(always)] || ...)`.
#[multiversion(targets(
    "x86_64+avx512f+avx512bw+avx512cd+avx512dq+avx512vl+avx2+fma",
    "x86_64+avx2+fma"
))]
pub fn vectorized<R>(f: impl FnOnce() -> R) -> R {
    f()
}

/// [`vectorized`] for sums of products, whose multiplications and additions are fused where the machine has the
/// instruction.
#[multiversion(targets(
    "x86_64+avx512f+avx512bw+avx512cd+avx512dq+avx512vl+avx2+fma",
    "x86_64+avx2+fma"
))]
fn fused<R>(f: impl FnOnce(MulAdd) -> R) -> R {
    f(MulAdd { fused: target_cfg_f!(any(target_feature = "fma", target_arch = "aarch64")) })
}

/// The multiplication with addition of the machine that [`fused`] compiles for. Without the instruction, a fused one would
/// be a call into libm.
#[derive(Clone, Copy)]
struct MulAdd {
    fused: bool,
}

impl MulAdd {
    /// Computes `a * b + c`.
    #[inline(always)]
    fn of<F: Float>(self, a: F, b: F, c: F) -> F {
        if self.fused { a.mul_add(b, c) } else { a * b + c }
    }
}

/// Slices shorter than this are not worth the dispatch of [`vectorized`].
const SHORT: usize = 16;
/// The number of elements a thread takes at a time: enough to pay for the handover.
const CHUNK: usize = 1 << 15;
/// Loops over fewer elements stay on one thread: waking the others takes about 20 us.
const LARGE: usize = 1 << 18;

/// Whether threads pay off for a loop over `n` elements.
#[inline]
fn parallel(n: usize) -> bool {
    n >= LARGE && rayon::current_num_threads() > 1
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};

    use crate::float::Float;

    /// `n` numbers between -1 and 1.
    pub(crate) fn random<F: Float>(n: usize, seed: u64) -> Vec<F> {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        (0..n).map(|_| F::of(rng.random_range(-1.0..1.0))).collect()
    }

    /// Runs `f` where rayon has that many threads; 0 is for outside of all pools.
    pub(crate) fn on_threads<R: Send>(threads: usize, f: impl FnOnce() -> R + Send) -> R {
        if threads == 0 {
            return f();
        }
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        pool.expect("a pool of a few threads").install(f)
    }
}
