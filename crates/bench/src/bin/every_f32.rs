//! The error of each function of one number in single precision, over every `f32` there is.
//!
//! Run: `cargo run --release -p wengert-bench --bin every_f32`, with the names of functions to measure only those. The
//! result is a row of the table in `docs/accuracy.md` for each function. Tensors are computed, as users compute them.
//!
//! The exact value is that of the same function in double precision, rounded nowhere: the elementary functions are other
//! ones then, with errors a hundred million times smaller. An error is counted in units in the last place of the exact
//! value, as in `docs/accuracy.md`. Results that are subnormal are counted apart, and so are
//! special values: a NaN, an infinity or the sign of a zero that is not as in double precision.

use rayon::prelude::*;
use wengert::core::Tensor;
use wengert::ops::{self, Visitor};
use wengert::{UnaryOp, Value};

/// The inputs that one thread takes at a time.
const BLOCK: u32 = 1 << 16;
/// The least number that overflows, and the distance of numbers below it.
const OVERFLOW: f64 = (1u128 << 127) as f64 * 2.0;

/// The largest error, and where it is.
#[derive(Clone, Copy, Default)]
struct Worst {
    ulps: f64,
    at: f32,
}

impl Worst {
    fn or(self, other: Self) -> Self {
        if other.ulps > self.ulps { other } else { self }
    }
}

/// What was found over some inputs.
#[derive(Clone, Copy, Default)]
struct Errors {
    normal: Worst,
    subnormal: Worst,
    special: u64,
    first_special: Option<f32>,
}

impl Errors {
    fn add(&mut self, x: f32, found: f32, exact: f64) {
        if is_wrong_special(found, exact) {
            self.special += 1;
            self.first_special = self.first_special.or(Some(x));
        } else if found.is_finite() || exact.is_finite() {
            let worst = Worst { ulps: ulps(found, exact), at: x };
            let is_subnormal = exact.abs() < f64::from(f32::MIN_POSITIVE);
            let class = if is_subnormal { &mut self.subnormal } else { &mut self.normal };
            *class = class.or(worst);
        }
    }

    /// Both together; `other` comes after `self`.
    fn and(self, other: Self) -> Self {
        Self {
            normal: self.normal.or(other.normal),
            subnormal: self.subnormal.or(other.subnormal),
            special: self.special + other.special,
            first_special: self.first_special.or(other.first_special),
        }
    }
}

/// Whether one of two numbers is special in a way in which the other is not.
fn is_wrong_special(found: f32, exact: f64) -> bool {
    if found.is_nan() || exact.is_nan() {
        return found.is_nan() != exact.is_nan();
    }
    let other_sign = found.is_sign_negative() != exact.is_sign_negative();
    (exact.is_infinite() && f64::from(found) != exact)
        || (exact == 0.0 && found != 0.0)
        || (found == 0.0 && other_sign)
}

/// The distance in units in the last place of an `f32` near `exact`. An infinity counts as the next number would.
fn ulps(found: f32, exact: f64) -> f64 {
    let found = f64::from(found).clamp(-OVERFLOW, OVERFLOW);
    let exact = exact.clamp(-OVERFLOW, OVERFLOW);
    let exponent = (exact.to_bits() >> 52 & 0x7ff).clamp(1023 - 126, 1023 + 127);
    (found - exact).abs() / f64::from_bits((exponent - 23) << 52)
}

/// Measures the functions with the given names, or all of them, at each `step`th input.
struct Measure {
    names: Vec<String>,
    step: u32,
}

impl Visitor for Measure {
    fn unary<E: UnaryOp>(&mut self, op: E, _: (f64, f64), _: &[f64]) {
        let name = format!("{op:?}");
        if !self.names.is_empty() && !self.names.iter().any(|n| name.split(' ').next() == Some(n)) {
            return;
        }
        let errors = (0..u32::MAX / BLOCK + 1).into_par_iter().map(|block| {
            let x = |i: usize| f32::from_bits(block * BLOCK + i as u32 * self.step);
            let inputs = [BLOCK.div_ceil(self.step) as usize];
            let found = Tensor::<f32>::from_fn(inputs, x).apply_op(op.clone());
            let exact = Tensor::<f64>::from_fn(inputs, |i| f64::from(x(i))).apply_op(op.clone());
            let mut errors = Errors::default();
            for (i, (&found, &exact)) in found.as_slice().iter().zip(exact.as_slice()).enumerate() {
                errors.add(x(i), found, exact);
            }
            errors
        });
        let errors = errors.reduce(Errors::default, Errors::and);
        let cell = |Worst { ulps, at }| match ulps {
            0.0 => "0 |".to_owned(),
            _ => format!("{ulps:.3} | {at:e}"),
        };
        let special = errors.first_special.map_or(String::new(), |x| format!(", first at {x:e}"));
        println!(
            "| {name} | {} | {} | {}{special} |",
            cell(errors.normal),
            cell(errors.subnormal),
            errors.special
        );
    }

    fn binary<B: wengert::BinaryOp>(&mut self, _: B, _: [(f64, f64); 2], _: bool) {}
}

fn main() {
    let mut names = std::env::args().skip(1).collect::<Vec<_>>();
    let mut step = 1;
    if names.first().is_some_and(|first| first == "--step") {
        step = names.get(1).and_then(|n| n.parse().ok()).expect("`--step N`");
        names.drain(..2);
    }
    println!(
        "| function | error, ulp | at | error of subnormal results, ulp | at | wrong special values |"
    );
    println!("| --- | ---: | ---: | ---: | ---: | ---: |");
    ops::visit_unary(&mut Measure { names, step });
}
