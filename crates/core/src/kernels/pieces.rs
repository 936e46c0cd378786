//! Work in pieces, which the threads share.
//!
//! Tasks stand behind `dyn`, so that the machinery of threads is compiled once and not for each loop.

use rayon::prelude::*;

/// Runs `task` on every piece of `out` and its number: `len` elements, the last piece may have fewer. On all threads where
/// `shared`.
///
/// # Panics
/// If `len` is 0.
pub(super) fn pieces<T: Send>(
    out: &mut [T],
    len: usize,
    shared: bool,
    task: &(dyn Fn(usize, &mut [T]) + Sync),
) {
    if shared {
        out.par_chunks_mut(len).enumerate().for_each(|(i, out)| task(i, out));
    } else {
        out.chunks_mut(len).enumerate().for_each(|(i, out)| task(i, out));
    }
}

/// Runs `task` on corresponding pieces of `x` and `y`, of these lengths; on all threads where `shared`.
///
/// # Panics
/// If `y_len` is 0, or if `x` has fewer pieces.
pub(super) fn pieces_of_both<X: Sync, Y: Send>(
    x: &[X],
    x_len: usize,
    y: &mut [Y],
    y_len: usize,
    shared: bool,
    task: &(dyn Fn(&[X], &mut [Y]) + Sync),
) {
    pieces(y, y_len, shared, &|i, y| {
        let x = &x[i * x_len..];
        task(&x[..x_len.min(x.len())], y);
    });
}

/// A loop over a piece, which gets its number and scratch memory.
type TaskWithScratch<'a, T> = &'a (dyn Fn(usize, &mut [T], &mut [T]) + Sync);

/// Runs `task` on every piece of `out`, its number, and `own` elements of scratch memory, on all threads.
///
/// # Panics
/// If `len` is 0, or if the scratch memory does not suffice.
pub(super) fn pieces_with_scratch<T: Send>(
    out: &mut [T],
    len: usize,
    scratch: &mut [T],
    own: usize,
    task: TaskWithScratch<'_, T>,
) {
    if own == 0 {
        return pieces(out, len, true, &|i, out| task(i, out, &mut []));
    }
    assert!(scratch.len() / own >= out.len().div_ceil(len), "memory for every piece");
    let work = out.par_chunks_mut(len).zip(scratch.par_chunks_mut(own));
    work.enumerate().for_each(|(i, (out, scratch))| task(i, out, scratch));
}
