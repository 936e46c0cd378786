//! One array in NumPy's format
//! (<https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>), versions 1 to 3.
//!
//! What is written is `<f4` or `<f8` in row-major order. What is read may hold floats of two, four or
//! eight bytes, integers or `bool`, of either byte order, row by row or column by column.

use std::path::Path;

use wengert_core::{Float, Shape, Tensor};

use crate::number::{self, Kind};
use crate::{FileError, file};

/// The array in a file.
///
/// # Errors
/// When the file cannot be read, or as [`from_bytes`].
pub fn read<F: Float>(path: impl AsRef<Path>) -> Result<Tensor<F>, FileError> {
    file::read(path.as_ref(), from_bytes)
}

/// Writes an array to a file, which is replaced at once or not at all.
///
/// # Errors
/// When the file cannot be written.
pub fn write<F: Float>(path: impl AsRef<Path>, array: &Tensor<F>) -> Result<(), FileError> {
    file::write(path.as_ref(), &to_bytes(array))
}

const MAGIC: &[u8] = b"\x93NUMPY";

/// A file that holds this array, in memory.
pub fn to_bytes<F: Float>(array: &Tensor<F>) -> Vec<u8> {
    let kind = if Kind::of::<F>() == Kind::F32 { "<f4" } else { "<f8" };
    let extents: String = array.shape().iter().map(|extent| format!("{extent},")).collect();
    let mut header =
        format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': ({extents}), }}");
    // The numbers begin at a multiple of 64, after ten bytes and a line of header.
    let width = (header.len() + 11).next_multiple_of(64) - 11;
    header = format!("{header:width$}\n");
    let length = (header.len() as u16).to_le_bytes();
    [MAGIC, &[1, 0], &length, header.as_bytes(), &number::encode(array.as_slice())].concat()
}

/// The array in a file that is in memory.
///
/// # Errors
/// When the bytes are no `.npy` file, hold something else than numbers, or not as many as the header
/// says.
pub fn from_bytes<F: Float>(bytes: &[u8]) -> Result<Tensor<F>, FileError> {
    let (header, data) = split(bytes).ok_or_else(|| {
        let start = String::from_utf8_lossy(&bytes[..bytes.len().min(10)]);
        let found = format!("{} bytes that begin with {start:?}", bytes.len());
        FileError::content("an .npy file of version 1, 2 or 3", found)
    })?;
    let Header { kind, big_endian, fortran_order, extents } = Header::parse(header)?;
    let shape = number::shape(&extents)?;
    let size = shape.numel() * kind.size();
    if data.len() != size {
        let expected = format!("{size} bytes for {kind:?} {shape:?}");
        return Err(FileError::content(expected, format!("{}", data.len())));
    }
    let numbers = kind.decode(data, big_endian);
    if !fortran_order {
        return Ok(Tensor::from_vec(numbers, shape));
    }
    // Column by column is row by row of the array with its axes the other way round.
    let reversed: Vec<usize> = extents.iter().rev().copied().collect();
    let (rows, columns) = (shape.strides(), Shape::new(&reversed).strides());
    Ok(Tensor::from_fn(shape, |i| {
        let axes = 0..shape.rank();
        let along =
            axes.map(|axis| i / rows[axis] % shape[axis] * columns[columns.rank() - 1 - axis]);
        numbers[along.sum::<usize>()]
    }))
}

/// The header's text and the numbers' bytes.
fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let ([major, _], rest) = bytes.strip_prefix(MAGIC)?.split_first_chunk()?;
    let (length, rest) = match major {
        1 => rest.split_first_chunk().map(|(n, rest)| (u32::from(u16::from_le_bytes(*n)), rest))?,
        2 | 3 => rest.split_first_chunk().map(|(n, rest)| (u32::from_le_bytes(*n), rest))?,
        _ => return None,
    };
    rest.split_at_checked(usize::try_from(length).ok()?)
}

/// What a header says.
struct Header {
    kind: Kind,
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
        let (order, name) = descr.split_at_checked(1).unwrap_or((descr, ""));
        let kind = match name {
            "b1" => Kind::Bool,
            "u1" => Kind::U8,
            "i1" => Kind::I8,
            "u2" => Kind::U16,
            "i2" => Kind::I16,
            "u4" => Kind::U32,
            "i4" => Kind::I32,
            "u8" => Kind::U64,
            "i8" => Kind::I64,
            "f2" => Kind::F16,
            "f4" => Kind::F32,
            "f8" => Kind::F64,
            _ => return Err(wrong_type(descr)),
        };
        let big_endian = match order {
            ">" => true,
            "<" => false,
            "|" if kind.size() == 1 => false,
            _ => return Err(wrong_type(descr)),
        };
        Ok(Self { kind, big_endian, fortran_order, extents })
    }
}

fn wrong_type(descr: &str) -> FileError {
    let expected = "numbers of type f2, f4, f8, i1 to i8, u1 to u8 or b1, with their byte order";
    FileError::content(expected, format!("`{descr}`"))
}

/// Type, order and shape from the literal of a Python dictionary; each key once, in any order.
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

/// A string in quotes at the beginning of `text`, and what follows it.
fn quoted(text: &str) -> Option<(&str, &str)> {
    let quote = text.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    text[1..].split_once(quote)
}

/// The numbers of a tuple without its parentheses; Python 2 wrote an `L` behind large ones.
fn tuple(inside: &str) -> Option<Vec<usize>> {
    let inside = inside.trim();
    let inside = inside.strip_suffix(',').unwrap_or(inside);
    if inside.is_empty() {
        return Some(Vec::new());
    }
    let number = |text: &str| text.trim().trim_end_matches('L').parse().ok();
    inside.split(',').map(number).collect()
}
