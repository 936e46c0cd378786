//! Optimizers: rules in a chain, a rate by schedule, and a recipe in TOML.
//!
//! * [`Rule`]: one link, such as [`Sgd`], [`Adam`] or [`ClipNorm`]; AdamW is Adam followed by
//!   [`WeightDecay`]. A rule of your own is one struct and one `impl`; [`TensorRule`] is one for whole
//!   tensors, [`Method`] one that calls the loss itself, [`Composite`] a name for several.
//! * [`Schedule`]: the learning rate as a function of the step, and with [`Plateau`] of a metric.
//! * [`Recipe`]: a whole optimizer, written in Rust or read from TOML, with every mistake located;
//!   it prints as TOML that reads back the same.
//! * [`Registry`]: what kinds a TOML text may name, where your own are added.
//! * [`Optimizer`]: a recipe at work on a model; [`Memory`]: what it remembers, by name; [`Chain`]: its
//!   links at work on slices.

mod average;
mod chain;
mod config;
mod elements;
mod error;
mod fields;
mod link;
mod memory;
mod minimize;
mod optimizer;
mod overrides;
mod print;
mod recipe;
mod registry;
mod rule;
mod rules;
mod schedule;
mod schema;
pub mod setting;
mod settings;

pub use chain::{Chain, Slots, sum_of_squares};
pub use elements::{Elements, Mapped};
pub use error::ConfigError;
pub use link::Link;
pub use memory::{Memory, Restored};
pub use optimizer::Optimizer;
pub use recipe::{Group, NonFinite, Plan, Recipe, UnusedParameters};
pub use registry::Registry;
pub use rule::{At, Composite, LossAt, Method, Reach, Remembered, Rule, TensorRule};
pub use rules::{
    Adadelta, Adagrad, Adam, Adamax, Average, ClipNorm, ClipTensorNorm, ClipValue, Lion, Maximize,
    NAdam, RAdam, RmsProp, Sgd, WeightDecay,
};
pub use schedule::{
    Anneal, Constant, Cosine, CosineWarmRestarts, Exponential, InverseSqrt, Linear, MultiStep,
    OneCycle, Plateau, PlateauMode, Polynomial, Rate, Schedule, Step, ThresholdMode,
};
pub use setting::BadSetting;
