//! Layers, losses and optimizers on the tape of `wengert-core`. Users take it through the crate
//! `wengert`.
//!
//! * A [`Module`] maps one variable to another and shows its parameters by dotted name. There are
//!   [`Linear`], activations, and [`Sequential`]; a model of your own is a struct, `params!`, and one
//!   method.
//! * [`Loss`] gives predictions their losses as methods: `x.mse(&y)` is the mean,
//!   `x.mse_with(&y, Reduction::Sum)` the sum. A loss that has more to set has a struct of settings,
//!   such as [`CrossEntropy`], which stands where the [`Reduction`] stands.
//! * [`init`] draws initial weights from a generator that you hand over.
//! * [`optim`] has the optimizers: rules in a chain, chosen by a recipe in TOML.
#![warn(missing_docs, clippy::print_stdout, clippy::print_stderr)]

pub mod init;
mod layers;
mod loss;
mod module;
pub mod optim;
mod pattern;

pub use layers::{Gelu, Linear, Relu, Sigmoid, Silu, Tanh};
pub use loss::{
    Bce, BceWithLogits, CosineEmbedding, CrossEntropy, GaussianNll, HingeEmbedding, Huber, KlDiv,
    Loss, MarginRanking, MultiMargin, Nll, PoissonNll, Reduction, SmoothL1, Target, Targets,
    TripletMargin,
};
pub use module::{Module, Sequential};
pub use pattern::Pattern;
