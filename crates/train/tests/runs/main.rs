//! The program `train` from outside: killed, resumed, refused.

mod data;
mod disk;
mod docs;
mod explain;
mod folder;
mod kill;
mod layers;
mod predict;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// A small model with everything that has a state: dropout, batch norm, accumulation, averages, a schedule that follows
/// a metric, early stopping.
const CONFIG: &str = "
seed = 3

[data]
kind = 'digits'
validation = 0.5

[[model.layers]]
kind = 'flatten'

[[model.layers]]
kind = 'linear'
out_features = 12

[[model.layers]]
kind = 'batch_norm'

[[model.layers]]
kind = 'relu'

[[model.layers]]
kind = 'dropout'
p = 0.1

[[model.layers]]
kind = 'linear'

[training]
epochs = 4
batch_size = 64
evaluate_every_steps = 10
log_every_steps = 7
monitor = 'accuracy'
patience = 50
weights = 'best'

[checkpoint]
every_steps = 4
every_seconds = 0.02
keep = 3

[optimizer]
kind = 'adam'
lr = { kind = 'plateau', lr = 1e-2, mode = 'max', patience = 1 }
ema = 0.9
accumulate = 3
";

/// A folder with a configuration.
struct Bench {
    folder: TempDir,
}

impl Bench {
    fn new(config: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("small.toml"), config).unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn config(&self) -> String {
        self.path("small.toml").display().to_string()
    }

    /// Returns the program with these arguments, in the folder.
    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_wengert-train"));
        command.args(args).current_dir(self.folder.path()).stdout(Stdio::piped());
        command.stderr(Stdio::piped());
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// Begins a run in the folder `name` and waits for its end.
    fn train(&self, name: &str) {
        let output = self.run(&["--config", &self.config(), "--out", name]);
        assert!(output.status.success(), "{}", text(&output));
    }
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Checks that the program refused with one message that has this part.
#[track_caller]
fn refused(output: &Output, part: &str) {
    let message = text(output);
    assert_eq!(output.status.code(), Some(2), "{message}");
    assert!(message.contains(part), "{message}");
    assert!(!message.contains("panicked"), "{message}");
}

/// Returns the files of a finished run that do not depend on time and machine.
fn results(run: &Path) -> Vec<(&'static str, Vec<u8>)> {
    let names = ["config.toml", "metrics.jsonl", "model.safetensors", "results.json"];
    let best = "checkpoints/best.safetensors";
    let read = |name| (name, fs::read(run.join(name)).unwrap_or_default());
    names.into_iter().chain([best]).map(read).collect()
}

#[track_caller]
fn assert_equal(run: &Path, expected: &[(&'static str, Vec<u8>)]) {
    for ((name, found), (_, expected)) in results(run).iter().zip(expected) {
        assert!(!expected.is_empty() && found == expected, "{name} differs");
    }
}
