//! The program that is measured beside its peers: workloads W1 to W11, written with the prelude as a
//! user would write them. `peers/table.py` runs it and the same workloads in PyTorch and JAX, in turns.
//!
//! `peer --workload W3 --threads 1 --steps 500` trains on fixed synthetic data and prints one line
//! of JSON: median and least time of a step, first and last loss, peak memory. With `--replay` the
//! step is a `Program`, which is recorded once; with `--split 2` it is one that runs on two halves of
//! the batch. With `--losses 100` it prints the losses of the first steps instead, one in a line.

mod nets;
mod poisson;

use std::time::Instant;

use wengert::Input;
use wengert::prelude::*;

use nets::{LeNet, Recurrent, Transformer, linear};

/// A workload: a step that returns the loss.
type Workload = Box<dyn FnMut() -> f64>;

struct Mlp {
    layers: Vec<Linear>,
    activation: fn(Var<'_>) -> Var<'_>,
}
params! { Mlp { layers; activation } }

impl Module for Mlp {
    fn forward<'t>(&self, x: Var<'t>) -> Var<'t> {
        let (last, hidden) = self.layers.split_last().expect("at least one layer");
        let x = hidden.iter().fold(x, |x, layer| (self.activation)(layer.forward(x)));
        last.forward(x)
    }
}

impl Mlp {
    /// Layers of these sizes, drawn from streams 100, 102, ..
    fn new(sizes: &[usize], activation: fn(Var<'_>) -> Var<'_>) -> Self {
        let layer = |(i, size): (usize, &[usize])| linear(100 + 2 * i as u64, size[0], size[1]);
        Self { layers: sizes.windows(2).enumerate().map(layer).collect(), activation }
    }
}

fn main() {
    let arguments = Arguments::parse();
    // Before the first parallel loop, which makes the pool.
    let pool = rayon::ThreadPoolBuilder::new().num_threads(arguments.threads).build_global();
    pool.expect("the first pool");
    let parts = arguments.parts;
    let mut step: Workload = match arguments.workload.as_str() {
        "W1" => {
            let (x, y) = (uniform(1, [2, 2], -1.0, 1.0), uniform(2, [2, 2], 0.0, 1.0));
            train(
                Mlp::new(&[2, 3, 2], |x| x.relu()),
                "kind = 'sgd'\nlr = 0.01",
                parts,
                (x, y),
                |net, _, (x, y)| net.forward(x).sigmoid().half_sse(y) * 0.5,
            )
        }
        "W2" => {
            let (x, y) = (uniform(1, [32, 16], -1.0, 1.0), uniform(2, [32, 1], -1.0, 1.0));
            let net = Mlp::new(&[16, 32, 32, 1], |x| x.tanh());
            train(net, "kind = 'adam'\nlr = 1e-3", parts, (x, y), |net, _, (x, y)| {
                net.forward(x).mse(y)
            })
        }
        "W3" => {
            let (x, y) = (uniform(1, [64, 784], 0.0, 1.0), labels(2, 64, 10));
            let net = Mlp::new(&[784, 128, 10], |x| x.relu());
            train(net, "kind = 'momentum'\nlr = 0.01", parts, (x, y), |net, _, (x, y)| {
                net.forward(x).cross_entropy(y)
            })
        }
        "W4" => {
            let (x, y) = (uniform(1, [256, 1024], -1.0, 1.0), labels(2, 256, 10));
            let net = Mlp::new(&[1024, 1024, 1024, 10], |x| x.relu());
            train(net, "kind = 'adam'\nlr = 1e-4", parts, (x, y), |net, _, (x, y)| {
                net.forward(x).cross_entropy(y)
            })
        }
        "W5" => {
            let (x, y) = (uniform(1, [64, 1, 28, 28], 0.0, 1.0), labels(2, 64, 10));
            train(LeNet::new(), "kind = 'adam'\nlr = 1e-3", parts, (x, y), |net, _, (x, y)| {
                net.forward(x).cross_entropy(y)
            })
        }
        "W6" => {
            let [tokens, y] = [1, 2].map(|stream| {
                Indices::from_vec(labels(stream, 1024, 65).as_slice().to_vec(), [16, 64])
            });
            let recipe = "kind = 'adamw'\nlr = 1e-3\nweight_decay = 0.01";
            train(Transformer::new(), recipe, parts, (tokens, y), |net, tape, (tokens, y)| {
                net.logits(tape, &tokens).cross_entropy(y)
            })
        }
        "W7" => elementwise(parts.is_some()),
        "W8" => adam(),
        "W9" => {
            let (x, y) = (uniform(1, [48, 300], -1.0, 1.0), labels(2, 48, 7));
            let net = Mlp::new(&[300, 200, 100, 7], |x| x.silu());
            train(net, "kind = 'rmsprop'\nlr = 1e-3", parts, (x, y), |net, _, (x, y)| {
                net.forward(x).cross_entropy(y)
            })
        }
        "W10" => {
            let (x, y) = (uniform(1, [16, 50, 32], -1.0, 1.0), labels(2, 16, 10));
            train(Recurrent::new(), "kind = 'adam'\nlr = 1e-3", parts, (x, y), |net, _, (x, y)| {
                net.forward(x).cross_entropy(y)
            })
        }
        "W11" => poisson::poisson(parts.is_some()),
        other => {
            println!("{{{},\"na\":\"{other} is not written yet\"}}", arguments.head());
            return;
        }
    };
    if arguments.losses > 0 {
        (0..arguments.losses).for_each(|_| println!("{:?}", step()));
        return;
    }
    measure(&arguments, &mut step);
}

/// One training step after another on the same batch: recorded each time, or once and in parts.
fn train<N: Params + 'static, A: Given, B: Given>(
    mut net: N,
    recipe: &str,
    parts: Option<usize>,
    (x, y): (A, B),
    loss: impl for<'t> Fn(&N, &'t Tape, (A::Recorded<'t>, B::Recorded<'t>)) -> Var<'t> + 'static,
) -> Workload {
    let mut optimizer = Optimizer::from_toml(recipe).expect("a valid recipe");
    let Some(parts) = parts else {
        return Box::new(move || {
            let (value, grads) =
                gradients(|tape| loss(&net, tape, tape.inputs::<(A, B)>((&x, &y))));
            optimizer.step(&mut net, &grads);
            f64::from(value)
        });
    };
    let mut step = Program::<N, (A, B)>::new(loss).split(parts);
    Box::new(move || {
        let (value, grads) = step.gradients(&net, (&x, &y));
        optimizer.step(&mut net, grads);
        f64::from(value)
    })
}

