//! Recipes as TOML.

use std::fmt;

use super::recipe::{Choice, Recipe};
use super::transform::Transform;
use crate::Pattern;

/// TOML in the long form, every default spelled out; reading it gives the same recipe.
impl fmt::Display for Recipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "[optimizer]\nlr = {}", self.plan.lr)?;
        writeln!(f, "accumulate = {}", self.policy.accumulate)?;
        writeln!(f, "non_finite = \"{}\"", self.policy.non_finite.word())?;
        writeln!(f, "unused_parameters = \"{}\"", self.policy.unused_parameters.word())?;
        transforms(f, "optimizer.chain", &self.plan.chain)?;
        for group in &self.groups {
            let text = |pattern: &Pattern| toml::Value::from(pattern.to_string()).to_string();
            let params = group.params.iter().map(text).collect::<Vec<_>>().join(", ");
            writeln!(f, "\n[[optimizer.groups]]\nparams = [{params}]")?;
            match &group.plan {
                None => writeln!(f, "frozen = true")?,
                Some(plan) => {
                    writeln!(f, "lr = {}", plan.lr)?;
                    transforms(f, "optimizer.groups.chain", &plan.chain)?;
                }
            }
        }
        Ok(())
    }
}

fn transforms(f: &mut fmt::Formatter<'_>, table: &str, transforms: &[Transform]) -> fmt::Result {
    for transform in transforms {
        writeln!(f, "\n[[{table}]]\nkind = \"{}\"", transform.kind())?;
        for (key, value) in ordered(transform.settings(), transform.order()) {
            writeln!(f, "{} = {}", quoted(key), written(value))?;
        }
    }
    Ok(())
}

/// The entries of a table in the order of the struct's fields; others follow, by name.
pub(crate) fn ordered<'a>(
    settings: &'a toml::Table,
    order: &'static [&'static str],
) -> impl Iterator<Item = (&'a String, &'a toml::Value)> {
    let mut entries: Vec<_> = settings.iter().collect();
    entries.sort_by_key(|(key, _)| order.iter().position(|name| name == key).unwrap_or(usize::MAX));
    entries.into_iter()
}

/// A value on one line, numbers as Rust writes them: `1e-8`, where the toml crate has all the zeros.
pub(crate) fn written(value: &toml::Value) -> String {
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
pub(crate) fn quoted(key: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !key.is_empty() && key.chars().all(bare) {
        key.to_owned()
    } else {
        toml::Value::from(key).to_string()
    }
}
