//! Integers where floating-point numbers belong.

use wengert::prelude::*;

fn double<'t>(x: Var<'t>) -> Var<'t> {
    2 * x
}

fn increment<'t>(x: Var<'t>) -> Var<'t> {
    x + 1
}

fn scale(x: &Tensor) -> Tensor {
    x * 3
}

fn main() {}
