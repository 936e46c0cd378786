//! Mistakes made in source code on purpose, for .ci/mutants.
//!
//! `list FILE..` prints the mutants of files, one in a line: file, number of the line, kind, and the altered line,
//! separated by tabs. `make MUTANT` writes one of them into its file.
//!
//! Three kinds: a comparison is turned, a bound is off by one, a statement is left out. Lines are altered as
//! text: rustfmt puts spaces around operators and a statement on lines of its own.

use std::{env, fs};

/// Kind, text, and its replacement.
const CHANGES: [(&str, &str, &str); 13] = [
    ("comparison", " < ", " >= "),
    ("comparison", " <= ", " > "),
    ("comparison", " > ", " <= "),
    ("comparison", " >= ", " < "),
    ("comparison", " == ", " != "),
    ("comparison", " != ", " == "),
    ("bound", " < ", " <= "),
    ("bound", " <= ", " < "),
    ("bound", " > ", " >= "),
    ("bound", " >= ", " > "),
    ("bound", "..=", ".."),
    ("bound", " + 1", ""),
    ("bound", " - 1", ""),
];

/// Beginnings of lines that end with a semicolon and are no statement that can be left out.
const NO_STATEMENT: [&str; 15] = [
    "let ", "use ", "mod ", "pub ", "const ", "static ", "type ", "return", "break", "continue",
    "}", ")", "fn ", "extern ", "assert",
];

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match arguments.split_first() {
        Some((command, files)) if command == "list" => files.iter().for_each(|file| list(file)),
        Some((command, [mutant])) if command == "make" => make(mutant),
        _ => panic!("expected `list FILE..` or `make MUTANT`"),
    }
}

fn list(file: &str) {
    let text = fs::read_to_string(file).expect("a readable file");
    let mut statement_begins = true;
    for (number, line) in text.lines().enumerate() {
        let code = line.trim_start();
        if code.starts_with("#[cfg(test)]") {
            break; // Tests are at the end of a file.
        }
        if code.is_empty() || code.starts_with("//") || code.starts_with('#') {
            continue;
        }
        let mutant = |kind, altered: &str| println!("{file}\t{number}\t{kind}\t{altered}");
        for (kind, from, to) in CHANGES {
            for (place, _) in line.match_indices(from) {
                if !in_text(&line[..place]) {
                    mutant(kind, &format!("{}{to}{}", &line[..place], &line[place + from.len()..]));
                }
            }
        }
        let whole = statement_begins && code.ends_with(';');
        if whole && !NO_STATEMENT.iter().any(|begin| code.starts_with(begin)) {
            mutant("statement", "");
        }
        statement_begins = code.ends_with([';', '{', '}']);
    }
}

/// Whether a piece of code that begins here would stand in a string or a comment.
fn in_text(before: &str) -> bool {
    before.matches('"').count() % 2 == 1 || before.contains("//")
}

fn make(mutant: &str) {
    let mut fields = mutant.splitn(4, '\t');
    let mut field = || fields.next().expect("four fields");
    let (file, number, _, altered) = (field(), field(), field(), field());
    let number: usize = number.parse().expect("the number of a line");
    let text = fs::read_to_string(file).expect("a readable file");
    let line = |(i, line)| if i == number { altered } else { line };
    let lines: Vec<&str> = text.lines().enumerate().map(line).collect();
    fs::write(file, lines.join("\n") + "\n").expect("a writable file");
}
