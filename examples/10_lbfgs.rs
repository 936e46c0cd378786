//! L-BFGS: an optimizer that evaluates the loss several times in a step, chosen in TOML like any other.
//!
//! Teaches: a `Method` (an optimizer with a line search) from outside of the library, `Registry`, `minimize`.
//! Run: `cargo run --release --example 10_lbfgs`
//!
//! Minimizes the chained Rosenbrock function of ten numbers; its minimum is 0 at (1, .., 1). The method is
//! in `parts/lbfgs.rs`. The same program runs Adam, which is far from the minimum after as many steps.
#![allow(unreachable_pub, reason = "modules of an example")]

use std::error::Error;

use wengert::f64::prelude::*;
use wengert::optim::Registry;

#[path = "parts/lbfgs.rs"]
mod lbfgs;

/// Ten numbers in two parameters.
struct Chain {
    head: Param,
    tail: Param,
}
params! { Chain { head, tail } }

/// Minimizes under a recipe and returns the largest distance of a number from 1.
fn distance(recipe: &str) -> Result<f64, Box<dyn Error>> {
    let registry = Registry::default().solver::<lbfgs::Lbfgs>();
    let mut optimizer = Optimizer::new(registry.read(recipe)?);
    let mut chain = Chain { head: Tensor::full([4], -0.5).into(), tail: Tensor::zeros([6]).into() };
    while optimizer.steps() < 200 {
        let value = optimizer.minimize(&mut chain, |chain| {
            gradients(|tape| {
                let x = Var::concat(&[tape.param(&chain.head), tape.param(&chain.tail)], 0);
                let (a, b) = (x.narrow(0, 0, 9), x.narrow(0, 1, 9));
                ((b - a.square()).square() * 100.0 + (1.0 - a).square()).sum()
            })
        });
        if value < 1e-25 {
            break;
        }
    }
    let error = (chain.flatten() - 1.0).abs().max().item();
    let recipe = recipe.replace('\n', ", ");
    println!("{:3} steps of {recipe}: {error:.1e} from (1, .., 1)", optimizer.steps());
    Ok(error)
}

fn main() -> Result<(), Box<dyn Error>> {
    let (lbfgs, adam) = (distance("kind = 'lbfgs'")?, distance("kind = 'adam'\nlr = 0.03")?);
    if lbfgs >= 1e-10 || adam <= 1e-2 {
        return Err(format!("distances from the minimum: {lbfgs:e} and {adam:e}").into());
    }
    println!("L-BFGS ends {lbfgs:.1e} from the minimum, at most 1e-10 allowed; Adam {adam:.1e}.");
    Ok(())
}
