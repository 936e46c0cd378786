//! What is wrong with a file, and with which tensor in it.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::Report;

/// A file that cannot be used: which one, which tensor in it, and what was found in place of what was
/// expected. Whatever was to be loaded into is untouched.
///
/// ```
/// let error = wengert_io::safetensors::from_bytes::<f32>(b"\x09\0\0\0\0\0\0\0{}").unwrap_err();
/// assert_eq!(error.to_string(), "expected a header of 9 bytes, found 2 bytes after its length");
/// ```
#[derive(Debug)]
pub struct FileError(Box<Inner>);

#[derive(Debug)]
struct Inner {
    file: Option<PathBuf>,
    tensor: Option<String>,
    problem: Problem,
}

/// The kinds of mistakes in and around a file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The operating system refused to read it.
    #[error("cannot be read: {0}")]
    Read(#[source] io::Error),
    /// The operating system refused to write it; what stood there before is still there.
    #[error("cannot be written: {0}")]
    Write(#[source] io::Error),
    /// It holds something else than it should.
    #[error("expected {expected}, found {found}")]
    Content {
        /// What should be there.
        expected: String,
        /// What is there.
        found: String,
    },
    /// Its names or shapes are not the model's.
    #[error("does not fit the model{0}")]
    Misfit(Report),
}

impl FileError {
    pub(crate) fn new(problem: Problem) -> Self {
        FileError(Box::new(Inner { file: None, tensor: None, problem }))
    }

    pub(crate) fn content(expected: impl Into<String>, found: impl Into<String>) -> Self {
        FileError::new(Problem::Content { expected: expected.into(), found: found.into() })
    }

    /// The same mistake, in a file.
    pub(crate) fn in_file(mut self, path: &Path) -> Self {
        self.0.file = Some(path.to_owned());
        self
    }

    /// The same mistake, in a tensor.
    pub(crate) fn in_tensor(mut self, name: &str) -> Self {
        self.0.tensor = Some(name.to_owned());
        self
    }

    /// The file, if it was not bytes.
    pub fn file(&self) -> Option<&Path> {
        self.0.file.as_deref()
    }

    /// The tensor in the file, if it is one tensor that is wrong.
    pub fn tensor(&self) -> Option<&str> {
        self.0.tensor.as_deref()
    }

    /// What is wrong.
    pub fn problem(&self) -> &Problem {
        &self.0.problem
    }
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { file, tensor, problem } = &*self.0;
        if let Some(file) = file {
            write!(f, "{}: ", file.display())?;
        }
        if let Some(tensor) = tensor {
            write!(f, "tensor `{tensor}`: ")?;
        }
        write!(f, "{problem}")
    }
}

impl std::error::Error for FileError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(&self.0.problem)
    }
}
