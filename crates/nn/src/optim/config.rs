//! From TOML text to a [`Recipe`].
//!
//! No `tag`, `untagged` or `flatten` of serde: each loses the position of a mistake. The text is
//! parsed into a table that knows where everything stands; `kind` and the shared keys are taken
//! out; the rest goes into the struct that the [`Registry`] has under that name.

use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use serde::Deserialize;

use super::error::{ConfigError, Diagnostic, nearest};
use super::overrides::Texts;
use super::recipe::{Choice, Group, Plan, Recipe, StepPolicy};
use super::registry::{Registry, RuleKind};
use super::rule::Rule;
use super::rules::ClipNorm;
use super::rules::{ClipTensorNorm, ClipValue, Ema, Maximize};
use super::schedule::Rate;
use super::schedule::read::rate;
use super::table::{Settings, refuse_others, shared_link, weight_decay, wrong_type};
use super::transform::Transform;
use crate::Pattern;

/// The keys that every plan in the short form has, besides those of its rule.
pub(super) const SHARED: [&str; 8] = [
    "lr",
    "clip_value",
    "clip_tensor_norm",
    "clip_norm",
    "maximize",
    "weight_decay",
    "decoupled_weight_decay",
    "average",
];
/// Those that a group keeps although it has a rule of its own.
const KEPT: [&str; 5] = ["clip_value", "clip_tensor_norm", "clip_norm", "maximize", "average"];
/// The keys of a recipe as a whole.
pub(super) const RECIPE: [&str; 4] = ["accumulate", "non_finite", "unused_parameters", "groups"];

/// The recipe that `text` holds, with these settings put in place of its own.
pub(crate) fn read(
    registry: &Registry,
    text: &str,
    overrides: &[&str],
) -> Result<Recipe, ConfigError> {
    let texts = Texts::new(text, overrides);
    parse(registry, text, &texts).map_err(|diagnostic| texts.locate(diagnostic))
}

fn parse(registry: &Registry, text: &str, texts: &Texts<'_>) -> Result<Recipe, Diagnostic> {
    let document = DeTable::parse(text).map_err(|error| {
        let end = text.trim_end().len();
        Diagnostic::new(error.span().unwrap_or(end..end), error.message())
    })?;
    let mut table = document.into_inner();
    let mut settings = match table.remove("optimizer") {
        Some(value) => {
            refuse_strays(&table)?;
            Settings::of("optimizer", value)?
        }
        None => Settings::new(table, 0..0),
    };
    texts.apply(&mut settings.table)?;
    let own = own_keys(registry, &settings.table);
    let accumulate_span = settings.table.get("accumulate").map_or(0..0, Spanned::span);
    let mut take = |key| (!own.contains(&key)).then(|| settings.table.remove(key)).flatten();
    let policy = StepPolicy {
        accumulate: accumulate(take("accumulate"))?,
        non_finite: choice("non_finite", take("non_finite"))?,
        unused_parameters: choice("unused_parameters", take("unused_parameters"))?,
    };
    let groups = take("groups");
    settings.also.extend(RECIPE);
    let base = settings.table.clone();
    let plan = plan(registry, settings, None)?;
    let solver = plan.chain[0].is_solver().then(|| plan.chain[0].kind());
    if let (Some(solver), true) = (solver, policy.accumulate > 1) {
        let message = format!("`{solver}` calls the loss itself, and accumulates no gradients");
        return Err(Diagnostic::new(accumulate_span, message));
    }
    let mut recipe = Recipe { plan, groups: Vec::new(), policy };
    for table in tables("groups", groups)? {
        let group = group(registry, table, &base, &recipe.plan, texts)?;
        recipe.groups.push(group);
    }
    Ok(recipe)
}

/// Refuses keys of a recipe beside its table `[optimizer]`, where nobody would read them.
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

