//! Tables of a program's own configuration, read with the same errors as recipes.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::de::DeserializeOwned;
use toml::de::DeTable;

use super::overrides::Texts;
use super::plans::tables;
use super::read::{in_file, recipe_of};
use super::registry::Registry;
use super::table::{Table, flag, refuse_others, whole};
use crate::optim::error::{ConfigError, Diagnostic, Problem};
use crate::optim::range::InvalidSetting;
use crate::optim::recipe::Recipe;
use crate::optim::value::{Entries, Key, Value};

/// Table of a TOML text that knows its place, for the parts of a configuration that are no recipe.
///
/// Keys are taken out one by one, or all together as a struct. Each mistake is a [`ConfigError`] with file, line,
/// column, and the nearest valid name.
///
/// ```
/// use serde::Deserialize;
/// use wengert_nn::optim::{ConfigTable, range};
///
/// #[derive(Deserialize)]
/// struct Data { batch_size: u64 }
///
/// let text = "[data]\nbatch_size = 32";
/// let mut root = ConfigTable::read(text, &["data.batch_size=64"])?;
/// let data = root.take_table("data")?.unwrap();
/// let data = data.make(|data: Data| {
///     range::at_least_one("batch_size", data.batch_size)?;
///     Ok(data)
/// })?;
/// root.finish(&[])?;
/// assert_eq!(data.batch_size, 64);
///
/// let mut root = ConfigTable::read("[data]\nbatchsize = 32", &[""; 0])?;
/// let error = root.take_table("data")?.unwrap().make(|data: Data| Ok(data)).err().unwrap();
/// assert_eq!((error.line(), error.column()), (2, 1));
/// assert!(error.message().starts_with("unknown key `batchsize`; did you mean `batch_size`?"));
/// # Ok::<(), wengert_nn::optim::ConfigError>(())
/// ```
pub struct ConfigTable {
    table: Table,
    origin: Arc<Origin>,
}

/// The text that a table came from.
struct Origin {
    text: String,
    overrides: Vec<String>,
    file: Option<PathBuf>,
}

impl Origin {
    fn error(&self, Diagnostic { span, problem }: Diagnostic) -> ConfigError {
        let message = match problem {
            Problem::Said(message) => message,
            Problem::Unknown(unknown) => unknown.message(None),
        };
        self.in_file(self.texts().source(span).error(message))
    }

    fn in_file(&self, error: ConfigError) -> ConfigError {
        match &self.file {
            Some(file) => error.in_file(file),
            None => error,
        }
    }

    fn texts(&self) -> Texts<'_> {
        Texts::whole(&self.text, &self.overrides)
    }
}

impl ConfigTable {
    /// Reads a text and applies overrides such as `data.batch_size=64`, in order.
    ///
    /// # Errors
    /// If the text is not TOML, or an override is not `key=value` or has no place in the text.
    pub fn read(text: &str, overrides: &[impl AsRef<str>]) -> Result<Self, ConfigError> {
        Self::parsed(text, overrides, None)
    }

    /// Reads a file and applies overrides, in order.
    ///
    /// # Errors
    /// If the file cannot be read, and in the cases of [`ConfigTable::read`].
    pub fn load(
        path: impl AsRef<Path>,
        overrides: &[impl AsRef<str>],
    ) -> Result<Self, ConfigError> {
        let path = path.as_ref();
        let text =
            std::fs::read_to_string(path).map_err(|error| ConfigError::unreadable(path, error))?;
        Self::parsed(&text, overrides, Some(path.to_owned()))
    }

