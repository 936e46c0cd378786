//! Named tensors in one file: the safetensors format (<https://huggingface.co/docs/safetensors>).
//!
//! A file is the length of a header in eight bytes, the header in JSON, and the numbers, little-endian and
//! without gaps. Reads `F64`, `F32`, `F16`, `BF16`, integers and `BOOL`. Writes `F32` or `F64`.
//!
//! ```
//! use std::collections::BTreeMap;
//! use wengert_core::Tensor;
//! use wengert_io::safetensors;
//!
//! let folder = tempfile::tempdir()?;
//! let path = folder.path().join("weights.safetensors");
//! let weights = BTreeMap::from([
//!     ("fc.weight".to_owned(), Tensor::<f32>::from([[1.0, 2.0], [3.0, 4.0]])),
//!     ("fc.bias".to_owned(), Tensor::from([0.5, -0.5])),
//! ]);
//! safetensors::write(&path, &weights)?; // In Python: safetensors.torch.load_file("weights.safetensors").
//! assert_eq!(safetensors::read(&path)?, weights);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use ::safetensors::tensor::{self, TensorInfo, TensorView, serialize};
use serde_json::Value;
use wengert_core::{Float, Tensor};

use crate::dtype::{self, Dtype};
use crate::{FileError, file};

/// Reads all tensors of a file by name, rounded to precision `F`.
///
/// # Errors
/// If the file cannot be read, is no safetensors file, or holds something other than numbers.
pub fn read<F: Float>(path: impl AsRef<Path>) -> Result<BTreeMap<String, Tensor<F>>, FileError> {
    file::read(path.as_ref(), from_bytes)
}

/// Reads all tensors in the bytes of a file by name, rounded to precision `F`.
///
/// # Errors
/// If the bytes are no safetensors file, or a tensor holds something other than numbers.
///
/// ```
/// let error = wengert_io::safetensors::from_bytes::<f32>(b"PK").unwrap_err();
/// assert_eq!(error.to_string(), "byte 0: expected the 8 bytes of a header's length, found 2 bytes");
/// ```
pub fn from_bytes<F: Float>(bytes: &[u8]) -> Result<BTreeMap<String, Tensor<F>>, FileError> {
    let mut tensors = BTreeMap::new();
    for (name, stored) in Contents::parse(bytes)?.tensors {
        let tensor = stored.tensor().map_err(|error| error.in_tensor(&name))?;
        tensors.insert(name, tensor);
    }
    Ok(tensors)
}

/// Writes named tensors to a file, in their own precision. The file is replaced atomically.
///
/// # Errors
/// If the file cannot be written, or [`to_bytes`] refuses the names.
pub fn write<F: Float>(
    path: impl AsRef<Path>,
    tensors: &BTreeMap<String, Tensor<F>>,
) -> Result<(), FileError> {
    let path = path.as_ref();
    let bytes = to_bytes(tensors).map_err(|error| error.in_file(path))?;
    file::write(path, &bytes)
}

/// Returns the bytes that [`write()`] writes. Equal tensors give equal bytes.
///
/// # Errors
/// If a name is `__metadata__`, or the header would be longer than the 100 MB that the format allows.
///
/// ```
/// use wengert_core::Tensor;
/// use wengert_io::safetensors;
///
/// let weights = [("weight".to_owned(), Tensor::<f32>::from([1.0, 2.0]))].into();
/// assert_eq!(safetensors::from_bytes(&safetensors::to_bytes(&weights)?)?, weights);
/// # Ok::<(), wengert_io::FileError>(())
/// ```
pub fn to_bytes<F: Float>(tensors: &BTreeMap<String, Tensor<F>>) -> Result<Vec<u8>, FileError> {
    let entries = tensors.iter().map(|(name, tensor)| Entry::new(name, tensor)).collect::<Vec<_>>();
    encode(&entries, ("format", "pt".to_owned()))
}

/// The key of the header that holds metadata instead of a tensor.
const METADATA: &str = "__metadata__";

/// A tensor to be written.
pub(crate) struct Entry {
    name: String,
    dtype: tensor::Dtype,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl Entry {
    pub(crate) fn new<F: Float>(name: &str, tensor: &Tensor<F>) -> Self {
        let single = Dtype::of::<F>() == Dtype::F32;
        Self {
            name: name.to_owned(),
            dtype: if single { tensor::Dtype::F32 } else { tensor::Dtype::F64 },
            shape: tensor.shape().to_vec(),
            bytes: dtype::encode(tensor.as_slice()),
        }
    }
}

/// Encodes a file. It has one entry of metadata, because the format does not order several: equal tensors
/// give equal bytes.
pub(crate) fn encode(
    entries: &[Entry],
    (key, value): (&str, String),
) -> Result<Vec<u8>, FileError> {
    let wrong = |error: &dyn ToString| FileError::content("tensors for a file", error.to_string());
    let mut views = Vec::new();
    for Entry { name, dtype, shape, bytes } in entries {
        if name == METADATA {
            return Err(FileError::content("the name of a tensor", format!("`{METADATA}`")));
        }
        let view = TensorView::new(*dtype, shape.clone(), bytes).map_err(|error| wrong(&error))?;
        views.push((name.as_str(), view));
    }
    let metadata = HashMap::from([(key.to_owned(), value)]);
    serialize(views, Some(metadata)).map_err(|error| wrong(&error))
}

/// A parsed file, in which the numbers are still bytes.
pub(crate) struct Contents<'a> {
    pub(crate) metadata: BTreeMap<String, String>,
    pub(crate) tensors: BTreeMap<String, Stored<'a>>,
}

