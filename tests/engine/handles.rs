//! Variables, indices and gradients that are used with another tape, or after they were dropped. The line is the
//! caller's.

use wengert::core::IndexVar;
use wengert::prelude::*;
use wengert::{Float, Random, Value, custom_vjp};

use crate::panics::{caught, fails};

const STALE: &str = "this variable was dropped at the end of `temporarily`";
const MIXED: &str = "variables of two tapes do not mix";

/// A variable that is no longer on the tape. Another one has its number.
fn stale(tape: &Tape) -> Var<'_> {
    let mut inside = None;
    tape.temporarily(|| {
        inside = Some(tape.constant(&Tensor::ones([2, 2])));
    });
    tape.variable(&Tensor::zeros([2, 2]));
    inside.expect("a variable")
}

#[test]
#[rustfmt::skip] // A call stands on the line of its `fails!`.
fn a_stale_variable_is_refused_by_every_operation() {
    let tape = Tape::new();
    let (x, good) = (stale(&tape), tape.variable(&Tensor::ones([2, 2])));
    let (p, t) = (Param::new(Tensor::ones([2, 2])), Tensor::ones([2, 2]));
    fails! { x.shape(), STALE }
    fails! { Value::shape(&x), STALE }
    fails! { x.value(), STALE }
    fails! { x.item(), STALE }
    fails! { x.backward(), STALE }
    fails! { x + good, STALE }
    fails! { good - x, STALE }
    fails! { x * 2.0, STALE }
    fails! { 2.0 / x, STALE }
    fails! { -x, STALE }
    fails! { x + &p, STALE }
    fails! { &t * x, STALE }
    fails! { x.exp(), STALE }
    fails! { x.clamp(0.0, 1.0), STALE }
    fails! { x.powf(2.0), STALE }
    fails! { good.maximum(x), STALE }
    fails! { good.pow(x), STALE }
    fails! { good.where_cond(x, 0.0), STALE }
    fails! { x.matmul(good), STALE }
    fails! { good.matmul(x), STALE }
    fails! { good.matmul_transposed(x), STALE }
    fails! { good.linear(x, &t), STALE }
    fails! { x.flatten().dot(good.flatten()), STALE }
    fails! { good.flatten().outer(x), STALE }
    fails! { einsum("ij,jk->ik", &[good, x]), STALE }
    fails! { x.sum(), STALE }
    fails! { x.mean_axes(0, false), STALE }
    fails! { x.max(), STALE }
    fails! { x.prod(), STALE }
    fails! { x.std(1), STALE }
    fails! { x.norm(2.0), STALE }
    fails! { x.softmax(), STALE }
    fails! { x.log_softmax_axis(0), STALE }
    fails! { x.cumsum(0), STALE }
    fails! { x.cummax(0), STALE }
    fails! { x.sort(0, false), STALE }
    fails! { good.sort_by(x, 0, false), STALE }
    fails! { x.topk(1, 0, true), STALE }
    fails! { good.solve(x), STALE }
    fails! { x.solve_triangular(good, true), STALE }
    fails! { x.inv(), STALE }
    fails! { x.slogdet(), STALE }
    fails! { x.qr(), STALE }
    fails! { x.eigh(), STALE }
    fails! { custom_vjp([x], [2, 2], |[x]| x.clone(), |_, _, g| [g]), STALE }
    fails! { x.reshape([4]), STALE }
    fails! { x.flatten(), STALE }
    fails! { x.permute([1, 0]), STALE }
    fails! { x.transpose(0, 1), STALE }
    fails! { x.expand([2, 2, 2]), STALE }
    fails! { x.squeeze([0]), STALE }
    fails! { x.unsqueeze(0), STALE }
    fails! { x.slice(0, 1..), STALE }
    fails! { x.narrow(0, 0, 1), STALE }
    fails! { x.split(&[1, 1], 0), STALE }
    fails! { x.chunk(2, 0), STALE }
    fails! { x.flip([0]), STALE }
    fails! { x.roll(1, 0), STALE }
    fails! { x.pad(0, 1, 1, 0.0), STALE }
    fails! { x.repeat([2, 1]), STALE }
    fails! { x.tril(0), STALE }
    fails! { x.diag(0), STALE }
    fails! { x.stop_gradient(), STALE }
    fails! { MovementOps::concat(&[good, x], 0), STALE }
    fails! { MovementOps::stack(&[x, good], 0), STALE }
    fails! { x.pick([0, 1]), STALE }
    fails! { x.index_select(0, [1]), STALE }
    fails! { x.unsqueeze(0).max_pool1d(1), STALE }
    fails! { x.cross_entropy([0, 1]), STALE }
    fails! { good.mse(x), STALE }
    fails! { x.checkpoint(|x| x.exp()), STALE }
}

