//! Layers on inputs without elements: empty batches, sequences and sets of keys. As in PyTorch the output is empty,
//! or 0 where nothing is averaged; gradients arrive and are 0.

use wengert::f64::prelude::*;
use wengert::rand::{SeedableRng, rngs::ChaCha8Rng};

fn rng() -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(0)
}

/// Runs a layer on zeros of shape `input`, training and evaluating, and checks that its output has shape `output`,
/// that all numbers are finite, and that all parameters have a gradient of 0.
fn gives(layer: impl Module<f64>, input: &[usize], output: &[usize]) {
    let (name, x) = (layer.name(), Tensor::zeros(input));
    let y = evaluate(|tape| layer.forward(tape.constant(&x)));
    assert_eq!(*y.shape(), *output, "{name} {input:?}");
    trains(layer, input, output);
}

fn trains(layer: impl Module<f64>, input: &[usize], output: &[usize]) {
    let (name, x) = (layer.name(), Tensor::zeros(input));
    let tape = seeded(1).tape();
    let x = tape.variable(&x);
    let y = layer.forward(x);
    assert_eq!(*y.shape(), *output, "{name} {input:?} in training");
    assert!(y.value().is_finite());
    let grads = y.sum().backward();
    assert_eq!(grads.wrt(x).map(Tensor::shape), Some(x.shape()), "{name} {input:?}");
    assert!(grads.missing(&layer).is_empty(), "{name} {input:?}: {:?}", grads.missing(&layer));
    for (name, param) in layer.named_params() {
        let g = grads.get(param).unwrap();
        assert!(
            g.shape() == param.value().shape() && g.as_slice().iter().all(|g| *g == 0.0),
            "{name}"
        );
    }
}

#[test]
fn layers_of_features() {
    gives(Linear::new(4, 3, &mut rng()), &[0, 4], &[0, 3]);
    gives(Linear::new(4, 3, &mut rng()).without_bias(), &[2, 0, 4], &[2, 0, 3]);
    gives(LayerNorm::new(4), &[0, 4], &[0, 4]);
    gives(LayerNorm::new([3, 4]), &[2, 0, 3, 4], &[2, 0, 3, 4]);
    gives(RmsNorm::new(4), &[0, 4], &[0, 4]);
    gives(GroupNorm::new(2, 4), &[0, 4, 5], &[0, 4, 5]);
    gives(PRelu::new(1), &[0, 4], &[0, 4]);
    gives(Dropout::new(0.5), &[0, 4], &[0, 4]);
    gives(Dropout::new(1.0), &[0, 4], &[0, 4]);
    gives(Flatten::new(), &[0, 4, 5], &[0, 20]);
    gives(Softmax::default(), &[0, 4], &[0, 4]);
    gives(LogSoftmax::default(), &[0, 4], &[0, 4]);
    gives(Gelu, &[0], &[0]);
    let body = Sequential::new().then(Linear::new(4, 4, &mut rng())).then(Relu);
    gives(Residual::new(EvalMode::new(body)), &[0, 4], &[0, 4]);
}

#[test]
fn layers_of_images_and_signals() {
    let by = ConvOptions::new().padding(1);
    gives(Conv1d::new(2, 3, 3, by, &mut rng()), &[0, 2, 8], &[0, 3, 8]);
    gives(Conv2d::new(2, 3, 3, by, &mut rng()), &[0, 2, 8, 8], &[0, 3, 8, 8]);
    gives(
        Conv2d::new(2, 4, 3, by.groups(2), &mut rng()).without_bias(),
        &[0, 2, 8, 8],
        &[0, 4, 8, 8],
    );
    let by = by.stride(2).output_padding(1);
    gives(ConvTranspose1d::new(2, 3, 3, by, &mut rng()), &[0, 2, 8], &[0, 3, 16]);
    gives(ConvTranspose2d::new(2, 3, 3, by, &mut rng()), &[0, 2, 8, 8], &[0, 3, 16, 16]);
    gives(MaxPool1d::new(2), &[0, 2, 8], &[0, 2, 4]);
    let ceil = Pooling::new(3).stride(2).dilation(2).ceil_mode(true);
    gives(MaxPool2d::new(ceil), &[0, 2, 8, 8], &[0, 2, 3, 3]);
    gives(AvgPool1d::new(ceil), &[0, 2, 8], &[0, 2, 3]);
    gives(MaxPool2d::new(2), &[0, 2, 8, 8], &[0, 2, 4, 4]);
    gives(AvgPool1d::new(2), &[0, 2, 8], &[0, 2, 4]);
    gives(AvgPool2d::new(2), &[0, 2, 8, 8], &[0, 2, 4, 4]);
    gives(AdaptiveMaxPool1d::new(3), &[0, 2, 8], &[0, 2, 3]);
    gives(AdaptiveMaxPool2d::new(3), &[0, 2, 8, 8], &[0, 2, 3, 3]);
    gives(AdaptiveAvgPool1d::new(3), &[0, 2, 8], &[0, 2, 3]);
    gives(AdaptiveAvgPool2d::new(3), &[0, 2, 8, 8], &[0, 2, 3, 3]);
    gives(Upsample::new(2), &[0, 2, 8], &[0, 2, 16]);
    gives(Upsample::new(2), &[0, 2, 8, 8], &[0, 2, 16, 16]);
    let linear = Upsample::new(2).mode(UpsampleMode::Linear { align_corners: true });
    gives(linear, &[0, 2, 8], &[0, 2, 16]);
    gives(linear, &[0, 2, 8, 8], &[0, 2, 16, 16]);
    gives(Dropout2d::new(0.5), &[0, 2, 8, 8], &[0, 2, 8, 8]);
}