/// An input that a program is given by reference: a tensor or indices.
trait Given: for<'a> Input<Given<'a> = &'a Self> + 'static {}
impl<I: for<'a> Input<Given<'a> = &'a I> + 'static> Given for I {}

/// Gradients of a million elements; the last loss of the warm-up is the sum of all of them.
fn elementwise(replay: bool) -> Workload {
    let leaves = [1, 2, 3].map(|stream| Param::from(uniform(stream, [1_000_000], -1.0, 1.0)));
    fn loss<'t>(leaves: &[Param; 3], tape: &'t Tape, (): ()) -> Var<'t> {
        let [x, a, b] = leaves.each_ref().map(|leaf| tape.param(leaf));
        ((x * a + b).tanh() * x.sigmoid()).mean()
    }
    let sum_at_the_end = |step: usize, y: f32, leaves: &[Param; 3], grads: &Gradients| {
        let sum = |leaf| f64::from(grads.get(leaf).expect("a gradient").sum().item());
        if step == WARM_UP { leaves.iter().map(sum).sum() } else { f64::from(y) }
    };
    let (mut step, mut program) = (0, Program::<[Param; 3], ()>::new(loss));
    Box::new(move || {
        step += 1;
        if replay {
            let (y, grads) = program.gradients(&leaves, ());
            return sum_at_the_end(step, y, &leaves, grads);
        }
        let (y, grads) = gradients(|tape| loss(&leaves, tape, ()));
        sum_at_the_end(step, y, &leaves, &grads)
    })
}

/// Adam on ten million elements with fixed gradients; only the first and the last loss of the warm-up are computed.
fn adam() -> Workload {
    let mut p = Param::from(uniform(100, [10_000_000], -1.0, 1.0));
    let g = uniform(1, [10_000_000], -1.0, 1.0);
    let (_, grads) = gradients(|tape| (tape.param(&p) * &g).sum());
    let mut optimizer = Optimizer::from_toml("kind = 'adam'\nlr = 1e-3").expect("a valid recipe");
    let mut step = 0;
    Box::new(move || {
        step += 1;
        let loss = if step == 1 || step == WARM_UP { (p.value() * &g).mean().item() } else { 0.0 };
        optimizer.step(&mut p, &grads);
        f64::from(loss)
    })
}

