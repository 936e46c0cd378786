//! Wrong derivatives on purpose, for testing the tests (`--cfg wengert_mutants` alone compiles this).
//!
//! A vector-Jacobian product is linear in the cotangent, so scaling the cotangent on the way into a
//! derivative scales the result. One place makes a mutant of any derivative. `WENGERT_MUTANT` names
//! it, as in `tanh/0/computed*1.001`; `WENGERT_MUTANT_LIST` names a file to which every derivative
//! that runs is added, with the name of the test that ran it.

use std::collections::BTreeSet;
use std::io::Write;
use std::sync::{Mutex, OnceLock};

use crate::op::{Value, op_name};
use crate::ops::UnaryOps;

/// Whether a derivative is computed or recorded.
#[derive(Clone, Copy, Debug)]
pub(crate) enum World {
    Computed,
    Recorded,
}

/// The cotangent `g` on its way into the derivative of operation `O` with respect to input `i`.
pub(crate) fn alter<O, V: Value>(i: usize, world: World, g: &V) -> V {
    static MUTANT: OnceLock<Option<(String, f64)>> = OnceLock::new();
    let mutant = MUTANT.get_or_init(|| {
        let text = std::env::var("WENGERT_MUTANT").ok()?;
        let (rule, factor) = text.split_once('*').expect("RULE*FACTOR");
        Some((rule.to_owned(), factor.parse().expect("a factor")))
    });
    let world = if matches!(world, World::Computed) { "computed" } else { "recorded" };
    let rule = format!("{}/{i}/{world}", op_name::<O>());
    list(&rule);
    match mutant {
        Some((altered, factor)) if *altered == rule => g.mul_scalar(*factor),
        _ => g.clone(),
    }
}

fn list(rule: &str) {
    static SEEN: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let Ok(path) = std::env::var("WENGERT_MUTANT_LIST") else { return };
    // The test harness names the thread of a test after it.
    let thread = std::thread::current();
    let line = format!("{rule} {}", thread.name().unwrap_or_default());
    // Held while writing: tests run on several threads, and a line must not tear another.
    let mut seen = SEEN.lock().expect("no panic while listing");
    if seen.insert(line.clone()) {
        let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
        writeln!(file.expect("a writable list"), "{line}").expect("a writable list");
    }
}
