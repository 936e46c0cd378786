//! Strategies and checks that the property tests of derivatives share.

use std::fmt::Debug;

use proptest::prelude::*;
use proptest::test_runner::{RngSeed, TestRunner};
use wengert::core::{check_gradients, testing};
use wengert::f64::prelude::*;

pub(crate) type Outcome = Result<(), String>;

/// Runs `check` on draws of `strategy`; the first failure panics with the name of the operation.
pub(crate) fn property<S: Strategy + 'static>(
    name: &str,
    strategy: S,
    check: impl Fn(S::Value) -> Outcome,
) {
    run(name, strategy.boxed(), 1, &check);
}

/// [`property`] on an eighth of the draws, for shapes that are fixed.
pub(crate) fn property_of_values<S: Strategy + 'static>(
    name: &str,
    strategy: S,
    check: impl Fn(S::Value) -> Outcome,
) {
    run(name, strategy.boxed(), 8, &check);
}

// Behind `dyn`, so that the test runner is compiled once for all operations.
fn run<T: Debug>(name: &str, strategy: BoxedStrategy<T>, part: u32, check: &dyn Fn(T) -> Outcome) {
    let mut config = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    config.cases = config.cases.div_ceil(part);
    if config.rng_seed == RngSeed::Random {
        config.rng_seed = RngSeed::Fixed(0);
    }
    let outcome =
        TestRunner::new(config).run(&strategy, |drawn| check(drawn).map_err(TestCaseError::fail));
    if let Err(error) = outcome {
        panic!("the rule of {name}: {error}");
    }
}

/// Checks `f` twice: followed by a polynomial, so that its second derivative is not trivially zero; and with
/// further uses of its inputs, so that its cotangents are added to existing ones.
pub(crate) fn differentiates(
    f: impl for<'t> Fn(&[Var<'t>]) -> Var<'t>,
    inputs: impl IntoIterator<Item = Tensor>,
) -> Outcome {
    both_ways(&f, &inputs.into_iter().collect::<Vec<_>>())
}

fn both_ways(f: &dyn for<'t> Fn(&[Var<'t>]) -> Var<'t>, inputs: &[Tensor]) -> Outcome {
    let alone = check_gradients(|x| bend(f(x)), inputs);
    alone.map_err(|error| format!("alone: {error}"))?;
    let beside = check_gradients(
        |x| {
            let y = bend(f(x)).sum();
            x.iter().fold(y, |sum, x| sum + bend(*x).sum())
        },
        inputs,
    );
    beside.map(drop).map_err(|error| format!("beside other uses of its inputs: {error}"))?;
    repeats(f, inputs)
}

