//! Files as a whole: read, and replaced at once or not at all.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use tempfile::NamedTempFile;

use crate::FileError;
use crate::error::Problem;

/// Reads a file and makes something of its bytes; a mistake in them is told with the file's name.
pub(crate) fn read<T>(
    path: &Path,
    parse: impl FnOnce(&[u8]) -> Result<T, FileError>,
) -> Result<T, FileError> {
    let bytes = fs::read(path).map_err(|error| FileError::new(Problem::Read(error)));
    bytes.and_then(|bytes| parse(&bytes)).map_err(|error| error.in_file(path))
}

/// Writes a file so that at every moment, a power failure among them, either the old or the new
/// contents stand under its name.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    replace(path, bytes).map_err(|error| FileError::new(Problem::Write(error)).in_file(path))
}

fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let mut new = tempfile::Builder::new();
    // As any other program would create it, not for its owner alone.
    #[cfg(unix)]
    new.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut new: NamedTempFile = new.tempfile_in(folder)?;
    new.write_all(bytes)?;
    new.as_file().sync_all()?;
    new.persist(path).map_err(|error| error.error)?;
    // The name is safe when the folder is; only Unix can open one.
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}
