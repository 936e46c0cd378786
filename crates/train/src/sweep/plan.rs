//! The file of a sweep, and the runs that it names.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Value;
use wengert_nn::optim::{ConfigError, ConfigTable, InvalidSetting};

/// Runs that differ in some settings and in the seed: a base configuration with a list of settings, a grid, and seeds.
///
/// ```toml
/// base = "digits.toml"            # beside this file
/// seeds = [0, 1, 2]
/// metric = "accuracy"             # of the validation rows; ranks the settings. Default: "loss"
///
/// [[settings]]                    # each one,
/// name = "momentum"
/// optimizer.kind = "sgd"
/// optimizer.momentum = 0.9
///
/// [[settings]]
/// name = "adam"
/// optimizer.kind = "adam"
///
/// [grid]                          # with each combination of these, with each seed
/// optimizer.lr = [0.001, 0.01]
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Sweep {
    /// Name of the file without its ending.
    pub name: String,
    /// Path of the base configuration.
    pub base: PathBuf,
    /// Seeds of each setting.
    pub seeds: Vec<u64>,
    /// Metric of the validation rows that ranks the settings.
    pub metric: String,
    /// Settings, in the order of the file; the last key of the grid varies fastest.
    pub settings: Vec<Setting>,
}

/// The settings shared by runs that differ in the seed alone.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// Name in the list of settings; empty if there is no list.
    pub name: String,
    /// Keys and values of the grid, as TOML.
    pub grid: Vec<(String, String)>,
    /// Overrides of the base configuration, `key=value` as TOML.
    pub overrides: Vec<String>,
}

/// One run of a sweep.
#[derive(Clone, Debug, PartialEq)]
pub struct Cell {
    /// Number of the run, from 0: `--task`.
    pub task: usize,
    /// Place of its setting in [`Sweep::settings`].
    pub setting: usize,
    /// Seed.
    pub seed: u64,
    /// Name of its folder, which tells the setting and the seed.
    pub folder: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    base: String,
    seeds: Vec<u64>,
    metric: Option<String>,
    #[serde(default)]
    settings: Vec<BTreeMap<String, Value>>,
    #[serde(default)]
    grid: BTreeMap<String, Value>,
}

impl Sweep {
    /// Reads the file of a sweep. The base configuration is not read yet.
    ///
    /// # Errors
    /// If the file cannot be read, or has a mistake: the error names its place.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        let path = path.as_ref();
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let folder = path.parent().unwrap_or(Path::new(""));
        Self::of(ConfigTable::load(path, &[""; 0])?, name, folder)
    }

    fn of(table: ConfigTable, name: String, folder: &Path) -> Result<Self, ConfigError> {
        table.make(|file: File| {
            let seeds = distinct("seeds", &file.seeds)?;
            let listed = match &file.settings[..] {
                [] => {
                    vec![Setting { name: String::new(), grid: Vec::new(), overrides: Vec::new() }]
                }
                listed => listed.iter().map(listed_setting).collect::<Result<_, _>>()?,
            };
            let names = listed.iter().map(|setting| setting.name.as_str()).collect::<Vec<_>>();
            distinct("settings", &names)?;
            let combinations = combinations(&file.grid)?;
            let settings = listed.iter().flat_map(|listed| {
                combinations.iter().map(|combination| {
                    let mut setting = listed.clone();
                    let set = |(key, value): &(String, String)| format!("{key}={value}");
                    setting.overrides.extend(combination.iter().map(set));
                    setting.grid.clone_from(combination);
                    setting
                })
            });
            Ok(Self {
                name,
                base: folder.join(file.base),
                seeds,
                metric: file.metric.unwrap_or_else(|| "loss".to_owned()),
                settings: settings.collect(),
            })
        })
    }

    /// Returns all runs, in the order of their numbers: the seed varies fastest.
    pub fn cells(&self) -> Vec<Cell> {
        let mut cells = Vec::new();
        for (place, setting) in self.settings.iter().enumerate() {
            for &seed in &self.seeds {
                let folder = folder_name(&format!("{},seed={seed}", setting.label()));
                cells.push(Cell { task: cells.len(), setting: place, seed, folder });
            }
        }
        cells
    }

    /// Returns the overrides of a run.
    pub fn overrides(&self, cell: &Cell) -> Vec<String> {
        let mut overrides = self.settings[cell.setting].overrides.clone();
        overrides.push(format!("seed={}", cell.seed));
        overrides
    }
}

