//! The confusion matrix, and the metrics that follow from it.

use wengert_core::Tensor;

use super::Metric;
use super::output::{Logits, predicted};
use crate::data::Targets;

/// How often rows of each class are predicted to be of each class.
///
/// ```
/// use wengert_core::Tensor;
/// use wengert_train::data::Targets;
/// use wengert_train::metrics::{Average, ConfusionMatrix};
///
/// let mut confusion = ConfusionMatrix::default();
/// let logits = Tensor::from([[2.0, -1.0], [0.5, 0.0], [-3.0, 1.0]]);
/// confusion.update(&logits, &Targets::classes([0, 1, 1], ["oak", "elm"]));
/// assert_eq!(confusion.rows(), [[1, 0], [1, 1]]);
/// assert_eq!(confusion.precision(Average::Class(0)), 0.5);
/// assert_eq!(confusion.to_string(), "\
/// class  oak  elm
/// oak      1    0
/// elm      1    1
/// ");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfusionMatrix {
    names: Vec<String>,
    rows: Vec<Vec<u64>>,
}

/// The way from numbers of each class to one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Average {
    /// Counts of all classes together.
    Micro,
    /// The mean of the numbers of all classes, which weigh the same.
    Macro,
    /// The number of one class.
    Class(usize),
}

impl ConfusionMatrix {
    /// Takes the outputs of a model for some rows, and their classes.
    ///
    /// # Panics
    /// If the targets are no classes, or the shape of the outputs does not fit them.
    #[track_caller]
    pub fn update(&mut self, output: &Tensor<f32>, targets: &Targets) {
        self.update_for("confusion matrix", output, targets);
    }

    #[track_caller]
    fn update_for(&mut self, metric: &str, output: &Tensor<f32>, targets: &Targets) {
        let logits = Logits::new(metric, output, targets);
        let classes = logits.classes();
        if self.rows.is_empty() {
            self.rows = vec![vec![0; classes]; classes];
            self.names = match targets.class_names() {
                [] => (0..classes).map(|class| class.to_string()).collect(),
                names => names.to_vec(),
            };
        }
        for (logits, label) in logits.rows() {
            self.rows[label][predicted(logits)] += 1;
        }
    }

    /// Returns the counts: a row for each class, with a column for each predicted class. Empty before the first
    /// update.
    pub fn rows(&self) -> &[Vec<u64>] {
        &self.rows
    }

    /// Returns the names of the classes.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Returns the share of rows that are predicted correctly. NaN without rows.
    pub fn accuracy(&self) -> f64 {
        let correct = (0..self.rows.len()).map(|class| self.rows[class][class]).sum::<u64>();
        correct as f64 / self.total() as f64
    }

    /// Returns the number of rows.
    pub fn total(&self) -> u64 {
        self.rows.iter().flatten().sum()
    }

    /// Returns the precision: of the rows predicted to be of a class, the share that is. 0 if none is; NaN without
    /// rows.
    ///
    /// # Panics
    /// If the average is of a class that does not exist.
    pub fn precision(&self, average: Average) -> f64 {
        self.average(average, |hits, predicted, _| share(hits, predicted))
    }

    /// Returns the recall: of the rows of a class, the share predicted to be. 0 if none is of the class; NaN without
    /// rows.
    ///
    /// # Panics
    /// If the average is of a class that does not exist.
    pub fn recall(&self, average: Average) -> f64 {
        self.average(average, |hits, _, actual| share(hits, actual))
    }

    /// Returns the F1 score: `2 hits / (predicted + actual)`, the harmonic mean of precision and recall. 0 if no row
    /// is of the class or predicted to be; NaN without rows.
    ///
    /// # Panics
    /// If the average is of a class that does not exist.
    pub fn f1(&self, average: Average) -> f64 {
        self.average(average, |hits, predicted, actual| share(2 * hits, predicted + actual))
    }

