//! Mistakes in a configuration, with their exact position.

use std::fmt;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use strsim::osa_distance;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

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
    /// The line of the text, or the part of a long line around the mistake.
    text: String,
    /// What stands under the text: spaces up to the mistake, and carets.
    carets: String,
}

/// Characters of a line that are shown: as many as this of a long line, half of them around the mistake on either side.
const SHOWN: usize = 120;

impl Source {
    /// Returns the position of these bytes in a text.
    pub(crate) fn new(text: &str, span: Range<usize>) -> Self {
        let start = floor_char_boundary(text, span.start);
        let end = floor_char_boundary(text, span.end).max(start);
        let line_start = text[..start].rfind('\n').map_or(0, |newline| newline + 1);
        let line = text[line_start..].lines().next().unwrap_or("");
        // A span may begin at the very end of a line, or at its invisible `\r`.
        let (before, rest) = line.split_at((start - line_start).min(line.len()));
        let underlined = text[start..end].lines().next().unwrap_or("");
        let (mut from, mut to) = (0, rest.len());
        if line.chars().nth(SHOWN).is_some() {
            from = before.char_indices().rev().nth(SHOWN / 2).map_or(0, |(at, _)| at);
            to = rest.char_indices().nth(SHOWN / 2).map_or(to, |(at, _)| at);
        }
        let (cut, shown) = (if from > 0 { ".." } else { "" }, visible(&before[from..]));
        let end = if to < rest.len() { ".." } else { "" };
        let underlined = visible(&underlined[..underlined.len().min(to)]);
        // Tabs stay tabs, so that the caret stands where the terminal puts the character.
        let indent = shown.chars().map(|c| match c {
            '\t' => "\t".into(),
            c => " ".repeat(c.width().unwrap_or(0)),
        });
        Source {
            file: None,
            line: text[..start].matches('\n').count() + 1,
            column: before.chars().count() + 1,
            carets: " ".repeat(cut.len())
                + &indent.collect::<String>()
                + &"^".repeat(underlined.width().max(1)),
            text: format!("{cut}{shown}{}{end}", visible(&rest[..to])),
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

/// Returns the text with a sign in place of each control character, which a terminal would obey.
fn visible(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\t' { '\u{fffd}' } else { c }).collect()
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
        let Inner { source: Source { file, line, column, text, carets }, message, .. } = &*self.0;
        match file {
            Some(file) if *line == 0 => return write!(f, "{}: {message}", file.display()),
            Some(file) => writeln!(f, "{}:{line}:{column}: {message}", file.display())?,
            None if *line == 0 => return f.write_str(message),
            None => writeln!(f, "line {line}, column {column}: {message}")?,
        }
        let gutter = " ".repeat(line.to_string().len());
        writeln!(f, "{gutter} |")?;
        writeln!(f, "{line} | {text}")?;
        write!(f, "{gutter} | {carets}")
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
    pub(crate) problem: Problem,
}

#[derive(Debug)]
pub(crate) enum Problem {
    Said(String),
    Unknown(Unknown),
}

/// A name that is none of the valid ones.
#[derive(Debug)]
pub(crate) struct Unknown {
    /// What the name would name: a key, a schedule, ..
    pub(crate) what: &'static str,
    pub(crate) name: String,
    pub(crate) valid: Vec<String>,
}

impl Diagnostic {
    pub(crate) fn new(span: Range<usize>, message: impl Into<String>) -> Self {
        Diagnostic { span, problem: Problem::Said(message.into()) }
    }

    /// Returns the diagnostic for a name that is none of the `valid` names of a `what`.
    pub(crate) fn unknown(
        span: Range<usize>,
        what: &'static str,
        name: &str,
        valid: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        let valid = valid.into_iter().map(Into::into).collect();
        Diagnostic {
            span,
            problem: Problem::Unknown(Unknown { what, name: name.to_owned(), valid }),
        }
    }
}

impl Unknown {
    /// Returns the message, with a `hint` at the right name or place. A valid name that is near takes the place of a
    /// missing hint.
    pub(crate) fn message(&self, hint: Option<String>) -> String {
        let Unknown { what, name, valid } = self;
        let guess = match hint {
            Some(hint) => format!("{hint}. Expected"),
            None => match nearest(name, valid) {
                Some(name) => format!("did you mean `{name}`? Expected"),
                None => "expected".to_owned(),
            },
        };
        let name = shortened(name);
        match &valid[..] {
            [] => format!("unknown {what} `{name}`; there is none to give here"),
            [one] => format!("unknown {what} `{name}`; {guess} `{one}`"),
            several => {
                format!("unknown {what} `{name}`; {guess} one of `{}`", several.join("`, `"))
            }
        }
    }
}

/// Length from which a name is shortened in a message, and is no typo of another.
const LONG: usize = 60;

/// Returns the name, or the beginning of a long one.
pub(crate) fn shortened(name: &str) -> String {
    let name = visible(name);
    match name.char_indices().nth(LONG) {
        Some((at, _)) => format!("{}..", &name[..at]),
        None => name,
    }
}

/// Returns the valid name that `wrong` is most likely a typo of, if any is near enough: at most one mistake for each three
/// letters.
///
/// ```
/// use wengert_nn::optim::nearest;
///
/// assert_eq!(nearest("AGE", &["name", "age"]), Some("age"));
/// assert_eq!(nearest("height", &["age"]), None);
/// ```
pub fn nearest<'a>(wrong: &str, valid: &'a [impl AsRef<str>]) -> Option<&'a str> {
    nearest_within(wrong, valid, |length| length.div_ceil(3))
}

/// Returns the valid name that is nearest to `wrong`, with at most as many mistakes as `limit` allows for its length.
pub(crate) fn nearest_within<'a>(
    wrong: &str,
    valid: &'a [impl AsRef<str>],
    limit: fn(usize) -> usize,
) -> Option<&'a str> {
    if wrong.len() > LONG {
        return None;
    }
    // Capitals matter between names that are equally near otherwise.
    let distance = |name: &str| {
        (osa_distance(&wrong.to_lowercase(), &name.to_lowercase()), osa_distance(wrong, name))
    };
    let names = valid.iter().map(AsRef::as_ref);
    let ((best, _), name) = names.map(|name| (distance(name), name)).min()?;
    (best <= limit(name.len())).then_some(name)
}

/// Returns the last index at or before `at` where a character of `text` begins, or its end.
fn floor_char_boundary(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|&i| text.is_char_boundary(i)).unwrap_or(0)
}
