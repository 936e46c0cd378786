//! The gradient checker: it accepts right derivatives close to kinks, and names a kink; it refuses a small mistake
//! in one element of thousands.

use std::slice::from_ref;

use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};
use wengert::f64::prelude::*;
use wengert::{Against, Check, Float, UnaryOp, Value};

/// `x^2` with a derivative that is wrong by a ten-thousandth.
#[derive(Clone, Debug)]
struct SlightlyWrong;

impl UnaryOp for SlightlyWrong {
    fn value<F: Float>(&self, x: F) -> F {
        x * x
    }
    fn derivative<M: UnaryOps>(&self, x: &M, _: &M) -> M {
        x.mul_scalar(2.0 * (1.0 + 1e-4))
    }
}

fn uniform(shape: [usize; 2], seed: u64) -> Tensor {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    Tensor::from_fn(shape, |_| rng.random_range(-2.0..2.0))
}

#[test]
fn a_thousand_relus_are_accepted() {
    for seed in 0..100 {
        let x = uniform([32, 32], seed);
        Check::new().seed(seed).gradients(|x| x[0].relu(), &[x]).unwrap();
    }
}

/// A net of two layers with relu between them, checked on random inputs and labels.
fn check_relu_net([inputs, hidden, outputs]: [usize; 3], batch: usize, seed: u64) {
    let rng = &mut ChaCha8Rng::seed_from_u64(seed);
    let net = Sequential::new()
        .then(Linear::new(inputs, hidden, rng))
        .then(Relu)
        .then(Linear::new(hidden, outputs, rng));
    let x = uniform([batch, inputs], seed);
    let labels = (0..batch).map(|i| (i * 7 + seed as usize) % outputs).collect::<Vec<_>>();
    let labels = Indices::from_vec(labels, [batch]);
    Check::new()
        .seed(seed)
        .model(&net, |tape| net.forward(tape.constant(&x)).cross_entropy(&labels))
        .unwrap();
}

#[test]
fn nets_with_thousands_of_relus_are_accepted() {
    (0..100).for_each(|seed| check_relu_net([6, 32, 3], 16, seed));
    (0..5).for_each(|seed| check_relu_net([64, 128, 10], 32, seed));
}

#[test]
fn kinks_of_all_kinds_nearby_are_accepted() {
    let near = Tensor::from([1e-5, -3e-4, 2e-3, -1e-6, 0.7, -1.3]);
    let other = &near * 0.5;
    let check = Check::new().seed(4);
    check.gradients(|x| x[0].abs() * x[0], from_ref(&near)).unwrap();
    check.gradients(|x| x[0].leaky_relu(0.1).square(), from_ref(&near)).unwrap();
    check.gradients(|x| x[0].maximum(x[1]), &[near.clone(), other.clone()]).unwrap();
    check.gradients(|x| x[0].max() * x[0].sum(), from_ref(&near)).unwrap();
    check.gradients(|x| x[0].greater(0.0).where_cond(x[0].exp(), x[1]), &[near, other]).unwrap();
}

#[test]
fn a_kink_is_called_a_kink() {
    let at_kink = Tensor::from([[1.0, 2.0], [0.0, 3.0]]);
    let error = Check::new().full().gradients(|x| x[0].relu(), from_ref(&at_kink)).unwrap_err();
    assert_eq!(error.index, Some(vec![1, 0]));
    let Against::Kink { left, right } = error.against else { panic!("{error}") };
    assert!(left == 0.0 && right > 0.9, "{error}");
    // A wrong derivative away from kinks is not excused as one.
    let error = Check::new().gradients(|x| x[0].apply_op(SlightlyWrong), &[at_kink]).unwrap_err();
    assert_eq!(error.against, Against::FiniteDifferences);
}

#[test]
fn a_small_mistake_in_one_of_8192_elements_is_found() {
    // The checker's tolerance is 1e-6 absolute where a derivative is below 1.
    let weight = uniform([64, 128], 1).abs() + 0.1;
    let wrong_at = 1_000;
    let mask = Tensor::from_fn([64, 128], |i| if i == wrong_at { 1.0 } else { 0.0 });
    let check = Check::new().order(1).full();
    let outcome = check.gradients(
        |x| {
            let right = x[0].square();
            (right + (x[0].apply_op(SlightlyWrong) - right) * &mask).sum()
        },
        &[weight],
    );
    let error = outcome.unwrap_err();
    assert_eq!(error.index, Some(vec![wrong_at / 128, wrong_at % 128]));
    assert_eq!(error.against, Against::FiniteDifferences);
}
