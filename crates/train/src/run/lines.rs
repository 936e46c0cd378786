//! The lines of `metrics.jsonl`, whose bytes depend on the training alone.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::PathBuf;

use serde::ser::{Serialize, SerializeMap, Serializer};

use super::RunError;
use super::folder::Folder;
use crate::trainer::{Evaluation, Step};

/// The file of metrics of a run.
pub(super) struct Metrics {
    file: File,
    bytes: u64,
    path: PathBuf,
}

const NAME: &str = "metrics.jsonl";

impl Metrics {
    /// Opens the file and cuts it to `bytes`, the length that it had at a checkpoint.
    pub(super) fn open(folder: &Folder, bytes: u64) -> Result<Self, RunError> {
        let path = folder.file(NAME);
        let open = || {
            let mut file = File::options().create(true).truncate(false).write(true).open(&path)?;
            file.set_len(bytes)?;
            file.seek(SeekFrom::Start(bytes))?;
            Ok(file)
        };
        let file = open().map_err(|error| RunError::file(&path, "cannot be written", error))?;
        Ok(Self { file, bytes, path })
    }

    /// Returns the length of the file, or 0 if there is none.
    pub(super) fn length(folder: &Folder) -> u64 {
        std::fs::metadata(folder.file(NAME)).map_or(0, |found| found.len())
    }

    /// Appends the lines of a step.
    pub(super) fn write(&mut self, step: &Step, log_every: Option<u64>) -> Result<(), RunError> {
        let mut text = String::new();
        if log_every.is_some_and(|every| step.step.is_multiple_of(every)) {
            append(
                &mut text,
                &TrainLine { step, loss: Number::Single(step.loss), kind: Some("step") },
            );
        }
        if let Some(loss) = step.epoch_loss {
            append(&mut text, &TrainLine { step, loss: Number::Double(loss), kind: None });
        }
        if let Some(evaluation) = &step.evaluation {
            append(&mut text, &EvaluationLine { step, evaluation });
        }
        let written = self.file.write_all(text.as_bytes());
        written.map_err(|error| RunError::file(&self.path, "cannot be written", error))?;
        self.bytes += text.len() as u64;
        Ok(())
    }

    /// Makes the lines durable and returns the length of the file.
    pub(super) fn sync(&mut self) -> Result<u64, RunError> {
        let synced = self.file.sync_data();
        synced.map_err(|error| RunError::file(&self.path, "cannot be written", error))?;
        Ok(self.bytes)
    }
}

/// Appends a line of JSON.
fn append(text: &mut String, line: &impl Serialize) {
    *text += &serde_json::to_string(line).expect("names and numbers are JSON");
    text.push('\n');
}

/// A number with the shortest digits that read back to it.
#[derive(serde::Serialize)]
#[serde(untagged)]
enum Number {
    Single(f32),
    Double(f64),
}

struct TrainLine<'a> {
    step: &'a Step,
    loss: Number,
    kind: Option<&'static str>,
}

impl Serialize for TrainLine<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let Step { step, epoch, lr, norms, .. } = self.step;
        let mut map = to.serialize_map(None)?;
        map.serialize_entry("epoch", epoch)?;
        map.serialize_entry("step", step)?;
        map.serialize_entry("split", "train")?;
        if let Some(kind) = self.kind {
            map.serialize_entry("kind", kind)?;
        }
        map.serialize_entry("loss", &self.loss)?;
        map.serialize_entry("lr", lr)?;
        if let Some(norms) = norms {
            map.serialize_entry("grad_norm", &Named(&norms.gradients))?;
            map.serialize_entry("weight_norm", &Named(&norms.weights))?;
        }
        map.end()
    }
}

struct EvaluationLine<'a> {
    step: &'a Step,
    evaluation: &'a Evaluation,
}

impl Serialize for EvaluationLine<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(None)?;
        map.serialize_entry("epoch", &self.step.epoch)?;
        map.serialize_entry("step", &self.step.step)?;
        map.serialize_entry("split", "validation")?;
        map.serialize_entry("loss", &self.evaluation.loss)?;
        for (name, value) in &self.evaluation.metrics {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

/// Numbers by name, in the given order.
pub(super) struct Named<'a>(pub(super) &'a [(String, f64)]);

impl Serialize for Named<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}
