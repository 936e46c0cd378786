//! From a data file to a trained model: data, batches, metrics, training that resumes, reports, sweeps.
#![warn(missing_docs, clippy::print_stdout, clippy::print_stderr)]

pub mod data;
mod error;
pub mod metrics;
pub mod report;

pub use error::DataError;
