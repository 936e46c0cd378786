//! The program `sweep`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::Ordering;

use clap::{CommandFactory, Parser};

use super::{BAD_INPUT, DIVERGED, INTERRUPT, INTERRUPTED, handle_ctrl_c, progress};
use crate::run::{Kinds, RunError};
use crate::sweep::{Cell, Happened, Sweep, Workers, collect, write_table};

/// Runs a configuration under many settings and seeds, and collects their results in one table.
#[derive(Debug, Parser)]
#[command(name = "sweep", override_usage = "sweep [collect|list] [OPTIONS] FILE")]
struct SweepArgs {
    /// File of the sweep; before it `collect` to write the table of the runs that are done, or `list` to print the
    /// numbers of all runs
    #[arg(value_name = "FILE", num_args = 1..=2, required = true)]
    words: Vec<PathBuf>,
    /// Folder of the runs [default: runs/NAME]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Runs only the run of this number, from 0
    #[arg(long, value_name = "N")]
    task: Option<usize>,
    /// Number of runs at a time [default: as many as there are cores]
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
    /// Number of threads of each run
    #[arg(long, value_name = "N", default_value_t = 1)]
    threads: usize,
    /// Prints nothing but errors and failed runs
    #[arg(long)]
    quiet: bool,
}

/// Runs the program `sweep` with the arguments of this process, and returns its exit code: 0 when it is done, 2 after a
/// mistake in its input, 3 if a run failed, 130 if it was interrupted.
pub fn sweep(kinds: &Kinds) -> ExitCode {
    if std::env::args().len() == 1 {
        let _ = SweepArgs::command().print_help();
        return ExitCode::SUCCESS;
    }
    let args = match SweepArgs::try_parse() {
        Ok(args) => args,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { BAD_INPUT } else { 0 });
        }
    };
    match handle_ctrl_c().and_then(|()| run(&args, kinds)) {
        Ok(code) => code,
        Err(error) => {
            progress::error(&error.to_string());
            ExitCode::from(BAD_INPUT)
        }
    }
}

fn run(args: &SweepArgs, kinds: &Kinds) -> Result<ExitCode, RunError> {
    let (command, file) = match &args.words[..] {
        [file] => ("run", file),
        [command, file] => (command.to_str().unwrap_or_default(), file),
        _ => return Err(RunError::Refused("expected one file".to_owned())),
    };
    let sweep = Sweep::load(file)?;
    let out = args.out.clone().unwrap_or_else(|| Path::new("runs").join(&sweep.name));
    match command {
        "run" => run_all(args, &sweep, &out, kinds),
        "collect" => {
            table(&sweep, &out, args.quiet)?;
            Ok(ExitCode::SUCCESS)
        }
        "list" => {
            for cell in sweep.cells() {
                progress::print(&format!("{} {}\n", cell.task, cell.folder));
            }
            Ok(ExitCode::SUCCESS)
        }
        other => {
            let message = format!("expected `collect` or `list` before the file, found `{other}`");
            Err(RunError::Refused(message))
        }
    }
}

fn run_all(
    args: &SweepArgs,
    sweep: &Sweep,
    out: &Path,
    kinds: &Kinds,
) -> Result<ExitCode, RunError> {
    let workers = Workers { jobs: args.jobs, threads: Some(args.threads), task: args.task };
    let all = if args.task.is_some() { 1 } else { sweep.cells().len() };
    // The numbers of runs that ended and that failed.
    let counts = Mutex::new((0, 0));
    let watch = |cell: &Cell, happened: &Happened| {
        let mut counts = counts.lock().expect("printing does not panic");
        let (ended, failed) = &mut *counts;
        *ended += usize::from(!matches!(happened, Happened::Started | Happened::Note(_)));
        let line = format!("{ended}/{all}  {}", cell.folder);
        let (text, is_failure) = match happened {
            Happened::Started | Happened::DoneBefore => return,
            Happened::Done => (format!("{line}: done"), false),
            Happened::Interrupted => (format!("{line}: interrupted"), false),
            Happened::Failed(reason) => (format!("{line}: failed: {reason}"), true),
            Happened::FailedBefore(reason) => {
                (format!("{line}: failed before, and is not tried again: {reason}"), true)
            }
            Happened::Note(note) => (format!("{}: {note}", cell.folder), false),
        };
        *failed += usize::from(is_failure);
        if !args.quiet || is_failure {
            progress::error(&text);
        }
    };
    sweep.run(out, workers, kinds, &INTERRUPT, &watch)?;
    if INTERRUPT.load(Ordering::Relaxed) {
        progress::error("interrupted; start it again to go on");
        return Ok(ExitCode::from(INTERRUPTED));
    }
    if args.task.is_none() {
        table(sweep, out, args.quiet)?;
    }
    let (_, failed) = counts.into_inner().expect("printing does not panic");
    Ok(if failed > 0 { ExitCode::from(DIVERGED) } else { ExitCode::SUCCESS })
}

/// Writes the table, and prints it.
fn table(sweep: &Sweep, out: &Path, quiet: bool) -> Result<(), RunError> {
    let table = collect(sweep, out).map_err(|error| RunError::Refused(error.to_string()))?;
    write_table(&table, out)?;
    if !quiet {
        progress::print(&table.to_string());
    }
    Ok(())
}
