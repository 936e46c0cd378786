//! Text for models of characters.

use serde::{Deserialize, Serialize};
use wengert_core::Indices;

use super::{Dataset, Targets};
use crate::DataError;
use crate::error::shown;

/// The characters of a text, each with a token: its place in their order.
///
/// ```
/// use wengert_train::data::Vocabulary;
///
/// let vocabulary = Vocabulary::of("hello");
/// assert_eq!(vocabulary.characters(), "ehlo");
/// let tokens = vocabulary.encode("hole")?;
/// assert_eq!(tokens, [1, 3, 2, 0]);
/// assert_eq!(vocabulary.decode(&tokens), "hole");
/// assert_eq!(
///     vocabulary.encode("ho\nx").unwrap_err().to_string(),
///     "line 1: expected one of the 4 characters of the vocabulary, found `\\n`"
/// );
/// // A saved string of the characters makes it again.
/// assert_eq!(Vocabulary::of(&vocabulary.characters()), vocabulary);
/// # Ok::<(), wengert_train::DataError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct Vocabulary {
    characters: Vec<char>,
}

impl Vocabulary {
    /// Makes the vocabulary of a text.
    pub fn of(text: &str) -> Self {
        let characters: std::collections::BTreeSet<char> = text.chars().collect();
        Self { characters: characters.into_iter().collect() }
    }

    /// Returns the number of characters.
    pub fn len(&self) -> usize {
        self.characters.len()
    }

    /// Returns whether there are no characters.
    pub fn is_empty(&self) -> bool {
        self.characters.is_empty()
    }

    /// Returns the characters in the order of their tokens.
    pub fn characters(&self) -> String {
        self.characters.iter().collect()
    }

    /// Returns the tokens of a text.
    ///
    /// # Errors
    /// If the vocabulary does not have a character.
    pub fn encode(&self, text: &str) -> Result<Vec<usize>, DataError> {
        let token = |(place, c): (usize, char)| {
            self.characters.binary_search(&c).map_err(|_| {
                let expected = format!("one of the {} characters of the vocabulary", self.len());
                let line = text[..place].matches('\n').count() + 1;
                let found = shown(c.encode_utf8(&mut [0; 4]));
                DataError::expected(expected, format!("`{found}`")).at_line(line as u64)
            })
        };
        text.char_indices().map(token).collect()
    }

    /// Returns the text of tokens.
    ///
    /// # Panics
    /// If a token is out of range.
    #[track_caller]
    pub fn decode(&self, tokens: &[usize]) -> String {
        let len = self.len();
        let character = |&token: &usize| match self.characters.get(token) {
            Some(&c) => c,
            None => panic!("Vocabulary: token {token} is out of range (0..{len})"),
        };
        tokens.iter().map(character).collect()
    }
}

impl From<String> for Vocabulary {
    fn from(characters: String) -> Self {
        Vocabulary::of(&characters)
    }
}

impl From<Vocabulary> for String {
    fn from(vocabulary: Vocabulary) -> Self {
        vocabulary.characters()
    }
}

/// Cuts tokens into windows of `length` tokens, `stride` apart: inputs `[n, length]`, and as targets the token after
/// each. What remains at the end, shorter than a window, is left out.
///
/// # Panics
/// If `length` or `stride` is 0, or there are not `length + 1` tokens.
///
/// ```
/// use wengert_core::Indices;
/// use wengert_train::data::{Inputs, Targets, windows};
///
/// let data = windows(&[0, 1, 2, 3, 4, 5], 2, 2);
/// assert_eq!(data.inputs, Inputs::Tokens(Indices::from([[0, 1], [2, 3]])));
/// assert_eq!(data.targets, Targets::Tokens(Indices::from([[1, 2], [3, 4]])));
/// ```
#[track_caller]
pub fn windows(tokens: &[usize], length: usize, stride: usize) -> Dataset {
    assert!(length > 0 && stride > 0, "windows: length and stride are at least 1");
    let found = tokens.len();
    assert!(found > length, "windows: expected more than {length} tokens, found {found}");
    let starts: Vec<usize> = (0..found - length).step_by(stride).collect();
    let cut = |shift: usize| {
        let windows = starts.iter().flat_map(|start| &tokens[start + shift..][..length]);
        Indices::from_vec(windows.copied().collect(), [starts.len(), length])
    };
    Dataset::new(cut(0), Targets::Tokens(cut(1)))
}
