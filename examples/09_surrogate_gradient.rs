//! Spiking neurons: a forward pass that is a step, a backward pass that is not.
//!
//! A leaky neuron gathers its input and fires, 0 or 1, when it is above the threshold. The derivative of
//! a step is 0 wherever it exists, so that nothing before it can be trained. An operation of one's own
//! keeps the step and hands back the derivative of a smooth function that resembles it.

use std::error::Error;

use rand::{SeedableRng, rngs::ChaCha8Rng};
use wengert::f64::prelude::*;
use wengert::{Float, UnaryOp, Value, check_gradients};

/// Forward a step; backward the derivative of `x / (1 + 2 |x|)`.
#[derive(Clone, Debug)]
struct Spike;

impl UnaryOp for Spike {
    fn value<F: Float>(&self, x: F) -> F {
        if x > F::ZERO { F::ONE } else { F::ZERO }
    }
    fn derivative<M: UnaryOps>(&self, x: &M, _: &M) -> M {
        (x.abs() * 2.0 + 1.0).square().recip()
    }
}

#[derive(Clone)]
struct Net {
    hidden: Linear,
    output: Linear,
}

params! { Net { hidden, output } }

impl Net {
    /// Logits from how often each neuron fired in eight steps of time.
    fn forward<'t>(&self, x: Var<'t>, fire: fn(Var<'t>) -> Var<'t>) -> Var<'t> {
        let current = self.hidden.forward(x);
        let (mut potential, mut fired) = (current * 0.0, current * 0.0);
        for _ in 0..8 {
            let above = potential * 0.5 + current;
            let spikes = fire(above - 1.0);
            potential = above - spikes;
            fired = fired + spikes;
        }
        self.output.forward(fired / 8.0)
    }
}

/// The loss on XOR after training.
fn train(net: &mut Net, fire: for<'t> fn(Var<'t>) -> Var<'t>) -> Result<f64, Box<dyn Error>> {
    let x = tensor![[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]];
    let xor = Indices::from([0, 1, 1, 0]);
    let mut optimizer = Optimizer::from_toml("kind = 'adam'\nlr = 0.02")?;
    let mut last = f64::NAN;
    for _ in 0..1000 {
        let (loss, grads) =
            gradients(|tape| net.forward(tape.constant(&x), fire).cross_entropy(&xor));
        optimizer.step(net, &grads);
        last = loss;
    }
    Ok(last)
}

fn main() -> Result<(), Box<dyn Error>> {
    // Weights so small that at first no neuron reaches its threshold.
    let rng = &mut ChaCha8Rng::seed_from_u64(0);
    let weight = init::uniform([16, 2], 0.2, rng);
    let hidden = Linear::from_tensors(weight.clone(), Some(Tensor::zeros([16])));
    let mut step = Net { hidden, output: Linear::new(16, 2, rng) };
    let mut spike = step.clone();

    // Silent neurons tell the four inputs not apart, and the best guess then costs ln 2.
    let ln_2 = std::f64::consts::LN_2;
    let stuck = train(&mut step, |x| x.step())?;
    println!("with the step's own derivative: loss {stuck:.6}, ln 2 is {ln_2:.6}");
    if *step.hidden.weight.value() != weight || stuck < ln_2 - 1e-12 {
        return Err("a derivative of 0 trained something".into());
    }
    let trained = train(&mut spike, |x| x.apply_op(Spike))?;
    println!("with a surrogate:               loss {trained:.6}");
    if trained > 0.01 {
        return Err("the surrogate did not train".into());
    }

    // A surrogate is no derivative, and the checker says so: away from 0 a step does not change.
    match check_gradients(|x| x[0].apply_op(Spike), &[tensor![0.3, -0.7]]) {
        Err(refusal) if refusal.expected == 0.0 => println!("the checker refuses it: {refusal}"),
        other => return Err(format!("the checker was fooled: {other:?}").into()),
    }
    // What it is can be held against what it resembles.
    let tape = Tape::new();
    let x = tape.variable(&tensor![0.3, -0.7, 2.0]);
    let smooth = grad((x / (x.abs() * 2.0 + 1.0)).sum(), &[x])[0].value();
    let apart = (grad(x.apply_op(Spike).sum(), &[x])[0].value() - smooth).abs().max().item();
    if apart < 1e-15 { Ok(()) } else { Err("not the derivative of x / (1 + 2 |x|)".into()) }
}
