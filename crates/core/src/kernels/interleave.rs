//! Images side by side, and apart again: transposes of a few long rows.

use super::block::array;
use crate::float::Float;

/// The side of the tiles that are transposed: the compiler makes shuffles of these.
const T: usize = 4;

/// Copies `y.len()` numbers of each of `L` images, which start `stride` apart, side by side.
#[inline(always)]
pub(super) fn interleave<F: Float, const L: usize>(x: &[F], stride: usize, y: &mut [[F; L]]) {
    let mut images = [x; L];
    for l in 0..L {
        images[l] = &x[l * stride..][..y.len()];
    }
    let (tiles, rest) = y.as_chunks_mut::<T>();
    let done = tiles.len() * T;
    for (q, tile) in tiles.iter_mut().enumerate() {
        for l in 0..L {
            let x: [F; T] = array(&images[l][q * T..]);
            for t in 0..T {
                tile[t][l] = x[t];
            }
        }
    }
    for (q, y) in rest.iter_mut().enumerate() {
        for l in 0..L {
            y[l] = images[l][done + q];
        }
    }
}

/// Takes numbers of `L` images apart, to `y`, where images start `stride` apart. `put` makes the new number from the
/// present one and the own one.
#[inline(always)]
pub(super) fn separate<F: Float, const L: usize>(
    x: &[[F; L]],
    y: &mut [F],
    stride: usize,
    put: impl Fn(F, F) -> F,
) {
    let (tiles, rest) = x.as_chunks::<T>();
    let done = tiles.len() * T;
    for l in 0..L {
        let y = &mut y[l * stride..][..x.len()];
        for (q, tile) in tiles.iter().enumerate() {
            let y = &mut y[q * T..][..T];
            for t in 0..T {
                y[t] = put(y[t], tile[t][l]);
            }
        }
        for (q, x) in rest.iter().enumerate() {
            y[done + q] = put(y[done + q], x[l]);
        }
    }
}
