//! Named tensors in the format of safetensors (<https://huggingface.co/docs/safetensors>): the length
//! of a header in JSON, the header, and the numbers, little-endian, without gaps.
//!
//! What is written holds f32 or f64. What is read may hold any of `F64`, `F32`, `F16`, `BF16`, the
//! integers and `BOOL`; the numbers are rounded to the precision asked for.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use ::safetensors::tensor::{Dtype, TensorInfo, TensorView, serialize};
use serde_json::Value;
use wengert_core::{Float, Tensor};

use crate::number::{self, Kind};
use crate::{FileError, file};

/// All tensors of a file, by name.
///
/// # Errors
/// When the file cannot be read, or as [`from_bytes`].
pub fn read<F: Float>(path: impl AsRef<Path>) -> Result<BTreeMap<String, Tensor<F>>, FileError> {
    file::read(path.as_ref(), from_bytes)
}

/// All tensors of a file that is in memory, by name.
///
/// # Errors
/// When the bytes are no safetensors file, or a tensor holds something else than numbers.
pub fn from_bytes<F: Float>(bytes: &[u8]) -> Result<BTreeMap<String, Tensor<F>>, FileError> {
    let mut arrays = BTreeMap::new();
    for (name, stored) in Contents::of(bytes)?.tensors {
        let array = stored.array().map_err(|error| error.in_tensor(&name))?;
        arrays.insert(name, array);
    }
    Ok(arrays)
}

/// Writes named tensors to a file, which is replaced at once or not at all.
///
/// # Errors
/// When the file cannot be written.
pub fn write<F: Float>(
    path: impl AsRef<Path>,
    tensors: &BTreeMap<String, Tensor<F>>,
) -> Result<(), FileError> {
    let path = path.as_ref();
    let bytes = to_bytes(tensors).map_err(|error| error.in_file(path))?;
    file::write(path, &bytes)
}

/// A file of named tensors, in memory.
///
/// # Errors
/// When the names alone take more than the 100 MB that the format allows a header, or one of them is
/// `__metadata__`.
pub fn to_bytes<F: Float>(tensors: &BTreeMap<String, Tensor<F>>) -> Result<Vec<u8>, FileError> {
    let entries = tensors.iter().map(|(name, array)| Entry::new(name, array)).collect::<Vec<_>>();
    encode(&entries, [("format", "pt".to_owned())])
}

/// The name under which a header keeps what is no tensor.
const METADATA: &str = "__metadata__";

/// A tensor on its way to a file.
pub(crate) struct Entry {
    name: String,
    dtype: Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl Entry {
    pub(crate) fn new<F: Float>(name: &str, array: &Tensor<F>) -> Self {
        Self {
            name: name.to_owned(),
            dtype: if Kind::of::<F>() == Kind::F32 { Dtype::F32 } else { Dtype::F64 },
            shape: array.shape().to_vec(),
            bytes: number::encode(array.as_slice()),
        }
    }
}

/// The bytes of a file. There is one entry of metadata, because the format gives them no order: the
/// same tensors are always the same bytes.
pub(crate) fn encode(
    entries: &[Entry],
    metadata: [(&str, String); 1],
) -> Result<Vec<u8>, FileError> {
    let wrong = |what: &dyn ToString| FileError::content("tensors for a file", what.to_string());
    let mut views = Vec::new();
    for Entry { name, dtype, shape, bytes } in entries {
        if name == METADATA {
            return Err(FileError::content("the name of a tensor", format!("`{METADATA}`")));
        }
        let view = TensorView::new(*dtype, shape.clone(), bytes).map_err(|error| wrong(&error))?;
        views.push((name.as_str(), view));
    }
    let metadata: HashMap<String, String> =
        metadata.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    serialize(views, Some(metadata)).map_err(|error| wrong(&error))
}

/// A file, checked but for the types of its numbers.
pub(crate) struct Contents<'a> {
    pub(crate) metadata: BTreeMap<String, String>,
    pub(crate) tensors: BTreeMap<String, Stored<'a>>,
}

/// A tensor as a file holds it.
pub(crate) struct Stored<'a> {
    pub(crate) dtype: Dtype,
    pub(crate) shape: Vec<usize>,
    bytes: &'a [u8],
}

