//! Mistakes in a configuration, with their exact position.

use std::fmt;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Mistake in a recipe's TOML: its position, the value found and the value expected.
///
/// ```
/// use wengert_nn::optim::Recipe;
/// let error = "kind = 'adam'\nbeta = [0.9, 0.99]".parse::<Recipe>().unwrap_err();
/// assert_eq!((error.line(), error.column()), (2, 1));
/// assert_eq!(
///     error.to_string(),
///     "line 2, column 1: unknown key `beta`; did you mean `betas`? Expected one of `betas`, \
///      `eps`, `amsgrad`, `lr`, `clip_value`, `clip_tensor_norm`, `clip_norm`, `maximize`, \
///      `weight_decay`, `decoupled_weight_decay`, `ema`, `accumulate`, `non_finite`, \
///      `unused_parameters`, `groups`\n  \
///        |\n\
///      2 | beta = [0.9, 0.99]\n  \
///        | ^^^^"
/// );
/// ```
pub struct ConfigError(Box<Inner>);

struct Inner {
    source: Source,
    message: String,
    io: Option<io::Error>,
}

/// A position in a text, with the line to show.
#[derive(Clone, Debug, Default)]
pub(crate) struct Source {
    file: Option<PathBuf>,
    /// Line from 1, or 0 if there is no text to point at.
    line: usize,
    column: usize,
    /// The line of the text, and the number of characters to underline.
    text: String,
    width: usize,
}

impl Source {
    /// Returns the position of these bytes in a text.
    pub(crate) fn new(text: &str, span: Range<usize>) -> Self {
        let start = floor_char_boundary(text, span.start);
        let end = floor_char_boundary(text, span.end).max(start);
        let before = &text[..start];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line = text[line_start..].lines().next().unwrap_or("");
        // A span may begin at the very end of a line, or at its invisible `\r`.
        let column = before[line_start..].chars().count().min(line.chars().count()) + 1;
        let underlined = text[start..end].lines().next().unwrap_or("");
        Source {
            file: None,
            line: before.matches('\n').count() + 1,
            column,
            text: line.to_owned(),
            width: underlined.chars().count().max(1),
        }
    }

    /// Sets the file that the text came from.
    pub(crate) fn in_file(&mut self, path: &Path) {
        self.file = Some(path.to_owned());
    }

    /// Returns the error for a mistake at this position.
    pub(crate) fn error(self, message: String) -> ConfigError {
        ConfigError(Box::new(Inner { source: self, message, io: None }))
    }
}

impl ConfigError {
    /// Returns the error for a file that cannot be read.
    pub(crate) fn unreadable(path: &Path, error: io::Error) -> Self {
        let source = Source { file: Some(path.to_owned()), ..Source::default() };
        let message = format!("cannot be read: {error}");
        ConfigError(Box::new(Inner { source, message, io: Some(error) }))
    }

    /// Sets the file that the text came from.
    pub(crate) fn in_file(mut self, path: &Path) -> Self {
        // An override is in no file, and has its own name here.
        self.0.source.file.get_or_insert_with(|| path.to_owned());
        self
    }

    /// Returns the file that the text came from, if any; `override` for an override.
    pub fn file(&self) -> Option<&Path> {
        self.0.source.file.as_deref()
    }

    /// Returns the line, counted from 1, or 0 if the file could not be read.
    pub fn line(&self) -> usize {
        self.0.source.line
    }

    /// Returns the column in characters, counted from 1, or 0 if the file could not be read.
    pub fn column(&self) -> usize {
        self.0.source.column
    }

    /// Returns the message without the position.
    pub fn message(&self) -> &str {
        &self.0.message
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { source: Source { file, line, column, text, width }, message, .. } = &*self.0;
        match file {
            Some(file) if *line == 0 => return write!(f, "{}: {message}", file.display()),
            Some(file) => writeln!(f, "{}:{line}:{column}: {message}", file.display())?,
            None if *line == 0 => return f.write_str(message),
            None => writeln!(f, "line {line}, column {column}: {message}")?,
        }
        let gutter = " ".repeat(line.to_string().len());
        // Tabs stay tabs, so that the caret stands where the terminal puts the character.
        let indent: String =
            text.chars().take(column - 1).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        writeln!(f, "{gutter} |")?;
        writeln!(f, "{line} | {text}")?;
        write!(f, "{gutter} | {indent}{}", "^".repeat(*width))
    }
}

/// Prints what `Display` prints: this is what `main` shows when it returns the error.
impl fmt::Debug for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for ConfigError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.io.as_ref().map(|e| e as _)
    }
}

/// A mistake, and its bytes in the text.
#[derive(Debug)]
pub(crate) struct Diagnostic {
    pub(crate) span: Range<usize>,
    pub(crate) message: String,
}

impl Diagnostic {
    pub(crate) fn new(span: Range<usize>, message: impl Into<String>) -> Self {
        Diagnostic { span, message: message.into() }
    }

    /// Returns the diagnostic for a name that is none of the `valid` names of a `what`.
    pub(crate) fn unknown<'a>(
        span: Range<usize>,
        what: &str,
        wrong: &str,
        valid: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let valid: Vec<&str> = valid.into_iter().collect();
        let guess = match nearest(wrong, &valid) {
            Some(name) => format!("did you mean `{name}`? Expected"),
            None => "expected".to_owned(),
        };
        let message = if valid.is_empty() {
            format!("unknown {what} `{wrong}`; there is none to give here")
        } else {
            format!("unknown {what} `{wrong}`; {guess} one of `{}`", valid.join("`, `"))
        };
        Diagnostic { span, message }
    }
}

/// Returns the valid name that `wrong` is most likely a typo of, if any is near enough.
pub(crate) fn nearest<'a>(wrong: &str, valid: &[&'a str]) -> Option<&'a str> {
    // Capitals matter between names that are equally near otherwise.
    let distance = |name: &str| {
        (edit_distance(&wrong.to_lowercase(), &name.to_lowercase()), edit_distance(wrong, name))
    };
    let ((best, _), name) = valid.iter().map(|name| (distance(name), *name)).min()?;
    (best <= name.len().div_ceil(3)).then_some(name)
}

/// Returns the Levenshtein distance: insertions, deletions and replacements of characters.
fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

/// Returns the last index at or before `at` where a character of `text` begins, or its end.
fn floor_char_boundary(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|&i| text.is_char_boundary(i)).unwrap_or(0)
}
