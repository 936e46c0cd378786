//! What a run looked like: `report.html` from the files of a run's folder.

mod results;

pub use results::{Confusion, Machine, Results, Sample};
