//! `docs/math.md` against the code: no operation is missing, the formulas of functions are printed from the code, and
//! their values are those of the operations. `WENGERT_WRITE=1 cargo test --test engine printed_from_the_code` prints them.

use std::collections::BTreeMap;

use crate::formula;
use wengert::core::symbol::{self, Symbol, formula as formula_of, with_constants};
use wengert::f64::prelude::*;
use wengert::ops::{self, Scalar};
use wengert::rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};
use wengert::{BinaryOp, Float, UnaryOp, Value};

const PAGE: &str = include_str!("../../docs/math.md");
const OPERATIONS: &str = include_str!("../../crates/core/src/ops/mod.rs");

/// Exported beside the operations: traits, settings, and the number type of derivatives.
const NO_OPERATIONS: &[&str] = &[
    "BinaryOp",
    "ConvOptions",
    "ConvTransposeOptions",
    "Elementwise",
    "IndexOps",
    "LinalgOps",
    "MatmulOps",
    "MovementOps",
    "Operand",
    "OrderOps",
    "Padding",
    "Pair",
    "Pooling",
    "ReduceOps",
    "Scalar",
    "Slice",
    "UnaryOp",
    "WindowOps",
];

/// The lines of the table under a heading: the cells behind each name.
fn table(heading: &str) -> BTreeMap<String, Vec<String>> {
    let section = PAGE.split("\n## ").find(|section| section.starts_with(heading));
    let section = section.unwrap_or_else(|| panic!("docs/math.md has no section {heading}"));
    let mut table = BTreeMap::new();
    for line in section.lines().filter(|line| line.starts_with('|')).skip(2) {
        let mut cells = line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned());
        let name = cells.next().expect("a name");
        let twice = table.insert(name.clone(), cells.collect());
        assert!(twice.is_none(), "docs/math.md has two lines for {name}");
    }
    table
}

/// The formula of a cell; what follows it is for people.
fn formula(cell: &str) -> &str {
    cell.split('`').nth(1).unwrap_or_else(|| panic!("no formula in {cell}"))
}

/// The name of an operation and its constants, as it prints them: `MulScalar { factor: -1.7 }`.
fn name_and_constants(op: &impl std::fmt::Debug) -> (String, Vec<Symbol>) {
    let text = format!("{op:?}");
    let name = text.split(' ').next().expect("a name").to_owned();
    (name, symbol::constants(op))
}

struct Formulas {
    lines: BTreeMap<String, Vec<String>>,
    met: Vec<String>,
    rng: ChaCha8Rng,
}

impl Formulas {
    fn of(heading: &str) -> Self {
        Self { lines: table(heading), met: Vec::new(), rng: ChaCha8Rng::seed_from_u64(0) }
    }

    fn draw(&mut self, (low, high): (f64, f64)) -> Vec<f64> {
        (0..200).map(|_| self.rng.random_range(low..high)).collect()
    }

    /// Compares the formulas in the line of an operation with numbers: for each point the arguments,
    /// and what the operation says in the order of the cells.
    fn compare(
        &mut self,
        name: &str,
        constants: &[Symbol],
        arguments: &[(&str, &[f64])],
        said: &[&Tensor],
    ) {
        let cells = self.lines.get(name);
        let cells = cells.unwrap_or_else(|| panic!("docs/math.md has no line for {name}"));
        assert_eq!(cells.len(), said.len(), "the line of {name}");
        self.met.push(name.to_owned());
        for point in 0..said[0].numel() {
            let constant = |c: &Symbol| (c.to_string(), c.to_f64());
            let mut variables = constants.iter().map(constant).collect::<Vec<_>>();
            let here = arguments.iter().map(|(name, at)| ((*name).to_owned(), at[point]));
            variables.extend(here);
            variables.push(("y".into(), said[0].as_slice()[point]));
            for (cell, said) in cells.iter().zip(said) {
                let (formula, said) = (formula(cell), said.as_slice()[point]);
                let written = formula::evaluate(formula, &variables);
                // Differences of numbers of size one leave no more digits than this behind.
                let allowed = 1e-12 * written.abs() + 1e-14;
                assert!(
                    (said - written).abs() <= allowed,
                    "{name}: {formula} is {written:e} at {variables:?}, the operation says {said:e}"
                );
            }
        }
    }

    fn no_line_is_left(&self) {
        let left = self.lines.keys().filter(|name| !self.met.contains(name)).collect::<Vec<_>>();
        assert!(left.is_empty(), "lines of docs/math.md name no operation: {left:?}");
    }
}

/// The value of `f` and its gradients.
fn differentiate<const N: usize>(
    x: [&[f64]; N],
    f: impl for<'t> Fn([Var<'t>; N]) -> Var<'t>,
) -> (Tensor, [Tensor; N]) {
    let x = x.map(|x| Param::new(Tensor::from_vec(x.to_vec(), [x.len()])));
    let value = evaluate(|tape| f(x.each_ref().map(|x| tape.param(x))));
    let (_, grads) = gradients(|tape| f(x.each_ref().map(|x| tape.param(x))).sum());
    (value, x.each_ref().map(|x| grads.get(x).expect("a gradient").clone()))
}

