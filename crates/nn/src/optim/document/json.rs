//! Reads JSON into values that know their places.

use crate::optim::error::{Diagnostic, shortened};
use crate::optim::value::{Data, Entries, Key, Value};

/// Reads a text. Entries of `null` are left out.
pub(super) fn read(text: &str) -> Result<Value, Diagnostic> {
    let mut reader = Reader { text, at: 0, depth: 0 };
    let value = reader.value()?;
    reader.skip_space();
    match (value, reader.rest()) {
        (Some(value), "") => Ok(value),
        (None, _) => Err(Diagnostic::new(0..text.len(), "expected an object, found null")),
        (Some(_), _) => Err(reader.expected("the end of the text")),
    }
}

/// Arrays and objects within each other.
const DEEPEST: usize = 64;

struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn skip_space(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    fn expected(&self, what: &str) -> Diagnostic {
        let found = match self.rest().chars().next() {
            Some(c) => format!("`{c}`"),
            None => "the end".into(),
        };
        let end = self.rest().chars().next().map_or(self.at, |c| self.at + c.len_utf8());
        Diagnostic::new(self.at..end, format!("expected {what}, found {found}"))
    }

    /// Takes the next character if it is this one.
    fn take(&mut self, c: char) -> bool {
        self.skip_space();
        let found = self.rest().starts_with(c);
        self.at += if found { c.len_utf8() } else { 0 };
        found
    }

    fn value(&mut self) -> Result<Option<Value>, Diagnostic> {
        self.skip_space();
        let start = self.at;
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(Diagnostic::new(start..start + 1, "too many values within each other"));
        }
        let data = match self.rest().chars().next() {
            Some('{') => Data::Table(self.object()?),
            Some('[') => Data::Array(self.array()?),
            Some('"') => Data::Text(self.string()?),
            _ => match self.word() {
                "null" => {
                    self.depth -= 1;
                    return Ok(None);
                }
                "true" => Data::Flag(true),
                "false" => Data::Flag(false),
                "" => return Err(self.expected("a value")),
                word => number(word).ok_or_else(|| {
                    let message = format!("expected a value, found `{}`", shortened(word));
                    Diagnostic::new(start..start + word.len(), message)
                })?,
            },
        };
        self.depth -= 1;
        Ok(Some(Value { span: start..self.at, data }))
    }

    fn word(&mut self) -> &'a str {
        let of_word = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
        let rest = self.rest();
        let word = &rest[..rest.find(|c| !of_word(c)).unwrap_or(rest.len())];
        self.at += word.len();
        word
    }

    fn object(&mut self) -> Result<Entries, Diagnostic> {
        let mut entries = Entries::default();
        self.take('{');
        if self.take('}') {
            return Ok(entries);
        }
        loop {
            self.skip_space();
            let start = self.at;
            if !self.rest().starts_with('"') {
                return Err(self.expected("a name in quotes"));
            }
            let name = self.string()?;
            let span = start..self.at;
            if entries.contains(&name) {
                return Err(Diagnostic::new(span, format!("`{}` stands twice", shortened(&name))));
            }
            if !self.take(':') {
                return Err(self.expected("`:`"));
            }
            if let Some(value) = self.value()? {
                entries.push(Key::new(name, span), value);
            }
            if self.take('}') {
                return Ok(entries);
            }
            if !self.take(',') {
                return Err(self.expected("`,` or `}`"));
            }
        }
    }

    fn array(&mut self) -> Result<Vec<Value>, Diagnostic> {
        let mut values = Vec::new();
        self.take('[');
        if self.take(']') {
            return Ok(values);
        }
        loop {
            let start = self.at;
            let value = self.value()?;
            let null = || Diagnostic::new(start..self.at, "expected a value, found null");
            values.push(value.ok_or_else(null)?);
            if self.take(']') {
                return Ok(values);
            }
            if !self.take(',') {
                return Err(self.expected("`,` or `]`"));
            }
        }
    }

    fn string(&mut self) -> Result<String, Diagnostic> {
        let start = self.at;
        self.at += 1;
        let mut text = String::new();
        loop {
            let Some(c) = self.rest().chars().next() else {
                return Err(Diagnostic::new(start..self.at, "a string without its end"));
            };
            self.at += c.len_utf8();
            match c {
                '"' => return Ok(text),
                '\\' => text.push(self.escaped()?),
                c => text.push(c),
            }
        }
    }

    /// Reads what follows a backslash.
    fn escaped(&mut self) -> Result<char, Diagnostic> {
        let Some(c) = self.rest().chars().next() else { return Err(self.expected("an escape")) };
        let plain = match c {
            '"' | '\\' | '/' => c,
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            'b' => '\u{8}',
            'f' => '\u{c}',
            'u' => {
                let digits =
                    self.rest().get(1..5).and_then(|hex| u32::from_str_radix(hex, 16).ok());
                let Some(c) = digits.and_then(char::from_u32) else {
                    return Err(self.expected("an escape"));
                };
                self.at += 5;
                return Ok(c);
            }
            _ => return Err(self.expected("an escape")),
        };
        self.at += c.len_utf8();
        Ok(plain)
    }
}

/// Reads a number; Python also writes `NaN` and `Infinity`.
fn number(word: &str) -> Option<Data> {
    match word {
        "NaN" => return Some(Data::Float(f64::NAN)),
        "Infinity" => return Some(Data::Float(f64::INFINITY)),
        "-Infinity" => return Some(Data::Float(f64::NEG_INFINITY)),
        _ => {}
    }
    let digit = word.trim_start_matches('-').starts_with(|c: char| c.is_ascii_digit());
    let whole = word.parse().ok().map(Data::Whole);
    whole.or_else(|| word.parse().ok().map(Data::Float)).filter(|_| digit)
}
