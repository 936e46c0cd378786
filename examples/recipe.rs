//! Explains a recipe, or writes it as a program for PyTorch or optax:
//! `cargo run --example recipe -- explain FILE.toml`, and `to-torch`, `to-optax`, `from-torch`.

use std::process::ExitCode;

use wengert_train::cli;
use wengert_train::run::Kinds;

fn main() -> ExitCode {
    cli::recipe(&Kinds::default())
}
