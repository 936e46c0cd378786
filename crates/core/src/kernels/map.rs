//! Elementwise loops over slices of equal length.
//!
//! `f` may read the old contents of `out`, so that callers can accumulate. Long slices are cut into
//! chunks that the threads share.
//!
//! The loops vectorise where `f` is inlined into them. The compiler inlines closures of up to about
//! fifty instructions (one `erf`, one `tanh`); larger ones need `#[inline(always)] |out, a| ...`.

use super::pieces::pieces;
use super::{CHUNK, SHORT, parallel, vectorized};
use crate::float::Float;

const LENGTHS: &str = "the slices differ in length";

/// `f(out[i], a[i])` for every `i`.
///
/// # Panics
/// If the lengths differ.
pub(crate) fn zip1<F: Float>(out: &mut [F], a: &[F], f: impl Fn(&mut F, F) + Sync) {
    assert!(out.len() == a.len(), "{LENGTHS}");
    if out.len() < SHORT {
        return each1(out, a, &f);
    }
    in_chunks(out, &|at, out| {
        let a = &a[at..][..out.len()];
        vectorized(
            #[inline(always)]
            || each1(out, a, &f),
        );
    });
}

/// `f(out[i], a[i], b[i])` for every `i`.
///
/// # Panics
/// If the lengths differ.
pub(crate) fn zip2<F: Float>(out: &mut [F], a: &[F], b: &[F], f: impl Fn(&mut F, F, F) + Sync) {
    assert!(out.len() == a.len() && out.len() == b.len(), "{LENGTHS}");
    if out.len() < SHORT {
        return each2(out, a, b, &f);
    }
    in_chunks(out, &|at, out| {
        let (a, b) = (&a[at..][..out.len()], &b[at..][..out.len()]);
        vectorized(
            #[inline(always)]
            || each2(out, a, b, &f),
        );
    });
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
    assert!(n == a.len() && n == b.len() && n == c.len(), "{LENGTHS}");
    if n < SHORT {
        return each3(out, a, b, c, &f);
    }
    in_chunks(out, &|at, out| {
        let n = out.len();
        let (a, b, c) = (&a[at..][..n], &b[at..][..n], &c[at..][..n]);
        vectorized(
            #[inline(always)]
            || each3(out, a, b, c, &f),
        );
    });
}

/// Adds `x` to `sum`, element by element.
///
/// # Panics
/// If the lengths differ.
pub(crate) fn add_to<F: Float>(sum: &mut [F], x: &[F]) {
    zip1(sum, x, |sum, x| *sum += x);
}

/// Runs `task` on all of `out`, or on chunks of it where threads pay off. `task` gets the index of its
/// first element.
fn in_chunks<F: Float>(out: &mut [F], task: &(dyn Fn(usize, &mut [F]) + Sync)) {
    if parallel(out.len()) {
        pieces(out, CHUNK, true, &|i, out| task(i * CHUNK, out));
    } else {
        task(0, out);
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
    #[should_panic(expected = "differ in length")]
    fn lengths_that_differ_are_refused() {
        zip1(&mut [0.0], &[1.0, 2.0], |o, a| *o = a);
    }
}
