//! Optimizer steps over ten million parameters beside loops fused by hand, in turns in one run.
//!
//! `cargo run --release -p wengert-bench --bin optim` prints, for each recipe, the median times of a
//! step and the median of the ratios of neighbours. On one thread, as the loops are.

use std::time::Instant;

use wengert::prelude::*;

const N: usize = 10_000_000;
const ROUNDS: usize = 21;

/// The vectors that a hand-written loop updates.
struct State {
    p: Vec<f32>,
    m: Vec<f32>,
    v: Vec<f32>,
    a: Vec<f32>,
}

/// Adam, with clipping of each element, decoupled decay and a moving average if `FULL`.
fn by_hand<const FULL: bool>(g: &[f32], state: &mut State, t: i32) {
    let correct1 = 1.0 / (1.0 - 0.9f32.powi(t));
    let correct2 = 1.0 / (1.0 - 0.999f32.powi(t)).sqrt();
    let past = if t == 1 { 0.0 } else { 0.999f32 };
    let State { p, m, v, a } = state;
    wengert::vectorized(
        #[inline(always)]
        || {
            for ((((g, p), m), v), a) in g.iter().zip(p).zip(m).zip(v).zip(a) {
                let g = if FULL { g.clamp(-1.0, 1.0) } else { *g };
                *m = 0.9 * *m + 0.1 * g;
                *v = 0.999 * *v + 0.001 * g * g;
                let u = correct1 * *m / (correct2 * v.sqrt() + 1e-8);
                *p -= 1e-3 * if FULL { u + 0.01 * *p } else { u };
                if FULL {
                    *a = past * *a + (1.0 - past) * *p;
                }
            }
        },
    );
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn compare(name: &str, recipe: &str, by_hand: fn(&[f32], &mut State, i32)) {
    let mut optimizer = Optimizer::from_toml(recipe).expect("a recipe");
    let g: Vec<f32> = (0..N).map(|i| (i as f32 * 0.7).sin() * 1.5).collect();
    let mut param = Param::new(Tensor::from_fn([N], |i| (i as f32 * 0.3).cos()));
    let grads = Gradients::from_params(vec![(param.id(), Tensor::from_vec(g.clone(), [N]))]);
    let [m, v, a] = [(); 3].map(|()| vec![0.0; N]);
    let mut state = State { p: param.value().to_vec(), m, v, a };
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS + 2 {
        let start = Instant::now();
        optimizer.step(&mut param, &grads);
        let middle = Instant::now();
        by_hand(&g, &mut state, round as i32 + 1);
        let end = Instant::now();
        if round >= 2 {
            ours.push((middle - start).as_secs_f64() * 1e3);
            theirs.push((end - middle).as_secs_f64() * 1e3);
        }
    }
    let pairs = param.value().as_slice().iter().zip(&state.p);
    let apart = pairs.fold(0.0, |most, (a, b)| f32::max(most, (a - b).abs()));
    assert!(apart < 1e-4, "{name}: the two are {apart} apart");
    let ratio = median(ours.iter().zip(&theirs).map(|(a, b)| a / b).collect());
    let (ours, theirs) = (median(ours), median(theirs));
    println!("{name:34} {ours:7.2} ms  by hand {theirs:7.2} ms  ratio {ratio:.2}");
}

fn main() {
    // Before the first parallel loop, which makes the pool.
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build_global();
    pool.expect("the first pool");
    compare("adam", "kind = 'adam'", by_hand::<false>);
    let chain = "kind = 'adamw'\nclip_value = 1.0\nema = 0.999";
    compare("clip_value, adam, decay, average", chain, by_hand::<true>);
}
