//! Reports: `report.html` from the files of a run's folder.
//!
//! The report is one file that opens offline: curves of all metrics, norms of gradients and weights by layer, the
//! confusion matrix, samples with their predictions, the model, the configuration, and the machine.

pub(crate) mod axis;
mod chart;
mod folder;
mod heat;
mod history;
mod html;
mod matrix;
mod png;
mod profile;
mod results;
mod run;
mod samples;
mod tensorboard;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

pub(crate) use axis::significant;
pub(crate) use chart::{COLOURS, Chart, Line, WIDE};
pub(crate) use folder::in_file;
pub use history::{Curve, History};
pub(crate) use html::{escape, page, section};
pub use profile::{CostRow, ProfileTable};
pub use results::{Confusion, Machine, Results, Sample};
pub(crate) use run::title;
pub use tensorboard::tensorboard;

/// Writes `report.html` to the folder of a run, and returns its path.
///
/// The report shows what the folder has: `config.toml`, `metrics.jsonl`, `results.json` ([`Results`]), `machine.json`
/// ([`Machine`]), `profile.json` ([`ProfileTable`]), `timing.jsonl` and `postmortem.txt`. A run that still trains, diverged or was killed has a report, too.
///
/// ```
/// let folder = tempfile::tempdir()?;
/// let metrics = r#"{"epoch":1,"step":38,"split":"train","loss":0.7}"#;
/// std::fs::write(folder.path().join("metrics.jsonl"), metrics)?;
/// let report = wengert_train::report::write(folder.path())?;
/// assert!(std::fs::read_to_string(report)?.contains("<svg"));
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
/// If the folder has neither `config.toml` nor `metrics.jsonl`, or a file cannot be read or written. The message names
/// the file.
pub fn write(folder: impl AsRef<Path>) -> io::Result<PathBuf> {
    let folder = folder.as_ref();
    let html = run::html(&folder::RunFolder::read(folder)?);
    let path = folder.join("report.html");
    fs::write(&path, html).map_err(|error| folder::in_file(&path, &error))?;
    Ok(path)
}
