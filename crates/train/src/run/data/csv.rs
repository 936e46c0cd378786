//! Rows of a CSV file.

use serde::{Deserialize, Serialize};
use wengert_nn::optim::{ConfigPlace, InvalidSetting, range};

use super::{Prepared, a_fifth, yes};
use crate::data::{Fill, Parts, Preparation, Split, Table};
use crate::run::RunError;

/// A file of rows. `target` is a column of classes, `values` are columns of numbers.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Csv {
    path: String,
    target: Option<String>,
    values: Option<Vec<String>>,
    inputs: Option<Vec<String>>,
    #[serde(default)]
    ignore: Vec<String>,
    #[serde(default)]
    categories: Vec<String>,
    #[serde(default)]
    missing: Missing,
    #[serde(default = "yes")]
    standardize: bool,
    #[serde(default = "a_fifth")]
    validation: f64,
    #[serde(default = "yes")]
    stratified: bool,
    group: Option<String>,
}

/// The treatment of missing values.
#[derive(Clone, Copy, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Missing {
    #[default]
    Refuse,
    Drop,
    Mean,
    Median,
    MostFrequent,
}

impl From<Missing> for Fill {
    fn from(missing: Missing) -> Self {
        match missing {
            Missing::Refuse => Fill::Refuse,
            Missing::Drop => Fill::Drop,
            Missing::Mean => Fill::Mean,
            Missing::Median => Fill::Median,
            Missing::MostFrequent => Fill::MostFrequent,
        }
    }
}

impl Csv {
    pub(super) fn checked(self) -> Result<Self, InvalidSetting> {
        range::fraction("validation", self.validation)?;
        if self.target.is_some() && self.values.is_some() {
            return Err(InvalidSetting::new("values", "expected it or `target`, not both"));
        }
        Ok(self)
    }

    pub(super) fn prepare(&self, place: &ConfigPlace, seed: u64) -> Result<Prepared, RunError> {
        let table = Table::read(&self.path)?;
        let in_file = |error: crate::DataError| error.in_file(self.path.as_ref());
        let Parts { train, held_out } = self.parts(&table, seed).map_err(in_file)?;
        if train.is_empty() {
            return Err(place
                .error(format!("no rows of {} are left to train on", self.path))
                .into());
        }
        let rows = table.take_rows(&train);
        let preparation = self.fit(&rows).map_err(in_file)?;
        let train = preparation.apply(&rows).map_err(in_file)?;
        let validation = match held_out.is_empty() {
            true => None,
            false => Some(preparation.apply(&table.take_rows(&held_out)).map_err(in_file)?),
        };
        let validation = validation.filter(|rows| !rows.is_empty());
        Ok(Prepared { validation, preparation: Some(preparation), ..Prepared::of(train) })
    }

    /// Divides the rows by group, by class, or at random.
    fn parts(&self, table: &Table, seed: u64) -> Result<Parts, crate::DataError> {
        let mut split = Split::new(table.len()).seed(seed);
        match (&self.group, &self.target) {
            (Some(group), _) => split = split.by_group(&table.categories(group)?),
            (None, Some(target)) if self.stratified => {
                split = split.stratified(&table.categories(target)?);
            }
            _ => {}
        }
        Ok(split.share(self.validation))
    }

    fn fit(&self, rows: &Table) -> Result<Preparation, crate::DataError> {
        let mut builder = Preparation::builder()
            .ignore(self.ignore.iter())
            .categories(self.categories.iter())
            .missing(self.missing.into());
        if let Some(inputs) = &self.inputs {
            builder = builder.inputs(inputs.iter());
        }
        if let Some(target) = &self.target {
            builder = builder.classes(target);
        }
        if let Some(values) = &self.values {
            builder = builder.values(values.iter());
        }
        if !self.standardize {
            builder = builder.without_standardization();
        }
        builder.fit(rows)
    }
}
