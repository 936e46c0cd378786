//! Forward mode, Hessians and Jacobians, operations without a derivative, bound parameters, and anomaly
//! detection.

use approx::assert_relative_eq;
use wengert::f64::prelude::*;
use wengert::{Float, Flow, Op, ShapeError, Tensor, Value, eval_shape};

#[test]
fn jvp_matches_the_closed_form() {
    let tape = Tape::new();
    let (x, y) = (tape.variable(&tensor![0.5, -1.0]), tape.variable(&tensor![[2.0], [3.0]]));
    let (dx, dy) = (tape.constant(&tensor![1.0, 0.5]), tape.constant(&tensor![[-1.0], [0.25]]));
    let along = jvp(x.sin() * y, &[x, y], &[dx, dy]).value();
    for (i, (y, dy)) in [(2.0, -1.0), (3.0, 0.25)].into_iter().enumerate() {
        for (j, (x, dx)) in [(0.5f64, 1.0), (-1.0, 0.5)].into_iter().enumerate() {
            assert_relative_eq!(
                along.at(&[i, j]),
                x.cos() * dx * y + x.sin() * dy,
                epsilon = 1e-15
            );
        }
    }
}

#[test]
fn independent_values_have_zero_tangents() {
    let tape = Tape::new();
    let x = tape.variable(&tensor![1.0]);
    let before = tape.variable(&tensor![2.0]);
    let one = tape.constant(&tensor![1.0]);
    assert_eq!(jvp(before.square(), &[x], &[one]).value().to_vec(), [0.0]);
    assert_eq!(hvp(x.sum() * 3.0, &[x], &[one])[0].value().to_vec(), [0.0]);
}

