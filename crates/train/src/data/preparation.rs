//! From raw rows to a dataset: what a model needs to know about its training data.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};
use wengert_core::{Indices, Tensor};

use super::fit::PreparationBuilder;
use super::{Dataset, Table, Targets};
use crate::error::{DataError, shown};

/// The way from raw rows to the inputs and targets of a model, fitted on the training rows and saved with the model:
/// fills for missing values, means and deviations of numbers, names of categories and classes.
///
/// A number becomes one input, `(x - mean) / std`. A category becomes one input for each category of the training
/// rows, which is 1 where it is that one (one-hot).
///
/// ```
/// use wengert_core::Tensor;
/// use wengert_train::data::{Fill, Preparation, Table};
///
/// let train = Table::from_csv("height,site,kind\n1,wet,oak\n3,dry,elm\n,dry,oak\n")?;
/// let preparation = Preparation::builder().classes("kind").missing(Fill::Mean).fit(&train)?;
/// assert_eq!(preparation.columns(), ["height", "site=dry", "site=wet"]);
/// assert_eq!(preparation.classes(), ["elm", "oak"]);
///
/// let data = preparation.apply(&train)?;
/// assert_eq!(data.labels().as_slice(), [1, 0, 1]);
///
/// // Later, with the saved preparation, rows whose class is not known.
/// let preparation = Preparation::from_json(&preparation.to_json())?;
/// let rows = Table::from_csv("site,height\nwet,2\n")?;
/// assert_eq!(preparation.inputs(&rows)?, Tensor::from([[0.0, 0.0, 1.0]]));
///
/// let error = preparation.inputs(&Table::from_csv("site,height\nwat,2\n")?).unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "line 2, column `site`: unknown category `wat`; did you mean `wet`? Expected one of `dry`, `wet`"
/// );
/// # Ok::<(), wengert_train::DataError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Preparation {
    pub(super) inputs: Vec<Input>,
    pub(super) target: Target,
    /// Whether rows with a missing value are left out.
    pub(super) drop_missing: bool,
    /// Whether a category that the training rows do not have is encoded as zeros.
    pub(super) allow_unknown: bool,
}

/// A column of the file that is an input.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Input {
    pub(super) name: String,
    #[serde(flatten)]
    pub(super) encoding: Encoding,
}

/// The way from a field to numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(super) enum Encoding {
    Number { fill: Option<f64>, mean: f64, std: f64 },
    Category { fill: Option<String>, categories: Vec<String> },
}

/// The targets of a file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(super) enum Target {
    Classes { column: String, names: Vec<String> },
    Values { columns: Vec<String> },
    None,
}

impl Target {
    /// Returns the columns.
    pub(super) fn columns(&self) -> &[String] {
        match self {
            Target::Classes { column, .. } => std::slice::from_ref(column),
            Target::Values { columns } => columns,
            Target::None => &[],
        }
    }
}

impl Preparation {
    /// Returns a builder, which fits a preparation.
    pub fn builder() -> PreparationBuilder {
        PreparationBuilder::default()
    }

    /// Returns the name of each input, such as `height` and `site=dry`.
    pub fn columns(&self) -> Vec<String> {
        let names = self.inputs.iter().flat_map(|Input { name, encoding }| match encoding {
            Encoding::Number { .. } => vec![name.clone()],
            Encoding::Category { categories, .. } => {
                categories.iter().map(|category| format!("{name}={category}")).collect()
            }
        });
        names.collect()
    }

    /// Returns the number of inputs of a row.
    pub fn width(&self) -> usize {
        self.inputs.iter().map(|input| input.encoding.width()).sum()
    }

    /// Returns the names of the classes; empty if the target is no class.
    pub fn classes(&self) -> &[String] {
        match &self.target {
            Target::Classes { names, .. } => names,
            _ => &[],
        }
    }

    /// Returns the rows of a table that [`apply`](Self::apply) keeps: all, unless rows with missing values are
    /// dropped.
    ///
    /// # Errors
    /// If a column is not there.
    pub fn kept_rows(&self, table: &Table) -> Result<Vec<usize>, DataError> {
        self.kept(table, self.target.columns())
    }

    fn kept(&self, table: &Table, targets: &[String]) -> Result<Vec<usize>, DataError> {
        let inputs = self.inputs.iter().map(|input| &input.name);
        match self.drop_missing {
            true => table.complete_rows(inputs.chain(targets)),
            false => Ok((0..table.len()).collect()),
        }
    }

    /// Returns the inputs and targets of a table.
    ///
    /// # Errors
    /// If a column is not there, a number is none or not finite, a value is missing that is neither dropped nor
    /// filled, a category does not occur in the training rows, or a label is none of the classes.
    pub fn apply(&self, table: &Table) -> Result<Dataset, DataError> {
        let table = table.take_rows(&self.kept_rows(table)?);
        Ok(Dataset::new(self.encode(&table)?, self.targets(&table)?))
    }

