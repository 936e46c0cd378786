//! LAMB from outside (`parts/lamb.rs`): a link that looks at norms, and a name for the chain that it
//! ends. With large batches there are few steps; each layer moves by a share of its own size, and the
//! loss ends at less than a fifth of what Adam reaches under the best of five rates.
#![allow(unreachable_pub, reason = "modules of an example")]

use std::error::Error;

use wengert::optim::Registry;
use wengert::prelude::*;

#[path = "03_two_layer_net/digits.rs"]
mod data;
#[path = "parts/digits_net.rs"]
mod digits;
#[path = "parts/lamb.rs"]
mod lamb;

const STEPS: usize = 80;
const BATCH: usize = 1024;

fn recipe(kind: &str, lr: f64) -> String {
    format!(
        "kind = '{kind}'
         lr = {{ kind = 'polynomial', lr = {lr}, total_iters = {STEPS} }}"
    )
}

fn main() -> Result<(), Box<dyn Error>> {
    let task = digits::Task::load()?;
    let registry = Registry::default().rule::<lamb::TrustRatio>().alias::<lamb::Lamb>();
    let run = |kind, lr| -> Result<(f32, f64), Box<dyn Error>> {
        let recipe = recipe(kind, lr);
        let mut optimizer = Optimizer::new(registry.read(&recipe)?);
        let (losses, accuracy, net) = task.train(&mut optimizer, BATCH, STEPS);
        let loss = losses[STEPS - 1];
        println!("{kind} {lr:5}  loss {loss:.5}  accuracy {accuracy:.3}");
        // Its memory has names like any other's, and another optimizer takes it over.
        let state = optimizer.state(&net);
        assert!(state.tensors.contains_key("output.weight/adam.exp_avg_sq"));
        let restored = Optimizer::new(registry.read(&recipe)?).restore(&net, state);
        assert!(restored.is_complete(), "{restored:?}");
        Ok((loss, accuracy))
    };
    let (lamb, accuracy) = run("lamb", 0.1)?;
    let mut best = f32::INFINITY;
    for lr in [0.01, 0.03, 0.06, 0.1, 0.2] {
        best = best.min(run("adam", lr)?.0);
    }
    if lamb < 0.2 * best && accuracy > 0.95 {
        Ok(())
    } else {
        Err("LAMB did not get further than Adam".into())
    }
}