/// The Rosenbrock function, whose second derivatives are polynomials.
fn rosenbrock(x: Var<'_>) -> Var<'_> {
    let (a, b) = (x.narrow(0, 0, 1), x.narrow(0, 1, 1));
    ((1.0 - a).square() + (b - a.square()).square() * 100.0).sum()
}

#[test]
fn hessian_and_hvp_of_the_rosenbrock_function() {
    let tape = Tape::new();
    let x = tape.variable(&tensor![-0.5, 0.75]);
    let (a, b) = (-0.5, 0.75);
    let expected = [[2.0 - 400.0 * (b - 3.0 * a * a), -400.0 * a], [-400.0 * a, 200.0]];
    let found = hessian(rosenbrock(x), x).value();
    assert_eq!(found.shape(), [2, 2].into());
    for (found, expected) in found.as_slice().iter().zip(expected.as_flattened()) {
        assert_relative_eq!(found, expected, max_relative = 1e-14);
    }
    let v = tape.constant(&tensor![2.0, -1.0]);
    let product = hvp(rosenbrock(x), &[x], &[v])[0].value();
    for (found, row) in product.as_slice().iter().zip(expected) {
        assert_relative_eq!(*found, 2.0 * row[0] - row[1], max_relative = 1e-14);
    }
}

#[test]
fn jacobians_by_rows_and_by_columns() {
    let tape = Tape::new();
    let (wide, tall) = (tensor![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], tensor![[1.0], [2.0], [-3.0]]);
    let x = tape.variable(&tensor![0.1, 0.2, 0.3]);
    assert_eq!(jacobian(tape.constant(&wide).matmul(x), x).value(), wide);
    let y = tape.variable(&tensor![0.5]);
    assert_eq!(jacobian(tape.constant(&tall).matmul(y), y).value(), tall);
    let empty = tape.variable(&Tensor::zeros([0]));
    assert_eq!(jacobian(x, empty).shape(), [3, 0].into());
}

#[test]
fn forward_mode_can_be_differentiated() {
    // d/dx of the derivative of x^4 along 1 is 12 x^2.
    let tape = Tape::new();
    let x = tape.variable(&Tensor::scalar(1.5));
    let slope = jvp(x.powf(4.0), &[x], &[tape.constant(&Tensor::scalar(1.0))]);
    assert_relative_eq!(grad(slope, &[x])[0].item(), 27.0, max_relative = 1e-14);
}

#[test]
#[should_panic(expected = "expected a loss of one element, found shape [2]")]
fn a_loss_of_several_elements_has_no_gradient() {
    let tape = Tape::new();
    let x = tape.variable(&tensor![1.0, 2.0]);
    grad(x, &[x]);
}

#[test]
#[should_panic(expected = "grad: value 0 is a constant")]
fn a_constant_has_no_derivative() {
    let tape = Tape::new();
    let x = tape.constant(&Tensor::scalar(1.0));
    grad(x.square(), &[x]);
}

#[test]
fn stop_gradient_makes_a_constant() {
    let tape = Tape::new();
    let x = tape.variable(&Tensor::scalar(3.0));
    let loss = x * x.stop_gradient();
    assert_eq!(loss.item(), 9.0);
    assert_eq!(grad(loss, &[x])[0].item(), 3.0);
    assert_eq!(loss.backward().wrt(x).unwrap().item(), 3.0);
}

/// `x mod 2`, declared to have no derivative.
#[derive(Clone, Debug)]
struct Parity;

impl Op<1> for Parity {
    fn shape(&self, [x]: [Shape; 1]) -> Result<Shape, ShapeError> {
        Ok(x)
    }
    fn forward<F: Float>(&self, [x]: [&Tensor<F>; 1], out: Shape) -> Tensor<F> {
        Tensor::from_fn(out, |i| F::of(x.as_slice()[i].to_f64().rem_euclid(2.0)))
    }
    fn vjp<V: Value>(&self, _: usize, _: [&V; 1], _: &V, _: &V) -> V {
        unreachable!("declared missing")
    }
    fn flow(&self) -> Flow {
        Flow::Missing
    }
}

#[test]
#[should_panic(expected = "parity: has no derivative, and was applied to a value that needs one")]
fn candle_2168_3011_3569_a_missing_derivative_is_an_error() {
    let tape = Tape::new();
    assert_eq!(tape.constant(&tensor![3.0]).apply_op(Parity).value().to_vec(), [1.0]);
    tape.variable(&tensor![3.0]).apply_op(Parity);
}

#[test]
fn a_placeholder_needs_no_derivative() {
    let trace = eval_shape(|tape: &Tape| tape.placeholder([3]).apply_op(Parity)).unwrap();
    assert_eq!(trace.output, [3].into());
}

/// The identity, with a derivative that adds a constant to the cotangent and so is not linear.
#[derive(Clone, Debug)]
struct Affine;

impl Op<1> for Affine {
    fn shape(&self, [x]: [Shape; 1]) -> Result<Shape, ShapeError> {
        Ok(x)
    }
    fn forward<F: Float>(&self, [x]: [&Tensor<F>; 1], _: Shape) -> Tensor<F> {
        x.clone()
    }
    fn vjp<V: Value>(&self, _: usize, _: [&V; 1], _: &V, g: &V) -> V {
        g.clone() + 1.0
    }
}

#[test]
#[should_panic(expected = "jvp: the derivative of affine is not linear in the cotangent")]
fn forward_mode_refuses_a_derivative_that_is_not_linear() {
    let tape = Tape::new();
    let x = tape.variable(&tensor![1.0]);
    jvp(x.apply_op(Affine), &[x], &[tape.constant(&tensor![1.0])]);
}

#[test]
fn bind_replaces_a_parameter_on_one_tape() {
    // One step of descent inside the loss: d/dw of (w - r 2 (w - 3) - 1)^2, with r = 0.25.
    let w = Param::new(Tensor::scalar(5.0));
    let net = |tape: &Tape, w: &Param| tape.param(w).item();
    let tape = Tape::new();
    let start = tape.variable(w.value());
    let moved = start - grad((start - 3.0).square(), &[start])[0] * 0.25;
    tape.bind(&w, moved);
    assert_eq!(net(&tape, &w), 4.0);
    let outer = (tape.param(&w) - 1.0).square();
    assert_eq!(grad(outer, &[start])[0].item(), 2.0 * 3.0 * 0.5);
}

#[test]
fn a_bound_variable_receives_the_gradient() {
    let (p, q) = (Param::new(Tensor::scalar(5.0)), Param::new(Tensor::scalar(2.0)));
    let tape = Tape::new();
    let x = tape.variable(&Tensor::scalar(3.0));
    tape.bind(&p, x);
    let grads = tape.param(&p).square().backward();
    assert_eq!(grads.wrt(x).unwrap().item(), 6.0);
    assert!(grads.get(&p).is_none());
    // The order of parameters may differ from that of the last recording, whose tape is reused.
    let loss = |bound| {
        gradients(|tape| {
            if bound {
                tape.bind(&p, tape.param(&q));
            }
            tape.param(&p).square() + tape.param(&q)
        })
    };
    assert_eq!(loss(false).1.get(&p).unwrap().item(), 10.0);
    let (value, grads) = loss(true);
    assert_eq!((value, grads.get(&q).unwrap().item()), (6.0, 5.0));
    assert!(grads.get(&p).is_none());
}

#[test]
fn bind_can_take_steps_of_descent_inside_a_loss() {
    // Two steps of descent on (w - 3)^2 with rate 1/4 halve the distance to 3 twice: 5, 4, 3.5.
    let w = Param::new(Tensor::scalar(5.0));
    let (loss, grads) = gradients(|tape| {
        for _ in 0..2 {
            let now = tape.param(&w);
            let slope = grad((now - 3.0).square(), &[now])[0];
            tape.bind(&w, now - slope * 0.25);
        }
        (tape.param(&w) - 1.0).square()
    });
    assert_eq!((loss, grads.get(&w).unwrap().item()), (6.25, 2.0 * 2.5 * 0.25));
}

#[test]
fn gradients_checked_names_the_first_number_that_is_not_finite() {
    let x = tensor![1.0, 0.0, -4.0];
    let w = Param::new(x.clone());
    let line = line!() + 1;
    let error = gradients_checked(|tape| (tape.param(&w).ln() * 2.0).sum()).unwrap_err();
    assert_eq!((&*error.operation, error.cotangent, &*error.position), ("ln", None, &[1][..]));
    assert_eq!((error.location.file(), error.location.line()), (file!(), line));
    assert!(error.to_string().ends_with("value at [1] is -inf, computed from 0"), "{error}");
    assert_eq!(format!("{error:?}"), error.to_string());

    let w = Param::new(tensor![4.0, 0.0]);
    let error = gradients_checked(|tape| tape.param(&w).sqrt().sum()).unwrap_err();
    assert_eq!(
        (&*error.operation, error.cotangent, error.number),
        ("sqrt", Some(0), f64::INFINITY)
    );

    let w = Param::new(tensor![4.0]);
    let (loss, grads) = gradients_checked(|tape| tape.param(&w).sqrt().sum()).unwrap();
    assert_eq!((loss, grads.get(&w).unwrap().to_vec()), (2.0, vec![0.25]));
}
