//! The cost of a step of a run.

use std::path::Path;

use wengert_core::Profile;

use super::{Kinds, Plan, RunError};
use crate::report::{self, ProfileTable};

/// Measures the first training step of the run in a folder, which may be finished or not, and writes `profile.json`,
/// the report that shows it, and `profile.dot` for Graphviz.
///
/// # Errors
/// If the folder holds no run, or a file cannot be written.
pub fn profile(folder: &Path, kinds: &Kinds) -> Result<Profile, RunError> {
    let plan = Plan::load(folder.join("config.toml"), &[""; 0], kinds)?;
    let profile = plan.trainer().profile_step();
    let table = serde_json::to_string_pretty(&ProfileTable::from(&profile));
    let table = table.expect("texts and numbers are JSON") + "\n";
    wengert_io::replace_file(folder.join("profile.json"), table.as_bytes())?;
    wengert_io::replace_file(folder.join("profile.dot"), profile.dot().as_bytes())?;
    report::write(folder).map_err(|error| RunError::Refused(error.to_string()))?;
    Ok(profile)
}
