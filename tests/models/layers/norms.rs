//! Layers without sequences: the cases of `fixtures/layers.json` and `fixtures/layers_more.json` to ten
//! digits, and properties that no case covers.

use rand::{SeedableRng, rngs::ChaCha8Rng};
use wengert::f64::prelude::*;
use wengert::{Check, check_gradients, check_model};

use super::{FIXTURE, pytorch};

const MORE: &str = include_str!("../../fixtures/layers_more.json");

fn rng() -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(0)
}

#[track_caller]
fn holds(fixture: &str, case: &str, layer: impl Module<f64>) {
    pytorch::agrees(fixture, case, layer, |layer, x| vec![layer.forward(x[0])]);
}

#[track_caller]
fn evaluates(fixture: &str, case: &str, layer: impl Module<f64>) {
    let tape = Tape::evaluating();
    pytorch::agrees_on(tape, fixture, case, layer, |layer, x| vec![layer.forward(x[0])]);
}

#[test]
fn convolutions() {
    let options = ConvOptions::new();
    let one = |inputs, outputs, kernel, options| {
        Conv1d::new(inputs, outputs, kernel, options, &mut rng())
    };
    let two = |inputs, outputs, kernel, options| {
        let kernel: [usize; 2] = kernel;
        Conv2d::new(inputs, outputs, kernel, options, &mut rng())
    };
    holds(FIXTURE, "conv1d", one(3, 2, 3, options.padding(1)));
    holds(FIXTURE, "conv2d", Conv2d::new(2, 3, 3, options, &mut rng()));
    holds(FIXTURE, "conv2d stride padding", two(2, 4, [3, 3], options.stride(2).padding(1)));
    holds(FIXTURE, "conv2d dilation groups", two(4, 4, [2, 2], options.dilation(2).groups(2)));
    holds(MORE, "conv1d dilation", one(2, 3, 3, options.dilation(2).padding(2)));
    holds(MORE, "conv1d groups stride", one(4, 6, 3, options.stride(2).groups(2)));
    holds(MORE, "conv1d same", one(2, 2, 4, options.padding(Padding::Same)));
    holds(MORE, "conv1d no bias", one(2, 2, 3, options).without_bias());
    let same = options.padding(Padding::Same).dilation(2);
    holds(MORE, "conv2d same dilation", two(2, 2, [3, 2], same));
    holds(MORE, "conv2d depthwise", two(3, 6, [3, 3], options.padding([1, 0]).groups(3)));
    holds(MORE, "conv2d sides", two(1, 2, [2, 3], options.stride([1, 2]).padding([0, 1])));
}

#[test]
fn pools() {
    let overlapping = Pooling::new(3).stride(2).padding(1);
    holds(FIXTURE, "max_pool2d", MaxPool2d::new(2));
    holds(FIXTURE, "max_pool2d overlapping", MaxPool2d::new(overlapping));
    holds(FIXTURE, "avg_pool2d", AvgPool2d::new(Pooling::new(2).padding(1)));
    holds(FIXTURE, "adaptive_avg_pool2d", AdaptiveAvgPool2d::new(1));
    holds(MORE, "max_pool1d", MaxPool1d::new(overlapping));
    holds(MORE, "avg_pool1d", AvgPool1d::new(overlapping));
    let apart = Pooling::new([2, 3]).padding(1).count_include_pad(false);
    holds(MORE, "avg_pool2d padding apart", AvgPool2d::new(apart));
    holds(MORE, "adaptive_avg_pool1d", AdaptiveAvgPool1d::new(3));
    holds(MORE, "adaptive_avg_pool2d sides", AdaptiveAvgPool2d::new([2, 3]));
    holds(MORE, "adaptive_max_pool1d", AdaptiveMaxPool1d::new(3));
    holds(MORE, "adaptive_max_pool2d", AdaptiveMaxPool2d::new([3, 2]));
}

#[test]
fn upsampling_and_flattening() {
    holds(MORE, "upsample 1d", Upsample::new(3));
    holds(MORE, "upsample 2d", Upsample::new([2, 3]));
    holds(MORE, "flatten", Flatten::new());
    holds(MORE, "flatten axes", Flatten::axes(0, 1));
}

