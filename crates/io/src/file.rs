//! Reading files, and replacing them atomically.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::FileError;

/// Reads a file with `parse`. An error names the file.
pub(crate) fn read<T>(
    path: &Path,
    parse: impl FnOnce(BufReader<File>) -> Result<T, FileError>,
) -> Result<T, FileError> {
    let opened = regular(path).and_then(|_| File::open(path)).map_err(FileError::read);
    opened.and_then(|file| parse(BufReader::new(file))).map_err(|error| error.in_file(path))
}

/// Replaces a file atomically by these bytes: at every moment, even across a power failure, the file has either its
/// old or its new content. This is how the library writes all of its files.
///
/// ```
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("note.txt");
/// wengert_io::replace_file(&path, b"old")?;
/// wengert_io::replace_file(&path, b"new")?;
/// assert_eq!(std::fs::read(&path)?, b"new");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// If the file cannot be written. It is unchanged then.
pub fn replace_file(path: impl AsRef<Path>, bytes: &[u8]) -> Result<(), FileError> {
    write(path.as_ref(), |file| file.write_all(bytes).map_err(FileError::write))
}

/// Replaces a file atomically by what `content` writes: at every moment, even across a power failure, the file
/// has either its old or its new content.
///
/// A symbolic link stays and the file that it names is replaced, with the permissions that it has.
pub(crate) fn write(
    path: &Path,
    content: impl FnOnce(&mut BufWriter<&File>) -> Result<(), FileError>,
) -> Result<(), FileError> {
    replace(path, content).map_err(|error| error.in_file(path))
}

fn replace(
    path: &Path,
    content: impl FnOnce(&mut BufWriter<&File>) -> Result<(), FileError>,
) -> Result<(), FileError> {
    let path = followed(path).map_err(FileError::write)?;
    let old = match regular(&path) {
        Ok(old) => Some(old),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(FileError::write(error)),
    };
    let new = Temporary::beside(&path, old.as_ref()).map_err(FileError::write)?;
    let mut writer = BufWriter::new(new.0.as_file());
    content(&mut writer)?;
    writer.flush().map_err(FileError::write)?;
    drop(writer);
    new.take_place_of(&path).map_err(FileError::write)
}

/// Returns what the system knows about a file that can be read and replaced: not a folder, a device or a pipe.
fn regular(path: &Path) -> io::Result<fs::Metadata> {
    let found = fs::metadata(path)?;
    match found.is_file() {
        true => Ok(found),
        false => Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file")),
    }
}

/// Returns the path at the end of a chain of symbolic links. Nothing needs to be there yet.
fn followed(path: &Path) -> io::Result<PathBuf> {
    /// As many links as Linux follows.
    const LINKS: usize = 40;
    let mut path = path.to_owned();
    for _ in 0..LINKS {
        match fs::read_link(&path) {
            Ok(target) => path = folder_of(&path).join(target),
            Err(_) => return Ok(path),
        }
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, "its symbolic links form a circle"))
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."))
}

/// A file that is being written and will take the place of another one in its folder. It is removed when it is
/// dropped, and locked as long as this process lives: a process that was killed leaves an unlocked one behind.
struct Temporary(NamedTempFile);

/// The end of a temporary file's name.
const SUFFIX: &str = ".tmp";

impl Temporary {
    /// Creates the file that will take the place of `path`, and removes those that were left behind there.
    fn beside(path: &Path, old: Option<&fs::Metadata>) -> io::Result<Self> {
        let (folder, name) = (folder_of(path), path.file_name().unwrap_or_default());
        // The name is shortened, because the system limits its length.
        let name: String = name.to_string_lossy().chars().take(40).collect();
        let prefix = format!(".{name}.wengert-");
        remove_abandoned(folder, &prefix);
        let mut builder = tempfile::Builder::new();
        builder.prefix(&prefix).suffix(SUFFIX);
        // A new file has the permissions of a file that any program creates. Those of a temporary file are
        // stricter, and stay so until it has the permissions of the file that it replaces.
        #[cfg(unix)]
        if old.is_none() {
            builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        }
        loop {
            let new = builder.tempfile_in(folder)?;
            // Some file systems have no locks. Nothing is removed from them.
            let _ = new.as_file().lock();
            // Another process may have removed the file before it was locked.
            if new.path().exists() {
                if let Some(old) = old {
                    new.as_file().set_permissions(old.permissions())?;
                }
                return Ok(Self(new));
            }
        }
    }

