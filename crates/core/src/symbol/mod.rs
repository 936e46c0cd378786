//! A number that stands for an expression, so that the very code of a function can be read as a formula.
//!
//! Needs the feature `symbol`. Generic code over [`Float`](crate::Float) runs on a [`Symbol`] as it runs on `f32`, and the result is
//! the formula of what it computes. Where the code compares, it takes one of three ways: [`pieces`] runs it once for
//! each, and [`formula`] puts the results together.
//!
//! ```
//! use wengert_core::symbol::{Symbol, formula, pieces};
//! use wengert_core::{Float, UnaryOp, UnaryOps, ops::Scalar};
//!
//! /// `x^3` above 0, else 0.
//! #[derive(Clone, Debug)]
//! struct Cube;
//!
//! impl UnaryOp for Cube {
//!     fn value<F: Float>(&self, x: F) -> F {
//!         if x > F::ZERO { x * x * x } else { F::ZERO }
//!     }
//!     fn derivative<M: UnaryOps>(&self, x: &M, _: &M) -> M {
//!         x.relu().square() * 3.0
//!     }
//! }
//!
//! let (x, y) = (Symbol::named("x"), Symbol::named("y"));
//! assert_eq!(formula(|| Cube.value(x)), "if(x > 0, x^2 * x, 0)");
//! assert_eq!(formula(|| Cube.derivative(&Scalar(x), &Scalar(y)).0), "if(x > 0, 3 * x^2, 0)");
//!
//! let (path, value) = &pieces(|| Cube.value(x))[0];
//! assert_eq!((path[0].to_string(), value.to_string()), ("x < 0".into(), "0".into()));
//! ```
//!
//! The notation is that of most computer algebra systems, with `^` for powers. Numbers are read as what they were
//! rounded from: `0.3333333333333333` prints as `1 / 3`, and `1.1283791670955126` as `2 / sqrt(pi)`. NaN and infinities
//! have no formula: a comparison is one of less, equal and greater.

mod arithmetic;

use std::cell::RefCell;
use std::cmp::Ordering;
use std::fmt;

/// A number that stands for an expression. It prints as the formula of the expression.
///
/// The text of an expression is never freed: symbols are for tests and for programs that print formulas.
#[derive(Clone, Copy)]
pub struct Symbol {
    /// Whether a minus stands before the text.
    negative: bool,
    text: &'static str,
    binding: Binding,
    /// The value of a constant.
    number: Option<f64>,
}

/// How tightly the outermost operator of an expression binds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Binding {
    Sum,
    Product,
    Power,
    Atom,
}

/// A comparison of two expressions that code has made, and the way it took.
#[derive(Clone, Copy, Debug)]
pub struct Decision {
    /// The left side.
    pub left: Symbol,
    /// The right side.
    pub right: Symbol,
    /// Whether the left side is less than the right side, equal, or greater.
    pub ordering: Ordering,
}

/// The run of a function: the decisions it has made, those it has yet to make as planned, and the names of constants.
struct Run {
    made: Vec<Decision>,
    planned: Vec<Ordering>,
    constants: Vec<Symbol>,
}

thread_local! {
    static RUN: RefCell<Run> = const {
        RefCell::new(Run { made: Vec::new(), planned: Vec::new(), constants: Vec::new() })
    };
}

/// Runs `f` in every way that its comparisons allow. Returns the decisions of each run, in order, and its result.
pub fn pieces<R>(f: impl Fn() -> R) -> Vec<(Vec<Decision>, R)> {
    let mut pieces = Vec::new();
    let mut planned = Vec::new();
    loop {
        RUN.with_borrow_mut(|run| (run.made, run.planned) = (Vec::new(), planned));
        let result = f();
        let made = RUN.with_borrow_mut(|run| std::mem::take(&mut run.made));
        planned = made.iter().map(|decision| decision.ordering).collect();
        pieces.push((made, result));
        // The last decision that can still go another way.
        while planned.pop_if(|last| *last == Ordering::Greater).is_some() {}
        match planned.last_mut() {
            Some(last) => *last = if last.is_lt() { Ordering::Equal } else { Ordering::Greater },
            None => return pieces,
        }
    }
}

/// Returns the formula of what `f` computes: that of its only piece, or nested choices `if(condition, p, q)`.
pub fn formula(f: impl Fn() -> Symbol) -> String {
    let pieces = pieces(f);
    merged(&pieces.iter().map(|(path, result)| (&path[..], result.to_string())).collect::<Vec<_>>())
}

