//! The numbers of one model written into another, by name.

use std::collections::{BTreeSet, HashMap};
use std::fmt::Write;

use super::{Params, Path};
use crate::{Float, Tensor};

/// Calls `write` for each parameter and buffer with its own numbers and those of the same name in `other`.
///
/// # Panics
/// If the models differ in a name or a shape, before anything is written.
#[track_caller]
pub(super) fn by_name<F: Float>(
    operation: &str,
    model: &mut (impl Params<F> + ?Sized),
    other: &dyn Params<F>,
    mut write: impl FnMut(&mut [F], &[F]),
) {
    let mut others = HashMap::new();
    other.visit(Path::ROOT, &mut |path, leaf| {
        others.insert(path.to_string(), leaf.value());
    });
    let differences = differences(model, &others);
    assert!(differences.is_empty(), "{operation}: the models differ{differences}");
    model.visit_mut(Path::ROOT, &mut |path, leaf| {
        write(leaf.into_value().as_mut_slice(), others[&path.to_string()].as_slice());
    });
}

/// Lists the names that only one of the models has and the shapes that differ, a line for each kind.
fn differences<F: Float>(
    model: &(impl Params<F> + ?Sized),
    others: &HashMap<String, &Tensor<F>>,
) -> String {
    let mut unexpected: BTreeSet<&str> = others.keys().map(String::as_str).collect();
    let (mut missing, mut shapes) = (Vec::new(), Vec::new());
    model.visit(Path::ROOT, &mut |path, leaf| {
        let (name, own) = (path.to_string(), leaf.value().shape());
        match others.get(&name).map(|other| other.shape()) {
            None => missing.push(name.clone()),
            Some(other) if other != own => shapes.push(format!("{name} {own:?} and {other:?}")),
            Some(_) => {}
        }
        unexpected.remove(name.as_str());
    });
    let unexpected = unexpected.into_iter().map(str::to_owned).collect();
    let mut text = String::new();
    for (kind, names) in [
        ("not in the other", missing),
        ("in the other only", unexpected),
        ("of different shapes", shapes),
    ] {
        if !names.is_empty() {
            write!(text, "\n  {kind}: {}", names.join(", ")).expect("strings grow");
        }
    }
    text
}
