//! Reads a recipe from TOML.
//!
//! Without serde's `tag`, `untagged` and `flatten`, each of which loses the position of a mistake. The
//! text is parsed into a table that knows its positions; `kind` and the shared keys are taken out; the
//! rest is deserialized into the struct that the [`Registry`] has under that name.

use std::ops::Range;
use std::path::Path;
use std::str::FromStr;

use toml::Spanned;
use toml::de::{DeTable, DeValue};
use wengert_core::Float;

use super::overrides::Texts;
use super::rate::rate;
use super::registry::Registry;
use super::shared::{self, DECOUPLED, Place, RECIPE, SHARED};
use super::table::{Table, flag, refuse_others, whole, wrong_type};
use crate::Pattern;
use crate::optim::driver::Optimizer;
use crate::optim::error::{ConfigError, Diagnostic, Source, nearest};
use crate::optim::keep::keep;
use crate::optim::recipe::{Choice, Group, Plan, Recipe, StepPolicy};
use crate::optim::rule::Rule;
use crate::optim::rules::{Ema, Maximize, WeightDecay};
use crate::optim::schedule::Rate;
use crate::optim::transform::Transform;

impl Registry {
    /// Reads a recipe from TOML; [`Recipe`] describes the format.
    ///
    /// # Errors
    /// If the text is not TOML or not a recipe. The error gives line and column, the value found and the
    /// value expected.
    pub fn read(&self, text: &str) -> Result<Recipe, ConfigError> {
        let texts = Texts::new(text, &self.overrides);
        recipe(self, text, &texts).map_err(|diagnostic| texts.locate(diagnostic))
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

fn recipe(registry: &Registry, text: &str, texts: &Texts<'_>) -> Result<Recipe, Diagnostic> {
    let document = DeTable::parse(text).map_err(|error| {
        let end = text.trim_end().len();
        Diagnostic::new(error.span().unwrap_or(end..end), error.message())
    })?;
    let mut entries = document.into_inner();
    let mut table = match entries.remove("optimizer") {
        Some(value) => {
            refuse_strays(&entries)?;
            Table::of("optimizer", value)?
        }
        None => Table::new(entries, 0..0),
    };
    texts.apply(&mut table.entries)?;
    let own = own_keys(registry, &table.entries);
    shared::rename_keys(&mut table.entries, own);
    let accumulate_span = table.entries.get("accumulate").map_or(0..0, Spanned::span);
    let mut take = |key| (!own.contains(&key)).then(|| table.entries.remove(key)).flatten();
    let accumulate = take("accumulate").map(|value| whole("accumulate", value, 1)).transpose()?;
    let policy = StepPolicy {
        accumulate: accumulate.unwrap_or(1),
        non_finite: choice("non_finite", take("non_finite"))?,
        unused_parameters: choice("unused_parameters", take("unused_parameters"))?,
    };
    let groups = take("groups");
    table.also.extend(RECIPE);
    let base = table.entries.clone();
    let plan = plan(registry, table, None)?;
    if let (Some(solver), true) = (plan.solver(), policy.accumulate > 1) {
        let message =
            format!("`{}` calls the loss itself, and accumulates no gradients", solver.kind());
        return Err(Diagnostic::new(accumulate_span, message));
    }
    let mut recipe = Recipe { plan, groups: Vec::new(), policy };
    for table in tables("groups", groups)? {
        let group = group(registry, table, &base, &recipe.plan, texts)?;
        recipe.groups.push(group);
    }
    Ok(recipe)
}

/// Refuses keys of a recipe beside its table `[optimizer]`, where they would have no effect.
fn refuse_strays(table: &DeTable<'_>) -> Result<(), Diagnostic> {
    let own = |key: &str| ["kind", "lr", "chain"].contains(&key) || RECIPE.contains(&key);
    match table.keys().filter(|key| own(key.get_ref())).min_by_key(|key| key.span().start) {
        None => Ok(()),
        Some(key) => {
            let name = key.get_ref();
            let message =
                format!("`{name}` stands outside of `[optimizer]`: expected `optimizer.{name}`");
            Err(Diagnostic::new(key.span(), message))
        }
    }
}

/// Returns the settings of the rule itself, if this is the short form.
fn own_keys(registry: &Registry, table: &DeTable<'_>) -> &'static [&'static str] {
    let kind = table.get("kind").and_then(|kind| registry.find_rule(kind).ok());
    kind.map_or(&[], |kind| kind.fields.names())
}

/// Returns the tables of an array, each with its position.
fn tables<'t>(
    key: &str,
    value: Option<Spanned<DeValue<'t>>>,
) -> Result<Vec<Table<'t>>, Diagnostic> {
    let Some(value) = value else { return Ok(Vec::new()) };
    if !value.get_ref().is_array() {
        return Err(wrong_type(key, &value, "an array of tables"));
    }
    match value.into_inner() {
        DeValue::Array(tables) => tables.into_iter().map(|table| Table::of(key, table)).collect(),
        _ => unreachable!("checked above"),
    }
}

/// Reads a rate and a chain in the short or the long form. A group, which has the recipe's plan as its
/// `base`, may give neither form.
fn plan(
    registry: &Registry,
    mut table: Table<'_>,
    base: Option<&Plan>,
) -> Result<Plan, Diagnostic> {
    match (table.entries.remove("kind"), table.entries.remove_entry("chain"), base) {
        (Some(kind), None, _) => short(registry, &kind, table),
        (None, Some((_, chain)), _) => long(registry, chain, table, base),
        (Some(_), Some((key, _)), _) => Err(Diagnostic::new(
            key.span(),
            "both `kind` and `chain`: expected `kind` with its settings (the short form), or a \
             `chain` of rules (the long form)",
        )),
        (None, None, Some(base)) => {
            let lr = table.entries.remove("lr");
            let valid = || ["params", "lr", "frozen", "kind", "chain"].into_iter();
            refuse_others(&table.entries, |_| false, valid)?;
            let lr = lr.map(|value| rate(registry, "lr", value)).transpose()?;
            Ok(Plan { lr: lr.unwrap_or_else(|| base.lr.clone()), chain: base.chain.clone() })
        }
        (None, None, None) => Err(no_optimizer(&table)),
    }
}

/// Returns the diagnostic for a recipe without `kind` and `chain`, or for the typo in their place.
fn no_optimizer(table: &Table<'_>) -> Diagnostic {
    let typo = table
        .entries
        .keys()
        .filter(|key| !shared::keys().any(|shared| shared == key.get_ref()))
        .filter(|key| nearest(key.get_ref(), &["optimizer", "kind", "chain"]).is_some())
        .min_by_key(|key| key.span().start);
    match typo {
        Some(key) => {
            Diagnostic::unknown(key.span(), "key", key.get_ref(), ["optimizer", "kind", "chain"])
        }
        None => Diagnostic::new(
            table.span.clone(),
            "no optimizer: expected `kind = ..` (the short form) or `[[chain]]` (the long form), \
             at top level or in a table `[optimizer]`",
        ),
    }
}

/// Reads the short form: `kind`, its settings, and the shared keys.
fn short(
    registry: &Registry,
    kind: &Spanned<DeValue<'_>>,
    mut table: Table<'_>,
) -> Result<Plan, Diagnostic> {
    let rule = registry.find_rule(kind)?;
    // A shared key that is also a setting of the rule belongs to the rule. A solver has only a rate.
    let own = |key: &str| rule.fields.names().contains(&key);
    let keys = shared::keys().take(if rule.solver { 1 } else { usize::MAX });
    let keys: Vec<&str> = keys.filter(|key| !own(key)).collect();
    let mut take = |key| keys.contains(&key).then(|| table.entries.remove(key)).flatten();
    let lr = take("lr").map(|value| rate(registry, "lr", value)).transpose()?;
    let (mut before, mut after, mut decoupled) = (Vec::new(), Vec::new(), None);
    for shared in &SHARED {
        let Some(value) = take(shared.key) else { continue };
        if shared.key == DECOUPLED {
            decoupled = Some(flag(DECOUPLED, &value)?);
            continue;
        }
        let transforms = if shared.place == Place::AfterRule { &mut after } else { &mut before };
        transforms.extend(shared.read(value)?);
    }
    table.also.splice(0..0, keys);
    table.span = kind.span();
    let mut chain = rule.transforms(table)?;
    let lr = match (lr, kind.get_ref().as_str()) {
        (Some(lr), _) => lr,
        (None, Some(name)) if rule.lr.is_nan() => {
            let message = format!("missing key `lr`: `{name}` has no default rate");
            return Err(Diagnostic::new(kind.span(), message));
        }
        (None, _) => Rate::from(rule.lr),
    };
    let decays = |transform: &Transform| transform.kind() == WeightDecay::KIND;
    match decoupled {
        Some(true) => chain.extend(before.extract_if(.., |transform| decays(transform))),
        // A decay that an alias decouples moves in front of its rule.
        Some(false) => before.extend(chain.extract_if(.., |transform| decays(transform))),
        None => {}
    }
    let chain = before.into_iter().chain(chain).chain(after).collect();
    Ok(Plan { lr, chain })
}

/// Reads the long form: `lr` and the transforms one by one.
fn long(
    registry: &Registry,
    chain: Spanned<DeValue<'_>>,
    mut table: Table<'_>,
    base: Option<&Plan>,
) -> Result<Plan, Diagnostic> {
    if let Some((key, _)) = SHARED.iter().find_map(|key| table.entries.get_key_value(key.key)) {
        let name = key.get_ref();
        return Err(Diagnostic::new(
            key.span(),
            format!("unknown key `{name}`: in the long form it is a rule of the chain"),
        ));
    }
    let lr = table.entries.remove("lr");
    let valid = || ["chain", "lr"].into_iter().chain(table.also.iter().copied());
    refuse_others(&table.entries, |_| false, valid)?;
    let lr = match (lr, base) {
        (Some(value), _) => rate(registry, "lr", value)?,
        (None, Some(base)) => base.lr.clone(),
        (None, None) => {
            return Err(Diagnostic::new(table.span, "missing key `lr`: the long form needs it"));
        }
    };
    let span = chain.span();
    let mut transforms: Vec<Transform> = Vec::new();
    let mut ema: Option<Range<usize>> = None;
    for mut table in tables("chain", Some(chain))? {
        let kind = table.take_kind("a rule")?;
        if let Some(span) = ema {
            let message = "`ema` must be last in its chain, where it sees the whole update";
            return Err(Diagnostic::new(span, message));
        }
        let found = registry.find_rule(&kind)?.transforms(table)?;
        ema = found.iter().any(|found| found.kind() == Ema::KIND).then(|| kind.span());
        transforms.extend(found);
        let solver = transforms.iter().find(|transform| transform.is_solver());
        if let (Some(solver), true) = (solver, transforms.len() > 1) {
            let message =
                format!("`{}` calls the loss itself: it stands alone in its chain", solver.kind());
            return Err(Diagnostic::new(kind.span(), message));
        }
    }
    if transforms.is_empty() {
        return Err(Diagnostic::new(span, "the chain is empty: expected at least one rule"));
    }
    Ok(Plan { lr, chain: transforms })
}

/// Reads one of `groups`: the table of the recipe, with the keys of the group in place of its own.
fn group<'t>(
    registry: &Registry,
    mut table: Table<'t>,
    base: &DeTable<'t>,
    base_plan: &Plan,
    texts: &Texts<'_>,
) -> Result<Group, Diagnostic> {
    let (params, sources) = patterns(&mut table, texts)?;
    table.also.extend(["params", "frozen"]);
    let frozen = table.entries.remove("frozen");
    if frozen.map(|value| flag("frozen", &value)).transpose()?.unwrap_or(false) {
        refuse_others(&table.entries, |_| false, || ["params", "frozen"].into_iter())?;
        return Ok(Group { params, sources, plan: None });
    }
    let span = table.span.clone();
    if let Some(solver) = base_plan.solver() {
        let message = format!(
            "`{}` works on all parameters at once: a group can only be `frozen`",
            solver.kind()
        );
        return Err(Diagnostic::new(span, message));
    }
    let kind = |table: &DeTable<'_>| {
        table.get("kind").and_then(|kind| kind.get_ref().as_str().map(str::to_owned))
    };
    let (own_kind, base_kind) = (kind(&table.entries), kind(base));
    let own = own_keys(registry, if own_kind.is_some() { &table.entries } else { base });
    shared::rename_keys(&mut table.entries, own);
    let chain = table.entries.contains_key("chain");
    let own_rule = own_kind.is_some() && own_kind != base_kind;
    // A direction that the group gives itself is in its chain already.
    let maximize = own_rule && !table.entries.contains_key(Maximize::KIND);
    if base_kind.is_some() && !chain && !own_rule {
        for (key, value) in base {
            table.entries.entry(key.clone()).or_insert(value.clone());
        }
    }
    let mut plan = plan(registry, table, Some(base_plan))?;
    match plan.solver() {
        None => {
            keep(&base_plan.chain, &mut plan.chain, maximize);
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

/// Reads `params`: a pattern, or a list of patterns.
fn patterns(
    table: &mut Table<'_>,
    texts: &Texts<'_>,
) -> Result<(Vec<Pattern>, Vec<Source>), Diagnostic> {
    let expected = "a pattern such as \"*.bias\", or a list of them";
    let Some(value) = table.entries.remove("params") else {
        return Err(table.missing("params", expected));
    };
    let list: Vec<_> = match value.get_ref() {
        DeValue::Array(list) => list.iter().collect(),
        _ => vec![&value],
    };
    if list.is_empty() {
        return Err(Diagnostic::new(value.span(), format!("`params`: expected {expected}")));
    }
    let read = |value: &Spanned<DeValue<'_>>| match value.get_ref().as_str() {
        Some(text) => Ok((Pattern::new(text), texts.source(value.span()))),
        None => Err(wrong_type("params", value, expected)),
    };
    list.into_iter().map(read).collect()
}

/// Reads a setting that is one of a few words.
fn choice<C: Choice>(key: &str, value: Option<Spanned<DeValue<'_>>>) -> Result<C, Diagnostic> {
    let Some(value) = value else { return Ok(C::default()) };
    let words: Vec<&str> = C::ALL.iter().map(|(word, _)| *word).collect();
    let Some(given) = value.get_ref().as_str() else {
        return Err(wrong_type(key, &value, &format!("one of \"{}\"", words.join("\", \""))));
    };
    let found = C::ALL.iter().find_map(|(word, choice)| (*word == given).then_some(*choice));
    found.ok_or_else(|| Diagnostic::unknown(value.span(), "value", given, words))
}
