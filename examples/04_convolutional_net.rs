//! A convolutional net with batch norm and dropout on handwritten digits of 8 by 8 pixels.
//!
//! In training a batch norm uses the batch and dropout draws from the tape's key; in evaluation the one uses
//! what it remembers and the other lets everything pass. The mode belongs to the tape, so that neither
//! the net nor the layers are told. Fails unless more than 98 % of a held-out third are right.
#![allow(unreachable_pub, reason = "a program has no outside")]

use std::error::Error;
use std::path::Path;

use rand::seq::SliceRandom;
use rand::{SeedableRng, rngs::ChaCha8Rng};
use wengert::prelude::*;

#[path = "03_two_layer_net/digits.rs"]
mod digits;

use digits::Digits;

fn net(rng: &mut ChaCha8Rng) -> Sequential {
    let same = ConvOptions::new().padding(Padding::Same);
    Sequential::new()
        .then(Lambda::new(|x| x.reshape([x.shape()[0], 1, 8, 8])))
        .then(Conv2d::new(1, 16, 3, same, rng).without_bias())
        .then(BatchNorm2d::new(16))
        .then(Relu)
        .then(MaxPool2d::new(2))
        .then(Conv2d::new(16, 32, 3, same, rng).without_bias())
        .then(BatchNorm2d::new(32))
        .then(Relu)
        .then(MaxPool2d::new(2))
        .then(Flatten::new())
        .then(Dropout::new(0.3))
        .then(Linear::new(128, 10, rng))
}

/// The share of logits whose largest is that of the label, in percent.
fn right(logits: &Tensor, labels: &[usize]) -> f64 {
    let found = logits.argmax();
    let right = found.as_slice().iter().zip(labels).filter(|(found, label)| found == label).count();
    100.0 * right as f64 / labels.len() as f64
}

fn main() -> Result<(), Box<dyn Error>> {
    let rng = &mut ChaCha8Rng::seed_from_u64(0);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/data/digits.csv");
    let digits = Digits::load(&path)?;
    let mut order = (0..digits.labels.len()).collect::<Vec<_>>();
    order.shuffle(rng);
    let (held_out, train) = order.split_at(order.len() / 3);
    let (held_out, train) = (digits.take_rows(held_out), digits.take_rows(train));

    let mut net = net(rng);
    println!("{} parameters", net.param_count());
    let mut optimizer =
        Optimizer::from_toml("kind = 'adam'\nlr = { kind = 'cosine', peak = 5e-3, t_max = 456 }")?;
    let mut rows = (0..train.labels.len()).collect::<Vec<_>>();
    for epoch in 1..=12 {
        rows.shuffle(rng);
        let mut sum = 0.0;
        for batch in rows.chunks(32) {
            let batch = train.take_rows(batch);
            // Another key for each step: another draw of dropout.
            let (loss, grads) = seeded(optimizer.steps()).gradients(|tape| {
                net.forward(tape.constant(&batch.pixels)).cross_entropy(batch.labels.as_slice())
            });
            optimizer.step(&mut net, &grads);
            sum += loss * batch.labels.len() as f32;
        }
        println!("epoch {epoch:2}: loss {:.4}", sum / train.labels.len() as f32);
    }

    let evaluated = evaluate(|tape| net.forward(tape.constant(&held_out.pixels)));
    let trained = seeded(0).tape();
    let noisy = net.forward(trained.constant(&held_out.pixels)).value();
    let (evaluated, noisy) = (right(&evaluated, &held_out.labels), right(&noisy, &held_out.labels));
    println!("held out, evaluated: {evaluated:.2} % right");
    println!(
        "held out, on a tape that trains (dropout and the batch's own statistics): {noisy:.2} %"
    );
    if evaluated > 98.0 { Ok(()) } else { Err("98 % were not reached".into()) }
}
