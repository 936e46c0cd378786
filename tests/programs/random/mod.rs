//! Random programs as data: drawn from a seed, written as JSON, and run by the library.
//!
//! `tests/programs/main.rs` checks the corpus; the program `random_programs` of `wengert-bench` draws more of them, which
//! `tests/interop/random_programs.py` runs in PyTorch and JAX.

mod draw;
mod ops;
mod program;
mod run;

pub(crate) use draw::draw;
pub(crate) use ops::NAMES;
pub(crate) use program::{Array, Program};
pub(crate) use run::{Results, run};