    fn parsed(
        text: &str,
        overrides: &[impl AsRef<str>],
        file: Option<PathBuf>,
    ) -> Result<Self, ConfigError> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text).to_owned();
        let overrides = overrides.iter().map(|text| text.as_ref().to_owned()).collect();
        let origin = Arc::new(Origin { text, overrides, file });
        let parsed = DeTable::parse(&origin.text).map_err(|error| {
            let end = origin.text.trim_end().len();
            Diagnostic::new(error.span().unwrap_or(end..end), error.message())
        });
        let entries = parsed.and_then(|document| {
            let mut entries = Entries::new(document.into_inner(), 0)?;
            origin.texts().apply(&mut entries)?;
            Ok(entries)
        });
        let entries = entries.map_err(|diagnostic| origin.error(diagnostic))?;
        Ok(Self { table: Table::new(entries, 0..0), origin })
    }

    /// Returns the text, without overrides.
    pub fn text(&self) -> &str {
        &self.origin.text
    }

    /// Returns whether the table has this key.
    pub fn has(&self, key: &str) -> bool {
        self.table.entries.contains(key)
    }

    /// Takes out a text, if it is there.
    ///
    /// # Errors
    /// If the value is no text.
    pub fn take_text(&mut self, key: &'static str) -> Result<Option<String>, ConfigError> {
        let Some((_, value)) = self.take(key) else { return Ok(None) };
        let text = value.as_text().ok_or_else(|| value.unlike(key, "a string"));
        text.map(|text| Some(text.to_owned())).map_err(|d| self.origin.error(d))
    }

    /// Takes out a whole number of at least 0, if it is there.
    ///
    /// # Errors
    /// If the value is no such number.
    pub fn take_whole(&mut self, key: &'static str) -> Result<Option<u64>, ConfigError> {
        let entry = self.take(key);
        let number = entry.map(|(_, value)| whole(key, &value, 0)).transpose();
        number.map_err(|d| self.origin.error(d))
    }

    /// Takes out `true` or `false`, if it is there.
    ///
    /// # Errors
    /// If the value is neither.
    pub fn take_flag(&mut self, key: &'static str) -> Result<Option<bool>, ConfigError> {
        let entry = self.take(key);
        let flag = entry.map(|(_, value)| flag(key, &value)).transpose();
        flag.map_err(|d| self.origin.error(d))
    }

    /// Takes out a table, if it is there.
    ///
    /// # Errors
    /// If the value is no table.
    pub fn take_table(&mut self, key: &'static str) -> Result<Option<Self>, ConfigError> {
        let Some((key, value)) = self.take(key) else { return Ok(None) };
        let table = Table::of(&key.name, value).map_err(|d| self.origin.error(d))?;
        Ok(Some(self.child(Table { span: key.span, ..table })))
    }

    /// Takes out a list of tables, which may be absent.
    ///
    /// # Errors
    /// If the value is no list of tables.
    pub fn take_tables(&mut self, key: &'static str) -> Result<Vec<Self>, ConfigError> {
        let entry = self.take(key);
        let tables = tables(key, entry).map_err(|d| self.origin.error(d))?;
        Ok(tables.into_iter().map(|table| self.child(table)).collect())
    }

    /// Takes out the table `[optimizer]` and reads its recipe. `registry` has the kinds that it may name.
    ///
    /// # Errors
    /// If the table is missing, or is no recipe.
    pub fn take_recipe(&mut self, registry: &Registry) -> Result<Recipe, ConfigError> {
        let place = self.place();
        let table = self.take_table("optimizer")?;
        let table = table.ok_or_else(|| place.error("missing table `[optimizer]`"))?.table;
        let texts = self.origin.texts();
        let recipe = recipe_of(registry, table, texts);
        let recipe = recipe.map_err(|d| self.origin.in_file(registry.error(texts, d)))?;
        Ok(match &self.origin.file {
            Some(file) => in_file(recipe, file),
            None => recipe,
        })
    }

    /// Takes out `kind`, which names one of the `valid` kinds of a `what`. Further mistakes with the table as a whole
    /// point at it.
    ///
    /// # Errors
    /// If `kind` is missing or not valid.
    pub fn take_kind(
        &mut self,
        what: &'static str,
        valid: &[&'static str],
    ) -> Result<&'static str, ConfigError> {
        let named = self.table.take_kind(&format!("a {what}")).and_then(|kind| {
            let Some(name) = kind.as_text() else { return Err(kind.unlike("kind", "a string")) };
            let found = valid.iter().copied().find(|valid| *valid == name);
            found.ok_or_else(|| Diagnostic::unknown(kind.span.clone(), what, name, valid.to_vec()))
        });
        named.map_err(|d| self.origin.error(d))
    }

    /// Reads the keys that are left into a struct, and passes it to `make`, which checks it.
    ///
    /// # Errors
    /// If a key is unknown or missing, or a value is not of its type or out of range.
    pub fn make<T: DeserializeOwned, M>(
        self,
        make: impl FnOnce(T) -> Result<M, InvalidSetting>,
    ) -> Result<M, ConfigError> {
        let Self { table, origin, .. } = self;
        table.make(make).map_err(|d| origin.error(d))
    }

    /// Refuses the keys that are left, unless they are `known`.
    ///
    /// # Errors
    /// If there is another key.
    pub fn finish(&self, known: &[&'static str]) -> Result<(), ConfigError> {
        let valid = || self.table.also.iter().chain(known).copied();
        refuse_others(&self.table.entries, |key| known.contains(&key), valid)
            .map_err(|d| self.origin.error(d))
    }

    /// Returns the place of the table, for a mistake that is found later.
    pub fn place(&self) -> ConfigPlace {
        ConfigPlace { span: self.table.span.clone(), origin: Arc::clone(&self.origin) }
    }

    fn take(&mut self, key: &'static str) -> Option<(Key, Value)> {
        self.table.also.push(key);
        self.table.entries.remove(key)
    }

    fn child(&self, table: Table) -> Self {
        Self { table, origin: Arc::clone(&self.origin) }
    }
}

impl fmt::Debug for ConfigTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConfigTable").field("entries", &self.table.entries).finish_non_exhaustive()
    }
}

/// Place of a table in a configuration.
#[derive(Clone)]
pub struct ConfigPlace {
    span: Range<usize>,
    origin: Arc<Origin>,
}

impl ConfigPlace {
    /// Returns the error with this message at this place.
    pub fn error(&self, message: impl Into<String>) -> ConfigError {
        self.origin.error(Diagnostic::new(self.span.clone(), message))
    }

    /// Returns the line, counted from 1.
    pub fn line(&self) -> usize {
        self.error("").line()
    }
}

impl fmt::Debug for ConfigPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConfigPlace").field("line", &self.line()).finish_non_exhaustive()
    }
}
