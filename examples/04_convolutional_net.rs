//! A convolutional net with batch norm and dropout for handwritten digits of 8 by 8 pixels.
//!
//! Teaches: `Sequential`, convolution and pooling, layers that behave differently in training.
//! Run: `cargo run --release --example 04_convolutional_net`
//!
//! In training, batch norm uses the statistics of the batch and dropout draws a mask. In evaluation,
//! batch norm uses its running statistics and dropout does nothing. The mode belongs to the tape:
//! `gradients` trains, `evaluate` evaluates, and the net has no switch.
//! Fails unless more than 98 % of the unseen digits are classified correctly.
#![allow(unreachable_pub, reason = "a program has no public interface")]

use std::error::Error;

use rand::seq::SliceRandom;
use rand::{SeedableRng, rngs::ChaCha8Rng};
use wengert::optim::Registry;
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

/// Returns the percentage of rows whose largest logit is that of the label.
fn accuracy(logits: &Tensor, labels: &[usize]) -> f64 {
    let found = logits.argmax();
    let correct = found.as_slice().iter().zip(labels).filter(|(found, label)| found == label);
    100.0 * correct.count() as f64 / labels.len() as f64
}

fn main() -> Result<(), Box<dyn Error>> {
    let rng = &mut ChaCha8Rng::seed_from_u64(0);
    let (train, unseen) = Digits::split()?;

    let mut net = net(rng);
    println!("{} parameters", net.param_count());
    let mut rows = (0..train.labels.len()).collect::<Vec<_>>();
    let (epochs, batch_size) = (12, 32);
    // The cosine lasts for the whole training, whose length the registry knows.
    let registry = Registry::default().training(epochs, rows.len().div_ceil(batch_size));
    let recipe = registry.read("kind = 'adam'\nlr = { kind = 'cosine', peak = 5e-3 }")?;
    let mut optimizer = Optimizer::new(recipe);
    for epoch in 1..=epochs {
        rows.shuffle(rng);
        let mut sum = 0.0;
        for batch in rows.chunks(batch_size) {
            let batch = train.take_rows(batch);
            // The key makes the dropout masks of this step. The same key gives the same masks.
            let (loss, grads) = seeded(optimizer.steps()).gradients(|tape| {
                net.forward(tape.constant(&batch.pixels)).cross_entropy(batch.labels.as_slice())
            });
            optimizer.step(&mut net, &grads);
            sum += loss * batch.labels.len() as f32;
        }
        println!("epoch {epoch:2}: loss {:.4}", sum / train.labels.len() as f32);
    }

    let evaluated = evaluate(|tape| net.forward(tape.constant(&unseen.pixels)));
    let tape = seeded(0).tape();
    let trained = net.forward(tape.constant(&unseen.pixels)).value();
    let (evaluated, trained) =
        (accuracy(&evaluated, &unseen.labels), accuracy(&trained, &unseen.labels));
    println!("in training mode, with dropout and batch statistics, {trained:.2} % are correct");
    if evaluated <= 98.0 {
        return Err(format!("only {evaluated:.2} % of the unseen digits are correct").into());
    }
    println!(
        "The net classifies {evaluated:.2} % of {} unseen digits correctly, more than 98 % required.",
        unseen.labels.len()
    );
    Ok(())
}
