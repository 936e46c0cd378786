//! Reads a recipe from TOML.
//!
//! Without serde's `tag`, `untagged` and `flatten`, each of which loses the position of a mistake. The
//! text is parsed into a table that knows its positions; `kind` and the shared keys are taken out; the
//! rest is deserialized into the struct that the [`Registry`] has under that name. Names that nothing is called
//! are answered by `hints`.

use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use toml::de::{DeTable, DeValue};
use wengert_core::Float;

use super::hints;
use super::overrides::Texts;
use super::plans::{Reader, own_keys, tables};
use super::rate::Rates;
use super::registry::Registry;
use super::shared::{self, RECIPE};
use super::table::{Table, whole};
use super::training::Training;
use crate::optim::driver::Optimizer;
use crate::optim::error::{ConfigError, Diagnostic, Problem};
use crate::optim::recipe::{Choice, Recipe, StepPolicy};
use crate::optim::value::{Entries, Key, Value};

impl Registry {
    /// Reads a recipe from TOML; [`Recipe`] describes the format.
    ///
    /// # Errors
    /// If the text is not TOML or not a recipe. The error gives line and column, the value found and the
    /// value expected.
    pub fn read(&self, text: &str) -> Result<Recipe, ConfigError> {
        // A byte order mark is no character of the first line.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let texts = Texts::of_recipe(text, &self.overrides);
        recipe(self, text, texts).map_err(|diagnostic| self.error(texts, diagnostic))
    }

    /// Returns the error for a mistake in a recipe.
    pub(super) fn error(&self, texts: Texts<'_>, diagnostic: Diagnostic) -> ConfigError {
        let Diagnostic { span, problem } = diagnostic;
        texts.source(span).error(match problem {
            Problem::Said(message) => message,
            Problem::Unknown(unknown) => unknown.message(hints::hint(self, &unknown)),
        })
    }

    /// Reads a recipe from a TOML file; [`Recipe`] describes the format.
    ///
    /// # Errors
    /// If the file cannot be read, is not TOML, or not a recipe.
    pub fn load(&self, path: impl AsRef<Path>) -> Result<Recipe, ConfigError> {
        let path = path.as_ref();
        let text =
            std::fs::read_to_string(path).map_err(|error| ConfigError::unreadable(path, error))?;
        self.read(&text).map(|recipe| in_file(recipe, path)).map_err(|error| error.in_file(path))
    }
}

/// Reads a recipe from TOML, with the rules and schedules of the library; see [`Registry::read`].
impl FromStr for Recipe {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        Registry::default().read(text)
    }
}

impl<F: Float> Optimizer<F> {
    /// Creates the optimizer that a TOML text describes; [`Recipe`] describes the format. For rules from
    /// outside of the library: `Optimizer::new(registry.read(text)?)`.
    ///
    /// # Errors
    /// If the text is not TOML or not a recipe; see [`Registry::read`].
    pub fn from_toml(text: &str) -> Result<Self, ConfigError> {
        Registry::default().read(text).map(Self::new)
    }

    /// Creates the optimizer that a TOML file describes; [`Recipe`] describes the format. For rules from
    /// outside of the library: `Optimizer::new(registry.load(path)?)`.
    ///
    /// # Errors
    /// If the file cannot be read, is not TOML, or not a recipe; see [`Registry::load`].
    pub fn load(path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        Registry::default().load(path).map(Self::new)
    }
}

fn recipe(registry: &Registry, text: &str, texts: Texts<'_>) -> Result<Recipe, Diagnostic> {
    let document = DeTable::parse(text).map_err(|error| {
        let end = text.trim_end().len();
        Diagnostic::new(error.span().unwrap_or(end..end), error.message())
    })?;
    let mut table = table_of_recipe(registry, document.into_inner())?;
    texts.apply(&mut table.entries)?;
    recipe_of(registry, table, texts)
}

/// Reads a recipe from the entries of its table, which were taken from a text of another format.
pub(crate) fn recipe_of_entries(
    registry: &Registry,
    text: &str,
    entries: Result<Entries, Diagnostic>,
) -> Result<Recipe, ConfigError> {
    let texts = Texts::of_recipe(text, &[]);
    let recipe = entries.and_then(|entries| recipe_of(registry, Table::new(entries, 0..0), texts));
    recipe.map_err(|diagnostic| registry.error(texts, diagnostic))
}

