//! Errors of data.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use wengert_nn::optim::nearest;

/// A mistake in data: its place, what was expected there and what was found.
///
/// The message names the file, the line and the column. `Debug` prints the same message as `Display`, so
/// `unwrap()` and `fn main() -> Result<..>` show it.
///
/// ```
/// use wengert_train::data::Table;
///
/// let table = Table::from_csv("height,kind\n1.5,oak\n2.5,elm\ntall,oak\n")?;
/// let error = table.numbers("height").unwrap_err();
/// assert_eq!((error.line(), error.column()), (Some(4), Some("height")));
/// assert_eq!(error.to_string(), "line 4, column `height`: expected a number, found `tall`");
///
/// let error = table.column("hieght").unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "line 1: no column `hieght`; did you mean `height`? There are `height`, `kind`"
/// );
/// # Ok::<(), wengert_train::DataError>(())
/// ```
pub struct DataError(Box<Inner>);

struct Inner {
    file: Option<PathBuf>,
    line: Option<u64>,
    column: Option<String>,
    message: String,
    io: Option<io::Error>,
}

impl DataError {
    /// Returns an error with a message and no place.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        let message = message.into();
        DataError(Box::new(Inner { file: None, line: None, column: None, message, io: None }))
    }

    /// Returns an error from what was expected and what was found.
    pub(crate) fn expected(expected: impl fmt::Display, found: impl fmt::Display) -> Self {
        DataError::new(format!("expected {expected}, found {found}"))
    }

    /// Returns the error for a `name` that is none of the `valid` names of a `what`.
    pub(crate) fn unknown(what: &str, name: &str, valid: &[impl AsRef<str>]) -> Self {
        let guess = match nearest(name, valid) {
            Some(nearest) => format!("did you mean `{}`? Expected", shown(nearest)),
            None => "expected".to_owned(),
        };
        DataError::new(format!("unknown {what} `{}`; {guess} {}", shown(name), one_of(valid)))
    }

    /// Returns the error for a thing called `name` that is not there, among the `present` ones.
    pub(crate) fn absent(what: &str, name: &str, present: &[impl AsRef<str>]) -> Self {
        let guess = match nearest(name, present) {
            Some(nearest) => format!("did you mean `{}`? There", shown(nearest)),
            None => "there".to_owned(),
        };
        let (name, verb) = (shown(name), if present.len() > 1 { "are" } else { "is" });
        DataError::new(format!("no {what} `{name}`; {guess} {verb} {}", list(present)))
    }

    /// Returns the error for a file that cannot be written.
    pub(crate) fn unwritable(path: &Path, error: io::Error) -> Self {
        let mut unwritable = DataError::new(format!("cannot be written: {error}")).in_file(path);
        unwritable.0.io = Some(error);
        unwritable
    }

    /// Returns the error for a file or folder that cannot be read.
    pub(crate) fn unreadable(path: &Path, error: io::Error) -> Self {
        let mut unreadable = DataError::new(format!("cannot be read: {error}")).in_file(path);
        unreadable.0.io = Some(error);
        unreadable
    }

    /// Sets the file, unless the error has one.
    pub(crate) fn in_file(mut self, path: &Path) -> Self {
        self.0.file.get_or_insert_with(|| path.to_owned());
        self
    }

    pub(crate) fn at_line(mut self, line: u64) -> Self {
        self.0.line = Some(line);
        self
    }

    pub(crate) fn in_column(mut self, name: &str) -> Self {
        self.0.column = Some(name.to_owned());
        self
    }

    /// Returns the file or folder. `None` for data in memory.
    pub fn file(&self) -> Option<&Path> {
        self.0.file.as_deref()
    }

    /// Returns the line of the file, counted from 1, if the mistake is on one.
    pub fn line(&self) -> Option<u64> {
        self.0.line
    }

    /// Returns the name of the column that the mistake is in, if it is in one.
    pub fn column(&self) -> Option<&str> {
        self.0.column.as_deref()
    }

    /// Returns the message without the place.
    pub fn message(&self) -> &str {
        &self.0.message
    }
}

impl fmt::Display for DataError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { file, line, column, message, .. } = &*self.0;
        if let Some(file) = file {
            write!(f, "{}: ", file.display())?;
        }
        let column = column.as_deref().map(shown);
        match (line, column) {
            (Some(line), Some(column)) => write!(f, "line {line}, column `{column}`: ")?,
            (Some(line), None) => write!(f, "line {line}: ")?,
            (None, Some(column)) => write!(f, "column `{column}`: ")?,
            (None, None) => {}
        }
        f.write_str(message)
    }
}

impl fmt::Debug for DataError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for DataError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.io.as_ref().map(|error| error as _)
    }
}

/// Characters of a text from a file that a message shows.
const SHOWN: usize = 60;

/// Returns the text for a message: control characters escaped, a long text cut.
pub(crate) fn shown(text: &str) -> String {
    let cut = text.char_indices().nth(SHOWN).map(|(at, _)| at);
    let escaped = text[..cut.unwrap_or(text.len())].chars().map(|c| match is_command(c) {
        true => c.escape_default().to_string(),
        false => c.to_string(),
    });
    escaped.collect::<String>() + if cut.is_some() { ".." } else { "" }
}

/// Whether a terminal does something other than print this character: controls, and marks that change the
/// direction of writing.
fn is_command(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Returns "one of .." with the first of these names.
fn one_of(names: &[impl AsRef<str>]) -> String {
    match names {
        [] | [_] => list(names),
        several => format!("one of {}", list(several)),
    }
}

/// Returns the first of these names, and how many there are besides.
fn list(names: &[impl AsRef<str>]) -> String {
    /// Names that a message prints.
    const PRINTED: usize = 20;
    let printed: Vec<_> = names.iter().take(PRINTED).map(quoted).collect();
    match names.len() {
        0 => "none".to_owned(),
        count if count > PRINTED => format!("{} and {} more", printed.join(", "), count - PRINTED),
        _ => printed.join(", "),
    }
}

fn quoted(name: &impl AsRef<str>) -> String {
    format!("`{}`", shown(name.as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_messages_are_short_and_obey_no_terminal() {
        assert_eq!(shown("a\x1b[2J\u{202e}"), "a\\u{1b}[2J\\u{202e}");
        assert_eq!(shown(&"é".repeat(61)), "é".repeat(60) + "..");
        let many: Vec<String> = (0..23).map(|i| i.to_string()).collect();
        assert!(one_of(&many).ends_with("`19` and 3 more"));
        assert_eq!(one_of(&[""; 0]), "none");
    }
}
