//! A two-layer net, twice: one update of the exercise's net, held to the exercise's numbers; then
//! handwritten digits, learned under each of five optimizers that differ in a TOML file only.
//!
//! `cargo run --release --example 03_two_layer_net`, or `.. 03_two_layer_net -- my.toml` for a recipe of
//! your own. Fails when the update is wrong, or when no optimizer reaches 95 % on unseen digits.
#![allow(unreachable_pub, reason = "a program has no outside")]

mod digits;
mod exercise;

use std::error::Error;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};
use rand::seq::SliceRandom;
use rand::{SeedableRng, rngs::ChaCha8Rng};
use serde::Deserialize;
use serde::de::IgnoredAny;
use wengert::prelude::*;

use digits::Digits;

fn main() -> ExitCode {
    match one_update().and_then(|()| learn_digits()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Part one: the exercise.
fn one_update() -> Result<(), Box<dyn Error>> {
    let mut worst = 0.0;
    for ((name, param), expected) in
        exercise::updated().named_params().iter().zip(exercise::expected())
    {
        let found = param.value();
        println!("{name} =\n{found:.8}");
        for (found, expected) in found.as_slice().iter().zip(expected.as_slice()) {
            worst = f64::max(worst, ((found - expected) / expected).abs());
        }
    }
    println!("worst relative error: {worst:.1e}\n");
    if worst > 1e-5 {
        Err("the update differs from the exercise's by more than 1e-5".into())
    } else {
        Ok(())
    }
}

/// `relu(x A + a) B + b`, one logit for each digit.
struct TwoLayer {
    hidden: Linear,
    output: Linear,
}

params! { TwoLayer { hidden, output } }

impl Module for TwoLayer {
    fn forward<'t>(&self, x: Var<'t>) -> Var<'t> {
        self.output.forward(self.hidden.forward(x).relu())
    }
}

impl TwoLayer {
    fn new(hidden: usize, rng: &mut ChaCha8Rng) -> Self {
        Self { hidden: Linear::new(64, hidden, rng), output: Linear::new(hidden, 10, rng) }
    }

    fn loss(&self, digits: &Digits) -> f32 {
        evaluate(|tape| self.forward(tape.constant(&digits.pixels)).cross_entropy(&*digits.labels))
            .item()
    }

    /// The share of digits that it names right.
    fn accuracy(&self, digits: &Digits) -> f64 {
        let said = evaluate(|tape| self.forward(tape.constant(&digits.pixels))).argmax();
        let right =
            said.as_slice().iter().zip(&digits.labels).filter(|(said, label)| said == label);
        right.count() as f64 / digits.labels.len() as f64
    }
}

/// What a file of `examples/configs` says besides the optimizer, which the library reads.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Plan {
    epochs: u64,
    batch_size: NonZeroUsize,
    hidden: NonZeroUsize,
    seed: u64,
    #[serde(rename = "optimizer")]
    _optimizer: IgnoredAny,
}

/// Part two: the digits.
fn learn_digits() -> Result<(), Box<dyn Error>> {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let digits = Digits::load(&examples.join("data/digits.csv"))?;
    // A third is held out, always the same.
    let mut order = (0..digits.labels.len()).collect::<Vec<_>>();
    order.shuffle(&mut ChaCha8Rng::seed_from_u64(0));
    let (unseen, seen) = order.split_at(order.len() / 3);
    let (unseen, seen) = (digits.take_rows(unseen), digits.take_rows(seen));

    let mut configs = std::env::args_os().skip(1).map(PathBuf::from).collect::<Vec<_>>();
    if configs.is_empty() {
        let name = |kind| examples.join("configs").join(kind).with_extension("toml");
        configs = ["sgd", "momentum", "rmsprop", "adagrad", "adam"].map(name).into();
    }
    println!("optimizer  epochs  seconds  training loss  test accuracy");
    let mut best = 0.0;
    for config in configs {
        let (start, name) =
            (Instant::now(), config.file_stem().unwrap_or_default().to_string_lossy());
        let plan = read_plan(&config)?;
        let net = train(&plan, Optimizer::load(&config)?, &seen, &name)?;
        let (seconds, accuracy) = (start.elapsed().as_secs_f64(), net.accuracy(&unseen));
        let (epochs, loss) = (plan.epochs, net.loss(&seen));
        println!("{name:9} {epochs:7} {seconds:8.2} {loss:14.5} {:13.2}%", 100.0 * accuracy);
        best = f64::max(best, accuracy);
    }
    if best < 0.95 { Err("no optimizer reached 95 % on unseen digits".into()) } else { Ok(()) }
}

fn read_plan(config: &Path) -> Result<Plan, Box<dyn Error>> {
    let located = |error: &dyn Error| format!("{}: {error}", config.display());
    let text = std::fs::read_to_string(config).map_err(|error| located(&error))?;
    Ok(toml::from_str(&text).map_err(|error| located(&error))?)
}

/// A new net, trained on mini-batches that are shuffled anew in each epoch.
fn train(
    plan: &Plan,
    mut optimizer: Optimizer,
    digits: &Digits,
    name: &str,
) -> Result<TwoLayer, Box<dyn Error>> {
    let mut rng = ChaCha8Rng::seed_from_u64(plan.seed);
    let mut net = TwoLayer::new(plan.hidden.get(), &mut rng);
    let mut order = (0..digits.labels.len()).collect::<Vec<_>>();
    // Drawn where a terminal is attached, and nowhere else.
    let style = ProgressStyle::with_template("{prefix:9} {wide_bar} {pos}/{len} epochs")?;
    let bar = ProgressBar::new(plan.epochs).with_style(style).with_prefix(name.to_owned());
    for _ in 0..plan.epochs {
        order.shuffle(&mut rng);
        for batch in order.chunks(plan.batch_size.get()) {
            let Digits { pixels, labels } = digits.take_rows(batch);
            let (_, grads) =
                gradients(|tape| net.forward(tape.constant(&pixels)).cross_entropy(labels));
            optimizer.step(&mut net, &grads);
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(net)
}
