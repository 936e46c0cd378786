//! Random calls of the tensor API: see `tests/fuzz/calls.rs`.
//!
//! `WENGERT_CALLS=10000000 cargo test --release --test engine random_calls` runs more of them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rand::{Rng, RngExt, SeedableRng, rngs::ChaCha8Rng};

#[path = "../fuzz/calls.rs"]
#[allow(unreachable_pub, reason = "the fuzz target includes it too")]
mod calls;

/// The longest time that a run of some dozen calls may take.
const LIMIT: Duration = Duration::from_secs(20);

/// Ends the process if a run does not end: a test cannot end a thread.
fn watch(running: &'static AtomicU64) {
    std::thread::spawn(move || {
        loop {
            let before = running.load(Ordering::Relaxed);
            std::thread::sleep(LIMIT);
            if running.load(Ordering::Relaxed) == before && before != u64::MAX {
                eprintln!("the calls of seed {before} did not end within {LIMIT:?}");
                std::process::abort();
            }
        }
    });
}

#[test]
fn no_call_does_worse_than_a_panic_that_names_the_operation() {
    static RUNNING: AtomicU64 = AtomicU64::new(u64::MAX);
    let wanted = std::env::var("WENGERT_CALLS").map_or(20_000, |n| n.parse().expect("a number"));
    let first = std::env::var("WENGERT_SEED").map_or(0, |n| n.parse().expect("a number"));
    watch(&RUNNING);
    let (mut seed, mut count) = (first, 0);
    while count < wanted {
        RUNNING.store(seed, Ordering::Relaxed);
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut bytes = vec![0; rng.random_range(16..160)];
        rng.fill_bytes(&mut bytes);
        let run = std::panic::catch_unwind(|| calls::calls(&bytes));
        count += run.unwrap_or_else(|_| panic!("the calls of seed {seed}"));
        seed += 1;
    }
    RUNNING.store(u64::MAX, Ordering::Relaxed);
    println!("{count} calls of seeds {first}..{seed}");
}
