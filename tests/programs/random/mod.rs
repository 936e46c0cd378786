//! Random programs as data: drawn from a seed, written as JSON, and run by the library.
//!
//! `tests/programs/main.rs` checks the corpus; the program `random_programs` of `wengert-bench` draws more of them, which
//! `tests/interop/random_programs.py` runs in PyTorch and JAX.

pub(crate) mod draw;
pub(crate) mod ops;
pub(crate) mod program;
pub(crate) mod run;
