//! Summaries of models, inferred without running them, against a run and against torchinfo.

use rand::{SeedableRng, rngs::ChaCha8Rng};
use wengert::prelude::*;
use wengert::{Summary, summary_of};

struct Net {
    body: Sequential,
    head: Linear,
}
params! { Net { body, head } }

impl Module for Net {
    fn forward<'t>(&self, x: Var<'t>) -> Var<'t> {
        self.head.forward(self.body.forward(x).tanh())
    }
}

fn net() -> Net {
    let rng = &mut ChaCha8Rng::seed_from_u64(0);
    let body = Sequential::new().then(Linear::new(4, 8, rng)).then(Relu);
    Net { body: body.then(Linear::new(8, 8, rng)), head: Linear::new(8, 3, rng).without_bias() }
}

/// Returns depth, layer, name, output, parameters and multiply-adds of each row.
fn rows(summary: &Summary) -> Vec<String> {
    let row = |r: &wengert::Row| {
        let wengert::Row { depth, layer, name, output, params, multiply_adds, .. } = r;
        format!("{depth} {layer} {name} {output:?} {params} {multiply_adds}")
    };
    summary.rows.iter().map(row).collect()
}

#[test]
fn each_layer_has_its_row_and_they_add_up() {
    let mut net = net();
    net.head.weight.set_frozen(true);
    let found = summary(&net, [5, 4]).unwrap();
    assert_eq!(
        rows(&found),
        [
            "0 Net  [5, 3] 0 0",
            "1 Sequential body [5, 8] 0 0",
            "2 Linear body.0 [5, 8] 40 200",
            "2 ReLU body.1 [5, 8] 0 0",
            "2 Linear body.2 [5, 8] 72 360",
            "1 Linear head [5, 3] 24 120",
        ]
    );
    assert_eq!((found.params, found.trainable), (136, 112));
    assert_eq!(found.rows.iter().map(|row| row.multiply_adds).sum::<u64>(), found.multiply_adds);
    assert_eq!(found.rows.iter().map(|row| row.value_bytes).sum::<usize>(), found.value_bytes);
    // Two products, an activation each, and the head, in single precision.
    assert_eq!(found.value_bytes, (4 * 40 + 15) * 4);
    assert_eq!((found.input_bytes, found.param_bytes), (80, 136 * 4));
    let printed = found.to_string();
    assert!(printed.contains("    \u{251c}\u{2500}Linear: 2-3"), "{printed}");
    assert!(printed.contains("Total params: 136\nTrainable params: 112\n"), "{printed}");
}

#[test]
fn sizes_are_printed_in_a_unit_that_fits() {
    let printed = summary(&net(), [5, 4]).unwrap().to_string();
    for line in [
        "Total mult-adds: 680",
        "Input size: 80 B",
        "Values on the tape: 700 B",
        "Params size: 544 B",
        "Estimated total size: 1.32 KB",
    ] {
        assert!(printed.lines().any(|printed| printed == line), "{line} in\n{printed}");
    }
    let large = Linear::from_tensors(Tensor::zeros([1000, 1000]), None);
    let printed = summary(&large, [1000, 1000]).unwrap().to_string();
    assert!(printed.contains("Params size: 4.00 MB\n"), "{printed}");
}

/// `tests/interop/summary.py` prints what torchinfo says of this net.
#[test]
fn numbers_are_those_of_torchinfo() {
    let rng = &mut ChaCha8Rng::seed_from_u64(0);
    let net = Sequential::new()
        .then(Conv2d::new(1, 6, 5, ConvOptions::new().padding(2), rng))
        .then(Relu)
        .then(MaxPool2d::new(2))
        .then(Conv2d::new(6, 16, 5, ConvOptions::new(), rng))
        .then(Relu)
        .then(MaxPool2d::new(2))
        .then(Flatten::new())
        .then(Linear::new(400, 120, rng))
        .then(Relu)
        .then(Linear::new(120, 84, rng))
        .then(Relu)
        .then(Linear::new(84, 10, rng));
    let found = summary(&net, [64, 1, 28, 28]).unwrap();
    assert_eq!(
        rows(&found),
        [
            "0 Sequential  [64, 10] 0 0",
            "1 Conv2d 0 [64, 6, 28, 28] 156 7827456",
            "1 ReLU 1 [64, 6, 28, 28] 0 0",
            "1 MaxPool2d 2 [64, 6, 14, 14] 0 0",
            "1 Conv2d 3 [64, 16, 10, 10] 2416 15462400",
            "1 ReLU 4 [64, 16, 10, 10] 0 0",
            "1 MaxPool2d 5 [64, 16, 5, 5] 0 0",
            "1 Flatten 6 [64, 400] 0 0",
            "1 Linear 7 [64, 120] 48120 3079680",
            "1 ReLU 8 [64, 120] 0 0",
            "1 Linear 9 [64, 84] 10164 650496",
            "1 ReLU 10 [64, 84] 0 0",
            "1 Linear 11 [64, 10] 850 54400",
        ]
    );
    assert_eq!((found.params, found.trainable), (61_706, 61_706));
}

