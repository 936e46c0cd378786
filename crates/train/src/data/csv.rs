//! Reading CSV.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::Table;
use crate::error::{DataError, shown};

/// The form of a CSV file.
///
/// ```
/// use wengert_train::data::Csv;
///
/// let table = Csv::new().delimiter(b';').missing(["-"]).parse("age;name\n36;Ada\n-;Bo\n")?;
/// assert_eq!(table.numbers("age")?, [Some(36.0), None]);
///
/// let table = Csv::new().without_header().parse("0.5,oak\n0.7,elm\n")?;
/// assert_eq!(table.names(), ["column 1", "column 2"]);
/// # Ok::<(), wengert_train::DataError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Csv {
    delimiter: u8,
    header: bool,
    missing: Vec<String>,
}

impl Default for Csv {
    fn default() -> Self {
        Self::new()
    }
}

impl Csv {
    /// Makes the usual form: fields divided by commas, names in the first line, missing values empty, `NA` or `?`.
    /// Fields may be quoted by `"`. Space around a field is no part of it, and empty lines are skipped. A column
    /// without a name is called `column 1` by its number.
    pub fn new() -> Self {
        Self { delimiter: b',', header: true, missing: ["", "NA", "?"].map(String::from).into() }
    }

    /// Sets the byte that divides fields.
    pub fn delimiter(mut self, delimiter: u8) -> Self {
        self.delimiter = delimiter;
        self
    }

    /// Reads the first line as a row. The columns are called `column 1` and so on.
    pub fn without_header(mut self) -> Self {
        self.header = false;
        self
    }

    /// Sets the texts that stand for a missing value.
    pub fn missing<S: Into<String>>(mut self, texts: impl IntoIterator<Item = S>) -> Self {
        self.missing = texts.into_iter().map(Into::into).collect();
        self
    }

    /// Reads a file.
    ///
    /// # Errors
    /// Those of [`Table::read`].
    pub fn read(&self, path: impl AsRef<Path>) -> Result<Table, DataError> {
        let path = path.as_ref();
        let text = fs::read(path).map_err(|error| DataError::unreadable(path, error))?;
        let cells = self.cells(&text, Some(path)).map_err(|error| error.in_file(path))?;
        Ok(Table::of(cells))
    }

    /// Reads text.
    ///
    /// # Errors
    /// Those of [`Table::read`].
    pub fn parse(&self, text: impl AsRef<[u8]>) -> Result<Table, DataError> {
        self.cells(text.as_ref(), None).map(Table::of)
    }

    fn cells(&self, text: &[u8], file: Option<&Path>) -> Result<Cells, DataError> {
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        let mut reader = csv::ReaderBuilder::new()
            .delimiter(self.delimiter)
            .has_headers(false)
            .flexible(true)
            .trim(csv::Trim::All)
            .from_reader(text);
        let mut cells = Cells { file: file.map(Into::into), ..Cells::default() };
        let (mut record, mut lines) = (csv::ByteRecord::new(), Lines { text, byte: 0, line: 1 });
        // A reader of bytes in memory that takes any number of fields does not fail.
        while reader
            .read_byte_record(&mut record)
            .map_err(|error| DataError::new(error.to_string()))?
        {
            let line = lines.of(&record);
            if cells.names.is_empty() {
                let header = self.header.then_some(&record);
                cells.names = names(record.len(), header).map_err(|error| error.at_line(line))?;
                if self.header {
                    cells.header_line = Some(line);
                    continue;
                }
            }
            cells.push(&record, line, &self.missing).map_err(|error| error.at_line(line))?;
        }
        match (&cells.names[..], cells.len()) {
            ([], _) => Err(DataError::expected("rows", "an empty file")),
            (_, 0) => Err(DataError::expected("rows after the header", "none")),
            _ => Ok(cells),
        }
    }
}

/// Returns the names of the columns.
fn names(count: usize, header: Option<&csv::ByteRecord>) -> Result<Vec<String>, DataError> {
    let mut names: Vec<String> = Vec::with_capacity(count);
    let mut seen = std::collections::HashSet::new();
    for column in 0..count {
        let name = match header {
            Some(header) => utf8(&header[column])?,
            None => "",
        };
        let name = if name.is_empty() { format!("column {}", column + 1) } else { name.to_owned() };
        if !seen.insert(name.clone()) {
            let message = format!("two columns have the name `{}`", shown(&name));
            return Err(DataError::new(message));
        }
        names.push(name);
    }
    Ok(names)
}

fn utf8(field: &[u8]) -> Result<&str, DataError> {
    std::str::from_utf8(field).map_err(|_| {
        let found = String::from_utf8_lossy(field);
        DataError::expected("UTF-8", format!("`{}`", shown(&found)))
    })
}

/// The fields of a file, one after the other.
#[derive(Debug, Default)]
pub(super) struct Cells {
    pub(super) file: Option<PathBuf>,
    pub(super) names: Vec<String>,
    /// Line of the names.
    pub(super) header_line: Option<u64>,
    text: String,
    /// Place of each field in the text, row by row. `None` is a missing value.
    fields: Vec<Option<Range<usize>>>,
    /// Line of each row.
    lines: Vec<u64>,
}

impl Cells {
    fn push(
        &mut self,
        record: &csv::ByteRecord,
        line: u64,
        missing: &[String],
    ) -> Result<(), DataError> {
        let (expected, found) = (self.names.len(), record.len());
        if found != expected {
            return Err(DataError::expected(format!("{expected} fields"), found));
        }
        for (field, name) in record.iter().zip(&self.names) {
            let field = utf8(field).map_err(|error| error.in_column(name))?;
            let start = self.text.len();
            self.fields.push(match missing.iter().any(|missing| missing == field) {
                true => None,
                false => {
                    self.text.push_str(field);
                    Some(start..self.text.len())
                }
            });
        }
        self.lines.push(line);
        Ok(())
    }

    /// Returns the number of rows.
    pub(super) fn len(&self) -> usize {
        self.lines.len()
    }

    pub(super) fn line(&self, row: usize) -> u64 {
        self.lines[row]
    }

    pub(super) fn field(&self, row: usize, column: usize) -> Option<&str> {
        let place = self.fields[row * self.names.len() + column].clone()?;
        Some(&self.text[place])
    }
}

/// Counts lines up to a record.
struct Lines<'a> {
    text: &'a [u8],
    byte: usize,
    line: u64,
}

impl Lines<'_> {
    /// Returns the line of a record, from 1. Its position is in front of the empty lines before it.
    fn of(&mut self, record: &csv::ByteRecord) -> u64 {
        let start = record.position().map_or(0, |position| position.byte() as usize);
        let rest = self.text.get(start..).unwrap_or_default();
        let empty = rest.iter().take_while(|byte| b"\r\n".contains(byte)).count();
        let passed = &self.text[self.byte..(start + empty).min(self.text.len())];
        self.line += passed.iter().filter(|&&byte| byte == b'\n').count() as u64;
        self.byte += passed.len();
        self.line
    }
}
