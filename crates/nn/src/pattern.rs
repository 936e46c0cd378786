//! Patterns over the dotted names of parameters.

use std::fmt;

/// A pattern over dotted names, such as those of parameters.
///
/// `*` matches any characters, including dots: `*.bias` matches every bias at any depth, `encoder.*`
/// every name in the encoder. If it stopped at dots, a pattern would silently miss deeper names. `**` is
/// the same as `*`.
///
/// ```
/// use wengert_nn::Pattern;
/// assert!(Pattern::new("*.bias").matches("blocks.0.attention.bias"));
/// assert!(!Pattern::new("encoder.*").matches("decoder.weight"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(String);

impl Pattern {
    /// Returns the pattern with this text.
    pub fn new(text: impl Into<String>) -> Self {
        Pattern(text.into())
    }

    /// Returns whether the pattern matches the whole name.
    pub fn matches(&self, name: &str) -> bool {
        let mut pieces = self.0.split('*');
        let first = pieces.next().unwrap_or("");
        let Some(mut rest) = name.strip_prefix(first) else { return false };
        let Some(last) = pieces.next_back() else { return rest.is_empty() };
        // Each piece between two stars is matched as early as possible, which leaves most to the rest.
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
