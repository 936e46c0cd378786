//! The matrix product: our own loops for small ones, the `gemm` crate for the others.

use super::block::{self, Matrix};
use super::pieces::pieces;
use crate::float::{Float, PerPrecision};

/// Up to this number of multiplications, the plain triple loop is fastest.
const TINY: usize = 128;
/// Up to this number of multiplications, our blocks are as fast as `gemm`, which plans on each call.
const SMALL: usize = 1 << 15;
/// From this number of multiplications on, two threads are faster than one. A lone product gains from 2^21 on; in a
/// training step, where threads sleep between products, 64x128x784 (2^22.6) still loses a third.
const PARALLEL: usize = 1 << 23;
/// From this number of multiplications on, the products of a batch are shared among threads.
const BATCH: usize = 1 << 21;
/// The pieces of the smallest batch that is shared.
const PIECES: usize = 16;

/// `C = A B`, or `C += A B` when accumulating, for dense row-major matrices.
///
/// A is `[m, k]`, or stored as `[k, m]` when transposed; B is `[k, n]`, or stored as `[n, k]`; C is
/// `[m, n]`. With `k = 0` the product is zero.
///
/// # Panics
/// If a slice has another length than its matrix.
#[expect(clippy::too_many_arguments, reason = "the sizes and flags of a matrix product")]
#[cfg_attr(wengert_mutants, track_caller)]
pub(crate) fn matmul<F: Float>(
    m: usize,
    n: usize,
    k: usize,
    a: &[F],
    transpose_a: bool,
    b: &[F],
    transpose_b: bool,
    c: &mut [F],
    accumulate: bool,
) {
    #[cfg(wengert_mutants)]
    let [transpose_a, transpose_b, accumulate] =
        crate::mutants::flags([m, n, k], [transpose_a, transpose_b, accumulate]);
    if let Some(tiny) = Tiny::new([m, n, k], transpose_a, transpose_b) {
        return tiny.product(a, b, c, accumulate);
    }
    let a = matrix(a, m, k, transpose_a);
    let b = matrix(b, k, n, transpose_b);
    assert_eq!(Some(c.len()), m.checked_mul(n));
    // A matrix times a vector is a single loop in `gemm`, which is hard to beat.
    let vector = n == 1 || (m == 1 && transpose_b);
    match m.saturating_mul(n).saturating_mul(k) {
        0 if accumulate => (),
        0 => c.fill(F::ZERO),
        ..=SMALL if !vector => block::product([m, n, k], a, b, c, accumulate),
        work => {
            // Work inside a parallel loop stays on its thread.
            let threads = work >= PARALLEL
                && rayon::current_thread_index().is_none()
                && rayon::current_num_threads() > 1;
            library([m, n, k], a, b, c, accumulate, threads);
        }
    }
}

/// Runs `product` on each matrix of `c`, of `len` elements, with its number; on threads where they pay off. `work` is
/// the number of multiplications of one product.
pub(crate) fn batch<F: Float>(
    c: &mut [F],
    len: usize,
    work: usize,
    product: impl Fn(usize, &mut [F]) + Sync,
) {
    if c.is_empty() {
        return;
    }
    let count = c.len() / len;
    // A large product is divided among threads itself.
    let shared = count > 1 && work < PARALLEL && work.saturating_mul(count) >= BATCH;
    if shared && rayon::current_num_threads() > 1 {
        let piece = (BATCH / PIECES / work.max(1)).max(1) * len;
        pieces(c, piece, true, &|i, c| {
            for (j, c) in c.chunks_exact_mut(len).enumerate() {
                product(i * (piece / len) + j, c);
            }
        });
    } else {
        c.chunks_exact_mut(len).enumerate().for_each(|(i, c)| product(i, c));
    }
}

/// A dense matrix of `rows` and `columns`, or the transpose of a dense one.
fn matrix<F>(data: &[F], rows: usize, columns: usize, transposed: bool) -> Matrix<'_, F> {
    assert_eq!(Some(data.len()), rows.checked_mul(columns));
    let (row, column) = strides(rows, columns, transposed);
    Matrix { data, row, column }
}

/// The strides of its rows and of its columns.
fn strides(rows: usize, columns: usize, transposed: bool) -> (usize, usize) {
    if transposed { (1, rows) } else { (columns, 1) }
}

/// The product of a handful of numbers: the plain triple loop, for sizes that were checked before.
pub(crate) struct Tiny {
    size: [usize; 3],
    /// The strides of the rows and columns of A and of B.
    strides: [(usize, usize); 2],
}

