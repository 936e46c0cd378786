//! The file that a finished run writes for its report, besides the configuration and the metrics.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Results of a run: the file `results.json`. Its bytes depend on the configuration alone, and not on the machine or
/// the time.
///
/// ```
/// use wengert_train::report::{Confusion, Results};
///
/// let mut confusion = Confusion::new(["cat", "dog"]);
/// confusion.counts[0][1] += 1; // A cat that was taken for a dog.
/// let results = Results { confusion: Some(confusion), seed: 7, ..Results::default() };
/// let text = serde_json::to_string(&results)?;
/// assert_eq!(serde_json::from_str::<Results>(&text)?, results);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Results {
    /// Outcome of the run: `"done"`, `"diverged"` or `"interrupted"`.
    pub status: String,
    /// The metrics at the end by name, in the order in which a table shows them.
    pub metrics: Vec<(String, f64)>,
    /// The epoch of the best weights.
    pub best_epoch: Option<u64>,
    /// The confusion matrix of the validation rows, for a classifier.
    pub confusion: Option<Confusion>,
    /// Predictions for some of the validation rows.
    pub samples: Vec<Sample>,
    /// The table of the model's layers, as text.
    pub summary: String,
    /// The number of elements of all parameters.
    pub params: u64,
    /// The seed of weights, batches and random layers.
    pub seed: u64,
    /// Versions of the program and its libraries, by name.
    pub versions: BTreeMap<String, String>,
}

/// Counts of rows by their class and the class that was predicted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Confusion {
    /// The names of the classes.
    pub classes: Vec<String>,
    /// `counts[actual][predicted]` is a number of rows.
    pub counts: Vec<Vec<u64>>,
}

impl Confusion {
    /// Makes a matrix of zeros.
    pub fn new(classes: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let classes = classes.into_iter().map(Into::into).collect::<Vec<_>>();
        let counts = vec![vec![0; classes.len()]; classes.len()];
        Self { classes, counts }
    }
}

/// A row with its prediction.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Sample {
    /// The number of the row in the data.
    pub row: usize,
    /// Shape of the row. `[height, width]`, `[1, height, width]` and `[3, height, width]` are drawn as an image.
    pub shape: Vec<usize>,
    /// Numbers of the row.
    pub inputs: Vec<f32>,
    /// Text to show in place of numbers.
    pub text: Option<String>,
    /// The class or value in the data; empty if there is none.
    pub expected: String,
    /// The class or value that the model predicts.
    pub predicted: String,
    /// The probability of the predicted class.
    pub probability: Option<f64>,
}

/// The machine of a run: the file `machine.json`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Machine {
    /// Model of the processor.
    pub processor: String,
    /// The number of processors that the program may use.
    pub processors: usize,
    /// The number of threads of the run.
    pub threads: usize,
    /// Operating system and instruction set.
    pub system: String,
}

impl Machine {
    /// Describes this machine.
    pub fn here(threads: usize) -> Self {
        let cpu_info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = cpu_info.lines().find_map(|line| line.strip_prefix("model name"));
        Self {
            processor: model.unwrap_or("").trim_start_matches([' ', '\t', ':']).to_owned(),
            processors: std::thread::available_parallelism().map_or(1, usize::from),
            threads,
            system: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        }
    }
}
