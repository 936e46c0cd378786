//! Reading whole files, and replacing them atomically.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use tempfile::NamedTempFile;

use crate::FileError;
use crate::error::Problem;

/// Reads a file and parses its bytes. An error names the file.
pub(crate) fn read<T>(
    path: &Path,
    parse: impl FnOnce(&[u8]) -> Result<T, FileError>,
) -> Result<T, FileError> {
    let bytes = fs::read(path).map_err(|error| FileError::new(Problem::Read(error)));
    bytes.and_then(|bytes| parse(&bytes)).map_err(|error| error.in_file(path))
}

/// Writes a file atomically: at every moment, even across a power failure, the file has either its old or
/// its new content.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    replace(path, bytes).map_err(|error| FileError::new(Problem::Write(error)).in_file(path))
}

fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let mut new = tempfile::Builder::new();
    // The permissions of a file that any program creates; those of a temporary file are stricter.
    #[cfg(unix)]
    new.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut new: NamedTempFile = new.tempfile_in(folder)?;
    new.write_all(bytes)?;
    new.as_file().sync_all()?;
    new.persist(path).map_err(|error| error.error)?;
    // The new name is durable once the folder is synced. Only Unix can open a folder.
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}