/// Draw `i` of a stream: SplitMix64 by counter, the same in every peer.
fn draw(stream: u64, i: u64) -> u64 {
    let mut z = stream
        .wrapping_mul(0xD134_2543_DE82_EF95)
        .wrapping_add((i + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

fn uniform<const N: usize>(stream: u64, shape: [usize; N], low: f32, high: f32) -> Tensor {
    Tensor::from_fn(shape, |i| {
        low + (high - low) * ((draw(stream, i as u64) >> 40) as f32 / 16_777_216.0)
    })
}

/// Uniform within `1 / sqrt(inputs)`.
fn bounded<const N: usize>(stream: u64, shape: [usize; N], inputs: usize) -> Tensor {
    let bound = 1.0 / (inputs as f32).sqrt();
    uniform(stream, shape, -bound, bound)
}

fn labels(stream: u64, n: usize, classes: u64) -> Indices {
    let label = |i| ((draw(stream, i) >> 33) % classes) as usize;
    (0..n as u64).map(label).collect::<Vec<_>>().into()
}

struct Arguments {
    workload: String,
    threads: usize,
    steps: usize,
    losses: usize,
    /// The parts of a batch for a program; without, each step is recorded.
    parts: Option<usize>,
}

impl Arguments {
    fn parse() -> Self {
        let mut arguments =
            Self { workload: "W1".into(), threads: 1, steps: 0, losses: 0, parts: None };
        let mut words = std::env::args().skip(1);
        while let Some(key) = words.next() {
            if key == "--replay" {
                arguments.parts = Some(1);
                continue;
            }
            let value = words.next().unwrap_or_else(|| fail(&format!("{key} needs a value")));
            let number = || value.parse().unwrap_or_else(|_| fail(&format!("{key}: {value}?")));
            match key.as_str() {
                "--workload" => arguments.workload = value,
                "--threads" => arguments.threads = number(),
                "--steps" => arguments.steps = number(),
                "--losses" => arguments.losses = number(),
                "--split" => arguments.parts = Some(number()),
                _ => fail(&format!(
                    "{key} is not known (--workload, --threads, --steps, --losses, --replay, --split)"
                )),
            }
        }
        if arguments.steps == 0 {
            arguments.steps = match arguments.workload.as_str() {
                "W1" => 20_000,
                "W2" => 3_000,
                "W3" | "W9" | "W10" => 500,
                "W11" => 200,
                "W5" | "W6" | "W7" => 60,
                _ => 20,
            };
        }
        arguments
    }

    fn head(&self) -> String {
        let (version, workload, threads) =
            (env!("CARGO_PKG_VERSION"), &self.workload, self.threads);
        format!(
            "\"peer\":\"wengert\",\"version\":\"{version}\",\"workload\":\"{workload}\",\"threads\":{threads}"
        )
    }
}

fn fail(message: &str) -> ! {
    eprintln!("peer: {message}");
    std::process::exit(2)
}

/// Steps that are not measured.
const WARM_UP: usize = 50;

/// The warm-up, then samples of some steps each, for at most 2.5 seconds.
fn measure(arguments: &Arguments, step: &mut Workload) {
    let warm_up = (0..WARM_UP).map(|_| step()).collect::<Vec<_>>();
    let per_sample = match arguments.workload.as_str() {
        "W1" => 100,
        "W2" => 10,
        _ => 1,
    };
    let begin = Instant::now();
    let mut samples = Vec::new();
    for _ in 0..(arguments.steps / per_sample).max(3) {
        if samples.len() >= 10 && begin.elapsed().as_secs_f64() > 2.5 {
            break;
        }
        let start = Instant::now();
        for _ in 0..per_sample {
            std::hint::black_box(step());
        }
        samples.push(start.elapsed().as_secs_f64() * 1e6 / per_sample as f64);
    }
    samples.sort_by(f64::total_cmp);
    println!(
        "{{{},\"us_per_step_median\":{:.4},\"us_per_step_min\":{:.4},\"loss_first\":{},\"loss_last\":{},\"peak_rss_mb\":{:.1}}}",
        arguments.head(),
        samples[samples.len() / 2],
        samples[0],
        warm_up[0],
        warm_up[warm_up.len() - 1],
        peak_memory(),
    );
}

/// Peak resident memory in MB, as Linux tells it; 0 elsewhere.
fn peak_memory() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kilobytes = status.lines().find_map(|line| {
        line.strip_prefix("VmHWM:")?.split_whitespace().next()?.parse::<f64>().ok()
    });
    kilobytes.unwrap_or(0.0) / 1024.0
}