impl Tiny {
    /// The product of these sizes, if it is one.
    pub(crate) fn new(size: [usize; 3], transpose_a: bool, transpose_b: bool) -> Option<Self> {
        let [m, n, k] = size;
        let strides = [strides(m, k, transpose_a), strides(k, n, transpose_b)];
        let is_tiny = (1..=TINY).contains(&m.saturating_mul(n).saturating_mul(k));
        is_tiny.then_some(Self { size, strides })
    }

    /// `C = A B`, or `C += A B`; see [`matmul`].
    pub(crate) fn product<F: Float>(&self, a: &[F], b: &[F], c: &mut [F], accumulate: bool) {
        let Self { size: [m, n, k], strides: [(a_row, a_column), (b_row, b_column)] } = *self;
        let fits = a.len() == m * k && b.len() == k * n && c.len() == m * n;
        assert!(fits, "a slice has another length than its matrix");
        // Exact chunks would divide.
        for (i, c) in c.chunks_mut(n).enumerate() {
            for (j, c) in c.iter_mut().enumerate() {
                let (mut p, mut q, mut sum) = (i * a_row, j * b_column, F::ZERO);
                for _ in 0..k {
                    sum += a[p] * b[q];
                    (p, q) = (p + a_column, q + b_row);
                }
                *c = if accumulate { *c + sum } else { sum };
            }
        }
    }
}

/// The product by the `gemm` crate, on all threads or on one.
fn library<F: Float>(
    [m, n, k]: [usize; 3],
    a: Matrix<F>,
    b: Matrix<F>,
    c: &mut [F],
    accumulate: bool,
    threads: bool,
) {
    use gemm_common::Parallelism;
    // Products that wrapped around would let `gemm` read past the slices.
    assert_eq!(
        [a.data.len(), b.data.len(), c.len()].map(Some),
        [m.checked_mul(k), k.checked_mul(n), m.checked_mul(n)]
    );
    let threads = if threads { Parallelism::Rayon(0) } else { Parallelism::None };
    // `gemm` prefers columns that are dense. C has dense rows, so it gets the transpose of the product.
    let product = if n > 1 {
        Product {
            sizes: [n, m, k],
            a: b.transposed(),
            b: a.transposed(),
            c,
            stride: n,
            accumulate,
            threads,
        }
    } else {
        Product { sizes: [m, n, k], a, b, c, stride: 1, accumulate, threads }
    };
    F::run::<Gemm>(product);
}

/// `C = A B`, or `C += A B`, for a C whose columns are dense and start `stride` apart.
struct Product<'a, F> {
    sizes: [usize; 3],
    a: Matrix<'a, F>,
    b: Matrix<'a, F>,
    c: &'a mut [F],
    stride: usize,
    accumulate: bool,
    threads: gemm_common::Parallelism,
}

/// The job of a [`Product`]: each precision has a crate of its own.
struct Gemm;

impl<'a> PerPrecision<'a> for Gemm {
    type Input<F: Float> = Product<'a, F>;
    type Output<F: Float> = ();
    fn f32(product: Product<'a, f32>) {
        product.run(gemm_f32::gemm::f32::get_gemm_fn());
    }
    fn f64(product: Product<'a, f64>) {
        product.run(gemm_f64::gemm::f64::get_gemm_fn());
    }
}

/// The function of `gemm`: sizes; C with its strides from column to column and from row to row, and whether to
/// add to it; A and B with their strides; factors of C and of the product; three flags for complex numbers.
#[rustfmt::skip]
// SAFETY: the caller ensures that all elements described by sizes, pointers and strides lie inside memory
// borrowed for the call, and that C is borrowed exclusively. Only `Product::run` calls such a function.
type GemmFn<F> = unsafe fn(
    usize, usize, usize,
    *mut F, isize, isize, bool,
    *const F, isize, isize,
    *const F, isize, isize,
    F, F, bool, bool, bool, gemm_common::Parallelism,
);

