//! From TOML text to a [`Recipe`].
//!
//! No `tag`, `untagged` or `flatten` of serde: each loses the position of a mistake. The text is
//! parsed into a table that knows where everything stands; `kind` and the shared keys are taken
//! out; the rest goes into the struct that the [`Registry`] has under that name.

use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use serde::Deserialize;

use super::error::{ConfigError, Fault, nearest};
use super::recipe::{Recipe, UnusedParameters};
use super::registry::Registry;
use super::rule::Link;
use super::schedule::{Constant, Rate, Schedule};
use super::setting::BadSetting;
use super::settings::{Settings, clip_norm, refuse_others, weight_decay, wrong_type};

/// The keys of the short form that belong to no rule.
const SHARED: [&str; 4] = ["lr", "weight_decay", "clip_norm", "unused_parameters"];
/// The keys of the long form.
const LONG: [&str; 3] = ["chain", "lr", "unused_parameters"];

/// The recipe that `text` holds.
pub(crate) fn read(registry: &Registry, text: &str) -> Result<Recipe, ConfigError> {
    parse(registry, text).map_err(|fault| ConfigError::locate(text, fault))
}

fn parse(registry: &Registry, text: &str) -> Result<Recipe, Fault> {
    let document = DeTable::parse(text).map_err(|error| {
        let end = text.trim_end().len();
        Fault::new(error.span().unwrap_or(end..end), error.message())
    })?;
    let mut table = document.into_inner();
    let mut settings = match table.remove("optimizer") {
        Some(value) => Settings::of("optimizer", value)?,
        None => Settings::new(table, 0..0),
    };
    match (settings.table.remove("kind"), settings.table.remove_entry("chain")) {
        (Some(kind), None) => short(registry, &kind, settings),
        (None, Some((_, chain))) => long(registry, chain, settings),
        (Some(_), Some((key, _))) => Err(Fault::new(
            key.span(),
            "both `kind` and `chain`: expected `kind` with its settings (the short form), or a \
             `chain` of rules (the long form)",
        )),
        (None, None) => Err(neither(&settings)),
    }
}

/// Neither `kind` nor `chain`: blame a slip of the pen if there is one.
fn neither(settings: &Settings<'_>) -> Fault {
    let slip = settings
        .table
        .keys()
        .filter(|key| !SHARED.contains(&key.get_ref().as_ref()))
        .filter(|key| nearest(key.get_ref(), &["optimizer", "kind", "chain"]).is_some())
        .min_by_key(|key| key.span().start);
    match slip {
        Some(key) => {
            Fault::unknown(key.span(), "key", key.get_ref(), ["optimizer", "kind", "chain"])
        }
        None => Fault::new(
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
) -> Result<Recipe, Fault> {
    let rule = registry.find_rule(kind)?;
    // A shared key that the rule has as a setting of its own is the rule's.
    let shared: Vec<&str> =
        SHARED.into_iter().filter(|key| !rule.fields.names().contains(key)).collect();
    let lr = match settings.table.remove("lr") {
        Some(value) => rate(registry, value)?,
        None => Rate::from(rule.lr),
    };
    let unused = unused_parameters(settings.table.remove("unused_parameters"))?;
    let mut chain = Vec::new();
    if shared.contains(&"clip_norm")
        && let Some(value) = settings.table.remove("clip_norm")
    {
        chain.push(clip_norm(value)?);
    }
    if shared.contains(&"weight_decay")
        && rule.decoupled.is_none()
        && let Some(value) = settings.table.remove("weight_decay")
    {
        chain.extend(weight_decay(value)?);
    }
    settings.also = shared;
    settings.span = kind.span();
    chain.extend(rule.links(settings)?);
    Ok(Recipe::from_parts(lr, chain, unused))
}

/// `lr = ..` and the links one by one.
fn long(
    registry: &Registry,
    chain: Spanned<DeValue<'_>>,
    mut settings: Settings<'_>,
) -> Result<Recipe, Fault> {
    if let Some((key, _)) =
        ["weight_decay", "clip_norm"].iter().find_map(|key| settings.table.get_key_value(*key))
    {
        let name = key.get_ref();
        return Err(Fault::new(
            key.span(),
            format!("unknown key `{name}`: in the long form it is a rule of the chain"),
        ));
    }
    refuse_others(&settings.table, |key| LONG.contains(&key), || LONG.into_iter())?;
    let lr = match settings.table.remove("lr") {
        Some(value) => rate(registry, value)?,
        None => return Err(Fault::new(settings.span, "missing key `lr`: the long form needs it")),
    };
    let unused = unused_parameters(settings.table.remove("unused_parameters"))?;
    let span = chain.span();
    if !matches!(chain.get_ref(), DeValue::Array(_)) {
        return Err(wrong_type("chain", &chain, "an array of tables"));
    }
    let mut links: Vec<Link> = Vec::new();
    if let DeValue::Array(chain) = chain.into_inner() {
        for link in chain {
            let mut settings = Settings::of("chain", link)?;
            let kind = take_kind(&mut settings, "a rule")?;
            links.extend(registry.find_rule(&kind)?.links(settings)?);
        }
    }
    if links.is_empty() {
        return Err(Fault::new(span, "the chain is empty: expected at least one rule"));
    }
    Ok(Recipe::from_parts(lr, links, unused))
}

/// `lr`: a number, or a table that describes a schedule.
fn rate(registry: &Registry, value: Spanned<DeValue<'_>>) -> Result<Rate, Fault> {
    let span = value.span();
    match value.get_ref() {
        DeValue::Integer(_) | DeValue::Float(_) => {
            let located = |message: &str| Fault::new(span.clone(), format!("`lr`: {message}"));
            let lr = f64::deserialize(ValueDeserializer::from(value))
                .map_err(|error| located(error.message()))?;
            let constant = Constant { lr };
            constant.check().map_err(|bad: BadSetting| located(bad.message()))?;
            Ok(constant.into())
        }
        DeValue::Table(_) => {
            let mut settings = Settings::of("lr", value)?;
            let kind = take_kind(&mut settings, "a schedule")?;
            (registry.find_schedule(&kind)?.make)(settings)
        }
        _ => Err(wrong_type("lr", &value, "a number, or a table with the `kind` of a schedule")),
    }
}

fn take_kind<'t>(settings: &mut Settings<'t>, what: &str) -> Result<Spanned<DeValue<'t>>, Fault> {
    settings.also.push("kind");
    if let Some(kind) = settings.table.remove("kind") {
        settings.span = kind.span();
        return Ok(kind);
    }
    let slip = settings.table.keys().find(|key| nearest(key.get_ref(), &["kind"]).is_some());
    Err(match slip {
        Some(key) => Fault::unknown(key.span(), "key", key.get_ref(), ["kind"]),
        None => {
            Fault::new(settings.span.clone(), format!("missing key `kind`: the name of {what}"))
        }
    })
}

fn unused_parameters(value: Option<Spanned<DeValue<'_>>>) -> Result<UnusedParameters, Fault> {
    let Some(value) = value else {
        return Ok(UnusedParameters::default());
    };
    let Some(word) = value.get_ref().as_str() else {
        return Err(wrong_type("unused_parameters", &value, "`\"error\"` or `\"skip\"`"));
    };
    let words = UnusedParameters::ALL.map(UnusedParameters::as_str);
    UnusedParameters::ALL
        .into_iter()
        .find(|choice| choice.as_str() == word)
        .ok_or_else(|| Fault::unknown(value.span(), "value", word, words))
}
