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

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::{BufReader, Cursor, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use wengert_core::{Float, Tensor};
use zip::result::ZipError;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use crate::error::Problem;
use crate::text::Names;
use crate::{FileError, file, foreign, npy};

/// Reads all arrays of a file by name, rounded to precision `F`.
///
/// # Errors
/// If the file cannot be read, is no zip archive, or one of its members is damaged or does not hold numbers.
/// [`Archive`] reads the others of such a file.
pub fn read<F: Float>(path: impl AsRef<Path>) -> Result<BTreeMap<String, Tensor<F>>, FileError> {
    Archive::open(path)?.all()
}

/// Reads all arrays in the bytes of a file by name, rounded to precision `F`.
///
/// # Errors
/// If the bytes are no zip archive, or one of its members is damaged or does not hold numbers.
///
/// ```
/// let error = wengert_io::npz::from_bytes::<f32>(b"no archive").unwrap_err();
/// assert!(error.to_string().starts_with("expected a zip archive, found "));
/// ```
pub fn from_bytes<F: Float>(bytes: &[u8]) -> Result<BTreeMap<String, Tensor<F>>, FileError> {
    Archive::from_bytes(bytes)?.all()
}

/// An `.npz` file whose arrays are listed and read one by one. Use it for a file that also holds text or
/// complex numbers, or is larger than the memory.
///
/// ```
/// use wengert_core::Tensor;
/// use wengert_io::npz;
///
/// let data = [("x".to_owned(), Tensor::<f32>::ones([2])), ("y".to_owned(), Tensor::zeros([3]))];
/// let bytes = npz::to_bytes(&data.into())?;
/// let mut archive = npz::Archive::from_bytes(&bytes)?;
/// assert_eq!(archive.names(), ["x", "y"]);
/// assert_eq!(archive.array::<f32>("y")?.shape(), [3].into());
///
/// let (arrays, left_out) = archive.numbers::<f32>();
/// assert_eq!((arrays.len(), left_out.len()), (2, 0));
/// # Ok::<(), wengert_io::FileError>(())
/// ```
pub struct Archive<'a> {
    zip: ZipArchive<Box<dyn ReadSeek + 'a>>,
    path: Option<PathBuf>,
    /// The name of each member without `.npy`, in the order of the archive.
    names: Vec<String>,
}

trait ReadSeek: Read + Seek + Send {}

impl<R: Read + Seek + Send> ReadSeek for R {}

impl fmt::Debug for Archive<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Archive").field("path", &self.path).field("names", &self.names).finish()
    }
}

impl Archive<'static> {
    /// Opens a file.
    ///
    /// # Errors
    /// If the file cannot be read, is no zip archive, or has two members of one name.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, FileError> {
        let path = path.as_ref();
        let archive = file::read(path, |file: BufReader<_>| Archive::new(Box::new(file)))?;
        Ok(Archive { path: Some(path.to_owned()), ..archive })
    }
}

impl<'a> Archive<'a> {
    /// Opens the bytes of a file.
    ///
    /// # Errors
    /// If the bytes are no zip archive, or it has two members of one name.
    pub fn from_bytes(bytes: &'a [u8]) -> Result<Self, FileError> {
        Archive::new(Box::new(Cursor::new(bytes)))
    }

    fn new(mut reader: Box<dyn ReadSeek + 'a>) -> Result<Self, FileError> {
        let wrong = |found: String| FileError::content("a zip archive of .npy files", found);
        let length = reader.seek(SeekFrom::End(0)).map_err(FileError::read)?;
        let zip = ZipArchive::new(reader)
            .map_err(|error| FileError::content("a zip archive", error.to_string()))?;
        let (mut names, mut unique) = (Vec::new(), BTreeSet::new());
        for name in zip.file_names() {
            let name = name.map_err(|error| wrong(error.to_string()))?;
            if name.ends_with("/data.pkl") {
                return Err(wrong(foreign::CHECKPOINT.to_owned()));
            }
            let name = name.strip_suffix(".npy").unwrap_or(&name).to_owned();
            if !unique.insert(name.clone()) {
                return Err(wrong("the name twice".to_owned()).in_tensor(&name));
            }
            names.push(name);
        }
        if zip.has_duplicate_names() {
            return Err(wrong("two members of one name".to_owned()));
        }
        // Members that share their bytes would inflate a small file without bound.
        let packed = (0..zip.len()).map(|index| Ok(zip.by_index_data(index)?.compressed_size()));
        let packed =
            packed.sum::<Result<u64, ZipError>>().map_err(|error| wrong(error.to_string()))?;
        if packed > length {
            return Err(wrong(format!("members of {packed} bytes in a file of {length}")));
        }
        Ok(Self { zip, path: None, names })
    }

