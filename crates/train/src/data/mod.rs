//! Data: tables, images and text from files, splits, and batches.
//!
//! | to | use |
//! | --- | --- |
//! | read a CSV file | [`Table`]; [`Csv`] for other forms than the usual one |
//! | turn raw rows into inputs and targets | [`Preparation`], fitted on the training rows and saved with the model |
//! | read images and arrays | [`idx`], [`npy_folder`], [`fashion_mnist()`], [`digits()`] |
//! | read text | [`Vocabulary`], [`windows`] |
//! | hold out rows | [`Split`] |
//! | visit rows in batches | [`Batches`], [`Dataset::take_rows`]; [`prefetch()`] where rows take long to prepare |
//!
//! ```
//! use wengert_train::data::{Batches, Parts, Split, digits};
//!
//! let digits = digits();
//! let Parts { train, held_out } = Split::new(digits.len()).stratified(digits.labels().as_slice()).share(0.2);
//! let (train, test) = (digits.take_rows(&train), digits.take_rows(&held_out));
//! for rows in Batches::new(train.len()).size(64).epoch(0) {
//!     let batch = train.take_rows(&rows); // A training step with batch.numbers() and batch.labels().
//! }
//! assert_eq!((train.len(), test.len()), (1438, 359));
//! ```

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
