//! Reads a recipe from TOML.
//!
//! Without serde's `tag`, `untagged` and `flatten`, each of which loses the position of a mistake. The
//! text is parsed into a table that knows its positions; `kind` and the shared keys are taken out; the
//! rest is deserialized into the struct that the [`Registry`] has under that name. Names that nothing is called
//! are answered by `hints`.

use std::ops::Range;
use std::path::Path;
use std::str::FromStr;

use toml::de::{DeTable, DeValue};
use wengert_core::Float;

use super::hints;
use super::overrides::Texts;
use super::rate::Rates;
use super::registry::Registry;
use super::shared::{self, DECOUPLED, Place, RECIPE, SHARED};
use super::table::{Table, flag, refuse_others, whole};
use super::training::Training;
use crate::Pattern;
use crate::optim::driver::Optimizer;
use crate::optim::error::{ConfigError, Diagnostic, Problem, Source, nearest, shortened};
use crate::optim::keep::keep;
use crate::optim::recipe::{Choice, Group, Plan, Recipe, StepPolicy};
use crate::optim::rule::Rule;
use crate::optim::rules::{Ema, Maximize, WeightDecay};
use crate::optim::schedule::Rate;
use crate::optim::transform::Transform;
use crate::optim::value::{Data, Entries, Key, Value};

