//! Overrides of settings, such as those of a command line.

use std::ops::Range;

use ::toml::Spanned;
use ::toml::de::DeTable;

use crate::optim::error::{Diagnostic, Source, nearest, shortened};
use crate::optim::value::{Data, Entries, Key, Value};

/// A text and its overrides. Spans count bytes as if they were concatenated.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Texts<'a> {
    text: &'a str,
    overrides: &'a [String],
    /// The table that the names of overrides may begin with, if the overrides are for one table.
    table: Option<&'static str>,
}

/// Key that a value is parsed with.
const KEY: &str = "value=";

impl<'a> Texts<'a> {
    /// Returns a recipe's text and overrides of its settings.
    pub(crate) fn of_recipe(text: &'a str, overrides: &'a [String]) -> Self {
        Texts { text, overrides, table: Some("optimizer") }
    }

    /// Returns a text and overrides whose names begin at its top level.
    pub(crate) fn whole(text: &'a str, overrides: &'a [String]) -> Self {
        Texts { text, overrides, table: None }
    }

    /// Returns the overrides, each with its first byte.
    fn overrides(&self) -> impl Iterator<Item = (usize, &'a str)> {
        // Far enough from the text for the key that a value is parsed with.
        let mut next = self.text.len() + KEY.len();
        self.overrides.iter().map(move |text| {
            let start = next;
            next += text.len() + 1;
            (start, text.as_str())
        })
    }

    /// Returns the position of a span in the text or override that it lies in.
    pub(crate) fn source(&self, span: Range<usize>) -> Source {
        match self.overrides().filter(|(start, _)| span.start >= *start).last() {
            None => Source::new(self.text, span),
            Some((start, text)) => {
                let mut source = Source::new(text, span.start - start..span.end.max(start) - start);
                source.in_file("override".as_ref());
                source
            }
        }
    }

    /// Applies the overrides, in order, to the table that they are for.
    pub(crate) fn apply(&self, entries: &mut Entries) -> Result<(), Diagnostic> {
        for (start, text) in self.overrides() {
            let Some((path, value)) = text.split_once('=') else {
                let span = start..start + text.len();
                return Err(Diagnostic::new(span, "expected an override `key=value`"));
            };
            let value = read(value, start + path.len() + 1)?;
            put(entries, self.table, path, start, value)?;
        }
        Ok(())
    }
}

/// Parses the value `text`, which begins at byte `at`. A word needs no quotes.
fn read(text: &str, at: usize) -> Result<Value, Diagnostic> {
    let span = at..at + text.len();
    let word = text.trim();
    let of_word = |c: char| c.is_ascii_alphanumeric() || "_-*.%".contains(c);
    let line = format!("{KEY}{text}");
    let parsed = DeTable::parse(&line).map(Spanned::into_inner);
    match parsed.ok().filter(|table| table.len() == 1).and_then(|mut t| t.remove("value")) {
        Some(value) => Value::new(value, at - KEY.len()),
        None if !word.is_empty() && word.chars().all(of_word) => {
            Ok(Value { span, data: Data::Text(word.to_owned()) })
        }
        None => {
            let word = shortened(word);
            Err(Diagnostic::new(span, format!("expected a TOML value or a word, found `{word}`")))
        }
    }
}

/// Sets the value at the dotted path, which begins at byte `at` and perhaps with the name of the `table`.
fn put(
    entries: &mut Entries,
    table: Option<&'static str>,
    path: &str,
    at: usize,
    value: Value,
) -> Result<(), Diagnostic> {
    let mut at = at;
    let mut keys: Vec<Key> = path
        .split('.')
        .map(|key| {
            let span = at..at + key.len();
            at += key.len() + 1;
            Key::new(key.trim(), span)
        })
        .collect();
    if keys.len() > 1 && table == Some(&keys[0].name) {
        keys.remove(0);
    }
    let (last, between) = keys.split_last().expect("a split has a part");
    if last.name.is_empty() {
        return Err(Diagnostic::new(last.span.clone(), "expected the name of a setting"));
    }
    let mut holder = Holder::Table(entries);
    for (i, key) in between.iter().enumerate() {
        let name = &key.name;
        let shown = shortened(name);
        let indexed = keys[i + 1].name.parse::<usize>().is_ok();
        if let Holder::Table(entries) = &holder
            && !entries.contains(name)
        {
            if let (0, Some(table)) = (i, table)
                && nearest(name, &[table]).is_some()
            {
                return Err(Diagnostic::unknown(key.span.clone(), "key", name, [table]));
            }
            if indexed {
                let text = if table.is_some() { "recipe" } else { "configuration" };
                let message = format!(
                    "the {text} gives no `{shown}`, of which an element could be replaced: expected \
                     the whole array, `{shown}=[..]`"
                );
                return Err(Diagnostic::new(key.span.clone(), message));
            }
        }
        let found = holder.entry(key.clone())?;
        let type_name = found.type_name();
        holder = match &mut found.data {
            Data::Table(entries) => Holder::Table(entries),
            Data::Array(values) => Holder::Array(values),
            _ => {
                let article = if type_name.starts_with(['a', 'i']) { "an" } else { "a" };
                let message = format!("`{shown}` is {article} {type_name}, and has no settings");
                return Err(Diagnostic::new(key.span.clone(), message));
            }
        };
    }
    *holder.entry(last.clone())? = value;
    Ok(())
}

/// A table or an array: the parent of a setting.
enum Holder<'a> {
    Table(&'a mut Entries),
    Array(&'a mut [Value]),
}

impl<'a> Holder<'a> {
    /// Returns the entry of this key; a table inserts a missing one.
    fn entry(self, key: Key) -> Result<&'a mut Value, Diagnostic> {
        match self {
            Holder::Table(entries) => {
                // The key gets the position of the override, also if the text has it.
                let old = entries.remove(&key.name);
                let empty = Value { span: key.span.clone(), data: Data::Table(Entries::default()) };
                Ok(entries.push(key, old.map_or(empty, |(_, value)| value)))
            }
            Holder::Array(values) => {
                let len = values.len();
                let found = key.name.parse().ok().and_then(|i: usize| values.get_mut(i));
                found.ok_or_else(|| {
                    let name = shortened(&key.name);
                    let message = format!("expected a position below {len}, found `{name}`");
                    Diagnostic::new(key.span, message)
                })
            }
        }
    }
}
