//! Text from files in messages: bounded in length, and without characters that a terminal obeys.

use std::fmt::{self, Display, Write};

/// A text from a file, to be printed. Control characters are escaped, and the middle of a long text is left out.
pub(crate) struct Shown<'a>(pub(crate) &'a str);

impl Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// Characters that are printed of the start and of the end of a long text.
        const PRINTED: usize = 150;
        let middle = |text: &str| {
            let start = text.char_indices().nth(PRINTED)?.0;
            let end = text.char_indices().nth_back(PRINTED - 1)?.0;
            (start < end).then_some((start, end))
        };
        let mut print = |text: &str| {
            text.chars().try_for_each(|c| match is_command(c) {
                true => write!(f, "{}", c.escape_default()),
                false => f.write_char(c),
            })
        };
        match middle(self.0) {
            None => print(self.0),
            Some((start, end)) => {
                print(&self.0[..start])?;
                print(" .. ")?;
                print(&self.0[end..])
            }
        }
    }
}

/// Several lines, to be printed as [`Shown`] each.
pub(crate) struct ShownLines<D>(pub(crate) D);

impl<D: Display> Display for ShownLines<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.0.to_string();
        for (i, line) in text.split('\n').enumerate() {
            let joint = if i > 0 { "\n" } else { "" };
            write!(f, "{joint}{}", Shown(line))?;
        }
        Ok(())
    }
}

/// Whether a terminal does something other than print this character: controls, and marks that change the
/// direction of writing.
fn is_command(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Names from a file, to be printed: the first ones, and how many there are besides.
pub(crate) struct Names<I>(pub(crate) I);

impl<'a, I: ExactSizeIterator<Item = &'a str> + Clone> Display for Names<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, name) in self.0.clone().take(PRINTED_NAMES).enumerate() {
            let joint = if i > 0 { ", " } else { "" };
            write!(f, "{joint}{}", Shown(name))?;
        }
        more(f, self.0.len())
    }
}

/// Names that a message prints of a list.
pub(crate) const PRINTED_NAMES: usize = 20;

/// Prints how many of `all` are not printed, if any.
pub(crate) fn more(f: &mut fmt::Formatter<'_>, all: usize) -> fmt::Result {
    match all.saturating_sub(PRINTED_NAMES) {
        0 => Ok(()),
        rest => write!(f, " and {rest} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_escaped_and_the_middle_of_a_long_text_is_left_out() {
        assert_eq!(Shown("Gewicht é 重み").to_string(), "Gewicht é 重み");
        assert_eq!(Shown("a\x1b[2Jb\n\u{202e}").to_string(), "a\\u{1b}[2Jb\\n\\u{202e}");
        let long = Shown(&"é".repeat(1000)).to_string();
        assert_eq!(long, format!("{0} .. {0}", "é".repeat(150)));
        assert_eq!(Shown(&"x".repeat(300)).to_string(), "x".repeat(300));
        let names = vec!["w"; 21];
        assert!(Names(names.iter().copied()).to_string().ends_with("w, w and 1 more"));
    }
}
