//! Operations from functions with a given derivative: an implicit layer against its unrolled iterations, at any order and
//! wherever a tape runs again.

use wengert::f64::prelude::*;
use wengert::{Value, check_gradients, check_model, custom_vjp};

use crate::panics::{caught, fails};

/// One iteration of `z = tanh(W z + x)` for each row of `x`.
fn iteration<V: Value>(w: &V, x: &V, z: &V) -> V {
    (z.matmul_transposed(w) + x).tanh()
}

/// The fixed point, with the derivative of the implicit function theorem: `u = (1 - J^T)^-1 g` is carried through one
/// iteration.
fn fixed_point<'t>(w: Var<'t>, x: Var<'t>) -> Var<'t> {
    custom_vjp(
        [w, x],
        x.shape(),
        |[w, x]| (0..200).fold(x.clone(), |z, _| iteration(w, x, &z)),
        |[w, x], z, g| {
            let y = iteration(&w, &x, &z);
            let n = z.shape().numel();
            let jacobian = jacobian(y, z).reshape([n, n]);
            let system = -jacobian.transpose(0, 1) + &Tensor::eye(n);
            let u = system.solve(g.reshape([n])).reshape(g.shape());
            let partial = vjp(y, &[w, x], u);
            [partial[0], partial[1]]
        },
    )
}

/// The same by differentiating all iterations.
fn unrolled<'t>(w: Var<'t>, x: Var<'t>) -> Var<'t> {
    (0..200).fold(x, |z, _| iteration(&w, &x, &z))
}

/// A weight that makes the iteration a contraction.
fn weight() -> Tensor {
    tensor![[0.3, -0.2, 0.1], [0.2, 0.25, -0.3], [-0.1, 0.2, 0.3]]
}

fn input() -> Tensor {
    tensor![[0.5, -1.0, 0.2], [1.5, 0.3, -0.7]]
}

#[track_caller]
fn assert_near(ours: &Tensor, expected: &Tensor) {
    let distance = (ours - expected).abs().max().item();
    assert!(distance < 1e-13, "{distance}: {ours} for {expected}");
}

#[test]
fn an_implicit_layer_has_the_derivatives_of_its_iterations() {
    let tape = Tape::new();
    let (w, x) = (tape.variable(&weight()), tape.variable(&input()));
    let (y, expected) = (fixed_point(w, x), unrolled(w, x));
    assert_near(&y.value(), &expected.value());
    let (loss, plain) = (y.square().sum(), expected.square().sum());
    let computed = loss.backward();
    let [first, plain_first] = [loss, plain].map(|loss| grad(loss, &[w, x]));
    for (i, var) in [w, x].into_iter().enumerate() {
        assert_near(&first[i].value(), &plain_first[i].value());
        assert_near(computed.wrt(var).unwrap(), &plain_first[i].value());
    }
    let [second, plain_second] =
        [first, plain_first].map(|first| grad(first[0].sin().sum() + first[1].sum(), &[w, x]));
    for (ours, expected) in second.iter().zip(plain_second) {
        assert_near(&ours.value(), &expected.value());
    }
    let v = [tape.constant(&(weight() * 2.0)), tape.constant(&input())];
    for (ours, expected) in hvp(loss, &[w, x], &v).iter().zip(hvp(plain, &[w, x], &v)) {
        assert_near(&ours.value(), &expected.value());
    }
    assert_near(&jvp(y, &[w, x], &v).value(), &jvp(expected, &[w, x], &v).value());
}

#[test]
fn the_checker_accepts_it_at_order_two() {
    check_gradients(|x| fixed_point(x[0], x[1]), &[weight(), input()]).unwrap();
    // And refuses a derivative that is wrong.
    let outcome = check_gradients(
        |x| custom_vjp([x[0]], x[0].shape(), |[x]| x.square(), |[x], _, g| [g * x * 2.1]),
        &[input()],
    );
    assert!(outcome.is_err());
}

#[test]
fn it_runs_again_in_programs_and_checkpoints() {
    let mut params = vec![Param::new(weight()), Param::new(input())];
    let mut step = Program::<Vec<Param>, ()>::new(|params, tape, ()| {
        fixed_point(tape.param(&params[0]), tape.param(&params[1])).square().sum()
    });
    for run in 0..4 {
        let (value, plain) = gradients(|tape| {
            fixed_point(tape.param(&params[0]), tape.param(&params[1])).square().sum()
        });
        let (again, repeated) = step.gradients(&params, ());
        let (saved, checkpointed) = gradients(|tape| {
            let (w, x) = (tape.param(&params[0]), tape.param(&params[1]));
            tape.checkpoint(|| fixed_point(w, x)).square().sum()
        });
        assert_eq!((value, value), (again, saved));
        for param in &params {
            assert_eq!(repeated.get(param), plain.get(param), "run {run}");
            assert_eq!(checkpointed.get(param), plain.get(param));
        }
        params[0].value_mut().as_mut_slice().iter_mut().for_each(|w| *w *= 0.9);
    }
    let value = evaluate(|tape| fixed_point(tape.constant(&weight()), tape.constant(&input())));
    assert_near(&iteration(&weight(), &input(), &value), &value);
}

#[test]
fn a_derivative_may_be_changed_on_purpose() {
    // The sign, with the derivative of the identity: the straight-through estimator.
    let tape = Tape::new();
    let x = tape.variable(&tensor![-0.5, 2.0]);
    let y = custom_vjp([x], x.shape(), |[x]| x.sign(), |_, _, g| [g]);
    assert_eq!((y * 3.0).sum().backward().wrt(x).unwrap(), &tensor![3.0, 3.0]);
    // A cotangent that broadcasts is summed.
    let c = tape.variable(&tensor![2.0]);
    let y = custom_vjp([x, c], x.shape(), |[x, c]| x * c, |[x, c], _, g| [g * c, g * x]);
    let grads = y.sum().backward();
    assert_eq!((grads.wrt(x).unwrap(), grads.wrt(c).unwrap()), (&tensor![2.0, 2.0], &tensor![1.5]));
}

#[test]
#[rustfmt::skip] // A call stands on the line of its `fails!`.
fn mistakes_name_the_shapes_and_the_line() {
    let tape = Tape::new();
    let x = tape.variable(&input());
    fails! { custom_vjp([x], [2], |[x]| x.clone(), |_, _, g| [g]), "custom_vjp: expected a value of shape [2], found [2, 3]" }
    fails! { custom_vjp::<f64, 0>([], [2], |[]| Tensor::zeros([2]), |[], _, _| []), "custom_vjp: there are no inputs" }
    let y = custom_vjp([x], [2], |_| Tensor::zeros([2]), |_, _, g| [g]);
    let told = caught(|| drop(y.sum().backward())).message;
    assert!(told.starts_with("a cotangent of shape [2] does not sum to [2, 3]\n  while differentiating custom_vjp"), "{told}");
}

#[test]
#[should_panic(
    expected = "custom_vjp: its functions compute in f32, but derivatives are checked in f64"
)]
fn a_model_in_single_precision_is_not_checked() {
    let w = wengert::Param::new(wengert::Tensor::<f32>::from([1.0, 2.0]));
    let _ = check_model(&w, |tape| {
        let w = tape.param(&w);
        custom_vjp([w], w.shape(), |[w]| w.square(), |[w], _, g| [g * w * 2.0]).sum()
    });
}