impl Setting {
    /// Returns the name with the keys and values of the grid, `momentum,optimizer.lr=0.01`.
    pub fn label(&self) -> String {
        let grid = self.grid.iter().map(|(key, value)| format!("{key}={}", plain(value)));
        let named = Some(self.name.clone()).filter(|name| !name.is_empty());
        named.into_iter().chain(grid).collect::<Vec<_>>().join(",")
    }

    /// Returns the name with the values of the grid, `momentum 0.01`.
    pub(super) fn short(&self) -> String {
        let values = self.grid.iter().map(|(_, value)| plain(value));
        let named = Some(&*self.name).filter(|name| !name.is_empty());
        named.into_iter().chain(values).collect::<Vec<_>>().join(" ")
    }
}

/// A TOML value as a table shows it: a text without its quotes.
pub(super) fn plain(value: &str) -> &str {
    let inner = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    inner.filter(|inner| !inner.contains(['"', '\\'])).unwrap_or(value)
}

/// The elements, if there is one and none is there twice.
fn distinct<T: Clone + PartialEq + std::fmt::Debug>(
    key: &'static str,
    elements: &[T],
) -> Result<Vec<T>, InvalidSetting> {
    if elements.is_empty() {
        return Err(InvalidSetting::new(key, "expected at least one"));
    }
    for (i, element) in elements.iter().enumerate() {
        if elements[..i].contains(element) {
            return Err(InvalidSetting::new(key, format!("{element:?} is there twice")).at(i));
        }
    }
    Ok(elements.to_vec())
}

fn listed_setting(keys: &BTreeMap<String, Value>) -> Result<Setting, InvalidSetting> {
    let Some(Value::String(name)) = keys.get("name") else {
        return Err(InvalidSetting::new("settings", "each needs a `name`"));
    };
    let mut overrides = Vec::new();
    for (key, value) in keys.iter().filter(|(key, _)| *key != "name") {
        flatten(key, value, &mut |key, value| overrides.push(format!("{key}={}", toml_of(value))));
    }
    Ok(Setting { name: name.clone(), grid: Vec::new(), overrides })
}

/// A value as TOML; floats with an exponent where that is shorter.
fn toml_of(value: &Value) -> String {
    match value {
        Value::Float(number) if number.is_finite() => format!("{number:?}"),
        value => value.to_string(),
    }
}

/// Calls `f` with the dotted key of each value that is not a table.
fn flatten(key: &str, value: &Value, f: &mut impl FnMut(&str, &Value)) {
    match value {
        Value::Table(table) => {
            table.iter().for_each(|(inner, value)| flatten(&format!("{key}.{inner}"), value, f));
        }
        value => f(key, value),
    }
}

/// Each combination of one value for each key; the last key varies fastest.
fn combinations(
    grid: &BTreeMap<String, Value>,
) -> Result<Vec<Vec<(String, String)>>, InvalidSetting> {
    let mut axes = Vec::new();
    for (key, value) in grid {
        flatten(key, value, &mut |key, value| axes.push((key.to_owned(), value.clone())));
    }
    let mut all = vec![Vec::new()];
    for (key, values) in axes {
        let Value::Array(values) = values else {
            let message = format!("`{key}` needs a list of values, found {values}");
            return Err(InvalidSetting::new("grid", message));
        };
        let values = values.iter().map(toml_of).collect::<Vec<_>>();
        let values = distinct("grid", &values)
            .map_err(|error| InvalidSetting::new("grid", format!("`{key}`: {error}")))?;
        let with = |before: &Vec<(String, String)>| {
            let extended = |value: &String| [&before[..], &[(key.clone(), value.clone())]].concat();
            values.iter().map(extended).collect::<Vec<_>>()
        };
        all = all.iter().flat_map(with).collect();
    }
    Ok(all)
}

