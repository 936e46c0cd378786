//! From a data file to a trained model: data, batches, metrics, training that resumes, reports, sweeps.

#![warn(missing_docs, clippy::print_stdout, clippy::print_stderr)]

pub mod report;
