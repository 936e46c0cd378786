//! Operations that move elements.

use serde_json::{Value as Json, json};
use wengert::core::Var;
use wengert::{Float, MovementOps};

use crate::random::draw::{Draw, Drawn};
use crate::random::program::Settings;

pub(super) const NAMES: &[&str] = &[
    "reshape",
    "flatten",
    "flatten_axes",
    "squeeze",
    "unsqueeze",
    "expand",
    "permute",
    "transpose",
    "concat",
    "stack",
    "slice",
    "slice_step",
    "narrow",
    "split",
    "chunk",
    "flip",
    "roll",
    "pad",
    "pad_reflect",
    "pad_replicate",
    "repeat",
    "tril",
    "triu",
    "diag",
    "stop_gradient",
];

/// Where a slice starts and ends, either of them perhaps counted from the end.
fn range(n: usize, d: &mut Draw<'_>) -> [isize; 2] {
    let start = d.below(n + 1);
    let end = start + d.below(n + 1 - start);
    [start, end]
        .map(|at| if at < n && d.one_in(3) { at as isize - n as isize } else { at as isize })
}

pub(super) fn draw(op: &str, d: &mut Draw<'_>) -> Drawn {
    let x = match op {
        "tril" | "triu" => d.of_rank(2, 4),
        "diag" => d.of_rank(1, 2),
        "reshape" | "flatten" | "squeeze" | "unsqueeze" | "expand" | "stop_gradient" => {
            d.of_rank(0, 3)
        }
        "pad_reflect" | "pad_replicate" => {
            let fits = |shape: wengert::Shape| shape.rank() > 0 && shape.numel() > 0;
            d.fitting(fits).unwrap_or_else(|| d.input(&[3, 2]))
        }
        _ => d.of_rank(1, 4),
    };
    let shape = d.shape(x);
    let rank = shape.rank();
    if matches!(op, "flatten" | "squeeze" | "unsqueeze" | "expand" | "reshape" | "stop_gradient")
        || rank == 0
    {
        return (vec![x], changed_shape(op, &shape, d));
    }
    let axis = d.axis(x);
    let n = shape[axis.rem_euclid(rank as isize) as usize];
    let settings = match op {
        "flatten_axes" => {
            let first = d.below(rank);
            json!({ "first": first, "last": first + d.below(rank - first) })
        }
        "permute" => {
            let mut order = (0..rank).collect::<Vec<_>>();
            (1..rank).for_each(|i| order.swap(i, d.below(i + 1)));
            json!({ "order": order })
        }
        "transpose" => json!({ "a": axis, "b": d.axis(x) }),
        "concat" | "stack" => {
            let count = d.below(3);
            let parts = [x].into_iter().chain((0..count).map(|_| d.like(&shape)));
            return (parts.collect(), json!({ "axis": axis }));
        }
        "slice" => json!({ "axis": axis, "range": range(n, d) }),
        "slice_step" => json!({ "axis": axis, "range": range(n, d), "step": 1 + d.below(3) }),
        "narrow" => {
            let start = d.below(n + 1);
            json!({ "axis": axis, "start": start, "len": d.below(n + 1 - start) })
        }
        "split" => {
            let first = d.below(n + 1);
            json!({ "axis": axis, "sizes": [first, n - first], "part": d.below(2) })
        }
        "chunk" => json!({ "axis": axis, "count": 1 + d.below(3) }),
        "flip" => json!({ "axes": d.axes(x).as_array().cloned().unwrap_or_default() }),
        "roll" => json!({ "axis": axis, "shift": d.between(-5, 5) }),
        "pad" => {
            json!({ "axis": axis, "before": d.below(3), "after": d.below(3), "value": d.choose(&[0.0, 0.0, 1.5]) })
        }
        "pad_reflect" => json!({ "axis": axis, "before": d.below(n), "after": d.below(n) }),
        "pad_replicate" => json!({ "axis": axis, "before": d.below(3), "after": d.below(3) }),
        "repeat" => {
            let more = if rank < 4 { d.below(2) } else { 0 };
            json!({ "times": (0..rank + more).map(|_| d.choose(&[1, 1, 2, 0])).collect::<Vec<_>>() })
        }
        _ => json!({ "diagonal": d.between(-3, 3) }),
    };
    (vec![x], settings)
}