    /// Averages a function of hits, predicted rows and actual rows of a class.
    fn average(&self, average: Average, score: impl Fn(u64, u64, u64) -> f64) -> f64 {
        let classes = self.rows.len();
        if self.total() == 0 {
            return f64::NAN;
        }
        let predicted = |class: usize| self.rows.iter().map(|row| row[class]).sum::<u64>();
        let score_of = |class: usize| {
            score(self.rows[class][class], predicted(class), self.rows[class].iter().sum())
        };
        match average {
            Average::Class(class) => score_of(class),
            Average::Macro => (0..classes).map(score_of).sum::<f64>() / classes as f64,
            Average::Micro => {
                let hits = (0..classes).map(|class| self.rows[class][class]).sum();
                score(hits, self.total(), self.total())
            }
        }
    }
}

/// Returns a share, or 0 of nothing, as scikit-learn does.
fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// A table with the names of the classes: rows are actual classes, columns predicted ones.
impl std::fmt::Display for ConfusionMatrix {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let wide = |text: &str| text.chars().count();
        let first = self.names.iter().map(|name| wide(name)).max().unwrap_or(0).max(5);
        let width = |column: usize| {
            let counts = self.rows.iter().map(|row| row[column].to_string().len());
            counts.max().unwrap_or(0).max(wide(&self.names[column]))
        };
        let widths: Vec<usize> = (0..self.names.len()).map(width).collect();
        write!(f, "{:first$}", "class")?;
        for (name, width) in self.names.iter().zip(&widths) {
            write!(f, "  {name:>width$}")?;
        }
        writeln!(f)?;
        for (name, row) in self.names.iter().zip(&self.rows) {
            write!(f, "{name:first$}")?;
            for (count, width) in row.iter().zip(&widths) {
                write!(f, "  {count:>width$}")?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

/// A metric that follows from the confusion matrix: precision, recall or F1.
///
/// ```
/// use wengert_core::Tensor;
/// use wengert_train::data::Targets;
/// use wengert_train::metrics::{Average, ClassScore, Metric};
///
/// let mut f1 = ClassScore::f1(Average::Macro);
/// assert_eq!(f1.name(), "f1_macro");
/// let logits = Tensor::from([[2.0, -1.0], [0.5, 0.0], [-3.0, 1.0]]);
/// f1.update(&logits, &Targets::classes([0, 1, 1], ["oak", "elm"]));
/// assert_eq!(f1.value(), (2.0 / 3.0 + 2.0 / 3.0) / 2.0);
/// ```
#[derive(Clone, Debug)]
pub struct ClassScore {
    name: String,
    score: fn(&ConfusionMatrix, Average) -> f64,
    average: Average,
    confusion: ConfusionMatrix,
}

impl ClassScore {
    /// Makes the metric [`ConfusionMatrix::precision`].
    pub fn precision(average: Average) -> Self {
        Self::new("precision", average, ConfusionMatrix::precision)
    }

    /// Makes the metric [`ConfusionMatrix::recall`].
    pub fn recall(average: Average) -> Self {
        Self::new("recall", average, ConfusionMatrix::recall)
    }

    /// Makes the metric [`ConfusionMatrix::f1`].
    pub fn f1(average: Average) -> Self {
        Self::new("f1", average, ConfusionMatrix::f1)
    }

    fn new(name: &str, average: Average, score: fn(&ConfusionMatrix, Average) -> f64) -> Self {
        let name = match average {
            Average::Micro => format!("{name}_micro"),
            Average::Macro => format!("{name}_macro"),
            Average::Class(class) => format!("{name}_{class}"),
        };
        Self { name, score, average, confusion: ConfusionMatrix::default() }
    }
}

impl Metric for ClassScore {
    fn name(&self) -> &str {
        &self.name
    }

    fn accepts(&self, targets: &Targets) -> bool {
        match (targets, self.average) {
            (Targets::Classes { names, .. }, Average::Class(class)) => class < names.len(),
            (targets, _) => matches!(targets, Targets::Classes { .. } | Targets::Tokens(_)),
        }
    }

    #[track_caller]
    fn update(&mut self, output: &Tensor<f32>, targets: &Targets) {
        self.confusion.update_for(&self.name, output, targets);
    }

    fn value(&self) -> f64 {
        (self.score)(&self.confusion, self.average)
    }

    fn reset(&mut self) {
        self.confusion = ConfusionMatrix::default();
    }
}
