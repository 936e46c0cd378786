//! The configuration of a run: data, model, training, checkpoints and optimizer in one TOML file.

use std::path::Path;

use serde::{Deserialize, Serialize};
use wengert_core::rand::{SeedableRng, rngs::ChaCha8Rng};
use wengert_core::{Leaf, Params};
use wengert_nn::optim::{
    ConfigError, ConfigTable, InvalidSetting, METRIC_WITHIN, Optimizer, Recipe, Registry, range,
};

use super::data::{self, Prepared};
use super::layers::Layers;
use super::network::{self, Network};
use super::{RunError, metrics};
use crate::data::{Batches, Targets};
use crate::trainer::{EarlyStopping, Every, Loss, Trainer};

/// Names that a configuration may use: kinds of layers, rules and schedules. The default has those of the library.
#[derive(Clone, Debug, Default)]
pub struct Kinds {
    /// Kinds of layers.
    pub layers: Layers,
    /// Rules and schedules of the optimizer.
    pub optimizers: Registry,
}

/// A configuration that was read, with its data and its model: ready to train.
#[derive(Debug)]
pub struct Plan {
    /// Name of the run.
    pub name: String,
    /// Seed of initial weights, batches and random layers.
    pub seed: u64,
    /// The whole configuration with all defaults, as TOML. It reads back to an equal plan.
    pub text: String,
    pub(super) data: Prepared,
    pub(super) network: Network,
    pub(super) training: Training,
    pub(super) checkpoint: Checkpoints,
    pub(super) loss: Loss,
    pub(super) recipe: Recipe,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Training {
    pub(super) epochs: u64,
    #[serde(default = "batch_size")]
    pub(super) batch_size: usize,
    #[serde(default = "yes")]
    pub(super) shuffle: bool,
    #[serde(default)]
    pub(super) drop_last: bool,
    pub(super) loss: Option<String>,
    #[serde(default)]
    pub(super) label_smoothing: f64,
    pub(super) metrics: Option<Vec<String>>,
    pub(super) evaluate_every_epochs: Option<u64>,
    pub(super) evaluate_every_steps: Option<u64>,
    pub(super) log_every_steps: Option<u64>,
    #[serde(default = "monitor")]
    pub(super) monitor: String,
    pub(super) patience: Option<u64>,
    #[serde(default)]
    pub(super) min_delta: f64,
    #[serde(default)]
    pub(super) weights: Weights,
}

/// Weights that a run ends with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Weights {
    /// Those after the last step.
    #[default]
    Last,
    /// Those of the best evaluation.
    Best,
}

fn batch_size() -> usize {
    32
}

fn yes() -> bool {
    true
}

fn monitor() -> String {
    "loss".to_owned()
}

/// The table `[checkpoint]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Checkpoints {
    #[serde(default = "seconds")]
    pub(super) every_seconds: f64,
    pub(super) every_steps: Option<u64>,
    #[serde(default = "keep")]
    pub(super) keep: usize,
}

fn seconds() -> f64 {
    10.0
}

fn keep() -> usize {
    2
}

impl Checkpoints {
    fn checked(self) -> Result<Self, InvalidSetting> {
        range::at_least_zero("every_seconds", self.every_seconds)?;
        self.every_steps.map_or(Ok(()), |steps| range::at_least_one("every_steps", steps))?;
        range::at_least_one("keep", self.keep as u64)?;
        Ok(self)
    }
}

