//! Products of matrices and einsum.

use serde_json::json;
use wengert::core::Var;
use wengert::{Float, MatmulOps, einsum};

use crate::random::draw::{Draw, Drawn};
use crate::random::program::Settings;

pub(super) const NAMES: &[&str] =
    &["matmul", "matmul_transposed", "linear", "dot", "outer", "einsum"];

/// Specifications, one letter an extent.
const SPECS: [&str; 16] = [
    "ij,jk->ik",
    "ij,kj->ik",
    "ij,ij->",
    "i,j->ij",
    "bij,bjk->bik",
    "ij->ji",
    "ii->i",
    "ii->",
    "ij->j",
    "ij,jk,kl->il",
    "bi,bj->bij",
    "abc,cb->a",
    "ij,i->j",
    "bhqd,bhkd->bhqk",
    "ijk->kij",
    "ab,bc,ac->b",
];

pub(super) fn draw(op: &str, d: &mut Draw<'_>) -> Drawn {
    let (n, k, m) = (d.extent(), d.extent(), d.extent());
    match op {
        "linear" => {
            let rank = d.below(3);
            let mut extents = d.extents(rank);
            extents.push(k);
            (vec![d.like(&extents), d.like(&[m, k]), d.like(&[m])], json!({}))
        }
        "dot" => (vec![d.like(&[n]), d.like(&[n])], json!({})),
        "outer" => (vec![d.like(&[n]), d.like(&[m])], json!({})),
        "einsum" => {
            let spec = d.choose(&SPECS);
            let extents: [usize; 26] = std::array::from_fn(|_| d.extent());
            let terms = spec.split("->").next().expect("terms");
            let of = |term: &str| {
                term.bytes().map(|c| extents[usize::from(c - b'a')]).collect::<Vec<_>>()
            };
            let args = terms.split(',').map(|term| d.like(&of(term))).collect();
            (args, json!({ "spec": spec }))
        }
        _ => {
            let transposed = op == "matmul_transposed";
            let right = if transposed { [m, k] } else { [k, m] };
            // Vectors, matrices, and batches that broadcast.
            let (left, right) = match d.below(6) {
                0 if !transposed => (vec![k], right.to_vec()),
                1 if !transposed => (vec![n, k], vec![k]),
                2 if !transposed => (vec![k], vec![k]),
                3 => {
                    let batch = d.some();
                    (
                        vec![batch, n, k],
                        [&[if d.one_in(2) { 1 } else { batch }], &right[..]].concat(),
                    )
                }
                4 => (vec![d.some(), n, k], right.to_vec()),
                5 => (vec![n, k], [&[2], &right[..]].concat()),
                _ => (vec![n, k], right.to_vec()),
            };
            (vec![d.like(&left), d.like(&right)], json!({}))
        }
    }
}

pub(super) fn run<'t, F: Float>(op: &str, x: &[Var<'t, F>], s: &Settings) -> Option<Var<'t, F>> {
    let first = x[0];
    Some(match op {
        "matmul" => first.matmul(x[1]),
        "matmul_transposed" => first.matmul_transposed(x[1]),
        "linear" => first.linear(x[1], x[2]),
        "dot" => first.dot(x[1]),
        "outer" => first.outer(x[1]),
        "einsum" => einsum(&s.text("spec"), x),
        _ => return None,
    })
}
