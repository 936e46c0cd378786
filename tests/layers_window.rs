//! Convolution, pooling, embedding and operations by position against PyTorch: the cases of
//! `fixtures/layers_window.json` to ten digits, those of `fixtures/edge_cases_window.json` to nine and
//! exactly on 0.

use serde_json::Value as Json;
use wengert::f64::prelude::*;

/// A tensor from nested lists.
fn nested(json: &Json) -> Tensor {
    fn read(json: &Json, depth: usize, extents: &mut Vec<usize>, data: &mut Vec<f64>) {
        match json {
            Json::Array(parts) => {
                if extents.len() == depth {
                    extents.push(parts.len());
                }
                parts.iter().for_each(|part| read(part, depth + 1, extents, data));
            }
            number => data.push(number.as_f64().expect("a number")),
        }
    }
    let (mut extents, mut data) = (Vec::new(), Vec::new());
    read(json, 0, &mut extents, &mut data);
    Tensor::from_vec(data, &*extents)
}

fn tensor(json: &Json) -> Tensor {
    let list = |key: &str| json[key].as_array().expect(key).iter();
    let shape = list("shape").map(|n| n.as_u64().expect("an extent") as usize).collect::<Vec<_>>();
    let data = list("data").map(|x| x.as_f64().expect("a number")).collect();
    Tensor::from_vec(data, &*shape)
}

fn assert_near(what: &str, ours: &Tensor, theirs: &Tensor) {
    assert_eq!(ours.shape(), theirs.shape(), "{what}: the shapes differ");
    for (ours, theirs) in ours.as_slice().iter().zip(theirs.as_slice()) {
        let error = (ours - theirs).abs();
        assert!(error <= 1e-10 * theirs.abs().max(1.0), "{what}: {ours}, PyTorch {theirs}");
    }
}

/// Holds `f` of input, weight and bias (as many as there are) to a case: the output, and the gradients
/// of its weighted sum by the sweep and recorded.
fn agrees(case: &str, f: impl for<'t> Fn(&Tensor, &[Var<'t>]) -> Var<'t>) {
    let fixture: Json =
        serde_json::from_str(include_str!("fixtures/layers_window.json")).expect("JSON");
    let expected = &fixture["cases"][case];
    let input = tensor(&expected["inputs"][0]);
    let tape = Tape::new();
    let (mut leaves, mut gradients) = (Vec::new(), Vec::new());
    // Tokens have no gradient.
    if !expected["input_grads"][0].is_null() {
        leaves.push(tape.variable(&input));
        gradients.push(tensor(&expected["input_grads"][0]));
    }
    for name in ["weight", "bias"] {
        if !expected["parameters"][name].is_null() {
            leaves.push(tape.variable(&tensor(&expected["parameters"][name])));
            gradients.push(tensor(&expected["parameter_grads"][name]));
        }
    }
    let y = f(&input, &leaves);
    assert_near(&format!("{case}, output"), &y.value(), &tensor(&expected["outputs"][0]));
    let loss = (y * &tensor(&expected["weights"][0])).sum();
    let (computed, recorded) = (loss.backward(), grad(loss, &leaves));
    for (i, theirs) in gradients.iter().enumerate() {
        let ours = computed.wrt(leaves[i]).expect("a gradient");
        assert_near(&format!("{case}, gradient {i}"), ours, theirs);
        assert_near(&format!("{case}, recorded gradient {i}"), &recorded[i].value(), theirs);
    }
}

#[test]
fn conv1d() {
    agrees("conv1d", |_, x| x[0].conv1d_with_bias(x[1], x[2], Convolution::new().padding(1)));
}

#[test]
fn conv2d() {
    agrees("conv2d", |_, x| x[0].conv2d_with_bias(x[1], x[2], Convolution::new()));
}

#[test]
fn conv2d_stride_padding() {
    agrees("conv2d stride padding", |_, x| {
        x[0].conv2d_with_bias(x[1], x[2], Convolution::new().stride(2).padding(1))
    });
}

#[test]
fn conv2d_dilation_groups() {
    agrees("conv2d dilation groups", |_, x| {
        x[0].conv2d_with_bias(x[1], x[2], Convolution::new().dilation(2).groups(2))
    });
}

#[test]
fn max_pool2d() {
    agrees("max_pool2d", |_, x| x[0].max_pool2d(2));
}

#[test]
fn max_pool2d_overlapping() {
    agrees("max_pool2d overlapping", |_, x| x[0].max_pool2d(Pooling::new(3).stride(2).padding(1)));
}

#[test]
fn avg_pool2d() {
    agrees("avg_pool2d", |_, x| x[0].avg_pool2d(Pooling::new(2).padding(1)));
}

#[test]
fn adaptive_avg_pool2d() {
    agrees("adaptive_avg_pool2d", |_, x| x[0].adaptive_avg_pool2d(1));
}

#[test]
fn embedding() {
    agrees("embedding", |tokens, x| {
        let list = tokens.as_slice().iter().map(|&token| token as usize).collect();
        x[0].embedding(Indices::from_vec(list, tokens.shape()), None)
    });
}

/// Holds `f` to an edge case: its value, and the gradient of the sum of its elements by both sweeps.
fn agrees_at_the_edge(case: &str, f: impl for<'t> Fn(Var<'t>) -> Var<'t>) {
    let fixture: Json =
        serde_json::from_str(include_str!("fixtures/edge_cases_window.json")).expect("JSON");
    let expected = &fixture["cases"][case];
    let tape = Tape::new();
    let x = tape.variable(&nested(&expected["inputs"][0]));
    let y = f(x);
    assert_eq!(y.value(), nested(&expected["value"]), "{case}");
    let theirs = nested(&expected["grads_of_sum"][0]);
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
