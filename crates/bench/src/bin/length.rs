//! Prints how the time of a gradient grows with the number of parts of a sequence: it should double from column to
//! column.

use std::time::Instant;

use wengert::f64::prelude::*;
use wengert::rand::{SeedableRng, rngs::ChaCha8Rng};

const LENGTHS: [usize; 5] = [1_000, 2_000, 4_000, 8_000, 16_000];

fn main() {
    print!("{:24}", "milliseconds for T =");
    LENGTHS.iter().for_each(|length| print!("{length:10}"));
    println!();
    row("stack of T vectors", |t| {
        let x = Param::from(Tensor::ones([8]));
        gradients(|tape| {
            let x = tape.param(&x);
            Var::stack(&vec![x; t], 0).square().sum()
        });
    });
    row("the same, recorded", |t| {
        let tape = Tape::new();
        let x = tape.variable(&Tensor::ones([8]));
        let parts = (0..t).map(|_| x * 1.0).collect::<Vec<_>>();
        grad(Var::stack(&parts, 0).square().sum(), &[x])[0].value();
    });
    row("T rows, one by one", |t| {
        let x = Param::from(Tensor::ones([t, 8]));
        gradients(|tape| {
            let x = tape.param(&x);
            let row = |i| x.index_select(0, [i]).square().sum();
            (1..t).fold(row(0), |sum, i| sum + row(i))
        });
    });
    let gru = Gru::new(2, 4, &mut ChaCha8Rng::seed_from_u64(0));
    row("last state of a GRU", |t| {
        let x = Tensor::ones([1, t, 2]);
        gradients(|tape| gru.forward(tape.constant(&x)).narrow(1, t - 1, 1).sum());
    });
    row("its recorded gradient", |t| {
        let tape = Tape::new();
        let x = tape.variable(&Tensor::ones([1, t, 2]));
        grad(gru.forward(x).square().sum(), &[x])[0].value();
    });
    row("jvp of the states", |t| {
        let tape = Tape::new();
        let x = tape.variable(&Tensor::ones([1, t, 2]));
        jvp(gru.forward(x), &[x], &[x]).value();
    });
    row("hvp", |t| {
        let tape = Tape::new();
        let x = tape.variable(&Tensor::ones([1, t, 2]));
        hvp(gru.forward(x).square().sum(), &[x], &[x])[0].value();
    });
}

/// Prints the shortest of three runs for each length.
fn row(name: &str, run: impl Fn(usize)) {
    print!("{name:24}");
    for length in LENGTHS {
        let time = || {
            let start = Instant::now();
            run(length);
            start.elapsed().as_secs_f64() * 1e3
        };
        print!("{:10.2}", (0..3).map(|_| time()).fold(f64::INFINITY, f64::min));
    }
    println!();
}
