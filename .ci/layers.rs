//! Checks the direction of imports in the two largest parts of the workspace.
//!
//! Reads every file as tokens, collects its paths (`use`, and paths in code), and follows re-exports to
//! the file that defines a name. Then it reports
//! * imports that climb: from a room to a room on a higher floor,
//! * circles: files that import each other, directly or through others.
//! Tests (`#[cfg(test)]`) may import anything. An exception needs a reason that `docs/design.md` gives in
//! the same words.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// A part of the workspace with its rooms (files or folders), from the ground floor up.
struct Part {
    name: &'static str,
    root: &'static str,
    /// The path of the root's module in its crate.
    module: &'static [&'static str],
    floors: &'static [&'static [&'static str]],
    /// Imports that climb, from one file to another, and the reason.
    climbs: &'static [(&'static str, &'static str, &'static str)],
    /// Files that import each other, and the reason.
    circles: &'static [(&'static [&'static str], &'static str)],
}

const PARTS: [Part; 2] = [
    Part {
        name: "core",
        root: "crates/core/src",
        module: &[],
        floors: &[
            &["float", "math", "symbol"],
            &["error"],
            &["shape"],
            &["kernels"],
            &["tensor"],
            &["op"],
            &["ops"],
            &["params"],
            &["tape", "mutants"],
            &["diff"],
            &["program"],
            &["testing"],
        ],
        climbs: &[
            (
                "op/entry.rs",
                "tape/erased.rs",
                "An operation's compiled entry points name the variable",
            ),
            (
                "op/entry.rs",
                "tape/record.rs",
                "An operation's compiled entry points name the variable",
            ),
            ("kernels/matmul.rs", "mutants.rs", "Mutants are made where the code runs"),
            ("op/entry.rs", "mutants.rs", "Mutants are made where the code runs"),
            ("op/cotangent.rs", "mutants.rs", "Mutants are made where the code runs"),
        ],
        circles: &[
            (&["params/mod.rs", "params/transfer.rs"], "A model's tree copies itself by name"),
            (
                &[
                    "mutants.rs",
                    "op/mod.rs",
                    "op/cotangent.rs",
                    "op/entry.rs",
                    "ops/elementwise.rs",
                    "ops/functions.rs",
                    "ops/operand.rs",
                    "ops/pairs.rs",
                    "params/param.rs",
                    "tape/erased.rs",
                    "tape/notes.rs",
                    "tape/record.rs",
                ],
                "An operation's compiled entry points name the variable",
            ),
        ],
    },
    Part {
        name: "optim",
        root: "crates/nn/src/optim",
        module: &["optim"],
        floors: &[
            &["asked", "error", "range", "reflect", "refused", "report", "value"],
            &["chunks", "elements"],
            &["mutants", "rule", "schedule"],
            &["body", "scheduled", "transform"],
            &["rules"],
            &["chain", "chunk_run", "keep"],
            &["by_rows", "fits", "recipe", "resolve"],
            &["optimizer", "driver", "ema", "minimize", "compiled", "state"],
            &["toml"],
            &["document"],
        ],
        climbs: &[],
        circles: &[
            (
                &[
                    "schedule/mod.rs",
                    "schedule/cosine.rs",
                    "schedule/decays.rs",
                    "schedule/one_cycle.rs",
                    "schedule/plateau.rs",
                ],
                "A schedule wraps other schedules",
            ),
            (
                &["compiled.rs", "driver.rs", "minimize.rs", "optimizer.rs", "state.rs"],
                "An optimizer's methods, its step and its state are one type in several files",
            ),
        ],
    },
];

