//! Reads plans, each in the short or the long form, and the groups that they belong to.

use std::ops::Range;
use std::sync::Arc;

use super::hints;
use super::overrides::Texts;
use super::rate::Rates;
use super::registry::Registry;
use super::settings::ReadRate;
use super::shared::{self, DECOUPLED, Place, SHARED};
use super::table::{Table, flag, refuse_others};
use crate::Pattern;
use crate::optim::by_rows::rows_in_dispute;
use crate::optim::error::{Diagnostic, Source, nearest, shortened};
use crate::optim::keep::keep;
use crate::optim::recipe::{Group, Plan, Recipe, misplaced};
use crate::optim::rule::Rule;
use crate::optim::rules::{Maximize, WeightDecay};
use crate::optim::schedule::Rate;
use crate::optim::transform::Transform;
use crate::optim::value::{Data, Entries, Key, Value};

/// Reader of a recipe's plans and groups.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    pub(super) registry: &'a Registry,
    pub(super) texts: Texts<'a>,
    pub(super) rates: Rates<'a>,
}

impl Reader<'_> {
    /// Reads a rate and a chain in the short or the long form. A group, which has the recipe's plan as its
    /// `base`, may give neither form.
    pub(super) fn plan(self, mut table: Table, base: Option<&Plan>) -> Result<Plan, Diagnostic> {
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
        let read: ReadRate<'_> = &|key, value| self.rates.of_setting(key, value);
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
            transforms.extend(shared.read(&key.written, &value, read)?);
        }
        table.also.splice(0..0, keys);
        table.span = kind.span.clone();
        let mut chain = self.placed(kind, rule.transforms(kind, table, read)?);
        let lr = match (lr, kind.as_text()) {
            (Some(lr), _) => lr,
            (None, Some(name)) if rule.lr.is_nan() => {
                let message = format!("missing key `lr`: `{name}` has no default rate");
                return Err(Diagnostic::new(kind.span.clone(), message));
            }
            (None, _) => Rate::from(rule.lr),
        };
        let decays = |transform: &Transform| transform.kind() == WeightDecay::KIND;
        let has_own = |transform: &Transform| {
            !decays(transform) && transform.order().contains(&WeightDecay::KIND)
        };
        if let (Some((span, _)), Some(rule)) = (&decoupled, chain.iter().find(|x| has_own(x))) {
            let kind = rule.kind();
            let message = format!(
                "`{kind}` has a weight decay of its own, which `{DECOUPLED}` does not change"
            );
            return Err(Diagnostic::new(span.clone(), message));
        }
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
        match misplaced(&chain).or_else(|| rows_in_dispute(&chain)) {
            Some(dispute) => Err(Diagnostic::new(kind.span.clone(), dispute)),
            None => Ok(Plan { lr, chain }),
        }
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
        let mut last: Option<Range<usize>> = None;
        for mut table in tables("chain", Some((Key::new("chain", span.clone()), chain)))? {
            let kind = table.take_kind("a rule")?;
            let rule = self.registry.find_rule(&kind)?;
            let found =
                rule.transforms(&kind, table, &|key, value| self.rates.of_setting(key, value))?;
            transforms.extend(self.placed(&kind, found));
            if let Some(dispute) = misplaced(&transforms) {
                return Err(Diagnostic::new(last.unwrap_or(kind.span), dispute));
            }
            last = transforms.last().is_some_and(Transform::ends_chain).then(|| kind.span.clone());
            let solver = transforms.iter().find(|transform| transform.is_solver());
            if let (Some(solver), true) = (solver, transforms.len() > 1) {
                let message = format!(
                    "`{}` calls the loss itself: it stands alone in its chain",
                    solver.kind()
                );
                return Err(Diagnostic::new(kind.span, message));
            }
            if let Some(dispute) = rows_in_dispute(&transforms) {
                return Err(Diagnostic::new(kind.span, dispute));
            }
        }
        if transforms.is_empty() {
            return Err(Diagnostic::new(span, "the chain is empty: expected at least one rule"));
        }
        Ok(Plan { lr, chain: transforms })
    }

    /// Gives transforms the place of the kind that they were made for.
    fn placed(self, kind: &Value, mut transforms: Vec<Transform>) -> Vec<Transform> {
        let source = Arc::new(self.texts.source(kind.span.clone()));
        transforms.iter_mut().for_each(|transform| transform.source = Some(source.clone()));
        transforms
    }

    /// Reads one of `groups`: the table of the recipe, with the keys of the group in place of its own.
    pub(super) fn group(
        self,
        mut table: Table,
        base: &Entries,
        recipe: &Recipe,
    ) -> Result<Group, Diagnostic> {
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

/// Returns the settings of the rule itself, if this is the short form.
pub(super) fn own_keys(registry: &Registry, entries: &Entries) -> &'static [&'static str] {
    let kind = entries.get("kind").and_then(|(_, kind)| registry.find_rule(kind).ok());
    kind.map_or(&[], |kind| kind.fields.names())
}

/// Returns the tables of an array, each with its position.
pub(super) fn tables(key: &str, entry: Option<(Key, Value)>) -> Result<Vec<Table>, Diagnostic> {
    match entry.map(|(_, value)| value) {
        None => Ok(Vec::new()),
        Some(Value { data: Data::Array(tables), .. }) => {
            tables.into_iter().map(|table| Table::of(key, table)).collect()
        }
        Some(value) => Err(value.unlike(key, "an array of tables")),
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
