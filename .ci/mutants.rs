//! Mistakes made in source code on purpose, for .ci/mutants.
//!
//! `mutants LIST WITHOUT FILE..` rewrites files so that they contain all of their mutants: `a < b` becomes
//! `(if crate::mutant(7) { a >= b } else { a < b })`. The crates are then built once, and the environment variable
//! `WENGERT_MUTANT` tells a process which mutant it runs. The mutants are written to the file LIST, one in a line:
//! number, place, kind, and the code that is altered. WITHOUT is a file of places, `FILE:LINE`, that stay as they are
//! because a mutant of them does not compile.
//!
//! The kinds: a comparison is turned, a bound is off by one, a flag is flipped, a statement is left out. Lines are
//! altered as text, and stay in their places: rustfmt puts spaces around operators and a statement on lines of its own.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::{env, fs};

/// Comparisons, and by what each is replaced: turned, and with a bound off by one.
const COMPARISONS: [(&str, &[&str]); 6] = [
    (" < ", &[" >= ", " <= "]),
    (" <= ", &[" > ", " < "]),
    (" > ", &[" <= ", " >= "]),
    (" >= ", &[" < ", " > "]),
    (" == ", &[" != "]),
    (" != ", &[" == "]),
];

/// Text that stands for itself, and what it becomes around the call that tells whether it is altered.
const WORDS: [(&str, &str, &str, &str); 6] = [
    ("bound", " + 1", " + (if ", " { 0 } else { 1 })"),
    ("bound", " - 1", " - (if ", " { 0 } else { 1 })"),
    ("flag", ", true", ", !", ""),
    ("flag", ", false", ", ", ""),
    ("flag", "(true", "(!", ""),
    ("flag", "(false", "(", ""),
];

/// Beginnings of lines that end with a semicolon and are no statement that can be left out.
const NO_STATEMENT: [&str; 18] = [
    "let ",
    "use ",
    "mod ",
    "pub ",
    "pub(",
    "const ",
    "static ",
    "type ",
    "return",
    "break",
    "continue",
    "}",
    ")",
    "fn ",
    "extern ",
    "struct ",
    "assert",
    "debug_assert",
];

/// What an operand of a comparison does not reach beyond, on its left and on its right.
const BEFORE: [&str; 18] = [
    ",", ";", "=> ", " = ", "+= ", "-= ", "|= ", "&= ", "&& ", "|| ", "return ", "if ", "while ",
    "match ", "else ", "..=", "..", " in ",
];
const BEHIND: [&str; 8] = [",", ";", " {", " && ", " || ", " => ", " if ", ".."];

/// The function that tells whether a mutant is the one that this process runs; each crate has it. Every mutant that it meets is added to the file `WENGERT_MUTANT_LIST`, if
/// that is set.
const CHOICE: &str = r#"
#[inline]
pub(crate) fn mutant(number: u32) -> bool {
    use std::sync::atomic::{AtomicU32, Ordering};
    static CHOSEN: AtomicU32 = AtomicU32::new(0);
    const LISTS: u32 = u32::MAX;
    #[cold]
    fn list(number: u32) {
        use std::io::Write;
        thread_local! {
            static SEEN: std::cell::RefCell<std::collections::BTreeSet<u32>> = Default::default();
        }
        if SEEN.try_with(|seen| seen.borrow_mut().insert(number)) == Ok(true) {
            let path = std::env::var("WENGERT_MUTANT_LIST").unwrap();
            let mut file = std::fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
            file.write_all(format!("{number}\n").as_bytes()).unwrap();
        }
    }
    #[cold]
    fn choose() -> u32 {
        let chosen = match std::env::var("WENGERT_MUTANT") {
            Ok(number) => number.parse().unwrap(),
            Err(_) if std::env::var_os("WENGERT_MUTANT_LIST").is_some() => LISTS,
            Err(_) => LISTS - 1,
        };
        CHOSEN.store(chosen, Ordering::Relaxed);
        chosen
    }
    let mut chosen = CHOSEN.load(Ordering::Relaxed);
    if chosen == 0 {
        chosen = choose();
    }
    if chosen == LISTS {
        list(number);
    }
    chosen == number
}
"#;

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [list, without, files @ ..] = &arguments[..] else {
        panic!("expected LIST WITHOUT FILE..")
    };
    let without = fs::read_to_string(without).unwrap_or_default();
    let without = without.lines().collect();
    let mut mutants = Mutants { count: 0, list: String::new(), place: String::new() };
    for file in files {
        mutants.put_into(file, &without);
    }
    fs::write(list, mutants.list).expect("a writable list");
    let crates: BTreeSet<&str> =
        files.iter().filter_map(|file| Some(file.split_once("/src/")?.0)).collect();
    for folder in crates {
        let library = format!("{folder}/src/lib.rs");
        let text = fs::read_to_string(&library).expect("a readable file");
        fs::write(library, text + CHOICE).expect("a writable file");
    }
}

