//! Layers and losses against PyTorch: one forward and backward of each, from `fixtures/layers.json`,
//! in double precision to ten digits. Parameters are loaded by PyTorch's names.

use rand::{SeedableRng, rngs::ChaCha8Rng};
use wengert::f64::prelude::*;

mod lengths;
mod linalg;
mod losses;
mod norms;
pub(crate) mod pytorch;
mod sequences;
mod window;

const FIXTURE: &str = include_str!("../fixtures/layers.json");

fn agrees<M: Params<f64>>(case: &str, model: M, f: impl for<'t> Fn(&M, Var<'t>) -> Var<'t>) {
    pytorch::agrees(FIXTURE, case, model, |model, x| vec![f(model, x[0])]);
}

/// A model without parameters.
struct Function;
params! { Function {} }

fn linear() -> Linear {
    Linear::new(4, 3, &mut ChaCha8Rng::seed_from_u64(0))
}

#[test]
fn linear_with_bias() {
    agrees("linear", linear(), |layer, x| layer.forward(x));
}

#[test]
fn linear_without_bias() {
    agrees("linear no bias", linear().without_bias(), |layer, x| layer.forward(x));
}