/// A tensor in a file.
pub(crate) struct Stored<'a> {
    pub(crate) dtype: tensor::Dtype,
    pub(crate) shape: Vec<usize>,
    bytes: &'a [u8],
}

impl<'a> Contents<'a> {
    /// Parses a file. The crate `safetensors` has a parser too, but its errors do not name the tensor, and
    /// offsets near the largest integer overflow in it.
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, FileError> {
        let (header, data) = split(bytes)?;
        let header: BTreeMap<String, Value> =
            json("a header in JSON", || serde_json::from_slice(header))
                .map_err(|error| error.at_byte(LENGTH))?;
        let (mut metadata, mut tensors, mut ranges) = (BTreeMap::new(), BTreeMap::new(), vec![]);
        for (name, value) in header {
            if name == METADATA {
                metadata = json("metadata of strings", || serde_json::from_value(value))?;
                continue;
            }
            let (tensor, range) = stored(value, data).map_err(|error| error.in_tensor(&name))?;
            ranges.push((range, name.clone()));
            tensors.insert(name, tensor);
        }
        check_gaps(ranges, data.len())?;
        Ok(Self { metadata, tensors })
    }
}

/// Bytes of the header's length.
const LENGTH: usize = 8;

/// Splits a file into its header and its data.
fn split(bytes: &[u8]) -> Result<(&[u8], &[u8]), FileError> {
    let wrong = |expected: &str, found: usize, at| {
        Err(FileError::content(expected, format!("{found} bytes")).at_byte(at))
    };
    let Some((length, rest)) = bytes.split_first_chunk::<LENGTH>() else {
        return wrong("the 8 bytes of a header's length", bytes.len(), 0);
    };
    let length = u64::from_le_bytes(*length);
    match usize::try_from(length).ok().and_then(|length| rest.split_at_checked(length)) {
        Some(split) => Ok(split),
        None => wrong(&format!("a header of {length} bytes"), rest.len(), LENGTH),
    }
}

/// Checks that the tensors' data follow each other without gaps and fill the file.
fn check_gaps(mut ranges: Vec<((usize, usize), String)>, size: usize) -> Result<(), FileError> {
    ranges.sort();
    let mut end = 0;
    for ((start, next), name) in ranges {
        if start != end {
            let expected = format!("data_offsets that begin at {end}, where the last end");
            return Err(FileError::content(expected, start.to_string()).in_tensor(&name));
        }
        end = next;
    }
    if end != size {
        return Err(FileError::content(format!("{end} bytes of data"), format!("{size} bytes")));
    }
    Ok(())
}

fn json<T>(
    expected: &str,
    parse: impl FnOnce() -> Result<T, serde_json::Error>,
) -> Result<T, FileError> {
    parse().map_err(|error| FileError::content(expected, error.to_string()))
}

/// Reads an entry of the header: the tensor, and where its bytes are in the data.
fn stored(value: Value, data: &[u8]) -> Result<(Stored<'_>, (usize, usize)), FileError> {
    let TensorInfo { dtype, shape, data_offsets } =
        json("dtype, shape and data_offsets", || serde_json::from_value(value))?;
    let (start, end) = data_offsets;
    let Some(bytes) = data.get(start..end) else {
        let expected = format!("data_offsets in the {} bytes of data", data.len());
        return Err(FileError::content(expected, format!("[{start}, {end}]")));
    };
    let bits = shape.iter().try_fold(dtype.bitsize(), |n, &extent| n.checked_mul(extent));
    if bits != bytes.len().checked_mul(8) {
        let expected = format!("the bytes of {dtype} {shape:?}");
        return Err(FileError::content(expected, format!("{} bytes", bytes.len())));
    }
    Ok((Stored { dtype, shape, bytes }, (start, end)))
}

impl Stored<'_> {
    /// Converts the numbers to precision `F`.
    pub(crate) fn tensor<F: Float>(&self) -> Result<Tensor<F>, FileError> {
        let dtype = match self.dtype {
            tensor::Dtype::BOOL => Dtype::Bool,
            tensor::Dtype::U8 => Dtype::U8,
            tensor::Dtype::I8 => Dtype::I8,
            tensor::Dtype::U16 => Dtype::U16,
            tensor::Dtype::I16 => Dtype::I16,
            tensor::Dtype::U32 => Dtype::U32,
            tensor::Dtype::I32 => Dtype::I32,
            tensor::Dtype::U64 => Dtype::U64,
            tensor::Dtype::I64 => Dtype::I64,
            tensor::Dtype::F16 => Dtype::F16,
            tensor::Dtype::BF16 => Dtype::BF16,
            tensor::Dtype::F32 => Dtype::F32,
            tensor::Dtype::F64 => Dtype::F64,
            other => {
                let expected = "F64, F32, F16, BF16, an integer type or BOOL";
                return Err(FileError::content(expected, other.to_string()));
            }
        };
        let shape = dtype::checked_shape(&self.shape)?;
        Ok(Tensor::from_vec(dtype.decode(self.bytes, false), shape))
    }
}
