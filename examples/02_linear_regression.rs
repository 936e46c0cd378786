//! Linear regression, trained twice: by hand, then by an optimizer.
//!
//! Teaches: parameters, `params!`, a training loop, gradient descent, `Optimizer`.
//! Run: `cargo run --release --example 02_linear_regression`

use std::error::Error;

use wengert::f64::prelude::*;
use wengert::rand::{SeedableRng, rngs::ChaCha8Rng};

/// The line `y = x w + b`.
struct Line {
    /// Shape `[1, 1]`.
    w: Param,
    /// Shape `[1]`.
    b: Param,
}

// Lists the fields that are trained, under the names that files and messages use.
params! { Line { w, b } }

impl Module<f64> for Line {
    fn forward<'t>(&self, x: Var<'t>) -> Var<'t> {
        x.matmul(&self.w) + &self.b
    }
}

impl Line {
    fn new() -> Self {
        Self { w: Param::new(Tensor::zeros([1, 1])), b: Param::new(Tensor::zeros([1])) }
    }
}

const LR: f64 = 0.1;
const STEPS: usize = 500;

fn main() -> Result<(), Box<dyn Error>> {
    // Fifty noisy points around y = 3 x - 1.
    let rng = &mut ChaCha8Rng::seed_from_u64(0);
    let x = Tensor::uniform([50, 1], -1.0, 1.0, rng);
    let y = &x * 3.0 - 1.0 + Tensor::randn([50, 1], rng) * 0.1;
    let loss = |line: &Line| gradients(|tape| line.forward(tape.constant(&x)).mse(&y));

    // By hand: every parameter moves against its gradient.
    let mut by_hand = Line::new();
    for step in 0..STEPS {
        let (loss, grads) = loss(&by_hand);
        for param in [&mut by_hand.w, &mut by_hand.b] {
            let gradient = grads.get(param).ok_or("a parameter has no gradient")?;
            param.set(param.value() - gradient * LR);
        }
        if step % 100 == 0 {
            println!("step {step:3}: loss {loss:.6}");
        }
    }

    // By an optimizer. Its settings are TOML, so that a file can choose another one.
    let mut line = Line::new();
    let mut optimizer = Optimizer::from_toml(&format!("kind = 'sgd'\nlr = {LR}"))?;
    for _ in 0..STEPS {
        let (_loss, grads) = loss(&line);
        optimizer.step(&mut line, &grads);
    }
    assert_eq!(line.flatten(), by_hand.flatten(), "the two loops do not agree");

    // The least squares line in closed form.
    let (mean_x, mean_y) = (x.mean().item(), y.mean().item());
    let w = ((&x - mean_x) * (&y - mean_y)).sum().item() / (&x - mean_x).square().sum().item();
    let exact = tensor![w, mean_y - w * mean_x];
    let error = (line.flatten() - &exact).abs().max().item();
    println!("trained [w, b] = {:.6}, in closed form {exact:.6}", line.flatten());
    assert!(error < 1e-9, "the line is {error:.1e} from the least squares line");
    println!(
        "Both loops end at the same line, {error:.1e} from the least squares line, at most 1e-9 allowed."
    );
    Ok(())
}
