//! Layers and losses against PyTorch: one forward and backward of each, from `fixtures/layers.json`,
//! in double precision to ten digits. Parameters are loaded by PyTorch's names.

use rand::{SeedableRng, rngs::ChaCha8Rng};
use serde_json::Value as Json;
use wengert::f64::prelude::*;

fn tensor(json: &Json) -> Tensor {
    let list = |key: &str| json[key].as_array().expect(key).iter();
    let shape = list("shape").map(|n| n.as_u64().expect("an extent") as usize).collect::<Vec<_>>();
    let data = list("data").map(|x| x.as_f64().expect("a number")).collect();
    Tensor::from_vec(data, &*shape)
}

fn assert_near(what: &str, ours: &Tensor, theirs: &Tensor) {
    assert_eq!(ours.shape(), theirs.shape(), "{what}: the shapes differ");
    for (ours, theirs) in ours.as_slice().iter().zip(theirs.as_slice()) {
        let error = (ours - theirs).abs();
        assert!(
            error <= 1e-10 * theirs.abs().max(1.0),
            "{what}: {ours} where PyTorch has {theirs}"
        );
    }
}

/// Holds a model to a case of the fixture: outputs, and the gradients of their weighted sum by the
/// input and by each parameter.
fn agrees<M: Params<f64>>(
    case: &str,
    mut model: M,
    forward: impl for<'t> Fn(&M, Var<'t>) -> Var<'t>,
) {
    let fixture: Json = serde_json::from_str(include_str!("fixtures/layers.json")).expect("JSON");
    let expected = &fixture["cases"][case];
    let parameters = expected["parameters"].as_object().expect("parameters");
    let mut loaded = 0;
    model.for_each_param_mut(&mut |path, param| {
        param.set(tensor(&parameters[&path.to_string()]));
        loaded += 1;
    });
    assert_eq!(loaded, parameters.len(), "{case}: not every parameter has a place");

    let tape = Tape::new();
    let x = tape.variable(&tensor(&expected["inputs"][0]));
    let y = forward(&model, x);
    assert_near(&format!("{case}, output"), &y.value(), &tensor(&expected["outputs"][0]));
    let gradients = (y * &tensor(&expected["weights"][0])).sum().backward();
    let theirs = tensor(&expected["input_grads"][0]);
    assert_near(&format!("{case}, gradient of the input"), gradients.wrt(x).unwrap(), &theirs);
    for (name, theirs) in expected["parameter_grads"].as_object().expect("gradients") {
        let ours = gradients.named(&model, name).expect("a gradient");
        assert_near(&format!("{case}, gradient of {name}"), ours, &tensor(theirs));
    }
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
fn activations() {
    agrees("gelu", Gelu, |layer, x| layer.forward(x));
    agrees("silu", Silu, |layer, x| layer.forward(x));
    agrees("softplus", Function, |_, x| x.softplus());
}

#[test]
fn softmax_and_its_logarithm() {
    agrees("softmax", Function, |_, x| x.softmax());
    agrees("log_softmax", Function, |_, x| x.log_softmax());
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
