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

use std::collections::BTreeMap;
use std::io::{self, Cursor, Read, Seek, SeekFrom, Write};
use std::path::Path;

use ::safetensors::tensor::{self, Metadata, TensorInfo};
use wengert_core::{Float, Shape, Tensor};

use crate::dtype::{self, Dtype};
use crate::header::{self, Header, LENGTH, METADATA};
use crate::{FileError, file, foreign};

/// Reads all tensors of a file by name, rounded to precision `F`.
///
/// # Errors
/// If the file cannot be read, is no safetensors file, or holds something other than numbers.
pub fn read<F: Float>(path: impl AsRef<Path>) -> Result<BTreeMap<String, Tensor<F>>, FileError> {
    file::read(path.as_ref(), |file| all(Contents::parse(file)?))
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
    all(Contents::parse(Cursor::new(bytes))?)
}

fn all<F: Float>(
    contents: Contents<impl Read + Seek>,
) -> Result<BTreeMap<String, Tensor<F>>, FileError> {
    let Contents { mut data, tensors, .. } = contents;
    let read = |(name, stored): (String, Stored)| {
        let tensor = data.tensor(&stored).map_err(|error| error.in_tensor(&name))?;
        Ok((name, tensor))
    };
    tensors.into_iter().map(read).collect()
}

/// Writes named tensors to a file, in their own precision. The file is replaced atomically.
///
/// # Errors
/// If the file cannot be written, or [`to_bytes`] refuses the names.
pub fn write<F: Float>(
    path: impl AsRef<Path>,
    tensors: &BTreeMap<String, Tensor<F>>,
) -> Result<(), FileError> {
    file::write(path.as_ref(), |file| encode(&entries(tensors), &[PYTORCH], file))
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
    let mut bytes = Vec::new();
    encode(&entries(tensors), &[PYTORCH], &mut bytes)?;
    Ok(bytes)
}

/// The metadata with which other libraries recognize weights.
const PYTORCH: (&str, &str) = ("format", "pt");

fn entries<F: Float>(tensors: &BTreeMap<String, Tensor<F>>) -> Vec<(&str, &dyn Array)> {
    tensors.iter().map(|(name, tensor)| (name.as_str(), tensor as &dyn Array)).collect()
}

/// A tensor of either precision, to be written.
pub(crate) trait Array {
    fn dtype(&self) -> tensor::Dtype;
    fn shape(&self) -> Shape;
    fn write(&self, to: &mut dyn Write) -> io::Result<()>;
}

impl<F: Float> Array for Tensor<F> {
    fn dtype(&self) -> tensor::Dtype {
        if Dtype::of::<F>() == Dtype::F32 { tensor::Dtype::F32 } else { tensor::Dtype::F64 }
    }
    fn shape(&self) -> Shape {
        Tensor::shape(self)
    }
    fn write(&self, to: &mut dyn Write) -> io::Result<()> {
        dtype::write(self.as_slice(), to)
    }
}

/// Writes a file. The entries of metadata stand in the given order, so that equal content gives equal bytes.
pub(crate) fn encode(
    entries: &[(&str, &dyn Array)],
    metadata: &[(&str, &str)],
    to: &mut dyn Write,
) -> Result<(), FileError> {
    if entries.iter().any(|(name, _)| *name == METADATA) {
        return Err(FileError::content("the name of a tensor", format!("`{METADATA}`")));
    }
    // Larger numbers come first, so that all are aligned.
    let mut entries = entries.to_vec();
    entries.sort_by(|(a, left), (b, right)| right.dtype().cmp(&left.dtype()).then(a.cmp(b)));
    let mut end = 0;
    let infos = entries.iter().map(|(name, array)| {
        let (dtype, shape, start) = (array.dtype(), array.shape(), end);
        end += shape.numel() * dtype.bitsize() / 8;
        let info = TensorInfo { dtype, shape: shape.to_vec(), data_offsets: (start, end) };
        ((*name).to_owned(), info)
    });
    let infos = infos.collect();
    let wrong = |error: &dyn ToString| FileError::content("tensors for a file", error.to_string());
    let infos = Metadata::new(None, infos).map_err(|error| wrong(&error))?;
    let infos = serde_json::to_string(&infos).map_err(|error| wrong(&error))?;
    let mut header = with_metadata(&infos, metadata).into_bytes();
    header.resize(header.len().next_multiple_of(LENGTH), b' ');
    if header.len() as u64 > header::MAX_BYTES {
        let expected = format!("names that fit in a header of {} bytes", header::MAX_BYTES);
        return Err(FileError::content(expected, format!("{} bytes", header.len())));
    }
    let length = (header.len() as u64).to_le_bytes();
    to.write_all(&length)
        .and_then(|()| to.write_all(&header))
        .and_then(|()| entries.iter().try_for_each(|(_, array)| array.write(to)))
        .map_err(FileError::write)
}

