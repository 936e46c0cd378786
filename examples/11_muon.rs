//! Muon for the matrices of a net, beside AdamW for its biases: a recipe with a group.
//!
//! Teaches: groups of parameters, a rule that refuses some shapes, saving optimizer state.
//! Run: `cargo run --release --example 11_muon`
//!
//! Muon and AdamW train the same net for the same number of steps; AdamW gets the best of five rates.
#![allow(unreachable_pub, reason = "modules of an example")]

use std::error::Error;

use wengert::prelude::*;
use wengert::rand::{SeedableRng, rngs::ChaCha8Rng};

#[path = "03_two_layer_net/digits.rs"]
mod digits;
#[path = "parts/digits_net.rs"]
mod digits_net;
#[path = "03_two_layer_net/net.rs"]
mod net;

const STEPS: usize = 60;

const MUON: &str = "
    kind = 'muon'
    lr = 0.1
    weight_decay = 0.0

    [[groups]]
    params = '*.bias'
    kind = 'adamw'
    lr = 0.01
";

/// Returns the mean loss of the last ten steps.
fn end(losses: &[f32]) -> f32 {
    losses[losses.len() - 10..].iter().sum::<f32>() / 10.0
}

fn main() -> Result<(), Box<dyn Error>> {
    let task = digits_net::Task::load()?;
    let (without_group, _) = MUON.split_once("[[groups]]").unwrap_or_default();
    let all_muon = Optimizer::from_toml(without_group)?;
    let net = net::TwoLayer::new(64, &mut ChaCha8Rng::seed_from_u64(1));
    println!("{}\n", all_muon.check(&net).expect_err("a bias is no matrix"));

    let mut optimizer = Optimizer::from_toml(MUON)?;
    let (losses, accuracy, net) = task.train(&mut optimizer, 64, STEPS);
    println!("optimizer   rate  loss of the last ten steps  accuracy on unseen digits");
    println!("muon         0.1  {:26.4}  {accuracy:25.3}", end(&losses));

    let (mut best, mut best_accuracy) = (f32::INFINITY, 0.0);
    for lr in [0.001, 0.003, 0.01, 0.03, 0.1] {
        let mut adamw = Optimizer::from_toml(&format!("kind = 'adamw'\nlr = {lr}"))?;
        let (losses, accuracy, _) = task.train(&mut adamw, 64, STEPS);
        println!("adamw      {lr:5}  {:26.4}  {accuracy:25.3}", end(&losses));
        best = best.min(end(&losses));
        best_accuracy = f64::max(best_accuracy, accuracy);
    }

    // Muon's state is saved and restored under names, like that of any rule.
    let state = optimizer.state(&net);
    assert!(state.tensors.contains_key("hidden.weight/muon.momentum_buffer"));
    assert!(state.tensors.contains_key("hidden.bias/adam.exp_avg"));
    Optimizer::from_toml(MUON)?.restore(&net, state)?;

    let ratio = end(&losses) / best;
    if ratio >= 0.8 || accuracy < best_accuracy - 0.01 {
        return Err("Muon is not clearly ahead of AdamW".into());
    }
    println!(
        "After {STEPS} steps Muon has {ratio:.2} times the loss of the best AdamW, less than 0.8 required."
    );
    Ok(())
}