impl<F: Float> Product<'_, F> {
    #[allow(unsafe_code)]
    #[rustfmt::skip]
    fn run(self, gemm: GemmFn<F>) {
        let Self { sizes: [m, n, k], a, b, c, stride, accumulate, threads } = self;
        // SAFETY: `library` makes all products. The strides are those of dense matrices or of their
        // transposes, so that everything `gemm` reads and writes lies inside slices of the lengths asserted
        // there. It writes C alone, which is borrowed mutably.
        unsafe {
            gemm(
                m, n, k,
                c.as_mut_ptr(), stride as isize, 1, accumulate,
                a.data.as_ptr(), a.column as isize, a.row as isize,
                b.data.as_ptr(), b.column as isize, b.row as isize,
                F::ONE, F::ONE, false, false, false, threads,
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{on_threads, random};
    use super::*;

    /// Checks one product, in every combination of flags, against a loop in double precision.
    fn check<F: Float>(m: usize, n: usize, k: usize) {
        let (a, b, c) = (random::<F>(m * k, 1), random::<F>(k * n, 2), random::<F>(m * n, 3));
        for flags in 0..8 {
            let [ta, tb, accumulate] = [1, 2, 4].map(|bit| flags & bit != 0);
            let mut got = c.clone();
            matmul(m, n, k, &a, ta, &b, tb, &mut got, accumulate);
            for i in 0..m {
                for j in 0..n {
                    let start = if accumulate { c[i * n + j].to_f64() } else { 0.0 };
                    let want = (0..k).fold(start, |sum, p| {
                        let a = a[if ta { p * m + i } else { i * k + p }].to_f64();
                        sum + a * b[if tb { j * k + p } else { p * n + j }].to_f64()
                    });
                    let limit = 2.0 * F::EPSILON.to_f64() * (k as f64 + 1.0);
                    let off = (got[i * n + j].to_f64() - want).abs();
                    assert!(off <= limit, "{m}x{n}x{k} {flags}: {off} at {i}, {j}");
                }
            }
        }
    }

    #[test]
    fn agrees_with_a_plain_loop() {
        let sizes = [0, 1, 2, 3, 4, 7, 8, 16, 17, 33, 70];
        for m in sizes {
            for n in sizes {
                for k in [0, 1, 3, 4, 16, 31, 65, 130] {
                    check::<f32>(m, n, k);
                    check::<f64>(m, n, k);
                }
            }
        }
    }

    #[test]
    fn large_products_agree_with_a_plain_loop() {
        check::<f32>(130, 129, 131);
        check::<f64>(64, 300, 140);
        check::<f32>(1, 2200, 1000);
    }

    #[test]
    fn large_products_do_not_depend_on_the_number_of_threads() {
        fn same_bits<F: Float>(m: usize, n: usize, k: usize) {
            let (a, b) = (random::<F>(m * k, 1), random::<F>(k * n, 2));
            for flags in 0..4 {
                let [ta, tb] = [1, 2].map(|bit| flags & bit != 0);
                let run = |threads: usize| {
                    let mut c = vec![F::ZERO; m * n];
                    let (a, b) = (matrix(&a, m, k, ta), matrix(&b, k, n, tb));
                    // Past the guard of `matmul`, which keeps work in a pool on its thread.
                    on_threads(threads, || library([m, n, k], a, b, &mut c, false, threads > 1));
                    c
                };
                assert!(run(1) == run(2) && run(1) == run(3), "{m}x{n}x{k} {flags}");
            }
        }
        same_bits::<f32>(260, 257, 131);
        same_bits::<f64>(164, 300, 180);
        same_bits::<f32>(1, 2200, 4000);
    }

    #[test]
    fn every_product_of_a_batch_is_computed_once_on_any_number_of_threads() {
        for (count, work) in [(1, PARALLEL), (3, 1), (1000, 1 << 14), (37, 1 << 20), (2, PARALLEL)]
        {
            for threads in [1, 2, 3] {
                let mut c = vec![0.0f32; 6 * count];
                on_threads(threads, || {
                    batch(&mut c, 6, work, |number, c| {
                        c.iter_mut().for_each(|c| *c += number as f32)
                    });
                });
                assert!(c.chunks(6).enumerate().all(|(i, c)| *c == [i as f32; 6]), "{count}");
            }
        }
        batch::<f32>(&mut [], 0, 0, |_, _| unreachable!("there is no product"));
    }

    #[test]
    fn nan_and_infinity_pass_through_zeros() {
        for n in [2, 20, 40] {
            let mut a = vec![0f32; n * n];
            let b = vec![0f32; n * n];
            let mut c = b.clone();
            (a[0], a[n]) = (f32::NAN, f32::INFINITY);
            matmul(n, n, n, &a, false, &b, true, &mut c, false);
            assert!(c[..2 * n].iter().all(|c| c.is_nan()) && c[2 * n..].iter().all(|c| *c == 0.0));
        }
    }

    #[test]
    #[should_panic(expected = "another length than its matrix")]
    fn slices_of_other_lengths_are_refused() {
        matmul(2, 2, 2, &[0.0; 4], false, &[0.0; 4], false, &mut [0.0; 5], false);
    }

    #[test]
    #[should_panic(expected = "left == right")]
    fn sizes_whose_product_wraps_around_are_refused() {
        // Three times the first is 1, modulo 2^64.
        let wraps = 0xAAAA_AAAA_AAAA_AAAB;
        matmul(wraps, 1, 3, &[0.0], false, &[0.0; 3], false, &mut [0.0], false);
    }
}
