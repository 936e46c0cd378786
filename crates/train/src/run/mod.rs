//! Runs: a configuration, a folder, and a training that can be killed at any moment and resumed.
//!
//! [`start`] and [`resume`] train what a [`Plan`] describes. The folder of a run has
//!
//! | file | content |
//! | --- | --- |
//! | `config.toml` | the configuration, with all defaults |
//! | `metrics.jsonl` | a line for each epoch and evaluation; the same bytes for the same configuration |
//! | `timing.jsonl` | seconds of each epoch |
//! | `checkpoints/last.safetensors` | the state of the training |
//! | `checkpoints/step-N.safetensors` | states before |
//! | `checkpoints/best.safetensors` | weights of the best evaluation |
//! | `model.safetensors`, `preparation.json` | weights at the end; the way from raw rows to inputs |
//! | `results.json`, `machine.json` | final metrics, and the machine, for reports |
//! | `postmortem.txt` | why the run diverged |
//! | `report.html` | a [`report`] |

mod checkpoint;
mod config;
mod data;
mod explain;
mod find_lr;
mod folder;
mod layers;
mod lines;
mod metrics;
mod network;
mod predict;
mod profile;
mod recorder;
mod results;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use wengert_io::FileError;
use wengert_nn::optim::ConfigError;

use crate::DataError;
use crate::report::{self, Machine};
use crate::trainer::{Diverged, Reporter, Stop, Trainer};

use checkpoint::{Checkpoint, Checkpoints, Unusable};
use config::Weights;
pub use config::{Kinds, Plan};
pub use explain::explain;
pub use find_lr::{LrRange, find_lr};
use folder::Folder;
pub use layers::{LayerKind, Layers, Site};
use lines::Metrics;
pub use network::Network;
pub use predict::{Predictions, predict};
pub use profile::profile;
use recorder::Recorder;

/// A run that cannot begin or go on. The message is one line, or a line of a file with a caret.
pub enum RunError {
    /// A mistake in the configuration.
    Config(ConfigError),
    /// A mistake in the data.
    Data(DataError),
    /// A file that cannot be read or written.
    File(FileError),
    /// Something else that is not as it should be.
    Refused(String),
    /// A loss or a gradient that is not finite.
    Diverged(Diverged),
}

impl RunError {
    fn file(path: &Path, what: &str, error: io::Error) -> Self {
        RunError::Refused(format!("{}: {what}: {error}", path.display()))
    }
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RunError::Config(error) => error.fmt(f),
            RunError::Data(error) => error.fmt(f),
            RunError::File(error) => error.fmt(f),
            RunError::Refused(message) => f.write_str(message),
            RunError::Diverged(diverged) => diverged.fmt(f),
        }
    }
}

impl fmt::Debug for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for RunError {}

impl From<FileError> for RunError {
    fn from(error: FileError) -> Self {
        RunError::File(error)
    }
}

impl From<DataError> for RunError {
    fn from(error: DataError) -> Self {
        RunError::Data(error)
    }
}

/// Outcome of a run.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Folder of the run.
    pub folder: PathBuf,
    /// Why it ended. [`Stop::Hook`] if it was interrupted: it can be resumed.
    pub stop: Stop,
}

/// Trains a plan in a new folder: `out`, or `runs/NAME-N`.
///
/// When `interrupt` becomes true, the run saves a checkpoint and returns.
///
/// # Errors
/// If the folder holds a run, a file cannot be written, or the training diverges.
pub fn start(
    plan: &Plan,
    out: Option<&Path>,
    interrupt: &AtomicBool,
    reporter: &mut dyn Reporter,
) -> Result<Outcome, RunError> {
    let folder = match out {
        Some(path) => Folder::create(path, &plan.text)?,
        None => Folder::create_numbered(&plan.name, &plan.text)?,
    };
    let checkpoints = Checkpoints::of(&folder, plan.checkpoint.keep);
    train(plan, plan.trainer(), folder, checkpoints, 0, interrupt, reporter)
}

/// Goes on with the run in a folder from its last checkpoint that is intact. The result has the same bytes as that of a
/// run which was never interrupted. A run that is finished stays as it is.
///
/// # Errors
/// If the folder holds no run, another process trains there, the configuration changed, or the training diverges.
pub fn resume(
    path: &Path,
    overrides: &[impl AsRef<str>],
    kinds: &Kinds,
    interrupt: &AtomicBool,
    reporter: &mut dyn Reporter,
) -> Result<Outcome, RunError> {
    let folder = Folder::open(path)?;
    let plan = Plan::load(folder.file("config.toml"), overrides, kinds)?;
    let mut trainer = plan.trainer();
    let mut checkpoints = Checkpoints::of(&folder, plan.checkpoint.keep);
    let metrics_bytes = match latest(&plan, &folder, &checkpoints, reporter)? {
        Some((checkpoint, path)) => {
            checkpoints.set_last(Some(&path), checkpoint.step());
            let bytes = checkpoint.about.metrics_bytes;
            trainer.restore(checkpoint.state).map_err(|reason| {
                RunError::Refused(format!("{}: is of another model: {reason}", path.display()))
            })?;
            bytes
        }
        None => {
            if !overrides.is_empty() {
                changed(&plan.text, &read(&folder.file("config.toml"))?, folder.path())?;
            }
            folder.write("config.toml", &plan.text)?;
            0
        }
    };
    train(&plan, trainer, folder, checkpoints, metrics_bytes, interrupt, reporter)
}

