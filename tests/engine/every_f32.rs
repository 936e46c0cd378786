//! The largest errors in single precision, at the inputs that a search through every `f32` has found.
//!
//! `docs/accuracy.md` has the errors and the inputs, which `every_f32` of the benchmarks printed; `tests/interop/every_f32.py`
//! computed the exact values.

use std::collections::BTreeMap;

use wengert::{BinaryOp, UnaryOp, ops};

const PAGE: &str = include_str!("../../docs/accuracy.md");
const FIXTURE: &str = include_str!("../fixtures/every_f32.txt");

/// Another C library may round otherwise, by this many units in the last place.
const OTHER_LIBRARY: f64 = 0.5;

/// The distance in units in the last place of single precision.
fn ulps(found: f32, exact: f64) -> f64 {
    let exponent = ((exact.to_bits() >> 52 & 0x7ff) as i32 - 1023).clamp(-126, 127);
    (f64::from(found) - exact).abs() / 2f64.powi(exponent - 23)
}

/// The documented error of each function at each of its worst inputs.
fn documented() -> BTreeMap<(String, u32), f64> {
    let section = PAGE.split("## Every number of single precision").nth(1).expect("the section");
    let section = section.split("\n## ").next().expect("a section");
    let rows = section.lines().filter(|line| line.starts_with('|')).skip(2);
    let errors = rows.flat_map(|row| {
        let cells = row.trim_matches('|').split('|').map(str::trim).collect::<Vec<_>>();
        let name = cells[0].split(' ').next().expect("a name").to_owned();
        let error = |ulps: &str, at: &str| {
            let at = at.parse::<f32>().ok()?;
            Some(((name.clone(), at.to_bits()), ulps.parse().expect("an error")))
        };
        [error(cells[1], cells[2]), error(cells[3], cells[4])]
    });
    errors.flatten().collect()
}

struct Worst {
    documented: BTreeMap<(String, u32), f64>,
    met: usize,
}

impl ops::Visitor for Worst {
    fn unary<E: UnaryOp>(&mut self, op: E, _: (f64, f64), _: &[f64]) {
        let text = format!("{op:?}");
        let name = text.split(' ').next().expect("a name");
        for row in FIXTURE.lines().filter(|row| row.split(' ').next() == Some(name)) {
            let numbers = row.split(' ').skip(1).map(|x| x.parse::<f64>().expect("a number"));
            let [x, exact] = numbers.collect::<Vec<_>>()[..] else { panic!("{row}") };
            let x = x as f32;
            let (error, expected) =
                (ulps(op.value(x), exact), self.documented[&(name.to_owned(), x.to_bits())]);
            assert!(
                error <= expected + OTHER_LIBRARY,
                "{text} at {x:e}: {error} ulp, not {expected}"
            );
            self.met += 1;
        }
    }
    fn binary<B: BinaryOp>(&mut self, _: B, _: [(f64, f64); 2], _: bool) {}
}

#[test]
fn errors_are_those_of_the_page() {
    let mut worst = Worst { documented: documented(), met: 0 };
    ops::visit_unary(&mut worst);
    assert_eq!(worst.met, FIXTURE.lines().count());
    assert!(worst.met > 0);
}
