//! Newton's method without a Hessian matrix: conjugate gradients need only its products with vectors.
//!
//! Teaches: `hvp` (Hessian-vector products), `grad`, second-order optimization.
//! Run: `cargo run --release --example 07_newton`
//!
//! Minimizes the sum of five Rosenbrock functions `(1 - a)^2 + 100 (b - a^2)^2`. By hand, a Newton step is
//! `p = (1 - a) / (1 - 200 (b - a^2))` in `a` and `2 a p - (b - a^2)` in `b`; the program compares.
//! It follows that an error `e` below 0.01 is at most `1300 e^2` after the next step, that is, the number
//! of correct digits doubles; the program checks that too.

use std::process::ExitCode;

use wengert::f64::prelude::*;

/// Returns the sum of five Rosenbrock functions, one for each row `[a, b]` of `x`.
fn rosenbrock(x: Var<'_>) -> Var<'_> {
    let (a, b) = (x.narrow(1, 0, 1), x.narrow(1, 1, 1));
    ((1.0 - a).square() + (b - a.square()).square() * 100.0).sum()
}

/// Returns the `p` with `H p = -g`, for the gradient `g` and the Hessian `H` at `x`.
fn newton_step(x: &Tensor) -> Tensor {
    let tape = Tape::new();
    let x = tape.variable(x);
    let loss = rosenbrock(x);
    let g = grad(loss, &[x])[0].value();
    conjugate_gradients(|v| hvp(loss, &[x], &[tape.constant(v)])[0].value(), -g)
}

/// Solves `A p = b` for a positive definite `A`, given as the function `a` from `v` to `A v`.
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

/// Returns the Newton step of each row, by hand.
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
    println!("step         error  relative difference from the step by hand");
    for step in 1..=25 {
        let error = largest(&(&x - &minimum));
        if error < 1e-13 {
            println!(
                "After {} steps the error is {error:.1e}, below 1e-13; each step is Newton's, and the \
                 convergence is quadratic.",
                step - 1
            );
            return if right { ExitCode::SUCCESS } else { ExitCode::FAILURE };
        }
        let (found, expected) = (newton_step(&x), by_hand(&x));
        let apart = largest(&(&found - &expected)) / largest(&expected);
        x = x + found;
        let after = largest(&(&x - &minimum));
        println!("{step:4} {after:13.1e} {apart:38.1e}");
        let quadratic = error > 0.01 || after <= 1300.0 * error * error + 1e-13;
        if !quadratic || apart > 1e-8 {
            eprintln!(
                "step {step} is not a Newton step, or the error fell too little: {error:e} to {after:e}"
            );
            right = false;
        }
    }
    eprintln!("25 steps were not enough");
    ExitCode::FAILURE
}
