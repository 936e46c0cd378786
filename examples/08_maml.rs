//! Meta-learning (MAML): trains initial weights from which one gradient step learns a new task.
//!
//! Teaches: differentiating through a training step, `tape.bind`, arithmetic with gradients.
//! Run: `cargo run --release --example 08_maml`
//!
//! A task is a sine wave, of which ten points are known. The inner step of gradient descent on these points
//! is recorded: `tape.bind` gives each parameter its updated value on the tape. The outer loss, on other
//! points of the wave, is then differentiated through that step. An inner rate of 0 gives ordinary training.
//! Finn, Abbeel, Levine 2017, <https://arxiv.org/abs/1703.03400>.

use std::error::Error;
use std::f32::consts::PI;

use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};
use wengert::prelude::*;

struct Net {
    first: Linear,
    second: Linear,
    output: Linear,
}

params! { Net { first, second, output } }

impl Module for Net {
    fn forward<'t>(&self, x: Var<'t>) -> Var<'t> {
        let hidden = self.second.forward(self.first.forward(x).tanh()).tanh();
        self.output.forward(hidden)
    }
}

/// Points `(x, y)` of one sine wave.
struct Task {
    /// For the inner step.
    known: (Tensor, Tensor),
    /// For the outer loss.
    asked: (Tensor, Tensor),
}

impl Task {
    fn draw(rng: &mut ChaCha8Rng) -> Self {
        let (amplitude, phase) = (rng.random_range(1.0..4.0), rng.random_range(0.0..PI));
        let mut points = || {
            let x = Tensor::uniform([10, 1], -3.0, 3.0, rng);
            let y = (&x + phase).sin() * amplitude;
            (x, y)
        };
        Self { known: points(), asked: points() }
    }
}

fn loss<'t>(net: &Net, tape: &'t Tape, (x, y): &(Tensor, Tensor)) -> Var<'t> {
    net.forward(tape.constant(x)).mse(y)
}

/// Returns the loss on a task after one inner step with this rate. From then on, the parameters have
/// their updated values on this tape.
fn adapted<'t>(net: &Net, tape: &'t Tape, task: &Task, rate: f64) -> Var<'t> {
    let inner = loss(net, tape, &task.known);
    let params = net.named_params();
    let from = params.iter().map(|(_, param)| tape.param(param)).collect::<Vec<_>>();
    for ((from, (_, param)), slope) in from.iter().zip(params).zip(grad(inner, &from)) {
        tape.bind(param, *from - slope * rate);
    }
    loss(net, tape, &task.asked)
}

/// Trains a net for the loss after one inner step with this rate, on four tasks at a time.
fn train(rate: f64) -> Result<Net, Box<dyn Error>> {
    let rng = &mut ChaCha8Rng::seed_from_u64(0);
    let (first, second) = (Linear::new(1, 32, rng), Linear::new(32, 32, rng));
    let mut net = Net { first, second, output: Linear::new(32, 1, rng) };
    let mut optimizer = Optimizer::from_toml("kind = 'adam'\nlr = 0.002\nclip_norm = 10.0")?;
    for _ in 0..3000 {
        let one = |task| gradients(|tape| adapted(&net, tape, &task, rate)).1;
        let mut grads = one(Task::draw(rng));
        for _ in 1..4 {
            grads += &one(Task::draw(rng));
        }
        optimizer.step(&mut net, &(grads / 4.0));
    }
    Ok(net)
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let unseen = (0..200).map(|_| Task::draw(&mut rng)).collect::<Vec<_>>();
    let mean_loss = |net: &Net, rate| {
        let loss = |task| adapted(net, &Tape::new(), task, rate).item();
        unseen.iter().map(loss).sum::<f32>() / unseen.len() as f32
    };
    let (maml, ordinary) = (train(0.05)?, train(0.0)?);
    let start = [mean_loss(&maml, 0.0), mean_loss(&ordinary, 0.0)];
    // The ordinary net gets the best of five rates.
    let rates = [0.01, 0.02, 0.05, 0.1, 0.2];
    let best = rates.map(|rate| mean_loss(&ordinary, rate)).into_iter().fold(f32::MAX, f32::min);
    let after = [mean_loss(&maml, 0.05), best];
    println!("mean squared error on 200 unseen waves  before  after one step");
    println!("meta-trained                          {:8.3}  {:14.3}", start[0], after[0]);
    println!("trained in the ordinary way           {:8.3}  {:14.3}", start[1], after[1]);
    if after[0] >= after[1] / 3.0 {
        return Err("meta-training did not cut the error after one step to a third".into());
    }
    println!(
        "After one step the meta-trained net has {:.2} times the error of the ordinary one, less than \
         1/3 required.",
        after[0] / after[1]
    );
    Ok(())
}
