//! Images, arrays and text from files.

use std::fs;

use serde::{Deserialize, Serialize};
use wengert_nn::optim::{ConfigPlace, InvalidSetting, range};

use super::{HeldOut, Prepared, a_fifth, yes};
use crate::data::{self, Split, Vocabulary, windows};
use crate::run::RunError;

/// Fashion-MNIST; `rows` is the number of rows to train on, by default all.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FashionMnist {
    path: Option<String>,
    rows: Option<usize>,
}

impl FashionMnist {
    pub(super) fn prepare(&self, seed: u64) -> Result<Prepared, RunError> {
        let folder = self.path.as_ref().map(AsRef::as_ref);
        let data::FashionMnist { train, test } = data::fashion_mnist(folder)?;
        let train = match self.rows {
            Some(rows) if rows < train.len() => {
                let split =
                    Split::new(train.len()).seed(seed).stratified(train.labels().as_slice());
                train.take_rows(&split.count(rows).held_out)
            }
            _ => train,
        };
        Ok(Prepared { validation: Some(test), ..Prepared::of(train) })
    }
}

/// Images and labels in the format of MNIST.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Idx {
    images: String,
    labels: String,
    classes: Vec<String>,
    #[serde(default = "a_fifth")]
    validation: f64,
    #[serde(default = "yes")]
    stratified: bool,
}

impl Idx {
    pub(super) fn checked(self) -> Result<Self, InvalidSetting> {
        range::fraction("validation", self.validation)?;
        Ok(self)
    }

    pub(super) fn prepare(&self, seed: u64) -> Result<Prepared, RunError> {
        let &Self { validation, stratified, .. } = self;
        let images = data::idx::images(&self.images, &self.labels, &self.classes)?;
        Ok(HeldOut { validation, stratified }.prepare(images, seed))
    }
}

/// A folder of `.npy` files.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Npy {
    path: String,
    #[serde(default = "a_fifth")]
    validation: f64,
    #[serde(default = "yes")]
    stratified: bool,
}

impl Npy {
    pub(super) fn checked(self) -> Result<Self, InvalidSetting> {
        range::fraction("validation", self.validation)?;
        Ok(self)
    }

    pub(super) fn prepare(&self, seed: u64) -> Result<Prepared, RunError> {
        let &Self { validation, stratified, .. } = self;
        Ok(HeldOut { validation, stratified }.prepare(data::npy_folder(&self.path)?, seed))
    }
}

/// A file of text. The validation is its end.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Text {
    path: String,
    length: usize,
    stride: Option<usize>,
    #[serde(default = "a_tenth")]
    validation: f64,
}

fn a_tenth() -> f64 {
    0.1
}

impl Text {
    /// Checks the settings, and fills in the stride.
    pub(super) fn checked(mut self) -> Result<Self, InvalidSetting> {
        range::fraction("validation", self.validation)?;
        range::at_least_one("length", self.length as u64)?;
        range::at_least_one("stride", *self.stride.get_or_insert(self.length) as u64)?;
        Ok(self)
    }

    pub(super) fn prepare(&self, place: &ConfigPlace) -> Result<Prepared, RunError> {
        let text = fs::read_to_string(&self.path)
            .map_err(|error| RunError::file(self.path.as_ref(), "cannot be read", error))?;
        let vocabulary = Vocabulary::of(&text);
        let tokens = vocabulary.encode(&text)?;
        let parts = Split::new(tokens.len()).in_order().share(self.validation);
        let (train, end) = tokens.split_at(parts.train.len());
        let enough = |part: &[usize]| part.len() > self.length;
        if !enough(train) || !(end.is_empty() || enough(end)) {
            let (found, length) = (tokens.len(), self.length);
            let message = format!(
                "{}: {found} characters make no parts of more than {length} characters each",
                self.path
            );
            return Err(place.error(message).into());
        }
        let stride = self.stride.unwrap_or(self.length);
        let validation = (!end.is_empty()).then(|| windows(end, self.length, stride));
        let train = windows(train, self.length, stride);
        Ok(Prepared { validation, vocabulary: Some(vocabulary), ..Prepared::of(train) })
    }
}