    /// Returns the names of the members, in the order of the archive. Not all need to hold numbers.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Reads the array of this name, rounded to precision `F`.
    ///
    /// # Errors
    /// If there is no such member, or it is damaged or does not hold numbers.
    pub fn array<F: Float>(&mut self, name: &str) -> Result<Tensor<F>, FileError> {
        let array = match self.names.iter().position(|own| own == name) {
            Some(index) => self.member(index),
            None => {
                let names = Names(self.names.iter().map(String::as_str)).to_string();
                Err(FileError::content(format!("an array `{name}`"), format!("only {names}")))
            }
        };
        array.map_err(|error| match &self.path {
            Some(path) => error.in_file(path),
            None => error,
        })
    }

    /// Reads all arrays that hold numbers, by name, rounded to precision `F`. The errors say which members are
    /// left out, and why.
    pub fn numbers<F: Float>(&mut self) -> (BTreeMap<String, Tensor<F>>, Vec<FileError>) {
        let (mut arrays, mut left_out) = (BTreeMap::new(), Vec::new());
        for name in self.names.clone() {
            match self.array(&name) {
                Ok(array) => drop(arrays.insert(name, array)),
                Err(error) => left_out.push(error),
            }
        }
        (arrays, left_out)
    }

    fn all<F: Float>(mut self) -> Result<BTreeMap<String, Tensor<F>>, FileError> {
        let names = self.names.clone();
        names.into_iter().map(|name| Ok((name.clone(), self.array(&name)?))).collect()
    }

    /// Reads a member: the header first, then no more numbers than it says.
    fn member<F: Float>(&mut self, index: usize) -> Result<Tensor<F>, FileError> {
        let damaged =
            |found: String| FileError::content("a stored or deflated member, undamaged", found);
        let mut read = || {
            let mut member =
                self.zip.by_index(index).map_err(|error| damaged(error.to_string()))?;
            let (packed, size) = (member.compressed_size(), member.size());
            if size > packed.saturating_mul(DEFLATE_FACTOR) + DEFLATE_FACTOR {
                let expected = format!("what {packed} bytes can be inflated to");
                return Err(FileError::content(expected, format!("{size} bytes")));
            }
            let array = npy::decode(&mut member, size).map_err(|error| match error.problem() {
                Problem::Read(cause) => damaged(cause.to_string()),
                _ => error,
            })?;
            // The checksum is compared at the end.
            match member.read(&mut [0]) {
                Ok(0) => Ok(array),
                Ok(_) => Err(damaged("more bytes than its size".to_owned())),
                Err(cause) => Err(damaged(cause.to_string())),
            }
        };
        read().map_err(|error| error.in_tensor(&self.names[index]))
    }
}

/// The largest factor by which inflating enlarges (<https://zlib.net/zlib_tech.html>).
const DEFLATE_FACTOR: u64 = 1032;

/// Writes named arrays to a file, in their own precision. The file is replaced atomically.
///
/// # Errors
/// If the file cannot be written, or a name is longer than 65,535 bytes.
pub fn write<F: Float>(
    path: impl AsRef<Path>,
    arrays: &BTreeMap<String, Tensor<F>>,
) -> Result<(), FileError> {
    file::write(path.as_ref(), |file| encode(arrays, file))
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
    let mut bytes = Cursor::new(Vec::new());
    encode(arrays, &mut bytes)?;
    Ok(bytes.into_inner())
}

fn encode<F: Float>(
    arrays: &BTreeMap<String, Tensor<F>>,
    to: &mut (impl Write + Seek),
) -> Result<(), FileError> {
    let failed = |error: ZipError| match error {
        ZipError::Io(error) => FileError::write(error),
        other => FileError::content("a member of a zip archive", other.to_string()),
    };
    let mut archive = ZipWriter::new(to);
    for (name, array) in arrays {
        /// More bytes than a header has.
        const HEADER: usize = 1 << 10;
        let size = array.numel() * size_of::<F>() + HEADER;
        // Without a time stamp, and with 64-bit sizes only where they are needed.
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .large_file(size >= u32::MAX as usize);
        archive
            .start_file(format!("{name}.npy"), options)
            .map_err(failed)
            .and_then(|()| npy::encode(array, &mut archive).map_err(FileError::write))
            .map_err(|error| error.in_tensor(name))?;
    }
    archive.finish().map(drop).map_err(failed)
}
