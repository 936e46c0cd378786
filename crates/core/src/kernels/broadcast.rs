//! Loops whose operands are strided: repeated along some axes, or with their axes in another order.

use super::nest::{Axes, Axis, merge, share, walk};
use super::vectorized;
use crate::float::Float;

/// The side of the square that a transposition moves at a time: 4 KiB of `f64`, source and target together.
const TILE: usize = 16;

/// Copies `a`, read with these strides, to `out`, which is dense with extents `dims` (at most 8).
///
/// A stride of 0 repeats; strides in another order than the axes permute them.
///
/// # Panics
/// If `out` does not have the number of elements of `dims`, or `a` is too short.
pub(crate) fn broadcast1<F: Float>(out: &mut [F], dims: &[usize], a: &[F], strides: &[usize]) {
    assert_eq!(out.len(), dims.iter().product::<usize>());
    share(out, merge(dims, [strides]), &|out, axes, [start]| copy(out, axes, &a[start..]));
}

/// Writes `f(a, b)` to every element of `out`, which is dense with extents `dims` (at most 8).
///
/// The strides are those of dense operands, with 0 along the axes on which an operand repeats.
///
/// # Panics
/// If `out` does not have the number of elements of `dims`, or an operand is too short.
pub(crate) fn broadcast2<F: Float>(
    out: &mut [F],
    dims: &[usize],
    a: &[F],
    a_strides: &[usize],
    b: &[F],
    b_strides: &[usize],
    f: impl Fn(F, F) -> F + Sync,
) {
    assert_eq!(out.len(), dims.iter().product::<usize>());
    share(out, merge(dims, [a_strides, b_strides]), &|out, axes, [i, j]| {
        combine(out, axes, &a[i..], &b[j..], &f);
    });
}

/// [`broadcast2`] on one thread.
fn combine<F: Float>(out: &mut [F], axes: &[Axis<2>], a: &[F], b: &[F], f: &impl Fn(F, F) -> F) {
    let Some((inner, outer)) = axes.split_last() else {
        out[0] = f(a[0], b[0]);
        return;
    };
    vectorized(
        #[inline(always)]
        || {
            let mut rows = out.chunks_exact_mut(inner.extent);
            walk(
                outer,
                #[inline(always)]
                |[i, j]| {
                    let Some(out) = rows.next() else { return };
                    let n = out.len();
                    match inner.strides {
                        [1, 1] => {
                            for ((out, a), b) in out.iter_mut().zip(&a[i..i + n]).zip(&b[j..j + n])
                            {
                                *out = f(*a, *b);
                            }
                        }
                        [1, 0] => {
                            let b = b[j];
                            for (out, a) in out.iter_mut().zip(&a[i..i + n]) {
                                *out = f(*a, b);
                            }
                        }
                        [0, 1] => {
                            let a = a[i];
                            for (out, b) in out.iter_mut().zip(&b[j..j + n]) {
                                *out = f(a, *b);
                            }
                        }
                        [s, t] => {
                            for (c, out) in out.iter_mut().enumerate() {
                                *out = f(a[i + c * s], b[j + c * t]);
                            }
                        }
                    }
                },
            );
        },
    );
}

/// [`broadcast1`] on one thread.
fn copy<F: Float>(out: &mut [F], axes: &[Axis<1>], a: &[F]) {
    let Some((inner, outer)) = axes.split_last() else {
        out[0] = a[0];
        return;
    };
    let [stride] = inner.strides;
    if stride > 1 && outer.iter().any(|axis| axis.strides == [1]) {
        return transpose(out, axes, a);
    }
    let mut rows = out.chunks_exact_mut(inner.extent);
    walk(outer, |[i]| {
        let Some(out) = rows.next() else { return };
        match stride {
            0 => out.fill(a[i]),
            1 => out.copy_from_slice(&a[i..i + out.len()]),
            _ => {
                for (out, a) in out.iter_mut().zip(a[i..].iter().step_by(stride)) {
                    *out = *a;
                }
            }
        }
    });
}

/// [`copy`] where `a` is dense along another axis than `out` is: both are read and written in
/// squares, so that no cache line is fetched more than once.
fn transpose<F: Float>(out: &mut [F], axes: &[Axis<1>], a: &[F]) {
    // From here on the strides are those of `out` and `a`.
    let mut size = 1;
    let mut both = Axes::new();
    for axis in axes.iter().rev() {
        both.push(Axis { extent: axis.extent, strides: [size, axis.strides[0]] });
        size *= axis.extent;
    }
    let across = both.remove(0);
    both.reverse();
    let mut others = both;
    let Some(dense) = others.iter().rposition(|axis| axis.strides[1] == 1) else { return };
    let down = others.remove(dense);
    vectorized(
        #[inline(always)]
        || {
            walk(
                &others,
                #[inline(always)]
                |[to, from]| {
                    for i in (0..down.extent).step_by(TILE) {
                        let height = TILE.min(down.extent - i);
                        for j in (0..across.extent).step_by(TILE) {
                            let width = TILE.min(across.extent - j);
                            let out = &mut out[to + i * down.strides[0] + j..];
                            let a = &a[from + i + j * across.strides[1]..];
                            if (height, width) == (TILE, TILE) {
                                square(out, down.strides[0], a, across.strides[1]);
                            } else {
                                for i in 0..height {
                                    for j in 0..width {
                                        out[i * down.strides[0] + j] = a[i + j * across.strides[1]];
                                    }
                                }
                            }
                        }
                    }
                },
            );
        },
    );
}