    /// Renames the file when its content is durable. The new name is durable once the folder is synced, too; only
    /// Unix can open a folder.
    fn take_place_of(self, path: &Path) -> io::Result<()> {
        sync(self.0.as_file())?;
        rename(self.0, path)?;
        if cfg!(unix) { sync(&File::open(folder_of(path))?) } else { Ok(()) }
    }
}

/// Removes temporary files whose process has ended. Whatever cannot be removed stays.
fn remove_abandoned(folder: &Path, prefix: &str) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let is_ours =
            name.to_str().is_some_and(|name| name.starts_with(prefix) && name.ends_with(SUFFIX));
        if !is_ours || !entry.file_type().is_ok_and(|kind| kind.is_file()) {
            continue;
        }
        // The lock is held until the file is gone: another process may be about to lock it.
        if let Ok(file) = File::open(entry.path())
            && file.try_lock().is_ok()
        {
            let _ = fs::remove_file(entry.path());
        }
    }
}

fn sync(file: &File) -> io::Result<()> {
    #[cfg(test)]
    tests::note("sync");
    file.sync_all()
}

fn rename(file: NamedTempFile, path: &Path) -> io::Result<()> {
    #[cfg(test)]
    tests::note("rename");
    file.persist(path).map(drop).map_err(|error| error.error)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    thread_local! {
        static STEPS: RefCell<Vec<&'static str>> = const { RefCell::new(Vec::new()) };
    }

    pub(super) fn note(step: &'static str) {
        STEPS.with_borrow_mut(|steps| steps.push(step));
    }

    fn write(path: &Path, text: &str) -> Result<(), FileError> {
        super::write(path, |to| to.write_all(text.as_bytes()).map_err(FileError::write))
    }

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<_> = entries.map(|name| name.into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn the_content_is_durable_before_it_has_the_name() {
        let folder = tempfile::tempdir().unwrap();
        write(&folder.path().join("x"), "new").unwrap();
        let steps = STEPS.take();
        assert_eq!(steps[..2], ["sync", "rename"]);
        assert_eq!(steps[2..], if cfg!(unix) { vec!["sync"] } else { vec![] });
    }

    #[test]
    fn a_failure_leaves_the_old_file_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        write(&path, "old").unwrap();
        super::write(&path, |to| {
            to.write_all(b"half").map_err(FileError::write)?;
            Err(FileError::content("all", "half"))
        })
        .unwrap_err();
        assert_eq!(
            (fs::read_to_string(&path).unwrap().as_str(), names(folder.path()).len()),
            ("old", 1)
        );
    }

    #[test]
    fn the_next_save_removes_what_a_killed_process_left_and_spares_what_is_in_use() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        for name in [".x.wengert-a1b2c3.tmp", ".y.wengert-a1b2c3.tmp", ".x.tmp"] {
            fs::write(folder.path().join(name), "half").unwrap();
        }
        let used = Temporary::beside(&path, None).unwrap();
        write(&path, "new").unwrap();
        assert!(used.0.path().exists());
        drop(used);
        assert_eq!(names(folder.path()), [".x.tmp", ".y.wengert-a1b2c3.tmp", "x"]);
    }

    #[cfg(unix)]
    #[test]
    fn permissions_and_links_stay() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let folder = tempfile::tempdir().unwrap();
        let [path, link, other] = ["x", "link", "other"].map(|name| folder.path().join(name));
        fs::write(&path, "old").unwrap();
        symlink("x", &link).unwrap();
        for mode in [0o600, 0o640, 0o444] {
            fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
            write(&link, "new").unwrap();
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, mode);
        }
        assert_eq!(fs::read_link(&link).unwrap(), Path::new("x"));
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        // A link to nothing: the file that it names is made. A new file has the usual permissions.
        fs::remove_file(&path).unwrap();
        write(&link, "new").unwrap();
        File::create(&other).unwrap();
        let [made, usual] = [&path, &other].map(|path| fs::metadata(path).unwrap().permissions());
        assert_eq!(made, usual);
        assert_eq!(names(folder.path()), ["link", "other", "x"]);
        symlink("circle", folder.path().join("circle")).unwrap();
        write(&folder.path().join("circle"), "new").unwrap_err();
    }

    #[cfg(unix)]
    #[test]
    fn devices_pipes_and_folders_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        for path in [folder.path(), Path::new("/dev/null"), Path::new("/dev/zero")] {
            let error = write(path, "new").unwrap_err().to_string();
            assert!(error.ends_with("cannot be written: it is not a regular file"), "{error}");
            let error = read(path, |_| Ok(())).unwrap_err().to_string();
            assert!(error.ends_with("cannot be read: it is not a regular file"), "{error}");
        }
    }
}
