//! Gradients of each example of a batch: a loop of tapes beside `Program::per_example`, for a 64-128-10 net with tanh
//! and 256 rows. Prints the medians of rounds in which both take turns.

use std::time::Instant;

use wengert::prelude::*;
use wengert::rand::{SeedableRng, rngs::ChaCha8Rng};

struct Net {
    hidden: Linear,
    output: Linear,
}
params! { Net { hidden, output } }

impl Net {
    fn loss<'t>(&self, x: Var<'t>, y: Indices) -> Var<'t> {
        self.output.forward(self.hidden.forward(x).tanh()).cross_entropy(y)
    }
}

const ROWS: usize = 256;
const ROUNDS: usize = 15;

fn main() {
    let threads = std::env::args().nth(1).map_or(1, |word| word.parse().expect("a number"));
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build_global();
    pool.expect("the first pool");
    let rng = &mut ChaCha8Rng::seed_from_u64(0);
    let net = Net { hidden: Linear::new(64, 128, rng), output: Linear::new(128, 10, rng) };
    let x = Tensor::randn([ROWS, 64], rng);
    let y = Indices::from((0..ROWS).map(|row| row % 10).collect::<Vec<_>>());
    let mut step = Program::<Net, (Tensor, Indices)>::new(|net, _, (x, y)| net.loss(x, y));

    let tapes = || {
        let norm = |row: usize| {
            let (x, y) = (x.take_rows(&[row]), Indices::from([y.as_slice()[row]]));
            gradients(|tape| net.loss(tape.constant(&x), y)).1.global_norm()
        };
        (0..ROWS).map(norm).collect::<Vec<_>>()
    };
    let mut program = || step.per_example(&net, (&x, &y), |_, _, grads| grads.global_norm());
    assert_eq!(tapes(), program());
    let (mut by_tapes, mut by_program) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        by_tapes.push(micros(|| drop(std::hint::black_box(tapes()))));
        by_program.push(micros(|| drop(std::hint::black_box(program()))));
    }
    let [tapes, program] = [by_tapes, by_program].map(median);
    println!(
        "{threads} threads, {ROWS} examples: tapes {tapes:.0} us, per_example {program:.0} us, ratio {:.2}",
        tapes / program
    );
}

fn micros(f: impl FnOnce()) -> f64 {
    let start = Instant::now();
    f();
    start.elapsed().as_secs_f64() * 1e6
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
