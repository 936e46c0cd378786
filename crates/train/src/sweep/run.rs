//! Runs the runs of a sweep, as many at a time as there are cores.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::collect::{FAILED, State};
use super::plan::{Cell, Sweep};
use crate::run::{Kinds, Plan, RunError, announcement, changed, read, start_or_resume};
use crate::trainer::{Reporter, Stop};

/// How a sweep uses the machine, and which of its runs it runs.
#[derive(Clone, Copy, Debug, Default)]
pub struct Workers {
    /// The number of runs at a time. Default: as many as the processors can run with their threads.
    pub jobs: Option<usize>,
    /// The number of threads of each run. Default: 1.
    pub threads: Option<usize>,
    /// The number of the one run to run, from 0. Default: all.
    pub task: Option<usize>,
}

/// The outcome of a run.
#[derive(Clone, Debug, PartialEq)]
pub enum Happened {
    /// It begins, or goes on from its last checkpoint.
    Started,
    /// It is done.
    Done,
    /// It was done before.
    DoneBefore,
    /// It diverged or panicked, for this reason. It is not tried again.
    Failed(String),
    /// It failed before, for this reason.
    FailedBefore(String),
    /// It was interrupted, and goes on when the sweep is started again.
    Interrupted,
    /// Something else to know, such as a damaged checkpoint.
    Note(String),
}

impl Sweep {
    /// Runs all runs that are not done, each in a folder of its own in `out`. `watch` hears what becomes of each.
    ///
    /// The sweep can be killed at any moment and started again. A run that failed is not tried again: its folder has
    /// the reason in `failed.txt`; remove the file, and the run goes on.
    ///
    /// # Errors
    /// If a configuration has a mistake, differs from that of the runs in `out`, or a file cannot be written. Runs
    /// that have begun end first.
    pub fn run(
        &self,
        out: impl AsRef<Path>,
        workers: Workers,
        kinds: &Kinds,
        interrupt: &AtomicBool,
        watch: &(dyn Fn(&Cell, &Happened) + Sync),
    ) -> Result<(), RunError> {
        let (out, mut cells) = (out.as_ref(), self.cells());
        if let Some(task) = workers.task {
            let count = cells.len();
            if task >= count {
                let message = format!("no run {task}: the runs are 0 to {}", count - 1);
                return Err(RunError::Refused(message));
            }
            cells = vec![cells.swap_remove(task)];
        }
        let threads = workers.threads.unwrap_or(1).max(1);
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let jobs = workers.jobs.unwrap_or(processors / threads).clamp(1, cells.len());
        let (next, error) = (AtomicUsize::new(0), Mutex::new(None));
        let work = || {
            while let Some(cell) = cells.get(next.fetch_add(1, Ordering::Relaxed)) {
                if interrupt.load(Ordering::Relaxed) {
                    break;
                }
                if let Err(mistake) = self.run_cell(cell, out, kinds, interrupt, watch) {
                    // No other run begins.
                    next.store(cells.len(), Ordering::Relaxed);
                    error.lock().expect("no worker panics").get_or_insert(mistake);
                }
            }
        };
        let pools = (0..jobs).map(|_| rayon::ThreadPoolBuilder::new().num_threads(threads).build());
        let pools = pools.collect::<Result<Vec<_>, _>>().map_err(|error| {
            RunError::Refused(format!("{jobs} runs of {threads} threads at a time: {error}"))
        })?;
        std::thread::scope(|scope| {
            for pool in &pools {
                scope.spawn(|| pool.install(work));
            }
        });
        error.into_inner().expect("no worker panics").map_or(Ok(()), Err)
    }

    fn run_cell(
        &self,
        cell: &Cell,
        out: &Path,
        kinds: &Kinds,
        interrupt: &AtomicBool,
        watch: &(dyn Fn(&Cell, &Happened) + Sync),
    ) -> Result<(), RunError> {
        let folder = out.join(&cell.folder);
        let plan = Plan::load(&self.base, &self.overrides(cell), kinds)?;
        let unreadable = |error: std::io::Error| RunError::Refused(error.to_string());
        let before = match State::read(&folder).map_err(unreadable)? {
            State::Failed(reason) => Some(Happened::FailedBefore(reason)),
            // The last file of a run. One that was killed just before it goes on.
            State::Done(_) if folder.join("report.html").exists() => Some(Happened::DoneBefore),
            State::Done(_) | State::Missing => None,
        };
        if let Some(before) = before {
            changed(&plan.text, &read(&folder.join("config.toml"))?, &folder)?;
            watch(cell, &before);
            return Ok(());
        }
        watch(cell, &Happened::Started);
        // That it begins has been told.
        let announced = announcement(&folder);
        let notes = &mut Notes(&|text| {
            if text != announced {
                watch(cell, &Happened::Note(text.to_owned()));
            }
        });
        // A panic of one run, such as memory that is not there, does not end the others.
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            start_or_resume(&plan, &folder, kinds, interrupt, notes)
        }));
        let reason = match outcome {
            Ok(Ok(outcome)) => {
                let stopped = outcome.stop == Stop::Hook;
                watch(cell, if stopped { &Happened::Interrupted } else { &Happened::Done });
                return Ok(());
            }
            Ok(Err(RunError::Diverged(diverged))) => diverged.to_string(),
            Ok(Err(mistake)) => return Err(mistake),
            Err(panic) => message(&*panic),
        };
        let file = folder.join(FAILED);
        wengert_io::replace_file(&file, format!("{reason}\n").as_bytes())?;
        watch(cell, &Happened::Failed(reason));
        Ok(())
    }
}

/// Writes the table of a sweep into the folder of its runs: `table.txt`, `table.csv` and `report.html`.
///
/// # Errors
/// If a file cannot be written.
pub fn write_table(table: &super::Table, out: impl AsRef<Path>) -> Result<(), RunError> {
    let out = out.as_ref();
    fs::create_dir_all(out)
        .map_err(|error| RunError::Refused(format!("{}: {error}", out.display())))?;
    let files = [
        ("table.txt", table.to_string()),
        ("table.csv", table.csv()),
        ("report.html", table.html()),
    ];
    for (name, text) in files {
        wengert_io::replace_file(out.join(name), text.as_bytes())?;
    }
    Ok(())
}

/// Passes on what a run notes; progress of single steps would be too much.
struct Notes<'a>(&'a dyn Fn(&str));

impl Reporter for Notes<'_> {
    fn note(&mut self, text: &str) {
        (self.0)(text);
    }
}

fn message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    format!("panicked: {}", text.unwrap_or("without a message"))
}
