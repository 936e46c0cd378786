//! Orthonormal columns, by Householder reflections.

use super::{Elements, reflect, reflection, transposed, vectorized};

/// `Q R = A` for `A` `[m, n]` with `m >= n`: `Q` `[m, n]` with orthonormal columns, and behind it `R` `[n, n]`, upper
/// triangular. The signs are those of LAPACK.
pub(crate) fn qr(a: &[f64], n: usize) -> Elements {
    let m = a.len().checked_div(n).unwrap_or(0);
    let mut columns = transposed(a, n);
    let mut q = Elements::from_elem(0.0, n * m);
    let (mut r, mut taus) = (Elements::from_elem(0.0, n * n), Elements::from_elem(0.0, n));
    vectorized(
        #[inline(always)]
        || {
            for k in 0..n {
                let (done, rest) = columns.split_at_mut((k + 1) * m);
                let v = &mut done[k * m + k..];
                let (beta, tau) = reflection(v);
                (r[k * n + k], taus[k]) = (beta, tau);
                rest.chunks_exact_mut(m).for_each(|column| reflect(tau, v, &mut column[k..]));
            }
            // The columns of Q are the first unit vectors, reflected from the last reflection to the first.
            for k in (0..n).rev() {
                q[k * m + k] = 1.0;
                let v = &columns[k * m + k..][..m - k];
                let later = q[k * m..].chunks_exact_mut(m);
                later.for_each(|column| reflect(taus[k], v, &mut column[k..]));
            }
        },
    );
    for j in 0..n {
        (0..j).for_each(|i| r[i * n + j] = columns[j * m + i]);
    }
    let mut packed = transposed(&q, m);
    packed.extend_from_slice(&r);
    packed
}
