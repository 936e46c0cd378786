//! Checkpoints, which forget values and compute them again; scopes, which drop what they record.

use std::panic::{AssertUnwindSafe, catch_unwind};

use wengert::f64::prelude::*;
use wengert::rand::{SeedableRng, rngs::ChaCha8Rng};

/// Four layers, each checkpointed or not, and all of them once more around.
fn loss<'t>(layers: &[Linear], x: Var<'t>, checkpointed: bool) -> Var<'t> {
    let block = |x: Var<'t>| {
        layers.iter().fold(x, |x, layer| {
            let run = |x: Var<'t>| layer.forward(x).tanh() * x;
            if checkpointed { x.checkpoint(run) } else { run(x) }
        })
    };
    let y = if checkpointed { x.checkpoint(block) } else { block(x) };
    (y.square() * x).sum()
}

fn layers() -> (Vec<Linear>, Tensor) {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    ((0..4).map(|_| Linear::new(3, 3, &mut rng)).collect(), Tensor::randn([5, 3], &mut rng))
}

#[test]
fn bits_are_the_same_with_and_without() {
    let (layers, x) = layers();
    let [with, without] = [true, false]
        .map(|checkpointed| gradients(|tape| loss(&layers, tape.constant(&x), checkpointed)));
    assert_eq!(with.0, without.0);
    for (_, param) in layers.named_params() {
        assert!(with.1.get(param).is_some());
        assert_eq!(with.1.get(param), without.1.get(param));
    }
}

#[test]
fn higher_orders_pass_through_a_checkpoint() {
    let (layers, x) = layers();
    let [with, without] = [true, false].map(|checkpointed| {
        let tape = Tape::new();
        let x = tape.variable(&x);
        let first = grad(loss(&layers, x, checkpointed), &[x])[0];
        grad(first.square().sum(), &[x])[0].value()
    });
    assert_eq!(with, without);
}

#[test]
fn a_checkpoint_forgets_until_it_is_asked_and_again_afterwards() {
    let tape = Tape::new();
    let x = tape.variable(&tensor![1.0, 2.0]);
    let mut inside = None;
    let y = x.checkpoint(|x| {
        inside = Some(x.exp());
        x.exp() * inside.unwrap()
    });
    let forgotten = |what: &str| {
        let panic = catch_unwind(AssertUnwindSafe(|| inside.unwrap().value())).unwrap_err();
        let text = panic.downcast_ref::<String>().map_or("", String::as_str);
        let text = panic.downcast_ref::<&str>().copied().unwrap_or(text);
        assert!(text.contains("released"), "{what}: {text}");
    };
    forgotten("before");
    for _ in 0..2 {
        let g = y.sum().backward();
        for (g, x) in g.wrt(x).unwrap().as_slice().iter().zip([1.0f64, 2.0]) {
            assert!((g - 2.0 * (2.0 * x).exp()).abs() < 1e-12);
        }
        forgotten("after");
    }
    assert_eq!(y.value().shape(), [2].into());
}

#[test]
fn a_scope_keeps_what_it_returns_and_no_more() {
    let (layers, x) = layers();
    let expected = evaluate(|tape| loss(&layers, tape.constant(&x), false)).item();
    let mut longest = 0;
    let sum = evaluate(|tape| {
        (0..100).fold(tape.constant(&Tensor::scalar(0.0)), |sum, _| {
            longest = longest.max(tape.len());
            let loss = tape.temporarily(|| loss(&layers, tape.constant(&x), false));
            sum + loss
        })
    });
    assert!((sum.item() - 100.0 * expected).abs() < 1e-9);
    assert!(longest <= 2 * 100 + 1, "{longest} nodes");
}

#[test]
fn scopes_do_not_confuse_parameters() {
    let (layers, x) = layers();
    let plain = evaluate(|tape| loss(&layers, tape.constant(&x), false));
    let twice = evaluate(|tape| {
        tape.temporarily(|| loss(&layers, tape.constant(&x), false));
        loss(&layers, tape.constant(&x), false)
    });
    assert_eq!(plain, twice);
}

#[test]
#[should_panic(expected = "dropped at the end of its scope")]
fn a_variable_from_inside_a_scope_is_refused() {
    let tape = Tape::new();
    let x = tape.constant(&tensor![1.0]);
    let mut inside = None;
    let y = tape.temporarily(|| {
        inside = Some(x.exp());
        x.exp().ln()
    });
    let _ = y + inside.unwrap();
}

#[test]
#[should_panic(expected = "its gradient would be lost")]
fn a_scope_never_loses_a_gradient() {
    let tape = Tape::new();
    let x = tape.variable(&tensor![1.0]);
    tape.temporarily(|| x.exp());
}

/// The new statistics of a batch norm are recorded inside, and leave with the gradients all the same.
#[test]
fn what_a_buffer_remembers_outlives_a_checkpoint() {
    let norm = BatchNorm1d::new(2);
    let x = tensor![[1.0, 2.0], [3.0, 7.0], [-1.0, 0.5]];
    let run = |checkpointed: bool| {
        let (_, grads) = gradients(|tape| {
            let x = tape.variable(&x);
            let y = if checkpointed { x.checkpoint(|x| norm.forward(x)) } else { norm.forward(x) };
            (y * &tensor![0.5, -2.0]).square().sum()
        });
        (grads.flatten(), grads.updates().to_vec())
    };
    let ((with, remembered), (without, expected)) = (run(true), run(false));
    assert_eq!(with, without);
    assert_eq!(remembered, expected);
    assert_eq!(remembered.len(), 3);
}
