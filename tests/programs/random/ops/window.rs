//! Convolutions, pools and upsampling.

use serde_json::{Value as Json, json};
use wengert::core::Var;
use wengert::{Float, WindowOps};

use crate::random::draw::{Draw, Drawn};
use crate::random::program::Settings;

pub(super) const NAMES: &[&str] = &[
    "conv1d",
    "conv2d",
    "conv_transpose1d",
    "conv_transpose2d",
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
    "upsample_linear1d",
    "upsample_bilinear2d",
];

pub(super) fn draw(op: &str, d: &mut Draw<'_>) -> Drawn {
    let axes = if op.ends_with("1d") { 1 } else { 2 };
    if op.starts_with("conv_transpose") {
        let (x, w, settings) = transposed_convolution(axes, d);
        return (vec![d.like(&x), d.like(&w)], settings);
    }
    if op.starts_with("conv") {
        return convolution(axes, d);
    }
    let mut extents = vec![d.some(), d.some()];
    extents.extend((0..axes).map(|_| 1 + d.below(5)));
    let x = d.like(&extents);
    let plane = [extents[extents.len() - axes], extents[extents.len() - 1]];
    let factor = [1 + d.below(2), 1 + d.below(3)];
    let settings = match op {
        "upsample_linear1d" | "upsample_bilinear2d" => {
            json!({ "factor": factor, "align_corners": d.one_in(2) })
        }
        _ if op.starts_with("upsample") => json!({ "factor": factor }),
        _ if op.starts_with("adaptive") => json!({ "output": [1 + d.below(4), 1 + d.below(4)] }),
        _ => pooling(plane, d),
    };
    (vec![x], settings)
}

/// A window that fits a plane and always covers one of its elements.
fn pooling(plane: [usize; 2], d: &mut Draw<'_>) -> Json {
    let dilation = if d.one_in(3) { plane.map(|n| 1 + d.below(n.min(2))) } else { [1, 1] };
    let kernel = [0, 1].map(|i| 1 + d.below(((plane[i] - 1) / dilation[i] + 1).min(3)));
    json!({
        "kernel": kernel, "stride": [1 + d.below(3), 1 + d.below(3)], "dilation": dilation,
        "padding": kernel.map(|k| d.below(k / 2 + 1)), "count_include_pad": d.one_in(2),
        "ceil_mode": d.one_in(3),
    })
}

/// The shapes of the input and the weight, and the settings.
pub(super) fn transposed_convolution(
    axes: usize,
    d: &mut Draw<'_>,
) -> (Vec<usize>, Vec<usize>, Json) {
    let (groups, per_group) = (d.choose(&[1, 1, 2]), 1 + d.below(2));
    let outputs = 1 + d.below(2);
    let (stride, dilation) = ([0; 2].map(|_| 1 + d.below(3)), [0; 2].map(|_| 1 + d.below(2)));
    let (kernel, padding) = ([0; 2].map(|_| 1 + d.below(3)), [0; 2].map(|_| d.below(3)));
    let output_padding = stride.map(|stride| d.below(stride));
    let (mut x, mut w) = (vec![d.some(), groups * per_group], vec![groups * per_group, outputs]);
    for i in 2 - axes..2 {
        // The padding leaves something.
        let reach = (kernel[i] - 1) * dilation[i] + 1;
        let least = (2 * padding[i] + 1).saturating_sub(reach).div_ceil(stride[i]) + 1;
        x.push(least + d.below(2));
        w.push(kernel[i]);
    }
    let settings = json!({
        "stride": stride, "dilation": dilation, "padding": padding, "groups": groups,
        "output_padding": output_padding,
    });
    (x, w, settings)
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
        ("conv_transpose1d", [x, w]) => x.conv_transpose1d(w, s.transposed_convolution()),
        ("conv_transpose2d", [x, w]) => x.conv_transpose2d(w, s.transposed_convolution()),
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
        ("upsample_linear1d", _) => {
            first.upsample_linear1d(s.pair("factor")[1], s.flag("align_corners"))
        }
        ("upsample_bilinear2d", _) => {
            first.upsample_bilinear2d(s.pair("factor"), s.flag("align_corners"))
        }
        _ => return None,
    })
}
