//! L-BFGS (Nocedal and Wright, algorithm 7.4) with a line search for the strong Wolfe conditions,
//! written outside of the library, of which it asks values and flat gradients. On the chained
//! Rosenbrock function of ten numbers, whose minimum is 0 at (1, .., 1).

use std::collections::VecDeque;
use std::error::Error;

use wengert::f64::prelude::*;

/// Ten numbers in two parameters, as a model has several.
struct Chain {
    head: Param,
    tail: Param,
}

params! { Chain { head, tail } }

impl Chain {
    /// Value and gradient at `x`.
    fn at(&mut self, x: &Tensor) -> (f64, Tensor) {
        self.set_flat(x.as_slice());
        let (value, grads) = gradients(|tape| {
            let x = Var::concat(&[tape.param(&self.head), tape.param(&self.tail)], 0);
            let (a, b) = (x.narrow(0, 0, 9), x.narrow(0, 1, 9));
            ((b - a.square()).square() * 100.0 + (1.0 - a).square()).sum()
        });
        (value, grads.flatten_for(self))
    }
}

fn dot(a: &Tensor, b: &Tensor) -> f64 {
    (a * b).sum().item()
}

/// The last steps and what they did to the gradient; they stand for the inverse Hessian.
type Memory = VecDeque<(Tensor, Tensor)>;

/// Minus the approximate inverse Hessian times the gradient.
fn direction(memory: &Memory, gradient: &Tensor) -> Tensor {
    let (mut q, mut weights) = (-gradient, Vec::new());
    for (s, y) in memory.iter().rev() {
        let weight = dot(s, &q) / dot(s, y);
        q = q - y * weight;
        weights.push(weight);
    }
    if let Some((s, y)) = memory.back() {
        q = q * (dot(s, y) / dot(y, y));
    }
    for ((s, y), weight) in memory.iter().zip(weights.iter().rev()) {
        q = &q + s * (weight - dot(y, &q) / dot(s, y));
    }
    q
}

/// A step length at which the value has fallen by enough and the slope is nearly flat: bracketed,
/// then halved.
fn wolfe(mut f: impl FnMut(f64) -> (f64, f64), value: f64, slope: f64) -> Option<f64> {
    let (mut low, mut high, mut t, mut lowest) = (0.0, f64::INFINITY, 1.0, value);
    for _ in 0..60 {
        let (reached, inclination) = f(t);
        let fallen = reached <= lowest.min(value + 1e-4 * t * slope);
        if fallen && inclination.abs() <= -0.9 * slope {
            return Some(t);
        } else if fallen && inclination < 0.0 {
            (low, lowest) = (t, reached);
        } else {
            high = t;
        }
        t = if high.is_finite() { (low + high) / 2.0 } else { 2.0 * t };
    }
    None
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut chain = Chain { head: Tensor::full([4], -0.5).into(), tail: Tensor::zeros([6]).into() };
    let (mut x, mut memory) = (chain.flatten(), Memory::new());
    let (mut value, mut gradient) = chain.at(&x);
    println!("value {value:.1e} at the start");
    let mut steps = 0;
    while steps < 200 && gradient.abs().max().item() > 1e-12 {
        let p = direction(&memory, &gradient);
        let along = |t| {
            let (value, gradient) = chain.at(&(&x + &p * t));
            (value, dot(&gradient, &p))
        };
        let Some(t) = wolfe(along, value, dot(&gradient, &p)) else { break };
        let s = p * t;
        x = x + &s;
        let (reached, slope) = chain.at(&x);
        // By the second Wolfe condition the product of the two is positive.
        memory.push_back((s, &slope - gradient));
        memory.drain(..memory.len().saturating_sub(8));
        (value, gradient) = (reached, slope);
        steps += 1;
    }
    let error = (&x - 1.0).abs().max().item();
    println!("value {value:.1e} after {steps} steps, {error:.1e} from (1, .., 1)");
    if error < 1e-10 { Ok(()) } else { Err("not at the minimum".into()) }
}