/// Inserts metadata into a header. The crate `safetensors` writes several entries in a random order.
fn with_metadata(infos: &str, metadata: &[(&str, &str)]) -> String {
    let text = |text: &str| serde_json::Value::from(text).to_string();
    let entry = |&(key, value): &(&str, &str)| format!("{}:{}", text(key), text(value));
    let entries = metadata.iter().map(entry).collect::<Vec<_>>().join(",");
    let comma = if infos == "{}" { "" } else { "," };
    format!("{{\"{METADATA}\":{{{entries}}}{comma}{}", &infos[1..])
}

/// Returns the metadata of the bytes of a file: texts by name.
///
/// # Errors
/// If the bytes are no safetensors file.
///
/// ```
/// use wengert_core::Tensor;
/// use wengert_io::safetensors;
///
/// let weights = [("weight".to_owned(), Tensor::<f32>::ones([2]))].into();
/// let bytes = safetensors::to_bytes(&weights)?;
/// assert_eq!(safetensors::metadata(&bytes)?, [("format".to_owned(), "pt".to_owned())].into());
/// # Ok::<(), wengert_io::FileError>(())
/// ```
pub fn metadata(bytes: &[u8]) -> Result<BTreeMap<String, String>, FileError> {
    Ok(Contents::parse(Cursor::new(bytes))?.metadata)
}

/// Returns the bytes of a file with named tensors and these entries of metadata, in this order.
///
/// # Errors
/// In the cases of [`to_bytes`].
pub fn to_bytes_with<F: Float>(
    tensors: &BTreeMap<String, Tensor<F>>,
    metadata: &[(&str, &str)],
) -> Result<Vec<u8>, FileError> {
    let mut bytes = Vec::new();
    encode(&entries(tensors), metadata, &mut bytes)?;
    Ok(bytes)
}

/// A parsed file, in which the numbers are still bytes.
pub(crate) struct Contents<R> {
    pub(crate) metadata: BTreeMap<String, String>,
    pub(crate) tensors: BTreeMap<String, Stored>,
    pub(crate) data: Data<R>,
}

/// A tensor in a file.
pub(crate) struct Stored {
    pub(crate) dtype: tensor::Dtype,
    pub(crate) shape: Vec<usize>,
    /// The first of its bytes in the data.
    start: u64,
}

/// The bytes of the tensors.
pub(crate) struct Data<R> {
    reader: R,
    /// The first byte in the file.
    start: u64,
}

impl<R: Read + Seek> Contents<R> {
    /// Parses a file. The crate `safetensors` has a parser too, but its errors do not name the tensor, offsets
    /// near the largest integer overflow in it, and it needs the whole file in memory.
    pub(crate) fn parse(mut reader: R) -> Result<Self, FileError> {
        let size = reader.seek(SeekFrom::End(0)).map_err(FileError::read)?;
        reader.rewind().map_err(FileError::read)?;
        let header = read_header(&mut reader, size)?;
        let start = LENGTH as u64 + header.len() as u64;
        let Header { metadata, tensors } = Header::parse(&header)?;
        let (mut stored, mut ranges) = (BTreeMap::new(), Vec::new());
        for (name, info) in &tensors {
            check_size(info, size - start).map_err(|error| error.in_tensor(name))?;
            ranges.push((info.data_offsets, name.as_str()));
        }
        check_gaps(ranges, size - start)?;
        for (name, header::Info { dtype, shape, data_offsets }) in tensors {
            stored.insert(name, Stored { dtype, shape, start: data_offsets.0 });
        }
        Ok(Self { metadata, tensors: stored, data: Data { reader, start } })
    }
}

