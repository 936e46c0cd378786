//! Named arrays in NumPy's format for several: a zip archive of `.npy` files
//! (<https://numpy.org/doc/stable/reference/generated/numpy.savez.html>).
//!
//! Read are archives that store their members or deflate them, as `numpy.savez` and
//! `numpy.savez_compressed` do. Written are archives that store them.

use std::collections::BTreeMap;
use std::io::{Cursor, Read, Write};
use std::path::Path;

use wengert_core::{Float, Tensor};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use crate::{FileError, file, npy};

/// All arrays of a file, by name.
///
/// # Errors
/// When the file cannot be read, or as [`from_bytes`].
pub fn read<F: Float>(path: impl AsRef<Path>) -> Result<BTreeMap<String, Tensor<F>>, FileError> {
    file::read(path.as_ref(), from_bytes)
}

/// All arrays of a file that is in memory, by name.
///
/// # Errors
/// When the bytes are no zip archive, or a member is damaged or no `.npy` file ([`npy::from_bytes`]).
pub fn from_bytes<F: Float>(bytes: &[u8]) -> Result<BTreeMap<String, Tensor<F>>, FileError> {
    let mut archive = ZipArchive::new(Cursor::new(bytes))
        .map_err(|error| FileError::content("a zip archive", error.to_string()))?;
    let mut arrays = BTreeMap::new();
    for index in 0..archive.len() {
        let (name, bytes) = member(&mut archive, index)?;
        let name = name.strip_suffix(".npy").unwrap_or(&name);
        let array = npy::from_bytes(&bytes).map_err(|error| error.in_tensor(name))?;
        arrays.insert(name.to_owned(), array);
    }
    Ok(arrays)
}

/// Name and contents of a member. Memory is taken as its contents arrive, not as its size is told.
fn member(
    archive: &mut ZipArchive<Cursor<&[u8]>>,
    index: usize,
) -> Result<(String, Vec<u8>), FileError> {
    let damaged = |error: &dyn ToString| {
        let expected = "a member that is stored or deflated, and whole";
        FileError::content(expected, error.to_string())
    };
    let named = match archive.name_for_index(index) {
        Some(Ok(name)) => name.into_owned(),
        Some(Err(error)) => return Err(damaged(&error)),
        None => return Err(damaged(&"none")),
    };
    let mut contents = Vec::new();
    archive
        .by_index(index)
        .map_err(|error| damaged(&error))
        .and_then(|mut file| file.read_to_end(&mut contents).map_err(|error| damaged(&error)))
        .map_err(|error| error.in_tensor(&named))?;
    Ok((named, contents))
}

/// Writes named arrays to a file, which is replaced at once or not at all.
///
/// # Errors
/// When the file cannot be written, or as [`to_bytes`].
pub fn write<F: Float>(
    path: impl AsRef<Path>,
    arrays: &BTreeMap<String, Tensor<F>>,
) -> Result<(), FileError> {
    let path = path.as_ref();
    let bytes = to_bytes(arrays).map_err(|error| error.in_file(path))?;
    file::write(path, &bytes)
}

/// A file that holds these arrays, in memory; the same arrays are always the same bytes.
///
/// # Errors
/// When a name is longer than the 65,535 bytes that an archive allows.
pub fn to_bytes<F: Float>(arrays: &BTreeMap<String, Tensor<F>>) -> Result<Vec<u8>, FileError> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, array) in arrays {
        let bytes = npy::to_bytes(array);
        // No time is written, and sizes of 64 bits only where they are needed.
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .large_file(bytes.len() >= u32::MAX as usize);
        archive
            .start_file(format!("{name}.npy"), options)
            .map_err(|error| error.to_string())
            .and_then(|()| archive.write_all(&bytes).map_err(|error| error.to_string()))
            .map_err(|found| {
                FileError::content("a member of a zip archive", found).in_tensor(name)
            })?;
    }
    let bytes = archive.finish();
    let bytes = bytes.map_err(|error| FileError::content("a zip archive", error.to_string()))?;
    Ok(bytes.into_inner())
}
