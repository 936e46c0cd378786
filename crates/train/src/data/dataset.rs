//! Inputs and targets, row by row.

use std::sync::Arc;

use wengert_core::{Indices, Tensor};

/// Inputs and what a model shall compute from them, one row for each example. Cloning shares the memory.
///
/// ```
/// use wengert_core::Tensor;
/// use wengert_train::data::{Dataset, Targets};
///
/// let inputs = Tensor::from([[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]]);
/// let data = Dataset::new(inputs, Targets::classes([0, 1, 0], ["oak", "elm"]));
/// let part = data.take_rows(&[2, 0]);
/// assert_eq!(part, Dataset::new(
///     Tensor::from([[4.0, 5.0], [0.0, 1.0]]),
///     Targets::classes([0, 0], ["oak", "elm"]),
/// ));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Dataset {
    /// Inputs of the model; the first axis counts the rows.
    pub inputs: Inputs,
    /// Targets, as many as inputs.
    pub targets: Targets,
}

/// Inputs of a model.
#[derive(Clone, Debug, PartialEq)]
pub enum Inputs {
    /// Numbers of shape `[n, ..]`: columns of a table, images, series.
    Numbers(Tensor<f32>),
    /// Tokens of shape `[n, length]`.
    Tokens(Indices),
}

/// Targets of a model.
#[derive(Clone, Debug, PartialEq)]
pub enum Targets {
    /// A class for each row.
    Classes {
        /// Classes of shape `[n]`, each below the number of names.
        labels: Indices,
        /// Names of the classes.
        names: Arc<[String]>,
    },
    /// Numbers of shape `[n, ..]`.
    Values(Tensor<f32>),
    /// Tokens of shape `[n, length]`.
    Tokens(Indices),
    /// None: rows to predict, or inputs that are their own targets.
    None,
}

impl Dataset {
    /// Makes a dataset of these inputs and targets.
    ///
    /// # Panics
    /// If there are not as many targets as inputs, or a class has no name.
    #[track_caller]
    pub fn new(inputs: impl Into<Inputs>, targets: Targets) -> Self {
        let inputs = inputs.into();
        let rows = inputs.len();
        if let Some(found) = targets.rows()
            && found != rows
        {
            panic!("Dataset: expected a target for each of {rows} rows, found {found} targets");
        }
        if let Targets::Classes { labels, names } = &targets
            && let Err(error) = labels.check_below(names.len())
        {
            panic!("Dataset: a class without a name: {error}");
        }
        Self { inputs, targets }
    }

    /// Returns the number of rows.
    pub fn len(&self) -> usize {
        self.inputs.len()
    }

    /// Returns whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Copies these rows, in this order.
    ///
    /// # Panics
    /// If a row is out of range.
    #[track_caller]
    pub fn take_rows(&self, rows: &[usize]) -> Self {
        let inputs = match &self.inputs {
            Inputs::Numbers(numbers) => Inputs::Numbers(numbers.take_rows(rows)),
            Inputs::Tokens(tokens) => Inputs::Tokens(take_indices(tokens, rows)),
        };
        let targets = match &self.targets {
            Targets::Classes { labels, names } => {
                Targets::Classes { labels: take_indices(labels, rows), names: names.clone() }
            }
            Targets::Values(values) => Targets::Values(values.take_rows(rows)),
            Targets::Tokens(tokens) => Targets::Tokens(take_indices(tokens, rows)),
            Targets::None => Targets::None,
        };
        Self { inputs, targets }
    }

    /// Returns the inputs.
    ///
    /// # Panics
    /// If they are tokens.
    #[track_caller]
    pub fn numbers(&self) -> &Tensor<f32> {
        match &self.inputs {
            Inputs::Numbers(numbers) => numbers,
            Inputs::Tokens(_) => panic!("Dataset: expected inputs that are numbers, found tokens"),
        }
    }

    /// Returns the inputs.
    ///
    /// # Panics
    /// If they are numbers.
    #[track_caller]
    pub fn tokens(&self) -> &Indices {
        match &self.inputs {
            Inputs::Tokens(tokens) => tokens,
            Inputs::Numbers(_) => panic!("Dataset: expected inputs that are tokens, found numbers"),
        }
    }

    /// Returns the classes of the rows, or the tokens that are targets.
    ///
    /// # Panics
    /// If the targets are neither.
    #[track_caller]
    pub fn labels(&self) -> &Indices {
        match &self.targets {
            Targets::Classes { labels, .. } => labels,
            Targets::Tokens(tokens) => tokens,
            other => panic!("Dataset: expected targets that are classes, found {}", other.kind()),
        }
    }

