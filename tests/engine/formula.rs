//! The notation of `docs/math.md`: numbers, names, `+ - * / ^`, comparisons, and functions.

use std::f64::consts::{FRAC_2_SQRT_PI, LN_2, LN_10, PI};

/// The value of a formula. Conditions are 1 and 0.
///
/// # Panics
/// If it is not one, or has a name that means nothing.
pub(crate) fn evaluate(formula: &str, variables: &[(String, f64)]) -> f64 {
    let mut reader = Reader { rest: formula, variables };
    let value = reader.comparison();
    assert!(reader.rest.trim().is_empty(), "{formula}: what is {}", reader.rest);
    value
}

struct Reader<'a> {
    rest: &'a str,
    variables: &'a [(String, f64)],
}

impl<'a> Reader<'a> {
    /// Whether `sign` comes next; if so it is taken.
    fn takes(&mut self, sign: &str) -> bool {
        self.rest = self.rest.trim_start();
        let rest = self.rest.strip_prefix(sign);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn expect(&mut self, sign: &str) {
        assert!(self.takes(sign), "{sign} is missing before {}", self.rest);
    }

    /// What comes next of characters of one kind.
    fn word(&mut self, kind: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest.trim_start();
        let (word, rest) = rest.split_at(rest.find(|c| !kind(c)).unwrap_or(rest.len()));
        self.rest = rest;
        word
    }

    fn comparison(&mut self) -> f64 {
        let left = self.sum();
        for sign in ["<=", ">=", "==", "<", ">"] {
            if self.takes(sign) {
                let right = self.sum();
                let holds = match sign {
                    "<=" => left <= right,
                    ">=" => left >= right,
                    "==" => left == right,
                    "<" => left < right,
                    _ => left > right,
                };
                return f64::from(u8::from(holds));
            }
        }
        left
    }

    fn sum(&mut self) -> f64 {
        let mut sum = self.product();
        loop {
            if self.takes("+") {
                sum += self.product();
            } else if self.takes("-") {
                sum -= self.product();
            } else {
                return sum;
            }
        }
    }

    fn product(&mut self) -> f64 {
        let mut product = self.signed();
        loop {
            if self.takes("*") {
                product *= self.signed();
            } else if self.takes("/") {
                product /= self.signed();
            } else {
                return product;
            }
        }
    }

    fn signed(&mut self) -> f64 {
        if self.takes("-") {
            return -self.signed();
        }
        let base = self.atom();
        if self.takes("^") { base.powf(self.signed()) } else { base }
    }

    fn atom(&mut self) -> f64 {
        if self.takes("(") {
            let value = self.comparison();
            self.expect(")");
            return value;
        }
        let number = self.word(|c| c.is_ascii_digit() || c == '.');
        if !number.is_empty() {
            return number.parse().expect("a number");
        }
        let name = self.word(|c| c.is_ascii_alphanumeric() || c == '_');
        if !self.takes("(") {
            let variable = self.variables.iter().find(|(known, _)| known == name);
            return match (name, variable) {
                (_, Some((_, value))) => *value,
                ("pi", None) => PI,
                _ => panic!("{name:?} means nothing before {:?}", self.rest),
            };
        }
        let mut arguments = vec![self.comparison()];
        while self.takes(",") {
            arguments.push(self.comparison());
        }
        self.expect(")");
        call(name, &arguments)
    }
}

fn call(name: &str, arguments: &[f64]) -> f64 {
    match (name, arguments) {
        ("if", &[condition, a, b]) => {
            if condition == 1.0 {
                a
            } else {
                b
            }
        }
        ("min", &[a, b]) => a.min(b),
        ("max", &[a, b]) => a.max(b),
        ("atan2", &[a, b]) => a.atan2(b),
        ("hypot", &[a, b]) => (a * a + b * b).sqrt(),
        ("abs", &[x]) => x.abs(),
        ("sign", &[0.0]) => 0.0,
        ("sign", &[x]) => x.signum(),
        ("floor", &[x]) => x.floor(),
        ("ceil", &[x]) => x.ceil(),
        ("round", &[x]) => x.round_ties_even(),
        ("sqrt", &[x]) => x.sqrt(),
        ("exp", &[x]) => x.exp(),
        ("exp_m1", &[x]) => x.exp_m1(),
        ("ln", &[x]) => x.ln(),
        ("ln_1p", &[x]) => x.ln_1p(),
        ("log2", &[x]) => x.ln() / LN_2,
        ("log10", &[x]) => x.ln() / LN_10,
        ("sin", &[x]) => x.sin(),
        ("cos", &[x]) => x.cos(),
        ("tan", &[x]) => x.tan(),
        ("asin", &[x]) => x.asin(),
        ("acos", &[x]) => x.acos(),
        ("atan", &[x]) => x.atan(),
        ("sinh", &[x]) => (x.exp() - (-x).exp()) / 2.0,
        ("cosh", &[x]) => (x.exp() + (-x).exp()) / 2.0,
        ("tanh", &[x]) => x.tanh(),
        ("asinh", &[x]) => x.asinh(),
        ("acosh", &[x]) => x.acosh(),
        ("atanh", &[x]) => ((1.0 + x) / (1.0 - x)).ln() / 2.0,
        ("sigmoid", &[x]) => 1.0 / (1.0 + (-x).exp()),
        ("erf", &[x]) => erf(x),
        ("erfc", &[x]) => 1.0 - erf(x),
        _ => panic!("{name} is no function of {} arguments", arguments.len()),
    }
}

/// `2 / sqrt(pi) exp(-x^2)` times the sum of `2^n x^(2n + 1) / (1 * 3 * .. * (2n + 1))`, in which
/// nothing cancels (Abramowitz and Stegun, 7.1.6).
fn erf(x: f64) -> f64 {
    let (mut term, mut sum) = (x, 0.0);
    for n in 1..200 {
        sum += term;
        term *= 2.0 * x * x / f64::from(2 * n + 1);
    }
    FRAC_2_SQRT_PI * (-x * x).exp() * sum
}

#[test]
fn formulas_mean_what_they_mean_on_paper() {
    let at = |formula| evaluate(formula, &[("x".into(), 3.0)]);
    assert_eq!(at("-x^2 + 2 * x - 1 / 2"), -3.5);
    assert_eq!(at("2^-1 * (x - 1)^2"), 2.0);
    assert_eq!(at("if(x >= 3, max(x, 4), 0)"), 4.0);
    assert_eq!(at("8 / 2 / 2 - 1 - 1"), 0.0);
    // Abramowitz and Stegun, table 7.1.
    assert!(
        (erf(0.5) - 0.520_499_877_8).abs() < 1e-10 && (erf(2.0) - 0.995_322_265_0).abs() < 1e-10
    );
}
