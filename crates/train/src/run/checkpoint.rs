//! Checkpoints: one file each, whose damage is recognized.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use wengert_core::Tensor;
use wengert_io::safetensors;
use wengert_nn::optim::OptimizerState;

use super::RunError;
use super::folder::Folder;

/// A state of a training with what belongs to it.
pub(super) struct Checkpoint {
    pub(super) state: OptimizerState<f32>,
    pub(super) about: About,
}

/// The part of a checkpoint that is no tensor.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct About {
    /// Version of the format.
    format: u32,
    /// Configuration of the run.
    pub(super) config: String,
    /// Checksum of the data.
    pub(super) data: String,
    /// Length of `metrics.jsonl`.
    pub(super) metrics_bytes: u64,
}

/// Version of the format that this crate reads and writes.
const FORMAT: u32 = 1;

/// Reason why a file is no usable checkpoint.
pub(super) enum Unusable {
    /// It cannot be read, was cut short or altered.
    Damaged(String),
    /// It is of another version of the format.
    Foreign(String),
}

/// Metadata of the checksum, which stands first in the file. The checksum is that of the whole file with zeros in its
/// own place.
const CHECKSUM: &str = "\"checksum\":\"";
const NO_CHECKSUM: &str = "00000000";

impl About {
    pub(super) fn new(config: String, data: String, metrics_bytes: u64) -> Self {
        Self { format: FORMAT, config, data, metrics_bytes }
    }
}

impl Checkpoint {
    pub(super) fn step(&self) -> u64 {
        self.number("step").unwrap_or(0.0) as u64
    }

    /// Returns the step of the best evaluation.
    pub(super) fn best_step(&self) -> Option<u64> {
        self.number("best_step").map(|step| step as u64)
    }

    fn number(&self, name: &str) -> Option<f64> {
        self.state.numbers.get(&format!("trainer/{name}")).copied()
    }

    /// Returns the bytes of the file.
    pub(super) fn to_bytes(&self) -> Result<Vec<u8>, RunError> {
        let about = serde_json::to_string(&self.about).expect("texts and numbers are JSON");
        let metadata = [("checksum", NO_CHECKSUM), ("about", about.as_str())];
        Ok(sealed(wengert_io::state_to_bytes_with(&self.state, &metadata)?))
    }

    pub(super) fn read(path: &Path) -> Result<Self, Unusable> {
        let bytes =
            fs::read(path).map_err(|e| Unusable::Damaged(format!("cannot be read: {e}")))?;
        check(&bytes).map_err(Unusable::Damaged)?;
        let content = || {
            let about = safetensors::metadata(&bytes)?.remove("about").unwrap_or_default();
            Ok((about, wengert_io::state_from_bytes(&bytes)?))
        };
        let (about, state) =
            content().map_err(|e: wengert_io::FileError| Unusable::Damaged(e.to_string()))?;
        /// The part of [`About`] that every version has.
        #[derive(Deserialize)]
        struct Version {
            format: u32,
        }
        let foreign = |found: String| {
            Unusable::Foreign(format!("expected a checkpoint of format {FORMAT}, found {found}"))
        };
        match serde_json::from_str(&about) {
            Ok(Version { format: FORMAT }) => {}
            Ok(Version { format }) => return Err(foreign(format!("format {format}"))),
            Err(_) => return Err(foreign("no format".to_owned())),
        }
        let about = serde_json::from_str(&about).map_err(|e| foreign(e.to_string()))?;
        Ok(Self { state, about })
    }
}

/// Returns the bytes with their checksum in its place.
fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    let at = place(&bytes).expect("the metadata begins with the checksum");
    let checksum = format!("{:08x}", crc(&bytes));
    bytes[at..at + checksum.len()].copy_from_slice(checksum.as_bytes());
    bytes
}

/// Checks the checksum of a file.
fn check(bytes: &[u8]) -> Result<(), String> {
    let len = NO_CHECKSUM.len();
    let Some((at, found)) = place(bytes).and_then(|at| Some((at, bytes.get(at..at + len)?))) else {
        return Err("expected a checkpoint with a checksum, found none".to_owned());
    };
    let mut blank = bytes.to_vec();
    blank[at..at + len].copy_from_slice(NO_CHECKSUM.as_bytes());
    let expected = format!("{:08x}", crc(&blank));
    match found == expected.as_bytes() {
        true => Ok(()),
        false => {
            let found = String::from_utf8_lossy(found);
            Err(format!("the checksum is {found}, that of the content is {expected}"))
        }
    }
}

/// Returns the place of the checksum.
fn place(bytes: &[u8]) -> Option<usize> {
    /// Bytes among which the metadata begins.
    const START: usize = 100;
    let start = &bytes[..bytes.len().min(START)];
    let found = start.windows(CHECKSUM.len()).position(|window| window == CHECKSUM.as_bytes());
    found.map(|at| at + CHECKSUM.len())
}

/// Returns the CRC-32 of some bytes.
pub(super) fn crc(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}

const LAST: &str = "last.safetensors";
const BEST: &str = "best.safetensors";

/// The checkpoints of a run: the last one under that name, earlier ones by step, and the weights of the best evaluation.
pub(super) struct Checkpoints {
    folder: PathBuf,
    /// Checkpoints to keep, the last one included.
    keep: usize,
    /// Step of the checkpoint that is now the last one, if it is intact.
    last: Option<u64>,
}

