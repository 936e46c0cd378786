//! Many runs: a base configuration under many settings and seeds, and one table of their results.

mod collect;
mod picture;
mod plan;
mod run;
mod statistics;

pub use collect::{Table, TableRow, collect};
pub use plan::{Cell, Setting, Sweep};
pub use run::{Happened, Workers, write_table};
pub use statistics::Estimate;