    /// Returns the targets that are numbers.
    ///
    /// # Panics
    /// If they are something else.
    #[track_caller]
    pub fn values(&self) -> &Tensor<f32> {
        match &self.targets {
            Targets::Values(values) => values,
            other => panic!("Dataset: expected targets that are values, found {}", other.kind()),
        }
    }
}

impl Inputs {
    /// Returns the number of rows.
    pub fn len(&self) -> usize {
        let shape = match self {
            Inputs::Numbers(numbers) => numbers.shape(),
            Inputs::Tokens(tokens) => tokens.shape(),
        };
        shape.first().copied().unwrap_or(0)
    }

    /// Returns whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl From<Tensor<f32>> for Inputs {
    fn from(numbers: Tensor<f32>) -> Self {
        Inputs::Numbers(numbers)
    }
}

impl From<Indices> for Inputs {
    fn from(tokens: Indices) -> Self {
        Inputs::Tokens(tokens)
    }
}

impl Targets {
    /// Returns targets that are classes.
    pub fn classes<S: Into<String>>(
        labels: impl Into<Indices>,
        names: impl IntoIterator<Item = S>,
    ) -> Self {
        let names = names.into_iter().map(Into::into).collect();
        Targets::Classes { labels: labels.into(), names }
    }

    /// Returns the number of rows. `None` without targets.
    pub fn rows(&self) -> Option<usize> {
        let shape = match self {
            Targets::Classes { labels, .. } => labels.shape(),
            Targets::Values(values) => values.shape(),
            Targets::Tokens(tokens) => tokens.shape(),
            Targets::None => return None,
        };
        Some(shape.first().copied().unwrap_or(0))
    }

    /// Returns the names of the classes; empty for targets of another kind.
    pub fn class_names(&self) -> &[String] {
        match self {
            Targets::Classes { names, .. } => names,
            _ => &[],
        }
    }

    /// Returns the kind of targets, for messages.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Targets::Classes { .. } => "classes",
            Targets::Values(_) => "values",
            Targets::Tokens(_) => "tokens",
            Targets::None => "none",
        }
    }
}

/// Copies these rows of indices of shape `[n, ..]`.
#[track_caller]
fn take_indices(indices: &Indices, rows: &[usize]) -> Indices {
    let mut shape = indices.shape().to_vec();
    let width = shape[1..].iter().product::<usize>();
    let mut taken = Vec::with_capacity(rows.len() * width);
    for (place, &row) in rows.iter().enumerate() {
        if row >= shape[0] {
            panic!(
                "take_rows: row {row} at place {place} is out of range in {:?}",
                indices.shape()
            );
        }
        taken.extend_from_slice(&indices.as_slice()[row * width..][..width]);
    }
    shape[0] = rows.len();
    Indices::from_vec(taken, &shape[..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_each_kind_are_taken() {
        let tokens = Indices::from([[1, 2], [3, 4], [5, 6]]);
        let data = Dataset::new(tokens.clone(), Targets::Tokens(tokens));
        let part = data.take_rows(&[2, 2, 0]);
        let taken = Indices::from([[5, 6], [5, 6], [1, 2]]);
        assert_eq!(part, Dataset::new(taken.clone(), Targets::Tokens(taken.clone())));
        assert_eq!((part.tokens(), part.labels()), (&taken, &taken));
        assert!(data.take_rows(&[]).is_empty());

        let values = Tensor::from([[1.0], [2.0]]);
        let data = Dataset::new(Tensor::zeros([2, 3]), Targets::Values(values));
        assert_eq!(*data.take_rows(&[1]).values(), Tensor::from([[2.0]]));
        let unlabelled = Dataset::new(Tensor::zeros([2, 3]), Targets::None);
        assert_eq!(unlabelled.take_rows(&[1]).targets, Targets::None);
    }

    #[test]
    #[should_panic = "expected a target for each of 2 rows, found 1 targets"]
    fn missing_targets() {
        Dataset::new(Tensor::zeros([2, 3]), Targets::classes([0], ["a"]));
    }

    #[test]
    #[should_panic = "a class without a name: index 1 at place 1 is out of range (0..1)"]
    fn class_without_a_name() {
        Dataset::new(Tensor::zeros([2, 3]), Targets::classes([0, 1], ["a"]));
    }

    #[test]
    #[should_panic = "row 3 at place 1 is out of range in [3, 1]"]
    fn row_out_of_range() {
        let tokens = Indices::from([[1], [2], [3]]);
        Dataset::new(tokens, Targets::None).take_rows(&[0, 3]);
    }
}
