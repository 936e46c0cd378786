//! Functions of one number in double precision, against 60 digits.
//!
//! `tests/interop/doubles.py` computed the exact values; the errors allowed are those of `docs/accuracy.md`.

use std::collections::BTreeMap;

use wengert::f64::prelude::*;
use wengert::{UnaryOp, Value, ops};

const PAGE: &str = include_str!("../../docs/accuracy.md");
const FIXTURE: &str = include_str!("../fixtures/doubles.txt");

/// An argument, the nearest double to the exact value, and what that one is more, in units in the last place.
struct Point {
    x: f64,
    nearest: f64,
    rest: f64,
}

impl Point {
    fn read(row: &str) -> Self {
        let mut numbers = row.split(' ').map(|number| number.parse::<f64>().expect("a number"));
        let mut next = || numbers.next().expect("three numbers");
        Self { x: next(), nearest: next(), rest: next() / 1000.0 }
    }

    /// The distance of `found` from the exact value in units in the last place; NaN for another infinity or sign.
    fn error(&self, found: f64) -> f64 {
        if found.is_sign_negative() != self.nearest.is_sign_negative() {
            return f64::NAN;
        }
        if found.is_infinite() || self.nearest.is_infinite() {
            return if found == self.nearest { 0.0 } else { f64::NAN };
        }
        let exponent = (self.nearest.to_bits() >> 52 & 0x7ff).max(1) as i32 - 1075;
        // The unit may be 2^-1074, which has no reciprocal.
        let half = 2f64.powi(exponent / 2);
        let distance = (found - self.nearest) / half / 2f64.powi(exponent - exponent / 2);
        (distance - self.rest).abs()
    }
}

/// The points of each function in the fixture.
fn fixture() -> BTreeMap<&'static str, Vec<Point>> {
    let functions = FIXTURE.split("# ").skip(1).map(|function| {
        let (name, rows) = function.split_once('\n').expect("rows");
        (name, rows.lines().map(Point::read).collect())
    });
    functions.collect()
}

/// The documented errors: of normal and of subnormal results.
fn documented() -> BTreeMap<&'static str, [f64; 2]> {
    let section = PAGE.split("## Double precision").nth(1).expect("the section");
    let section = section.split("\n## ").next().expect("a section");
    let rows = section.lines().filter(|line| line.starts_with('|')).skip(2).map(|row| {
        let cells = row.trim_matches('|').split('|').map(str::trim).collect::<Vec<_>>();
        let error = |cell: &str| cell.parse().expect("an error");
        (cells[0], [error(cells[1]), error(cells[3])])
    });
    rows.collect()
}

struct Compared {
    fixture: BTreeMap<&'static str, Vec<Point>>,
    documented: BTreeMap<&'static str, [f64; 2]>,
}

impl ops::Visitor for Compared {
    fn unary<E: UnaryOp>(&mut self, op: E, _: (f64, f64), _: &[f64]) {
        let name = format!("{op:?}");
        let Some((name, points)) = self.fixture.remove_entry(&*name) else { return };
        let allowed = self.documented.remove(name).expect("a documented error");
        let values = Tensor::from_fn([points.len()], |i| points[i].x).apply_op(op.clone());
        for (point, &found) in points.iter().zip(values.as_slice()) {
            // Alone and among others, by vector instructions, a number has the same value.
            assert_eq!(op.value(point.x).to_bits(), found.to_bits(), "{name} at {:e}", point.x);
            let is_subnormal = point.nearest.abs() < f64::MIN_POSITIVE;
            let (error, allowed) = (point.error(found), allowed[usize::from(is_subnormal)]);
            assert!(
                error <= allowed,
                "{name} at {:e}: {found:e}, not {:e}: {error} ulp, not {allowed}",
                point.x,
                point.nearest
            );
        }
    }
    fn binary<B: wengert::BinaryOp>(&mut self, _: B, _: [(f64, f64); 2], _: bool) {}
}

#[test]
fn errors_are_those_of_the_page() {
    let mut compared = Compared { fixture: fixture(), documented: documented() };
    ops::visit_unary(&mut compared);
    assert!(compared.fixture.is_empty() && compared.documented.is_empty());
}

#[test]
fn special_values_are_exact() {
    const INF: f64 = f64::INFINITY;
    let check = |f: fn(&Tensor) -> Tensor, x: f64, y: f64| {
        for count in [1, 100] {
            let found = f(&Tensor::full([count], x)).as_slice()[count - 1];
            assert!(found.to_bits() == y.to_bits() || found.is_nan() && y.is_nan(), "{x}: {found}");
        }
    };
    let odd: [fn(&Tensor) -> Tensor; 9] = [
        |x| x.exp_m1(),
        |x| x.ln_1p(),
        |x| x.tanh(),
        |x| x.erf(),
        |x| x.silu(),
        |x| x.mish(),
        |x| x.gelu(),
        |x| x.gelu_tanh(),
        |x| x.atan(),
    ];
    for f in odd {
        check(f, 0.0, 0.0);
        check(f, -0.0, -0.0);
        check(f, f64::NAN, f64::NAN);
    }
    for (x, y) in [(0.0, 1.0), (-0.0, 1.0), (INF, INF), (-INF, 0.0), (f64::NAN, f64::NAN)] {
        check(|x| x.exp(), x, y);
    }
    for (x, y) in [(1.0, 0.0), (0.0, -INF), (-0.0, -INF), (INF, INF), (-INF, f64::NAN)] {
        check(|x| x.ln(), x, y);
    }
    for x in [-1.0, -5e-324, f64::NAN] {
        check(|x| x.ln(), x, f64::NAN);
    }
    for (x, y) in [(-1.0, -INF), (INF, INF), (-1.5, f64::NAN), (-INF, f64::NAN)] {
        check(|x| x.ln_1p(), x, y);
    }
    for (x, y) in [(INF, INF), (-INF, -1.0), (-1e300, -1.0)] {
        check(|x| x.exp_m1(), x, y);
    }
    for (x, y) in [(INF, 1.0), (-INF, -1.0), (1e300, 1.0), (-1e300, -1.0)] {
        check(|x| x.tanh(), x, y);
        check(|x| x.erf(), x, y);
    }
    for (x, y) in [(0.0, 0.5), (INF, 1.0), (-INF, 0.0), (f64::NAN, f64::NAN)] {
        check(|x| x.sigmoid(), x, y);
    }
    for (x, y) in [(0.0, 1.0), (INF, 0.0), (-INF, 2.0), (f64::NAN, f64::NAN)] {
        check(|x| x.erfc(), x, y);
    }
    let activations: [fn(&Tensor) -> Tensor; 4] =
        [|x| x.silu(), |x| x.mish(), |x| x.gelu(), |x| x.gelu_tanh()];
    for f in activations {
        check(f, INF, INF);
        check(f, -1e300, -0.0);
        check(f, -INF, f64::NAN);
    }
}
