//! Convolution, pooling, embedding and operations by position against PyTorch: the cases of
//! `fixtures/layers.json` to ten digits, those of `fixtures/edge_cases_window.json` to nine and
//! exactly on 0.

use serde_json::Value as Json;
use wengert::f64::prelude::*;

use crate::{Function, agrees, pytorch};

/// A weight, and a bias where there is one.
struct Weights {
    weight: Param,
    bias: Option<Param>,
}
params! { Weights { weight, bias } }

impl Weights {
    fn new(weight: impl Into<Shape>, bias: Option<usize>) -> Self {
        Self { weight: Tensor::zeros(weight).into(), bias: bias.map(|n| Tensor::zeros([n]).into()) }
    }
}

/// Holds a convolution to a case.
fn convolves(case: &str, weight: &[usize], by: Convolution) {
    agrees(case, Weights::new(weight, Some(weight[0])), |model, x| {
        let bias = model.bias.as_ref().expect("a bias");
        match model.weight.value().shape().rank() {
            3 => x.conv1d_with_bias(&model.weight, bias, by),
            _ => x.conv2d_with_bias(&model.weight, bias, by),
        }
    });
}

#[test]
fn conv1d() {
    convolves("conv1d", &[2, 3, 3], Convolution::new().padding(1));
}

#[test]
fn conv2d() {
    convolves("conv2d", &[3, 2, 3, 3], Convolution::new());
}

#[test]
fn conv2d_stride_padding() {
    convolves("conv2d stride padding", &[4, 2, 3, 3], Convolution::new().stride(2).padding(1));
}

#[test]
fn conv2d_dilation_groups() {
    convolves("conv2d dilation groups", &[4, 2, 2, 2], Convolution::new().dilation(2).groups(2));
}

#[test]
fn max_pool2d() {
    agrees("max_pool2d", Function, |_, x| x.max_pool2d(2));
}

#[test]
fn max_pool2d_overlapping() {
    let by = Pooling::new(3).stride(2).padding(1);
    agrees("max_pool2d overlapping", Function, |_, x| x.max_pool2d(by));
}

#[test]
fn avg_pool2d() {
    agrees("avg_pool2d", Function, |_, x| x.avg_pool2d(Pooling::new(2).padding(1)));
}

#[test]
fn adaptive_avg_pool2d() {
    agrees("adaptive_avg_pool2d", Function, |_, x| x.adaptive_avg_pool2d(1));
}

#[test]
fn embedding() {
    agrees("embedding", Weights::new([5, 3], None), |model, tokens| {
        let weight = tokens.tape().param(&model.weight);
        weight.embedding(pytorch::positions(&tokens.value()), None)
    });
}

/// Holds `f` to an edge case: its value, and the gradient of the sum of its elements by both sweeps.
fn agrees_at_the_edge(case: &str, f: impl for<'t> Fn(Var<'t>) -> Var<'t>) {
    let fixture: Json =
        serde_json::from_str(include_str!("../fixtures/edge_cases_window.json")).expect("JSON");
    let expected = &fixture["cases"][case];
    let tape = Tape::new();
    let x = tape.variable(&pytorch::nested(&expected["inputs"][0]));
    let y = f(x);
    assert_eq!(y.value(), pytorch::nested(&expected["value"]), "{case}");
    let theirs = pytorch::nested(&expected["grads_of_sum"][0]);
    assert_eq!(y.sum().backward().wrt(x), Some(&theirs), "{case}, computed");
    assert_eq!(grad(y.sum(), &[x])[0].value(), theirs, "{case}, recorded");
}

#[test]
fn max_pool_gives_all_to_the_first_of_ties() {
    agrees_at_the_edge("maxpool ties 2x2", |x| x.max_pool2d(2));
}

#[test]
fn max_pool_adds_up_where_windows_overlap() {
    agrees_at_the_edge("maxpool overlap k2 s1", |x| x.max_pool2d(Pooling::new(2).stride(1)));
}

#[test]
fn max_pool_pads_with_minus_infinity() {
    agrees_at_the_edge("maxpool pad1 all neg", |x| x.max_pool2d(Pooling::new(2).padding(1)));
}

#[test]
fn index_select_accumulates_duplicates() {
    agrees_at_the_edge("index_select dup", |x| x.index_select(0, [0, 0, 1]));
}

#[test]
fn index_add_accumulates_duplicates() {
    agrees_at_the_edge("index_add dup src", |x| {
        x.tape().constant(&Tensor::zeros([2])).index_add(0, [0, 0, 1], x)
    });
}
