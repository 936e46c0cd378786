//! Tables of CSV files.

use std::path::Path;
use std::sync::Arc;

use super::csv::{Cells, Csv};
use crate::error::{DataError, shown};

/// A table from a CSV file: named columns of numbers or categories, with missing values. Cloning, and taking rows,
/// share the text.
///
/// The type of a column follows from its fields: numbers if all that are not missing are finite numbers, categories
/// if none is a number. A column of both is an error that names the first field that differs from most, so a
/// mistyped number does not turn a column into text unnoticed. [`numbers`](Table::numbers) and
/// [`categories`](Table::categories) read a column as the type that they name.
///
/// ```
/// use wengert_train::data::{Column, Table};
///
/// let table = Table::from_csv("height,kind\n1.5,oak\n,elm\n2.5,NA\n")?;
/// assert_eq!(table.column("height")?, Column::Numbers(vec![Some(1.5), None, Some(2.5)]));
/// assert_eq!(table.categories("kind")?, [Some("oak"), Some("elm"), None]);
///
/// let missing = table.missing();
/// assert_eq!((missing[0].line, missing[0].column.as_str()), (3, "height"));
/// assert_eq!((missing[1].line, missing[1].column.as_str()), (4, "kind"));
/// # Ok::<(), wengert_train::DataError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Table {
    cells: Arc<Cells>,
    rows: Vec<usize>,
}

/// The fields of a column. `None` is a missing value.
#[derive(Clone, Debug, PartialEq)]
pub enum Column<'a> {
    /// Finite numbers.
    Numbers(Vec<Option<f64>>),
    /// Texts.
    Categories(Vec<Option<&'a str>>),
}

/// The place of a missing value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// Line of the file, counted from 1.
    pub line: u64,
    /// Name of the column.
    pub column: String,
}

impl Table {
    /// Reads a CSV file: fields divided by commas, names in the first line, missing values empty, `NA` or `?`.
    /// [`Csv`] reads other forms.
    ///
    /// # Errors
    /// If the file cannot be read or is empty, a row has more or fewer fields than the header, two columns have one
    /// name, or the text is not UTF-8.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, DataError> {
        Csv::new().read(path)
    }

    /// Reads CSV text, as [`read`](Table::read) does.
    ///
    /// # Errors
    /// Those of [`read`](Table::read).
    pub fn from_csv(text: impl AsRef<[u8]>) -> Result<Self, DataError> {
        Csv::new().parse(text)
    }

    pub(super) fn of(cells: Cells) -> Self {
        Table { rows: (0..cells.len()).collect(), cells: Arc::new(cells) }
    }

    /// Returns the number of rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Returns whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Returns the names of the columns.
    pub fn names(&self) -> &[String] {
        &self.cells.names
    }

    /// Returns these rows, in this order.
    ///
    /// # Panics
    /// If a row is out of range.
    #[track_caller]
    pub fn take_rows(&self, rows: &[usize]) -> Self {
        let len = self.len();
        let take = |&row: &usize| match self.rows.get(row) {
            Some(&row) => row,
            None => panic!("take_rows: row {row} is out of range in a table of {len} rows"),
        };
        Table { cells: self.cells.clone(), rows: rows.iter().map(take).collect() }
    }

    /// Returns the line of a row in the file, counted from 1.
    ///
    /// # Panics
    /// If the row is out of range.
    #[track_caller]
    pub fn line(&self, row: usize) -> u64 {
        self.cells.line(self.rows[row])
    }

    /// Returns the places of all missing values, row by row.
    pub fn missing(&self) -> Vec<Missing> {
        let mut missing = Vec::new();
        for row in 0..self.len() {
            for (column, name) in self.names().iter().enumerate() {
                if self.field(row, column).is_none() {
                    missing.push(Missing { line: self.line(row), column: name.clone() });
                }
            }
        }
        missing
    }

    /// Returns the rows that have no missing value in these columns.
    ///
    /// # Errors
    /// If there is no such column.
    pub fn complete_rows<S: AsRef<str>>(
        &self,
        columns: impl IntoIterator<Item = S>,
    ) -> Result<Vec<usize>, DataError> {
        let mut rows: Vec<usize> = (0..self.len()).collect();
        for name in columns {
            let column = self.index(name.as_ref())?;
            rows.retain(|&row| self.field(row, column).is_some());
        }
        Ok(rows)
    }

    /// Returns a column, as numbers or as categories.
    ///
    /// # Errors
    /// If there is no such column, or it has fields of both types.
    pub fn column(&self, name: &str) -> Result<Column<'_>, DataError> {
        let column = self.index(name)?;
        let is_number = |row: &usize| self.field(*row, column).map(|field| number(field).is_some());
        let count = |kind| (0..self.len()).filter(|row| is_number(row) == Some(kind)).count();
        let (numbers, texts) = (count(true), count(false));
        if numbers == 0 && texts > 0 {
            return Ok(Column::Categories(self.fields(column)));
        }
        if texts > numbers {
            let row = (0..self.len()).find(|row| is_number(row) == Some(true)).unwrap_or(0);
            let found = shown(self.field(row, column).unwrap_or(""));
            let message = format!(
                "expected a text as in most rows, found the number `{found}`; declare the column to hold categories"
            );
            return Err(self.error_at(row, column, DataError::new(message)));
        }
        self.numbers(name).map(Column::Numbers)
    }

    /// Returns the numbers of a column.
    ///
    /// # Errors
    /// If there is no such column, or a field is neither a finite number nor missing.
    pub fn numbers(&self, name: &str) -> Result<Vec<Option<f64>>, DataError> {
        let column = self.index(name)?;
        let read = |row| match self.field(row, column) {
            None => Ok(None),
            Some(field) => match number(field) {
                Some(number) => Ok(Some(number)),
                None => {
                    let error = DataError::expected(
                        match field.parse::<f64>() {
                            Ok(_) => "a finite number",
                            Err(_) => "a number",
                        },
                        format!("`{}`", shown(field)),
                    );
                    Err(self.error_at(row, column, error))
                }
            },
        };
        (0..self.len()).map(read).collect()
    }

    /// Returns the texts of a column, whatever they are.
    ///
    /// # Errors
    /// If there is no such column.
    pub fn categories(&self, name: &str) -> Result<Vec<Option<&str>>, DataError> {
        Ok(self.fields(self.index(name)?))
    }

    fn fields(&self, column: usize) -> Vec<Option<&str>> {
        (0..self.len()).map(|row| self.field(row, column)).collect()
    }

    fn field(&self, row: usize, column: usize) -> Option<&str> {
        self.cells.field(self.rows[row], column)
    }

    pub(super) fn index(&self, name: &str) -> Result<usize, DataError> {
        let names = self.names();
        names.iter().position(|column| column == name).ok_or_else(|| {
            let error = DataError::absent("column", name, names);
            self.in_file(match self.cells.header_line {
                Some(line) => error.at_line(line),
                None => error,
            })
        })
    }

    /// Adds the place of a field to an error.
    pub(super) fn error_in(&self, row: usize, name: &str, error: DataError) -> DataError {
        self.in_file(error.at_line(self.line(row)).in_column(name))
    }

    fn error_at(&self, row: usize, column: usize, error: DataError) -> DataError {
        self.error_in(row, &self.names()[column], error)
    }

    pub(super) fn in_file(&self, error: DataError) -> DataError {
        match &self.cells.file {
            Some(file) => error.in_file(file),
            None => error,
        }
    }
}

/// Returns the finite number that a text is.
fn number(text: &str) -> Option<f64> {
    text.parse().ok().filter(|number: &f64| number.is_finite())
}