    /// Returns the inputs of a table, which needs no targets: `[rows, width]`. Rows with a missing value are left
    /// out if the preparation drops them.
    ///
    /// # Errors
    /// Those of [`apply`](Self::apply), but for targets.
    pub fn inputs(&self, table: &Table) -> Result<Tensor<f32>, DataError> {
        self.encode(&table.take_rows(&self.kept(table, &[])?))
    }

    fn encode(&self, table: &Table) -> Result<Tensor<f32>, DataError> {
        let width = self.width();
        let mut out = vec![0.0; table.len() * width];
        let mut offset = 0;
        for Input { name, encoding } in &self.inputs {
            let place = |row: usize| row * width + offset;
            match encoding {
                Encoding::Number { fill, mean, std } => {
                    for (row, number) in table.numbers(name)?.into_iter().enumerate() {
                        let number = number.or(*fill).ok_or_else(|| missing(table, row, name))?;
                        let scaled = ((number - mean) / std) as f32;
                        if !scaled.is_finite() {
                            let error = DataError::expected("a number of usual size", number);
                            return Err(table.error_in(row, name, error));
                        }
                        out[place(row)] = scaled;
                    }
                }
                Encoding::Category { fill, categories } => {
                    for (row, found) in table.categories(name)?.into_iter().enumerate() {
                        let found = found.or(fill.as_deref());
                        let found = found.ok_or_else(|| missing(table, row, name))?;
                        match categories.iter().position(|category| category == found) {
                            Some(category) => out[place(row) + category] = 1.0,
                            None if self.allow_unknown => {}
                            None => {
                                let error = DataError::unknown("category", found, categories);
                                return Err(table.error_in(row, name, error));
                            }
                        }
                    }
                }
            }
            offset += encoding.width();
        }
        Ok(Tensor::from_vec(out, [table.len(), width]))
    }

    fn targets(&self, table: &Table) -> Result<Targets, DataError> {
        match &self.target {
            Target::None => Ok(Targets::None),
            Target::Classes { column, names } => {
                let label = |(row, found): (usize, Option<&str>)| {
                    let found = found.ok_or_else(|| missing(table, row, column))?;
                    names.iter().position(|name| name == found).ok_or_else(|| {
                        table.error_in(row, column, DataError::unknown("class", found, names))
                    })
                };
                let labels = table.categories(column)?.into_iter().enumerate().map(label);
                let labels = Indices::from(labels.collect::<Result<Vec<_>, _>>()?);
                Ok(Targets::Classes { labels, names: names.as_slice().into() })
            }
            Target::Values { columns } => {
                let (len, width) = (table.len(), columns.len());
                let mut values = vec![0.0; len * width];
                for (place, column) in columns.iter().enumerate() {
                    for (row, value) in table.numbers(column)?.into_iter().enumerate() {
                        let value = value.ok_or_else(|| missing(table, row, column))?;
                        if !(value as f32).is_finite() {
                            let error = DataError::expected("a number of usual size", value);
                            return Err(table.error_in(row, column, error));
                        }
                        values[row * width + place] = value as f32;
                    }
                }
                Ok(Targets::Values(Tensor::from_vec(values, [len, width])))
            }
        }
    }

    /// Returns the preparation as JSON.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("a preparation is a JSON object") + "\n"
    }

    /// Reads a preparation from JSON.
    ///
    /// # Errors
    /// If the text is no preparation.
    pub fn from_json(text: &str) -> Result<Self, DataError> {
        let preparation: Preparation = serde_json::from_str(text).map_err(|error| {
            DataError::new(format!("no preparation: {}", shown(&error.to_string())))
                .at_line(error.line() as u64)
        })?;
        for Input { name, encoding } in &preparation.inputs {
            if let Encoding::Number { std, .. } = encoding
                && *std <= 0.0
            {
                return Err(DataError::expected("a `std` above 0", std).in_column(name));
            }
        }
        Ok(preparation)
    }

    /// Writes a file that [`load`](Self::load) reads.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), DataError> {
        let path = path.as_ref();
        fs::write(path, self.to_json()).map_err(|error| DataError::unwritable(path, error))
    }

    /// Reads a file that [`save`](Self::save) wrote.
    ///
    /// # Errors
    /// If the file cannot be read, or is no preparation.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, DataError> {
        let path = path.as_ref();
        let text = fs::read_to_string(path).map_err(|error| DataError::unreadable(path, error))?;
        Self::from_json(&text).map_err(|error| error.in_file(path))
    }
}

impl Encoding {
    fn width(&self) -> usize {
        match self {
            Encoding::Number { .. } => 1,
            Encoding::Category { categories, .. } => categories.len(),
        }
    }
}

fn missing(table: &Table, row: usize, column: &str) -> DataError {
    table.error_in(row, column, DataError::expected("a value", "a missing one"))
}
