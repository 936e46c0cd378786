//! A rule from outside for whole matrices: Muon (`parts/muon.rs`), chosen in TOML beside AdamW, which
//! has the biases. At equal steps it gets further than AdamW alone under the best of five rates.
#![allow(unreachable_pub, reason = "modules of an example")]

use std::error::Error;

use wengert::optim::Registry;
use wengert::prelude::*;

#[path = "03_two_layer_net/digits.rs"]
mod data;
#[path = "parts/digits_net.rs"]
mod digits;
#[path = "parts/muon.rs"]
mod muon;

const STEPS: usize = 60;

const MUON: &str = "
    kind = 'muon'
    lr = 0.1

    [[groups]]
    params = '*.bias'
    kind = 'adamw'
    lr = 0.01
";

/// The mean loss of the last ten steps.
fn end(losses: &[f32]) -> f32 {
    losses[losses.len() - 10..].iter().sum::<f32>() / 10.0
}

fn main() -> Result<(), Box<dyn Error>> {
    let task = digits::Task::load()?;
    let registry = Registry::default().tensor_rule::<muon::Muon>();
    let mut optimizer = Optimizer::new(registry.read(MUON)?);
    let (losses, accuracy, net) = task.train(&mut optimizer, 64, STEPS);
    println!("muon          loss {:.4}  accuracy {accuracy:.3}", end(&losses));

    let (mut best, mut best_accuracy) = (f32::INFINITY, 0.0);
    for lr in [0.001, 0.003, 0.01, 0.03, 0.1] {
        let mut adamw = Optimizer::from_toml(&format!("kind = 'adamw'\nlr = {lr}"))?;
        let (losses, accuracy, _) = task.train(&mut adamw, 64, STEPS);
        println!("adamw {lr:5}   loss {:.4}  accuracy {accuracy:.3}", end(&losses));
        best = best.min(end(&losses));
        best_accuracy = f64::max(best_accuracy, accuracy);
    }

    // Its memory has names like any other's, and another optimizer takes it over.
    let state = optimizer.state(&net);
    assert!(state.tensors.contains_key("hidden.weight/muon.momentum_buffer"));
    assert!(state.tensors.contains_key("hidden.bias/adam.exp_avg"));
    let restored = Optimizer::new(registry.read(MUON)?).restore(&net, state);
    assert!(restored.is_complete(), "{restored:?}");

    if end(&losses) < 0.8 * best && accuracy >= best_accuracy - 0.01 {
        Ok(())
    } else {
        Err("Muon did not get further than AdamW".into())
    }
}
