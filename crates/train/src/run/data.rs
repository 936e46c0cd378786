//! The data that a configuration names.

use serde::{Deserialize, Serialize};
use wengert_core::{Indices, Tensor};
use wengert_nn::optim::{ConfigPlace, ConfigTable, InvalidSetting, range};

use super::RunError;
use super::config::written;
use crate::data::{Dataset, Fill, Inputs, Parts, Preparation, Split, Table, Targets, digits};

/// Data of a run, in parts.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) train: Dataset,
    pub(super) validation: Option<Dataset>,
    /// The way from raw rows to inputs, for a file of rows.
    pub(super) preparation: Option<Preparation>,
}

impl Prepared {
    /// Returns the number of different tokens; 0 for data that are numbers.
    pub(super) fn tokens(&self) -> usize {
        0
    }

    /// Returns a checksum of the data to train on.
    pub(super) fn checksum(&self) -> String {
        let mut crc = flate2::Crc::new();
        match &self.train.inputs {
            Inputs::Numbers(inputs) => numbers(inputs, &mut crc),
            Inputs::Tokens(tokens) => indices(tokens, &mut crc),
        }
        match &self.train.targets {
            Targets::Values(values) => numbers(values, &mut crc),
            Targets::Classes { labels, .. } | Targets::Tokens(labels) => indices(labels, &mut crc),
            Targets::None => {}
        }
        format!("{:08x}", crc.sum())
    }
}

fn numbers(numbers: &Tensor<f32>, crc: &mut flate2::Crc) {
    numbers.as_slice().iter().for_each(|number| crc.update(&number.to_le_bytes()));
}

fn indices(indices: &Indices, crc: &mut flate2::Crc) {
    indices.as_slice().iter().for_each(|&index| crc.update(&(index as u64).to_le_bytes()));
}

/// Kinds of data.
const KINDS: [&str; 2] = ["csv", "digits"];

/// Loads the data of the table `[data]`. Returns it with all settings, as lines of TOML.
pub(super) fn prepare(mut table: ConfigTable, seed: u64) -> Result<(Prepared, String), RunError> {
    let place = table.place();
    let kind = table.take_kind("data", &KINDS)?;
    let (prepared, settings) = match kind {
        "csv" => {
            let csv = table.make(Csv::checked)?;
            (csv.prepare(&place, seed)?, written(&csv))
        }
        "digits" => {
            let held_out = table.make(HeldOut::checked)?;
            (held_out.prepare(digits(), seed), written(&held_out))
        }
        _ => unreachable!("one of the kinds"),
    };
    if prepared.train.is_empty() {
        return Err(place.error("no rows are left to train on").into());
    }
    Ok((prepared, format!("kind = \"{kind}\"\n{settings}")))
}

fn a_fifth() -> f64 {
    0.2
}

fn yes() -> bool {
    true
}

/// Share of the rows that are held out for validation.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct HeldOut {
    #[serde(default = "a_fifth")]
    validation: f64,
    #[serde(default = "yes")]
    stratified: bool,
}

impl HeldOut {
    fn checked(self) -> Result<Self, InvalidSetting> {
        range::fraction("validation", self.validation)?;
        Ok(self)
    }

    fn prepare(&self, all: Dataset, seed: u64) -> Prepared {
        let mut split = Split::new(all.len()).seed(seed);
        if let (true, Targets::Classes { labels, .. }) = (self.stratified, &all.targets) {
            split = split.stratified(labels.as_slice());
        }
        let Parts { train, held_out } = split.share(self.validation);
        let validation = (!held_out.is_empty()).then(|| all.take_rows(&held_out));
        Prepared { train: all.take_rows(&train), validation, preparation: None }
    }
}

/// A file of rows. `target` is a column of classes, `values` are columns of numbers.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Csv {
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

/// What happens to missing values.
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
    fn checked(self) -> Result<Self, InvalidSetting> {
        range::fraction("validation", self.validation)?;
        if self.target.is_some() && self.values.is_some() {
            return Err(InvalidSetting::new("values", "expected it or `target`, not both"));
        }
        Ok(self)
    }

    fn prepare(&self, place: &ConfigPlace, seed: u64) -> Result<Prepared, RunError> {
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
        Ok(Prepared { train, validation, preparation: Some(preparation) })
    }

    /// Divides the rows by group, by class, or at random.
    fn parts(&self, table: &Table, seed: u64) -> Result<Parts, crate::DataError> {
        let mut split = Split::new(table.len()).seed(seed);
        match (&self.group, &self.target) {
            (Some(group), _) => split = split.by_group(&table.categories(group)?),
            (None, Some(target)) if self.stratified => {
                let labels = table.categories(target)?;
                let mut names = labels.clone();
                names.sort_unstable();
                names.dedup();
                let class = |label| names.binary_search(label).unwrap_or(0);
                split = split.stratified(&labels.iter().map(class).collect::<Vec<_>>());
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
