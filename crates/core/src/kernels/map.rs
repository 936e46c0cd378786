//! Elementwise loops over slices of equal length.
//!
//! `f` may read the old contents of `out`, so that callers can accumulate. Long slices are cut into
//! chunks that the threads share.
//!
//! The loops vectorise where `f` is inlined into them. The compiler inlines closures of up to about
//! fifty instructions (one `erf`, one `tanh`); larger ones need `#[inline(always)] |out, a| ...`.

use rayon::prelude::*;

use super::{CHUNK, SHORT, parallel, vectorized};
use crate::float::Float;

/// `f(out[i], a[i])` for every `i`.
///
/// # Panics
/// If the lengths differ.
pub(crate) fn zip1<F: Float>(out: &mut [F], a: &[F], f: impl Fn(&mut F, F) + Sync) {
    assert_eq!(out.len(), a.len());
    if parallel(out.len()) {
        let chunks = out.par_chunks_mut(CHUNK).zip(a.par_chunks(CHUNK));
        chunks.for_each(|(out, a)| chunk1(out, a, &f));
    } else {
        chunk1(out, a, &f);
    }
}

/// `f(out[i], a[i], b[i])` for every `i`.
///
/// # Panics
/// If the lengths differ.
pub(crate) fn zip2<F: Float>(out: &mut [F], a: &[F], b: &[F], f: impl Fn(&mut F, F, F) + Sync) {
    assert_eq!((out.len(), out.len()), (a.len(), b.len()));
    if parallel(out.len()) {
        let chunks = out.par_chunks_mut(CHUNK).zip(a.par_chunks(CHUNK)).zip(b.par_chunks(CHUNK));
        chunks.for_each(|((out, a), b)| chunk2(out, a, b, &f));
    } else {
        chunk2(out, a, b, &f);
    }
}

/// `f(out[i], a[i], b[i], c[i])` for every `i`.
///
/// # Panics
/// If the lengths differ.
pub(crate) fn zip3<F: Float>(
    out: &mut [F],
    a: &[F],
    b: &[F],
    c: &[F],
    f: impl Fn(&mut F, F, F, F) + Sync,
) {
    let n = out.len();
    assert_eq!((n, n, n), (a.len(), b.len(), c.len()));
    if parallel(n) {
        let inputs = a.par_chunks(CHUNK).zip(b.par_chunks(CHUNK)).zip(c.par_chunks(CHUNK));
        let chunks = out.par_chunks_mut(CHUNK).zip(inputs);
        chunks.for_each(|(out, ((a, b), c))| chunk3(out, a, b, c, &f));
    } else {
        chunk3(out, a, b, c, &f);
    }
}

// One function serves both branches above, so that `f` is compiled into few places: if it is large and
// used often, the compiler calls it from the loops, and they do not vectorise.

fn chunk1<F: Float>(out: &mut [F], a: &[F], f: &impl Fn(&mut F, F)) {
    if out.len() < SHORT {
        each1(out, a, f)
    } else {
        vectorized(
            #[inline(always)]
            || each1(out, a, f),
        )
    }
}

fn chunk2<F: Float>(out: &mut [F], a: &[F], b: &[F], f: &impl Fn(&mut F, F, F)) {
    if out.len() < SHORT {
        each2(out, a, b, f)
    } else {
        vectorized(
            #[inline(always)]
            || each2(out, a, b, f),
        )
    }
}

fn chunk3<F: Float>(out: &mut [F], a: &[F], b: &[F], c: &[F], f: &impl Fn(&mut F, F, F, F)) {
    if out.len() < SHORT {
        each3(out, a, b, c, f)
    } else {
        vectorized(
            #[inline(always)]
            || each3(out, a, b, c, f),
        )
    }
}

#[inline(always)]
fn each1<F: Float>(out: &mut [F], a: &[F], f: &impl Fn(&mut F, F)) {
    for (out, a) in out.iter_mut().zip(a) {
        f(out, *a);
    }
}

#[inline(always)]
fn each2<F: Float>(out: &mut [F], a: &[F], b: &[F], f: &impl Fn(&mut F, F, F)) {
    for ((out, a), b) in out.iter_mut().zip(a).zip(b) {
        f(out, *a, *b);
    }
}

#[inline(always)]
fn each3<F: Float>(out: &mut [F], a: &[F], b: &[F], c: &[F], f: &impl Fn(&mut F, F, F, F)) {
    for (((out, a), b), c) in out.iter_mut().zip(a).zip(b).zip(c) {
        f(out, *a, *b, *c);
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::on_threads;
    use super::*;

    #[test]
    fn every_element_is_visited_once_whatever_the_length() {
        for n in [0, 1, 7, 15, 16, 17, 100, CHUNK + 3, 9 * CHUNK + 5] {
            let a = (0..n).map(|i| (i % 1013) as f32).collect::<Vec<_>>();
            for threads in [1, 2] {
                let mut out = a.clone();
                on_threads(threads, || {
                    zip1(&mut out, &a, |o, a| *o += 2.0 * a);
                    zip2(&mut out, &a, &a, |o, a, b| *o += a * b);
                    zip3(&mut out, &a, &a, &a, |o, a, b, c| *o += a + b - c);
                });
                assert!(out.iter().zip(&a).all(|(o, a)| *o == 3.0 * a + a * a + a), "{n}");
            }
        }
    }

    #[test]
    #[should_panic(expected = "left == right")]
    fn lengths_that_differ_are_refused() {
        zip1(&mut [0.0], &[1.0, 2.0], |o, a| *o = a);
    }
}
