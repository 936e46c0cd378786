//! Data: tables, images and text from files, splits, and batches.

mod batches;
mod csv;
mod dataset;
mod digits;
mod fit;
mod preparation;
mod split;
mod table;

pub use batches::{Batches, Epoch};
pub use csv::Csv;
pub use dataset::{Dataset, Inputs, Targets};
pub use digits::digits;
pub use fit::{Fill, PreparationBuilder};
pub use preparation::Preparation;
pub use split::{Parts, Split};
pub use table::{Column, Missing, Table};
