//! L-BFGS with a line search for the strong Wolfe conditions. Used by `10_lbfgs.rs`.

use serde::{Deserialize, Serialize};
use wengert::optim::{LossAt, Solver, SolverState, StepContext};
use wengert::{Float, ReduceOps, Tensor, UnaryOps};

/// L-BFGS: steps along minus the gradient times an inverse Hessian that is estimated from past steps.
///
/// Nocedal and Wright 2006, algorithms 7.4 and 3.5, <https://doi.org/10.1007/978-0-387-40065-5>.
#[derive(Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Lbfgs {
    /// Number of past steps in the estimate. Default: 8.
    pub history: usize,
}

impl Default for Lbfgs {
    fn default() -> Self {
        Lbfgs { history: 8 }
    }
}

impl Solver for Lbfgs {
    const KIND: &'static str = "lbfgs";

    fn step<F: Float>(
        &self,
        context: StepContext,
        x: &Tensor<F>,
        loss: &mut LossAt<'_, F>,
        state: &mut SolverState<F>,
    ) -> (F, Tensor<F>) {
        let (value, gradient) = loss(x);
        let name = |which: char, age: usize| format!("{which}{age}");
        let pairs = (0..self.history).map_while(|age| {
            Some((state.get(&name('s', age))?.clone(), state.get(&name('y', age))?.clone()))
        });
        // Newest first.
        let pairs: Vec<_> = pairs.collect();
        let p = direction(&pairs, &gradient);
        let slope = dot(&gradient, &p);
        let mut end = None;
        let along = |t: f64| {
            let (value, gradient) = loss(&(x + p.mul_scalar(t)));
            let found = (value.to_f64(), dot(&gradient, &p));
            end = Some((p.mul_scalar(t), gradient));
            found
        };
        if !wolfe(along, context.lr, value.to_f64(), slope) {
            return (value, x.clone());
        }
        let (s, reached) = end.expect("the line search evaluated a point");
        let x = x + &s;
        // The second Wolfe condition makes the product of the two positive.
        let newest = [(s, reached - gradient)];
        for (age, (s, y)) in newest.into_iter().chain(pairs).take(self.history).enumerate() {
            state.insert(name('s', age), s);
            state.insert(name('y', age), y);
        }
        (value, x)
    }
}

fn dot<F: Float>(a: &Tensor<F>, b: &Tensor<F>) -> f64 {
    (a * b).sum().item().to_f64()
}

/// Returns minus the estimated inverse Hessian times the gradient.
fn direction<F: Float>(pairs: &[(Tensor<F>, Tensor<F>)], gradient: &Tensor<F>) -> Tensor<F> {
    let (mut q, mut weights) = (-gradient, Vec::new());
    for (s, y) in pairs {
        let weight = dot(s, &q) / dot(s, y);
        q = q - y.mul_scalar(weight);
        weights.push(weight);
    }
    if let Some((s, y)) = pairs.first() {
        q = q.mul_scalar(dot(s, y) / dot(y, y));
    }
    for ((s, y), weight) in pairs.iter().zip(weights).rev() {
        q = &q + s.mul_scalar(weight - dot(y, &q) / dot(s, y));
    }
    q
}

/// Searches for a step length that meets the strong Wolfe conditions: `f`, which gives value and slope at a
/// length, has fallen by enough, and its slope is nearly flat. Returns whether one was found; the last
/// evaluation of `f` is at that length.
fn wolfe(mut f: impl FnMut(f64) -> (f64, f64), first: f64, value: f64, slope: f64) -> bool {
    let (mut low, mut high, mut t, mut lowest) = (0.0, f64::INFINITY, first, value);
    for _ in 0..60 {
        let (reached, inclination) = f(t);
        let fallen = reached <= lowest.min(value + 1e-4 * t * slope);
        if fallen && inclination.abs() <= -0.9 * slope {
            return true;
        } else if fallen && inclination < 0.0 {
            (low, lowest) = (t, reached);
        } else {
            high = t;
        }
        t = if high.is_finite() { (low + high) / 2.0 } else { 2.0 * t };
    }
    false
}
