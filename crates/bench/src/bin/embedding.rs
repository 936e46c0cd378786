//! A step of an embedding of which few rows are read: forward, backward, and the optimizer.
//!
//! `cargo run --release -p wengert-bench --bin embedding` prints medians in microseconds for a table of 50,000 x 64 and
//! batches of 100 tokens, on one thread. `crates/bench/peers/embedding.py` measures the same in PyTorch.

use std::time::Instant;

use wengert::prelude::*;
use wengert::rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};

const SHAPE: [usize; 2] = [50_000, 64];
const TOKENS: usize = 100;
const STEPS: usize = 301;

fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// Prints the medians of gradients and of the optimizer's step, for gradients whose rows are known, or are not.
fn measure(recipe: &str, knows_rows: bool) {
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let mut table = Embedding::new(SHAPE[0], SHAPE[1], &mut rng);
    let mut optimizer = Optimizer::from_toml(recipe).expect("a recipe");
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..STEPS {
        let tokens = (0..TOKENS).map(|_| rng.random_range(0..SHAPE[0])).collect::<Vec<_>>();
        let start = Instant::now();
        let (_, mut grads) = gradients(|tape| table.forward(tape, &tokens).square().mean());
        if !knows_rows {
            grads = Gradients::from_params(grads.as_slice().to_vec());
        }
        let middle = Instant::now();
        optimizer.step(&mut table, &grads);
        drop(grads);
        times[0].push((middle - start).as_secs_f64() * 1e6);
        times[1].push(middle.elapsed().as_secs_f64() * 1e6);
    }
    let [gradients, step] = times.each_mut().map(|times| median(times));
    let known = if knows_rows { "rows" } else { "whole" };
    println!("{recipe:24} {known:6} {gradients:8.0} {step:8.0} {:8.0}", gradients + step);
}

fn main() {
    // Before the first parallel loop, which makes the pool.
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build_global();
    pool.expect("the first pool");
    println!("{:24} {:6} {:>8} {:>8} {:>8}", "recipe", "", "gradient", "update", "step");
    for kind in ["sgd", "adagrad", "lazy_adam"] {
        for knows_rows in [true, false] {
            measure(&format!("kind = '{kind}'"), knows_rows);
        }
    }
    measure("kind = 'adam'", true);
}
