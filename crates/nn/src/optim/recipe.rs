//! A whole optimizer, described: its rate, its chain of rules, its manners.

use std::fmt;
use std::path::Path;

use super::config;
use super::error::ConfigError;
use super::registry::Registry;
use super::rule::{Link, Rule};
use super::schedule::{Constant, Rate, Schedule};

/// What a step does about a trainable parameter that received no gradient.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UnusedParameters {
    /// It panics with their names: most often the model is wired wrongly.
    #[default]
    Error,
    /// It leaves them alone, and what is remembered of them too.
    Skip,
}

impl UnusedParameters {
    pub(crate) const ALL: [Self; 2] = [UnusedParameters::Error, UnusedParameters::Skip];

    /// The word that configuration has for it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            UnusedParameters::Error => "error",
            UnusedParameters::Skip => "skip",
        }
    }
}

/// A whole optimizer as configuration: the learning rate, and the chain of rules that a gradient
/// passes through before `param -= lr * update`.
///
/// In TOML, short: a name, its settings, and what all optimizers share.
///
/// ```
/// # use wengert_nn::optim::*;
/// let recipe = Recipe::from_toml("
///     kind = 'adamw'
///     lr = { kind = 'step', lr = 1e-3, step_size = 1000, gamma = 0.5 }
///     betas = [0.9, 0.99]
///     weight_decay = 0.01
///     clip_norm = 1.0
/// ")?;
/// // The same in Rust.
/// let same = Recipe::new(Step { lr: 1e-3, step_size: 1000, gamma: 0.5 }, ClipNorm { max_norm: 1.0 })
///     .then(Adam { betas: [0.9, 0.99], ..Adam::default() })
///     .then(WeightDecay { weight_decay: 0.01 });
/// assert_eq!(recipe, same);
/// // Printed: the long form, in which the order of the links is meaning.
/// assert_eq!(recipe.to_string(), r#"[optimizer]
/// lr = { kind = "step", lr = 0.001, step_size = 1000, gamma = 0.5 }
/// unused_parameters = "error"
///
/// [[optimizer.chain]]
/// kind = "clip_norm"
/// max_norm = 1.0
///
/// [[optimizer.chain]]
/// kind = "adam"
/// betas = [0.9, 0.99]
/// eps = 1e-8
/// amsgrad = false
///
/// [[optimizer.chain]]
/// kind = "weight_decay"
/// weight_decay = 0.01
/// "#);
/// assert_eq!(Recipe::from_toml(&recipe.to_string())?, recipe);
/// # Ok::<(), ConfigError>(())
/// ```
///
/// The recipe stands at top level, or in a table `[optimizer]` of a file whose other keys belong
/// to the application. Shared keys of the short form: `lr`, a number or a schedule (default: the
/// rule's, [`Rule::LR`]); `clip_norm`, the first link of all; `weight_decay`, an L2 penalty in
/// front of the rule, but decoupled in `adamw`; `unused_parameters`, `"error"` or `"skip"`.
#[derive(Clone, Debug, PartialEq)]
pub struct Recipe {
    lr: Rate,
    chain: Vec<Link>,
    unused_parameters: UnusedParameters,
}

impl Recipe {
    /// A recipe of one rule; `lr` is a number or a [`Schedule`](super::Schedule).
    ///
    /// # Panics
    /// When a setting is out of range.
    #[track_caller]
    pub fn new(lr: impl Into<Rate>, rule: impl Rule) -> Self {
        let lr = lr.into();
        if let Err(bad) = lr.settings() {
            panic!("{} rate: {bad}", lr.kind());
        }
        Recipe::from_parts(lr, vec![Link::new(rule)], UnusedParameters::default())
    }

    /// The recipe with one link more: `rule` transforms what the chain so far lets out.
    ///
    /// # Panics
    /// When a setting is out of range.
    #[must_use]
    #[track_caller]
    pub fn then(mut self, rule: impl Rule) -> Self {
        self.chain.push(Link::new(rule));
        self
    }

    /// The recipe with another answer to parameters that received no gradient.
    #[must_use]
    pub fn with_unused_parameters(self, unused_parameters: UnusedParameters) -> Self {
        Recipe { unused_parameters, ..self }
    }

