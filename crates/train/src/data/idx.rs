//! IDX, the format of MNIST and its relatives: <https://yann.lecun.com/exdb/mnist/>, plain or compressed by gzip.
//!
//! ```
//! use wengert_core::Tensor;
//! use wengert_train::data::idx;
//!
//! let bytes = [0, 0, 0x08, 2, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 4, 5, 6]; // Bytes, two axes: 2 by 3.
//! assert_eq!(idx::from_bytes(&bytes)?, Tensor::from([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]));
//!
//! let error = idx::from_bytes(&bytes[..17]).unwrap_err();
//! assert_eq!(error.to_string(), "byte 12: expected 6 numbers of 1 byte for [2, 3], found 5 bytes");
//! # Ok::<(), wengert_train::DataError>(())
//! ```

use std::fs;
use std::io::Read;
use std::path::Path;

use flate2::read::MultiGzDecoder;
use wengert_core::{Indices, Shape, Tensor};

use super::{Dataset, Targets};
use crate::DataError;

/// Reads the numbers in a file.
///
/// # Errors
/// If the file cannot be read, is no IDX file, or has not as many numbers as it claims.
pub fn read(path: impl AsRef<Path>) -> Result<Tensor<f32>, DataError> {
    let path = path.as_ref();
    let bytes = fs::read(path).map_err(|error| DataError::unreadable(path, error))?;
    from_bytes(&bytes).map_err(|error| error.in_file(path))
}

/// Reads the numbers in the bytes of a file.
///
/// # Errors
/// If they are no IDX file, or have not as many numbers as they claim.
pub fn from_bytes(bytes: &[u8]) -> Result<Tensor<f32>, DataError> {
    match bytes {
        [0x1f, 0x8b, ..] => decode(MultiGzDecoder::new(bytes)),
        _ => decode(bytes),
    }
}

/// Reads images and their classes: a file of bytes `[n, height, width]`, which become images `[n, 1, height, width]`
/// from 0 to 1, and a file of labels `[n]`, which are numbers of these classes.
///
/// # Errors
/// Those of [`read`]; if the files have other shapes, or a label is outside of the classes.
pub fn images<S: Into<String>>(
    images: impl AsRef<Path>,
    labels: impl AsRef<Path>,
    classes: impl IntoIterator<Item = S>,
) -> Result<Dataset, DataError> {
    let (images_path, path) = (images.as_ref(), labels.as_ref());
    let mut images = read(images_path)?;
    let &[rows, height, width] = &*images.shape() else {
        let error =
            DataError::expected("images [n, height, width]", format!("{:?}", images.shape()));
        return Err(error.in_file(images_path));
    };
    images.as_mut_slice().iter_mut().for_each(|pixel| *pixel /= 255.0);
    let labels = read(path)?;
    if *labels.shape() != [rows] {
        let found = format!("{:?}", labels.shape());
        return Err(DataError::expected(format!("{rows} labels"), found).in_file(path));
    }
    let images = Tensor::from_vec(images.to_vec(), [rows, 1, height, width]);
    let names: Vec<String> = classes.into_iter().map(Into::into).collect();
    let labels = classes_of(&labels, names.len()).map_err(|error| error.in_file(path))?;
    Ok(Dataset::new(images, Targets::classes(labels, names)))
}

/// Returns labels that are stored as numbers.
pub(super) fn classes_of(labels: &Tensor<f32>, classes: usize) -> Result<Indices, DataError> {
    let class = |(row, &label): (usize, &f32)| {
        if label.fract() == 0.0 && (0.0..classes as f32).contains(&label) {
            return Ok(label as usize);
        }
        let last = classes.saturating_sub(1);
        Err(DataError::expected(format!("a class from 0 to {last} in row {row}"), label))
    };
    let labels = labels.as_slice().iter().enumerate().map(class);
    Ok(labels.collect::<Result<Vec<_>, _>>()?.into())
}

fn decode(mut reader: impl Read) -> Result<Tensor<f32>, DataError> {
    let unreadable = |error: std::io::Error| DataError::new(format!("cannot be read: {error}"));
    let mut take = |count: u64| {
        let mut bytes = Vec::new();
        reader.by_ref().take(count).read_to_end(&mut bytes).map_err(unreadable)?;
        Ok::<_, DataError>(bytes)
    };
    let start = take(4)?;
    let (size, number): (usize, fn(&[u8]) -> f32) = match start[..] {
        [0, 0, 0x08, _] => (1, |b| f32::from(b[0])),
        [0, 0, 0x09, _] => (1, |b| f32::from(b[0] as i8)),
        [0, 0, 0x0b, _] => (2, |b| f32::from(i16::from_be_bytes([b[0], b[1]]))),
        [0, 0, 0x0c, _] => (4, |b| i32::from_be_bytes([b[0], b[1], b[2], b[3]]) as f32),
        [0, 0, 0x0d, _] => (4, |b| f32::from_be_bytes([b[0], b[1], b[2], b[3]])),
        [0, 0, 0x0e, _] => {
            (8, |b| f64::from_be_bytes([b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7]]) as f32)
        }
        _ => {
            let expected =
                "byte 0: expected an IDX file, which begins with two zeros and a type of numbers";
            return Err(DataError::new(format!("{expected}, found {start:?}")));
        }
    };
    let rank = usize::from(start[3]);
    let bytes = take(4 * rank as u64)?;
    let extents: Vec<usize> = bytes
        .chunks_exact(4)
        .map(|b| u32::from_be_bytes([b[0], b[1], b[2], b[3]]) as usize)
        .collect();
    if extents.len() < rank {
        let found = extents.len();
        return Err(DataError::new(format!("byte 4: expected {rank} extents, found {found}")));
    }
    let shape = Shape::try_new(&extents)
        .map_err(|error| DataError::new(format!("byte 4: expected a usual shape: {error}")))?;
    let length = shape.numel() * size; // A shape that is possible has far fewer bytes than 2^64.
    // One byte more than claimed shows that there are too many.
    let data = take((length as u64).saturating_add(1))?;
    if data.len() != length {
        let unit = if size == 1 { "byte" } else { "bytes" };
        let (place, count) = (4 + 4 * rank, length / size);
        let found = if data.len() > length { "more".to_owned() } else { data.len().to_string() };
        return Err(DataError::new(format!(
            "byte {place}: expected {count} numbers of {size} {unit} for {shape:?}, found {found} bytes"
        )));
    }
    Ok(Tensor::from_vec(data.chunks_exact(size).map(number).collect(), shape))
}
