//! The program `train` with the layers and rules of the library.

use std::process::ExitCode;

use wengert_train::cli;
use wengert_train::run::Kinds;

fn main() -> ExitCode {
    cli::train(&Kinds::default())
}
