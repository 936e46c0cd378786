//! Convolutions, pools and upsampling.

use serde_json::json;
use wengert::core::Var;
use wengert::{Float, WindowOps};

use crate::random::draw::{Draw, Drawn};
use crate::random::program::Settings;

pub(super) const NAMES: &[&str] = &[
    "conv1d",
    "conv2d",
    "max_pool1d",
    "max_pool2d",
    "avg_pool1d",
    "avg_pool2d",
    "adaptive_max_pool1d",
    "adaptive_max_pool2d",
    "adaptive_avg_pool1d",
    "adaptive_avg_pool2d",
    "upsample_nearest1d",
    "upsample_nearest2d",
];

pub(super) fn draw(op: &str, d: &mut Draw<'_>) -> Drawn {
    let axes = if op.ends_with("1d") { 1 } else { 2 };
    if op.starts_with("conv") {
        return convolution(axes, d);
    }
    let mut extents = vec![d.some(), d.some()];
    extents.extend((0..axes).map(|_| 1 + d.below(5)));
    let x = d.like(&extents);
    let plane = [extents[extents.len() - axes], extents[extents.len() - 1]];
    let settings = match op {
        _ if op.starts_with("upsample") => json!({ "factor": [1 + d.below(2), 1 + d.below(3)] }),
        _ if op.starts_with("adaptive") => json!({ "output": [1 + d.below(4), 1 + d.below(4)] }),
        _ => {
            let kernel = plane.map(|n| 1 + d.below(n.min(3)));
            json!({
                "kernel": kernel, "stride": [1 + d.below(3), 1 + d.below(3)],
                "padding": kernel.map(|k| d.below(k / 2 + 1)), "count_include_pad": d.one_in(2),
            })
        }
    };
    (vec![x], settings)
}

/// Among the groups are those of one channel each.
fn convolution(axes: usize, d: &mut Draw<'_>) -> Drawn {
    let (groups, per_group) = (d.choose(&[1, 1, 1, 2, 3]), 1 + d.below(2));
    let (inputs, outputs) = (groups * per_group, groups * (1 + d.below(2)));
    let stride = if d.one_in(2) { [1, 1] } else { [1 + d.below(2), 1 + d.below(3)] };
    let dilation = if d.one_in(2) { [1, 1] } else { [1 + d.below(2), 1 + d.below(2)] };
    let same = d.one_in(4) && stride == [1, 1];
    let padding = [d.below(3), d.below(3)];
    let kernel = [1 + d.below(3), 1 + d.below(3)];
    let reach = |i: usize| (kernel[i] - 1) * dilation[i] + 1;
    let (mut x, mut w) = (vec![d.some(), inputs], vec![outputs, per_group]);
    for i in 2 - axes..2 {
        let least = if same { 1 } else { reach(i).saturating_sub(2 * padding[i]).max(1) };
        x.push(least + d.below(3));
        w.push(kernel[i]);
    }
    let mut args = vec![d.like(&x), d.like(&w)];
    if d.one_in(2) {
        args.push(d.like(&[outputs]));
    }
    let padding = if same { json!("same") } else { json!(padding) };
    (args, json!({ "stride": stride, "dilation": dilation, "padding": padding, "groups": groups }))
}

pub(super) fn run<'t, F: Float>(op: &str, x: &[Var<'t, F>], s: &Settings) -> Option<Var<'t, F>> {
    let first = x[0];
    Some(match (op, x) {
        ("conv1d", [x, w]) => x.conv1d(w, s.convolution()),
        ("conv1d", [x, w, bias]) => x.conv1d_with_bias(w, bias, s.convolution()),
        ("conv2d", [x, w]) => x.conv2d(w, s.convolution()),
        ("conv2d", [x, w, bias]) => x.conv2d_with_bias(w, bias, s.convolution()),
        ("max_pool1d", _) => first.max_pool1d(s.pooling()),
        ("max_pool2d", _) => first.max_pool2d(s.pooling()),
        ("avg_pool1d", _) => first.avg_pool1d(s.pooling()),
        ("avg_pool2d", _) => first.avg_pool2d(s.pooling()),
        ("adaptive_max_pool1d", _) => first.adaptive_max_pool1d(s.pair("output")[1]),
        ("adaptive_max_pool2d", _) => first.adaptive_max_pool2d(s.pair("output")),
        ("adaptive_avg_pool1d", _) => first.adaptive_avg_pool1d(s.pair("output")[1]),
        ("adaptive_avg_pool2d", _) => first.adaptive_avg_pool2d(s.pair("output")),
        ("upsample_nearest1d", _) => first.upsample_nearest1d(s.pair("factor")[1]),
        ("upsample_nearest2d", _) => first.upsample_nearest2d(s.pair("factor")),
        _ => return None,
    })
}