#[test]
#[rustfmt::skip]
fn a_stale_variable_is_refused_by_the_tape_and_by_derivatives() {
    let tape = Tape::new();
    let (x, good) = (stale(&tape), tape.variable(&Tensor::ones([2, 2])));
    let (loss, p) = (good.sum(), Param::new(Tensor::ones([2, 2])));
    fails! { tape.bind(&p, x), STALE }
    fails! { tape.update_buffer(&Buffer::new(Tensor::ones([2, 2])), x), STALE }
    fails! { tape.layer("Layer").output(x), STALE }
    fails! { tape.temporarily(|| x), STALE }
    fails! { tape.checkpoint(|| [good, x]), STALE }
    fails! { loss.backward().wrt(x), STALE }
    fails! { grad(x, &[good]), STALE }
    fails! { grad(loss, &[x]), STALE }
    fails! { vjp(x, &[good], good), STALE }
    fails! { vjp(good, &[good], x), STALE }
    fails! { jvp(x, &[good], &[good]), STALE }
    fails! { jvp(good, &[x], &[good]), STALE }
    fails! { jvp(good, &[good], &[x]), STALE }
    fails! { hvp(loss, &[good], &[x]), STALE }
    fails! { hvp(x, &[good], &[good]), STALE }
    fails! { jacobian(x, good), STALE }
    fails! { jacobian(good, x), STALE }
    fails! { hessian(loss, x), STALE }
    assert!(format!("{x:?}").ends_with("dropped"), "{x:?}");
}

#[test]
#[rustfmt::skip]
fn variables_of_two_tapes_do_not_mix_in_derivatives() {
    let (one, other) = (Tape::new(), Tape::new());
    let (a, b) = (one.variable(&Tensor::ones([2])), other.variable(&Tensor::ones([2])));
    let p = Param::new(Tensor::ones([2]));
    fails! { vjp(a, &[a], b), MIXED }
    fails! { jvp(a, &[a], &[b]), MIXED }
    fails! { jvp(b, &[a], &[a]), MIXED }
    fails! { hvp(a.sum(), &[a], &[b]), MIXED }
    fails! { jacobian(a, b), MIXED }
    fails! { one.bind(&p, b), MIXED }
    fails! { one.temporarily(|| b), MIXED }
    fails! { one.checkpoint(|| b), MIXED }
    fails! { one.layer("Layer").output(b), MIXED }
}

#[test]
#[rustfmt::skip]
fn gradients_refuse_a_variable_of_another_tape() {
    let (one, other) = (Tape::new(), Tape::new());
    let (a, b) = (one.variable(&Tensor::ones([2])), other.variable(&Tensor::ones([3])));
    let grads = a.square().sum().backward();
    let message = "wrt: the variable is not on the tape of the loss";
    fails! { grads.wrt(b), message }
    fails! { grads.clone().wrt(b), message }
    fails! { Gradients::from_params(Vec::new()).wrt(a), message }
    assert_eq!(grads.clone().wrt(a), Some(&Tensor::full([2], 2.0)));
    // A constant, and a variable that came later, are on the tape; the loss does not depend on them.
    assert_eq!(grads.wrt(one.constant(&Tensor::ones([2]))), None);
    assert_eq!(grads.wrt(one.variable(&Tensor::ones([2]))), None);
    // The tape of a step is used again by the next; its gradients are not.
    let (_, first, ()) = gradients_with(|tape| (tape.variable(&Tensor::ones([1])).sum(), ()));
    gradients_with(|tape| {
        let x = tape.variable(&Tensor::ones([1]));
        fails! { first.wrt(x), message }
        (x.sum(), ())
    });
}

#[test]
fn the_gradient_of_a_dropped_variable_is_not_taken_for_that_of_its_successor() {
    let tape = Tape::new();
    let mut grads = None;
    tape.temporarily(|| {
        let x = tape.variable(&Tensor::scalar(3.0));
        grads = Some(x.square().sum().backward());
    });
    let successor = tape.variable(&Tensor::scalar(5.0));
    assert_eq!(grads.expect("gradients").wrt(successor), None);
}

/// Indices that are no longer on the tape. Others have their number and their place.
fn stale_indices(tape: &Tape) -> IndexVar<'_, f32> {
    let mut inside = None;
    tape.temporarily(|| {
        inside = Some(tape.indices([0, 1]));
    });
    tape.indices([1, 1]);
    inside.expect("indices")
}

#[test]
#[rustfmt::skip]
fn stale_indices_are_refused() {
    let (tape, other) = (Tape::new(), Tape::new());
    let x = tape.variable(&Tensor::from([[1.0, 2.0], [3.0, 4.0]]));
    let index = stale_indices(&tape);
    let message = "these indices were dropped at the end of `temporarily`";
    fails! { Var::apply_indexed(wengert::ops::Pick, &x, &index), message }
    let foreign = other.indices([0, 1]);
    let message = "variables and indices of two tapes do not mix";
    fails! { Var::apply_indexed(wengert::ops::Pick, &x, &foreign), message }
}

#[test]
fn a_key_is_used_with_all_its_bits() {
    fn draw<F: Float>(key: u64) -> Vec<f64> {
        let drawn = wengert::seeded::<F>(key).evaluate(|tape| tape.random([8], Random::Uniform));
        drawn.as_slice().iter().map(|x| x.to_f64()).collect()
    }
    for bit in [31, 32, 33, 62, 63] {
        assert_ne!(draw::<f32>(5), draw::<f32>(5 ^ (1 << bit)), "bit {bit}");
        assert_ne!(draw::<f64>(5), draw::<f64>(5 ^ (1 << bit)), "bit {bit}");
    }
    assert_eq!(draw::<f64>(5), draw::<f64>(5));
}

#[test]
fn a_key_needs_no_type_under_a_prelude() {
    let noise = seeded(7).tape().random([3], Random::Normal).value();
    assert_eq!(noise, seeded(7).evaluate(|tape| tape.random([3], Random::Normal)));
    let caught = caught(|| _ = Tape::new().random([3], Random::Normal));
    assert!(caught.message.contains("no key"));
}
