//! The operations of random programs, by family: how each is drawn, and how it runs.

mod elementwise;
mod index;
mod layer;
mod loss;
mod product;
mod reduce;
mod shape;
mod window;

use wengert::Float;
use wengert::core::Var;

use super::draw::{Draw, Drawn};
use super::program::Settings;

/// The names of a family, and how one of them is drawn.
pub(super) type Family = (&'static [&'static str], fn(&str, &mut Draw<'_>) -> Drawn);

/// All families. Those with many operations stand twice.
pub(super) const FAMILIES: [Family; 11] = [
    (elementwise::UNARY, elementwise::draw),
    (elementwise::UNARY, elementwise::draw),
    (elementwise::BINARY, elementwise::draw),
    (reduce::NAMES, reduce::draw),
    (shape::NAMES, shape::draw),
    (index::NAMES, index::draw),
    (product::NAMES, product::draw),
    (window::NAMES, window::draw),
    (layer::NAMES, layer::draw),
    (loss::NAMES, loss::draw),
    (loss::NAMES, loss::draw),
];

/// The names of the operations of each family.
pub(crate) const NAMES: [&[&str]; 9] = [
    elementwise::UNARY,
    elementwise::BINARY,
    reduce::NAMES,
    shape::NAMES,
    index::NAMES,
    product::NAMES,
    window::NAMES,
    layer::NAMES,
    loss::NAMES,
];

/// Runs an operation.
///
/// # Panics
/// If there is none of this name.
pub(super) fn run<'t, F: Float>(op: &str, x: &[Var<'t, F>], s: &Settings) -> Var<'t, F> {
    elementwise::run(op, x, s)
        .or_else(|| reduce::run(op, x, s))
        .or_else(|| shape::run(op, x, s))
        .or_else(|| index::run(op, x, s))
        .or_else(|| product::run(op, x, s))
        .or_else(|| window::run(op, x, s))
        .or_else(|| layer::run(op, x, s))
        .or_else(|| loss::run(op, x, s))
        .unwrap_or_else(|| panic!("no operation {op}"))
}
