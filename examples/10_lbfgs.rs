//! A method that calls the loss itself, written outside of the library (`parts/lbfgs.rs`) and chosen in
//! TOML like any other optimizer: L-BFGS on the chained Rosenbrock function of ten numbers, whose
//! minimum is 0 at (1, .., 1). Another recipe in the same place runs too, and does not get there.
#![allow(unreachable_pub, reason = "modules of an example")]

use std::error::Error;

use wengert::f64::prelude::*;
use wengert::optim::Registry;

#[path = "parts/lbfgs.rs"]
mod lbfgs;

/// Ten numbers in two parameters, as a model has several.
struct Chain {
    head: Param,
    tail: Param,
}
params! { Chain { head, tail } }

/// How far the recipe ends from the minimum, in the largest of the numbers.
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
    println!("{error:.1e} from (1, .., 1) after {} steps of {recipe}", optimizer.steps());
    Ok(error)
}

fn main() -> Result<(), Box<dyn Error>> {
    let (lbfgs, adam) = (distance("kind = 'lbfgs'")?, distance("kind = 'adam'\nlr = 0.03")?);
    if lbfgs < 1e-10 && adam > 1e-2 { Ok(()) } else { Err("not at the minimum".into()) }
}
