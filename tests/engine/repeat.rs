//! The same seed gives the same bits: from run to run, and for any number of threads.
//!
//! The number of threads of a process is settled once, so that this test runs itself as a child
//! with `RAYON_NUM_THREADS` set, and compares what the children print.

use std::process::Command;

use wengert::prelude::*;
use wengert::rand::{SeedableRng, rngs::ChaCha8Rng};

const CHILD: &str = "WENGERT_REPEAT_CHILD";
const TEST: &str = "repeat::bits_do_not_depend_on_the_run_nor_on_the_number_of_threads";

/// Trains a net that is large enough for products, loops, sums and the optimizer to use threads, and
/// returns a fingerprint of every bit of its parameters and of the losses on the way.
fn fingerprint() -> u64 {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let mut net = Sequential::new()
        .then(Linear::new(300, 1100, &mut rng))
        .then(Tanh)
        .then(Linear::new(1100, 10, &mut rng));
    let x = Tensor::randn([280, 300], &mut rng);
    let labels = Indices::from((0..280).map(|i| i * 7 % 10).collect::<Vec<_>>());
    let mut optimizer = Optimizer::from_toml("kind = 'adamw'\nlr = 1e-3\nclip_norm = 0.5").unwrap();
    let mut bits = Vec::new();
    for _ in 0..4 {
        let (loss, grads) = gradients(|tape| {
            let hidden = net.forward(tape.constant(&x));
            hidden.cross_entropy(&labels) + hidden.square().mean_axes(0, false).sum() * 1e-3
        });
        optimizer.step(&mut net, &grads);
        bits.push(loss.to_bits());
    }
    for (_, param) in net.named_params() {
        bits.extend(param.value().as_slice().iter().map(|x| x.to_bits()));
    }
    // FNV-1a, which is defined and does not depend on the release of the standard library.
    bits.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &bits| {
        (hash ^ u64::from(bits)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[test]
fn bits_do_not_depend_on_the_run_nor_on_the_number_of_threads() {
    if std::env::var_os(CHILD).is_some() {
        println!("fingerprint {:x}", fingerprint());
        return;
    }
    let run = |threads: &str| {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--nocapture", "--test-threads=1", "--exact", TEST])
            .env(CHILD, "1")
            .env("RAYON_NUM_THREADS", threads)
            .output()
            .unwrap();
        let text = String::from_utf8(child.stdout).unwrap();
        let at = text.find("fingerprint ").unwrap_or_else(|| panic!("the child printed {text:?}"));
        text[at..].lines().next().unwrap().to_owned()
    };
    let once = run("1");
    assert_eq!(once, run("1"), "from run to run");
    assert_eq!(once, run("2"), "on two threads");
    assert_eq!(once, run("3"), "on three threads");
}
