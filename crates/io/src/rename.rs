//! Renaming the tensors of a file.

use std::collections::BTreeMap;

use crate::FileError;
use crate::text::Names;

/// A pattern for names in a file, and the model's name for what matches. Each `*` matches any characters,
/// which replace the `*` at the same place in the model's name.
#[derive(Clone, Debug)]
pub(crate) struct Rename {
    from: String,
    to: String,
}

impl Rename {
    #[track_caller]
    pub(crate) fn new(from: &str, to: &str) -> Self {
        let [from, to] = [from, to].map(|pattern| pattern.replace("**", "*"));
        let [stars, others] = [&from, &to].map(|pattern| pattern.matches('*').count());
        assert!(
            stars == others,
            "rename: `{from}` has {stars} stars, `{to}` has {others}; both need the same number"
        );
        Self { from, to }
    }

    /// Returns the new name if the old one matches.
    fn apply(&self, name: &str) -> Option<String> {
        let mut pieces = self.from.split('*');
        let mut rest = name.strip_prefix(pieces.next()?)?;
        let mut starred = Vec::new();
        let last = pieces.next_back();
        // Each piece is taken where it occurs first, as in the patterns of an optimizer's groups.
        for piece in pieces {
            let (before, after) = rest.split_once(piece)?;
            starred.push(before);
            rest = after;
        }
        match last {
            Some(last) => starred.push(rest.strip_suffix(last)?),
            None if !rest.is_empty() => return None,
            None => {}
        }
        let mut pieces = self.to.split('*');
        let mut renamed = pieces.next()?.to_owned();
        for (matched, piece) in starred.iter().zip(pieces) {
            renamed.push_str(matched);
            renamed.push_str(piece);
        }
        Some(renamed)
    }
}

/// Renames entries: the first rename that matches a name gives the new one.
pub(crate) fn rename<T>(
    entries: BTreeMap<String, T>,
    renames: &[Rename],
) -> Result<BTreeMap<String, T>, FileError> {
    let matches = |rename: &Rename| entries.keys().any(|name| rename.apply(name).is_some());
    if let Some(unused) = renames.iter().find(|rename| !matches(rename)) {
        let expected = format!("a tensor to rename from `{}`", unused.from);
        let names = Names(entries.keys().map(String::as_str)).to_string();
        return Err(FileError::content(expected, format!("only {names}")));
    }
    let mut renamed = BTreeMap::new();
    for (name, entry) in entries {
        let new = renames.iter().find_map(|rename| rename.apply(&name));
        let new = new.unwrap_or_else(|| name.clone());
        if renamed.insert(new.clone(), entry).is_some() {
            let found = format!("two tensors that would be called `{new}`");
            return Err(FileError::content("distinct names", found).in_tensor(&name));
        }
    }
    Ok(renamed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_star_keeps_what_it_matched() {
        let apply = |from, to, name| Rename::new(from, to).apply(name);
        assert_eq!(apply("encoder.*", "a.encoder.*", "encoder.0.b").unwrap(), "a.encoder.0.b");
        assert_eq!(apply("module.*", "*", "module.x").unwrap(), "x");
        assert_eq!(apply("a.*.b.*", "*/*", "a.1.2.b.c.b.d").unwrap(), "1.2/c.b.d");
        assert_eq!(apply("fc.weight", "out.weight", "fc.weight").unwrap(), "out.weight");
        for (from, to) in [("a", "b"), ("a.*", "*"), ("*.c", "*"), ("ab*ba", "*")] {
            assert_eq!(apply(from, to, "aba"), None);
        }
        assert_eq!(apply("**.bias", "*.b", "x.y.bias").unwrap(), "x.y.b");
    }
}
