//! From a data file to a trained model: data, batches, metrics, training that resumes, reports, sweeps.
#![warn(missing_docs, clippy::print_stdout, clippy::print_stderr)]

#[cfg(feature = "cli")]
pub mod cli;
pub mod data;
mod error;
pub mod metrics;
pub mod report;
pub mod run;
pub mod sweep;
pub mod trainer;

pub use error::DataError;
