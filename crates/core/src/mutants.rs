//! Mistakes on purpose, for testing the tests (`--cfg wengert_mutants` alone compiles this).
//!
//! A mutant is a place, and an alteration of what passes there. `WENGERT_MUTANT` names the one that this process runs,
//! as in `tanh/0/computed*1.001`. `WENGERT_MUTANT_LIST` names a file, to which every mutant that a test meets is added.

use std::any::type_name;
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::io::Write;
use std::marker::PhantomData;
use std::panic::Location;
use std::sync::{Mutex, OnceLock};

use crate::op::{Gathered, Instruction, Value, op_name};
use crate::ops::UnaryOps;
use crate::{Float, Tensor};

/// The alteration that this process makes at a place, if it is one of these. Nothing is altered if `T`, the operation,
/// rule or schedule, is not the library's, but one of a test.
pub fn at<T>(place: &str, alterations: &[&'static str]) -> Option<&'static str> {
    if !type_name::<T>().starts_with("wengert_") {
        return None;
    }
    static MUTANT: OnceLock<Option<String>> = OnceLock::new();
    let mutant = MUTANT.get_or_init(|| std::env::var("WENGERT_MUTANT").ok());
    list(place, alterations);
    let (altered, how) = mutant.as_ref()?.split_once('*').expect("PLACE*ALTERATION");
    alterations.iter().copied().find(|alteration| altered == place && how == *alteration)
}

/// The factor of a number at a place: 1, or 1.001.
pub fn factor<T>(place: &str) -> f64 {
    at::<T>(place, &["1.001"]).map_or(1.0, |_| 1.001)
}

/// Whether a derivative is computed or recorded.
#[derive(Clone, Copy, Debug)]
pub(crate) enum World {
    Computed,
    Recorded,
}

thread_local! {
    /// The derivative that this thread computes.
    static DERIVATIVE: RefCell<String> = const { RefCell::new(String::new()) };
}

/// The cotangent `g` on its way into the derivative of operation `O` with respect to input `i`.
///
/// A vector-Jacobian product is linear in the cotangent, so scaling the cotangent scales the result.
pub(crate) fn derivative<O, V: Value>(i: usize, world: World, g: &V) -> V {
    let world = if matches!(world, World::Computed) { "computed" } else { "recorded" };
    let place = format!("{}/{i}/{world}", op_name::<O>());
    let altered = at::<O>(&place, &["1.001", "-1"]);
    DERIVATIVE.set(place);
    altered.map_or_else(|| g.clone(), |factor| g.mul_scalar(factor.parse().expect("a factor")))
}

/// Whether the contribution of this thread's derivative counts as the first, so that it overwrites the others.
pub(crate) fn overwrites() -> bool {
    DERIVATIVE.with_borrow(|derivative| at::<World>(derivative, &["overwrites"]).is_some())
}

/// The value of an operation.
pub(crate) fn value<O, F: Float>(_: &O, mut y: Tensor<F>) -> Tensor<F> {
    if let Some(element) = element::<O>("value", y.shape().numel()) {
        y.as_mut_slice()[element] += F::of(0.001);
    }
    y
}

/// The element of a value that is altered: the first, the middle or the last. The last one is in the tail of a loop over
/// vector registers.
///
/// The error is a constant, so that no derivative shows it: a test of the values must.
fn element<O>(way: &str, len: usize) -> Option<usize> {
    let alterations = match len {
        0 => return None,
        1 => &["first"][..],
        2 => &["first", "last"],
        _ => &["first", "last", "middle"],
    };
    Some(match at::<O>(&format!("{}/{way}", op_name::<O>()), alterations)? {
        "first" => 0,
        "middle" => len / 2,
        _ => len - 1,
    })
}

/// The instruction of operation `O`, whose value or derivative is wrong where a program replays it: as it is on a tape,
/// so that a comparison of both shows nothing, or only here.
pub(crate) struct Replayed<O, F: Float>(Box<dyn Instruction<F>>, PhantomData<fn() -> O>);

impl<O, F: Float> Replayed<O, F> {
    pub(crate) fn new(instruction: Box<dyn Instruction<F>>) -> Self {
        Self(instruction, PhantomData)
    }
}

impl<O, F: Float> Instruction<F> for Replayed<O, F> {
    fn forward(&self, x: &[&[F]], y: &mut [F]) {
        self.0.forward(x, y);
        for way in ["value", "again"] {
            if let Some(element) = element::<O>(way, y.len()) {
                y[element] += F::of(0.001);
            }
        }
    }

    fn vjp(&self, i: usize, x: &[&[F]], y: &[F], g: &[F], into: Gathered<'_, F>) {
        let altered = ["computed", "replayed"].iter().find_map(|world| {
            at::<O>(&format!("{}/{i}/{world}", op_name::<O>()), &["1.001", "-1"])
        });
        let Some(factor) = altered else { return self.0.vjp(i, x, y, g, into) };
        let factor = F::of(factor.parse().expect("a factor"));
        let g = g.iter().map(|g| *g * factor).collect::<Vec<_>>();
        self.0.vjp(i, x, y, &g, into);
    }
}

/// The flags of a matrix product: both transpositions, and whether it is added. They are altered for each combination
/// of flags and each line that asks for it.
#[track_caller]
pub(crate) fn flags([m, n, k]: [usize; 3], mut flags: [bool; 3]) -> [bool; 3] {
    let caller = Location::caller();
    let name = caller.file().rsplit('/').next().unwrap_or_default();
    let [a, b, sum] = flags.map(|flag| if flag { "yes" } else { "no" });
    let place = format!("matmul/{name}:{}/{a},{b},{sum}", caller.line());
    // The transpose of a vector has the same elements in the same order.
    let matter = [m > 1 && k > 1, k > 1 && n > 1, m * n > 0];
    for (flag, (matters, how)) in
        matter.into_iter().zip(["transpose_a", "transpose_b", "accumulate"]).enumerate()
    {
        if matters && at::<World>(&place, &[how]).is_some() {
            flags[flag] ^= true;
        }
    }
    flags
}

fn list(place: &str, alterations: &[&str]) {
    static SEEN: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let Ok(path) = std::env::var("WENGERT_MUTANT_LIST") else { return };
    let mut seen = SEEN.lock().expect("no panic while listing");
    for how in alterations {
        let mutant = format!("{place}*{how}");
        if seen.insert(mutant.clone()) {
            let file = std::fs::OpenOptions::new().create(true).append(true).open(&path);
            writeln!(file.expect("a writable list"), "{mutant}").expect("a writable list");
        }
    }
}
