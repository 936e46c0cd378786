//! Newton's method without a Hessian: conjugate gradients need only its products with vectors.
//!
//! Five Rosenbrock functions `(1 - a)^2 + 100 (b - a^2)^2` at once. Solving their two Newton equations
//! by hand gives the step `p = (1 - a) / (1 - 200 (b - a^2))` in `a` and `2 a p - (b - a^2)` in `b`.
//! From it follows, once the error `e` is below 0.01, an error of at most 1300 `e^2` one step later:
//! the number of correct digits doubles.

use std::process::ExitCode;

use wengert::f64::prelude::*;

/// The sum of five Rosenbrock functions, a row of `x` for each.
fn rosenbrock(x: Var<'_>) -> Var<'_> {
    let (a, b) = (x.narrow(1, 0, 1), x.narrow(1, 1, 1));
    ((1.0 - a).square() + (b - a.square()).square() * 100.0).sum()
}

/// The step `p` that solves `H p = -g`, with gradient `g` and Hessian `H` at `x`.
fn newton_step(x: &Tensor) -> Tensor {
    let tape = Tape::new();
    let x = tape.variable(x);
    let loss = rosenbrock(x);
    let g = grad(loss, &[x])[0].value();
    conjugate_gradients(|v| hvp(loss, &[x], &[tape.constant(v)])[0].value(), -g)
}

/// Solves `A p = b` for a positive definite `A`, of which it asks products only.
fn conjugate_gradients(a: impl Fn(&Tensor) -> Tensor, b: Tensor) -> Tensor {
    let mut p = Tensor::zeros(b.shape());
    let (mut residual, mut direction) = (b.clone(), b);
    let (mut squares, enough) = (dot(&residual, &residual), 1e-30 * dot(&residual, &residual));
    for _ in 0..3 * p.numel() {
        if squares <= enough {
            break;
        }
        let product = a(&direction);
        let length = squares / dot(&direction, &product);
        p = p + &direction * length;
        residual = residual - product * length;
        let before = std::mem::replace(&mut squares, dot(&residual, &residual));
        direction = &residual + direction * (squares / before);
    }
    p
}

fn dot(a: &Tensor, b: &Tensor) -> f64 {
    (a * b).sum().item()
}

/// The Newton step of each row, by hand.
fn by_hand(x: &Tensor) -> Tensor {
    let rows = x.as_slice().chunks(2).flat_map(|row| {
        let (a, above) = (row[0], row[1] - row[0] * row[0]);
        let p = (1.0 - a) / (1.0 - 200.0 * above);
        [p, 2.0 * a * p - above]
    });
    Tensor::from_vec(rows.collect(), x.shape())
}

fn largest(x: &Tensor) -> f64 {
    x.abs().max().item()
}

fn main() -> ExitCode {
    let minimum = Tensor::ones([5, 2]);
    let mut x = tensor![[-1.2, 1.0], [0.5, 0.0], [2.0, 3.0], [0.0, -1.0], [1.5, 2.0]];
    let mut right = true;
    println!("step         error  step against the one by hand");
    for step in 1..=25 {
        let error = largest(&(&x - &minimum));
        if error < 1e-13 {
            println!("at the minimum, (1, 1) five times, after {} steps", step - 1);
            return if right { ExitCode::SUCCESS } else { ExitCode::FAILURE };
        }
        let (found, expected) = (newton_step(&x), by_hand(&x));
        let apart = largest(&(&found - &expected)) / largest(&expected);
        x = x + found;
        let after = largest(&(&x - &minimum));
        println!("{step:4} {after:13.1e} {apart:29.1e}");
        let quadratic = error > 0.01 || after <= 1300.0 * error * error + 1e-13;
        if !quadratic || apart > 1e-8 {
            eprintln!("step {step}: not Newton's, or not quadratic: from {error:e} to {after:e}");
            right = false;
        }
    }
    eprintln!("25 steps were not enough");
    ExitCode::FAILURE
}
