//! Temporary recordings: they leave nothing behind, and draw what was not drawn before.

use std::panic::{AssertUnwindSafe, catch_unwind};

use wengert::Random;
use wengert::f64::prelude::*;
use wengert::rand::{SeedableRng, rngs::ChaCha8Rng};

use crate::panics::fails;

#[test]
fn no_two_draws_of_a_tape_are_the_same() {
    let tape = seeded(3).tape();
    let mut drawn = Vec::new();
    for _ in 0..50 {
        for _ in 0..3 {
            let inside = tape.temporarily(|| tape.random([4], Random::Uniform));
            drawn.push(inside.value().to_vec());
        }
        drawn.push(tape.random([4], Random::Uniform).value().to_vec());
        let checkpointed = tape.checkpoint(|| tape.random([4], Random::Uniform));
        drawn.push(checkpointed.value().to_vec());
    }
    for (place, one) in drawn.iter().enumerate() {
        assert!(!drawn[..place].contains(one), "draw {place} came before");
    }
}

#[test]
fn masks_of_dropout_in_temporary_passes_are_distinct() {
    let dropout = Dropout::new(0.5);
    let tape = seeded(1).tape();
    let x = tape.constant(&Tensor::ones([64]));
    let mut masks = Vec::new();
    for _ in 0..50 {
        tape.temporarily(|| {
            (0..3).for_each(|_| masks.push(dropout.forward(x).value().to_vec()));
        });
    }
    for (place, mask) in masks.iter().enumerate() {
        assert!(!masks[..place].contains(mask), "mask {place} came before");
    }
}

#[test]
fn the_mean_of_draws_varies_as_much_in_temporary_recordings_as_without() {
    // The mean of 200 uniform numbers has variance 1 / (12 * 200); measured over 400 means, the estimate has a
    // relative deviation of sqrt(2 / 400) = 0.07.
    let variance = |temporarily: bool| {
        let mean = |key: u64| {
            let tape = seeded(key).tape();
            let draw = || tape.random([1], Random::Uniform).sum();
            let sum: f64 = (0..100)
                .map(|_| {
                    let pair = || draw() + draw();
                    if temporarily { tape.temporarily(pair).item() } else { pair().item() }
                })
                .sum();
            sum / 200.0
        };
        let squares: f64 = (0..400).map(|key| (mean(key) - 0.5).powi(2)).sum();
        squares / 400.0
    };
    for temporarily in [false, true] {
        let relative = variance(temporarily) * 12.0 * 200.0;
        assert!((relative - 1.0).abs() < 0.3, "temporarily {temporarily}: {relative}");
    }
}

#[test]
fn a_binding_outside_survives_one_inside() {
    let p = Param::new(Tensor::scalar(2.0));
    for infers in [false, true] {
        let run = |tape: &Tape| {
            let value = || tape.param(&p).shape();
            let outer = tape.constant(&Tensor::scalar(5.0));
            tape.bind(&p, outer);
            tape.temporarily(|| {
                tape.bind(&p, tape.constant(&Tensor::scalar(7.0)));
                tape.bind(&p, tape.constant(&Tensor::scalar(8.0)));
                tape.temporarily(|| tape.bind(&p, tape.constant(&Tensor::scalar(9.0))));
                if !infers {
                    assert_eq!(tape.param(&p).item(), 8.0);
                }
            });
            value();
            if !infers {
                assert_eq!(tape.param(&p).item(), 5.0);
            }
        };
        if infers {
            wengert::eval_shape(|tape: &Tape| {
                run(tape);
                tape.param(&p)
            })
            .expect("shapes that fit");
        } else {
            run(&Tape::new());
        }
    }
}

#[test]
fn a_parameter_that_was_bound_only_inside_is_itself_outside() {
    let p = Param::new(Tensor::scalar(2.0));
    let tape = Tape::new();
    tape.temporarily(|| tape.bind(&p, tape.constant(&Tensor::scalar(7.0))));
    assert_eq!(tape.param(&p).item(), 2.0);
    // Used before: the leaf outside stays, with its gradient.
    tape.temporarily(|| tape.bind(&p, tape.constant(&Tensor::scalar(7.0))));
    let loss = tape.param(&p).square();
    assert_eq!(loss.item(), 4.0);
    assert_eq!(loss.backward().get(&p).expect("a gradient").item(), 4.0);
}

#[test]
fn a_parameter_that_was_frozen_inside_is_trained_outside() {
    let mut p = Param::new(Tensor::scalar(2.0));
    let tape = Tape::new();
    p.set_frozen(true);
    let teacher = tape.temporarily(|| tape.param(&p).square());
    p.set_frozen(false);
    let loss = tape.param(&p) * teacher;
    assert_eq!(loss.backward().get(&p).expect("a gradient").item(), 4.0);
}

