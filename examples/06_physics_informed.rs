//! A physics-informed network: it learns the solution of a differential equation from the equation.
//!
//! `-u'' = pi^2 sin(pi x)` on (0, 1) with `u(0) = u(1) = 0`, whose solution is `sin(pi x)`. The network
//! stands behind `x (1 - x)`, so that the boundary holds by itself; the loss is the mean square of what
//! the equation leaves over. Its second derivative is recorded, and differentiated once more to train.

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

/// `du/dx` at each point: a point's `u` depends on no other point.
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

    // Between the points that it has seen, too.
    let x = Tensor::linspace(0.0, 1.0, 1001).reshape([1001, 1]);
    let exact = (&x * PI).sin();
    let found = evaluate(|tape| u.forward(tape.constant(&x)));
    let norm = |v: &Tensor| v.square().sum().sqrt().item();
    let error = norm(&(found - &exact)) / norm(&exact);
    println!("relative L2 error against sin(pi x): {error:.2e}");
    if error < 1e-3 { Ok(()) } else { Err("the error is not below 1e-3".into()) }
}
