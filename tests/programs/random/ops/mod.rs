//! The operations of random programs, by family: how each is drawn, and how it runs.

mod distribution;
mod elementwise;
mod index;
mod layer;
mod linalg;
mod loss;
mod order;
mod plain_layer;
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
pub(super) const FAMILIES: [Family; 15] = [
    (elementwise::UNARY, elementwise::draw),
    (elementwise::UNARY, elementwise::draw),
    (elementwise::BINARY, elementwise::draw),
    (reduce::NAMES, reduce::draw),
    (shape::NAMES, shape::draw),
    (index::NAMES, index::draw),
    (product::NAMES, product::draw),
    (linalg::NAMES, linalg::draw),
    (order::NAMES, order::draw),
    (window::NAMES, window::draw),
    (layer::NAMES, layer::draw),
    (plain_layer::NAMES, plain_layer::draw),
    (loss::NAMES, loss::draw),
    (loss::NAMES, loss::draw),
    (distribution::NAMES, distribution::draw),
];

/// The names of the operations of each family.
pub(crate) const NAMES: [&[&str]; 13] = [
    elementwise::UNARY,
    elementwise::BINARY,
    reduce::NAMES,
    shape::NAMES,
    index::NAMES,
    product::NAMES,
    linalg::NAMES,
    order::NAMES,
    window::NAMES,
    layer::NAMES,
    plain_layer::NAMES,
    loss::NAMES,
    distribution::NAMES,
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
        .or_else(|| linalg::run(op, x, s))
        .or_else(|| order::run(op, x, s))
        .or_else(|| window::run(op, x, s))
        .or_else(|| layer::run(op, x, s))
        .or_else(|| plain_layer::run(op, x, s))
        .or_else(|| loss::run(op, x, s))
        .or_else(|| distribution::run(op, x, s))
        .unwrap_or_else(|| panic!("no operation {op}"))
}