#[test]
fn batch_norms() {
    holds(FIXTURE, "batch_norm1d", BatchNorm1d::new(3));
    holds(FIXTURE, "batch_norm2d", BatchNorm2d::new(3));
    evaluates(FIXTURE, "batch_norm1d eval", BatchNorm1d::new(3));
    holds(MORE, "batch_norm1d 3d", BatchNorm1d::new(3));
    holds(MORE, "batch_norm1d settings", BatchNorm1d::new(3).eps(1e-2).momentum(0.4));
    holds(MORE, "batch_norm2d no affine", BatchNorm2d::new(2).without_affine());
    let forgetful = || BatchNorm1d::new(3).without_running_stats();
    holds(MORE, "batch_norm1d no statistics", forgetful());
    evaluates(MORE, "batch_norm1d no statistics eval", forgetful());
    holds(MORE, "batch_norm1d cumulative", BatchNorm1d::new(3).momentum(None));
    evaluates(MORE, "batch_norm2d trained eval", BatchNorm2d::new(2));
}

#[test]
fn norms_of_one_example() {
    holds(FIXTURE, "layer_norm", LayerNorm::new([5]));
    holds(FIXTURE, "group_norm", GroupNorm::new(2, 4));
    holds(MORE, "layer_norm two axes", LayerNorm::new([3, 4]));
    holds(MORE, "layer_norm no bias", LayerNorm::new([5]).without_bias().eps(1e-3));
    holds(MORE, "layer_norm no affine", LayerNorm::new([5]).without_affine());
    holds(MORE, "group_norm of each channel", GroupNorm::new(4, 4));
    holds(MORE, "group_norm one group", GroupNorm::new(1, 4).without_affine());
    holds(MORE, "group_norm two axes", GroupNorm::new(2, 6).eps(1e-2));
    holds(MORE, "rms_norm", RmsNorm::new([5]));
    holds(MORE, "rms_norm two axes eps", RmsNorm::new([3, 4]).eps(1e-2));
    holds(MORE, "rms_norm no affine", RmsNorm::new([5]).without_affine());
}

#[test]
fn embeddings() {
    let looks_up = |fixture, case, layer| {
        pytorch::agrees(fixture, case, layer, |layer: &Embedding, x| {
            vec![layer.forward(x[0].tape(), pytorch::indices(&x[0].value()))]
        });
    };
    looks_up(FIXTURE, "embedding", Embedding::new(5, 3, &mut rng()));
    let padded = Embedding::new(5, 3, &mut rng()).padding_idx(2);
    assert_eq!(padded.weight.value().take_rows(&[2]), Tensor::zeros([1, 3]));
    looks_up(MORE, "embedding padding_idx", padded);
}

#[test]
fn activations() {
    holds(FIXTURE, "gelu", Gelu);
    holds(FIXTURE, "gelu tanh", GeluTanh);
    holds(FIXTURE, "silu", Silu);
    holds(FIXTURE, "softplus", Softplus);
    holds(FIXTURE, "elu", Elu::default());
    holds(FIXTURE, "mish", Mish);
    holds(FIXTURE, "softmax", Softmax::default());
    holds(FIXTURE, "log_softmax", LogSoftmax::default());
    holds(MORE, "prelu", PRelu::new(1));
    holds(MORE, "prelu channels", PRelu::new(3));
    holds(MORE, "relu6", Relu6);
    holds(MORE, "leaky_relu", LeakyRelu::default());
    holds(MORE, "leaky_relu slope", LeakyRelu { negative_slope: 0.2 });
    holds(MORE, "elu alpha", Elu { alpha: 1.7 });
    holds(MORE, "celu", Celu { alpha: 0.5 });
    holds(MORE, "selu", Selu);
    holds(MORE, "softsign", Softsign);
    holds(MORE, "hardtanh", Hardtanh);
    holds(MORE, "hardswish", Hardswish);
    holds(MORE, "log_sigmoid", LogSigmoid);
    holds(MORE, "sigmoid", Sigmoid);
    holds(MORE, "tanh", Tanh);
    holds(MORE, "softmax axis", Softmax { axis: 1 });
    holds(MORE, "log_softmax axis", LogSoftmax { axis: 0 });
}

#[test]
fn default_weights_are_uniform_within_the_bound_of_pytorch() {
    // 1 / sqrt(inputs / groups * kernel)
    let layer = Conv2d::new(6, 8, [3, 2], ConvOptions::new().groups(2), &mut rng());
    assert_eq!(layer.weight.value().shape(), [8, 3, 3, 2].into());
    let bound = 1.0 / 18f64.sqrt();
    let widest = |param: &Param| param.value().abs().max().item();
    assert!((0.95 * bound..bound).contains(&widest(&layer.weight)));
    assert!((0.6 * bound..bound).contains(&widest(layer.bias.as_ref().unwrap())));
}

