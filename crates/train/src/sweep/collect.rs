//! The results of a sweep as one table, best first.

use std::fmt;
use std::fs;
use std::io;
use std::path::Path;

use super::plan::{Cell, Setting, Sweep, plain};
use super::statistics::Estimate;
use crate::report::{History, Results, in_file, significant};

/// Results of a sweep, a row for each setting, the best first. It prints as a table.
///
/// The bytes of the text, of [`Table::csv`] and of [`Table::html`] depend on the runs alone, and not on their order,
/// the machine or the time.
#[derive(Clone, Debug)]
pub struct Table {
    /// The sweep.
    pub sweep: Sweep,
    /// Names of the metrics; the first ranks the rows.
    pub metrics: Vec<String>,
    /// Rows, the best first. Those with runs that failed or are missing come last.
    pub rows: Vec<TableRow>,
}

/// The runs of a setting.
#[derive(Clone, Debug)]
pub struct TableRow {
    /// The setting.
    pub setting: Setting,
    /// Estimates over the seeds, for each metric of the table.
    pub estimates: Vec<Estimate>,
    /// The number of runs with results.
    pub runs: usize,
    /// Seeds of the runs that failed, with the reason.
    pub failed: Vec<(u64, String)>,
    /// Seeds of the runs without an outcome.
    pub missing: Vec<u64>,
    /// The ranking metric of the validation rows over the epochs, averaged over the seeds.
    pub(super) curve: Vec<(f64, f64)>,
    /// The horizontal axis of the curve.
    pub(super) over: &'static str,
}

/// The state of a run, as its folder tells it.
#[derive(Clone, Debug)]
pub(super) enum State {
    Done(Box<Results>),
    Failed(String),
    Missing,
}

/// Name of the file in the folder of a run that failed, with the reason.
pub(super) const FAILED: &str = "failed.txt";

impl State {
    /// Reads the state from the folder of a run.
    pub(super) fn read(folder: &Path) -> io::Result<Self> {
        let text = |name: &str| match fs::read_to_string(folder.join(name)) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(in_file(&folder.join(name), &error)),
        };
        if let Some(reason) = text(FAILED)? {
            return Ok(Self::Failed(reason.trim_end().to_owned()));
        }
        let Some(results) = text("results.json")? else { return Ok(Self::Missing) };
        let results = serde_json::from_str(&results)
            .map_err(|error| in_file(&folder.join("results.json"), &io::Error::other(error)))?;
        Ok(Self::Done(results))
    }
}

/// Collects the results of a sweep from the folders of its runs in `out`.
///
/// # Errors
/// If a file cannot be read, or no run has the metric that ranks. The message names it.
pub fn collect(sweep: &Sweep, out: impl AsRef<Path>) -> io::Result<Table> {
    let mut cells = Vec::new();
    for cell in sweep.cells() {
        let folder = out.as_ref().join(&cell.folder);
        let state = State::read(&folder)?;
        let metrics = match state {
            State::Done(_) => fs::read_to_string(folder.join("metrics.jsonl")).unwrap_or_default(),
            _ => String::new(),
        };
        cells.push((cell, state, History::parse(&metrics)));
    }
    let metrics = metrics(sweep, &cells)?;
    let row = |(place, setting): (usize, &Setting)| {
        let own = cells.iter().filter(|(cell, ..)| cell.setting == place).collect::<Vec<_>>();
        row(sweep, setting, &metrics, &own)
    };
    let mut rows = sweep.settings.iter().enumerate().map(row).collect::<Vec<_>>();
    let lower = lower_is_better(&metrics[0]);
    // Stable: settings that are equal stay in the order of the file.
    rows.sort_by(|a, b| {
        let incomplete = |row: &TableRow| row.runs < sweep.seeds.len();
        let rank = |row: &TableRow| match row.estimates[0].mean {
            mean if mean.is_nan() => f64::INFINITY,
            mean if lower => mean,
            mean => -mean,
        };
        incomplete(a).cmp(&incomplete(b)).then(rank(a).total_cmp(&rank(b)))
    });
    Ok(Table { sweep: sweep.clone(), metrics, rows })
}