impl Training {
    /// Checks the settings, and fills in those that depend on the targets.
    fn checked(mut self, targets: &Targets) -> Result<(Self, Loss), InvalidSetting> {
        range::at_least_one("epochs", self.epochs)?;
        range::at_least_one("batch_size", self.batch_size as u64)?;
        range::at_least_zero("min_delta", self.min_delta)?;
        range::unit_interval("label_smoothing", self.label_smoothing)?;
        let each = [
            ("evaluate_every_epochs", self.evaluate_every_epochs),
            ("evaluate_every_steps", self.evaluate_every_steps),
            ("log_every_steps", self.log_every_steps),
            ("patience", self.patience),
        ];
        for (key, value) in each {
            value.map_or(Ok(()), |value| range::at_least_one(key, value))?;
        }
        match (self.evaluate_every_epochs, self.evaluate_every_steps) {
            (Some(_), Some(_)) => {
                let message = "expected it or `evaluate_every_epochs`, not both";
                return Err(InvalidSetting::new("evaluate_every_steps", message));
            }
            (None, None) => self.evaluate_every_epochs = Some(1),
            _ => {}
        }
        let usual = Loss::for_targets(targets).name();
        let name = self.loss.get_or_insert_with(|| usual.to_owned());
        let names = Loss::NAMES.join("`, `");
        let mut loss = Loss::named(name).ok_or_else(|| {
            InvalidSetting::new("loss", format!("expected one of `{names}`, found `{name}`"))
        })?;
        if !loss.accepts(targets) {
            let message =
                format!("the targets are {}, for which `{name}` is no loss", targets.kind());
            return Err(InvalidSetting::new("loss", message));
        }
        if let Loss::CrossEntropy { label_smoothing } = &mut loss {
            *label_smoothing = self.label_smoothing;
        }
        let given = self.metrics.get_or_insert_with(|| metrics::usual(targets));
        for (i, name) in given.iter().enumerate() {
            metrics::named(name, targets)
                .map_err(|message| InvalidSetting::new("metrics", message).at(i))?;
        }
        if self.monitor != "loss" && !given.contains(&self.monitor) {
            let message =
                format!("expected `loss` or one of the metrics, found `{}`", self.monitor);
            return Err(InvalidSetting::new("monitor", message));
        }
        Ok((self, loss))
    }

    fn evaluate(&self) -> Every {
        match self.evaluate_every_steps {
            Some(steps) => Every::Steps(steps),
            None => Every::Epochs(self.evaluate_every_epochs.unwrap_or(1)),
        }
    }
}

impl Plan {
    /// Reads a configuration file with overrides, loads its data and builds its model.
    ///
    /// # Errors
    /// If the configuration or the data has a mistake; the error names its place.
    pub fn load(
        path: impl AsRef<Path>,
        overrides: &[impl AsRef<str>],
        kinds: &Kinds,
    ) -> Result<Self, RunError> {
        let path = path.as_ref();
        let stem = path.file_stem().map_or("run".into(), |stem| stem.to_string_lossy());
        Self::of(ConfigTable::load(path, overrides)?, &stem, kinds)
    }