impl Registry {
    /// Reads a recipe from TOML; [`Recipe`] describes the format.
    ///
    /// # Errors
    /// If the text is not TOML or not a recipe. The error gives line and column, the value found and the
    /// value expected.
    pub fn read(&self, text: &str) -> Result<Recipe, ConfigError> {
        // A byte order mark is no character of the first line.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let texts = Texts::new(text, &self.overrides);
        recipe(self, text, texts).map_err(|Diagnostic { span, problem }| {
            texts.source(span).error(match problem {
                Problem::Said(message) => message,
                Problem::Unknown(unknown) => unknown.message(hints::hint(self, &unknown)),
            })
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
        let mut recipe = self.read(&text).map_err(|error| error.in_file(path))?;
        for source in recipe.groups.iter_mut().flat_map(|group| &mut group.sources) {
            source.in_file(path);
        }
        Ok(recipe)
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

/// Reader of a recipe's plans and groups.
#[derive(Clone, Copy)]
struct Reader<'a> {
    registry: &'a Registry,
    texts: Texts<'a>,
    rates: Rates<'a>,
}

fn recipe(registry: &Registry, text: &str, texts: Texts<'_>) -> Result<Recipe, Diagnostic> {
    let document = DeTable::parse(text).map_err(|error| {
        let end = text.trim_end().len();
        Diagnostic::new(error.span().unwrap_or(end..end), error.message())
    })?;
    let mut table = table_of_recipe(registry, document.into_inner())?;
    texts.apply(&mut table.entries)?;
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

/// Returns the settings of the rule itself, if this is the short form.
fn own_keys(registry: &Registry, entries: &Entries) -> &'static [&'static str] {
    let kind = entries.get("kind").and_then(|(_, kind)| registry.find_rule(kind).ok());
    kind.map_or(&[], |kind| kind.fields.names())
}

/// Returns the tables of an array, each with its position.
fn tables(key: &str, entry: Option<(Key, Value)>) -> Result<Vec<Table>, Diagnostic> {
    match entry.map(|(_, value)| value) {
        None => Ok(Vec::new()),
        Some(Value { data: Data::Array(tables), .. }) => {
            tables.into_iter().map(|table| Table::of(key, table)).collect()
        }
        Some(value) => Err(value.unlike(key, "an array of tables")),
    }
}

const EMA_IS_LAST: &str = "`ema` must be last in its chain, where it sees the whole update";

impl Reader<'_> {
    /// Reads a rate and a chain in the short or the long form. A group, which has the recipe's plan as its
    /// `base`, may give neither form.
    fn plan(self, mut table: Table, base: Option<&Plan>) -> Result<Plan, Diagnostic> {
        match (table.entries.remove("kind"), table.entries.remove("chain"), base) {
            (Some((_, kind)), None, _) => self.short(&kind, table),
            (None, Some((_, chain)), _) => self.long(chain, table, base),
            (Some(_), Some((key, _)), _) => Err(Diagnostic::new(
                key.span,
                "both `kind` and `chain`: expected `kind` with its settings (the short form), or a \
                 `chain` of rules (the long form)",
            )),
            (None, None, Some(base)) => {
                let lr = table.entries.remove("lr");
                let valid = || ["params", "lr", "frozen", "kind", "chain"].into_iter();
                refuse_others(&table.entries, |_| false, valid)?;
                let lr = lr.map(|(_, value)| self.rates.lr(value)).transpose()?;
                Ok(Plan { lr: lr.unwrap_or_else(|| base.lr.clone()), chain: base.chain.clone() })
            }
            (None, None, None) => Err(no_optimizer(&table)),
        }
    }

    /// Reads the short form: `kind`, its settings, and the shared keys.
    fn short(self, kind: &Value, mut table: Table) -> Result<Plan, Diagnostic> {
        let rule = self.registry.find_rule(kind)?;
        // A shared key that is also a setting of the rule belongs to the rule. A solver has only a rate.
        let own = |key: &str| rule.fields.names().contains(&key);
        let keys = shared::keys().take(if rule.solver { 1 } else { usize::MAX });
        let keys: Vec<&str> = keys.filter(|key| !own(key)).collect();
        let has_decay = table.entries.contains(WeightDecay::KIND);
        let mut take = |key| keys.contains(&key).then(|| table.entries.remove(key)).flatten();
        let lr = take("lr").map(|(_, value)| self.rates.lr(value)).transpose()?;
        let (mut before, mut after, mut decoupled) = (Vec::new(), Vec::new(), None);
        for shared in &SHARED {
            let Some((key, value)) = take(shared.key) else { continue };
            if shared.key == DECOUPLED {
                decoupled = Some((key.span, flag(DECOUPLED, &value)?));
                continue;
            }
            let transforms =
                if shared.place == Place::AfterRule { &mut after } else { &mut before };
            transforms.extend(shared.read(&key.written, &value)?);
        }
        table.also.splice(0..0, keys);
        table.span = kind.span.clone();
        let mut chain = rule.transforms(kind, table)?;
        let lr = match (lr, kind.as_text()) {
            (Some(lr), _) => lr,
            (None, Some(name)) if rule.lr.is_nan() => {
                let message = format!("missing key `lr`: `{name}` has no default rate");
                return Err(Diagnostic::new(kind.span.clone(), message));
            }
            (None, _) => Rate::from(rule.lr),
        };
        let decays = |transform: &Transform| transform.kind() == WeightDecay::KIND;
        match decoupled {
            Some((span, _)) if !has_decay && !chain.iter().any(decays) => {
                let message = format!("`{DECOUPLED}` without `{}`", WeightDecay::KIND);
                return Err(Diagnostic::new(span, message));
            }
            Some((_, true)) => chain.extend(before.extract_if(.., |transform| decays(transform))),
            // A decay that an alias decouples moves in front of its rule.
            Some((_, false)) => before.extend(chain.extract_if(.., |transform| decays(transform))),
            None => {}
        }
        let chain: Vec<_> = before.into_iter().chain(chain).chain(after).collect();
        if chain.iter().rev().skip(1).any(|transform| transform.kind() == Ema::KIND) {
            return Err(Diagnostic::new(kind.span.clone(), EMA_IS_LAST));
        }
        Ok(Plan { lr, chain })
    }

    /// Reads the long form: `lr` and the transforms one by one.
    fn long(self, chain: Value, mut table: Table, base: Option<&Plan>) -> Result<Plan, Diagnostic> {
        if let Some((key, _)) = SHARED.iter().find_map(|shared| table.entries.get(shared.key)) {
            let message = format!(
                "unknown key `{}`: in the long form it is a transform of the chain",
                key.written
            );
            return Err(Diagnostic::new(key.span.clone(), message));
        }
        let lr = table.entries.remove("lr");
        let valid = || ["chain", "lr"].into_iter().chain(table.also.iter().copied());
        refuse_others(&table.entries, |_| false, valid)?;
        let lr = match (lr, base) {
            (Some((_, value)), _) => self.rates.lr(value)?,
            (None, Some(base)) => base.lr.clone(),
            (None, None) => {
                return Err(Diagnostic::new(
                    table.span,
                    "missing key `lr`: the long form needs it",
                ));
            }
        };
        let span = chain.span.clone();
        let mut transforms: Vec<Transform> = Vec::new();
        let mut ema: Option<Range<usize>> = None;
        for mut table in tables("chain", Some((Key::new("chain", span.clone()), chain)))? {
            let kind = table.take_kind("a rule")?;
            if let Some(span) = ema {
                return Err(Diagnostic::new(span, EMA_IS_LAST));
            }
            let found = self.registry.find_rule(&kind)?.transforms(&kind, table)?;
            ema = found.iter().any(|found| found.kind() == Ema::KIND).then(|| kind.span.clone());
            transforms.extend(found);
            let solver = transforms.iter().find(|transform| transform.is_solver());
            if let (Some(solver), true) = (solver, transforms.len() > 1) {
                let message = format!(
                    "`{}` calls the loss itself: it stands alone in its chain",
                    solver.kind()
                );
                return Err(Diagnostic::new(kind.span, message));
            }
        }
        if transforms.is_empty() {
            return Err(Diagnostic::new(span, "the chain is empty: expected at least one rule"));
        }
        Ok(Plan { lr, chain: transforms })
    }

    /// Reads one of `groups`: the table of the recipe, with the keys of the group in place of its own.
    fn group(self, mut table: Table, base: &Entries, recipe: &Recipe) -> Result<Group, Diagnostic> {
        let (params, sources) = self.patterns(&mut table, &recipe.groups)?;
        table.also.extend(["params", "frozen"]);
        let frozen = table.entries.remove("frozen");
        if frozen.map(|(_, value)| flag("frozen", &value)).transpose()?.unwrap_or(false) {
            refuse_others(&table.entries, |_| false, || ["params", "frozen"].into_iter())?;
            return Ok(Group { params, sources, plan: None });
        }
        let span = table.span.clone();
        if let Some(solver) = recipe.plan.solver() {
            let message = format!(
                "`{}` works on all parameters at once: a group can only be `frozen`",
                solver.kind()
            );
            return Err(Diagnostic::new(span, message));
        }
        let kind = |entries: &Entries| {
            entries.get("kind").and_then(|(_, kind)| kind.as_text().map(str::to_owned))
        };
        let (own_kind, base_kind) = (kind(&table.entries), kind(base));
        let own = own_keys(self.registry, if own_kind.is_some() { &table.entries } else { base });
        shared::rename_keys(&mut table.entries, own)?;
        let chain = table.entries.contains("chain");
        let own_rule = own_kind.is_some() && own_kind != base_kind;
        // A direction that the group gives itself is in its chain already.
        let maximize = own_rule && !table.entries.contains(Maximize::KIND);
        if base_kind.is_some() && !chain && !own_rule {
            for (key, value) in base.iter() {
                if !table.entries.contains(&key.name) {
                    table.entries.push(key.clone(), value.clone());
                }
            }
        }
        let mut plan = self.plan(table, Some(&recipe.plan))?;
        match plan.solver() {
            None => {
                keep(&recipe.plan.chain, &mut plan.chain, maximize);
                Ok(Group { params, sources, plan: Some(plan) })
            }
            Some(solver) => {
                let message = format!(
                    "`{}` works on all parameters at once: it is no rule for a group",
                    solver.kind()
                );
                Err(Diagnostic::new(span, message))
            }
        }
    }

    /// Reads `params`: a pattern, or a list of patterns, none of which stands in `earlier` groups.
    fn patterns(
        self,
        table: &mut Table,
        earlier: &[Group],
    ) -> Result<(Vec<Pattern>, Vec<Source>), Diagnostic> {
        let expected = "a pattern such as \"*.bias\", or a list of them";
        let Some((_, value)) = table.entries.remove("params") else {
            return Err(table.missing("params", expected));
        };
        let list = match &value.data {
            Data::Array(list) => list,
            _ => std::slice::from_ref(&value),
        };
        if list.is_empty() {
            let message = format!("`params`: expected {expected}");
            return Err(Diagnostic::new(value.span.clone(), message));
        }
        let (mut params, mut sources) = (Vec::new(), Vec::new());
        for value in list {
            let text = value.as_text().ok_or_else(|| value.unlike("params", expected))?;
            let pattern = Pattern::new(text);
            let place = if params.contains(&pattern) {
                "twice in this group"
            } else if earlier.iter().any(|group| group.params.contains(&pattern)) {
                "in an earlier group, which all its parameters belong to"
            } else {
                params.push(pattern);
                sources.push(self.texts.source(value.span.clone()));
                continue;
            };
            let message = format!("the pattern `{}` stands {place}", shortened(text));
            return Err(Diagnostic::new(value.span.clone(), message));
        }
        Ok((params, sources))
    }
}

/// Returns the diagnostic for a recipe without `kind` and `chain`, or for the typo or the other name in their place.
fn no_optimizer(table: &Table) -> Diagnostic {
    const NAMES: [&str; 3] = ["optimizer", "kind", "chain"];
    let near =
        |name: &str| nearest(name, &NAMES).is_some() || hints::of_key(name, &NAMES).is_some();
    let mut others = table.entries.keys().filter(|key| !shared::is_of_recipe(&key.name));
    match others.find(|key| near(&key.name)) {
        Some(key) => Diagnostic::unknown(key.span.clone(), "key", &key.written, NAMES),
        None => Diagnostic::new(
            table.span.clone(),
            "no optimizer: expected `kind = ..` (the short form) or `[[chain]]` (the long form), \
             at top level or in a table `[optimizer]`",
        ),
    }
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