/// The names of all metrics, that of the sweep first.
fn metrics(sweep: &Sweep, cells: &[(Cell, State, History)]) -> io::Result<Vec<String>> {
    let mut names: Vec<String> = Vec::new();
    for (_, state, _) in cells {
        let State::Done(results) = state else { continue };
        for (name, _) in &results.metrics {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
    }
    let of_split = format!("validation {}", sweep.metric);
    let place = names.iter().position(|name| *name == sweep.metric || *name == of_split);
    match place {
        Some(place) => {
            let first = names.remove(place);
            names.insert(0, first);
        }
        None if names.is_empty() => names.push(of_split),
        None => {
            let (metric, names) = (&sweep.metric, names.join("`, `"));
            let message = format!("no run has the metric `{metric}`; the runs have `{names}`");
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
    }
    Ok(names)
}

fn row(
    sweep: &Sweep,
    setting: &Setting,
    metrics: &[String],
    cells: &[&(Cell, State, History)],
) -> TableRow {
    let done = cells.iter().filter_map(|(_, state, _)| match state {
        State::Done(results) => Some(&**results),
        _ => None,
    });
    let done = done.collect::<Vec<_>>();
    let values = |name: &String| {
        let of = |results: &&Results| {
            results.metrics.iter().find_map(|(own, value)| (own == name).then_some(*value))
        };
        done.iter().filter_map(of).collect::<Vec<_>>()
    };
    let failed = cells.iter().filter_map(|(cell, state, _)| match state {
        State::Failed(reason) => Some((cell.seed, reason.clone())),
        _ => None,
    });
    let missing = cells.iter().filter(|(_, state, _)| matches!(state, State::Missing));
    TableRow {
        setting: setting.clone(),
        estimates: metrics.iter().map(|name| Estimate::of(&values(name))).collect(),
        runs: done.len(),
        failed: failed.collect(),
        missing: missing.map(|(cell, ..)| cell.seed).collect(),
        over: cells.first().map_or("epoch", |(.., history)| history.over),
        curve: mean_curve(&sweep.metric, cells.iter().map(|(.., history)| history)),
    }
}

/// The mean of a metric of the validation rows over several runs, as far as all of them go.
fn mean_curve<'a>(metric: &str, runs: impl Iterator<Item = &'a History>) -> Vec<(f64, f64)> {
    let bare = metric.strip_prefix("validation ").unwrap_or(metric);
    let curve = |history: &'a History| {
        let mut curves = history.curves.iter();
        curves.find(|curve| curve.quantity == bare && curve.of == "validation")
    };
    let curves = runs.filter_map(curve).collect::<Vec<_>>();
    let length = curves.iter().map(|curve| curve.points.len()).min().unwrap_or(0);
    let mean = |i: usize| {
        let sum = curves.iter().map(|curve| curve.points[i].1).sum::<f64>();
        (curves[0].points[i].0, sum / curves.len() as f64)
    };
    (0..length).map(mean).collect()
}

/// Whether a smaller number is better.
pub(super) fn lower_is_better(metric: &str) -> bool {
    let name = metric.rsplit(' ').next().unwrap_or(metric);
    ["loss", "log_loss", "mae", "mse", "rmse", "perplexity"].contains(&name)
}

impl Table {
    /// The names of the columns that tell the setting.
    fn keys(&self) -> Vec<&str> {
        let named = self.rows.iter().any(|row| !row.setting.name.is_empty());
        let grid = self.rows.first().into_iter().flat_map(|row| &row.setting.grid);
        named.then_some("name").into_iter().chain(grid.map(|(key, _)| &**key)).collect()
    }

