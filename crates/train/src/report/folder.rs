//! The files of a run's folder that a report shows.

use std::fs;
use std::io;
use std::path::Path;

use serde::de::DeserializeOwned;

use super::history::History;
use super::profile::ProfileTable;
use super::results::{Machine, Results};

/// A run as its folder tells it. Files that are not there leave their part empty.
#[derive(Debug, Default)]
pub(crate) struct RunFolder {
    /// The folder's name.
    pub(crate) name: String,
    pub(crate) config: String,
    pub(crate) history: History,
    pub(crate) results: Option<Results>,
    pub(crate) machine: Option<Machine>,
    pub(crate) profile: Option<ProfileTable>,
    /// The explanation of a run that diverged.
    pub(crate) postmortem: String,
    /// Seconds of training.
    pub(crate) seconds: Option<f64>,
    /// Messages about files that could not be read.
    pub(crate) problems: Vec<String>,
}

impl RunFolder {
    /// Reads a folder.
    ///
    /// # Errors
    /// If there is neither `config.toml` nor `metrics.jsonl`, or a file cannot be read. A file with an unexpected
    /// content is a problem that the report mentions.
    pub(crate) fn read(folder: &Path) -> io::Result<Self> {
        let text = |name: &str| match fs::read(folder.join(name)) {
            Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(in_file(&folder.join(name), &error)),
        };
        let (config, metrics) = (text("config.toml")?, text("metrics.jsonl")?);
        if config.is_none() && metrics.is_none() {
            let message = "no folder of a run: neither config.toml nor metrics.jsonl is there";
            return Err(in_file(folder, &io::Error::new(io::ErrorKind::NotFound, message)));
        }
        let mut problems = Vec::new();
        let history = History::parse(&metrics.unwrap_or_default());
        if history.unread > 0 {
            problems.push(format!("metrics.jsonl: lines that cannot be read: {}", history.unread));
        }
        let results = parsed("results.json", text("results.json")?, &mut problems);
        let machine = parsed("machine.json", text("machine.json")?, &mut problems);
        let profile = parsed("profile.json", text("profile.json")?, &mut problems);
        let real = folder.canonicalize();
        let name = real.as_deref().unwrap_or(folder).file_name().unwrap_or_default();
        Ok(Self {
            name: name.to_string_lossy().into_owned(),
            config: config.unwrap_or_default(),
            history,
            results,
            machine,
            profile,
            postmortem: text("postmortem.txt")?.unwrap_or_default(),
            seconds: text("timing.jsonl")?.and_then(|timing| seconds(&timing)),
            problems,
        })
    }
}

/// Adds the file to the message of an error.
pub(crate) fn in_file(file: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", file.display()))
}

fn parsed<T: DeserializeOwned>(
    name: &str,
    text: Option<String>,
    problems: &mut Vec<String>,
) -> Option<T> {
    match serde_json::from_str(&text?) {
        Ok(content) => Some(content),
        Err(error) => {
            problems.push(format!("{name}: {error}"));
            None
        }
    }
}

/// The sum of `seconds` over the lines of a `timing.jsonl`.
fn seconds(timing: &str) -> Option<f64> {
    let of_line =
        |line: &str| serde_json::from_str::<serde_json::Value>(line).ok()?.get("seconds")?.as_f64();
    let all = timing.lines().filter_map(of_line).collect::<Vec<_>>();
    (!all.is_empty()).then(|| all.iter().sum())
}
