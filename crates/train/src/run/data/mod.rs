//! The data that a configuration names.

mod csv;
mod files;

use serde::{Deserialize, Serialize};
use wengert_core::{Indices, Tensor};
use wengert_nn::optim::{ConfigTable, InvalidSetting, range};

use super::RunError;
use super::config::written;
use crate::data::{Dataset, Inputs, Parts, Preparation, Split, Targets, Vocabulary, digits};

/// Data of a run, in parts.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) train: Dataset,
    pub(super) validation: Option<Dataset>,
    /// The way from raw rows to inputs, for a file of rows.
    pub(super) preparation: Option<Preparation>,
    /// Characters of the tokens, for a text.
    pub(super) vocabulary: Option<Vocabulary>,
}

impl Prepared {
    fn of(train: Dataset) -> Self {
        Self { train, validation: None, preparation: None, vocabulary: None }
    }

    /// Returns the number of different tokens; 0 for data that are numbers.
    pub(super) fn tokens(&self) -> usize {
        self.vocabulary.as_ref().map_or(0, Vocabulary::len)
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
const KINDS: [&str; 6] = ["csv", "digits", "fashion_mnist", "idx", "npy", "text"];

/// Loads the data of the table `[data]`. Returns it with all settings, as lines of TOML.
pub(super) fn prepare(mut table: ConfigTable, seed: u64) -> Result<(Prepared, String), RunError> {
    let place = table.place();
    let kind = table.take_kind("data", &KINDS)?;
    let (prepared, settings) = match kind {
        "csv" => {
            let csv = table.make(csv::Csv::checked)?;
            (csv.prepare(&place, seed)?, written(&csv))
        }
        "digits" => {
            let held_out = table.make(HeldOut::checked)?;
            (held_out.prepare(digits(), seed), written(&held_out))
        }
        "fashion_mnist" => {
            let fashion = table.make(|fashion: files::FashionMnist| Ok(fashion))?;
            (fashion.prepare(seed)?, written(&fashion))
        }
        "idx" => {
            let idx = table.make(files::Idx::checked)?;
            (idx.prepare(seed)?, written(&idx))
        }
        "npy" => {
            let npy = table.make(files::Npy::checked)?;
            (npy.prepare(seed)?, written(&npy))
        }
        _ => {
            let text = table.make(files::Text::checked)?;
            (text.prepare(&place)?, written(&text))
        }
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
        Prepared { validation, ..Prepared::of(all.take_rows(&train)) }
    }
}