/// The settings of the rule itself, if this is the short form.
fn own_keys(registry: &Registry, table: &DeTable<'_>) -> &'static [&'static str] {
    let kind = table.get("kind").and_then(|kind| registry.find_rule(kind).ok());
    kind.map_or(&[], |kind| kind.fields.names())
}

/// The tables of an array, each with its place.
fn tables<'t>(
    key: &str,
    value: Option<Spanned<DeValue<'t>>>,
) -> Result<Vec<Settings<'t>>, Diagnostic> {
    let Some(value) = value else { return Ok(Vec::new()) };
    if !value.get_ref().is_array() {
        return Err(wrong_type(key, &value, "an array of tables"));
    }
    match value.into_inner() {
        DeValue::Array(tables) => {
            tables.into_iter().map(|table| Settings::of(key, table)).collect()
        }
        _ => unreachable!("looked at above"),
    }
}

/// A rate and its transforms, in the short form or in the long one; or, for a group, those of `base`.
fn plan(
    registry: &Registry,
    mut settings: Settings<'_>,
    base: Option<&Plan>,
) -> Result<Plan, Diagnostic> {
    match (settings.table.remove("kind"), settings.table.remove_entry("chain"), base) {
        (Some(kind), None, _) => short(registry, &kind, settings),
        (None, Some((_, chain)), _) => long(registry, chain, settings, base),
        (Some(_), Some((key, _)), _) => Err(Diagnostic::new(
            key.span(),
            "both `kind` and `chain`: expected `kind` with its settings (the short form), or a \
             `chain` of rules (the long form)",
        )),
        (None, None, Some(base)) => {
            let lr = settings.table.remove("lr");
            let right = || ["params", "lr", "frozen", "kind", "chain"].into_iter();
            refuse_others(&settings.table, |_| false, right)?;
            let lr = lr.map(|value| rate(registry, "lr", value)).transpose()?;
            Ok(Plan { lr: lr.unwrap_or_else(|| base.lr.clone()), chain: base.chain.clone() })
        }
        (None, None, None) => Err(neither(&settings)),
    }
}

/// Neither `kind` nor `chain`: blame a slip of the pen if there is one.
fn neither(settings: &Settings<'_>) -> Diagnostic {
    let slip = settings
        .table
        .keys()
        .filter(|key| !SHARED.contains(&key.get_ref().as_ref()))
        .filter(|key| nearest(key.get_ref(), &["optimizer", "kind", "chain"]).is_some())
        .min_by_key(|key| key.span().start);
    match slip {
        Some(key) => {
            Diagnostic::unknown(key.span(), "key", key.get_ref(), ["optimizer", "kind", "chain"])
        }
        None => Diagnostic::new(
            settings.span.clone(),
            "no optimizer: expected `kind = ..` (the short form) or `[[chain]]` (the long form), \
             at top level or in a table `[optimizer]`",
        ),
    }
}

