//! Patterns over dotted names.

use std::fmt;

/// A pattern over dotted names: `*` stands for any characters, dots among them, so that `*.bias`
/// is every bias at any depth and `encoder.*` all of the encoder. `**` means the same.
///
/// A star that stopped at dots would miss, without a word, what lies deeper than its author thought.
///
/// ```
/// use wengert_nn::Pattern;
/// assert!(Pattern::new("*.bias").matches("blocks.0.attention.bias"));
/// assert!(!Pattern::new("encoder.*").matches("decoder.weight"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(String);

impl Pattern {
    /// The pattern that this text spells.
    pub fn new(text: impl Into<String>) -> Self {
        Pattern(text.into())
    }

    /// Whether the whole of `name` fits.
    pub fn matches(&self, name: &str) -> bool {
        let mut pieces = self.0.split('*');
        let first = pieces.next().unwrap_or("");
        let Some(mut rest) = name.strip_prefix(first) else { return false };
        let Some(last) = pieces.next_back() else { return rest.is_empty() };
        // What stands between two stars is found as early as it can be, which leaves most to the rest.
        for piece in pieces {
            let Some(at) = rest.find(piece) else { return false };
            rest = &rest[at + piece.len()..];
        }
        rest.ends_with(last)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
