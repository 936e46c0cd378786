//! Eigenvalues and eigenvectors of symmetric matrices: reflections to a tridiagonal matrix, then rotations (the implicit
//! QL method of EISPACK's `imtql2`; Golub and Van Loan, Matrix Computations, section 8.3).

use super::{Elements, dot_chunk, nothing, reflect, reflection, vectorized};

/// The rotations that may be tried for one eigenvalue; two or three are usual.
const ATTEMPTS: usize = 50;

/// A column of a scaled matrix counts as 0 if no element is above this. Products of two such elements underflow, and
/// neither a reflection nor the rotations survive that.
const NEGLIGIBLE: f64 = 1.5e-154;

/// The eigenvalues of the symmetric part of `A` in ascending order, and behind them the matrix whose columns are the
/// eigenvectors, in the same order.
pub(crate) fn eigh(a: Elements, n: usize) -> Elements {
    let largest =
        a.iter().fold(0.0, |largest: f64, x| if x.abs() <= largest { largest } else { x.abs() });
    if !largest.is_finite() {
        return nothing((n + 1) * n);
    }
    // Scaled by a power of two, so that squares neither overflow nor vanish.
    let scale =
        if largest == 0.0 { 1.0 } else { largest.log2().floor().clamp(-1000.0, 1000.0).exp2() };
    let mut a = (0..n * n)
        .map(|at| (a[at] / scale + a[at % n * n + at / n] / scale) / 2.0)
        .collect::<Elements>();
    // The rows of `vectors` are the eigenvectors, so that rotations run along rows.
    let mut vectors = Elements::from_elem(0.0, n * n);
    let (mut diagonal, mut beside) = (Elements::from_elem(0.0, n), Elements::from_elem(0.0, n));
    let converged = vectorized(
        #[inline(always)]
        || {
            tridiagonal(&mut a, n, &mut vectors, &mut diagonal, &mut beside);
            rotate_away(&mut diagonal, &mut beside, &mut vectors, n)
        },
    );
    if !converged {
        return nothing((n + 1) * n);
    }
    let mut order = (0..n).collect::<Vec<_>>();
    order.sort_by(|&i, &j| diagonal[i].total_cmp(&diagonal[j]));
    let values = order.iter().map(|&i| diagonal[i] * scale);
    let columns = (0..n).flat_map(|row| order.iter().map(move |&i| (i, row)));
    values.chain(columns.map(|(i, row)| vectors[i * n + row])).collect()
}

/// Reduces `a` to a tridiagonal matrix, given by its diagonal and the elements beside it, and writes the rows of the
/// orthogonal matrix that does so.
#[inline(always)]
fn tridiagonal(
    a: &mut [f64],
    n: usize,
    vectors: &mut [f64],
    diagonal: &mut [f64],
    beside: &mut [f64],
) {
    let mut taus = Elements::from_elem(0.0, n);
    let mut w = Elements::from_elem(0.0, n);
    for k in 0..n {
        let (above, below) = a.split_at_mut((k + 1) * n);
        let row = &mut above[k * n..];
        diagonal[k] = row[k];
        let v = &mut row[k + 1..];
        if v.iter().all(|v| v.abs() <= NEGLIGIBLE) {
            v.fill(0.0);
        }
        let (beta, tau) = reflection(v);
        (beside[k], taus[k]) = (beta, tau);
        // B becomes H B H = B - v w' - w v', with w = tau B v - (tau^2 v'B v / 2) v.
        let w = &mut w[k + 1..];
        for (w, row) in w.iter_mut().zip(below.chunks_exact(n)) {
            *w = tau * dot_chunk(&row[k + 1..], v);
        }
        let half = tau / 2.0 * dot_chunk(w, v);
        w.iter_mut().zip(&*v).for_each(|(w, v)| *w -= half * v);
        for (i, row) in below.chunks_exact_mut(n).enumerate() {
            let (vi, wi) = (v[i], w[i]);
            let both = v.iter().zip(&*w);
            row[k + 1..].iter_mut().zip(both).for_each(|(x, (v, w))| *x -= vi * w + wi * v);
        }
    }
    (0..n).for_each(|i| vectors[i * n + i] = 1.0);
    for k in (0..n).rev() {
        let v = &a[k * n + k + 1..][..n - k - 1];
        let rows = vectors[(k + 1) * n..].chunks_exact_mut(n);
        rows.for_each(|row| reflect(taus[k], v, &mut row[k + 1..]));
    }
}

/// Rotates the elements beside the diagonal to 0, and the rows of `vectors` with them. Returns whether it succeeded.
#[inline(always)]
fn rotate_away(d: &mut [f64], e: &mut [f64], vectors: &mut [f64], n: usize) -> bool {
    for l in 0..n {
        let mut attempts = 0;
        loop {
            let small = |&m: &usize| e[m].abs() <= f64::EPSILON * (d[m].abs() + d[m + 1].abs());
            let m = (l..n - 1).find(small).unwrap_or(n - 1);
            if m == l {
                break;
            }
            attempts += 1;
            if attempts > ATTEMPTS {
                return false;
            }
            let g = (d[l + 1] - d[l]) / (2.0 * e[l]);
            let r = g.hypot(1.0);
            let mut g = d[m] - d[l] + e[l] / (g + r.copysign(g));
            let (mut sine, mut cosine, mut p, mut vanished) = (1.0, 1.0, 0.0, false);
            for i in (l..m).rev() {
                let (f, b) = (sine * e[i], cosine * e[i]);
                let r = f.hypot(g);
                e[i + 1] = r;
                if r == 0.0 {
                    d[i + 1] -= p;
                    vanished = true;
                    break;
                }
                (sine, cosine) = (f / r, g / r);
                g = d[i + 1] - p;
                let r = (d[i] - g) * sine + 2.0 * cosine * b;
                p = sine * r;
                d[i + 1] = g + p;
                g = cosine * r - b;
                let (first, second) = vectors.split_at_mut((i + 1) * n);
                for (x, y) in first[i * n..].iter_mut().zip(&mut second[..n]) {
                    (*x, *y) = (cosine * *x - sine * *y, sine * *x + cosine * *y);
                }
            }
            if !vanished {
                d[l] -= p;
                e[l] = g;
            }
            e[m] = 0.0;
        }
    }
    true
}
