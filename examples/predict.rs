//! Predicts new rows with the model of a run: `cargo run --release --example predict -- DIR FILE.csv`.

use std::process::ExitCode;

use wengert_train::cli;
use wengert_train::run::Kinds;

fn main() -> ExitCode {
    cli::predict(&Kinds::default())
}