/// The formula of pieces that differ from their first decision on.
fn merged(pieces: &[(&[Decision], String)]) -> String {
    let Some((first, _)) = pieces[0].0.split_first() else {
        return pieces[0].1.clone();
    };
    let way = |ordering| {
        let of_way = pieces.iter().filter(|(path, _)| path[0].ordering == ordering);
        merged(&of_way.map(|(path, text)| (&path[1..], text.clone())).collect::<Vec<_>>())
    };
    let [less, equal, greater] = [Ordering::Less, Ordering::Equal, Ordering::Greater].map(way);
    let choice =
        |sign, p: &str, q: &str| format!("if({} {sign} {}, {p}, {q})", first.left, first.right);
    match (less == equal, equal == greater) {
        (true, true) => equal,
        (true, false) if greater == "0" => choice("<=", &less, &greater),
        (true, false) => choice(">", &greater, &less),
        (false, true) if less == "0" => choice(">=", &greater, &less),
        (false, true) => choice("<", &less, &greater),
        _ if less == greater => choice("==", &equal, &less),
        _ => choice(">", &greater, &choice("<", &less, &equal)),
    }
}

/// Returns the constants of a function: the fields of its struct that are numbers, by their names in `Debug`.
pub fn constants(function: &impl fmt::Debug) -> Vec<Symbol> {
    let text = format!("{function:?}");
    let fields = text.split_once('{').map_or("", |(_, fields)| fields);
    let constants = fields.trim_end_matches([' ', '}']).split(", ").filter_map(|field| {
        let (name, value) = field.split_once(": ")?;
        Some(Symbol { number: Some(value.parse().ok()?), ..Symbol::named(name.trim()) })
    });
    constants.collect()
}

/// Runs `f`, in which the number of a constant, the number less 1 and its reciprocal are written with the name.
pub fn with_constants<R>(constants: &[Symbol], f: impl FnOnce() -> R) -> R {
    RUN.with_borrow_mut(|run| run.constants = constants.to_vec());
    let result = f();
    RUN.with_borrow_mut(|run| run.constants.clear());
    result
}

impl Symbol {
    /// Returns a variable.
    pub fn named(name: &str) -> Self {
        Self::new(name.to_owned(), Binding::Atom, None)
    }

    /// Returns the value of a constant.
    pub fn number(self) -> Option<f64> {
        self.number
    }

    fn new(text: String, binding: Binding, number: Option<f64>) -> Self {
        Self { negative: false, text: text.leak(), binding, number }
    }

    const fn constant(text: &'static str, number: f64) -> Self {
        Self { negative: false, text, binding: Binding::Atom, number: Some(number) }
    }

    fn compared(self, right: Self) -> Option<Ordering> {
        if let (Some(a), Some(b)) = (self.number, right.number) {
            return a.partial_cmp(&b);
        }
        // Expressions are finite.
        if let Some(bound) = right.number.filter(|x| x.is_infinite()) {
            return 0.0.partial_cmp(&bound);
        }
        let same = |a: Self, b: Self| (a.negative, a.text) == (b.negative, b.text);
        if same(self, right) {
            return Some(Ordering::Equal);
        }
        RUN.with_borrow_mut(|run| {
            for made in &run.made {
                if same(made.left, self) && same(made.right, right) {
                    return Some(made.ordering);
                }
                if same(made.left, right) && same(made.right, self) {
                    return Some(made.ordering.reverse());
                }
            }
            let ordering = run.planned.get(run.made.len()).copied().unwrap_or(Ordering::Less);
            run.made.push(Decision { left: self, right, ordering });
            Some(ordering)
        })
    }
}

impl PartialEq for Symbol {
    /// Whether both are equal. A sum or a product is taken to differ from a number, as it does almost everywhere.
    fn eq(&self, other: &Self) -> bool {
        let is_calculated = self.binding < Binding::Power && self.number.is_none();
        let is_generic = is_calculated && other.number.is_some();
        !is_generic && self.compared(*other) == Some(Ordering::Equal)
    }
}

impl PartialOrd for Symbol {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        self.compared(*other)
    }
}

impl fmt::Display for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.negative { "-" } else { "" }, self.text)
    }
}

impl fmt::Debug for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = match self.ordering {
            Ordering::Less => "<",
            Ordering::Equal => "==",
            Ordering::Greater => ">",
        };
        write!(f, "{} {sign} {}", self.left, self.right)
    }
}
