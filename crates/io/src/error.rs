//! Errors of files.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use wengert_nn::optim::LoadReport;

use crate::Report;
use crate::text::{Shown, ShownLines};

/// A file that cannot be read, written, or loaded into a model.
///
/// The message names the file, the tensor and the byte where the problem is, what was expected and what was found.
/// It escapes the control characters of names in the file, and shortens long ones.
/// `Debug` prints the same message as `Display`, so `unwrap()` and `fn main() -> Result<..>` show it. The model,
/// optimizer or tensor to be loaded is unchanged.
///
/// ```
/// let error = wengert_io::safetensors::from_bytes::<f32>(b"\x09\0\0\0\0\0\0\0{}").unwrap_err();
/// assert_eq!(error.to_string(), "byte 8: expected a header of 9 bytes, found 2 bytes");
/// assert_eq!(error.byte(), Some(8));
/// ```
pub struct FileError(Box<Inner>);

struct Inner {
    file: Option<PathBuf>,
    tensor: Option<String>,
    byte: Option<usize>,
    problem: Problem,
}

/// Kinds of problems with a file.
///
/// ```
/// use wengert_core::{Param, Tensor};
/// use wengert_io::{Problem, load};
///
/// let mut weight = Param::new(Tensor::<f32>::zeros([2]));
/// let error = load("no/such/file.safetensors", &mut weight).unwrap_err();
/// assert!(matches!(error.problem(), Problem::Read(cause) if cause.kind() == std::io::ErrorKind::NotFound));
/// ```
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The operating system did not read the file.
    #[error("cannot be read: {0}")]
    Read(#[source] io::Error),
    /// The operating system did not write the file. A file that was there before is unchanged.
    #[error("cannot be written: {0}")]
    Write(#[source] io::Error),
    /// The file does not have the content it should have.
    #[error("expected {}, found {}", Shown(expected), Shown(found))]
    Content {
        /// The content it should have.
        expected: String,
        /// The content it has.
        found: String,
    },
    /// The names or shapes in the file are not the model's.
    #[error("does not fit the model{0}")]
    ModelMismatch(Report),
    /// The state in the file is not that of the optimizer and its model.
    #[error("does not fit the optimizer{}", ShownLines(.0))]
    StateMismatch(LoadReport),
}

impl FileError {
    pub(crate) fn new(problem: Problem) -> Self {
        FileError(Box::new(Inner { file: None, tensor: None, byte: None, problem }))
    }

    pub(crate) fn content(expected: impl Into<String>, found: impl Into<String>) -> Self {
        FileError::new(Problem::Content { expected: expected.into(), found: found.into() })
    }

    pub(crate) fn read(error: io::Error) -> Self {
        FileError::new(Problem::Read(error))
    }

    pub(crate) fn write(error: io::Error) -> Self {
        FileError::new(Problem::Write(error))
    }

    pub(crate) fn in_file(mut self, path: &Path) -> Self {
        self.0.file = Some(path.to_owned());
        self
    }

    pub(crate) fn in_tensor(mut self, name: &str) -> Self {
        self.0.tensor = Some(name.to_owned());
        self
    }

    pub(crate) fn at_byte(mut self, byte: usize) -> Self {
        self.0.byte = Some(byte);
        self
    }

    /// Returns the file. `None` for bytes in memory.
    pub fn file(&self) -> Option<&Path> {
        self.0.file.as_deref()
    }

    /// Returns the name of the tensor in the file that the problem is about, if it is about one.
    pub fn tensor(&self) -> Option<&str> {
        self.0.tensor.as_deref()
    }

    /// Returns the byte of the file at which the problem is, if it is at one. In an archive, the byte of the
    /// member.
    pub fn byte(&self) -> Option<usize> {
        self.0.byte
    }

    /// Returns the kind of the problem.
    pub fn problem(&self) -> &Problem {
        &self.0.problem
    }
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { file, tensor, byte, problem } = &*self.0;
        if let Some(file) = file {
            write!(f, "{}: ", file.display())?;
        }
        if let Some(tensor) = tensor {
            write!(f, "tensor `{}`: ", Shown(tensor))?;
        }
        if let Some(byte) = byte {
            write!(f, "byte {byte}: ")?;
        }
        write!(f, "{problem}")
    }
}

impl fmt::Debug for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for FileError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(&self.0.problem)
    }
}
