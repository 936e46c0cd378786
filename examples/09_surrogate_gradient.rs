//! Spiking neurons, trained with a surrogate gradient: an operation with a derivative of its own choice.
//!
//! Teaches: a new elementwise operation (`UnaryOp`), and what the gradient checker says about a wrong one.
//! Run: `cargo run --release --example 09_surrogate_gradient`
//!
//! A spiking neuron adds up its input and fires (1) above a threshold, else not (0). The derivative of this
//! step is 0, so no gradient reaches the weights in front of it. The operation `Spike` computes the step
//! but uses the derivative of the smooth function `x / (1 + 2 |x|)` in its place.

use std::error::Error;

use rand::{SeedableRng, rngs::ChaCha8Rng};
use wengert::f64::prelude::*;
use wengert::{Float, UnaryOp, Value, check_gradients};

/// A step, with the derivative of `x / (1 + 2 |x|)`.
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
    /// Computes logits from the rate at which each neuron fires in eight time steps.
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

/// Trains on XOR and returns the last loss.
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
    // The weights are so small that no neuron reaches its threshold at first.
    let rng = &mut ChaCha8Rng::seed_from_u64(0);
    let weight = init::uniform([16, 2], 0.2, rng);
    let hidden = Linear::from_tensors(weight.clone(), Some(Tensor::zeros([16])));
    let mut step = Net { hidden, output: Linear::new(16, 2, rng) };
    let mut spike = step.clone();

    // While no neuron fires, all inputs give the same logits, and the best loss is ln 2.
    let ln_2 = std::f64::consts::LN_2;
    let stuck = train(&mut step, |x| x.step())?;
    println!("with the derivative of the step: loss {stuck:.6} (ln 2 = {ln_2:.6})");
    if *step.hidden.weight.value() != weight || stuck < ln_2 - 1e-12 {
        return Err("the weights changed although their derivative is 0".into());
    }
    let trained = train(&mut spike, |x| x.apply_op(Spike))?;
    println!("with the surrogate:              loss {trained:.6}");
    if trained > 0.01 {
        return Err("the net with the surrogate did not learn XOR".into());
    }

    // The surrogate is not the derivative of the step, and the checker reports that.
    match check_gradients(|x| x[0].apply_op(Spike), &[tensor![0.3, -0.7]]) {
        Err(refusal) if refusal.expected == 0.0 => println!("the checker, as it should: {refusal}"),
        other => return Err(format!("the checker did not report the surrogate: {other:?}").into()),
    }
    // It is the derivative of the smooth function.
    let tape = Tape::new();
    let x = tape.variable(&tensor![0.3, -0.7, 2.0]);
    let smooth = grad((x / (x.abs() * 2.0 + 1.0)).sum(), &[x])[0].value();
    let apart = (grad(x.apply_op(Spike).sum(), &[x])[0].value() - smooth).abs().max().item();
    if apart >= 1e-15 {
        return Err("the surrogate is not the derivative of x / (1 + 2 |x|)".into());
    }
    println!(
        "With the surrogate the loss on XOR is {trained:.1e}, at most 1e-2 allowed; without it, ln 2."
    );
    Ok(())
}