#[test]
fn derivatives_of_the_second_order() {
    let x = Tensor::randn([3, 2, 4], &mut rng());
    let check = |layer: &dyn Module<f64>| {
        Check::new()
            .order(2)
            .gradients(|x| layer.forward(x[0]).sin().sum(), std::slice::from_ref(&x))
            .unwrap();
    };
    check(&BatchNorm1d::new(2));
    check(&LayerNorm::new([2, 4]));
    check(&GroupNorm::new(1, 2));
    check(&RmsNorm::new([4]));
    check(&PRelu::new(2));
    check(&Residual::new(Tanh));
}

#[test]
fn a_constant_row_gives_0_and_gradient_0() {
    let row = Tensor::full([2, 4], 1e4 / 3.0);
    for layer in [&LayerNorm::new([4]) as &dyn Module<f64>, &GroupNorm::new(1, 4)] {
        let tape = Tape::new();
        let x = tape.variable(&row);
        let y = layer.forward(x);
        assert_eq!(y.value(), Tensor::zeros([2, 4]));
        assert_eq!(y.sum().backward().wrt(x), Some(&Tensor::zeros([2, 4])));
    }
    let tape = Tape::new();
    let x = tape.variable(&row);
    let y = BatchNorm1d::new(4).forward(x);
    assert_eq!(y.value(), Tensor::zeros([2, 4]));
    assert_eq!(y.sum().backward().wrt(x), Some(&Tensor::zeros([2, 4])));
}

#[track_caller]
fn holds_at_the_edge(case: &str, f: impl for<'t> Fn(Var<'t>) -> Var<'t>) {
    let fixture = include_str!("../../fixtures/edge_cases_layers.json");
    pytorch::agrees_at_the_edge(fixture, case, |x| f(x[0]));
}

#[test]
fn a_large_mean_costs_no_digits() {
    holds_at_the_edge("layer_norm big mean", |x| LayerNorm::new([4]).forward(x));
}

#[test]
fn dropout_of_everything_gives_zeros() {
    // Nothing is drawn, so the tape needs no key.
    holds_at_the_edge("dropout p=1 train", |x| Dropout::new(1.0).forward(x));
}

#[test]
fn the_largest_by_position_is_the_first_of_ties() {
    holds_at_the_edge("max(dim) ties (values)", |x| x.pick(x.value().argmax()));
}

#[derive(Clone)]
struct Normed {
    norm: BatchNorm1d,
    output: Linear,
}
params! { Normed { norm, output } }

impl Normed {
    fn new() -> Self {
        Self { norm: BatchNorm1d::new(3), output: Linear::new(3, 1, &mut rng()) }
    }
    fn loss<'t>(&self, tape: &'t Tape, x: &Tensor) -> Var<'t> {
        self.output.forward(self.norm.forward(tape.constant(x))).mse(1.0)
    }
    fn running_stats(&self) -> [&Tensor; 3] {
        let norm = &self.norm;
        [&norm.running_mean, &norm.running_var, &norm.num_batches_tracked]
            .map(|buffer| buffer.as_ref().expect("a buffer").value())
    }
}

/// Returns the running statistics after a batch, `0.9 * old + 0.1 * batch`, from the definition.
fn running_stats_after([mean, var, count]: [&Tensor; 3], x: &Tensor) -> [Tensor; 3] {
    [
        mean * 0.9 + x.mean_axes(0, false) * 0.1,
        var * 0.9 + x.var_axes(0, 1, false) * 0.1,
        count + 1.0,
    ]
}

#[test]
fn a_step_updates_running_statistics_and_evaluation_does_not() {
    let mut net = Normed::new();
    let x = Tensor::randn([8, 3], &mut rng()) + 2.0;
    evaluate(|tape| net.loss(tape, &x));
    let (_, grads) = gradients(|tape| net.loss(tape, &x));
    let before = Normed::new();
    assert_eq!(net.running_stats(), before.running_stats());
    let expected = running_stats_after(net.running_stats(), &x);
    let copy = net.clone();
    Optimizer::from_toml("kind = 'sgd'\nlr = 0.1").unwrap().step(&mut net, &grads);
    for (ours, expected) in net.running_stats().into_iter().zip(&expected) {
        pytorch::assert_near("statistics", ours, expected);
    }
    assert_eq!(copy.running_stats(), before.running_stats());
}