struct Mutants {
    count: u32,
    list: String,
    /// File and line that are being altered.
    place: String,
}

impl Mutants {
    fn put_into(&mut self, file: &str, without: &BTreeSet<&str>) {
        let text = fs::read_to_string(file).expect("a readable file");
        let lines: Vec<&str> = text.lines().collect();
        // Tests are at the end of a file.
        let tests = lines.iter().position(|line| line.starts_with("#[cfg(test)]"));
        let (mut altered, mut statement_begins, mut in_macro) = (String::new(), true, false);
        let mut in_string = false;
        for (number, &line) in lines.iter().enumerate() {
            self.place = format!("{file}:{}", number + 1);
            let code = line.trim_start();
            let is_code = !code.is_empty() && !code.starts_with("//") && !code.starts_with('#');
            // A call such as that of the table of functions, which is no code before the macro made it code.
            in_macro = (in_macro && line != "}") || (code == line && line.ends_with("! {"));
            let stays = in_macro
                || in_string
                || tests.is_some_and(|tests| number >= tests)
                || code.contains("assert")
                || without.contains(&*self.place);
            if is_code && !stays {
                let above = if number > 0 { lines[number - 1] } else { "" };
                let below = lines.get(number + 1).map_or("", |line| line.trim_start());
                let mut new = self.words(line);
                new = self.comparisons(new, above, below);
                let whole = statement_begins && code.ends_with(';');
                if whole && !NO_STATEMENT.iter().any(|begin| code.starts_with(begin)) {
                    new = format!("if !{} {{ {} }}", self.add("statement", code), new.trim_start());
                }
                altered += &new;
            } else {
                altered += line;
            }
            altered += "\n";
            // A text goes on behind a backslash at the end of a line.
            in_string = line.ends_with('\\') && (in_string || in_text(line));
            if is_code {
                statement_begins = code.ends_with([';', '{', '}']);
            }
        }
        fs::write(file, altered).expect("a writable file");
    }

    /// Adds a mutant, and returns the call that tells whether it is the one that runs.
    fn add(&mut self, kind: &str, code: &str) -> String {
        self.count += 1;
        writeln!(self.list, "{}\t{}\t{kind}\t{}", self.count, self.place, code.trim())
            .expect("a string grows");
        format!("crate::mutant({})", self.count)
    }

    fn words(&mut self, line: &str) -> String {
        let (mut new, mut at) = (String::new(), 0);
        while at < line.len() {
            let rest = &line[at..];
            let found = WORDS.iter().find(|(_, word, ..)| {
                let behind = rest.strip_prefix(word).and_then(|behind| behind.chars().next());
                rest.starts_with(word)
                    && !behind.is_some_and(|c| c.is_alphanumeric() || "._".contains(c))
            });
            match found {
                Some((kind, word, before, behind)) if !in_text(&line[..at]) => {
                    let altered = format!("{}[{}]{}", &line[..at], word, &rest[word.len()..]);
                    let call = self.add(kind, &altered);
                    new += &format!("{before}{call}{behind}");
                    at += word.len();
                }
                _ => {
                    let c = rest.chars().next().expect("more text");
                    new.push(c);
                    at += c.len_utf8();
                }
            }
        }
        new
    }