fn main() -> ExitCode {
    let design = std::fs::read_to_string("docs/design.md").expect("docs/design.md");
    let mistakes: usize = PARTS.iter().map(|part| check(part, &design)).sum();
    if mistakes == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Prints the report of one part and returns the number of mistakes.
fn check(part: &Part, design: &str) -> usize {
    let files = files_below(Path::new(part.root));
    let sources: BTreeMap<Module, Source> = files
        .iter()
        .map(|file| {
            let text = std::fs::read_to_string(file).expect("a readable file");
            let module = module_of(file.strip_prefix(part.root).expect("a file of the part"));
            (module.clone(), Source::read(&text, module))
        })
        .collect();
    let house = House { part, sources };
    let imports = house.imports();
    let floor = |module: &Module| {
        let room = module.first()?;
        part.floors.iter().position(|floor| floor.contains(&room.as_str()))
    };
    let mut mistakes = Vec::new();

    for room in house.sources.keys().filter(|module| module.len() == 1 && floor(module).is_none()) {
        mistakes.push(format!("{} has no floor", house.file(room)));
    }
    let mut excused = |mistake: String, reason: Option<&str>| match reason {
        Some(reason) if design.contains(reason) => {}
        Some(reason) => mistakes.push(format!("{mistake}: docs/design.md does not say {reason:?}")),
        None => mistakes.push(mistake),
    };
    let mut between = 0;
    for (from, to) in imports.iter().filter(|(from, to)| from.first() != to.first()) {
        between += 1;
        if let (Some(low), Some(high)) = (floor(from), floor(to))
            && low < high
        {
            let (from, to) = (house.file(from), house.file(to));
            let known = part.climbs.iter().find(|(a, b, _)| *a == from && *b == to);
            excused(format!("{from} climbs to {to}"), known.map(|(_, _, reason)| *reason));
        }
    }
    for circle in circles(&imports) {
        let files: Vec<_> = circle.iter().map(|module| house.file(module)).collect();
        let all_in = |known: &[&str]| files.iter().all(|file| known.contains(&file.as_str()));
        let known = part.circles.iter().find(|(known, _)| all_in(known));
        excused(format!("circle: {}", files.join(", ")), known.map(|(_, reason)| *reason));
    }

    println!(
        "{}: {} files, {} floors, {between} imports between rooms",
        part.name,
        files.len(),
        part.floors.len()
    );
    for mistake in &mistakes {
        println!("  {mistake}");
    }
    mistakes.len()
}

/// The path of a module below the root of its part.
type Module = Vec<String>;

fn module_of(file: &Path) -> Module {
    let file = file.with_extension("");
    let mut module: Module = file.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    if matches!(module.last().map(String::as_str), Some("mod" | "lib")) {
        module.pop();
    }
    module
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).expect("a readable folder") {
        let path = entry.expect("a readable entry").path();
        if path.is_dir() {
            files.extend(files_below(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

/// All files of a part, by module.
struct House<'a> {
    part: &'a Part,
    sources: BTreeMap<Module, Source>,
}

impl House<'_> {
    /// Returns every import between two files. The root declares the modules and imports nothing.
    fn imports(&self) -> BTreeSet<(Module, Module)> {
        let mut imports = BTreeSet::new();
        for (from, source) in self.sources.iter().filter(|(from, _)| !from.is_empty()) {
            for path in &source.paths {
                let Some(to) = self.absolute(&path.scope, &path.names) else { continue };
                let Some(to) = self.resolve(to, 0) else { continue };
                // `pub use child::Name` is how a folder shows what is in it.
                let shown = path.public && to.starts_with(from);
                if !to.is_empty() && to != *from && !shown {
                    imports.insert((from.clone(), to));
                }
            }
        }
        imports
    }

    /// Returns a path from the root of the part, if it leads there.
    fn absolute(&self, scope: &Module, names: &[String]) -> Option<Module> {
        let mut path = scope.clone();
        let mut names = names.iter().peekable();
        match names.peek()?.as_str() {
            "crate" => {
                names.next();
                for expected in self.part.module {
                    if names.next()? != expected {
                        return None;
                    }
                }
                path.clear();
            }
            "self" => {
                names.next();
            }
            "super" => {
                while names.next_if(|name| *name == "super").is_some() {
                    path.pop()?;
                }
            }
            child => {
                path.push(child.to_owned());
                if !self.sources.contains_key(&path) {
                    return None;
                }
                names.next();
            }
        }
        path.extend(names.cloned());
        Some(path)
    }

    /// Returns the file that defines the name at the end of a path.
    fn resolve(&self, path: Module, depth: usize) -> Option<Module> {
        if depth > 8 {
            return None;
        }
        let known = (0..=path.len()).rev().find(|&n| self.sources.contains_key(&path[..n]))?;
        let (module, rest) = (path[..known].to_vec(), &path[known..]);
        let Some(name) = rest.first() else { return Some(module) };
        let source = &self.sources[&module];
        let shown = source.paths.iter().filter(|path| path.public && path.scope == module);
        for path in shown.clone().filter(|path| &path.alias == name) {
            let mut to = self.absolute(&module, &path.names)?;
            to.extend(rest[1..].iter().cloned());
            return self.resolve(to, depth + 1);
        }
        for path in shown.filter(|path| path.alias == "*") {
            let to = self.absolute(&module, &path.names)?;
            if self.sources.get(&to).is_some_and(|source| source.defined.contains(name)) {
                return Some(to);
            }
        }
        Some(module)
    }

    fn file(&self, module: &Module) -> String {
        let path = module.join("/");
        let folder = self
            .sources
            .keys()
            .any(|other| other.len() > module.len() && other.starts_with(module));
        if folder { format!("{path}/mod.rs") } else { format!("{path}.rs") }
    }
}

/// Groups the files that reach each other.
fn circles(imports: &BTreeSet<(Module, Module)>) -> Vec<BTreeSet<Module>> {
    let reach = |start: &Module| {
        let (mut seen, mut open) = (BTreeSet::new(), vec![start]);
        while let Some(at) = open.pop() {
            for (_, to) in imports.iter().filter(|(from, _)| from == at) {
                if seen.insert(to) {
                    open.push(to);
                }
            }
        }
        seen
    };
    let reached: BTreeMap<_, _> = imports.iter().map(|(from, _)| (from, reach(from))).collect();
    let mut groups = BTreeSet::new();
    for (file, others) in reached.iter().filter(|(file, others)| others.contains(*file)) {
        let back =
            |other: &&&Module| reached.get(**other).is_some_and(|there| there.contains(*file));
        groups.insert(
            others.iter().filter(back).map(|&other| other.clone()).collect::<BTreeSet<_>>(),
        );
    }
    groups.into_iter().collect()
}

/// A path in a file, such as `crate::op::Value`.
struct Import {
    /// The module in which it stands, which may be one inside of the file.
    scope: Module,
    names: Vec<String>,
    /// The name that it gets: the last one, that behind `as`, or `*`.
    alias: String,
    /// Whether it is `pub use`.
    public: bool,
}

#[derive(Default)]
struct Source {
    paths: Vec<Import>,
    /// Names of items.
    defined: BTreeSet<String>,
}

impl Source {
    fn read(text: &str, module: Module) -> Self {
        let tokens = tokens(text);
        let token = |i: usize| tokens.get(i).map_or("", String::as_str);
        let (mut source, mut scope, mut depth, mut inner) =
            (Self::default(), module, 0, Vec::new());
        let mut i = 0;
        while i < tokens.len() {
            match token(i) {
                "#" if tokens[i..].iter().take(7).eq(["#", "[", "cfg", "(", "test", ")", "]"]) => {
                    i = end_of_item(&tokens, i + 7);
                    continue;
                }
                "{" => depth += 1,
                "}" => {
                    depth -= 1;
                    if inner.last() == Some(&depth) {
                        inner.pop();
                        scope.pop();
                    }
                }
                "mod" if token(i + 2) == "{" => {
                    inner.push(depth);
                    scope.push(token(i + 1).to_owned());
                }
                "fn" | "struct" | "enum" | "trait" | "type" | "const" | "static" => {
                    source.defined.insert(token(i + 1).to_owned());
                }
                "use" if token(i + 1) != "<" => {
                    let public = i > 0 && (token(i - 1) == "pub" || token(i - 1) == ")");
                    i = source.read_use(&tokens, i + 1, &scope, Vec::new(), public);
                    continue;
                }
                _ if token(i + 1) == "::"
                    && is_name(token(i))
                    && (i == 0 || token(i - 1) != "::") =>
                {
                    let mut names = vec![token(i).to_owned()];
                    while token(i + 1) == "::" && is_name(token(i + 2)) {
                        names.push(token(i + 2).to_owned());
                        i += 2;
                    }
                    let alias = names[names.len() - 1].clone();
                    source.paths.push(Import { scope: scope.clone(), names, alias, public: false });
                }
                _ => {}
            }
            i += 1;
        }
        source
    }

    /// Reads one branch of a `use` and returns the position behind it.
    fn read_use(
        &mut self,
        tokens: &[String],
        mut i: usize,
        scope: &Module,
        mut names: Vec<String>,
        public: bool,
    ) -> usize {
        let mut alias = names.last().cloned().unwrap_or_default();
        while i < tokens.len() {
            match tokens[i].as_str() {
                "{" => {
                    i += 1;
                    while !matches!(tokens[i].as_str(), "}" | ";") {
                        i = self.read_use(tokens, i, scope, names.clone(), public);
                        i += usize::from(tokens[i] == ",");
                    }
                    return i + 1;
                }
                "*" => alias = "*".to_owned(),
                "as" => {
                    alias = tokens[i + 1].clone();
                    i += 1;
                }
                "," | "}" | ";" => break,
                "self" if !names.is_empty() => {}
                name if is_name(name) => {
                    names.push(name.to_owned());
                    alias = name.to_owned();
                }
                _ => {}
            }
            i += 1;
        }
        self.paths.push(Import { scope: scope.clone(), names, alias, public });
        i
    }
}

fn is_name(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// Returns the position behind the item that begins at `i`: a semicolon, or a block in braces.
fn end_of_item(tokens: &[String], mut i: usize) -> usize {
    let mut depth = 0;
    while i < tokens.len() {
        match tokens[i].as_str() {
            "{" => depth += 1,
            "}" if depth <= 1 => return i + 1,
            "}" => depth -= 1,
            ";" if depth == 0 => return i + 1,
            _ => {}
        }
        i += 1;
    }
    i
}

/// Splits a file into names, `::` and single characters, without comments, strings and characters.
fn tokens(text: &str) -> Vec<String> {
    let chars: Vec<char> = text.chars().collect();
    let at = |i: usize| chars.get(i).copied().unwrap_or('\n');
    let (mut tokens, mut i) = (Vec::new(), 0);
    while i < chars.len() {
        match at(i) {
            '/' if at(i + 1) == '/' => {
                while i < chars.len() && at(i) != '\n' {
                    i += 1;
                }
            }
            '"' => {
                i += 1;
                while i < chars.len() && at(i) != '"' {
                    i += 1 + usize::from(at(i) == '\\');
                }
                i += 1;
            }
            // A character, and not a lifetime.
            '\'' if at(i + 1) == '\\' || at(i + 2) == '\'' => {
                i += 2 + usize::from(at(i + 1) == '\\');
                while at(i) != '\'' {
                    i += 1;
                }
                i += 1;
            }
            ':' if at(i + 1) == ':' => {
                tokens.push("::".to_owned());
                i += 2;
            }
            c if c.is_alphanumeric() || c == '_' => {
                let start = i;
                while at(i).is_alphanumeric() || at(i) == '_' {
                    i += 1;
                }
                tokens.push(chars[start..i].iter().collect());
            }
            c => {
                if !c.is_whitespace() {
                    tokens.push(c.to_string());
                }
                i += 1;
            }
        }
    }
    tokens
}
