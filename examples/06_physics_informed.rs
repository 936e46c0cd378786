//! A physics-informed network learns the solution of a differential equation from the equation alone.
//!
//! Teaches: derivatives by an input, a loss that contains derivatives, training through them.
//! Run: `cargo run --release --example 06_physics_informed`
//!
//! The equation is `-u'' = pi^2 sin(pi x)` on (0, 1) with `u(0) = u(1) = 0`; its solution is `sin(pi x)`.
//! The network is multiplied by `x (1 - x)`, so it meets the boundary conditions exactly. The loss is the
//! mean square of `u'' + pi^2 sin(pi x)`. Training differentiates the recorded `u''` once more.

use std::error::Error;
use std::f64::consts::PI;

use rand::{SeedableRng, rngs::ChaCha8Rng};
use wengert::f64::prelude::*;

struct Solution {
    hidden: Linear,
    output: Linear,
}

params! { Solution { hidden, output } }

impl Module<f64> for Solution {
    fn forward<'t>(&self, x: Var<'t>) -> Var<'t> {
        x * (1.0 - x) * self.output.forward(self.hidden.forward(x).tanh())
    }
}

/// Returns `du/dx` at each point. Summing first is correct because `u` at a point depends on no other point.
fn derivative<'t>(u: Var<'t>, x: Var<'t>) -> Var<'t> {
    grad(u.sum(), &[x])[0]
}

fn main() -> Result<(), Box<dyn Error>> {
    let rng = &mut ChaCha8Rng::seed_from_u64(0);
    let mut u = Solution { hidden: Linear::new(1, 24, rng), output: Linear::new(24, 1, rng) };
    let points = Tensor::linspace(0.0, 1.0, 33).reshape([33, 1]);
    let source = (&points * PI).sin() * (PI * PI);

    let mut optimizer = Optimizer::from_toml(
        "kind = 'adam'\nlr = { kind = 'step', lr = 0.02, step_size = 1000, gamma = 0.5 }",
    )?;
    println!(" step  mean square of the residual");
    for step in 0..=6000 {
        let (loss, grads) = gradients(|tape| {
            let x = tape.variable(&points);
            let curvature = derivative(derivative(u.forward(x), x), x);
            (curvature + &source).square().mean()
        });
        optimizer.step(&mut u, &grads);
        if step % 1000 == 0 {
            println!("{step:5}  {loss:.3e}");
        }
    }

    // The error on a finer grid, so also between the training points.
    let x = Tensor::linspace(0.0, 1.0, 1001).reshape([1001, 1]);
    let exact = (&x * PI).sin();
    let found = evaluate(|tape| u.forward(tape.constant(&x)));
    let norm = |v: &Tensor| v.square().sum().sqrt().item();
    let error = norm(&(found - &exact)) / norm(&exact);
    if error >= 1e-3 {
        return Err(format!("the relative error is {error:.2e}, not below 1e-3").into());
    }
    println!(
        "The network is {error:.2e} (relative L2 error) from sin(pi x), at most 1e-3 allowed."
    );
    Ok(())
}
