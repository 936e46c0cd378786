//! Folders of `.npy` files.

use std::fs;
use std::path::{Path, PathBuf};

use wengert_core::{Shape, Tensor};
use wengert_io::npy;

use super::idx::classes_of;
use super::{Dataset, Targets};
use crate::DataError;

/// Reads a folder of `.npy` files, in one of two forms.
///
/// * `inputs.npy` with all rows `[n, ..]`, beside it `labels.npy` with the number of the class of each row `[n]`, or
///   `values.npy` with numbers `[n, ..]`, or neither. `classes.txt` has the names of the classes, one on each line;
///   without it they are called by their numbers.
/// * A folder for each class, named after it, with a file for each row, all of one shape. Classes and rows are in the
///   order of their names.
///
/// # Errors
/// If the folder or a file cannot be read, shapes do not fit each other, or a label is outside of the classes.
///
/// ```
/// use wengert_core::Tensor;
/// use wengert_io::npy;
/// use wengert_train::data::{Dataset, Targets, npy_folder};
///
/// let folder = tempfile::tempdir()?;
/// npy::write(folder.path().join("inputs.npy"), &Tensor::<f32>::from([[0.5], [1.5]]))?;
/// npy::write(folder.path().join("labels.npy"), &Tensor::<f32>::from([1.0, 0.0]))?;
/// std::fs::write(folder.path().join("classes.txt"), "oak\nelm\n")?;
/// assert_eq!(
///     npy_folder(folder.path())?,
///     Dataset::new(Tensor::from([[0.5], [1.5]]), Targets::classes([1, 0], ["oak", "elm"])),
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn npy_folder(folder: impl AsRef<Path>) -> Result<Dataset, DataError> {
    let folder = folder.as_ref();
    match folder.join("inputs.npy").is_file() {
        true => whole(folder),
        false => by_class(folder),
    }
}

fn read(path: &Path) -> Result<Tensor<f32>, DataError> {
    npy::read(path).map_err(|error| DataError::new(error.to_string()))
}

/// Reads the files of all rows.
fn whole(folder: &Path) -> Result<Dataset, DataError> {
    let inputs = read(&folder.join("inputs.npy"))?;
    let (labels, values) = (folder.join("labels.npy"), folder.join("values.npy"));
    let rows = inputs.shape().first().copied().unwrap_or(0);
    let targets = |path: &Path| {
        let targets = read(path)?;
        if inputs.shape().rank() == 0 || targets.shape().first() != Some(&rows) {
            let found = format!("{:?} for inputs {:?}", targets.shape(), inputs.shape());
            return Err(DataError::expected("a target for each row", found).in_file(path));
        }
        Ok(targets)
    };
    let targets = match (labels.is_file(), values.is_file()) {
        (true, true) => {
            let error = DataError::expected("either labels.npy or values.npy", "both");
            return Err(error.in_file(folder));
        }
        (true, false) => {
            let numbers = targets(&labels)?;
            if numbers.shape().rank() != 1 {
                let error = DataError::expected("labels [n]", format!("{:?}", numbers.shape()));
                return Err(error.in_file(&labels));
            }
            let names = class_names(&folder.join("classes.txt"), &numbers)?;
            let classes =
                classes_of(&numbers, names.len()).map_err(|error| error.in_file(&labels))?;
            Targets::classes(classes, names)
        }
        (false, true) => Targets::Values(targets(&values)?),
        (false, false) => Targets::None,
    };
    if inputs.shape().rank() == 0 {
        let error = DataError::expected("inputs [n, ..]", "a scalar");
        return Err(error.in_file(&folder.join("inputs.npy")));
    }
    Ok(Dataset::new(inputs, targets))
}

/// Returns the names of a file, or the numbers up to the largest label.
fn class_names(path: &Path, labels: &Tensor<f32>) -> Result<Vec<String>, DataError> {
    if path.is_file() {
        let text = fs::read_to_string(path).map_err(|error| DataError::unreadable(path, error))?;
        return Ok(text.lines().map(|line| line.trim().to_owned()).collect());
    }
    /// Classes without a name, at most: a label that is larger is a mistake.
    const MOST: f32 = 100_000.0;
    let largest = labels.as_slice().iter().copied().fold(0.0, f32::max).min(MOST);
    Ok((0..=largest as usize).map(|class| class.to_string()).collect())
}

/// Reads a folder for each class.
fn by_class(folder: &Path) -> Result<Dataset, DataError> {
    let (mut names, mut labels, mut rows) = (Vec::new(), Vec::new(), Vec::<Tensor<f32>>::new());
    for class in sorted(folder)?.into_iter().filter(|path| path.is_dir()) {
        for path in
            sorted(&class)?.into_iter().filter(|path| path.extension() == Some("npy".as_ref()))
        {
            let row = read(&path)?;
            if let Some(first) = rows.first()
                && row.shape() != first.shape()
            {
                let expected = format!("{:?} as in the first file", first.shape());
                let found = format!("{:?}", row.shape());
                return Err(DataError::expected(expected, found).in_file(&path));
            }
            labels.push(names.len());
            rows.push(row);
        }
        names.push(class.file_name().unwrap_or_default().to_string_lossy().into_owned());
    }
    let Some(first) = rows.first() else {
        let expected = "inputs.npy, or a folder for each class with .npy files";
        return Err(DataError::expected(expected, "none").in_file(folder));
    };
    let shape = Shape::try_new(&[&[rows.len()], &first.shape()[..]].concat())
        .map_err(|error| DataError::new(error.to_string()).in_file(folder))?;
    let numbers = rows.iter().flat_map(|row| row.as_slice()).copied().collect();
    Ok(Dataset::new(Tensor::from_vec(numbers, shape), Targets::classes(labels, names)))
}

/// Returns the paths in a folder, in the order of their names.
fn sorted(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let unreadable = |error| DataError::unreadable(folder, error);
    let entries = fs::read_dir(folder).map_err(unreadable)?;
    let paths = entries.map(|entry| entry.map(|entry| entry.path()));
    let mut paths = paths.collect::<Result<Vec<_>, _>>().map_err(unreadable)?;
    paths.sort();
    Ok(paths)
}
