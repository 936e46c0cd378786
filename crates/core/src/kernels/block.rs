//! Products of small matrices, in blocks whose sums stay in registers.

use super::{MulAdd, fused};
use crate::float::Float;

/// A matrix in a slice: element (i, j) stands at `i * row + j * column`.
#[derive(Clone, Copy)]
pub(super) struct Matrix<'a, F> {
    pub(super) data: &'a [F],
    pub(super) row: usize,
    pub(super) column: usize,
}

impl<F> Matrix<'_, F> {
    pub(super) fn transposed(self) -> Self {
        Self { data: self.data, row: self.column, column: self.row }
    }
}

/// The rows of a packed panel of B.
const DEPTH: usize = 64;
/// The side of the tiles in which B is transposed: the compiler makes shuffles of these.
const T: usize = 4;

/// `C = A B`, or `C += A B`, for sizes `[m, n, k]` whose matrices lie in the nearest caches.
///
/// `c` is dense; one of the strides of `a`, and of `b`, is 1.
pub(super) fn product<F: Float>(
    size: [usize; 3],
    a: Matrix<F>,
    b: Matrix<F>,
    c: &mut [F],
    accumulate: bool,
) {
    // The width is that of two vectors of 256 bits: with six rows they fill 12 of 16 registers.
    if size_of::<F>() == 4 {
        fused(
            #[inline(always)]
            |mul_add| columns::<F, 16>(mul_add, size, a, b, c, accumulate),
        );
    } else {
        fused(
            #[inline(always)]
            |mul_add| columns::<F, 8>(mul_add, size, a, b, c, accumulate),
        );
    }
}

/// [`product`], by columns of blocks.
#[inline(always)]
fn columns<F: Float, const W: usize>(
    mul_add: MulAdd,
    [m, n, k]: [usize; 3],
    a: Matrix<F>,
    b: Matrix<F>,
    c: &mut [F],
    accumulate: bool,
) {
    let dense = if b.column == 1 { n - n % W } else { 0 };
    for j in (0..dense).step_by(W) {
        let b = |p: usize| array::<F, W>(&b.data[p * b.row + j..]);
        column::<F, 6, W>(mul_add, [m, n, k], a, b, &mut c[j..], W, accumulate);
    }
    if dense < n {
        let mut panel = [[F::ZERO; W]; DEPTH];
        for p in (0..k).step_by(DEPTH) {
            let depth = DEPTH.min(k - p);
            let a = Matrix { data: &a.data[p * a.column..], ..a };
            for j in (dense..n).step_by(W) {
                let width = W.min(n - j);
                let b = Matrix { data: &b.data[p * b.row + j * b.column..], ..b };
                let panel = &mut panel[..depth];
                pack(panel, b, width);
                let b = |q: usize| panel[q];
                column::<F, 4, W>(
                    mul_add,
                    [m, n, depth],
                    a,
                    b,
                    &mut c[j..],
                    width,
                    accumulate || p > 0,
                );
            }
        }
    }
}

/// Copies `width` columns of B into the panel; its other columns are not read.
#[inline(always)]
fn pack<F: Float, const W: usize>(panel: &mut [[F; W]], b: Matrix<F>, width: usize) {
    if b.column == 1 {
        for (q, row) in panel.iter_mut().enumerate() {
            row[..width].copy_from_slice(&b.data[q * b.row..][..width]);
        }
        return;
    }
    let mut done = 0;
    if width == W {
        let (tiles, _) = panel.as_chunks_mut::<T>();
        done = T * tiles.len();
        for w in (0..W).step_by(T) {
            pack_tiles(tiles, Matrix { data: &b.data[w * b.column..], ..b }, w);
        }
    }
    for w in 0..width {
        for (row, b) in panel.iter_mut().zip(&b.data[w * b.column..]).skip(done) {
            row[w] = *b;
        }
    }
}

