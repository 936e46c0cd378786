//! Loops over slices: the one place where SIMD and threads live.

use multiversion::multiversion;

/// Runs `f` compiled for the widest vector instructions that this machine has.
///
/// Loops inside `f` are vectorised only where they are inlined into it.
#[multiversion(targets(
    "x86_64+avx512f+avx512bw+avx512cd+avx512dq+avx512vl+avx2+fma",
    "x86_64+avx2+fma"
))]
pub fn vectorized<R>(f: impl FnOnce() -> R) -> R {
    f()
}
