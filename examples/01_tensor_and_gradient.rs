//! A tensor, a derivative, a Hessian, and a check of all derivatives.
//!
//! Teaches: tensors, the tape, `grad`, `hessian`, `check_gradients`.
//! Run: `cargo run --release --example 01_tensor_and_gradient`

use std::error::Error;

use wengert::check_gradients;
use wengert::f64::prelude::*;

/// `(a b)^2` for a vector `[a, b]`.
fn f(x: Var<'_>) -> Var<'_> {
    x.prod().square()
}

fn main() -> Result<(), Box<dyn Error>> {
    // A tensor holds numbers. Its operations compute at once.
    let point = tensor![1.0, 2.0];
    println!("x       = {point}");
    println!("2 x + 1 = {}", 2.0 * &point + 1.0);

    // A tape records operations on variables. A variable is `Copy` and reads like a number.
    let tape = Tape::new();
    let x = tape.variable(&point);
    let y = f(x);
    println!("f(x)    = {}", y.value());

    // The derivatives by hand: f' = [2 a b^2, 2 a^2 b], f'' = [[2 b^2, 4 a b], [4 a b, 2 a^2]].
    let gradient = grad(y, &[x])[0].value();
    println!("f'(x)   = {gradient}");
    assert_eq!(gradient, tensor![8.0, 4.0]);

    let hessian = hessian(y, x).value();
    println!("f''(x)  =\n{hessian}");
    assert_eq!(hessian, tensor![[8.0, 8.0], [8.0, 2.0]]);

    // A gradient is a variable too. Differentiate it again for any higher order.
    let first = grad(y, &[x])[0];
    let second = grad(first.sum(), &[x])[0];
    assert_eq!(second.value(), tensor![16.0, 10.0]);

    // The checker compares derivatives of orders one and two with finite differences.
    let checked = check_gradients(|x| f(x[0]), &[point])?;
    println!(
        "The gradient and the Hessian are exact, and {} comparisons with finite differences agree.",
        checked.comparisons
    );
    Ok(())
}
