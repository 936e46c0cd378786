//! The programs `train` and `predict`, beside `sweep` and `recipe`: their command lines, the progress bar, Ctrl-C.

mod progress;
mod recipe;
mod sweep;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::{CommandFactory, Parser};

pub use recipe::recipe;
pub use sweep::sweep;

use crate::run::{self, Kinds, Outcome, Plan, RunError};
use crate::trainer::{Reporter, Stop};

/// Trains the model that a configuration describes. A run can be killed at any moment and resumed.
#[derive(Debug, Parser)]
#[command(name = "train")]
struct TrainArgs {
    /// Configuration file
    #[arg(long, value_name = "FILE", required_unless_present_any = ["resume", "explain", "profile", "events"])]
    config: Option<PathBuf>,
    /// Replaces a setting, such as `training.epochs=5`; may be given several times
    #[arg(long, value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Folder of a new run [default: runs/NAME-N]
    #[arg(long, value_name = "DIR", conflicts_with = "resume")]
    out: Option<PathBuf>,
    /// Goes on with the run in this folder
    #[arg(long, value_name = "DIR")]
    resume: Option<PathBuf>,
    /// Number of threads [default: one for each core]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Tests which learning rates are too small and too large, and writes a picture
    #[arg(long, conflicts_with_all = ["resume", "out"])]
    find_lr: bool,
    /// Explains this step of the run in the folder of `--explain`
    #[arg(long, value_name = "STEP", requires = "explain")]
    at_step: Option<u64>,
    /// Folder of a run, of which a step is explained
    #[arg(long, value_name = "DIR", requires = "at_step")]
    explain: Option<PathBuf>,
    /// Measures what a step of the run in this folder costs, and adds it to the report
    #[arg(long, value_name = "DIR")]
    profile: Option<PathBuf>,
    /// Writes the metrics of the run in this folder as TensorBoard event files, to `DIR/events`
    #[arg(long, value_name = "DIR")]
    events: Option<PathBuf>,
    /// Prints nothing but errors
    #[arg(long)]
    quiet: bool,
}

/// Exit codes of the program.
const BAD_INPUT: u8 = 2;
const DIVERGED: u8 = 3;
const INTERRUPTED: u8 = 130;

/// Whether the user asked the program to stop.
static INTERRUPT: AtomicBool = AtomicBool::new(false);

/// Runs the program `train` with the arguments of this process, and returns its exit code: 0 when it is done, 2 after a
/// mistake in its input, 3 if the training diverged, 130 if it was interrupted.
pub fn train(kinds: &Kinds) -> ExitCode {
    if std::env::args().len() == 1 {
        let _ = TrainArgs::command().print_help();
        return ExitCode::SUCCESS;
    }
    let args = match TrainArgs::try_parse() {
        Ok(args) => args,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { BAD_INPUT } else { 0 });
        }
    };
    let mut reporter = progress::reporter(args.quiet);
    let outcome = handle_ctrl_c().and_then(|()| run(&args, kinds, reporter.as_mut()));
    match outcome {
        Ok(None) => ExitCode::SUCCESS,
        Ok(Some(Outcome { folder, stop: Stop::Hook })) => {
            let folder = folder.display();
            progress::error(&format!("interrupted; go on with `train --resume {folder}`"));
            ExitCode::from(INTERRUPTED)
        }
        Ok(Some(Outcome { folder, .. })) => {
            reporter.note(&format!("done: {}", folder.join("report.html").display()));
            ExitCode::SUCCESS
        }
        Err(error) => {
            progress::error(&error.to_string());
            let diverged = matches!(error, RunError::Diverged(_));
            ExitCode::from(if diverged { DIVERGED } else { BAD_INPUT })
        }
    }
}

/// Lets the first Ctrl-C ask the program to stop, and a second one leave at once.
fn handle_ctrl_c() -> Result<(), RunError> {
    let interrupted = || {
        if INTERRUPT.swap(true, Ordering::Relaxed) {
            std::process::exit(INTERRUPTED.into());
        }
    };
    ctrlc::set_handler(interrupted)
        .map_err(|error| RunError::Refused(format!("Ctrl-C cannot be handled: {error}")))
}

fn run(
    args: &TrainArgs,
    kinds: &Kinds,
    reporter: &mut dyn Reporter,
) -> Result<Option<Outcome>, RunError> {
    if let Some(threads) = args.threads {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build_global();
        pool.map_err(|error| RunError::Refused(format!("--threads {threads}: {error}")))?;
    }
    if let (Some(folder), Some(step)) = (&args.explain, args.at_step) {
        progress::print(&run::explain(folder, step, kinds)?);
        return Ok(None);
    }
    if let Some(folder) = &args.profile {
        progress::print(&run::profile(folder, kinds)?.to_string());
        return Ok(None);
    }
    if let Some(folder) = &args.events {
        let files = crate::report::tensorboard(folder, folder.join("events"));
        for file in files.map_err(|error| RunError::Refused(error.to_string()))? {
            progress::print(&format!("{}\n", file.display()));
        }
        return Ok(None);
    }
    if let (true, Some(config)) = (args.find_lr, &args.config) {
        let range = run::find_lr(config, &args.set, kinds)?;
        let path =
            config.with_extension("lr.svg").file_name().map_or("lr.svg".into(), PathBuf::from);
        wengert_io::replace_file(&path, range.svg().as_bytes())?;
        progress::print(&match range.steepest {
            Some(rate) => format!("the loss falls fastest at {rate:.2e}; see {}\n", path.display()),
            None => format!("the loss falls at no rate; see {}\n", path.display()),
        });
        return Ok(None);
    }
    let outcome = match (&args.resume, &args.config) {
        (Some(folder), None) => run::resume(folder, &args.set, kinds, &INTERRUPT, reporter),
        (Some(folder), Some(config)) => {
            let plan = Plan::load(config, &args.set, kinds)?;
            run::start_or_resume(&plan, folder, kinds, &INTERRUPT, reporter)
        }
        (None, config) => {
            let config = config.as_deref().unwrap_or("config.toml".as_ref());
            let plan = Plan::load(config, &args.set, kinds)?;
            run::start(&plan, args.out.as_deref(), &INTERRUPT, reporter)
        }
    };
    outcome.map(Some)
}

/// Predicts new rows with the model of a run.
#[derive(Debug, Parser)]
#[command(name = "predict")]
struct PredictArgs {
    /// Folder of a finished run
    #[arg(value_name = "DIR")]
    run: PathBuf,
    /// CSV file of rows, with the columns that the run was trained on
    #[arg(value_name = "FILE")]
    rows: PathBuf,
    /// File to write [default: standard output]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Runs the program `predict` with the arguments of this process, and returns its exit code: 0, or 2 after a mistake in
/// its input.
pub fn predict(kinds: &Kinds) -> ExitCode {
    if std::env::args().len() == 1 {
        let _ = PredictArgs::command().print_help();
        return ExitCode::SUCCESS;
    }
    let args = match PredictArgs::try_parse() {
        Ok(args) => args,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { BAD_INPUT } else { 0 });
        }
    };
    let predicted = run::predict(&args.run, &args.rows, kinds).and_then(|found| match args.out {
        Some(path) => Ok(wengert_io::replace_file(path, found.to_csv().as_bytes())?),
        None => {
            progress::print(&found.to_csv());
            Ok(())
        }
    });
    match predicted {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            progress::error(&error.to_string());
            ExitCode::from(BAD_INPUT)
        }
    }
}
