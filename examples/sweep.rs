//! Runs a configuration under many settings and seeds: `cargo run --release --example sweep -- FILE.toml`.

use std::process::ExitCode;

use wengert_train::cli;
use wengert_train::run::Kinds;

fn main() -> ExitCode {
    cli::sweep(&Kinds::default())
}
