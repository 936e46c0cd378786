//! A small convolutional net for Fashion-MNIST.
//!
//! Teaches: images from IDX files, batches, metrics batch by batch.
//! Run: `cargo run --release --features train --example 18_fashion_mnist`, which trains on 4,000 images for two epochs;
//! with `-- --full` on all 60,000 for five. `-- --data=FOLDER` gives the folder of the four files.
//!
//! Fails unless more than 80 % of the test set are classified correctly, 90 % with `--full`. Where Fashion-MNIST is
//! not installed and `--full` not asked for, it takes the digits instead. Draws the confusion matrix.
#![allow(unreachable_pub, reason = "modules of an example")]

use std::error::Error;
use std::path::PathBuf;
use std::time::Instant;

use rand::{SeedableRng, rngs::ChaCha8Rng};
use wengert::optim::Registry;
use wengert::prelude::*;
use wengert::train::data::{Batches, Dataset, Parts, Split, digits, fashion_mnist};
use wengert::train::metrics::{ConfusionMatrix, MeanLoss};

#[path = "parts/confusion_picture.rs"]
mod confusion_picture;

/// Returns a net for square grey images of ten classes.
fn net(side: usize, rng: &mut ChaCha8Rng) -> Sequential {
    let same = ConvOptions::new().padding(Padding::Same);
    let width = 32 * (side / 4) * (side / 4);
    Sequential::new()
        .then(Conv2d::new(1, 16, 3, same, rng).without_bias())
        .then(BatchNorm2d::new(16))
        .then(Relu)
        .then(MaxPool2d::new(2))
        .then(Conv2d::new(16, 32, 3, same, rng).without_bias())
        .then(BatchNorm2d::new(32))
        .then(Relu)
        .then(MaxPool2d::new(2))
        .then(Flatten::new())
        .then(Dropout::new(0.2))
        .then(Linear::new(width, 10, rng))
}

/// Returns images to train on and to test with, and their name.
fn load(full: bool) -> Result<(Dataset, Dataset, &'static str), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let folder = arguments.iter().find_map(|argument| argument.strip_prefix("--data="));
    let folder = folder.map(PathBuf::from);
    match fashion_mnist(folder.as_deref()) {
        Ok(data) if full => Ok((data.train, data.test, "Fashion-MNIST")),
        Ok(data) => {
            let first = |part: &Dataset, count| part.take_rows(&(0..count).collect::<Vec<_>>());
            Ok((first(&data.train, 4000), first(&data.test, 2000), "Fashion-MNIST"))
        }
        Err(error) if full || folder.is_some() => Err(error.into()),
        Err(error) => {
            println!("{error}\nThe digits take its place.");
            let digits = digits();
            let Parts { train, held_out } =
                Split::new(digits.len()).stratified(digits.labels().as_slice()).share(0.3);
            Ok((digits.take_rows(&train), digits.take_rows(&held_out), "the digits"))
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let full = std::env::args().any(|argument| argument == "--full");
    let (train, test, name) = load(full)?;
    let rng = &mut ChaCha8Rng::seed_from_u64(0);
    let mut net = net(train.numbers().shape()[2], rng);

    let (epochs, batches) = (if full { 5 } else { 2 }, Batches::new(train.len()).size(64));
    // The cosine lasts for the whole training, whose length the registry knows.
    let registry = Registry::default().training(epochs, batches.per_epoch());
    let recipe = registry.read("kind = 'adam'\nlr = { kind = 'cosine', peak = 3e-3 }")?;
    let mut optimizer = Optimizer::new(recipe);
    let mut confusion = ConfusionMatrix::default();
    for epoch in 0..epochs as u64 {
        let (start, mut loss) = (Instant::now(), MeanLoss::default());
        for rows in batches.epoch(epoch) {
            let batch = train.take_rows(&rows);
            let (value, grads) = seeded(optimizer.steps()).gradients(|tape| {
                net.forward(tape.constant(batch.numbers())).cross_entropy(batch.labels())
            });
            optimizer.step(&mut net, &grads);
            loss.update(value, rows.len());
        }
        confusion = ConfusionMatrix::default();
        for rows in Batches::new(test.len()).size(500).in_order().epoch(0) {
            let batch = test.take_rows(&rows);
            let logits = evaluate(|tape| net.forward(tape.constant(batch.numbers())));
            confusion.update(&logits, &batch.targets);
        }
        println!(
            "epoch {}: loss {:.4}, {:.2} % of the test set, {:.1} s",
            epoch + 1,
            loss.value(),
            100.0 * confusion.accuracy(),
            start.elapsed().as_secs_f64()
        );
    }

    let title = format!("Test set of {name}");
    confusion_picture::draw("fashion_mnist.svg", &title, &confusion)?;
    let (accuracy, required) = (100.0 * confusion.accuracy(), if full { 90.0 } else { 80.0 });
    if accuracy <= required {
        return Err(format!("only {accuracy:.2} % of the test set are classified correctly").into());
    }
    println!(
        "The net classifies {accuracy:.2} % of {} images correctly, more than {required} % required.",
        test.len()
    );
    Ok(())
}