/// Transposes tile after tile of `T` columns of B into the columns of the panel from `w` on.
#[inline(always)]
fn pack_tiles<F: Float, const W: usize>(tiles: &mut [[[F; W]; T]], b: Matrix<F>, w: usize) {
    let columns: [_; T] =
        std::array::from_fn(|j| &b.data[j * b.column..].as_chunks::<T>().0[..tiles.len()]);
    for (q, tile) in tiles.iter_mut().enumerate() {
        for i in 0..T {
            for j in 0..T {
                tile[i][w + j] = columns[j][q][i];
            }
        }
    }
}

/// One column of blocks of up to `H` rows, `width` wide, from the rows `b(0)` to `b(k - 1)`. Beside a packed panel, six
/// rows of sums would not stay in registers.
#[inline(always)]
fn column<F: Float, const H: usize, const W: usize>(
    mul_add: MulAdd,
    [m, n, k]: [usize; 3],
    a: Matrix<F>,
    b: impl Fn(usize) -> [F; W],
    c: &mut [F],
    width: usize,
    add: bool,
) {
    let mut i = 0;
    while i < m {
        let (a, c) = (Matrix { data: &a.data[i * a.row..], ..a }, &mut c[i * n..]);
        i += match m - i {
            1..4 => rows::<F, 1, W>(mul_add, [m, n, k], a, &b, c, width, add),
            4 | 5 | 7 | 8 => rows::<F, 4, W>(mul_add, [m, n, k], a, &b, c, width, add),
            _ => rows::<F, H, W>(mul_add, [m, n, k], a, &b, c, width, add),
        };
    }
}

/// One block of the first `R` rows; returns `R`.
#[inline(always)]
fn rows<F: Float, const R: usize, const W: usize>(
    mul_add: MulAdd,
    [m, n, k]: [usize; 3],
    a: Matrix<F>,
    b: impl Fn(usize) -> [F; W],
    c: &mut [F],
    width: usize,
    add: bool,
) -> usize {
    if a.row == 1 {
        block::<F, R, W>(mul_add, k, |q, r| a.data[q * m..][..R][r], b, c, [n, width], add);
    } else {
        let mut rows = [a.data; R];
        for (r, row) in rows.iter_mut().enumerate() {
            *row = &a.data[r * a.row..][..k];
        }
        block::<F, R, W>(mul_add, k, |q, r| rows[r][q], b, c, [n, width], add);
    }
    R
}

/// One block of `R` rows: sums of `a(q, r) * b(q)[w]` over `q` below `k`.
#[inline(always)]
fn block<F: Float, const R: usize, const W: usize>(
    mul_add: MulAdd,
    k: usize,
    a: impl Fn(usize, usize) -> F,
    b: impl Fn(usize) -> [F; W],
    c: &mut [F],
    [stride, width]: [usize; 2],
    add: bool,
) {
    // Indices, not iterators: with these the sums are kept in registers.
    let mut sums = [[F::ZERO; W]; R];
    for q in 0..k {
        let b = b(q);
        for (r, sums) in sums.iter_mut().enumerate() {
            // Read where it is used: a list of them is read as scalars, and spread by instructions that delay the others.
            let a = a(q, r);
            for w in 0..W {
                sums[w] = mul_add.of(a, b[w], sums[w]);
            }
        }
    }
    for r in 0..R {
        let c = &mut c[r * stride..][..width];
        if width == W {
            for w in 0..W {
                c[w] = if add { c[w] + sums[r][w] } else { sums[r][w] };
            }
        } else {
            let sums: [F; W] = std::array::from_fn(|w| sums[r][w]);
            for (c, sum) in c.iter_mut().zip(&sums) {
                *c = if add { *c + *sum } else { *sum };
            }
        }
    }
}

/// The first `N` elements.
#[inline(always)]
pub(super) fn array<F: Float, const N: usize>(x: &[F]) -> [F; N] {
    let mut y = [F::ZERO; N];
    y.copy_from_slice(&x[..N]);
    y
}