/// Goes on with the run in a folder, or begins it there if the folder holds none yet.
///
/// # Errors
/// In the cases of [`start`] and [`resume`].
pub fn start_or_resume(
    plan: &Plan,
    path: &Path,
    kinds: &Kinds,
    interrupt: &AtomicBool,
    reporter: &mut dyn Reporter,
) -> Result<Outcome, RunError> {
    let old = path.join("config.toml");
    if !old.exists() {
        return start(plan, Some(path), interrupt, reporter);
    }
    changed(&plan.text, &read(&old)?, path)?;
    resume(path, &[""; 0], kinds, interrupt, reporter)
}

pub(crate) fn read(path: &Path) -> Result<String, RunError> {
    std::fs::read_to_string(path).map_err(|error| RunError::file(path, "cannot be read", error))
}

/// Returns the latest checkpoint from which the run can go on. Damaged ones are named and passed over.
fn latest(
    plan: &Plan,
    folder: &Folder,
    checkpoints: &Checkpoints,
    reporter: &mut dyn Reporter,
) -> Result<Option<(Checkpoint, PathBuf)>, RunError> {
    let length = Metrics::length(folder);
    let best = checkpoints.best().map(|(_, step)| step);
    // The step of the best weights that are lost: a checkpoint after it could not restore them.
    let mut lost = None;
    for path in checkpoints.paths() {
        let named = |reason: &str| format!("{}: {reason}", path.display());
        let mut pass_over = |reason: &str| {
            reporter.note(&format!("{}; going on from the one before", named(reason)));
        };
        let checkpoint = match Checkpoint::read(&path) {
            Ok(checkpoint) => checkpoint,
            Err(Unusable::Damaged(reason)) => {
                pass_over(&format!("is damaged: {reason}"));
                continue;
            }
            Err(Unusable::Foreign(reason)) => return Err(RunError::Refused(named(&reason))),
        };
        changed(&plan.text, &checkpoint.about.config, folder.path())?;
        if checkpoint.about.data != plan.data.checksum() {
            return Err(RunError::Refused(named("the data changed since the run began")));
        }
        if checkpoint.about.metrics_bytes > length {
            pass_over("metrics.jsonl lacks lines that it had");
            continue;
        }
        if let Some(step) = checkpoint.best_step()
            && !best.as_ref().is_ok_and(|best| *best >= step)
            && *lost.get_or_insert(step) == step
        {
            let reason = best.as_ref().map_or_else(String::as_str, |_| "they are older");
            pass_over(&format!("its best weights are lost: {reason}"));
            continue;
        }
        return Ok(Some((checkpoint, path)));
    }
    Ok(None)
}

/// Refuses to go on under a configuration that is not the one of the run.
pub(crate) fn changed(new: &str, old: &str, folder: &Path) -> Result<(), RunError> {
    if new == old {
        return Ok(());
    }
    let mut lines = old.lines().zip(new.lines()).filter(|(old, new)| old != new);
    let difference = match lines.next() {
        Some((old, new)) => format!("`{new}` in place of `{old}`"),
        None => "it has other lines at its end".to_owned(),
    };
    let path = folder.display();
    Err(RunError::Refused(format!(
        "{path}: the configuration changed since the run began: {difference}; begin a new run with `--out`"
    )))
}

/// Returns the note with which a training begins.
pub(crate) fn announcement(folder: &Path) -> String {
    format!("training in {}", folder.display())
}

/// Trains until the end and writes the results.
fn train(
    plan: &Plan,
    mut trainer: Trainer<Network>,
    folder: Folder,
    mut checkpoints: Checkpoints,
    metrics_bytes: u64,
    interrupt: &AtomicBool,
    reporter: &mut dyn Reporter,
) -> Result<Outcome, RunError> {
    let metrics = Metrics::open(&folder, metrics_bytes)?;
    checkpoints.create()?;
    let machine = Machine::here(rayon::current_num_threads());
    let machine = serde_json::to_string(&machine).expect("texts and numbers are JSON");
    folder.write("machine.json", machine + "\n")?;
    reporter.note(&announcement(folder.path()));
    reporter.begin(trainer.progress().step, trainer.total_steps());
    let mut recorder = Recorder::new(plan, &folder, &mut checkpoints, metrics, interrupt, reporter);
    let stop = trainer.run(&mut [&mut recorder]);
    let stop = recorder.finish(stop);
    reporter.end();
    if let Err(RunError::Diverged(diverged)) = &stop {
        explain::post_mortem(plan, &folder, &checkpoints, diverged)?;
        write_report(&folder)?;
    }
    let stop = stop?;
    if stop != Stop::Hook {
        finish(plan, &mut trainer, &folder, &checkpoints)?;
    }
    Ok(Outcome { folder: folder.path().to_owned(), stop })
}

/// Writes the files that a finished run has.
fn finish(
    plan: &Plan,
    trainer: &mut Trainer<Network>,
    folder: &Folder,
    checkpoints: &Checkpoints,
) -> Result<(), RunError> {
    let best = match plan.training.weights {
        Weights::Best => checkpoints.best().ok(),
        Weights::Last => None,
    };
    let model = match best {
        Some((bytes, _)) => {
            let mut model = plan.network.clone();
            wengert_io::Load::new().bytes(&bytes, &mut model).map(drop)?;
            model
        }
        None => trainer.for_evaluation(Network::clone),
    };
    wengert_io::save(folder.file("model.safetensors"), &model)?;
    let results = results::of(plan, trainer, &model);
    let results = serde_json::to_string_pretty(&results).expect("results are JSON");
    folder.write("results.json", results + "\n")?;
    if let Some(preparation) = &plan.data.preparation {
        folder.write("preparation.json", preparation.to_json())?;
    }
    if let Some(vocabulary) = &plan.data.vocabulary {
        folder.write("vocabulary.txt", vocabulary.characters())?;
    }
    write_report(folder)
}

fn write_report(folder: &Folder) -> Result<(), RunError> {
    report::write(folder.path()).map(drop).map_err(|error| RunError::Refused(error.to_string()))
}
