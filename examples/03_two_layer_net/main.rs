//! A two-layer net, twice: one update compared with published numbers, then handwritten digits.
//!
//! Teaches: a model of layers, mini-batches, optimizers chosen by a TOML file, accuracy on unseen data.
//! Run: `cargo run --release --example 03_two_layer_net`, with your own configuration
//! `cargo run --release --example 03_two_layer_net -- my.toml`
//!
//! Fails if the update is wrong, or if no optimizer reaches 95 % on unseen digits.
#![allow(unreachable_pub, reason = "a program has no public interface")]

mod digits;
mod exercise;
mod net;
mod run;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};
use wengert::prelude::*;

use digits::Digits;
use net::TwoLayer;
use run::Run;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let error = one_update()?;
    let best = learn_digits()?;
    println!(
        "\nThe update is {error:.1e} from the published numbers, at most 1e-5 allowed; the best net \
         classifies {:.2} % of unseen digits, at least 95 % required.",
        100.0 * best
    );
    Ok(())
}

/// Makes one update of the exercise's net. Returns the largest relative error.
fn one_update() -> Result<f64, Box<dyn Error>> {
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
    println!("largest relative error: {worst:.1e}\n");
    if worst > 1e-5 {
        return Err("the update differs from the published numbers by more than 1e-5".into());
    }
    Ok(worst)
}

/// Trains one net under each configuration. Returns the best accuracy on unseen digits.
fn learn_digits() -> Result<f64, Box<dyn Error>> {
    let (seen, unseen) = Digits::split()?;
    let mut configs = std::env::args_os().skip(1).map(PathBuf::from).collect::<Vec<_>>();
    if configs.is_empty() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/configs");
        configs = ["sgd", "momentum", "rmsprop", "adagrad", "adam"]
            .map(|kind| folder.join(kind).with_extension("toml"))
            .into();
    }
    println!("optimizer  epochs  seconds  training loss  test accuracy");
    let mut best = 0.0;
    for config in configs {
        let name = config.file_stem().unwrap_or_default().to_string_lossy();
        let (run, mut optimizer) = (Run::load(&config)?, Optimizer::load(&config)?);
        // The bar appears on a terminal only.
        let style = ProgressStyle::with_template("{prefix:9} {wide_bar} {pos}/{len} epochs")?;
        let bar = ProgressBar::new(run.epochs).with_style(style).with_prefix(name.to_string());
        let start = Instant::now();
        let (mut net, _history) = run.train(&mut optimizer, &seen, |epoch| bar.set_position(epoch));
        let (seconds, epochs) = (start.elapsed().as_secs_f64(), run.epochs);
        bar.finish_and_clear();
        // With the moving averages, if the recipe keeps any.
        let (accuracy, loss) =
            optimizer.with_ema(&mut net, |net| (net.accuracy(&unseen), mean_loss(net, &seen)));
        println!("{name:9} {epochs:7} {seconds:8.2} {loss:14.5} {:13.2}%", 100.0 * accuracy);
        best = f64::max(best, accuracy);
    }
    if best < 0.95 {
        return Err("no optimizer reached 95 % on unseen digits".into());
    }
    Ok(best)
}

fn mean_loss(net: &TwoLayer, digits: &Digits) -> f32 {
    evaluate(|tape| net.forward(tape.constant(&digits.pixels)).cross_entropy(&*digits.labels))
        .item()
}
