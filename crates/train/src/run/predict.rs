//! Predictions of a finished run for new rows.

use std::path::Path;

use wengert_core::Tensor;

use super::results::predicted;
use super::{Kinds, Plan, RunError};
use crate::data::{Dataset, Inputs, Preparation, Table, Targets};
use crate::trainer::{Model, outputs};

/// Predictions, as a table with a header.
#[derive(Clone, Debug, PartialEq)]
pub struct Predictions {
    /// Names of the columns.
    pub columns: Vec<String>,
    /// A row for each row of the input.
    pub rows: Vec<Vec<String>>,
}

impl Predictions {
    /// Returns the table as CSV.
    pub fn to_csv(&self) -> String {
        let quoted = |field: &String| match field.contains([',', '"', '\n', '\r']) {
            true => format!("\"{}\"", field.replace('"', "\"\"")),
            false => field.clone(),
        };
        let line =
            |fields: &Vec<String>| fields.iter().map(quoted).collect::<Vec<_>>().join(",") + "\n";
        [&self.columns].into_iter().chain(&self.rows).map(line).collect()
    }
}

/// Predicts the rows of a CSV file with the model of a finished run. The columns are those of the file that the run was
/// trained on, in any order; targets are not needed. For a run on images, each column is a pixel, row by row.
///
/// # Errors
/// If the folder holds no finished run, or the file does not fit it.
pub fn predict(folder: &Path, csv: &Path, kinds: &Kinds) -> Result<Predictions, RunError> {
    let plan = Plan::load(folder.join("config.toml"), &[""; 0], kinds)?;
    let mut model = plan.network.clone();
    let weights = folder.join("model.safetensors");
    if !weights.exists() {
        let folder = folder.display();
        let message =
            format!("{folder}: the run is not finished: go on with `train --resume {folder}`");
        return Err(RunError::Refused(message));
    }
    wengert_io::load(weights, &mut model)?;
    let table = Table::read(csv)?;
    let saved = folder.join("preparation.json");
    let inputs = match saved.exists() {
        true => Preparation::load(saved)?.inputs(&table).map_err(|error| error.in_file(csv))?,
        false => pixels(&table, &plan.data.train, csv)?,
    };
    Ok(table_of(&model, inputs, &plan.data.train.targets))
}

/// Reads each column as one number of a row, in the shape of the training rows.
fn pixels(table: &Table, train: &Dataset, csv: &Path) -> Result<Tensor<f32>, RunError> {
    let Inputs::Numbers(numbers) = &train.inputs else {
        return Err(RunError::Refused("predict: the model takes tokens, not columns".to_owned()));
    };
    let shape = [&[table.len()], &numbers.shape()[1..]].concat();
    let (expected, names) = (shape[1..].iter().product::<usize>(), table.names());
    if names.len() != expected {
        let (csv, found) = (csv.display(), names.len());
        return Err(RunError::Refused(format!(
            "{csv}: expected {expected} columns, found {found}"
        )));
    }
    let mut values = vec![0.0; table.len() * expected];
    for (place, name) in names.iter().enumerate() {
        for (row, value) in table.numbers(name)?.into_iter().enumerate() {
            let Some(value) = value else {
                let (csv, line) = (csv.display(), table.line(row));
                let message =
                    format!("{csv}: line {line}, column `{name}`: expected a number, found none");
                return Err(RunError::Refused(message));
            };
            values[row * expected + place] = value as f32;
        }
    }
    Ok(Tensor::from_vec(values, &shape[..]))
}

fn table_of(model: &impl Model, inputs: Tensor<f32>, targets: &Targets) -> Predictions {
    let names = targets.class_names();
    let (mut rows, mut width) = (Vec::new(), 1);
    outputs(model, &Dataset::new(inputs, Targets::None), |batch, outputs| {
        width = outputs.numel() / batch.len().max(1);
        if names.is_empty() {
            let texts = |row: &[f32]| row.iter().map(f32::to_string).collect();
            rows.extend(outputs.as_slice().chunks(width.max(1)).map(texts));
        } else {
            let texts = |(class, probability): (usize, f64)| {
                vec![names[class].clone(), format!("{probability:.6}")]
            };
            rows.extend(predicted(outputs).into_iter().map(texts));
        }
    });
    let columns = match (names.is_empty(), width) {
        (false, _) => vec!["class".to_owned(), "probability".to_owned()],
        (true, 1) => vec!["value".to_owned()],
        (true, width) => (1..=width).map(|i| format!("value_{i}")).collect(),
    };
    Predictions { columns, rows }
}
