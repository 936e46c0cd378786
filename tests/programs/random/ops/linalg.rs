//! Linear algebra.

use serde_json::json;
use wengert::core::Var;
use wengert::{Float, LinalgOps, MovementOps, Tensor, UnaryOps};

use crate::random::draw::{Draw, Drawn};
use crate::random::program::Settings;

pub(super) const NAMES: &[&str] =
    &["solve", "solve_triangular", "inv", "det", "slogdet", "cholesky", "qr", "eigh", "eigvalsh"];

/// Most matrices are well conditioned by construction: they are calculated from any value by steps of the program.
pub(super) fn draw(op: &str, d: &mut Draw<'_>) -> Drawn {
    let batch = if d.one_in(3) { vec![d.some()] } else { vec![] };
    let (m, n) = (d.extent(), d.extent());
    let square = [&batch[..], &[n, n]].concat();
    match op {
        "solve" | "solve_triangular" => {
            let a = dominant(&square, 0.0, d);
            let b = match d.below(3) {
                0 => vec![n],
                1 => vec![n, d.extent()],
                _ => [&batch[..], &[n, d.extent()]].concat(),
            };
            let b = d.like(&b);
            let upper = if op == "solve" { json!(null) } else { json!(d.one_in(2)) };
            (vec![a, b], json!({ "upper": upper }))
        }
        "cholesky" => (vec![positive_definite(&square, d)], json!({})),
        "qr" => (vec![dominant(&[&batch[..], &[m, n]].concat(), 0.0, d)], json!({})),
        // Eigenvalues that are far apart.
        "eigh" | "eigvalsh" => (vec![dominant(&square, 8.0, d)], json!({})),
        _ => (vec![dominant(&square, 0.0, d)], json!({})),
    }
}

/// A value whose elements are between -1 and 1; in programs of extremes now and then any.
fn bounded(shape: &[usize], d: &mut Draw<'_>) -> (usize, bool) {
    let x = d.like(shape);
    if d.is_special() && d.one_in(4) {
        return (x, false);
    }
    (d.push("tanh", vec![x], json!({})), true)
}

/// A matrix whose diagonal exceeds the sum of the other elements of its row, and grows by `step`.
fn dominant(shape: &[usize], step: f64, d: &mut Draw<'_>) -> usize {
    let (x, is_bounded) = bounded(shape, d);
    if is_bounded { with_diagonal(x, step, d) } else { x }
}

/// `x x^T` and a diagonal.
fn positive_definite(shape: &[usize], d: &mut Draw<'_>) -> usize {
    let (x, is_bounded) = bounded(shape, d);
    let square = d.push("matmul_transposed", vec![x, x], json!({}));
    if is_bounded { with_diagonal(square, 0.0, d) } else { square }
}

fn with_diagonal(x: usize, step: f64, d: &mut Draw<'_>) -> usize {
    let shape = d.shape(x);
    let (m, n) = (shape[shape.rank() - 2], shape[shape.rank() - 1]);
    let diagonal = Tensor::from_fn([m, n], |i| {
        let (row, column) = (i / n, i % n);
        if row == column { (n + 1) as f64 + step * row as f64 } else { 0.0 }
    });
    let diagonal = d.input_of(&diagonal);
    d.push("add", vec![x, diagonal], json!({}))
}

/// Several results in one row.
fn row<F: Float, const N: usize>(parts: [Var<'_, F>; N]) -> Var<'_, F> {
    Var::concat(&parts.map(|part| part.flatten()), 0)
}

pub(super) fn run<'t, F: Float>(op: &str, x: &[Var<'t, F>], s: &Settings) -> Option<Var<'t, F>> {
    let first = x[0];
    Some(match op {
        "solve" => first.solve(x[1]),
        "solve_triangular" => first.solve_triangular(x[1], s.flag("upper")),
        "inv" => first.inv(),
        "det" => first.det(),
        "slogdet" => row(first.slogdet().into()),
        "cholesky" => first.cholesky(),
        "qr" => row(first.qr().into()),
        "eigh" => {
            // The signs of eigenvectors are arbitrary.
            let (values, vectors) = first.eigh();
            row([values, vectors.square()])
        }
        "eigvalsh" => first.eigvalsh(),
        _ => return None,
    })
}