/// A name that every file system takes. Where it has to differ from the text, a checksum keeps it apart from others.
fn folder_name(text: &str) -> String {
    /// Names may have 255 bytes.
    const LONGEST: usize = 120;
    let plain = |c: char| c.is_ascii_alphanumeric() || ".,=_+-".contains(c);
    let text = text.trim_start_matches([',', '.']);
    let name = text.chars().map(|c| if plain(c) { c } else { '_' }).take(LONGEST);
    let name = name.collect::<String>();
    if name == text {
        return name;
    }
    // FNV-1a.
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
    });
    format!("{name}-{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sweep(text: &str) -> Result<Sweep, ConfigError> {
        Sweep::of(ConfigTable::read(text, &[""; 0])?, "s".to_owned(), Path::new("configs"))
    }

    #[test]
    fn cells_are_settings_by_grid_by_seeds() {
        let sweep = sweep(
            "base = 'digits.toml'\nseeds = [7, 0]\nmetric = 'accuracy'\n\
             [[settings]]\nname = 'momentum'\noptimizer.kind = 'sgd'\noptimizer.momentum = 0.9\n\
             [[settings]]\nname = 'adam'\n'optimizer.kind' = 'adam'\n\
             [grid]\noptimizer.lr = [0.1, 1e-5]\ntraining.batch_size = [32]\n",
        );
        let sweep = sweep.unwrap();
        assert_eq!(sweep.base, Path::new("configs/digits.toml"));
        let cells = sweep.cells();
        let folders: Vec<_> = cells.iter().map(|cell| &*cell.folder).collect();
        assert_eq!(folders.len(), 8);
        assert_eq!(folders[1], "momentum,optimizer.lr=0.1,training.batch_size=32,seed=0");
        assert_eq!(folders[6], "adam,optimizer.lr=1e-5,training.batch_size=32,seed=7");
        assert_eq!(
            sweep.overrides(&cells[3]),
            [
                "optimizer.kind=\"sgd\"",
                "optimizer.momentum=0.9",
                "optimizer.lr=1e-5",
                "training.batch_size=32",
                "seed=0"
            ]
        );
        assert!(cells.iter().enumerate().all(|(i, cell)| cell.task == i));
    }

    #[test]
    fn a_grid_alone_or_a_list_alone() {
        let grid = sweep("base = 'a'\nseeds = [0]\n[grid]\nmodel.act = ['relu', 'tanh']").unwrap();
        assert_eq!(grid.cells()[1].folder, "model.act=tanh,seed=0");
        let list = sweep("base = 'a'\nseeds = [0]\n[[settings]]\nname = 'a b'").unwrap();
        assert_eq!(list.cells()[0].folder, "a_b,seed=0-d9fa01fdc0aec9c6");
        assert_eq!(sweep("base = 'a'\nseeds = [3]").unwrap().cells()[0].folder, "seed=3");
    }

    #[test]
    fn mistakes_have_a_place() {
        for (text, expected) in [
            ("base = 'a'\nseeds = []", "line 2, column 9: `seeds`: expected at least one"),
            ("base = 'a'\nseeds = [1, 1]", "1 is there twice"),
            ("base = 'a'\nseed = [1]", "unknown key `seed`; did you mean `seeds`?"),
            ("seeds = [1]", "missing key `base`"),
            ("base = 'a'\nseeds = [0]\n[grid]\nlr = 0.1", "`lr` needs a list of values, found 0.1"),
            ("base = 'a'\nseeds = [0]\n[grid]\nlr = [1, 1]", "is there twice"),
            ("base = 'a'\nseeds = [0]\n[[settings]]\nlr = 1", "each needs a `name`"),
            (
                "base = 'a'\nseeds = [0]\n[[settings]]\nname = 'x'\n[[settings]]\nname = 'x'",
                "\"x\" is there twice",
            ),
        ] {
            let error = sweep(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}\n{error}");
        }
    }
}