#[test]
fn the_shape_is_that_of_a_run() {
    let net = net();
    let run = evaluate(|tape| net.forward(tape.constant(&Tensor::zeros([7, 4])))).shape();
    assert_eq!(check_shapes(&net, [7, 4]), Ok(run));
}

#[test]
fn a_shape_that_does_not_fit_is_an_error_with_its_place() {
    let error = check_shapes(&net(), [7, 5]).unwrap_err().to_string();
    assert_eq!(error, "linear: [7, 5] and weight [8, 4]: inputs differ (5 and 4), in 0");
    assert!(summary(&net(), []).is_err());
}

#[test]
fn a_tied_weight_is_counted_once() {
    let layer = Linear::new(3, 3, &mut ChaCha8Rng::seed_from_u64(0));
    let found = summary_of(&layer, "Twice", |tape| {
        layer.forward(layer.forward(tape.placeholder([2, 3])).relu())
    });
    let found = found.unwrap();
    let params: Vec<_> = found.rows.iter().map(|row| row.params).collect();
    assert_eq!((params, found.params, found.multiply_adds), (vec![0, 12, 0], 12, 2 * 2 * 3 * 4));
}

#[test]
fn a_model_too_large_to_run_has_a_summary() {
    let layer = Linear::from_tensors(Tensor::zeros([1000, 1000]), None);
    let found = summary(&layer, [1_000_000_000, 1000]).unwrap();
    assert_eq!(found.multiply_adds, 1_000_000_000_000_000);
}

#[test]
fn a_recurrent_layer_shows_its_outputs_and_not_its_state() {
    let rng = &mut ChaCha8Rng::seed_from_u64(0);
    let net = Sequential::new().then(Lstm::new(3, 4, rng)).then(LayerNorm::new(4));
    let found = summary(&net, [2, 7, 3]).unwrap();
    let outputs: Vec<_> = found.rows.iter().map(|row| (&*row.layer, row.output)).collect();
    let shape = [2, 7, 4].into();
    assert_eq!(outputs, [("Sequential", shape), ("LSTM", shape), ("LayerNorm", shape)]);
}

#[test]
fn the_parts_of_a_transformer_block_have_the_names_of_its_fields() {
    let rng = &mut ChaCha8Rng::seed_from_u64(0);
    let block = TransformerBlock::new(4, 2, 8, rng);
    let found = summary(&block, [2, 3, 4]).unwrap();
    let names: Vec<_> = found.rows.iter().map(|row| (&*row.layer, &*row.name)).collect();
    assert_eq!(
        names,
        [
            ("TransformerBlock", ""),
            ("TransformerEncoderLayer", ""),
            ("MultiheadAttention", "self_attn"),
            ("Linear", "self_attn.out_proj"),
            ("Dropout", ""),
            ("LayerNorm", "norm1"),
            ("Linear", "linear1"),
            ("Dropout", ""),
            ("Linear", "linear2"),
            ("Dropout", ""),
            ("LayerNorm", "norm2"),
        ]
    );
}

#[test]
fn a_transposed_convolution_multiplies_each_input_with_its_kernels() {
    let rng = &mut ChaCha8Rng::seed_from_u64(0);
    let net = ConvTranspose2d::new(6, 3, 2, ConvOptions::new().stride(2), rng);
    let found = summary(&net, [2, 6, 4, 4]).unwrap();
    let row = format!("1 ConvTranspose2d  [2, 3, 8, 8] 75 {}", 2 * 6 * 16 * 3 * 4);
    assert_eq!(rows(&found)[1], row);
    let error = check_shapes(&net, [2, 5, 4, 4]).unwrap_err().to_string();
    assert!(error.contains("channels differ (5 and 6)"), "{error}");
}

#[test]
fn shapes_are_inferred_with_lengths_and_draws() {
    let rng = &mut ChaCha8Rng::seed_from_u64(0);
    let layer = Gru::builder(3, 4).bidirectional().build(rng);
    let found = summary_of(&layer, "Sampled", |tape| {
        let y = layer.with_lengths([2, 5]).forward(tape.placeholder([2, 5, 3]));
        let normal = distributions::Normal::new(y, 1.0).rsample();
        distributions::Categorical::new(normal).sample()
    });
    assert_eq!(found.unwrap().rows[0].output, [2, 5, 8].into());
}
