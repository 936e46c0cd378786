//! `gradients_checked`: the leaf that held a NaN, or the operation that made it.

use wengert::NotFinite;
use wengert::f64::prelude::*;
use wengert::rand::{SeedableRng, rngs::ChaCha8Rng};

const NAN: f64 = f64::NAN;

/// The end of a message after the location.
fn told(error: &NotFinite) -> String {
    let text = error.to_string();
    let end = text.split(&format!("{}:{}:", file!(), error.location.line())).nth(1);
    end.unwrap_or_else(|| panic!("{text} names no line of this file")).to_owned()
}

#[test]
fn nan_in_the_data_is_told_as_such() {
    let x = tensor![[1.0, NAN], [3.0, 4.0]];
    let (line, result) = (
        line!() + 1,
        gradients_checked(|tape| (tape.constant(&x) * tape.variable(&Tensor::scalar(1.0))).sum()),
    );
    let error = result.unwrap_err();
    assert_eq!((&*error.operation, error.is_leaf, error.location.line()), ("constant", true, line));
    assert_eq!((&*error.position, error.cotangent), (&[0, 1][..], None));
    assert!(error.number.is_nan());
    assert!(error.to_string().starts_with("the constant recorded at "), "{error}");
    assert!(told(&error).ends_with(" holds NaN at [0, 1]"), "{error}");
}

#[test]
fn nan_in_the_data_of_a_network_is_told_as_such() {
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let net = Sequential::new()
        .then(Linear::new(2, 3, &mut rng))
        .then(Tanh)
        .then(Linear::new(3, 1, &mut rng));
    let (x, y) = (tensor![[1.0, 2.0], [NAN, 4.0]], tensor![[1.0], [2.0]]);
    let error = gradients_checked(|tape| net.forward(tape.constant(&x)).mse(&y)).unwrap_err();
    assert_eq!((&*error.operation, &*error.position), ("constant", &[1, 0][..]));
    // In the target, which is recorded inside of the loss.
    let error = gradients_checked(|tape| {
        net.forward(tape.constant(&y.expand([2, 2]))).mse(&tensor![[1.0], [NAN]])
    });
    let error = error.unwrap_err();
    assert_eq!((&*error.operation, &*error.position), ("constant", &[1, 0][..]));
    // A variable.
    let error = gradients_checked(|tape| net.forward(tape.variable(&x)).mse(&y)).unwrap_err();
    assert_eq!((&*error.operation, &*error.position), ("variable", &[1, 0][..]));
}

#[test]
fn a_parameter_is_told_by_its_name() {
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let mut net = Sequential::new()
        .then(Linear::new(2, 3, &mut rng))
        .then(Tanh)
        .then(Linear::new(3, 1, &mut rng));
    net.for_each_param_mut(&mut |path, param| {
        if path.to_string() == "2.weight" {
            param.value_mut().as_mut_slice()[1] = NAN;
        }
    });
    let x = tensor![[1.0, 2.0]];
    for checkpointed in [false, true] {
        let run = |x: Var<'_>| {
            let forward = |x| net.forward(x).square().sum();
            (if checkpointed { x.checkpoint(forward) } else { forward(x) }).value()
        };
        assert!(run(Tape::new().constant(&x)).item().is_nan());
        let error = gradients_checked(|tape| {
            let x = tape.constant(&x);
            if checkpointed {
                x.checkpoint(|x| net.forward(x).square().sum())
            } else {
                net.forward(x).square().sum()
            }
        });
        let error = error.unwrap_err();
        assert_eq!((&*error.operation, &*error.position), ("parameter", &[0, 1][..]));
        assert_eq!(error.param, net.param("2.weight").map(Param::id));
        let error = error.in_model(&net);
        assert_eq!(&*error.operation, "parameter 2.weight");
        assert!(error.to_string().starts_with("the parameter 2.weight recorded at "), "{error}");
    }
}

#[test]
fn infinity_in_the_data_is_told_and_a_mask_is_not() {
    let x = tensor![1.0, f64::INFINITY];
    let error =
        gradients_checked(|tape| (tape.constant(&x) * tape.variable(&x)).sum()).unwrap_err();
    assert_eq!((&*error.operation, &*error.position), ("constant", &[1][..]));
    let error = gradients_checked(|tape| {
        let x = tape.constant(&x);
        (x - x.mean()).sum() * tape.variable(&Tensor::scalar(1.0))
    });
    assert_eq!((&*error.unwrap_err().operation), "constant");
    // A mask of negative infinities is no mistake, and not to blame for what others do.
    let mask = tensor![0.0, f64::NEG_INFINITY];
    let x = tensor![1.0, 2.0];
    let checked = gradients_checked(|tape| (tape.variable(&x) + &mask).softmax().square().sum());
    assert_eq!(checked.expect("finite gradients").0, 1.0);
    let error = gradients_checked(|tape| {
        let y = (tape.variable(&x) + &mask).softmax();
        (y.sum() - 1.0).ln()
    });
    assert_eq!(&*error.unwrap_err().operation, "ln");
    // A row in which all is masked: the softmax makes the NaN, out of infinities.
    let all = Tensor::full([2], f64::NEG_INFINITY);
    let error = gradients_checked(|tape| (tape.variable(&x) + &all).softmax().sum()).unwrap_err();
    assert!(!error.is_leaf && error.number.is_nan(), "{error}");
    // Where nothing else can be named, the mask is.
    let error = gradients_checked(|tape| (tape.variable(&x) + &all).sum()).unwrap_err();
    assert_eq!((&*error.operation, &*error.position), ("constant", &[0][..]));
}

#[test]
fn data_that_is_selected_away_is_no_mistake() {
    let x = tensor![1.0, NAN];
    let known = tensor![1.0, 0.0];
    let (loss, grads, w) = {
        let w = Param::new(tensor![2.0, 3.0]);
        let (loss, grads) = gradients_checked(|tape| {
            let x = tape.constant(&known).where_cond(tape.constant(&x), 0.0);
            (x * &w).sum()
        })
        .expect("finite gradients");
        (loss, grads, w)
    };
    assert_eq!(loss, 2.0);
    assert_eq!(grads.get(&w).expect("a gradient"), &tensor![1.0, 0.0]);
    // What reaches only a gradient is told too: 0 * NaN in the product's derivative.
    let (x, w) = (tensor![[1.0, NAN], [1.0, 2.0]], Param::new(tensor![[1.0], [1.0]]));
    let error = gradients_checked(|tape| {
        let y = tape.constant(&x).matmul(&w);
        tape.constant(&tensor![[0.0], [1.0]]).where_cond(y, 0.0).sum()
    });
    let error = error.unwrap_err();
    assert_eq!((&*error.operation, &*error.position), ("constant", &[0, 1][..]));
}

#[test]
fn an_operation_inside_a_checkpoint_is_told() {
    let w = Param::new(tensor![4.0, 0.0]);
    let error =
        gradients_checked(|tape| tape.param(&w).checkpoint(|x| (x.ln() * 2.0).exp().sqrt().sum()));
    let error = error.unwrap_err();
    assert_eq!((&*error.operation, error.is_leaf, error.number), ("ln", false, f64::NEG_INFINITY));
}
