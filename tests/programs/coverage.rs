//! Every public operation, layer, loss and distribution is drawn, or stands below with the reason why not. The names
//! are read from the sources, so that a new one is missed.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::random::ops::NAMES;

/// What is not drawn, and why.
const NOT_DRAWN: &[(&str, &[&str])] = &[
    (
        "part of a derivative, tested with the operations that it belongs to",
        &["greater_half", "equal_nan"],
    ),
    ("a draw is random", &["Dropout", "Dropout2d"]),
    (
        "a container computes nothing itself",
        &["Sequential", "Residual", "EvalMode", "Lambda", "Identity"],
    ),
    (
        "drawn as the layers that are made of it",
        &[
            "Conv",
            "ConvTranspose",
            "BatchNorm",
            "MaxPool",
            "AvgPool",
            "AdaptiveMaxPool",
            "AdaptiveAvgPool",
            "RnnCell",
            "LstmCell",
            "GruCell",
            "Recurrent",
            "RecurrentBuilder",
            "WithLengths",
            "Masked",
        ],
    ),
];

/// Operations with a name of their own in a program, which is PyTorch's for layers.
const RENAMED: [(&str, &str); 3] = [
    ("Attention", "scaled_dot_product_attention"),
    ("TransformerBlock", "TransformerEncoderLayer"),
    ("GeluTanh", "GELU"),
];

/// The endings of methods that take axes or settings, or add a bias: programs have one name for all forms.
const FORMS: [&str; 4] = ["_axes", "_axis", "_with_bias", ""];

fn source(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("crates").join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn sources(folder: &str) -> Vec<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("crates").join(folder);
    let files = fs::read_dir(&path).expect("a folder").map(|entry| entry.expect("a file").path());
    files
        .filter(|file| file.is_file())
        .map(|file| fs::read_to_string(file).expect("text"))
        .collect()
}

/// The name at the beginning of a text.
fn name(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// The methods of the trait `..Ops` in a file.
fn methods(text: &str) -> Vec<String> {
    let of_trait = text.lines().skip_while(|line| !line.starts_with("pub trait ")).skip(1);
    let of_trait = of_trait.take_while(|line| *line != "}");
    of_trait.filter_map(|line| line.strip_prefix("    fn ")).map(name).collect()
}

/// The rows `Struct method ..` of a table, and the rows `method method_with(..)` of losses.
fn rows(text: &str) -> Vec<String> {
    let row = |line: &str| {
        let mut words = line.trim_start().split(' ');
        let (first, second) = (words.next()?, name(words.next()?));
        let is_function = first.starts_with(char::is_uppercase)
            && second.starts_with(char::is_lowercase)
            && line.contains('|');
        match is_function {
            true => Some(second),
            false => (second == format!("{first}_with")).then(|| first.to_owned()),
        }
    };
    text.lines().filter(|line| !line.trim_start().starts_with("//")).filter_map(row).collect()
}

/// The public types of a file, and the activations, which are rows `Layer "PyTorch's name" method`.
fn types(text: &str) -> Vec<String> {
    let found = |line: &str| {
        let public = line.strip_prefix("pub struct ").or(line.strip_prefix("pub type "));
        let row = line.strip_prefix("    ").filter(|row| {
            row.split(' ').nth(1).is_some_and(|word| {
                row.starts_with(char::is_uppercase) && word.starts_with('"') && word.ends_with('"')
            })
        });
        public.or(row).map(name)
    };
    text.lines().filter_map(found).collect()
}

fn is_drawn(name: &str) -> bool {
    let drawn = |name: &str| NAMES.concat().iter().any(|own| own.eq_ignore_ascii_case(name));
    let other = RENAMED.iter().find(|(ours, _)| *ours == name).map_or(name, |(_, theirs)| theirs);
    drawn(other) || FORMS.iter().filter_map(|form| name.strip_suffix(form)).any(drawn)
}

#[test]
fn everything_is_drawn() {
    let mut public = ["index", "matmul", "movement", "reduce", "order", "linalg", "window"]
        .iter()
        .flat_map(|file| methods(&source(&format!("core/src/ops/{file}.rs"))))
        .collect::<BTreeSet<_>>();
    public.extend(rows(&source("core/src/ops/functions.rs")));
    public.extend(rows(&source("nn/src/loss/mod.rs")));
    let folders = ["nn/src/layers", "nn/src/layers/recurrent", "nn/src/distributions"];
    public.extend(folders.into_iter().flat_map(sources).flat_map(|text| types(&text)));
    for known in ["erf", "cholesky", "huber", "Conv2d", "ReLU", "Softmax", "Gru", "Normal"] {
        let is_found = public.iter().any(|name| name.eq_ignore_ascii_case(known));
        assert!(is_found, "the sources are written in another form: {known} was not found");
    }

    let excused = NOT_DRAWN.iter().flat_map(|(_, names)| names.iter().copied());
    let excused = excused.collect::<BTreeSet<_>>();
    let missing = public.iter().filter(|name| !is_drawn(name) && !excused.contains(name.as_str()));
    let missing = missing.collect::<Vec<_>>();
    assert!(missing.is_empty(), "draw these in random programs, or say why not: {missing:?}");
    let stale = excused.iter().filter(|name| !public.contains(**name) || is_drawn(name));
    let stale = stale.collect::<Vec<_>>();
    assert!(stale.is_empty(), "these are drawn, or are no more: {stale:?}");
}
