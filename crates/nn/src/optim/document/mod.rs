//! A recipe as a document: in words, as a program for PyTorch or optax, and from a `state_dict` of PyTorch.
//!
//! `explain` prints formulas, rates and what each parameter gets; `torch` and `optax` print programs, whose fixed parts
//! are the files in `python/`; `python` writes schedules and settings for both; `from_torch` reads what PyTorch saves, in
//! JSON.

use std::fmt;

mod explain;
mod from_torch;
mod json;
mod optax;
mod python;
mod torch;

/// A link of a recipe that another library does not have, or does in another way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoEquivalent {
    link: String,
    reason: String,
}

impl NoEquivalent {
    fn new(link: &str, reason: impl Into<String>) -> Self {
        NoEquivalent { link: link.to_owned(), reason: reason.into() }
    }

    /// Returns the name of the link: the kind of a transform or schedule, or a key of the recipe.
    pub fn link(&self) -> &str {
        &self.link
    }
}

impl fmt::Display for NoEquivalent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` has no equivalent: {}", self.link, self.reason)
    }
}

impl std::error::Error for NoEquivalent {}
