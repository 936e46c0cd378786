//! Prints recipes and rates as TOML.

use std::fmt;

use crate::Pattern;
use crate::optim::recipe::{Choice, Recipe};
use crate::optim::schedule::{Constant, Curve, Rate, Schedule, Warmup};
use crate::optim::transform::Transform;

/// Prints the long form, with every default spelled out; reading it gives an equal recipe.
impl fmt::Display for Recipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "[optimizer]\nlr = {}", self.plan.lr)?;
        writeln!(f, "accumulate = {}", self.policy.accumulate)?;
        writeln!(f, "non_finite = \"{}\"", self.policy.non_finite.word())?;
        writeln!(f, "unused_parameters = \"{}\"", self.policy.unused_parameters.word())?;
        chain(f, "optimizer.chain", &self.plan.chain)?;
        for group in &self.groups {
            let text = |pattern: &Pattern| toml::Value::from(pattern.to_string()).to_string();
            let params = group.params.iter().map(text).collect::<Vec<_>>().join(", ");
            writeln!(f, "\n[[optimizer.groups]]\nparams = [{params}]")?;
            match &group.plan {
                None => writeln!(f, "frozen = true")?,
                Some(plan) => {
                    writeln!(f, "lr = {}", plan.lr)?;
                    chain(f, "optimizer.groups.chain", &plan.chain)?;
                }
            }
        }
        Ok(())
    }
}

fn chain(f: &mut fmt::Formatter<'_>, table: &str, transforms: &[Transform]) -> fmt::Result {
    for transform in transforms {
        writeln!(f, "\n[[{table}]]\nkind = \"{}\"", transform.kind())?;
        transform.setting_lines().into_iter().try_for_each(|line| writeln!(f, "{line}"))?;
    }
    Ok(())
}

impl Transform {
    /// Returns a line for each setting, in order of declaration.
    pub(crate) fn setting_lines(&self) -> Vec<String> {
        let line = |(key, value): (&String, &toml::Value)| {
            let text = match (self.schedule(key, None), value) {
                (Some(rate), _) => rate.to_string(),
                (None, toml::Value::Array(values)) => {
                    list(values.iter().enumerate().map(|(i, value)| {
                        let rate = self.schedule(key, Some(i));
                        rate.map_or_else(|| written(value), Rate::to_string)
                    }))
                }
                (None, value) => written(value),
            };
            format!("{} = {text}", quoted(key))
        };
        ordered(self.settings(), self.order()).map(line).collect()
    }
}

/// Prints a number, or a table on one line with every default spelled out.
impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut entries = Vec::new();
        match &self.curve {
            Curve::One(any) => {
                let settings = any.settings.as_ref().map_err(|_| fmt::Error)?;
                for (key, value) in ordered(settings, any.order) {
                    entries.push((quoted(key), written(value)));
                }
            }
            Curve::Joined { milestones, pieces } => {
                entries.push(("milestones".into(), list(milestones.iter().map(u64::to_string))));
                entries.push(("pieces".into(), list(pieces.iter().map(Rate::to_string))));
            }
        }
        match self.warmup {
            None if self.kind() == Constant::KIND => return f.write_str(&entries[0].1),
            None => {}
            Some(Warmup { steps, start_factor }) => {
                entries.push(("warmup_steps".into(), steps.to_string()));
                entries.push(("warmup_start_factor".into(), format!("{start_factor:?}")));
            }
        }
        write!(f, "{{ kind = \"{}\"", self.kind())?;
        entries.iter().try_for_each(|(key, value)| write!(f, ", {key} = {value}"))?;
        f.write_str(" }")
    }
}

/// Returns the entries of a table in order of declaration; unknown keys follow by name.
fn ordered<'a>(
    settings: &'a toml::Table,
    order: &'static [&'static str],
) -> impl Iterator<Item = (&'a String, &'a toml::Value)> {
    let mut entries: Vec<_> = settings.iter().collect();
    entries.sort_by_key(|(key, _)| order.iter().position(|name| name == key).unwrap_or(usize::MAX));
    entries.into_iter()
}

/// Returns a value on one line, with numbers as Rust prints them: `1e-8`, where the toml crate prints
/// all zeros.
fn written(value: &toml::Value) -> String {
    match value {
        toml::Value::Float(x) if x.is_finite() => format!("{x:?}"),
        toml::Value::Array(values) => list(values.iter().map(written)),
        toml::Value::Table(table) => {
            let entry =
                |(key, value): (&String, _)| format!("{} = {}", quoted(key), written(value));
            format!("{{ {} }}", table.iter().map(entry).collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}

fn list(values: impl Iterator<Item = String>) -> String {
    format!("[{}]", values.collect::<Vec<_>>().join(", "))
}

/// Returns a key bare where TOML allows it, in quotes otherwise.
fn quoted(key: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !key.is_empty() && key.chars().all(bare) {
        key.to_owned()
    } else {
        toml::Value::from(key).to_string()
    }
}
