//! Errors of predicted values.

use wengert_core::Tensor;

use super::Metric;
use super::sum::ExactSum;
use crate::data::Targets;

/// A metric of values: mean absolute error, root mean square error, or R2. Of several columns, the mean over them, as
/// scikit-learn computes it.
///
/// ```
/// use wengert_core::Tensor;
/// use wengert_train::data::Targets;
/// use wengert_train::metrics::{Metric, ValueError};
///
/// let (mut mae, mut r2) = (ValueError::mae(), ValueError::r2());
/// let (found, values) = (Tensor::from([2.5, 0.0, 2.0, 8.0]), Tensor::from([3.0, -0.5, 2.0, 7.0]));
/// mae.update(&found, &Targets::Values(values.clone()));
/// r2.update(&found, &Targets::Values(values));
/// assert_eq!(mae.value(), 0.5);
/// assert!((r2.value() - 0.9486081370449679).abs() < 1e-15);
/// ```
#[derive(Clone, Debug)]
pub struct ValueError {
    name: &'static str,
    value: fn(&Column, f64) -> f64,
    columns: Vec<Column>,
    rows: u64,
}

/// Sums over the rows of a column.
#[derive(Clone, Debug, Default)]
struct Column {
    absolute: ExactSum,
    squared: ExactSum,
    targets: ExactSum,
    squared_targets: ExactSum,
}

impl ValueError {
    /// Makes the mean absolute error.
    pub fn mae() -> Self {
        Self::new("mae", |column, rows| column.absolute.value() / rows)
    }

    /// Makes the root of the mean square error.
    pub fn rmse() -> Self {
        Self::new("rmse", |column, rows| (column.squared.value() / rows).sqrt())
    }

    /// Makes the coefficient of determination: 1 minus the sum of squared errors over that of squared deviations of
    /// the targets from their mean. If all targets are equal it is 1 without errors and 0 with some. NaN for fewer
    /// than two rows.
    pub fn r2() -> Self {
        Self::new("r2", |column, rows| match (column.squared.value(), column.deviations(rows)) {
            _ if rows < 2.0 => f64::NAN,
            (0.0, 0.0) => 1.0,
            (_, 0.0) => 0.0,
            (errors, deviations) => 1.0 - errors / deviations,
        })
    }

    fn new(name: &'static str, value: fn(&Column, f64) -> f64) -> Self {
        Self { name, value, columns: Vec::new(), rows: 0 }
    }
}

impl Column {
    /// Returns the sum of squared deviations of the targets from their mean `m`: of `y^2 - 2 m y + m^2`, without
    /// rounding these terms.
    fn deviations(&self, rows: f64) -> f64 {
        let mean = self.targets.value() / rows;
        let mut sum = self.squared_targets.clone();
        self.targets.parts().iter().for_each(|&part| sum.add_product(-2.0 * mean, part));
        let square = mean * mean;
        sum.add_product(rows, square);
        sum.add_product(rows, mean.mul_add(mean, -square));
        sum.value()
    }
}

impl Metric for ValueError {
    fn name(&self) -> &str {
        self.name
    }

    fn accepts(&self, targets: &Targets) -> bool {
        matches!(targets, Targets::Values(_))
    }

    #[track_caller]
    fn update(&mut self, output: &Tensor<f32>, targets: &Targets) {
        let Targets::Values(targets) = targets else {
            panic!("{}: expected targets that are values, found {}", self.name, targets.kind())
        };
        let (found, expected) = (output.shape(), targets.shape());
        // One value for each row, with or without an axis for it.
        let rows = |shape: &[usize]| matches!(*shape, [_] | [_, 1]).then(|| shape[0]);
        if found != expected && (rows(&found).is_none() || rows(&found) != rows(&expected)) {
            panic!("{}: expected outputs of shape {expected:?}, found {found:?}", self.name);
        }
        let width = expected.iter().skip(1).product::<usize>().max(1);
        self.columns.resize_with(width, Column::default);
        for (place, (&y, &target)) in output.as_slice().iter().zip(targets.as_slice()).enumerate() {
            let (column, target) = (&mut self.columns[place % width], f64::from(target));
            let error = f64::from(y) - target;
            column.absolute.add(error.abs());
            column.squared.add(error * error);
            column.targets.add(target);
            column.squared_targets.add(target * target); // Exact: 48 bits.
        }
        self.rows += expected.first().map_or(1, |&rows| rows as u64);
    }

    fn value(&self) -> f64 {
        let values = self.columns.iter().map(|column| (self.value)(column, self.rows as f64));
        values.sum::<f64>() / self.columns.len() as f64
    }

    fn reset(&mut self) {
        *self = Self::new(self.name, self.value);
    }

    fn larger_is_better(&self) -> bool {
        self.name == "r2"
    }
}