impl<'a> Contents<'a> {
    /// Takes a file apart. The reader of the crate `safetensors` is not asked: its errors do not name the
    /// tensor, and offsets near the largest number overflow in it.
    pub(crate) fn of(bytes: &'a [u8]) -> Result<Self, FileError> {
        let Some((length, rest)) = bytes.split_first_chunk() else {
            let found = format!("{} bytes", bytes.len());
            return Err(FileError::content("a safetensors file, of 8 bytes or more", found));
        };
        let length = u64::from_le_bytes(*length);
        let split = usize::try_from(length).ok().and_then(|length| rest.split_at_checked(length));
        let Some((header, data)) = split else {
            let found = format!("{} bytes after its length", rest.len());
            return Err(FileError::content(format!("a header of {length} bytes"), found));
        };
        let header: BTreeMap<String, Value> =
            json("a header in JSON", || serde_json::from_slice(header))?;
        let (mut metadata, mut tensors, mut ranges) = (BTreeMap::new(), BTreeMap::new(), vec![]);
        for (name, value) in header {
            if name == METADATA {
                metadata = json("metadata of strings", || serde_json::from_value(value))?;
                continue;
            }
            let stored = stored(value, data).map_err(|error| error.in_tensor(&name))?;
            ranges.push((stored.1, name.clone()));
            tensors.insert(name, stored.0);
        }
        ranges.sort();
        let mut at = 0;
        for ((start, end), name) in ranges {
            if start != at {
                let found = format!("them at {start}");
                let expected = format!("its numbers at byte {at} of the data, where the last end");
                return Err(FileError::content(expected, found).in_tensor(&name));
            }
            at = end;
        }
        if at != data.len() {
            let found = format!("{} bytes", data.len());
            return Err(FileError::content(format!("{at} bytes of data"), found));
        }
        Ok(Self { metadata, tensors })
    }
}

fn json<T>(
    expected: &str,
    parse: impl FnOnce() -> Result<T, serde_json::Error>,
) -> Result<T, FileError> {
    parse().map_err(|error| FileError::content(expected, error.to_string()))
}

/// The tensor that an entry of the header describes, and where its bytes are in the data.
fn stored(value: Value, data: &[u8]) -> Result<(Stored<'_>, (usize, usize)), FileError> {
    let TensorInfo { dtype, shape, data_offsets } =
        json("dtype, shape and data_offsets", || serde_json::from_value(value))?;
    let (start, end) = data_offsets;
    let Some(bytes) = data.get(start..end) else {
        let found = format!("bytes {start} to {end}");
        return Err(FileError::content(format!("a part of {} bytes of data", data.len()), found));
    };
    let bits = shape.iter().try_fold(dtype.bitsize(), |n, &extent| n.checked_mul(extent));
    if bits != bytes.len().checked_mul(8) {
        let expected = format!("the bytes of {dtype} {shape:?}");
        return Err(FileError::content(expected, format!("{} bytes", bytes.len())));
    }
    Ok((Stored { dtype, shape, bytes }, (start, end)))
}

impl Stored<'_> {
    /// Its numbers in precision `F`.
    pub(crate) fn array<F: Float>(&self) -> Result<Tensor<F>, FileError> {
        let kind = match self.dtype {
            Dtype::BOOL => Kind::Bool,
            Dtype::U8 => Kind::U8,
            Dtype::I8 => Kind::I8,
            Dtype::U16 => Kind::U16,
            Dtype::I16 => Kind::I16,
            Dtype::U32 => Kind::U32,
            Dtype::I32 => Kind::I32,
            Dtype::U64 => Kind::U64,
            Dtype::I64 => Kind::I64,
            Dtype::F16 => Kind::F16,
            Dtype::BF16 => Kind::BF16,
            Dtype::F32 => Kind::F32,
            Dtype::F64 => Kind::F64,
            other => {
                let expected = "F64, F32, F16, BF16, an integer type or BOOL";
                return Err(FileError::content(expected, other.to_string()));
            }
        };
        let shape = number::shape(&self.shape)?;
        Ok(Tensor::from_vec(kind.decode(self.bytes, false), shape))
    }
}
