//! One array in a file: NumPy's `.npy` format, versions 1 to 3
//! (<https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>).
//!
//! Reads floats of two, four or eight bytes, integers and `bool`, in either byte order or none, row-major or
//! column-major. Writes `<f4` or `<f8`, row-major.
//!
//! ```
//! use wengert_core::Tensor;
//! use wengert_io::npy;
//!
//! let folder = tempfile::tempdir()?;
//! let path = folder.path().join("x.npy");
//! let x = Tensor::<f32>::from([[1.0, 2.0], [3.0, 4.0]]);
//! npy::write(&path, &x)?; // In Python: numpy.load("x.npy").
//! assert_eq!(npy::read::<f32>(&path)?, x);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::io::{self, Cursor, Read, Seek, SeekFrom, Write};
use std::path::Path;

use wengert_core::{Float, Shape, Tensor};

use crate::dtype::{self, Dtype};
use crate::{FileError, file};

/// Reads the array in a file, rounded to precision `F`.
///
/// # Errors
/// If the file cannot be read, is no `.npy` file, holds something other than numbers, or does not have the
/// size that its header claims.
pub fn read<F: Float>(path: impl AsRef<Path>) -> Result<Tensor<F>, FileError> {
    file::read(path.as_ref(), |mut file| {
        let length = file.seek(SeekFrom::End(0)).map_err(FileError::read)?;
        file.rewind().map_err(FileError::read)?;
        decode(&mut file, length)
    })
}

/// Writes an array to a file, in its own precision. The file is replaced atomically.
///
/// # Errors
/// If the file cannot be written.
pub fn write<F: Float>(path: impl AsRef<Path>, array: &Tensor<F>) -> Result<(), FileError> {
    file::write(path.as_ref(), |file| encode(array, file).map_err(FileError::write))
}

const MAGIC: &[u8] = b"\x93NUMPY";

/// Returns the bytes that [`write()`] writes.
///
/// ```
/// let bytes = wengert_io::npy::to_bytes(&wengert_core::Tensor::<f32>::zeros([3]));
/// assert!(bytes.starts_with(b"\x93NUMPY") && (bytes.len() - 3 * 4) % 64 == 0);
/// ```
pub fn to_bytes<F: Float>(array: &Tensor<F>) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(array, &mut bytes).expect("memory grows");
    bytes
}

/// Writes a file.
pub(crate) fn encode<F: Float>(array: &Tensor<F>, to: &mut impl Write) -> io::Result<()> {
    let descr = if Dtype::of::<F>() == Dtype::F32 { "<f4" } else { "<f8" };
    let extents: String = array.shape().iter().map(|extent| format!("{extent},")).collect();
    let mut header =
        format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': ({extents}), }}");
    // The numbers begin at a multiple of 64 bytes, after ten bytes and one line of header.
    let width = (header.len() + 11).next_multiple_of(64) - 11;
    header = format!("{header:width$}\n");
    let length = (header.len() as u16).to_le_bytes();
    to.write_all(&[MAGIC, &[1, 0], &length, header.as_bytes()].concat())?;
    dtype::write(array.as_slice(), to)
}

/// Reads the array in the bytes of a file, rounded to precision `F`.
///
/// # Errors
/// If the bytes are no `.npy` file, hold something other than numbers, or are not as many as the header
/// claims.
///
/// ```
/// let error = wengert_io::npy::from_bytes::<f32>(b"PK").unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "byte 0: expected an .npy file of version 1, 2 or 3, found 2 bytes that begin with \"PK\""
/// );
/// ```
pub fn from_bytes<F: Float>(bytes: &[u8]) -> Result<Tensor<F>, FileError> {
    decode(&mut Cursor::new(bytes), bytes.len() as u64)
}

/// Reads a file of `length` bytes. The header is checked against the length before any number is read.
pub(crate) fn decode<F: Float>(
    reader: &mut impl Read,
    length: u64,
) -> Result<Tensor<F>, FileError> {
    let (header, header_at) = read_header(reader, length)?;
    let data_at = header_at + header.len();
    let in_header = |error: FileError| error.at_byte(header_at);
    let Header { dtype, big_endian, fortran_order, extents } =
        Header::parse(&header).map_err(in_header)?;
    let shape = dtype::checked_shape(&extents).map_err(in_header)?;
    let (size, left) = (shape.numel() as u64 * dtype.size() as u64, length - data_at as u64);
    if left != size {
        let expected = format!("{size} bytes for {dtype:?} {shape:?}");
        return Err(FileError::content(expected, format!("{left} bytes")).at_byte(data_at));
    }
    let numbers = dtype.read(reader, shape.numel(), big_endian)?;
    if !fortran_order {
        return Ok(Tensor::from_vec(numbers, shape));
    }
    // Column-major order is row-major order of the array with its axes reversed.
    let reversed: Vec<usize> = extents.iter().rev().copied().collect();
    let (rows, columns) = (shape.strides(), Shape::new(&reversed).strides());
    Ok(Tensor::from_fn(shape, |i| {
        let axes = 0..shape.rank();
        let along =
            axes.map(|axis| i / rows[axis] % shape[axis] * columns[columns.len() - 1 - axis]);
        numbers[along.sum::<usize>()]
    }))
}

