//! Fitting a preparation on training rows.

use super::preparation::{Encoding, Input, Preparation, Target};
use super::{Column, Table};
use crate::error::DataError;

/// Settings of a [`Preparation`], to be fitted on training rows.
#[derive(Clone, Debug, Default)]
pub struct PreparationBuilder {
    inputs: Option<Vec<String>>,
    ignored: Vec<String>,
    categories: Vec<String>,
    target: Asked,
    class_names: Option<Vec<String>>,
    missing: Fill,
    missing_in: Vec<(String, Fill)>,
    raw_numbers: bool,
    allow_unknown: bool,
}

/// The target that was asked for.
#[derive(Clone, Debug, Default)]
enum Asked {
    #[default]
    None,
    Classes(String),
    Values(Vec<String>),
}

/// What happens to a missing value of an input. A missing target is refused, or its row dropped, but never filled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fill {
    /// It is an error, which names its line and column. The default.
    #[default]
    Refuse,
    /// Its row is left out.
    Drop,
    /// The mean of the training rows takes its place; in a column of categories, the most frequent one.
    Mean,
    /// The median of the training rows takes its place; in a column of categories, the most frequent one.
    Median,
    /// The most frequent value of the training rows takes its place, the smallest of equally frequent ones.
    MostFrequent,
}

/// Categories of a column, at most. A column with more is an identifier, and would become as many inputs.
const MOST_CATEGORIES: usize = 1000;

impl PreparationBuilder {
    /// Makes a column the target: its values are classes, in alphabetical order, or in the order of numbers if all
    /// are numbers.
    pub fn classes(mut self, column: impl Into<String>) -> Self {
        self.target = Asked::Classes(column.into());
        self
    }

    /// Sets the classes and their order. A label that is none of them is an error.
    pub fn class_names<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        self.class_names = Some(strings(names));
        self
    }

    /// Makes columns of numbers the targets, as they are.
    pub fn values<S: Into<String>>(mut self, columns: impl IntoIterator<Item = S>) -> Self {
        self.target = Asked::Values(strings(columns));
        self
    }

    /// Sets the columns that are inputs. Default: all but the target.
    pub fn inputs<S: Into<String>>(mut self, columns: impl IntoIterator<Item = S>) -> Self {
        self.inputs = Some(strings(columns));
        self
    }

    /// Leaves columns out.
    pub fn ignore<S: Into<String>>(mut self, columns: impl IntoIterator<Item = S>) -> Self {
        self.ignored.extend(strings(columns));
        self
    }

    /// Reads columns as categories even if they hold numbers.
    pub fn categories<S: Into<String>>(mut self, columns: impl IntoIterator<Item = S>) -> Self {
        self.categories.extend(strings(columns));
        self
    }

    /// Sets what happens to missing values. Default: [`Fill::Refuse`].
    pub fn missing(mut self, fill: Fill) -> Self {
        self.missing = fill;
        self
    }

    /// Sets how missing values of one column are filled. Rows are dropped by [`missing`](Self::missing) alone.
    ///
    /// # Panics
    /// If `fill` is [`Fill::Drop`].
    #[track_caller]
    pub fn missing_in(mut self, column: impl Into<String>, fill: Fill) -> Self {
        assert!(fill != Fill::Drop, "missing_in: rows are dropped for all columns or none");
        self.missing_in.push((column.into(), fill));
        self
    }

    /// Leaves numbers as they are, instead of subtracting the mean and dividing by the standard deviation.
    pub fn without_standardization(mut self) -> Self {
        self.raw_numbers = true;
        self
    }

    /// Encodes a category that the training rows do not have as zeros. Default: it is an error.
    pub fn allow_unknown_categories(mut self) -> Self {
        self.allow_unknown = true;
        self
    }

    /// Fits a preparation on training rows.
    ///
    /// # Errors
    /// If a column is not there or mixes numbers and text, a value is missing that is neither dropped nor filled, a
    /// column has no value at all or more than 1,000 categories, or a label is none of the given classes.
    pub fn fit(&self, table: &Table) -> Result<Preparation, DataError> {
        let filled = self.missing_in.iter().map(|(name, _)| name);
        for name in self.ignored.iter().chain(&self.categories).chain(filled) {
            table.index(name)?;
        }
        let target = self.target(table)?;
        let names = self.input_names(table, target.columns());
        let drop_missing = self.missing == Fill::Drop;
        let kept = match drop_missing {
            true => table.take_rows(&table.complete_rows(names.iter().chain(target.columns()))?),
            false => table.clone(),
        };
        let input = |name: String| Ok(Input { encoding: self.encoding(&kept, &name)?, name });
        let inputs = names.into_iter().map(input).collect::<Result<_, DataError>>()?;
        let allow_unknown = self.allow_unknown;
        let preparation = Preparation { inputs, target, drop_missing, allow_unknown };
        // Finds every mistake in the training rows now.
        preparation.apply(table)?;
        Ok(preparation)
    }

    fn input_names(&self, table: &Table, targets: &[String]) -> Vec<String> {
        let inputs = self.inputs.as_deref().unwrap_or(table.names());
        let is_input = |name: &&String| !targets.contains(name) && !self.ignored.contains(name);
        inputs.iter().filter(is_input).cloned().collect()
    }

    fn target(&self, table: &Table) -> Result<Target, DataError> {
        Ok(match &self.target {
            Asked::None => Target::None,
            Asked::Values(columns) => Target::Values { columns: columns.clone() },
            Asked::Classes(column) => {
                let names = match &self.class_names {
                    Some(names) => names.clone(),
                    None => values(table, column)?,
                };
                Target::Classes { column: column.clone(), names }
            }
        })
    }

    fn encoding(&self, table: &Table, name: &str) -> Result<Encoding, DataError> {
        let fill = self.missing_in.iter().rev().find(|(column, _)| column == name);
        let fill = fill.map_or(self.missing, |(_, fill)| *fill);
        let column = match self.categories.iter().any(|column| column == name) {
            true => Column::Categories(table.categories(name)?),
            false => table.column(name)?,
        };
        let nothing = || table.in_file(DataError::expected("values", "none").in_column(name));
        match column {
            Column::Numbers(numbers) => {
                let mut numbers: Vec<f64> = numbers.into_iter().flatten().collect();
                numbers.sort_by(f64::total_cmp);
                if numbers.is_empty() {
                    return Err(nothing());
                }
                let fill = match fill {
                    Fill::Refuse | Fill::Drop => None,
                    Fill::Mean => Some(mean(&numbers)),
                    Fill::Median => Some(median(&numbers)),
                    Fill::MostFrequent => most_frequent(&numbers).copied(),
                };
                // Filled values count: the inputs shall have mean 0.
                let missing = table.len() - numbers.len();
                numbers.extend(fill.iter().flat_map(|&fill| std::iter::repeat_n(fill, missing)));
                let (mean, std) = match self.raw_numbers {
                    true => (0.0, 1.0),
                    false => (mean(&numbers), deviation(&numbers)),
                };
                if !mean.is_finite() || !std.is_finite() {
                    let error = DataError::expected("numbers of usual size", "an overflow");
                    return Err(table.in_file(error.in_column(name)));
                }
                Ok(Encoding::Number { fill, mean, std })
            }
            Column::Categories(texts) => {
                let mut texts: Vec<&str> = texts.into_iter().flatten().collect();
                texts.sort_unstable();
                let fill = match fill {
                    Fill::Refuse | Fill::Drop => None,
                    _ => Some((*most_frequent(&texts).ok_or_else(nothing)?).to_owned()),
                };
                Ok(Encoding::Category { fill, categories: values(table, name)? })
            }
        }
    }
}

