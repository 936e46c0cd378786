//! Other names for the tensors of a file.

use std::collections::BTreeMap;

use crate::FileError;

/// What a file calls so the model calls otherwise. A `*` stands for any characters, and the same ones
/// stand where the other name has its `*`.
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
            "rename: `{from}` has {stars} stars, `{to}` has {others}; each must stand for another"
        );
        Self { from, to }
    }

    /// The new name, if the old one fits.
    fn apply(&self, name: &str) -> Option<String> {
        let mut pieces = self.from.split('*');
        let mut rest = name.strip_prefix(pieces.next()?)?;
        let mut starred = Vec::new();
        let last = pieces.next_back();
        // As a `Pattern` matches: each piece is found as early as it can be.
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
        let mut own = self.to.split('*');
        let mut renamed = own.next()?.to_owned();
        for (stars, piece) in starred.iter().zip(own) {
            renamed.push_str(stars);
            renamed.push_str(piece);
        }
        Some(renamed)
    }
}

/// The same entries under the names that the first fitting rename gives them.
pub(crate) fn rename<T>(
    entries: BTreeMap<String, T>,
    renames: &[Rename],
) -> Result<BTreeMap<String, T>, FileError> {
    let listed = |entries: &BTreeMap<String, T>| {
        entries.keys().map(String::as_str).collect::<Vec<_>>().join("`, `")
    };
    if let Some(useless) =
        renames.iter().find(|rename| !entries.keys().any(|name| rename.apply(name).is_some()))
    {
        let expected = format!("a tensor to rename from `{}`", useless.from);
        return Err(FileError::content(expected, format!("only `{}`", listed(&entries))));
    }
    let mut renamed = BTreeMap::new();
    for (name, entry) in entries {
        let new = renames.iter().find_map(|rename| rename.apply(&name));
        let new = new.unwrap_or_else(|| name.clone());
        if renamed.insert(new.clone(), entry).is_some() {
            let found = format!("two that would be called `{new}`");
            return Err(FileError::content("a name for each", found).in_tensor(&name));
        }
    }
    Ok(renamed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_the_same() {
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