    /// Alters the comparisons of a line, those inside of brackets first. Operators that are done are marked.
    fn comparisons(&mut self, mut line: String, above: &str, below: &str) -> String {
        const DONE: char = '\u{1}';
        while let Some((at, operator, others)) = deepest_comparison(&line) {
            let mark = |operator: &str| operator.replacen(' ', &DONE.to_string(), 1);
            let end = at + operator.len();
            let (Some(from), Some(to)) = (begin(&line[..at], above), end_of(&line[end..], below))
            else {
                line.replace_range(at..end, &mark(operator));
                continue;
            };
            let (left, right) = (line[from..at].to_owned(), line[end..end + to].to_owned());
            let mut new = String::from("(");
            for (other, kind) in others.iter().zip(["comparison", "bound"]) {
                let call = self.add(
                    kind,
                    &format!("{left}{operator}{right} [{}]", other.trim()).replace(DONE, " "),
                );
                new += &format!("if {call} {{ {left}{}{right} }} else ", mark(other));
            }
            new += &format!("{{ {left}{}{right} }})", mark(operator));
            line.replace_range(from..end + to, &new);
        }
        line.replace(DONE, " ")
    }
}

/// The comparison inside of most brackets: its place, itself, and its replacements.
fn deepest_comparison(line: &str) -> Option<(usize, &'static str, &'static [&'static str])> {
    let found = COMPARISONS.iter().flat_map(|&(operator, others)| {
        line.match_indices(operator).map(move |(at, _)| (at, operator, others))
    });
    let depth = |at: usize| {
        let (open, closed) =
            (line[..at].matches(['(', '[', '{']), line[..at].matches([')', ']', '}']));
        open.count() as isize - closed.count() as isize
    };
    found.filter(|(at, ..)| !in_text(&line[..*at])).max_by_key(|(at, ..)| depth(*at))
}

/// Where the left operand of a comparison begins, given the text before the comparison and the line above.
fn begin(text: &str, above: &str) -> Option<usize> {
    let first = text.len() - text.trim_start().len();
    let mut begins = vec![None];
    let mut at = first;
    while at < text.len() {
        let rest = &text[at..];
        let c = rest.chars().next().expect("more text");
        let top = begins.last_mut()?;
        if let Some(word) = BEFORE.iter().find(|word| rest.starts_with(**word)) {
            at += word.len();
            *top = Some(at);
            continue;
        }
        at += c.len_utf8();
        match c {
            '(' | '[' | '{' => begins.push(Some(at)),
            ')' | ']' | '}' => drop(begins.pop()),
            // The bar behind the arguments of a closure.
            '|' if !rest.starts_with("| ") || !text[..at].ends_with(" |") => *top = Some(at),
            _ => (),
        }
    }
    let own_line = ["{", "}", ";", ",", "(", "[", "&&", "||", " =", "=>", "|"];
    let begin = match begins.pop()? {
        Some(begin) => begin,
        None if own_line.iter().any(|end| above.ends_with(end)) => first,
        None => return None,
    };
    Some(begin + text[begin..].len() - text[begin..].trim_start().len())
}

/// Where the right operand of a comparison ends, given the text behind the comparison and the line below.
fn end_of(text: &str, below: &str) -> Option<usize> {
    let mut depth = 0;
    for (at, c) in text.char_indices() {
        let rest = &text[at..];
        if depth == 0 && (")]}".contains(c) || BEHIND.iter().any(|word| rest.starts_with(word))) {
            return Some(at);
        }
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth -= 1,
            _ => (),
        }
    }
    let next = ["&&", "||", ")", "]", "}", "{", ",", "=>"];
    (depth == 0 && next.iter().any(|word| below.starts_with(word))).then_some(text.len())
}

/// Whether a piece of code that begins here would stand in a string or a comment.
fn in_text(before: &str) -> bool {
    before.matches('"').count() % 2 == 1 || before.contains("//")
}