/// Returns the different values of a column, in order.
fn values(table: &Table, column: &str) -> Result<Vec<String>, DataError> {
    let mut values: Vec<&str> = table.categories(column)?.into_iter().flatten().collect();
    values.sort_unstable();
    values.dedup();
    let found = values.len();
    if !(1..=MOST_CATEGORIES).contains(&found) {
        let expected = format!("1 to {MOST_CATEGORIES} different values");
        let error = DataError::expected(expected, found).in_column(column);
        return Err(table.in_file(error));
    }
    let number = |value: &&str| value.parse::<f64>();
    if values.iter().all(|value| number(value).is_ok()) {
        values.sort_by(|a, b| {
            number(a).ok().partial_cmp(&number(b).ok()).unwrap_or(std::cmp::Ordering::Equal)
        });
    }
    Ok(strings(values))
}

fn strings<S: Into<String>>(texts: impl IntoIterator<Item = S>) -> Vec<String> {
    texts.into_iter().map(Into::into).collect()
}

/// Returns the mean of numbers, of which there is one at least.
fn mean(numbers: &[f64]) -> f64 {
    numbers.iter().sum::<f64>() / numbers.len() as f64
}

/// Returns the standard deviation, with the number of all as the divisor; 1 if all are equal, so that one can divide
/// by it.
fn deviation(numbers: &[f64]) -> f64 {
    let (mean, first) = (mean(numbers), numbers[0]);
    if numbers.iter().all(|&number| number == first) {
        return 1.0;
    }
    let squares = numbers.iter().map(|number| (number - mean) * (number - mean));
    (squares.sum::<f64>() / numbers.len() as f64).sqrt()
}

/// Returns the median of sorted numbers.
fn median(sorted: &[f64]) -> f64 {
    let half = sorted.len() / 2;
    match sorted.len() % 2 {
        1 => sorted[half],
        _ => sorted[half - 1] / 2.0 + sorted[half] / 2.0,
    }
}

/// Returns the most frequent of sorted values, the smallest of equally frequent ones.
fn most_frequent<T: PartialEq>(sorted: &[T]) -> Option<&T> {
    let runs = sorted.chunk_by(|a, b| a == b);
    // The last maximum wins, so the smallest comes last.
    runs.rev().max_by_key(|run| run.len()).map(|run| &run[0])
}
