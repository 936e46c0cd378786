//! The handwritten digits of `examples/data/digits.csv`: 64 pixels from 0 to 16, then the label.

use std::error::Error;
use std::path::Path;

use csv::{ByteRecord, ReaderBuilder};
use rand::seq::SliceRandom;
use rand::{SeedableRng, rngs::ChaCha8Rng};
use wengert::prelude::*;

const PIXELS: usize = 64;
const FIELDS: usize = PIXELS + 1;

pub struct Digits {
    /// Shape `[n, 64]`, from 0 to 1.
    pub pixels: Tensor,
    pub labels: Vec<usize>,
}

impl Digits {
    /// Loads the file of the repository. Shuffles it, always in the same way, and returns two thirds to
    /// train on and one third to test with.
    pub fn split() -> Result<(Self, Self), Box<dyn Error>> {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/data/digits.csv");
        let digits = Self::load(&file)?;
        let mut order = (0..digits.labels.len()).collect::<Vec<_>>();
        order.shuffle(&mut ChaCha8Rng::seed_from_u64(0));
        let (unseen, seen) = order.split_at(order.len() / 3);
        Ok((digits.take_rows(seen), digits.take_rows(unseen)))
    }

    pub fn load(path: &Path) -> Result<Self, Box<dyn Error>> {
        let file = path.display().to_string();
        Self::read(&std::fs::read(path).map_err(|error| format!("{file}: {error}"))?, &file)
    }

    /// Reads digits from CSV.
    ///
    /// # Errors
    /// The first malformed field, with `file`, line and column.
    pub fn read(text: &[u8], file: &str) -> Result<Self, Box<dyn Error>> {
        // Quotes would make the column of a field unknown.
        let mut reader = ReaderBuilder::new();
        let mut reader = reader.has_headers(false).quoting(false).flexible(true).from_reader(text);
        let (mut pixels, mut labels) = (Vec::new(), Vec::new());
        for row in reader.byte_records() {
            let row = row.map_err(|error| format!("{file}: {error}"))?;
            let digit = parse(&row).map_err(|(column, message)| {
                let line = line_of(&row, text);
                format!("{file}:{line}:{column}: {message}")
            })?;
            pixels.extend(digit[..PIXELS].iter().map(|&pixel| f32::from(pixel) / 16.0));
            labels.push(usize::from(digit[PIXELS]));
        }
        if labels.is_empty() {
            return Err(format!("{file}:1:1: expected a row for each digit, found none").into());
        }
        Ok(Self { pixels: Tensor::from_vec(pixels, [labels.len(), PIXELS]), labels })
    }

    /// Returns the digits of these rows, in this order.
    pub fn take_rows(&self, rows: &[usize]) -> Self {
        let labels = rows.iter().map(|&row| self.labels[row]).collect();
        Self { pixels: self.pixels.take_rows(rows), labels }
    }
}

/// Returns the numbers of a row, or the column of the first mistake and a message.
fn parse(row: &ByteRecord) -> Result<[u8; FIELDS], (usize, String)> {
    let (mut numbers, mut column) = ([0; FIELDS], 1);
    for (number, (place, field)) in numbers.iter_mut().zip(row.iter().enumerate()) {
        let (what, most) = if place < PIXELS { ("a pixel", 16) } else { ("a label", 9) };
        let text = String::from_utf8_lossy(field);
        *number = match text.parse() {
            Ok(number) if number <= most => number,
            _ => return Err((column, format!("expected {what}, 0 to {most}, found `{text}`"))),
        };
        column += text.chars().count() + 1;
    }
    match row.len() {
        FIELDS => Ok(numbers),
        found => Err((column - 1, format!("expected {FIELDS} fields, found {found}"))),
    }
}

/// Returns the line of a row, from 1. The reader's position is in front of empty lines, which are skipped.
fn line_of(row: &ByteRecord, text: &[u8]) -> usize {
    let start = row.position().map_or(0, |start| start.byte() as usize);
    let empty = text[start..].iter().take_while(|byte| b"\r\n".contains(byte)).count();
    text[..start + empty].iter().filter(|&&byte| byte == b'\n').count() + 1
}