    fn of(mut root: ConfigTable, stem: &str, kinds: &Kinds) -> Result<Self, RunError> {
        let name = root.take_text("name")?.unwrap_or_else(|| stem.to_owned());
        let seed = root.take_whole("seed")?.unwrap_or(0);
        let mut table = |name: &'static str| {
            let place = root.place();
            let table = root.take_table(name)?;
            table.ok_or_else(|| place.error(format!("missing table `[{name}]`")))
        };
        let (data, model, training) = (table("data")?, table("model")?, table("training")?);
        let checkpoint = match root.take_table("checkpoint")? {
            Some(table) => table,
            None => ConfigTable::read("", &[""; 0])?,
        };
        let checkpoint = checkpoint.make(Checkpoints::checked)?;
        let (data, data_toml) = data::prepare(data, seed)?;
        let (training, loss) = training.make(|t: Training| t.checked(&data.train.targets))?;
        let batches = batches(&training, seed, data.train.len());
        if batches.per_epoch() == 0 {
            let message = format!(
                "no batch in an epoch: {} rows in batches of {} with `drop_last = true`",
                data.train.len(),
                training.batch_size
            );
            return Err(RunError::Refused(message));
        }
        let rng = &mut ChaCha8Rng::seed_from_u64(seed);
        let last = batches.rows(0, batches.per_epoch() - 1).len();
        let described = network::build(&kinds.layers, model, &data, &loss, last, rng)?;
        let epochs = usize::try_from(training.epochs).unwrap_or(usize::MAX);
        let optimizers = kinds.optimizers.clone().training(epochs, batches.per_epoch());
        let recipe = root.take_recipe(&optimizers)?;
        root.finish(&[])?;
        check_metric(&recipe, &training, data.validation.is_some(), batches.per_epoch() as u64)?;
        Optimizer::new(recipe.clone()).check(&described.network)?;
        let text = format!(
            "name = {}\nseed = {seed}\n\n[data]\n{data_toml}\n{}\n[training]\n{}\n[checkpoint]\n{}\n{recipe}",
            toml::Value::from(name.as_str()),
            described.toml,
            written(&training),
            written(&checkpoint),
        );
        let network = described.network;
        Ok(Self { name, seed, text, data, network, training, checkpoint, loss, recipe })
    }

    /// Returns the recipe of the optimizer.
    pub fn recipe(&self) -> &Recipe {
        &self.recipe
    }

    /// Returns the names and shapes of the model's parameters.
    pub fn parameters(&self) -> Vec<(String, Vec<usize>)> {
        let mut params = Vec::new();
        self.network.visit(wengert_core::Path::ROOT, &mut |path, leaf| {
            if let Leaf::Param(param) = leaf {
                params.push((path.to_string(), param.value().shape().to_vec()));
            }
        });
        params
    }

    /// Returns a trainer at the beginning.
    pub fn trainer(&self) -> Trainer<Network> {
        let Self { data, network, training, loss, recipe, .. } = self;
        let metrics = training.metrics.iter().flatten();
        let metrics = metrics.filter_map(|name| metrics::named(name, &data.train.targets).ok());
        let monitor = Some(training.monitor.clone()).filter(|metric| metric != "loss");
        let mut trainer =
            Trainer::new(network.clone(), Optimizer::new(recipe.clone()), data.train.clone())
                .batches(batches(training, self.seed, data.train.len()))
                .loss(loss.clone())
                .metrics(metrics)
                .epochs(training.epochs)
                .seed(self.seed)
                .evaluate_every(training.evaluate())
                .norms_every(Every::Epochs(1))
                .early_stopping(EarlyStopping {
                    metric: monitor,
                    patience: training.patience,
                    min_delta: training.min_delta,
                });
        if let Some(steps) = training.log_every_steps {
            trainer = trainer.norms_every(Every::Steps(steps));
        }
        if let Some(validation) = &data.validation {
            trainer = trainer.validation(validation.clone());
        }
        trainer
    }
}

/// Checks that a rate which follows a metric hears of one as often as the optimizer demands.
fn check_metric(
    recipe: &Recipe,
    training: &Training,
    evaluates: bool,
    per_epoch: u64,
) -> Result<(), RunError> {
    let of_groups = recipe.groups().iter().filter_map(|group| group.plan()).map(|plan| plan.lr());
    let follows = of_groups.chain([recipe.lr()]).any(|lr| lr.follows_a_metric());
    let steps = match (evaluates, training.evaluate()) {
        (true, Every::Steps(steps)) => steps,
        (true, Every::Epochs(epochs)) => epochs.saturating_mul(per_epoch),
        (false, _) => per_epoch,
    };
    if follows && steps > METRIC_WITHIN {
        let message = format!(
            "the learning rate follows a metric, and {steps} steps are between two evaluations: expected at most {METRIC_WITHIN}"
        );
        return Err(RunError::Refused(message));
    }
    Ok(())
}

fn batches(training: &Training, seed: u64, rows: usize) -> Batches {
    let mut batches = Batches::new(rows).size(training.batch_size).seed(seed);
    if !training.shuffle {
        batches = batches.in_order();
    }
    if training.drop_last {
        batches = batches.drop_last();
    }
    batches
}

/// Returns settings as lines of TOML.
pub(super) fn written(settings: &impl Serialize) -> String {
    toml::to_string(settings).expect("settings that were read from TOML are TOML")
}

impl From<ConfigError> for RunError {
    fn from(error: ConfigError) -> Self {
        RunError::Config(error)
    }
}
