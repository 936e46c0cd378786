//! The places of elements that are chosen by their size: sorted, the first few of them, running extremes.

use rayon::slice::ParallelSliceMut;

use super::pieces::pieces_of_both;
use super::{CHUNK, parallel};
use crate::float::Float;

/// A choice of elements along an axis. NaN counts as greatest, and -0 equals 0.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Choice {
    /// The first `count` elements in this order; of equal ones, the first comes first.
    Sorted { count: usize, descending: bool },
    /// For each element, the largest (or smallest) up to it; of equal ones the last, and the last NaN if there is one.
    Running { smallest: bool },
}

impl Choice {
    /// The number of elements chosen out of `n`.
    pub(crate) fn count(self, n: usize) -> usize {
        match self {
            Self::Sorted { count, .. } => count,
            Self::Running { .. } => n,
        }
    }
}

/// The places along the middle axis of `x`, `[outer, n, inner]`, that are chosen: `[outer, count, inner]`.
///
/// # Panics
/// If the length of `x` is no multiple of `n * inner`, or more than `n` elements are to be chosen.
pub(crate) fn choose<F: Float>(x: &[F], n: usize, inner: usize, choice: Choice) -> Vec<usize> {
    let count = choice.count(n);
    assert!(count <= n);
    if x.is_empty() || count == 0 {
        return Vec::new();
    }
    let (slab, chosen) = (n * inner, count * inner);
    assert_eq!(x.len() % slab, 0);
    let mut places = vec![0; x.len() / slab * chosen];
    let slabs = |x: &[F], places: &mut [usize]| {
        let mut keys = Vec::new();
        for (x, places) in x.chunks_exact(slab).zip(places.chunks_exact_mut(chosen)) {
            for column in 0..inner {
                let x = x[column..].iter().step_by(inner).copied();
                let places = places[column..].iter_mut().step_by(inner);
                match choice {
                    Choice::Sorted { descending, .. } => {
                        keys.clear();
                        keys.extend(x.enumerate().map(|(i, x)| key(x, i, descending)));
                        sort_first(&mut keys, count);
                        places.zip(&keys).for_each(|(place, key)| *place = *key as u64 as usize);
                    }
                    Choice::Running { smallest } => running(x, smallest, places),
                }
            }
        }
    };
    if parallel(x.len()) && x.len() > slab {
        let group = (CHUNK / slab).max(1);
        pieces_of_both(x, group * slab, &mut places, group * chosen, true, &slabs);
    } else {
        slabs(x, &mut places);
    }
    places
}

/// A number whose order is that of the elements, of equal ones that of their places. The lower half is the place.
fn key<F: Float>(x: F, place: usize, descending: bool) -> u128 {
    // Adding 0 makes 0 of -0.
    let bits = if x.is_nan() { f64::NAN } else { x.to_f64() + 0.0 }.to_bits();
    // The bits of positive numbers are in order; those of negative ones in the opposite order.
    let order = bits ^ if bits >> 63 == 1 { u64::MAX } else { 1 << 63 };
    u128::from(if descending { !order } else { order }) << 64 | place as u128
}

/// Sorts so that the `count` smallest keys come first, in order. The keys are distinct, so that the result does not
/// depend on the number of threads.
fn sort_first(keys: &mut [u128], count: usize) {
    let first = if count < keys.len() { keys.select_nth_unstable(count).0 } else { keys };
    if parallel(first.len()) {
        first.par_sort_unstable();
    } else {
        first.sort_unstable();
    }
}

/// The places of the running extremes of `x`.
fn running<'a, F: Float>(
    x: impl Iterator<Item = F>,
    smallest: bool,
    places: impl Iterator<Item = &'a mut usize>,
) {
    let mut best = None;
    for ((i, x), place) in x.enumerate().zip(places) {
        let wins = |best: F| {
            let beyond = if smallest { x <= best } else { x >= best };
            x.is_nan() || !best.is_nan() && beyond
        };
        if best.is_none_or(|(_, best)| wins(best)) {
            best = Some((i, x));
        }
        *place = best.map_or(i, |(at, _)| at);
    }
}

/// For each of `values`, the number of elements of a sorted row that are below it, or not above it if `right`. NaN
/// counts as greatest.
pub(crate) fn search_sorted<F: Float>(
    sorted: &[F],
    values: &[F],
    right: bool,
    at: &mut Vec<usize>,
) {
    let key = |x: F| key(x, 0, false);
    at.extend(values.iter().map(|&value| {
        let value = key(value);
        sorted.partition_point(|&x| if right { key(x) <= value } else { key(x) < value })
    }));
}

#[cfg(test)]
mod tests {
    use super::super::tests::{on_threads, random};
    use super::*;

    #[test]
    fn agrees_with_a_stable_sort_on_any_number_of_threads() {
        for [outer, n, inner] in
            [[1, 1, 1], [3, 7, 1], [2, 5, 3], [0, 3, 2], [2, 3, 0], [700, 400, 1], [1, 300_000, 1]]
        {
            // Few different numbers, so that many are equal.
            let mut x = random::<f32>(outer * n * inner, 1);
            x.iter_mut().for_each(|x| *x = (*x * 40.0).round());
            for (count, descending) in [(n, false), (n, true), (n / 2, true)] {
                let run = |threads| {
                    let choice = Choice::Sorted { count, descending };
                    on_threads(threads, || choose(&x, n, inner, choice))
                };
                let places = run(1);
                assert!(places == run(2), "{outer} {n} {inner}");
                for column in 0..outer * inner {
                    let (slab, column) = (column / inner, column % inner);
                    let at = |i: usize| x[(slab * n + i) * inner + column];
                    let mut order = (0..n).collect::<Vec<_>>();
                    let compare = |i: &usize, j: &usize| at(*i).partial_cmp(&at(*j)).unwrap();
                    order.sort_by(|i, j| if descending { compare(j, i) } else { compare(i, j) });
                    let ours = (0..count).map(|k| places[(slab * count + k) * inner + column]);
                    assert!(ours.eq(order.into_iter().take(count)), "{outer} {n} {inner}");
                }
            }
        }
    }
}