impl ops::Visitor for Formulas {
    fn unary<E: UnaryOp>(&mut self, op: E, domain: (f64, f64), kinks: &[f64]) {
        let (name, constants) = name_and_constants(&op);
        let x = [self.draw(domain), kinks.to_vec()].concat();
        let (value, [derivative]) = differentiate([&x], |[x]| x.apply_op(op.clone()));
        self.compare(&name, &constants, &[("x", &x)], &[&value, &derivative]);
    }

    fn binary<B: BinaryOp>(&mut self, op: B, domains: [(f64, f64); 2], apart: bool) {
        let (name, constants) = name_and_constants(&op);
        let [mut a, mut b] = domains.map(|domain| self.draw(domain));
        // Where arguments must differ for differences, ties are a convention, which is written down.
        if apart {
            a.extend([-1.0, 0.0, 2.5]);
            b.extend([-1.0, 0.0, 2.5]);
        }
        let (value, [da, db]) =
            differentiate([&a, &b], |[a, b]| Value::apply(op.clone(), [&a, &b]));
        self.compare(&name, &constants, &[("a", &a), ("b", &b)], &[&value, &da, &db]);
    }
}

/// The lines of both tables, printed from the code.
#[derive(Default)]
struct Printed {
    unary: Vec<String>,
    binary: Vec<String>,
}

impl Printed {
    fn line<const N: usize>(op: &impl std::fmt::Debug, cells: [&dyn Fn() -> Symbol; N]) -> String {
        let (name, constants) = name_and_constants(op);
        let cells =
            cells.map(|cell| format!(" `{}` |", with_constants(&constants, || formula_of(cell))));
        format!("| {name} |{}", cells.concat())
    }
}

impl ops::Visitor for Printed {
    fn unary<E: UnaryOp>(&mut self, op: E, _: (f64, f64), _: &[f64]) {
        let [x, y] = ["x", "y"].map(|name| Scalar(Symbol::named(name)));
        self.unary.push(Self::line(&op, [&|| op.value(x.0), &|| op.derivative(&x, &y).0]));
    }

    fn binary<B: BinaryOp>(&mut self, op: B, _: [(f64, f64); 2], _: bool) {
        let [a, b] = ["a", "b"].map(|name| Scalar(Symbol::named(name)));
        let derivative = |i| move |op: &B| op.derivative(i, &a, &b).0;
        let (by_a, by_b) = (derivative(0), derivative(1));
        self.binary.push(Self::line(&op, [&|| op.value(a.0, b.0), &|| by_a(&op), &|| by_b(&op)]));
    }
}

/// `page` with other lines in the table under a heading.
fn with_table(page: &str, heading: &str, lines: &[String]) -> String {
    let (before, section) = page.split_once(&format!("\n## {heading}\n")).expect("the section");
    let (head, table) = section.split_once(" --- |\n").expect("a table");
    let end = table.find("\n\n").expect("a further section");
    let lines = lines.join("\n");
    format!("{before}\n## {heading}\n{head} --- |\n{lines}{}", &table[end..])
}

#[test]
fn formulas_are_printed_from_the_code() {
    let mut printed = Printed::default();
    ops::visit_unary(&mut printed);
    ops::visit_binary(&mut printed);
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/math.md");
    let found = std::fs::read_to_string(path).expect("a page");
    let page = with_table(&found, "Functions of one number", &printed.unary);
    let page = with_table(&page, "Functions of two numbers", &printed.binary);
    if std::env::var_os("WENGERT_WRITE").is_some() {
        return std::fs::write(path, &page).expect("a page that can be written");
    }
    for (printed, line) in page.lines().zip(found.lines()) {
        assert_eq!(printed, line, "docs/math.md is printed anew with WENGERT_WRITE=1");
    }
}

#[test]
fn functions_of_one_number() {
    let mut formulas = Formulas::of("Functions of one number");
    ops::visit_unary(&mut formulas);
    formulas.no_line_is_left();
}

#[test]
fn functions_of_two_numbers() {
    let mut formulas = Formulas::of("Functions of two numbers");
    ops::visit_binary(&mut formulas);
    formulas.no_line_is_left();
}

/// The list of operations is what the module exports, so that it cannot be forgotten.
#[test]
fn operations_written_by_hand() {
    let in_tables = table("Functions of two numbers");
    let exports = OPERATIONS.split("pub use ").skip(1).flat_map(|export| {
        let (_, names) = export.split(';').next().expect("a path").split_once("::").expect("::");
        names.trim_matches(['{', '}', '\n', ' ']).split(',').map(str::trim)
    });
    let exported = exports
        .filter(|name| name.starts_with(char::is_uppercase))
        .filter(|name| !NO_OPERATIONS.contains(name) && !in_tables.contains_key(*name))
        .collect::<Vec<_>>();
    let written = table("Operations written by hand");
    let unwritten = exported.iter().filter(|name| !written.contains_key(**name));
    let unknown = written.keys().filter(|name| !exported.contains(&name.as_str()));
    let (unwritten, unknown) = (unwritten.collect::<Vec<_>>(), unknown.collect::<Vec<_>>());
    assert!(unwritten.is_empty(), "docs/math.md has no line for {unwritten:?}");
    assert!(unknown.is_empty(), "lines of docs/math.md name no operation: {unknown:?}");
    for (name, cells) in written {
        assert!(cells.len() == 2 && cells.iter().all(|cell| !cell.is_empty()), "{name}: {cells:?}");
    }
}
