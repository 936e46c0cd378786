//! From a CSV file with missing values to a saved classifier.
//!
//! Teaches: tables, a stratified split, a preparation, batches, the confusion matrix, saving all that a prediction needs.
//! Run: `cargo run --release --features train --example 17_penguins`
//!
//! Fails unless more than 95 % of the penguins held out are classified correctly. Draws their confusion matrix.
#![allow(unreachable_pub, reason = "modules of an example")]

use std::error::Error;

use rand::{SeedableRng, rngs::ChaCha8Rng};
use wengert::io;
use wengert::prelude::*;
use wengert::train::data::{Batches, Fill, Parts, Preparation, Split, Table};
use wengert::train::metrics::ConfusionMatrix;

#[path = "parts/confusion_picture.rs"]
mod confusion_picture;

fn main() -> Result<(), Box<dyn Error>> {
    let table = Table::read(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/data/penguins.csv"))?;
    let split = Split::new(table.len()).stratified(&table.categories("species")?);
    let Parts { train, held_out } = split.share(0.3);

    // Medians, means and categories come from the training rows alone.
    let builder = Preparation::builder().classes("species").ignore(["year"]).missing(Fill::Median);
    let preparation = builder.fit(&table.take_rows(&train))?;
    let data = preparation.apply(&table)?;
    let (train, held_out) = (data.take_rows(&train), data.take_rows(&held_out));

    let rng = &mut ChaCha8Rng::seed_from_u64(0);
    let (hidden, output) = (Linear::new(preparation.width(), 16, rng), Linear::new(16, 3, rng));
    let mut net = Sequential::new().then(hidden).then(Relu).then(output);
    let mut optimizer = Optimizer::from_toml("kind = 'adam'\nlr = 0.01")?;
    for rows in (0..20).flat_map(|epoch| Batches::new(train.len()).epoch(epoch)) {
        let batch = train.take_rows(&rows);
        let (_, grads) = gradients(|tape| {
            net.forward(tape.constant(batch.numbers())).cross_entropy(batch.labels())
        });
        optimizer.step(&mut net, &grads);
    }
    // `io::load` and `Preparation::load` read them again; `preparation.inputs(&table)` takes new rows as they are.
    io::save(std::env::temp_dir().join("penguins.safetensors"), &net)?;
    preparation.save(std::env::temp_dir().join("penguins.json"))?;

    let mut confusion = ConfusionMatrix::default();
    let logits = evaluate(|tape| net.forward(tape.constant(held_out.numbers())));
    confusion.update(&logits, &held_out.targets);
    print!("{confusion}");
    confusion_picture::draw("penguins.svg", "Penguins held out", &confusion)?;
    assert!(confusion.accuracy() > 0.95, "at most 95 % of the penguins are classified correctly");
    println!("The net classifies more than 95 % of the penguins held out correctly, as required.");
    Ok(())
}