#[test]
fn accumulated_gradients_update_running_statistics_at_each_batch() {
    let mut net = Normed::new();
    let recipe = "kind = 'sgd'\nlr = 0.1\naccumulate = 2";
    let mut optimizer = Optimizer::from_toml(recipe).unwrap();
    let weight = net.output.weight.value().clone();
    for key in 0..2 {
        assert_eq!(net.output.weight.value(), &weight);
        let x = Tensor::randn([8, 3], &mut ChaCha8Rng::seed_from_u64(key)) + 2.0;
        let expected = running_stats_after(net.running_stats(), &x);
        let (_, grads) = gradients(|tape| net.loss(tape, &x));
        optimizer.step(&mut net, &grads);
        for (ours, expected) in net.running_stats().into_iter().zip(&expected) {
            pytorch::assert_near("statistics", ours, expected);
        }
    }
    assert_ne!(net.output.weight.value(), &weight);
}

#[test]
#[should_panic(expected = "BatchNorm1d: [1, 3] has 1 for each channel, a variance needs two")]
fn a_batch_of_one_has_no_variance() {
    gradients(|tape| BatchNorm1d::new(3).forward(tape.constant(&Tensor::ones([1, 3]))).sum());
}

#[test]
fn a_batch_of_one_is_evaluated() {
    let x = Tensor::ones([1, 3]);
    let y = evaluate(|tape| BatchNorm1d::new(3).forward(tape.constant(&x)));
    pytorch::assert_near("ones", &y, &(x / (1.0f64 + 1e-5).sqrt()));
}

#[test]
fn models_agree_with_finite_differences() {
    let net = Normed::new();
    let x = Tensor::randn([6, 3], &mut rng());
    check_model(&net, |tape| net.loss(tape, &x)).unwrap();
}

#[test]
fn dropout_draws_from_the_key_of_the_tape() {
    let (drop, x) = (Dropout::new(0.3), Tensor::ones([100, 100]));
    let draw = |key| {
        let tape = seeded(key).tape();
        let x = tape.variable(&x);
        let y = drop.forward(x);
        // Where x is 1, the derivative is the mask, scaled, and so is the output.
        assert_eq!(y.sum().backward().wrt(x), Some(&y.value()));
        y.value()
    };
    let first = draw(1);
    assert!(first.as_slice().iter().all(|&y| y == 0.0 || y == 1.0 / 0.7));
    // Four standard deviations of the mean of 10,000.
    let deviation = (0.3f64 / 0.7 / 1e4).sqrt();
    assert!((first.mean().item() - 1.0).abs() < 4.0 * deviation);
    assert_eq!(first, draw(1));
    assert_ne!(first, draw(2));
    assert_eq!(seeded(1).evaluate(|tape| drop.forward(tape.constant(&x))), x);
    assert_eq!(evaluate(|tape| drop.forward(tape.constant(&x))), x);
    check_gradients(|x| drop.forward(x[0].sin()).square().sum(), &[Tensor::ones([3, 4])]).unwrap();
}

#[test]
fn dropout2d_drops_whole_channels() {
    let x = Tensor::ones([20, 10, 2, 3]);
    let tape = seeded(1).tape();
    let y = Dropout2d::new(0.5).forward(tape.constant(&x)).value();
    let planes = y.as_slice().chunks(6);
    assert!(planes.clone().all(|plane| plane.iter().all(|y| *y == plane[0])));
    let kept = planes.filter(|plane| plane[0] == 2.0).count();
    assert!((72..=128).contains(&kept), "{kept} of 200 channels");
}

#[test]
fn a_residual_names_its_body_and_adds_it() {
    let block = Residual::new(Sequential::new().then(Linear::new(2, 2, &mut rng())).then(Tanh));
    let names = block.named_params().into_iter().map(|(name, _)| name).collect::<Vec<_>>();
    assert_eq!(names, ["body.0.weight", "body.0.bias"]);
    let x = Tensor::from([[0.3, -2.0]]);
    let (y, body) = (
        evaluate(|tape| block.forward(tape.constant(&x))),
        evaluate(|tape| block.body.forward(tape.constant(&x))),
    );
    assert_eq!(y, x + body);
}

#[test]
#[should_panic(expected = "Residual: the body changes the shape, from [3, 2] to [3, 1]")]
fn a_residual_does_not_broadcast() {
    let block = Residual::new(Linear::new(2, 1, &mut rng()));
    evaluate(|tape| block.forward(tape.constant(&Tensor::ones([3, 2]))));
}

#[test]
fn a_part_of_a_sequence_runs_by_itself() {
    let net = Sequential::new().then(Lambda::new(|x| x * 2.0)).then(Identity).then(Flatten::new());
    let x = Tensor::ones([2, 3, 1]);
    let y = evaluate(|tape| {
        net.layers()[..2].iter().fold(tape.constant(&x), |x, layer| layer.forward(x))
    });
    assert_eq!(y, &x * 2.0);
    assert_eq!(net.layers().len(), 3);
}