/// Checks that a program runs `f` and its derivative again with the bits of a new recording: with these inputs, and with
/// their elements in the other order.
fn repeats(f: &dyn for<'t> Fn(&[Var<'t>]) -> Var<'t>, inputs: &[Tensor]) -> Outcome {
    fn loss<'t>(f: &dyn for<'a> Fn(&[Var<'a>]) -> Var<'a>, x: &[Var<'t>]) -> Var<'t> {
        let y = bend(f(x)).sum();
        grad(y, x).iter().fold(y, |sum, g| sum + g.square().sum())
    }
    let mut params = inputs.iter().cloned().map(Param::from).collect::<Vec<_>>();
    let mut step = Program::<Vec<Param>, ()>::new(|params, tape, ()| {
        loss(f, &params.iter().map(|param| tape.param(param)).collect::<Vec<_>>())
    });
    // The third run is the first that does not record.
    for run in 1..=3 {
        let (value, grads) = gradients(|tape| {
            loss(f, &params.iter().map(|param| tape.param(param)).collect::<Vec<_>>())
        });
        let (again, repeated) = step.gradients(&params, ());
        if bits(value, &grads) != bits(again, repeated) {
            return Err(format!("run {run} of a program has other bits than a new recording"));
        }
        for param in &mut params {
            param.value_mut().as_mut_slice().reverse();
        }
    }
    Ok(())
}

/// The bits of a loss and its gradients.
fn bits(loss: f64, grads: &Gradients) -> Vec<u64> {
    let grads = grads.as_slice().iter().flat_map(|(_, g)| g.as_slice());
    [&loss].into_iter().chain(grads).map(|x| x.to_bits()).collect()
}

pub(crate) fn bend(y: Var<'_>) -> Var<'_> {
    y.square() + y
}

/// Checks that `f` has a derivative of exactly zero, computed and recorded.
pub(crate) fn derivative_is_zero(
    f: impl for<'t> Fn(&[Var<'t>]) -> Var<'t>,
    inputs: impl IntoIterator<Item = Tensor>,
) -> Outcome {
    let tape = Tape::new();
    let x = inputs.into_iter().map(|x| tape.variable(&x)).collect::<Vec<_>>();
    let loss = f(&x).sum();
    let (computed, recorded) = (loss.backward(), grad(loss, &x));
    for (x, recorded) in x.iter().zip(recorded) {
        let nonzero = |g: &Tensor| g.as_slice().iter().any(|g| *g != 0.0);
        if computed.wrt(*x).is_some_and(nonzero) || nonzero(&recorded.value()) {
            return Err("a derivative that should be zero is not".into());
        }
    }
    Ok(())
}

pub(crate) fn tensors() -> impl Strategy<Value = Tensor> {
    testing::tensor(testing::shape(), -2.0..2.0, &[])
}

/// Tensors with these extents.
pub(crate) fn of(extents: &[usize]) -> impl Strategy<Value = Tensor> + use<> {
    testing::tensor_of(extents.into(), -2.0..2.0, &[])
}

/// Draws a tensor, some of its axes, and whether they are kept.
pub(crate) fn with_axes(
    tensors: impl Strategy<Value = Tensor>,
) -> impl Strategy<Value = (Tensor, Vec<isize>, bool)> {
    (tensors, any::<[bool; 3]>(), any::<bool>()).prop_map(|(x, chosen, keepdim)| {
        let rank = x.shape().rank();
        (x, (0..rank).filter(|&axis| chosen[axis]).map(|axis| axis as isize).collect(), keepdim)
    })
}

/// Draws distinct elements, three tenths apart, in random order: no finite difference reaches a tie.
pub(crate) fn spaced() -> impl Strategy<Value = Tensor> {
    testing::shape().prop_flat_map(|shape| {
        let order = Just((0..shape.numel()).collect::<Vec<_>>()).prop_shuffle();
        order.prop_map(move |order| Tensor::from_fn(shape, |i| order[i] as f64 * 0.3 - 2.0))
    })
}

/// The index of the element at `flat` in row-major order.
pub(crate) fn position(shape: Shape, mut flat: usize) -> Vec<usize> {
    let mut position = vec![0; shape.rank()];
    for (at, &extent) in position.iter_mut().zip(shape.iter()).rev() {
        (*at, flat) = (flat % extent, flat / extent);
    }
    position
}

/// Checks that `value` has this shape and at each index the value `expected`, up to rounding.
pub(crate) fn has_elements(
    value: &Tensor,
    shape: &[usize],
    expected: impl Fn(&[usize]) -> f64,
) -> Outcome {
    if *value.shape() != *shape {
        return Err(format!("the shape is {:?}, not {shape:?}", value.shape()));
    }
    for (flat, &got) in value.as_slice().iter().enumerate() {
        let at = position(value.shape(), flat);
        let want = expected(&at);
        let near = (got - want).abs() <= 1e-12 * want.abs().max(1.0);
        if !(near || got == want || got.is_nan() && want.is_nan()) {
            return Err(format!("{got} at {at:?}, a plain loop gives {want}"));
        }
    }
    Ok(())
}

/// Checks that two tensors are equal to twelve digits.
pub(crate) fn near(what: &str, ours: &Tensor, expected: &Tensor) -> Outcome {
    if ours.shape() != expected.shape() {
        return Err(format!("{what}: shape {:?} against {:?}", ours.shape(), expected.shape()));
    }
    for (i, (a, b)) in ours.as_slice().iter().zip(expected.as_slice()).enumerate() {
        if (a - b).abs() > 1e-12 * b.abs().max(1.0) {
            return Err(format!("{what}: element {i} is {a}, not {b}"));
        }
    }
    Ok(())
}

/// Checks that `f` panics with this text at the caller's line.
#[track_caller]
pub(crate) fn mistake(expected: &str, f: impl FnOnce() + std::panic::UnwindSafe) {
    use std::sync::{Mutex, PoisonError};
    static HOOK: Mutex<()> = Mutex::new(());
    static PLACE: Mutex<String> = Mutex::new(String::new());
    let _one_at_a_time = HOOK.lock().unwrap_or_else(PoisonError::into_inner);
    let caller = std::panic::Location::caller();
    let caller = format!("{}:{}", caller.file(), caller.line());
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|info| {
        let place = info.location().map(|at| format!("{}:{}", at.file(), at.line()));
        *PLACE.lock().unwrap_or_else(PoisonError::into_inner) = place.unwrap_or_default();
    }));
    let outcome = std::panic::catch_unwind(f);
    std::panic::set_hook(hook);
    let panic = outcome.expect_err("a mistake panics");
    let text = panic.downcast_ref::<String>().cloned();
    let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| text.to_string()));
    let text = text.unwrap_or_default();
    assert!(text.contains(expected), "'{text}' does not say '{expected}'");
    let place = PLACE.lock().unwrap_or_else(PoisonError::into_inner).clone();
    assert_eq!(place, caller, "the place of '{text}'");
}
