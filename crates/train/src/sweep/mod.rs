//! Many runs: a base configuration under many settings and seeds, and one table of their results.

mod collect;
mod picture;
mod plan;
mod statistics;

pub use collect::{Table, TableRow, collect};
pub use plan::{Cell, Setting, Sweep};
pub use statistics::Estimate;
