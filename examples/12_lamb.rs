//! LAMB: Adam with a step length for each layer, for large batches.
//!
//! Teaches: a rule that sees norms, and one name in TOML for a chain of rules (`Alias`).
//! Run: `cargo run --release --example 12_lamb`
//!
//! LAMB is Adam, weight decay and a trust ratio; the ratio and the name are in `parts/lamb.rs`. With
//! batches of 1,024 digits there are few steps. Adam gets the best of five rates.
#![allow(unreachable_pub, reason = "modules of an example")]

use std::error::Error;

use wengert::optim::Registry;
use wengert::prelude::*;

#[path = "03_two_layer_net/digits.rs"]
mod digits;
#[path = "parts/digits_net.rs"]
mod digits_net;
#[path = "parts/lamb.rs"]
mod lamb;
#[path = "03_two_layer_net/net.rs"]
mod net;

const STEPS: usize = 80;
const BATCH: usize = 1024;

fn recipe(kind: &str, lr: f64) -> String {
    format!(
        "kind = '{kind}'
         lr = {{ kind = 'polynomial', lr = {lr}, total_iters = {STEPS} }}"
    )
}

fn main() -> Result<(), Box<dyn Error>> {
    let task = digits_net::Task::load()?;
    let registry = Registry::default().rule::<lamb::TrustRatio>().alias::<lamb::Lamb>();
    let run = |kind, lr| -> Result<(f32, f64), Box<dyn Error>> {
        let recipe = recipe(kind, lr);
        let mut optimizer = Optimizer::new(registry.read(&recipe)?);
        let (losses, accuracy, net) = task.train(&mut optimizer, BATCH, STEPS);
        let loss = losses[STEPS - 1];
        println!("{kind:9}  {lr:5}  {loss:9.5}  {accuracy:25.3}");
        // The state is saved and restored under names, like that of any rule.
        let state = optimizer.state(&net);
        assert!(state.tensors.contains_key("output.weight/adam.exp_avg_sq"));
        Optimizer::new(registry.read(&recipe)?).restore(&net, state)?;
        Ok((loss, accuracy))
    };
    println!("optimizer   rate  last loss  accuracy on unseen digits");
    let (lamb, accuracy) = run("lamb", 0.1)?;
    let mut best = f32::INFINITY;
    for lr in [0.01, 0.03, 0.06, 0.1, 0.2] {
        best = best.min(run("adam", lr)?.0);
    }
    let ratio = lamb / best;
    if ratio >= 0.2 || accuracy <= 0.95 {
        return Err("LAMB is not clearly ahead of Adam".into());
    }
    println!(
        "After {STEPS} steps LAMB has {ratio:.2} times the loss of the best Adam, less than 0.2 required."
    );
    Ok(())
}