impl Checkpoints {
    pub(super) fn of(folder: &Folder, keep: usize) -> Self {
        Self { folder: folder.file("checkpoints"), keep, last: None }
    }

    /// Creates their folder.
    pub(super) fn create(&self) -> Result<(), RunError> {
        fs::create_dir_all(&self.folder)
            .map_err(|error| RunError::file(&self.folder, "cannot be written", error))
    }

    /// Writes a checkpoint. The one before keeps its content under the name of its step.
    pub(super) fn save(&mut self, checkpoint: &Checkpoint) -> Result<(), RunError> {
        let failed = |error| RunError::file(&self.folder, "cannot be written", error);
        let bytes = checkpoint.to_bytes()?;
        let last = self.folder.join(LAST);
        if let Some(step) = self.last.filter(|step| self.keep > 1 && *step != checkpoint.step()) {
            let old = self.folder.join(format!("step-{step}.safetensors"));
            // There may be a damaged one.
            let _ = fs::remove_file(&old);
            // Some file systems have no links.
            fs::hard_link(&last, &old)
                .or_else(|_| fs::copy(&last, &old).map(drop))
                .map_err(failed)?;
        }
        wengert_io::replace_file(&last, &bytes)?;
        self.last = Some(checkpoint.step());
        let mut old = self.steps();
        old.retain(|(step, _)| *step != checkpoint.step());
        for (_, path) in old.into_iter().skip(self.keep - 1) {
            // One that stays takes room and does no harm.
            let _ = fs::remove_file(path);
        }
        Ok(())
    }

    /// Writes the weights of the best evaluation, which `step` names.
    pub(super) fn save_best(
        &self,
        weights: Vec<(String, Tensor<f32>)>,
        step: u64,
    ) -> Result<(), RunError> {
        let step = step.to_string();
        let metadata = [("checksum", NO_CHECKSUM), ("step", step.as_str())];
        let bytes = safetensors::to_bytes_with(&weights.into_iter().collect(), &metadata)?;
        Ok(wengert_io::replace_file(self.folder.join(BEST), &sealed(bytes))?)
    }

    /// Writes the weights before a step that went wrong.
    pub(super) fn save_good(&self, weights: Vec<(String, Tensor<f32>)>) -> Result<(), RunError> {
        let path = self.folder.join("good.safetensors");
        Ok(safetensors::write(path, &weights.into_iter().collect())?)
    }

    /// Returns the bytes of the best weights and their step.
    pub(super) fn best(&self) -> Result<(Vec<u8>, u64), String> {
        let path = self.folder.join(BEST);
        let read = || {
            let bytes = fs::read(&path).map_err(|e| format!("cannot be read: {e}"))?;
            check(&bytes)?;
            let metadata = safetensors::metadata(&bytes).map_err(|e| e.to_string())?;
            let step = metadata.get("step").and_then(|step| step.parse().ok());
            step.map(|step| (bytes, step)).ok_or("it names no step".to_owned())
        };
        read().map_err(|reason| format!("{}: {reason}", path.display()))
    }

    /// Returns the earlier checkpoints, the latest first.
    fn steps(&self) -> Vec<(u64, PathBuf)> {
        let entries = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let step = |path: PathBuf| {
            let name = path.file_name()?.to_str()?;
            let step = name.strip_prefix("step-")?.strip_suffix(".safetensors")?.parse().ok()?;
            Some((step, path))
        };
        let mut steps: Vec<_> = entries.filter_map(|entry| step(entry.path())).collect();
        steps.sort_by_key(|(step, _)| std::cmp::Reverse(*step));
        steps
    }

    /// Returns the paths of all checkpoints, the latest first.
    pub(super) fn paths(&self) -> Vec<PathBuf> {
        let last = Some(self.folder.join(LAST)).filter(|path| path.exists());
        last.into_iter().chain(self.steps().into_iter().map(|(_, path)| path)).collect()
    }

    /// Notes that the file of the last checkpoint is intact and of this step, or that there is none such.
    pub(super) fn set_last(&mut self, path: Option<&Path>, step: u64) {
        self.last = path.filter(|path| path.ends_with(LAST)).map(|_| step);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_altered_byte_and_every_missing_end_is_recognized() {
        let state = OptimizerState {
            tensors: [("weight".to_owned(), Tensor::from([1.0, 2.0, 3.0]))].into(),
            numbers: [("trainer/step".to_owned(), 7.0)].into(),
        };
        let about = About::new("seed = 1\n".to_owned(), "00".to_owned(), 5);
        let bytes = Checkpoint { state, about }.to_bytes().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("last.safetensors");
        fs::write(&path, &bytes).unwrap();
        let read = Checkpoint::read(&path).ok().unwrap();
        assert_eq!((read.step(), read.about.metrics_bytes), (7, 5));
        assert_eq!(check(&bytes), Ok(()));
        for at in 0..bytes.len() {
            let mut altered = bytes.clone();
            altered[at] ^= 1 << (at % 8);
            assert!(check(&altered).is_err(), "byte {at}");
            assert!(check(&bytes[..at]).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn the_checksum_is_crc_32() {
        // The check value of the CRC catalogue.
        assert_eq!(crc(b"123456789"), 0xcbf4_3926);
    }
}
