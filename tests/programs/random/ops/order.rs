//! Order along an axis. Indices choose elements of another operand, because they are no numbers with a derivative.

use serde_json::json;
use wengert::core::Var;
use wengert::{Float, IndexOps, Indices, OrderOps, ReduceOps, Shape};

use crate::random::draw::{Draw, Drawn};
use crate::random::program::Settings;

pub(super) const NAMES: &[&str] = &[
    "sort",
    "sort_by",
    "topk",
    "cummax",
    "cummin",
    "argsort",
    "argtopk",
    "argmax",
    "argmin",
    "searchsorted",
];

pub(super) fn draw(op: &str, d: &mut Draw<'_>) -> Drawn {
    if op == "searchsorted" {
        return search(d);
    }
    // These refuse to choose from no elements.
    let chooses = matches!(op, "argmax" | "argmin");
    let fits = |shape: Shape| shape.rank() > 0 && (!chooses || shape.numel() > 0);
    let x = d.fitting(fits).unwrap_or_else(|| d.input(&[2, 3]));
    let shape = d.shape(x);
    let axis = d.axis(x);
    let n = shape[axis.rem_euclid(shape.rank() as isize) as usize];
    let args = match op {
        "sort" | "topk" | "cummax" | "cummin" => vec![x],
        _ => vec![x, d.like(&shape)],
    };
    let settings = match op {
        "sort" | "sort_by" | "argsort" => json!({ "axis": axis, "descending": d.one_in(2) }),
        "topk" | "argtopk" => json!({ "axis": axis, "k": d.below(n + 1), "largest": d.one_in(2) }),
        _ => json!({ "axis": axis }),
    };
    (args, settings)
}

/// A sorted row, or one for each row of values, and a table from which the indices choose.
fn search(d: &mut Draw<'_>) -> Drawn {
    let n = d.extent();
    let (rows, values) = if d.one_in(2) {
        let rank = d.below(3);
        (vec![n], d.extents(rank))
    } else {
        let rows = d.extent();
        (vec![rows, n], vec![rows, d.extent()])
    };
    let rows = d.like(&rows);
    let sorted = d.push("sort", vec![rows], json!({ "axis": -1, "descending": false }));
    (vec![sorted, d.like(&values), d.like(&[n + 1])], json!({ "right": d.one_in(2) }))
}

/// The elements of a row at these indices, in one row.
fn looked_up<'t, F: Float>(row: Var<'t, F>, indices: &Indices) -> Var<'t, F> {
    row.index_select(0, Indices::from_vec(indices.as_slice().to_vec(), [indices.shape().numel()]))
}

pub(super) fn run<'t, F: Float>(op: &str, x: &[Var<'t, F>], s: &Settings) -> Option<Var<'t, F>> {
    let first = x[0];
    let descending = || s.flag("descending");
    let (k, largest) = (|| s.usize("k"), || s.flag("largest"));
    Some(match op {
        "sort" => first.sort(s.axis(), descending()),
        "sort_by" => first.sort_by(x[1], s.axis(), descending()),
        "topk" => first.topk(k(), s.axis(), largest()),
        "cummax" => first.cummax(s.axis()),
        "cummin" => first.cummin(s.axis()),
        "argsort" => x[1].gather(s.axis(), first.value().argsort(s.axis(), descending())),
        "argtopk" => x[1].gather(s.axis(), first.value().argtopk(k(), s.axis(), largest())),
        "argmax" => x[1].gather(s.axis(), first.value().argmax_axis(s.axis(), true)),
        "argmin" => x[1].gather(s.axis(), first.value().argmin_axis(s.axis(), true)),
        "searchsorted" => {
            let at = first.value().searchsorted(&x[1].value(), s.flag("right"));
            looked_up(x[2], &at)
        }
        _ => return None,
    })
}
