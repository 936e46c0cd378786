//! Named arrays in one file: NumPy's `.npz` format, a zip archive of `.npy` files
//! (<https://numpy.org/doc/stable/reference/generated/numpy.savez.html>).
//!
//! Reads archives that store or deflate their members, as `numpy.savez` and `numpy.savez_compressed` write
//! them. Writes archives that store them.
//!
//! ```
//! use std::collections::BTreeMap;
//! use wengert_core::Tensor;
//! use wengert_io::npz;
//!
//! let folder = tempfile::tempdir()?;
//! let path = folder.path().join("data.npz");
//! let data = BTreeMap::from([
//!     ("x".to_owned(), Tensor::<f32>::from([[1.0, 2.0], [3.0, 4.0]])),
//!     ("y".to_owned(), Tensor::from([0.0, 1.0])),
//! ]);
//! npz::write(&path, &data)?; // In Python: numpy.load("data.npz")["x"].
//! assert_eq!(npz::read(&path)?, data);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::collections::BTreeMap;
use std::io::{Cursor, Read, Write};
use std::path::Path;

use wengert_core::{Float, Tensor};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use crate::{FileError, file, npy};

/// Reads all arrays of a file by name, rounded to precision `F`.
///
/// # Errors
/// If the file cannot be read, is no zip archive, or one of its members is damaged or no `.npy` file.
pub fn read<F: Float>(path: impl AsRef<Path>) -> Result<BTreeMap<String, Tensor<F>>, FileError> {
    file::read(path.as_ref(), from_bytes)
}

/// Reads all arrays in the bytes of a file by name, rounded to precision `F`.
///
/// # Errors
/// If the bytes are no zip archive, or one of its members is damaged or no `.npy` file.
///
/// ```
/// let error = wengert_io::npz::from_bytes::<f32>(b"no archive").unwrap_err();
/// assert!(error.to_string().starts_with("expected a zip archive, found "));
/// ```
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

/// Returns the name and the contents of a member. Memory grows with the contents; the size that the archive
/// claims is not trusted.
fn member(
    archive: &mut ZipArchive<Cursor<&[u8]>>,
    index: usize,
) -> Result<(String, Vec<u8>), FileError> {
    let damaged = |error: &dyn ToString| {
        let expected = "a stored or deflated member, undamaged";
        FileError::content(expected, error.to_string())
    };
    let named = match archive.name_for_index(index) {
        Some(Ok(name)) => name.into_owned(),
        Some(Err(error)) => return Err(damaged(&error)),
        None => return Err(damaged(&"no member")),
    };
    let mut contents = Vec::new();
    archive
        .by_index(index)
        .map_err(|error| damaged(&error))
        .and_then(|mut file| file.read_to_end(&mut contents).map_err(|error| damaged(&error)))
        .map_err(|error| error.in_tensor(&named))?;
    Ok((named, contents))
}

/// Writes named arrays to a file, in their own precision. The file is replaced atomically.
///
/// # Errors
/// If the file cannot be written, or a name is longer than 65,535 bytes.
pub fn write<F: Float>(
    path: impl AsRef<Path>,
    arrays: &BTreeMap<String, Tensor<F>>,
) -> Result<(), FileError> {
    let path = path.as_ref();
    let bytes = to_bytes(arrays).map_err(|error| error.in_file(path))?;
    file::write(path, &bytes)
}

/// Returns the bytes that [`write()`] writes. Equal arrays give equal bytes.
///
/// # Errors
/// If a name is longer than the 65,535 bytes that an archive allows.
///
/// ```
/// use wengert_core::Tensor;
/// use wengert_io::npz;
///
/// let data = [("x".to_owned(), Tensor::<f64>::from([1.0, 2.0]))].into();
/// assert_eq!(npz::from_bytes(&npz::to_bytes(&data)?)?, data);
/// # Ok::<(), wengert_io::FileError>(())
/// ```
pub fn to_bytes<F: Float>(arrays: &BTreeMap<String, Tensor<F>>) -> Result<Vec<u8>, FileError> {
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, array) in arrays {
        let bytes = npy::to_bytes(array);
        // Without a time stamp, and with 64-bit sizes only where they are needed.
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