    pub(crate) fn from_parts(
        lr: Rate,
        chain: Vec<Link>,
        unused_parameters: UnusedParameters,
    ) -> Self {
        Recipe { lr, chain, unused_parameters }
    }

    /// The recipe that a TOML text describes.
    ///
    /// # Errors
    /// When the text is not TOML, or not a recipe; the error tells where and what was expected.
    pub fn from_toml(text: &str) -> Result<Self, ConfigError> {
        Recipe::from_toml_with(&Registry::default(), text)
    }

    /// The same, with the rules and schedules of `registry`.
    ///
    /// # Errors
    /// As [`Recipe::from_toml`].
    pub fn from_toml_with(registry: &Registry, text: &str) -> Result<Self, ConfigError> {
        config::read(registry, text)
    }

    /// The recipe that a TOML file describes.
    ///
    /// # Errors
    /// When the file cannot be read, or as [`Recipe::from_toml`].
    pub fn load(path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        Recipe::load_with(&Registry::default(), path)
    }

    /// The same, with the rules and schedules of `registry`.
    ///
    /// # Errors
    /// As [`Recipe::load`].
    pub fn load_with(registry: &Registry, path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        let path = path.as_ref();
        let text =
            std::fs::read_to_string(path).map_err(|error| ConfigError::unreadable(path, error))?;
        Recipe::from_toml_with(registry, &text).map_err(|error| error.in_file(path))
    }

    /// The learning rate.
    pub fn lr(&self) -> &Rate {
        &self.lr
    }

    /// The links, in the order in which a gradient passes through them; at least one.
    pub fn chain(&self) -> &[Link] {
        &self.chain
    }

    /// What a step does about a parameter that received no gradient.
    pub fn unused_parameters(&self) -> UnusedParameters {
        self.unused_parameters
    }
}

/// TOML in the long form, every default spelled out; reading it gives the same recipe.
impl fmt::Display for Recipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let settings = self.lr.settings().map_err(|_| fmt::Error)?;
        writeln!(f, "[optimizer]")?;
        match settings.get("lr") {
            Some(lr) if self.lr.kind() == Constant::KIND => writeln!(f, "lr = {}", written(lr))?,
            _ => {
                write!(f, "lr = {{ kind = \"{}\"", self.lr.kind())?;
                for (key, value) in ordered(&settings, self.lr.order()) {
                    write!(f, ", {} = {}", quoted(key), written(value))?;
                }
                writeln!(f, " }}")?;
            }
        }
        writeln!(f, "unused_parameters = \"{}\"", self.unused_parameters.as_str())?;
        for link in &self.chain {
            writeln!(f, "\n[[optimizer.chain]]\nkind = \"{}\"", link.kind())?;
            for (key, value) in ordered(link.settings(), link.order()) {
                writeln!(f, "{} = {}", quoted(key), written(value))?;
            }
        }
        Ok(())
    }
}

/// The entries of a table in the order of the struct's fields; others follow, by name.
fn ordered<'a>(
    settings: &'a toml::Table,
    order: &'static [&'static str],
) -> impl Iterator<Item = (&'a String, &'a toml::Value)> {
    let mut entries: Vec<_> = settings.iter().collect();
    entries.sort_by_key(|(key, _)| order.iter().position(|name| name == key).unwrap_or(usize::MAX));
    entries.into_iter()
}

/// A value on one line, numbers as Rust writes them: `1e-8`, where the toml crate has all the zeros.
fn written(value: &toml::Value) -> String {
    match value {
        toml::Value::Float(x) if x.is_finite() => format!("{x:?}"),
        toml::Value::Array(values) => {
            format!("[{}]", values.iter().map(written).collect::<Vec<_>>().join(", "))
        }
        toml::Value::Table(table) => {
            let entry =
                |(key, value): (&String, _)| format!("{} = {}", quoted(key), written(value));
            format!("{{ {} }}", table.iter().map(entry).collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}

/// A key as TOML wants it: bare, or in quotes where it must be.
fn quoted(key: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !key.is_empty() && key.chars().all(bare) {
        key.to_owned()
    } else {
        toml::Value::from(key).to_string()
    }
}