fn changed_shape(op: &str, shape: &[usize], d: &mut Draw<'_>) -> Json {
    let rank = shape.len();
    match op {
        "reshape" => {
            let numel = shape.iter().product::<usize>();
            let reversed = shape.iter().rev().copied().collect::<Vec<_>>();
            json!({ "shape": d.choose(&[reversed, vec![numel], vec![1, numel], vec![numel, 1, 1]]) })
        }
        "squeeze" => {
            let axes = (0..rank).filter(|&axis| shape[axis] == 1).collect::<Vec<_>>();
            json!({ "axes": axes })
        }
        "unsqueeze" => json!({ "axis": d.between(-(rank as isize) - 1, rank as isize) }),
        "expand" => {
            let mut to = shape.to_vec();
            to.iter_mut().filter(|n| **n == 1).for_each(|n| *n = d.extent());
            if d.one_in(2) {
                to.insert(0, d.extent());
            }
            json!({ "shape": to })
        }
        _ => json!({}),
    }
}

pub(super) fn run<'t, F: Float>(
    op: &str,
    parts: &[Var<'t, F>],
    s: &Settings,
) -> Option<Var<'t, F>> {
    let x = parts[0];
    Some(match op {
        "reshape" => x.reshape(s.shape()),
        "flatten" => x.flatten(),
        "flatten_axes" => x.flatten_axes(s.isize("first"), s.isize("last")),
        "squeeze" => x.squeeze(&s.isizes("axes")[..]),
        "unsqueeze" => x.unsqueeze(s.axis()),
        "expand" => x.expand(s.shape()),
        "permute" => match *s.isizes("order") {
            [a] => x.permute([a]),
            [a, b] => x.permute([a, b]),
            [a, b, c] => x.permute([a, b, c]),
            [a, b, c, d] => x.permute([a, b, c, d]),
            _ => return None,
        },
        "transpose" => x.transpose(s.isize("a"), s.isize("b")),
        "concat" => Var::concat(parts, s.axis()),
        "stack" => Var::stack(parts, s.axis()),
        "slice" => {
            let [start, end] = *s.isizes("range") else { return None };
            x.slice(s.axis(), start..end)
        }
        "slice_step" => {
            let [start, end] = *s.isizes("range") else { return None };
            x.slice_step(s.axis(), start..end, s.usize("step"))
        }
        "narrow" => x.narrow(s.axis(), s.usize("start"), s.usize("len")),
        "split" => x.split(&s.usizes("sizes"), s.axis())[s.usize("part")],
        "chunk" => x.chunk(s.usize("count"), s.axis())[0],
        "flip" => x.flip(&s.isizes("axes")[..]),
        "roll" => x.roll(s.isize("shift"), s.axis()),
        "pad" => x.pad(s.axis(), s.usize("before"), s.usize("after"), s.f64("value")),
        "pad_reflect" => x.pad_reflect(s.axis(), s.usize("before"), s.usize("after")),
        "pad_replicate" => x.pad_replicate(s.axis(), s.usize("before"), s.usize("after")),
        "repeat" => match *s.usizes("times") {
            [a] => x.repeat([a]),
            [a, b] => x.repeat([a, b]),
            [a, b, c] => x.repeat([a, b, c]),
            [a, b, c, d] => x.repeat([a, b, c, d]),
            _ => return None,
        },
        "tril" => x.tril(s.isize("diagonal")),
        "triu" => x.triu(s.isize("diagonal")),
        "diag" => x.diag(s.isize("diagonal")),
        "stop_gradient" => x.stop_gradient(),
        _ => return None,
    })
}