/// Reads the header of a file of `size` bytes.
fn read_header(reader: &mut impl Read, size: u64) -> Result<Vec<u8>, FileError> {
    /// Bytes that tell other formats.
    const START: u64 = 128;
    let mut start = Vec::new();
    reader.take(START).read_to_end(&mut start).map_err(FileError::read)?;
    let is_ours = start.get(LENGTH).is_none_or(|byte| *byte == b'{');
    if !is_ours && let Some(found) = foreign::description(&start) {
        return Err(FileError::content("a safetensors file", found).at_byte(0));
    }
    let Some((length, rest)) = start.split_first_chunk::<LENGTH>() else {
        let expected = "the 8 bytes of a header's length";
        return Err(FileError::content(expected, format!("{size} bytes")).at_byte(0));
    };
    let (length, left) = (u64::from_le_bytes(*length), size - LENGTH as u64);
    if length > header::MAX_BYTES {
        let expected = format!("a header of at most {} bytes", header::MAX_BYTES);
        return Err(FileError::content(expected, format!("{length} bytes")).at_byte(0));
    }
    if length > left {
        let expected = format!("a header of {length} bytes");
        return Err(FileError::content(expected, format!("{left} bytes")).at_byte(LENGTH));
    }
    let length = length as usize;
    let mut header = rest[..length.min(rest.len())].to_vec();
    let have = header.len();
    header.resize(length, 0);
    reader.read_exact(&mut header[have..]).map_err(FileError::read)?;
    Ok(header)
}

/// Checks that a tensor lies in the data and has the bytes that its type and shape need.
fn check_size(info: &header::Info, size: u64) -> Result<(), FileError> {
    let header::Info { dtype, shape, data_offsets: (start, end) } = info;
    if start > end || *end > size {
        let expected = format!("data_offsets in the {size} bytes of data");
        return Err(FileError::content(expected, format!("[{start}, {end}]")));
    }
    let (bytes, product) = (end - start, |n: u64, &extent: &usize| n.checked_mul(extent as u64));
    let bits = shape.iter().try_fold(dtype.bitsize() as u64, product);
    if bits.is_none() || bits != bytes.checked_mul(8) {
        let expected = format!("the bytes of {dtype} {shape:?}");
        return Err(FileError::content(expected, format!("{bytes} bytes")));
    }
    Ok(())
}

/// Checks that the tensors' data follow each other without gaps and fill the file.
fn check_gaps(mut ranges: Vec<((u64, u64), &str)>, size: u64) -> Result<(), FileError> {
    ranges.sort_unstable();
    let mut end = 0;
    for ((start, next), name) in ranges {
        if start != end {
            let expected = format!("data_offsets that begin at {end}, where the last end");
            return Err(FileError::content(expected, start.to_string()).in_tensor(name));
        }
        end = next;
    }
    if end != size {
        return Err(FileError::content(format!("{end} bytes of data"), format!("{size} bytes")));
    }
    Ok(())
}

impl<R: Read + Seek> Data<R> {
    /// Reads a tensor and converts its numbers to precision `F`.
    pub(crate) fn tensor<F: Float>(&mut self, stored: &Stored) -> Result<Tensor<F>, FileError> {
        let dtype = match stored.dtype {
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
        let shape = dtype::checked_shape(&stored.shape)?;
        let place = SeekFrom::Start(self.start + stored.start);
        self.reader.seek(place).map_err(FileError::read)?;
        Ok(Tensor::from_vec(dtype.read(&mut self.reader, shape.numel(), false)?, shape))
    }
}
