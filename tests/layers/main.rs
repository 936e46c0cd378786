//! Layers and losses against PyTorch: one forward and backward of each, from `fixtures/layers.json`,
//! in double precision to ten digits. Parameters are loaded by PyTorch's names.

use rand::{SeedableRng, rngs::ChaCha8Rng};
use wengert::f64::prelude::*;

mod norms;
mod pytorch;
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

#[test]
fn losses() {
    agrees("cross_entropy", Function, |_, x| x.cross_entropy([2, 0, 3, 1]));
    agrees("mse", Function, |_, x| x.mse(0.3));
    agrees("bce_with_logits", Function, |_, x| x.bce_with_logits(0.25));
}

#[test]
fn a_loss_is_reduced_by_mean_or_by_sum() {
    let x = Tensor::from([[1.0, 2.0], [3.0, 5.0], [-1.0, 0.5]]);
    let run = |f: &dyn for<'t> Fn(Var<'t>) -> Var<'t>| evaluate(|tape| f(tape.constant(&x))).item();
    // (1 + 4 + 9 + 25 + 1 + 0.25) / 2, over 6 elements.
    assert_eq!(run(&|x| x.mse_with(0.0, Reduction::Sum)), 40.25);
    assert_eq!(run(&|x| x.mse(0.0)), 40.25 / 6.0);
    assert_eq!(run(&|x| x.half_squares(0.0)), 20.125);
    assert_eq!(run(&|x| x.half_squares_with(0.0, Reduction::Mean)), 20.125 / 6.0);
    let labels = [0, 1, 0];
    let (sum, mean) = (
        run(&|x| x.cross_entropy_with(labels, Reduction::Sum)),
        run(&|x| x.cross_entropy_with(labels, Reduction::Mean)),
    );
    // ln(1 + e^1) + ln(1 + e^-2) + ln(1 + e^1.5)
    let by_hand = 1f64.exp().ln_1p() + (-2f64).exp().ln_1p() + 1.5f64.exp().ln_1p();
    assert!((sum - by_hand).abs() < 1e-14 && (mean - by_hand / 3.0).abs() < 1e-14);
    let sum = run(&|x| x.bce_with_logits_with(1.0, Reduction::Sum));
    assert!((run(&|x| x.bce_with_logits(1.0)) - sum / 6.0).abs() < 1e-15);
}
