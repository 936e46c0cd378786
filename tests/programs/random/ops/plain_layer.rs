//! Layers without parameters.

use serde_json::{Value as Json, json};
use wengert::core::Var;
use wengert::nn::layers::*;
use wengert::{Float, Module};

use super::window;
use crate::random::draw::{Draw, Drawn};
use crate::random::program::Settings;

/// PyTorch's names. It has no layers of positions.
pub(super) const NAMES: &[&str] = &[
    "ReLU",
    "ReLU6",
    "GELU",
    "SiLU",
    "Mish",
    "SELU",
    "Tanh",
    "Sigmoid",
    "LogSigmoid",
    "Softplus",
    "Softsign",
    "Hardtanh",
    "Hardsigmoid",
    "Hardswish",
    "LeakyReLU",
    "ELU",
    "CELU",
    "Softmax",
    "LogSoftmax",
    "MaxPool1d",
    "MaxPool2d",
    "AvgPool1d",
    "AvgPool2d",
    "AdaptiveMaxPool1d",
    "AdaptiveMaxPool2d",
    "AdaptiveAvgPool1d",
    "AdaptiveAvgPool2d",
    "Upsample",
    "SinusoidalPositions",
    "RotaryPositions",
];

/// The method that a layer of windows calls.
fn method(op: &str, d: &mut Draw<'_>) -> Option<&'static str> {
    Some(match op {
        "MaxPool1d" => "max_pool1d",
        "MaxPool2d" => "max_pool2d",
        "AvgPool1d" => "avg_pool1d",
        "AvgPool2d" => "avg_pool2d",
        "AdaptiveMaxPool1d" => "adaptive_max_pool1d",
        "AdaptiveMaxPool2d" => "adaptive_max_pool2d",
        "AdaptiveAvgPool1d" => "adaptive_avg_pool1d",
        "AdaptiveAvgPool2d" => "adaptive_avg_pool2d",
        "Upsample" => d.choose(&["upsample_nearest2d", "upsample_bilinear2d"]),
        _ => return None,
    })
}

pub(super) fn draw(op: &str, d: &mut Draw<'_>) -> Drawn {
    if let Some(method) = method(op, d) {
        return window::draw(method, d);
    }
    if op.ends_with("Positions") {
        let (time, width) = (d.some(), 2 * (1 + d.below(2)));
        let x = [&[d.some()][..], &[time, width]].concat();
        let interleaved = if op == "RotaryPositions" { json!(d.one_in(2)) } else { Json::Null };
        let settings = json!({
            "length": 7, "width": width, "offset": d.below(4), "interleaved": interleaved,
        });
        return (vec![d.like(&x)], settings);
    }
    let x = if op.ends_with("Softmax") { d.of_rank(1, 4) } else { d.any() };
    let constant = match op {
        "LeakyReLU" => json!(d.number(-0.5, 0.5)),
        "ELU" | "CELU" => json!(d.number(0.25, 2.0)),
        "Softmax" | "LogSoftmax" => json!(d.axis(x)),
        "GELU" if d.one_in(2) => json!("tanh"),
        _ => Json::Null,
    };
    (vec![x], json!({ "constant": constant }))
}

pub(super) fn run<'t, F: Float>(op: &str, x: &[Var<'t, F>], s: &Settings) -> Option<Var<'t, F>> {
    if !NAMES.contains(&op) {
        return None;
    }
    let (constant, axis) = (|| s.f64("constant"), || s.isize("constant"));
    let size = || s.pair("output");
    let layer: &dyn Module<F> = match op {
        "ReLU" => &Relu,
        "ReLU6" => &Relu6,
        "GELU" if s.maybe::<String>("constant").is_some() => &GeluTanh,
        "GELU" => &Gelu,
        "SiLU" => &Silu,
        "Mish" => &Mish,
        "SELU" => &Selu,
        "Tanh" => &Tanh,
        "Sigmoid" => &Sigmoid,
        "LogSigmoid" => &LogSigmoid,
        "Softplus" => &Softplus,
        "Softsign" => &Softsign,
        "Hardtanh" => &Hardtanh,
        "Hardsigmoid" => &Hardsigmoid,
        "Hardswish" => &Hardswish,
        "LeakyReLU" => &LeakyRelu { negative_slope: constant() },
        "ELU" => &Elu { alpha: constant() },
        "CELU" => &Celu { alpha: constant() },
        "Softmax" => &Softmax { axis: axis() },
        "LogSoftmax" => &LogSoftmax { axis: axis() },
        "MaxPool1d" => &MaxPool1d::new(s.pooling()),
        "MaxPool2d" => &MaxPool2d::new(s.pooling()),
        "AvgPool1d" => &AvgPool1d::new(s.pooling()),
        "AvgPool2d" => &AvgPool2d::new(s.pooling()),
        "AdaptiveMaxPool1d" => &AdaptiveMaxPool1d::new(size()[1]),
        "AdaptiveMaxPool2d" => &AdaptiveMaxPool2d::new(size()),
        "AdaptiveAvgPool1d" => &AdaptiveAvgPool1d::new(size()[1]),
        "AdaptiveAvgPool2d" => &AdaptiveAvgPool2d::new(size()),
        "Upsample" => &Upsample::new(s.pair("factor")).mode(match s.maybe("align_corners") {
            Some(align_corners) => UpsampleMode::Linear { align_corners },
            None => UpsampleMode::Nearest,
        }),
        "SinusoidalPositions" => {
            let layer = SinusoidalPositions::new(s.usize("length"), s.usize("width"));
            return Some(layer.forward_at(x[0], s.usize("offset")));
        }
        _ => {
            let layer = RotaryPositions::new(s.usize("length"), s.usize("width"));
            let layer = if s.flag("interleaved") { layer.interleaved() } else { layer };
            return Some(layer.forward_at(x[0], s.usize("offset")));
        }
    };
    Some(layer.forward(x[0]))
}