/// Transposes one tile from `a`, whose rows are `a_stride` apart, to `out`.
#[inline(always)]
fn square<F: Float>(out: &mut [F], out_stride: usize, a: &[F], a_stride: usize) {
    let mut tile = [[F::ZERO; TILE]; TILE];
    for (j, column) in tile.iter_mut().enumerate() {
        column.copy_from_slice(&a[j * a_stride..][..TILE]);
    }
    for i in 0..TILE {
        for (out, column) in out[i * out_stride..][..TILE].iter_mut().zip(&tile) {
            *out = column[i];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{on_threads, random};
    use super::*;

    /// The offset of element `i` of a dense tensor of extents `dims` in an operand with `strides`.
    fn offset(mut i: usize, dims: &[usize], strides: &[usize]) -> usize {
        let mut sum = 0;
        for (d, s) in dims.iter().zip(strides).rev() {
            sum += i % d * s;
            i /= d;
        }
        sum
    }

    fn check1(dims: &[usize], strides: &[usize]) {
        let len = dims.iter().zip(strides).map(|(d, s)| d.saturating_sub(1) * s).sum::<usize>() + 1;
        let a = random::<f32>(len, 3);
        let want = (0..dims.iter().product()).map(|i| a[offset(i, dims, strides)]);
        let want = want.collect::<Vec<_>>();
        for threads in [1, 2] {
            let mut out = vec![0.0; want.len()];
            on_threads(threads, || broadcast1(&mut out, dims, &a, strides));
            assert!(out == want, "{dims:?} {strides:?}");
        }
    }

    fn check2(dims: &[usize], s: &[usize], t: &[usize]) {
        let len = dims.iter().product::<usize>().max(1);
        let (a, b) = (random::<f64>(len, 4), random::<f64>(len, 5));
        let f = |a: f64, b: f64| a - 2.0 * b;
        let want =
            (0..dims.iter().product()).map(|i| f(a[offset(i, dims, s)], b[offset(i, dims, t)]));
        let want = want.collect::<Vec<_>>();
        for threads in [1, 2] {
            let mut out = vec![0.0; want.len()];
            on_threads(threads, || broadcast2(&mut out, dims, &a, s, &b, t, f));
            assert!(out == want, "{dims:?} {s:?} {t:?}");
        }
    }

    #[test]
    fn repeats_and_permutes() {
        check1(&[], &[]);
        check1(&[0, 3], &[3, 1]);
        check1(&[1, 1, 1], &[0, 7, 1]);
        check1(&[3, 4], &[4, 1]);
        check1(&[3, 4], &[0, 1]);
        check1(&[3, 4], &[1, 0]);
        check1(&[3, 4], &[0, 0]);
        check1(&[5], &[3]);
        check1(&[33, 50], &[1, 33]);
        check1(&[16, 16], &[1, 16]);
        check1(&[2, 33, 3, 20], &[1, 6 * 20, 2, 6]);
        check1(&[2, 3, 4, 5], &[1, 2, 6, 24]);
        check1(&[2, 3, 4, 5], &[60, 5, 15, 1]);
        check1(&[2, 2, 1, 2, 2, 1, 2, 3], &[48, 24, 0, 0, 6, 6, 3, 1]);
        check1(&[700, 500], &[1, 700]);
        check1(&[3, 300, 400], &[120_000, 1, 300]);
        check1(&[300_000], &[0]);
        check1(&[5, 40_000, 2], &[2, 0, 1]);
    }

    #[test]
    fn combines_with_every_pair_of_strides() {
        check2(&[], &[], &[]);
        check2(&[4, 0], &[0, 1], &[1, 0]);
        check2(&[7, 19], &[19, 1], &[19, 1]);
        check2(&[7, 19], &[19, 1], &[0, 1]);
        check2(&[7, 19], &[1, 0], &[19, 1]);
        check2(&[7, 19], &[1, 0], &[0, 1]);
        check2(&[7, 19], &[0, 0], &[19, 1]);
        check2(&[7, 19], &[0, 0], &[0, 0]);
        check2(&[7, 19], &[1, 7], &[19, 1]);
        check2(&[2, 3, 4, 5], &[60, 20, 5, 1], &[12, 4, 1, 0]);
        check2(&[2, 3, 4, 5], &[60, 0, 5, 1], &[0, 5, 0, 1]);
        check2(&[900, 300], &[300, 1], &[0, 1]);
        check2(&[3, 100_000], &[100_000, 1], &[1, 0]);
        check2(&[300_000], &[1], &[0]);
    }
}