    /// The settings of a row, one for each of the keys.
    fn setting<'a>(&self, row: &'a TableRow) -> Vec<&'a str> {
        let name = Some(&*row.setting.name).filter(|name| !name.is_empty());
        name.into_iter().chain(row.setting.grid.iter().map(|(_, value)| plain(value))).collect()
    }

    /// Returns the table as CSV: for each metric the mean and half the width of the 95 % interval, with all digits.
    pub fn csv(&self) -> String {
        let mut csv = csv::Writer::from_writer(Vec::new());
        let head = ["rank"].into_iter().chain(self.keys()).chain(["runs", "failed", "missing"]);
        let mut head = head.map(str::to_owned).collect::<Vec<_>>();
        for metric in &self.metrics {
            head.extend([metric.clone(), format!("{metric} half width")]);
        }
        let mut write = |record: &[String]| csv.write_record(record).expect("memory takes all");
        write(&head);
        for (i, row) in self.rows.iter().enumerate() {
            let mut record = vec![(i + 1).to_string()];
            record.extend(self.setting(row).into_iter().map(str::to_owned));
            record.extend([row.runs, row.failed.len(), row.missing.len()].map(|n| n.to_string()));
            for Estimate { mean, half_width } in &row.estimates {
                record.extend([*mean, *half_width].map(number));
            }
            write(&record);
        }
        let bytes = csv.into_inner().expect("memory takes all");
        String::from_utf8(bytes).expect("texts are UTF-8")
    }

    /// Returns the rows as texts: rank, setting, runs, and each metric with its interval.
    pub(super) fn cells(&self) -> (Vec<String>, Vec<Vec<String>>) {
        let head = ["rank"].into_iter().chain(self.keys()).chain(["runs"]).map(str::to_owned);
        let head = head.chain(self.metrics.iter().cloned()).collect();
        let cells = |(i, row): (usize, &TableRow)| {
            let mut cells = vec![(i + 1).to_string()];
            cells.extend(self.setting(row).into_iter().map(str::to_owned));
            cells.push(match self.sweep.seeds.len() {
                all if all == row.runs => all.to_string(),
                all => format!("{} of {all}", row.runs),
            });
            cells.extend(row.estimates.iter().map(Estimate::to_string));
            cells
        };
        (head, self.rows.iter().enumerate().map(cells).collect())
    }
}

/// A number with all its digits; nothing if it is NaN.
fn number(value: f64) -> String {
    if value.is_nan() { String::new() } else { value.to_string() }
}

/// The mean and half the width of the interval: `0.9721 ± 0.0018`.
impl fmt::Display for Estimate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.mean.is_nan() {
            return f.write_str("-");
        }
        if self.half_width.is_nan() {
            return f.write_str(&significant(self.mean, 4));
        }
        // As many decimals as tell two digits of the half width, and at least four digits of the mean.
        let place =
            |x: f64, digits: f64| if x == 0.0 { 0.0 } else { digits - x.abs().log10().floor() };
        let decimals = place(self.half_width, 1.0).max(place(self.mean, 3.0)).clamp(0.0, 9.0);
        let decimals = decimals.min(place(self.mean, 5.0).max(0.0)) as usize;
        write!(f, "{:.decimals$} \u{b1} {:.decimals$}", self.mean, self.half_width)
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (head, rows) = self.cells();
        let width = |column: usize| {
            let cells = rows.iter().chain([&head]).map(|row| row[column].chars().count());
            cells.max().unwrap_or(0)
        };
        let widths = (0..head.len()).map(width).collect::<Vec<_>>();
        for row in std::iter::once(&head).chain(&rows) {
            let cells = row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:width$}"));
            writeln!(f, "{}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
        }
        writeln!(f, "\nMean over the seeds, with the 95 % interval of Student's t distribution.")?;
        for row in &self.rows {
            for (seed, reason) in &row.failed {
                writeln!(f, "failed: {}, seed {seed}: {reason}", row.setting.label())?;
            }
            if !row.missing.is_empty() {
                let seeds = row.missing.iter().map(u64::to_string).collect::<Vec<_>>().join(", ");
                writeln!(f, "not run yet: {}, seed {seeds}", row.setting.label())?;
            }
        }
        Ok(())
    }
}
