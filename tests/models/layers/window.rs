//! Layers with windows against PyTorch: the cases of `fixtures/windows.json`. Pooling and indexing at ties and borders:
//! those of `fixtures/edge_cases_window.json`.

use rand::{SeedableRng, rngs::ChaCha8Rng};
use wengert::f64::prelude::*;

use crate::layers::pytorch;

const FIXTURE: &str = include_str!("../../fixtures/edge_cases_window.json");
const LAYERS: &str = include_str!("../../fixtures/windows.json");

fn rng() -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(0)
}

#[track_caller]
fn holds(case: &str, layer: impl Module<f64>) {
    pytorch::agrees(LAYERS, case, layer, |layer, x| vec![layer.forward(x[0])]);
}

#[test]
fn transposed_convolutions() {
    let by = ConvOptions::new();
    let one = |inputs, outputs, kernel, options: wengert::ops::ConvTransposeOptions| {
        ConvTranspose1d::new(inputs, outputs, kernel, options, &mut rng())
    };
    let two = |inputs, outputs, kernel: [usize; 2], options: wengert::ops::ConvTransposeOptions| {
        ConvTranspose2d::new(inputs, outputs, kernel, options, &mut rng())
    };
    holds("conv_transpose1d", one(3, 2, 3, by.into()));
    let apart = by.stride(3).padding(1).output_padding(2);
    holds("conv_transpose1d stride", one(2, 3, 4, apart));
    holds("conv_transpose1d groups dilation", one(4, 6, 3, by.dilation(2).groups(2).into()));
    holds("conv_transpose2d", two(2, 3, [3, 3], by.into()));
    let doubled = by.stride(2).padding(1).output_padding(1);
    holds("conv_transpose2d stride", two(2, 3, [3, 3], doubled));
    let sides = by.stride([1, 3]).padding([1, 0]).dilation([3, 1]).output_padding([0, 2]);
    holds("conv_transpose2d sides", two(2, 2, [2, 3], sides));
    holds("conv_transpose2d depthwise", two(3, 6, [3, 3], by.stride(2).groups(3).into()));
    let single = two(4, 2, [1, 1], by.groups(2).into()).without_bias();
    holds("conv_transpose2d no bias", single);
    holds("conv_transpose2d one element", two(1, 1, [2, 2], by.stride(2).into()));
}

#[test]
fn a_transposed_convolution_starts_within_the_bound_of_pytorch() {
    // 1 / sqrt(outputs / groups * kernel): PyTorch's weight has 3 outputs of a group in axis 1.
    let layer = ConvTranspose2d::new(8, 6, [3, 2], ConvOptions::new().groups(2), &mut rng());
    assert_eq!(layer.weight.value().shape(), [8, 3, 3, 2].into());
    let bound = 1.0 / 18f64.sqrt();
    let widest = |param: &Param| param.value().abs().max().item();
    assert!((0.95 * bound..bound).contains(&widest(&layer.weight)));
    assert!((0.5 * bound..bound).contains(&widest(layer.bias.as_ref().unwrap())));
}

#[test]
#[should_panic(expected = "ConvTranspose1d: 2 groups do not divide 3 inputs and 4 outputs")]
fn groups_of_a_transposed_convolution_divide_the_channels() {
    ConvTranspose1d::new(3, 4, 2, ConvOptions::new().groups(2), &mut rng());
}

#[test]
fn pools_in_ceil_mode_and_with_dilation() {
    let ceil = |kernel: [usize; 2]| Pooling::new(kernel).ceil_mode(true);
    holds("max_pool1d ceil", MaxPool1d::new(ceil([3, 3]).stride(2)));
    let apart = Pooling::new(3).stride(2).padding(1).dilation(3);
    holds("max_pool1d dilation", MaxPool1d::new(apart));
    holds("max_pool1d larger than the input", MaxPool1d::new(ceil([3, 3])));
    holds("max_pool2d ceil", MaxPool2d::new(ceil([2, 2])));
    holds("max_pool2d ceil drops the last", MaxPool2d::new(ceil([2, 2]).stride(3).padding(1)));
    let sides = ceil([2, 3]).stride([2, 3]).padding([1, 0]).dilation([3, 2]);
    holds("max_pool2d ceil dilation", MaxPool2d::new(sides));
    let overlapping = ceil([3, 3]).stride(2);
    holds("avg_pool1d ceil", AvgPool1d::new(overlapping.padding(1)));
    holds("avg_pool2d ceil", AvgPool2d::new(overlapping));
    holds("avg_pool2d ceil padding", AvgPool2d::new(ceil([3, 2]).stride(2).padding(1)));
    let apart = overlapping.padding(1).count_include_pad(false);
    holds("avg_pool2d ceil padding apart", AvgPool2d::new(apart));
}

#[test]
fn linear_upsampling() {
    let by = |factor: [usize; 2], align_corners| {
        Upsample::new(factor).mode(UpsampleMode::Linear { align_corners })
    };
    holds("linear", by([3, 3], false));
    holds("linear align_corners", by([3, 3], true));
    holds("linear of one element", by([2, 2], true));
    holds("bilinear", by([2, 3], false));
    holds("bilinear align_corners", by([2, 3], true));
    holds("bilinear of one element", by([1, 1], true));
}

#[track_caller]
fn edge(case: &str, f: impl for<'t> Fn(Var<'t>) -> Var<'t>) {
    pytorch::agrees_at_the_edge(FIXTURE, case, |x| f(x[0]));
}

#[test]
fn max_pool_gives_all_to_the_first_of_ties() {
    edge("maxpool ties 2x2", |x| x.max_pool2d(2));
}

#[test]
fn max_pool_adds_up_where_windows_overlap() {
    edge("maxpool overlap k2 s1", |x| x.max_pool2d(Pooling::new(2).stride(1)));
}

#[test]
fn max_pool_pads_with_minus_infinity() {
    edge("maxpool pad1 all neg", |x| x.max_pool2d(Pooling::new(2).padding(1)));
}

#[test]
fn index_select_accumulates_duplicates() {
    edge("index_select dup", |x| x.index_select(0, [0, 0, 1]));
}

#[test]
fn index_add_accumulates_duplicates() {
    edge("index_add dup src", |x| {
        x.tape().constant(&Tensor::zeros([2])).index_add(0, [0, 0, 1], x)
    });
}
