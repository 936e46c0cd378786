//! Reductions, softmax and scans.

use serde_json::{Value as Json, json};
use wengert::core::Var;
use wengert::{Float, ReduceOps};

use crate::random::draw::{Draw, Drawn};
use crate::random::program::Settings;

pub(super) const NAMES: &[&str] = &[
    "sum",
    "mean",
    "max",
    "min",
    "prod",
    "var",
    "std",
    "norm",
    "logsumexp",
    "softmax",
    "log_softmax",
    "cumsum",
    "cumprod",
];

pub(super) fn draw(op: &str, d: &mut Draw<'_>) -> Drawn {
    if matches!(op, "softmax" | "log_softmax" | "cumsum" | "cumprod") {
        let x = d.of_rank(1, 4);
        return (vec![x], json!({ "axis": d.axis(x) }));
    }
    let mut x = d.any();
    let p: Json = if op == "norm" {
        d.choose(&[json!(1.0), json!(2.0), json!(3.0), json!(1.5), json!("inf")])
    } else {
        Json::Null
    };
    // These refuse to choose from no elements.
    if matches!(op, "max" | "min") || p == json!("inf") {
        x = d.fitting(|shape| shape.numel() > 0).unwrap_or_else(|| d.input(&[2, 3]));
    }
    let axes = d.axes(x);
    let keepdim = if axes.is_null() { Json::Null } else { json!(d.one_in(2)) };
    let correction = if matches!(op, "var" | "std") { json!(d.below(2)) } else { Json::Null };
    (vec![x], json!({ "axes": axes, "keepdim": keepdim, "correction": correction, "p": p }))
}

pub(super) fn run<'t, F: Float>(op: &str, x: &[Var<'t, F>], s: &Settings) -> Option<Var<'t, F>> {
    let (x, keepdim) = (x[0], s.flag("keepdim"));
    let Some(axes) = s.axes() else {
        return Some(match op {
            "sum" => x.sum(),
            "mean" => x.mean(),
            "max" => x.max(),
            "min" => x.min(),
            "prod" => x.prod(),
            "var" => x.var(s.usize("correction")),
            "std" => x.std(s.usize("correction")),
            "norm" => x.norm(s.f64("p")),
            "logsumexp" => x.logsumexp(),
            "softmax" => x.softmax_axis(s.axis()),
            "log_softmax" => x.log_softmax_axis(s.axis()),
            "cumsum" => x.cumsum(s.axis()),
            "cumprod" => x.cumprod(s.axis()),
            _ => return None,
        });
    };
    let axes = &axes[..];
    Some(match op {
        "sum" => x.sum_axes(axes, keepdim),
        "mean" => x.mean_axes(axes, keepdim),
        "max" => x.max_axes(axes, keepdim),
        "min" => x.min_axes(axes, keepdim),
        "prod" => x.prod_axes(axes, keepdim),
        "var" => x.var_axes(axes, s.usize("correction"), keepdim),
        "std" => x.std_axes(axes, s.usize("correction"), keepdim),
        "norm" => x.norm_axes(s.f64("p"), axes, keepdim),
        "logsumexp" => x.logsumexp_axes(axes, keepdim),
        _ => return None,
    })
}
