//! Operations that take or add elements by index.

use serde_json::json;
use wengert::core::Var;
use wengert::{Float, IndexOps, Shape};

use crate::random::draw::{Draw, Drawn};
use crate::random::program::Settings;

pub(super) const NAMES: &[&str] =
    &["pick", "gather", "scatter_add", "index_select", "index_add", "embedding"];

pub(super) fn draw(op: &str, d: &mut Draw<'_>) -> Drawn {
    let (least, most) = match op {
        "pick" => (1, 4),
        "embedding" => (2, 2),
        _ => (1, 3),
    };
    let fits = |shape: Shape| (least..=most).contains(&shape.rank()) && shape.numel() > 0;
    let x = d.fitting(fits).unwrap_or_else(|| {
        let extents = (0..least + d.below(most - least + 1)).map(|_| d.some()).collect::<Vec<_>>();
        d.input(&extents)
    });
    let shape = d.shape(x);
    let axis = d.axis(x);
    let at = axis.rem_euclid(shape.rank() as isize) as usize;
    let count = d.extent();
    match op {
        "pick" => {
            let rows = &shape[..shape.rank() - 1];
            (vec![x], json!({ "index": d.indices(rows, shape[shape.rank() - 1]) }))
        }
        "gather" | "scatter_add" => {
            let mut extents = shape
                .iter()
                .map(|&n| if d.one_in(3) { d.below(n + 1) } else { n })
                .collect::<Vec<_>>();
            extents[at] = count;
            let index = d.indices(&extents, shape[at]);
            let src = if op == "gather" { None } else { Some(d.like(&extents)) };
            ([x].into_iter().chain(src).collect(), json!({ "axis": axis, "index": index }))
        }
        "index_select" | "index_add" => {
            let index = d.indices(&[count], shape[at]);
            let extents = shape.with(at, count).expect("small");
            let src = if op == "index_select" { None } else { Some(d.like(&extents)) };
            ([x].into_iter().chain(src).collect(), json!({ "axis": axis, "index": index }))
        }
        _ => {
            let rank = d.below(3);
            let extents = d.extents(rank);
            let index = d.indices(&extents, shape[0]);
            let padding = if d.one_in(2) { json!(d.below(shape[0])) } else { json!(null) };
            (vec![x], json!({ "index": index, "padding_idx": padding }))
        }
    }
}

pub(super) fn run<'t, F: Float>(op: &str, x: &[Var<'t, F>], s: &Settings) -> Option<Var<'t, F>> {
    let first = x[0];
    Some(match op {
        "pick" => first.pick(s.indices("index")),
        "gather" => first.gather(s.axis(), s.indices("index")),
        "scatter_add" => first.scatter_add(s.axis(), s.indices("index"), x[1]),
        "index_select" => first.index_select(s.axis(), s.indices("index")),
        "index_add" => first.index_add(s.axis(), s.indices("index"), x[1]),
        "embedding" => first.embedding(s.indices("index"), s.maybe("padding_idx")),
        _ => return None,
    })
}
