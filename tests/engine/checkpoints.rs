//! Checkpoints, which release values and recompute them, and temporary recordings.

use std::panic::{AssertUnwindSafe, catch_unwind};

use wengert::f64::prelude::*;
use wengert::rand::{SeedableRng, rngs::ChaCha8Rng};

/// Four layers, each checkpointed or not, and a checkpoint around all of them or not.
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
fn checkpoints_do_not_change_a_bit() {
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
fn second_derivatives_pass_through_a_checkpoint() {
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
fn a_checkpoint_holds_its_values_only_during_a_sweep() {
    let tape = Tape::new();
    let x = tape.variable(&tensor![1.0, 2.0]);
    let mut inside = None;
    let y = x.checkpoint(|x| {
        inside = Some(x.exp());
        x.exp() * inside.unwrap()
    });
    let is_released = |when: &str| {
        let panic = catch_unwind(AssertUnwindSafe(|| inside.unwrap().value())).unwrap_err();
        let text = panic.downcast_ref::<String>().map_or("", String::as_str);
        let text = panic.downcast_ref::<&str>().copied().unwrap_or(text);
        assert!(text.contains("released"), "{when}: {text}");
    };
    is_released("before");
    for _ in 0..2 {
        let g = y.sum().backward();
        for (g, x) in g.wrt(x).unwrap().as_slice().iter().zip([1.0f64, 2.0]) {
            assert!((g - 2.0 * (2.0 * x).exp()).abs() < 1e-12);
        }
        is_released("after");
    }
    assert_eq!(y.value().shape(), [2].into());
}

#[test]
fn a_checkpoint_ends_with_its_step() {
    let w = Param::new(tensor![0.5, 1.0]);
    gradients(|tape| tape.param(&w).checkpoint(|w| w.sin().exp().tanh().sqrt()).sum());
    // The next step goes on with this tape, and is shorter.
    let (_, grads) = gradients(|tape| tape.param(&w).square().sum());
    assert_eq!(grads.get(&w).unwrap(), &tensor![1.0, 2.0]);
}

#[test]
fn temporarily_keeps_only_its_result() {
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
fn parameters_can_be_used_again_after_temporarily() {
    let (layers, x) = layers();
    let plain = evaluate(|tape| loss(&layers, tape.constant(&x), false));
    let twice = evaluate(|tape| {
        tape.temporarily(|| loss(&layers, tape.constant(&x), false));
        loss(&layers, tape.constant(&x), false)
    });
    assert_eq!(plain, twice);
}

#[test]
#[should_panic(expected = "dropped at the end of `temporarily`")]
fn a_variable_from_inside_temporarily_is_refused() {
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
fn temporarily_refuses_to_lose_a_gradient() {
    let tape = Tape::new();
    let x = tape.variable(&tensor![1.0]);
    tape.temporarily(|| x.exp());
}

#[test]
fn buffer_updates_outlive_a_checkpoint() {
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
    let ((with, updates), (without, expected)) = (run(true), run(false));
    assert_eq!(with, without);
    assert_eq!(updates, expected);
    assert_eq!(updates.len(), 3);
}
