//! Data: tables, images and text from files, splits, and batches.

mod batches;
mod dataset;
mod digits;
mod split;

pub use batches::{Batches, Epoch};
pub use dataset::{Dataset, Inputs, Targets};
pub use digits::digits;
pub use split::{Parts, Split};
