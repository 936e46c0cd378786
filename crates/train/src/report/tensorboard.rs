//! The metrics of a run as event files, which TensorBoard reads.
//!
//! An event file is a sequence of records (the TFRecord format): the length, its checksum, the content, its checksum.
//! The content is an `Event` in protobuf's encoding. Sources:
//! <https://www.tensorflow.org/tutorials/load_data/tfrecord>, `tensorboard/compat/proto/event.proto`, `summary.proto`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::folder::in_file;
use super::history::{Curve, History};

/// Writes `metrics.jsonl` of a run's folder as TensorBoard event files below `to`, one in a folder for each split, and
/// returns their paths. Existing ones are replaced.
///
/// Tags are `loss`, `lr`, `grad_norm/0.weight` and so on, with numbers of steps. The metrics have no times, so every
/// step counts as one second.
///
/// ```
/// let folder = tempfile::tempdir()?;
/// let metrics = r#"{"epoch":1,"step":38,"split":"train","loss":0.7}"#;
/// std::fs::write(folder.path().join("metrics.jsonl"), metrics)?;
/// let files = wengert_train::report::tensorboard(folder.path(), folder.path().join("events"))?;
/// assert!(files[0].ends_with("train/events.out.tfevents.0.wengert"));
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
/// If a file cannot be read or written. The message names it.
pub fn tensorboard(folder: impl AsRef<Path>, to: impl AsRef<Path>) -> io::Result<Vec<PathBuf>> {
    let metrics = folder.as_ref().join("metrics.jsonl");
    let text = fs::read_to_string(&metrics).map_err(|error| in_file(&metrics, &error))?;
    let history = History::over(&text, "step");
    let mut splits: Vec<&str> = Vec::new();
    for curve in &history.curves {
        if !curve.of.is_empty() && !splits.contains(&&*curve.of) {
            splits.push(&curve.of);
        }
    }
    let mut files = Vec::new();
    for split in splits {
        // A name from a file is one folder here, and leads nowhere else.
        let name = split.replace(|c: char| !c.is_alphanumeric() && c != '-' && c != '_', "_");
        let file = to.as_ref().join(name).join("events.out.tfevents.0.wengert");
        fs::create_dir_all(file.parent().unwrap_or(Path::new(".")))
            .and_then(|()| fs::write(&file, events(&history, split)))
            .map_err(|error| in_file(&file, &error))?;
        files.push(file);
    }
    Ok(files)
}

/// The event file of a split. The rate and the norms of layers belong to the training.
fn events(history: &History, split: &str) -> Vec<u8> {
    let is_train = split == "train";
    let is_own = |curve: &&Curve| curve.of == split || is_train && curve.of.is_empty();
    let own = history.curves.iter().filter(is_own);
    let layers = history.layers.iter().filter(|_| is_train);
    let tagged = own.map(|curve| (curve.quantity.clone(), curve));
    let tag = |curve: &Curve| format!("{}/{}", curve.quantity, curve.of);
    let tagged = tagged.chain(layers.map(|curve| (tag(curve), curve)));
    let mut scalars = Vec::new();
    for (tag, curve) in tagged {
        scalars
            .extend(curve.points.iter().map(|(step, value)| (*step as u64, tag.clone(), *value)));
    }
    // Stable: within a step the order of the tags stays.
    scalars.sort_by_key(|(step, ..)| *step);
    let mut file = Vec::new();
    record(&mut file, &version());
    for (step, tag, value) in scalars {
        record(&mut file, &scalar(step, &tag, value as f32));
    }
    file
}

/// The event that begins a file.
fn version() -> Vec<u8> {
    let mut event = Vec::new();
    field(&mut event, 3, b"brain.Event:2");
    event
}

/// An event with the value of one tag.
fn scalar(step: u64, tag: &str, number: f32) -> Vec<u8> {
    let mut value = Vec::new();
    field(&mut value, 1, tag.as_bytes());
    value.push(2 << 3 | FIXED_32);
    value.extend(number.to_le_bytes());
    let mut summary = Vec::new();
    field(&mut summary, 1, &value);
    let mut event = vec![1 << 3 | FIXED_64];
    event.extend((step as f64).to_le_bytes());
    event.push(2 << 3 | VARINT);
    varint(&mut event, step);
    field(&mut event, 5, &summary);
    event
}

/// Kinds of protobuf fields.
const VARINT: u8 = 0;
const FIXED_64: u8 = 1;
const BYTES: u8 = 2;
const FIXED_32: u8 = 5;

/// Appends a field of bytes: a text or a message.
fn field(message: &mut Vec<u8>, number: u8, content: &[u8]) {
    message.push(number << 3 | BYTES);
    varint(message, content.len() as u64);
    message.extend(content);
}

/// Appends a number, seven bits to a byte, the lowest first.
fn varint(message: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        message.push(number as u8 | 0x80);
        number >>= 7;
    }
    message.push(number as u8);
}

fn record(file: &mut Vec<u8>, content: &[u8]) {
    let length = (content.len() as u64).to_le_bytes();
    file.extend(length);
    file.extend(masked(crc32c(&length)).to_le_bytes());
    file.extend(content);
    file.extend(masked(crc32c(content)).to_le_bytes());
}

/// The checksum as records store it, so that a checksum of data with checksums stays useful.
fn masked(crc: u32) -> u32 {
    crc.rotate_right(15).wrapping_add(0xa282_ead8)
}

/// CRC-32C (Castagnoli), bit by bit: the files are small.
fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0x82f6_3b78 & (crc & 1).wrapping_neg())
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_of_rfc_3720() {
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }

    /// The bytes that the summary writer of TensorBoard's own record writer makes: `tests/report/events.py`.
    #[test]
    fn bytes_of_tensorboard() {
        let text = "{\"epoch\":1,\"step\":300,\"split\":\"train\",\"loss\":0.5,\"grad_norm\":{\"w\":null}}\n\
                    {\"epoch\":1,\"step\":300,\"split\":\"validation\",\"loss\":0.25}\n";
        let history = History::over(text, "step");
        let expected = include_bytes!("../../tests/report/events.tfevents");
        assert_eq!(events(&history, "train"), expected);
    }
}
