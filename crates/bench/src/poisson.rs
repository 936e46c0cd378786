//! W11: a physics-informed net in double precision. It solves `-u'' = pi^2 sin(pi x)` on `0..1` with `u = 0` at both
//! ends: a 1-32-32-1 net with tanh, whose second derivative is recorded and trained by Adam. `peers/poisson.py` is the same
//! program for PyTorch and JAX.

use wengert::f64::prelude::*;

use crate::{Workload, bounded};

/// Number of points at which the equation is to hold.
const POINTS: usize = 256;

struct Net {
    layers: [Linear; 3],
}
params! { Net { layers } }

impl Net {
    /// Layers drawn from streams 100, 102 and 104.
    fn new() -> Self {
        let layer = |stream, inputs: usize, outputs: usize| {
            let weight = bounded(stream, [outputs, inputs], inputs).cast();
            Linear::from_tensors(weight, Some(bounded(stream + 1, [outputs], inputs).cast()))
        };
        Self { layers: [layer(100, 1, 32), layer(102, 32, 32), layer(104, 32, 1)] }
    }

    fn forward<'t>(&self, x: Var<'t>) -> Var<'t> {
        let [first, second, last] = &self.layers;
        last.forward(second.forward(first.forward(x).tanh()).tanh())
    }

    /// The mean square of what is left of the equation, and of the values at the ends.
    fn loss<'t>(&self, (x, ends): (Var<'t>, Var<'t>)) -> Var<'t> {
        let x = x.to_variable();
        let slope = grad(self.forward(x).sum(), &[x])[0];
        let curvature = grad(slope.sum(), &[x])[0];
        let force = (x * PI).sin() * (PI * PI);
        (curvature + force).square().mean() + self.forward(ends).square().mean()
    }
}

const PI: f64 = std::f64::consts::PI;

/// Trains on the same points at each step.
pub(crate) fn poisson(replay: bool) -> Workload {
    let x = Tensor::from_fn([POINTS, 1], |i| (i as f64 + 0.5) / POINTS as f64);
    let ends = tensor![[0.0], [1.0]];
    let mut net = Net::new();
    let mut optimizer = Optimizer::from_toml("kind = 'adam'\nlr = 1e-3").expect("a valid recipe");
    let mut step = Program::<Net, (Tensor, Tensor)>::new(|net, _, inputs| net.loss(inputs));
    Box::new(move || {
        if replay {
            let (value, grads) = step.gradients(&net, (&x, &ends));
            optimizer.step(&mut net, grads);
            return value;
        }
        let (value, grads) = gradients(|tape| net.loss((tape.constant(&x), tape.constant(&ends))));
        optimizer.step(&mut net, &grads);
        value
    })
}