/// `kind = ..`, its settings, and the shared keys.
fn short(
    registry: &Registry,
    kind: &Spanned<DeValue<'_>>,
    mut settings: Settings<'_>,
) -> Result<Plan, Diagnostic> {
    let rule = registry.find_rule(kind)?;
    // A shared key that the rule has as a setting of its own is the rule's; a solver has but a rate.
    let shared = if rule.solver { &SHARED[..1] } else { &SHARED[..] };
    let shared: Vec<&str> =
        shared.iter().copied().filter(|key| !rule.fields.names().contains(key)).collect();
    let mut take = |key| shared.contains(&key).then(|| settings.table.remove(key)).flatten();
    let lr = match take("lr") {
        Some(value) => rate(registry, "lr", value)?,
        None => Rate::from(rule.lr),
    };
    let (mut before, mut after) = (Vec::new(), Vec::new());
    before.extend(shared_link::<ClipValue>("clip_value", "clip_value", take("clip_value"))?);
    let tensor_norm = take("clip_tensor_norm");
    before.extend(shared_link::<ClipTensorNorm>("clip_tensor_norm", "max_norm", tensor_norm)?);
    before.extend(shared_link::<ClipNorm>("clip_norm", "max_norm", take("clip_norm"))?);
    if flag("maximize", take("maximize"))?.unwrap_or(false) {
        before.push(Transform::new(Maximize {}));
    }
    let decoupled = flag("decoupled_weight_decay", take("decoupled_weight_decay"))?;
    let decoupled = decoupled.unwrap_or(rule.decoupled.is_some());
    let decay = match (take("weight_decay"), rule.decoupled) {
        (None, Some(default)) => RuleKind::decay(default),
        (None, None) => None,
        (Some(value), _) => weight_decay(value)?,
    };
    if decoupled {
        after.extend(decay)
    } else {
        before.extend(decay)
    }
    after.extend(shared_link::<Ema>("average", "decay", take("average"))?);
    settings.also.splice(0..0, shared);
    settings.span = kind.span();
    let chain = before.into_iter().chain(rule.rule(settings)?).chain(after).collect();
    Ok(Plan { lr, chain })
}

/// `lr = ..` and the transforms one by one.
fn long(
    registry: &Registry,
    chain: Spanned<DeValue<'_>>,
    mut settings: Settings<'_>,
    base: Option<&Plan>,
) -> Result<Plan, Diagnostic> {
    let transform = SHARED[1..].iter().find_map(|key| settings.table.get_key_value(*key));
    if let Some((key, _)) = transform {
        let name = key.get_ref();
        return Err(Diagnostic::new(
            key.span(),
            format!("unknown key `{name}`: in the long form it is a rule of the chain"),
        ));
    }
    let lr = settings.table.remove("lr");
    let also = settings.also.clone();
    refuse_others(&settings.table, |_| false, || ["chain", "lr"].into_iter().chain(also.clone()))?;
    let lr = match (lr, base) {
        (Some(value), _) => rate(registry, "lr", value)?,
        (None, Some(base)) => base.lr.clone(),
        (None, None) => {
            return Err(Diagnostic::new(settings.span, "missing key `lr`: the long form needs it"));
        }
    };
    let span = chain.span();
    let mut transforms: Vec<Transform> = Vec::new();
    let mut average: Option<std::ops::Range<usize>> = None;
    for mut settings in tables("chain", Some(chain))? {
        let kind = take_kind(&mut settings, "a rule")?;
        if let Some(span) = average {
            let message = "`average` stands last in its chain, where it sees the whole update";
            return Err(Diagnostic::new(span, message));
        }
        average = (kind.get_ref().as_str() == Some(Ema::KIND)).then(|| kind.span());
        transforms.extend(registry.find_rule(&kind)?.transforms(settings)?);
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

/// One of `groups`: the recipe's own table, with the keys replaced that the group gives.
fn group<'t>(
    registry: &Registry,
    mut settings: Settings<'t>,
    base: &DeTable<'t>,
    plan_of_base: &Plan,
    texts: &Texts<'_>,
) -> Result<Group, Diagnostic> {
    let (params, sources) = patterns(&mut settings, texts)?;
    settings.also.extend(["params", "frozen"]);
    if flag("frozen", settings.table.remove("frozen"))?.unwrap_or(false) {
        refuse_others(&settings.table, |_| false, || ["params", "frozen"].into_iter())?;
        return Ok(Group { params, sources, plan: None });
    }
    let span = settings.span.clone();
    if plan_of_base.chain[0].is_solver() {
        let kind = plan_of_base.chain[0].kind();
        let message =
            format!("`{kind}` works on all parameters at once: a group may but be `frozen`");
        return Err(Diagnostic::new(span, message));
    }
    let kind = |table: &DeTable<'_>| {
        table.get("kind").and_then(|kind| kind.get_ref().as_str().map(str::to_owned))
    };
    let (own, of_base) = (kind(&settings.table), kind(base));
    let chain = settings.table.contains_key("chain");
    let kept = |key: &str| match (&own, &of_base) {
        _ if chain => false,
        (Some(own), Some(of_base)) if own != of_base => KEPT.contains(&key),
        (_, Some(_)) => true,
        (_, None) => false,
    };
    for (key, value) in base.iter().filter(|(key, _)| kept(key.get_ref())) {
        settings.table.entry(key.clone()).or_insert(value.clone());
    }
    let plan = plan(registry, settings, Some(plan_of_base))?;
    if plan.chain[0].is_solver() {
        let message = format!(
            "`{}` works on all parameters at once: it is no rule for a group",
            plan.chain[0].kind()
        );
        return Err(Diagnostic::new(span, message));
    }
    Ok(Group { params, sources, plan: Some(plan) })
}