#[test]
fn layers_of_sequences() {
    gives(Rnn::new(3, 4, &mut rng()), &[0, 5, 3], &[0, 5, 4]);
    gives(
        Lstm::builder(3, 4).num_layers(2).bidirectional().build(&mut rng()),
        &[0, 5, 3],
        &[0, 5, 8],
    );
    gives(Gru::builder(3, 4).num_layers(2).dropout(0.5).build(&mut rng()), &[0, 5, 3], &[0, 5, 4]);
    gives(MultiHeadAttention::new(8, 2, &mut rng()), &[0, 5, 8], &[0, 5, 8]);
    gives(MultiHeadAttention::new(8, 2, &mut rng()), &[2, 0, 8], &[2, 0, 8]);
    gives(MultiHeadAttention::new(8, 2, &mut rng()).causal().dropout(0.5), &[2, 0, 8], &[2, 0, 8]);
    gives(TransformerBlock::new(8, 2, 16, &mut rng()), &[0, 5, 8], &[0, 5, 8]);
    gives(
        TransformerBlock::new(8, 2, 16, &mut rng()).causal().norm_first(),
        &[2, 0, 8],
        &[2, 0, 8],
    );
    gives(SinusoidalPositions::new(4, 8), &[2, 0, 8], &[2, 0, 8]);
    gives(SinusoidalPositions::new(4, 8), &[0, 4, 8], &[0, 4, 8]);
    gives(RotaryPositions::new(4, 8), &[2, 0, 8], &[2, 0, 8]);
    let embedding = Embedding::new(5, 3, &mut rng());
    for shape in [&[0][..], &[2, 0], &[0, 4]] {
        let tokens = Indices::from_vec(vec![], shape);
        let (_, grads) = gradients(|tape| embedding.forward(tape, &tokens).sum());
        assert_eq!(grads.get(&embedding.weight), Some(&Tensor::zeros([5, 3])));
    }
}

#[test]
fn a_query_without_keys_gets_0() {
    let (q, none) = (Tensor::ones([2, 3, 4]), Tensor::ones([2, 0, 4]));
    let mask = Tensor::zeros([3, 0]);
    let [plain, causal, masked] = [0, 1, 2].map(|form| {
        let tape = Tape::new();
        let (q, none) = (tape.variable(&q), tape.variable(&none));
        let y = match form {
            0 => Attention::new().forward(q, none, none),
            1 => Attention::new().causal().dropout(0.0).forward(q, none, none),
            _ => Attention::new().masked(&mask).forward(q, none, none),
        };
        let grads = y.sum().backward();
        assert_eq!(grads.wrt(q), Some(&Tensor::zeros([2, 3, 4])));
        assert_eq!(grads.wrt(none), Some(&Tensor::zeros([2, 0, 4])));
        y.value()
    });
    assert_eq!(plain, Tensor::zeros([2, 3, 4]));
    assert_eq!(causal, plain);
    assert_eq!(masked, plain);
    // With several heads the output is the bias of the last projection.
    let layer = MultiHeadAttention::new(4, 2, &mut rng());
    let y = evaluate(|tape| {
        let memory = tape.constant(&none);
        layer.forward(tape.constant(&q), memory, memory)
    });
    assert_eq!(y, Tensor::zeros([2, 3, 4]));
}

#[test]
fn a_batch_norm_evaluates_an_empty_batch_and_refuses_to_train_on_it() {
    let y = evaluate(|tape| BatchNorm1d::new(3).forward(tape.constant(&Tensor::zeros([0, 3]))));
    assert_eq!(y.shape(), [0, 3].into());
    gives(EvalMode::new(BatchNorm2d::new(3)), &[0, 3, 4, 4], &[0, 3, 4, 4]);
    let message = std::panic::catch_unwind(|| {
        drop(gradients(|tape| {
            BatchNorm1d::new(3).forward(tape.constant(&Tensor::zeros([0, 3]))).sum()
        }));
    });
    let message = message.unwrap_err().downcast_ref::<String>().unwrap().clone();
    assert_eq!(message, "BatchNorm1d: [0, 3] has 0 for each channel, a variance needs two");
}
