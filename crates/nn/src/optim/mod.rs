//! Optimizers: rules in a chain, a learning rate by schedule, configured in Rust or TOML.
//!
//! * [`Optimizer`]: updates a model from its gradients. [`OptimizerState`] is its state by name.
//! * [`Recipe`]: an optimizer's configuration, written in Rust or read from TOML. It prints as TOML that
//!   reads back equal. [`ConfigError`] locates each mistake.
//! * [`Rule`]: one transform of the update, such as [`Sgd`], [`Adam`] or [`ClipNorm`]. [`TensorRule`]
//!   transforms whole tensors, [`Solver`] evaluates the loss itself, and [`Alias`] names several
//!   transforms, such as [`AdamW`].
//! * [`Schedule`]: the learning rate as a function of the step, such as [`Cosine`], or of a metric:
//!   [`Plateau`].
//! * [`Registry`]: the kinds that a TOML text may name; your own rules and schedules are added to it.
//! * [`ConfigTable`]: the other tables of a program's configuration, read with the same errors.
//! * [`Chain`]: the transforms, ready to run, for training loops without an [`Optimizer`].

mod asked;
mod body;
mod by_rows;
mod chain;
mod chunk_run;
mod chunks;
mod compiled;
mod document;
mod driver;
mod elements;
mod ema;
mod error;
mod fits;
mod keep;
mod minimize;
#[cfg(wengert_mutants)]
mod mutants;
mod optimizer;
pub mod range;
mod recipe;
mod reflect;
mod refused;
mod report;
mod resolve;
mod rule;
mod rules;
mod schedule;
mod scheduled;
mod state;
mod toml;
mod transform;
mod value;

pub use chain::{Chain, ChainState};
pub use chunks::sum_of_squares;
pub use document::NoEquivalent;
pub use driver::{METRIC_WITHIN, Optimizer};
pub use elements::{Elements, MapProof};
pub use error::{ConfigError, nearest};
pub use range::InvalidSetting;
pub use recipe::{Group, NonFinite, Plan, Recipe, UnusedParameters};
pub use report::{LoadReport, RestoreError};
pub use rule::{LossAt, Rule, Scope, Solver, SolverState, StepContext, TensorRule, UnreadRows};
pub use rules::*;
pub use schedule::*;
pub use state::OptimizerState;
pub use toml::{ConfigPlace, ConfigTable, Registry};
pub use transform::{Alias, Transform};
