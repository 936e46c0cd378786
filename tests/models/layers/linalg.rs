//! Linear algebra and orders of elements against PyTorch (`fixtures/linalg.json`), and ill-conditioned systems against
//! NumPy.

use wengert::f64::prelude::*;

use super::{Function, pytorch};

const FIXTURE: &str = include_str!("../../fixtures/linalg.json");

#[track_caller]
fn holds(case: &str, f: impl for<'t> Fn(&[Var<'t>]) -> Var<'t>) {
    pytorch::agrees(FIXTURE, case, Function, |_, x| vec![f(x)]);
}

#[test]
fn solutions() {
    for case in ["solve", "solve vector", "solve broadcast"] {
        holds(case, |x| x[0].solve(x[1]));
    }
    holds("solve_triangular lower", |x| x[0].solve_triangular(x[1], false));
    holds("solve_triangular upper", |x| x[0].solve_triangular(x[1], true));
    holds("inv", |x| x[0].inv());
}

#[test]
fn determinants() {
    holds("det", |x| x[0].det());
    holds("slogdet", |x| x[0].slogdet().1);
}

#[test]
fn factors() {
    holds("cholesky", |x| x[0].cholesky());
    for case in ["qr 4 4", "qr 6 3", "qr 3 5"] {
        pytorch::agrees(FIXTURE, case, Function, |_, x| {
            let (q, r) = x[0].qr();
            vec![q, r]
        });
    }
    pytorch::agrees(FIXTURE, "eigh", Function, |_, x| {
        let (w, v) = x[0].eigh();
        let c = Tensor::arange(4) - 1.3;
        vec![w, v.square(), (v * &c).matmul_transposed(v)]
    });
    holds("eigvalsh of equal eigenvalues", |x| x[0].eigvalsh());
}

#[test]
fn orders() {
    holds("sort False", |x| x[0].sort(1, false));
    holds("sort True", |x| x[0].sort(1, true));
    holds("topk False", |x| x[0].topk(3, 1, false));
    holds("topk True", |x| x[0].topk(3, 1, true));
    holds("cummax", |x| x[0].cummax(1));
    holds("cummin", |x| x[0].cummin(1));
}

/// Hilbert matrices, whose condition grows like e^(3.5 n): the residual is that of a backward stable method, a few
/// units in the last place like LAPACK's, however wrong the solution must be.
#[test]
fn ill_conditioned_systems() {
    let fixture: serde_json::Value = serde_json::from_str(FIXTURE).expect("JSON");
    for n in [4, 8, 12] {
        let case = &fixture["cases"][format!("hilbert {n}")];
        let numpy = |key: &str| case[key].as_f64().expect("a number");
        let a = Tensor::from_fn([n, n], |at| 1.0 / (at / n + at % n + 1) as f64);
        let b = a.sum_axes(1, false);
        let x = a.solve(&b);
        let largest = |x: &Tensor| x.abs().max().item();
        let unit = f64::EPSILON * largest(&a.abs().sum_axes(1, false)) * largest(&x);
        let residual = largest(&(a.matmul(&x) - &b)) / unit;
        assert!(residual < numpy("residual").max(0.5) * 4.0, "{n}: {residual} units");
        let error = largest(&(&x - 1.0));
        assert!(error < numpy("error").max(1e-16) * 20.0, "{n}: {error}");
        // The Cholesky factor multiplies back to the matrix to the last place.
        let l = a.cholesky();
        assert!(largest(&(l.matmul_transposed(&l) - &a)) < 4.0 * f64::EPSILON, "{n}");
    }
}
