//! Optimizers: rules in a chain, a rate by schedule, and a recipe in TOML.
//!
//! * [`Rule`]: one transform, such as [`Sgd`], [`Adam`] or [`ClipNorm`]; AdamW is Adam followed by
//!   [`WeightDecay`]. A rule of your own is one struct and one `impl`; [`TensorRule`] is one for whole
//!   tensors, [`Solver`] one that calls the loss itself, [`Alias`] a name for several.
//! * [`Schedule`]: the learning rate as a function of the step, and with [`Plateau`] of a metric.
//! * [`Recipe`]: a whole optimizer, written in Rust or read from TOML, with every mistake located;
//!   it prints as TOML that reads back the same.
//! * [`Registry`]: what kinds a TOML text may name, where your own are added.
//! * [`Optimizer`]: a recipe at work on a model; [`OptimizerState`]: what it remembers, by name; [`Chain`]: its
//!   transforms at work on slices.

mod chain;
mod config;
mod elements;
mod ema;
mod error;
mod minimize;
mod optimizer;
mod overrides;
mod print;
pub mod range;
mod recipe;
mod reflect;
mod registry;
mod rule;
mod rules;
mod schedule;
mod schema;
mod state;
mod table;
mod transform;

pub use chain::{Chain, ChainState, sum_of_squares};
pub use elements::{Elements, MapProof};
pub use error::ConfigError;
pub use optimizer::Optimizer;
pub use range::InvalidSetting;
pub use recipe::{Group, NonFinite, Plan, Recipe, UnusedParameters};
pub use registry::Registry;
pub use rule::{Alias, LossAt, Rule, Scope, Solver, SolverState, StepContext, TensorRule};
pub use rules::{
    Adadelta, Adagrad, Adam, Adamax, ClipNorm, ClipTensorNorm, ClipValue, Ema, Lion, Maximize,
    NAdam, RAdam, RmsProp, Sgd, WeightDecay,
};
pub use schedule::{
    Anneal, Constant, Cosine, CosineWarmRestarts, Exponential, InverseSqrt, LinearRamp, MultiStep,
    OneCycle, Plateau, PlateauMode, Polynomial, Rate, Schedule, StepDecay, ThresholdMode,
};
pub use state::{LoadReport, OptimizerState};
pub use transform::Transform;
