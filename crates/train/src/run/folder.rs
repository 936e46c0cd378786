//! The folder of a run and its lock.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

use super::RunError;

/// Folder of a run, locked as long as this value or its process lives.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    _lock: File,
}

/// Beginning of the name of a folder that is not yet that of a run.
const UNFINISHED: &str = ".wengert-run-";

/// Name of the file that is locked.
const LOCK: &str = ".lock";

impl Folder {
    /// Creates the folder of a new run with this configuration. A folder appears together with its configuration, so
    /// that a process killed at any moment leaves either a run that can be resumed or nothing.
    pub(super) fn create(path: &Path, config: &str) -> Result<Self, RunError> {
        if path.exists() {
            let folder = Self::lock(path)?;
            folder.refuse_old_run()?;
            folder.write("config.toml", config)?;
            return Ok(folder);
        }
        let parent = path.parent().filter(|parent| *parent != Path::new(""));
        let parent = parent.unwrap_or(Path::new("."));
        let failed = |error| RunError::file(path, "cannot be created", error);
        fs::create_dir_all(parent).map_err(failed)?;
        remove_abandoned(parent);
        let (new, lock) = unfinished(parent).map_err(failed)?;
        let folder = Self { path: new.path().to_owned(), _lock: lock };
        // The rename of the folder makes it appear whole.
        let write =
            |mut file: File| file.write_all(config.as_bytes()).and_then(|()| file.sync_all());
        File::create(folder.file("config.toml")).and_then(write).map_err(failed)?;
        match fs::rename(new.path(), path) {
            Ok(()) => {
                let _ = new.keep();
                // Only Unix can open a folder.
                let _ = File::open(parent).and_then(|parent| parent.sync_all());
                Ok(Self { path: path.to_owned(), ..folder })
            }
            // Another process was faster.
            Err(_) if path.exists() => Err(Self::held(path)),
            Err(error) => Err(failed(error)),
        }
    }

    /// Creates `runs/NAME-N` with the first number that is free.
    pub(super) fn create_numbered(name: &str, config: &str) -> Result<Self, RunError> {
        let plain = |c: char| if c.is_alphanumeric() || "-_.".contains(c) { c } else { '-' };
        let name: String = name.chars().map(plain).collect();
        let free = (1..).map(|n| Path::new("runs").join(format!("{name}-{n}")));
        let free = free.into_iter().find(|path| !path.exists());
        Self::create(&free.expect("numbers do not end"), config)
    }

    /// Opens the folder of a run that was begun.
    pub(super) fn open(path: &Path) -> Result<Self, RunError> {
        if !path.join("config.toml").is_file() {
            let path = path.display();
            return Err(RunError::Refused(format!(
                "{path} holds no run: begin one with `train --config FILE --out {path}`"
            )));
        }
        Self::lock(path)
    }

    fn lock(path: &Path) -> Result<Self, RunError> {
        let lock = File::options().create(true).append(true).open(path.join(LOCK));
        let lock = lock.map_err(|error| RunError::file(path, "cannot be written", error))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let path = path.display();
                return Err(RunError::Refused(format!("{path}: another process trains there")));
            }
            // Some file systems have no locks.
            Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {}
            Err(TryLockError::Error(error)) => {
                return Err(RunError::file(path, "cannot be locked", error));
            }
        }
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    fn refuse_old_run(&self) -> Result<(), RunError> {
        let old = ["config.toml", "metrics.jsonl", "checkpoints", "model.safetensors"];
        match old.iter().any(|name| self.path.join(name).exists()) {
            true => Err(Self::held(&self.path)),
            false => Ok(()),
        }
    }

    fn held(path: &Path) -> RunError {
        let path = path.display();
        RunError::Refused(format!(
            "{path} already holds a run: go on with `train --resume {path}`, or choose another folder"
        ))
    }

    /// Returns the path of the folder.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the path of a file in the folder.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Replaces a file of the folder atomically.
    pub(super) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> Result<(), RunError> {
        Ok(wengert_io::replace_file(self.file(name), content.as_ref())?)
    }
}

/// Creates a locked folder that is not yet that of a run.
fn unfinished(parent: &Path) -> io::Result<(TempDir, File)> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(UNFINISHED);
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o777));
    loop {
        let new = builder.tempdir_in(parent)?;
        let lock = File::create_new(new.path().join(LOCK))?;
        // Some file systems have no locks. Nothing is removed from them.
        let _ = lock.lock();
        // Another process may have removed the folder before it was locked.
        if new.path().join(LOCK).exists() {
            return Ok((new, lock));
        }
    }
}

/// Removes folders that processes which were killed left behind.
fn remove_abandoned(parent: &Path) {
    /// Time in which a process locks its folder.
    const MOMENT: Duration = Duration::from_secs(60);
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let path = entry.path();
        if !entry.file_name().to_str().is_some_and(|name| name.starts_with(UNFINISHED)) {
            continue;
        }
        let _ = match File::open(path.join(LOCK)) {
            Ok(lock) if lock.try_lock().is_ok() => fs::remove_dir_all(path),
            Ok(_) => continue,
            Err(_) => {
                let age =
                    entry.metadata().and_then(|found| found.modified()).map(|at| at.elapsed());
                let is_old = age.is_ok_and(|age| age.is_ok_and(|age| age > MOMENT));
                if is_old { fs::remove_dir(path) } else { continue }
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_that_begin_at_once_do_not_disturb_each_other() {
        let parent = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for worker in 0..8 {
                let parent = parent.path();
                scope.spawn(move || {
                    for run in 0..200 {
                        let path = parent.join(format!("{worker}-{run}"));
                        Folder::create(&path, "name = 'net'").unwrap();
                    }
                });
            }
        });
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 8 * 200);
    }
}