/// `params`: a pattern, or a list of them.
fn patterns(
    settings: &mut Settings<'_>,
    texts: &Texts<'_>,
) -> Result<(Vec<Pattern>, Vec<super::error::Source>), Diagnostic> {
    let expected = "a pattern such as \"*.bias\", or a list of them";
    let Some(value) = settings.table.remove("params") else {
        let slip = settings.table.keys().find(|key| nearest(key.get_ref(), &["params"]).is_some());
        if let Some(key) = slip {
            return Err(Diagnostic::unknown(key.span(), "key", key.get_ref(), ["params"]));
        }
        let message = format!("missing key `params`: {expected}");
        return Err(Diagnostic::new(settings.span.clone(), message));
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

pub(crate) fn take_kind<'t>(
    settings: &mut Settings<'t>,
    what: &str,
) -> Result<Spanned<DeValue<'t>>, Diagnostic> {
    settings.also.push("kind");
    if let Some(kind) = settings.table.remove("kind") {
        settings.span = kind.span();
        return Ok(kind);
    }
    let slip = settings.table.keys().find(|key| nearest(key.get_ref(), &["kind"]).is_some());
    Err(match slip {
        Some(key) => Diagnostic::unknown(key.span(), "key", key.get_ref(), ["kind"]),
        None => Diagnostic::new(
            settings.span.clone(),
            format!("missing key `kind`: the name of {what}"),
        ),
    })
}

/// A setting that is on or off.
fn flag(key: &str, value: Option<Spanned<DeValue<'_>>>) -> Result<Option<bool>, Diagnostic> {
    let read = |value: Spanned<DeValue<'_>>| {
        value.get_ref().as_bool().ok_or_else(|| wrong_type(key, &value, "`true` or `false`"))
    };
    value.map(read).transpose()
}

fn accumulate(value: Option<Spanned<DeValue<'_>>>) -> Result<u64, Diagnostic> {
    let Some(value) = value else { return Ok(1) };
    let expected = "a whole number of at least 1";
    if !value.get_ref().is_integer() {
        return Err(wrong_type("accumulate", &value, expected));
    }
    let span = value.span();
    match u64::deserialize(ValueDeserializer::from(value)) {
        Ok(number) if number > 0 => Ok(number),
        _ => Err(Diagnostic::new(span, format!("`accumulate`: expected {expected}"))),
    }
}

/// A setting that is one of a few words.
fn choice<C: Choice>(key: &str, value: Option<Spanned<DeValue<'_>>>) -> Result<C, Diagnostic> {
    let Some(value) = value else { return Ok(C::default()) };
    let words: Vec<&str> = C::ALL.iter().map(|(word, _)| *word).collect();
    let Some(given) = value.get_ref().as_str() else {
        return Err(wrong_type(key, &value, &format!("one of \"{}\"", words.join("\", \""))));
    };
    let found = C::ALL.iter().find_map(|(word, choice)| (*word == given).then_some(*choice));
    found.ok_or_else(|| Diagnostic::unknown(value.span(), "value", given, words))
}