/// Reads the text of a header, and returns it with its place in the file.
fn read_header(reader: &mut impl Read, length: u64) -> Result<(Vec<u8>, usize), FileError> {
    /// Bytes of the longest header. Those of arrays of numbers have about a hundred.
    const LONGEST: u64 = 1 << 16;
    let mut start = Vec::new();
    let mut take =
        |count, start: &mut Vec<u8>| reader.take(count).read_to_end(start).map_err(FileError::read);
    take(10, &mut start)?;
    let size = match start.strip_prefix(MAGIC) {
        Some(&[1, _, a, b]) => u64::from(u16::from_le_bytes([a, b])),
        Some(&[2 | 3, _, a, b]) => {
            take(2, &mut start)?;
            let [c, d] = *start[10..].first_chunk().unwrap_or(&[0xff; 2]);
            u64::from(u32::from_le_bytes([a, b, c, d]))
        }
        _ => {
            let text = String::from_utf8_lossy(&start);
            let found = format!("{length} bytes that begin with {text:?}");
            return Err(FileError::content("an .npy file of version 1, 2 or 3", found).at_byte(0));
        }
    };
    let (place, left) = (start.len(), length.saturating_sub(start.len() as u64));
    if size > LONGEST.min(left) {
        let expected = format!("a header of at most {} bytes", LONGEST.min(left));
        return Err(FileError::content(expected, format!("{size} bytes")).at_byte(place));
    }
    let mut header = vec![0; size as usize];
    reader.read_exact(&mut header).map_err(FileError::read)?;
    Ok((header, place))
}

/// The contents of a header.
struct Header {
    dtype: Dtype,
    big_endian: bool,
    fortran_order: bool,
    extents: Vec<usize>,
}

impl Header {
    fn parse(text: &[u8]) -> Result<Self, FileError> {
        let text = String::from_utf8_lossy(text);
        let found = || format!("{:?}", text.trim());
        let expected = "a header {'descr': .., 'fortran_order': .., 'shape': ..}";
        let (descr, fortran_order, extents) =
            dictionary(&text).ok_or_else(|| FileError::content(expected, found()))?;
        let (order, name) = match descr.split_at_checked(1) {
            Some((order @ ("<" | ">" | "=" | "|"), name)) => (order, name),
            _ => ("=", descr),
        };
        let dtype = match name {
            "b1" => Dtype::Bool,
            "u1" => Dtype::U8,
            "i1" => Dtype::I8,
            "u2" => Dtype::U16,
            "i2" => Dtype::I16,
            "u4" => Dtype::U32,
            "i4" => Dtype::I32,
            "u8" => Dtype::U64,
            "i8" => Dtype::I64,
            "f2" => Dtype::F16,
            "f4" => Dtype::F32,
            "f8" => Dtype::F64,
            _ => return Err(wrong_type(descr)),
        };
        // As in NumPy, numbers without an order have that of the machine.
        let big_endian = match order {
            "<" => false,
            ">" => true,
            _ => cfg!(target_endian = "big"),
        };
        Ok(Self { dtype, big_endian, fortran_order, extents })
    }
}

fn wrong_type(descr: &str) -> FileError {
    let expected = "a dtype of f2, f4, f8, i1 to i8, u1 to u8 or b1";
    FileError::content(expected, format!("`{descr}`"))
}

/// Parses the header's Python dictionary: `descr`, `fortran_order` and `shape`, each once, in any order.
fn dictionary(text: &str) -> Option<(&str, bool, Vec<usize>)> {
    let mut rest = text.trim().strip_prefix('{')?.strip_suffix('}')?.trim();
    let (mut descr, mut fortran_order, mut extents) = (None, None, None);
    while !rest.is_empty() {
        let (key, after) = quoted(rest)?;
        let value = after.trim_start().strip_prefix(':')?.trim_start();
        rest = match key {
            "descr" if descr.is_none() => {
                let (name, after) = quoted(value)?;
                descr = Some(name);
                after
            }
            "fortran_order" if fortran_order.is_none() => {
                let end = value.find(|c: char| !c.is_ascii_alphabetic())?;
                fortran_order = match &value[..end] {
                    "True" => Some(true),
                    "False" => Some(false),
                    _ => return None,
                };
                &value[end..]
            }
            "shape" if extents.is_none() => {
                let (inside, after) = value.strip_prefix('(')?.split_once(')')?;
                extents = Some(tuple(inside)?);
                after
            }
            _ => return None,
        };
        rest = rest.trim_start();
        rest = rest.strip_prefix(',').or(rest.is_empty().then_some(rest))?.trim_start();
    }
    Some((descr?, fortran_order?, extents?))
}

/// Splits a quoted string off the beginning of `text`; returns it without quotes, and the rest.
fn quoted(text: &str) -> Option<(&str, &str)> {
    let quote = text.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    text[1..].split_once(quote)
}

/// Parses the inside of a tuple of integers. Python 2 wrote an `L` after large ones.
fn tuple(inside: &str) -> Option<Vec<usize>> {
    let inside = inside.trim();
    let inside = inside.strip_suffix(',').unwrap_or(inside);
    if inside.is_empty() {
        return Some(Vec::new());
    }
    let number = |text: &str| text.trim().trim_end_matches('L').parse().ok();
    inside.split(',').map(number).collect()
}
