//! Overrides of settings, such as those of a command line.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use crate::optim::error::{ConfigError, Diagnostic, Source};

/// A recipe's text and its overrides. Spans count bytes as if they were concatenated.
#[derive(Debug)]
pub(crate) struct Texts<'a> {
    text: &'a str,
    overrides: Vec<Override<'a>>,
}

#[derive(Debug)]
struct Override<'a> {
    text: &'a str,
    /// First byte, counted over the concatenation.
    start: usize,
    /// The value with a key for the parser, padded so that the parser counts bytes in the same way.
    padded: String,
}

/// Key that a value is parsed with.
const KEY: &str = "value=";

impl<'a> Texts<'a> {
    pub(crate) fn new(text: &'a str, overrides: &'a [String]) -> Self {
        let mut start = text.len();
        let place = |text: &'a String| {
            start += KEY.len() + 1;
            let at = start + text.find('=').map_or(0, |equals| equals + 1);
            let padded = format!("{}{KEY}{}", " ".repeat(at - KEY.len()), &text[at - start..]);
            let placed = Override { text, start, padded };
            start += text.len();
            placed
        };
        Texts { text, overrides: overrides.iter().map(place).collect() }
    }

    /// Returns the position of a span in the text or override that it lies in.
    pub(crate) fn source(&self, span: Range<usize>) -> Source {
        match self.overrides.iter().rfind(|text| span.start >= text.start) {
            None => Source::new(self.text, span),
            Some(Override { text, start, .. }) => {
                let mut source =
                    Source::new(text, span.start - start..span.end.max(*start) - start);
                source.in_file("override".as_ref());
                source
            }
        }
    }

    pub(crate) fn locate(&self, diagnostic: Diagnostic) -> ConfigError {
        self.source(diagnostic.span).error(diagnostic.message)
    }

    /// Applies the overrides, in order, to the table of the recipe.
    pub(crate) fn apply<'t>(&'t self, recipe: &mut DeTable<'t>) -> Result<(), Diagnostic> {
        for Override { text, start, padded } in &self.overrides {
            let Some((path, value)) = text.split_once('=') else {
                return Err(Diagnostic::new(
                    *start..start + text.len(),
                    "expected an override `key=value`",
                ));
            };
            let at = start + path.len() + 1;
            put(recipe, path, *start, read(value, padded, at)?)?;
        }
        Ok(())
    }
}

/// Parses the value `text`, which begins at byte `at`. A word needs no quotes.
fn read<'t>(text: &'t str, padded: &'t str, at: usize) -> Result<Spanned<DeValue<'t>>, Diagnostic> {
    let span = at..at + text.len();
    let word = text.trim();
    let of_word = |c: char| c.is_ascii_alphanumeric() || "_-*.".contains(c);
    let parsed = DeTable::parse(padded).map(Spanned::into_inner);
    match parsed.ok().filter(|table| table.len() == 1).and_then(|mut t| t.remove("value")) {
        Some(value) => Ok(value),
        None if !word.is_empty() && word.chars().all(of_word) => {
            Ok(Spanned::new(span, DeValue::String(DeString::Borrowed(word))))
        }
        None => {
            Err(Diagnostic::new(span, format!("expected a TOML value or a word, found `{word}`")))
        }
    }
}

/// Sets the value at the dotted path, which begins at byte `at`.
fn put<'t>(
    table: &mut DeTable<'t>,
    path: &'t str,
    at: usize,
    value: Spanned<DeValue<'t>>,
) -> Result<(), Diagnostic> {
    let mut at = at;
    let mut keys = path.split('.').map(|key| {
        let span = at..at + key.len();
        at += key.len() + 1;
        (key.trim(), span)
    });
    let mut keys: Vec<_> = keys.by_ref().collect();
    if keys.len() > 1 && keys[0].0 == "optimizer" {
        keys.remove(0);
    }
    let (last, between) = keys.split_last().expect("a split has a part");
    let mut holder = Holder::Table(table);
    for (key, span) in between {
        holder = match holder.entry(key, span.clone())?.get_mut() {
            DeValue::Table(table) => Holder::Table(table),
            DeValue::Array(array) => Holder::Array(array),
            other => {
                let message = format!("`{key}` is {}, and has no settings", article(other));
                return Err(Diagnostic::new(span.clone(), message));
            }
        };
    }
    let (key, span) = last;
    if key.is_empty() {
        return Err(Diagnostic::new(span.clone(), "expected the name of a setting"));
    }
    *holder.entry(key, span.clone())? = value;
    Ok(())
}

fn article(value: &DeValue<'_>) -> String {
    let name = value.type_str();
    format!("{} {name}", if name.starts_with(['a', 'i']) { "an" } else { "a" })
}

/// A table or an array: the parent of a setting.
enum Holder<'a, 't> {
    Table(&'a mut DeTable<'t>),
    Array(&'a mut [Spanned<DeValue<'t>>]),
}

impl<'a, 't> Holder<'a, 't> {
    /// Returns the entry of this key; a table inserts a missing one.
    fn entry(
        self,
        key: &'t str,
        span: Range<usize>,
    ) -> Result<&'a mut Spanned<DeValue<'t>>, Diagnostic> {
        match self {
            Holder::Table(table) => {
                // The key gets the position of the override, also if the text has it.
                let old = table.remove(key);
                let new = old.unwrap_or(Spanned::new(span.clone(), DeValue::Table(DeTable::new())));
                let key = Spanned::new(span, DeString::Borrowed(key));
                Ok(table.entry(key).or_insert(new))
            }
            Holder::Array(array) => {
                let len = array.len();
                let found = key.parse().ok().and_then(|i: usize| array.get_mut(i));
                found.ok_or_else(|| {
                    Diagnostic::new(span, format!("expected a position below {len}, found `{key}`"))
                })
            }
        }
    }
}
