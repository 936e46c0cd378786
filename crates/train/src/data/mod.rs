//! Data: tables, images and text from files, splits, and batches.

mod batches;
mod csv;
mod dataset;
mod digits;
mod fashion_mnist;
mod fit;
pub mod idx;
mod npy_folder;
mod prefetch;
mod preparation;
mod split;
mod table;
mod text;

pub use batches::{Batches, Epoch};
pub use csv::Csv;
pub use dataset::{Dataset, Inputs, Targets};
pub use digits::digits;
pub use fashion_mnist::{FashionMnist, fashion_mnist};
pub use fit::{Fill, PreparationBuilder};
pub use npy_folder::npy_folder;
pub use prefetch::{Prefetch, prefetch};
pub use preparation::Preparation;
pub use split::{Parts, Split};
pub use table::{Column, Missing, Table};
pub use text::{Vocabulary, windows};
