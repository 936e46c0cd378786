//! Layers, losses and optimizers on the tape of `wengert-core`. Users take it through the crate
//! `wengert`.
//!
//! * A [`Module`] maps one variable to another and shows its parameters by dotted name. There are
//!   [`Linear`], convolutions, pools, norms, recurrent layers, attention, activations, and
//!   [`Sequential`]; a model of your own is a struct, `params!`, and one method.
//! * [`Loss`] gives predictions their losses as methods: `x.mse(&y)` is the mean,
//!   `x.mse_with(&y, Reduction::Sum)` the sum. A loss that has more to set has a struct of settings,
//!   such as [`CrossEntropy`], which stands where the [`Reduction`] stands.
//! * [`init`] draws initial weights from a generator that you hand over.
//! * [`summary`] prints what a model is made of; [`check_shapes`] tells whether an input fits, beforehand.
//! * [`optim`] has the optimizers: rules in a chain, chosen by a recipe in TOML.
#![warn(missing_docs, clippy::print_stdout, clippy::print_stderr)]

pub mod init;
pub mod layers;
pub mod loss;
pub mod masks;
mod module;
pub mod optim;
mod pattern;
mod summary;
mod validate;

pub use layers::*;
pub use loss::*;
pub use module::Module;
pub use pattern::Pattern;
pub use summary::{Row, Summary, check_shapes, summary, summary_of};
