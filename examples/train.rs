//! Trains the model that a configuration describes: `cargo run --release --example train -- --config FILE.toml`.

use std::process::ExitCode;

use wengert_train::cli;
use wengert_train::run::Kinds;

fn main() -> ExitCode {
    cli::train(&Kinds::default())
}