/// Reads a recipe from its table, to which the overrides have been applied.
pub(super) fn recipe_of(
    registry: &Registry,
    mut table: Table,
    texts: Texts<'_>,
) -> Result<Recipe, Diagnostic> {
    let own = own_keys(registry, &table.entries);
    shared::rename_keys(&mut table.entries, own)?;
    let accumulate_span =
        table.entries.get("accumulate").map_or(0..0, |(_, value)| value.span.clone());
    let mut take = |key| (!own.contains(&key)).then(|| table.entries.remove(key)).flatten();
    let accumulate =
        take("accumulate").map(|(key, value)| whole(&key.name, &value, 1)).transpose()?;
    let policy = StepPolicy {
        accumulate: accumulate.unwrap_or(1),
        non_finite: choice("non_finite", take("non_finite"))?,
        unused_parameters: choice("unused_parameters", take("unused_parameters"))?,
    };
    let groups = take("groups");
    table.also.extend(RECIPE);
    let training = registry.training.map_or(Training::default(), |(epochs, batches)| {
        Training::new(epochs, batches, policy.accumulate)
    });
    let reader = Reader { registry, texts, rates: Rates { registry, training } };
    let base = table.entries.clone();
    let plan = reader.plan(table, None)?;
    if let (Some(solver), true) = (plan.solver(), policy.accumulate > 1) {
        let message =
            format!("`{}` calls the loss itself, and accumulates no gradients", solver.kind());
        return Err(Diagnostic::new(accumulate_span, message));
    }
    let mut recipe = Recipe { plan, groups: Vec::new(), policy };
    for table in tables("groups", groups)? {
        let group = reader.group(table, &base, &recipe)?;
        recipe.groups.push(group);
    }
    Ok(recipe)
}

/// Sets the file that a recipe came from.
pub(super) fn in_file(mut recipe: Recipe, path: &Path) -> Recipe {
    for source in recipe.groups.iter_mut().flat_map(|group| &mut group.sources) {
        source.in_file(path);
    }
    let groups = recipe.groups.iter_mut().filter_map(|group| group.plan.as_mut());
    let plans = [&mut recipe.plan].into_iter().chain(groups);
    for source in plans.flat_map(|plan| &mut plan.chain).filter_map(|link| link.source.as_mut()) {
        Arc::make_mut(source).in_file(path);
    }
    recipe
}

/// Returns the table `[optimizer]`, or the whole document if it has none. What belongs to the program is left out.
fn table_of_recipe(registry: &Registry, mut document: DeTable<'_>) -> Result<Table, Diagnostic> {
    let declared = registry.program_keys.as_deref();
    for key in declared.unwrap_or_default() {
        document.remove(&**key);
    }
    let Some(optimizer) = document.remove("optimizer") else {
        return Ok(Table::new(Entries::new(document, 0)?, 0..0));
    };
    let mut strays: Vec<_> = document.iter().collect();
    strays.sort_by_key(|(key, _)| key.span().start);
    for (key, value) in strays {
        let (name, span) = (key.get_ref(), key.span());
        if shared::is_of_recipe(name) {
            let message =
                format!("`{name}` stands outside of `[optimizer]`: expected `optimizer.{name}`");
            return Err(Diagnostic::new(span, message));
        }
        let what = match value.get_ref() {
            DeValue::Table(_) => "table",
            DeValue::Array(values) if values.iter().any(|value| value.get_ref().is_table()) => {
                "table"
            }
            _ => "key",
        };
        match declared {
            Some(declared) => {
                let valid = ["optimizer"].into_iter().chain(declared.iter().map(String::as_str));
                return Err(Diagnostic::unknown(span, what, name, valid));
            }
            None => {
                if let Some(meant) = hints::stray(name) {
                    return Err(Diagnostic::unknown(span, what, name, [meant]));
                }
            }
        }
    }
    Table::of("optimizer", Value::new(optimizer, 0)?)
}

/// Reads a setting that is one of a few words.
fn choice<C: Choice>(key: &str, entry: Option<(Key, Value)>) -> Result<C, Diagnostic> {
    let Some((_, value)) = entry else { return Ok(C::default()) };
    let words: Vec<&str> = C::ALL.iter().map(|(word, _)| *word).collect();
    let Some(given) = value.as_text() else {
        return Err(value.unlike(key, &format!("one of \"{}\"", words.join("\", \""))));
    };
    let found = C::ALL.iter().find_map(|(word, choice)| (*word == given).then_some(*choice));
    found.ok_or_else(|| Diagnostic::unknown(value.span.clone(), "value", given, words))
}