#[test]
fn a_parameter_that_was_read_only_inside_has_no_gradient() {
    let (p, q) = (Param::new(Tensor::scalar(2.0)), Param::new(Tensor::scalar(3.0)));
    // The next step goes on with this tape, which knows the parameters.
    gradients(|tape| tape.param(&p) * &q);
    let (_, grads) = gradients(|tape| {
        let inside = tape.temporarily(|| {
            let one = tape.constant(&Tensor::scalar(1.0));
            // The node of this parameter becomes that of the other.
            (one + &p).stop_gradient()
        });
        tape.param(&q) * inside
    });
    assert!(grads.get(&p).is_none());
    assert_eq!(grads.get(&q).expect("a gradient").item(), 3.0);
}

#[test]
fn updates_of_buffers_inside_are_forgotten() {
    let (mean, x) = (Buffer::new(Tensor::scalar(0.0)), Param::new(Tensor::scalar(1.0)));
    let (_, grads) = gradients(|tape| {
        let outer = tape.constant(&Tensor::scalar(5.0));
        tape.temporarily(|| {
            // A value from outside, and one from inside.
            tape.update_buffer(&mean, outer);
            tape.update_buffer(&mean, outer * 2.0);
        });
        tape.param(&x) * outer
    });
    assert_eq!(grads.updates(), []);
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let norm = BatchNorm1d::new(3);
    let batch = Tensor::randn([8, 3], &mut rng);
    let (_, grads) = gradients(|tape| {
        tape.temporarily(|| norm.forward(tape.constant(&batch)).sum().stop_gradient());
        tape.param(&x).square()
    });
    assert_eq!(grads.updates(), []);
}

#[test]
fn layers_that_stay_open_inside_end_with_it() {
    let tape = Tape::new();
    let x = tape.constant(&Tensor::ones([2]));
    let mut open = None;
    tape.temporarily(|| {
        open = Some(tape.layer("Inner"));
    });
    fails! { x.reshape([3]), "reshape: [2] to [3]: element counts differ (2 and 3)" }
    let _outer = tape.layer("Outer");
    fails! { x.reshape([3]), "reshape: [2] to [3]: element counts differ (2 and 3), in Outer" }
}

#[test]
fn a_panic_inside_leaves_the_tape_as_it_was() {
    let p = Param::new(Tensor::scalar(2.0));
    let tape = Tape::new();
    let x = tape.variable(&Tensor::scalar(3.0));
    tape.bind(&p, x);
    let before = tape.len();
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        tape.temporarily(|| {
            tape.bind(&p, tape.constant(&Tensor::scalar(7.0)));
            let _layer = tape.layer("Layer");
            x.reshape([5])
        })
    }));
    assert!(panicked.is_err());
    // So does a result that is refused.
    assert!(catch_unwind(AssertUnwindSafe(|| tape.temporarily(|| x.exp()))).is_err());
    assert_eq!(tape.len(), before);
    assert_eq!(tape.param(&p).item(), 3.0);
    assert_eq!(x.square().backward().wrt(x).expect("a gradient").item(), 6.0);
    fails! { x.reshape([5]), "reshape: [] to [5]: element counts differ (1 and 5)" }
}

#[test]
fn several_values_can_be_kept() {
    let tape = Tape::new();
    let x = tape.variable(&Tensor::scalar(1.0));
    let c = tape.constant(&Tensor::scalar(2.0));
    let before = tape.len();
    let [a, b] = tape.temporarily(|| [c.square(), c.exp()]);
    let (d, list) = tape.temporarily(|| (c + 1.0, vec![c + 2.0, c]));
    tape.temporarily(|| ());
    assert_eq!((a.item(), b.item()), (4.0, 2f64.exp()));
    assert_eq!((d.item(), list[0].item(), list[1].item()), (3.0, 4.0, 2.0));
    assert_eq!(tape.len(), before + 5);
    fails! { tape.temporarily(|| [c, x]), "temporarily: the result depends on a value that is differentiated; its gradient would be lost" }
}

#[test]
fn a_state_of_several_values_can_be_carried_through_temporary_steps() {
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let (w, x) = (Tensor::randn([3, 3], &mut rng), Tensor::randn([2, 3], &mut rng));
    let run = |temporarily: bool| {
        evaluate(|tape| {
            let mut state = [tape.constant(&x), tape.constant(&x)];
            for _ in 0..20 {
                let [h, c] = state;
                let next = || [(h.matmul(&w) + c).tanh(), c * 0.5 + h];
                state = if temporarily { tape.temporarily(next) } else { next() };
            }
            state[0]
        })
    };
    assert_eq!(run(true), run(false));
}
