//! Arithmetic on symbols: how a formula is written.

use std::f64::consts::{FRAC_1_SQRT_2, LN_2, LN_10, SQRT_2};

use super::{Binding, RUN, Symbol};
use crate::float::{Float, PerPrecision, sealed::Sealed};
use crate::math::double::activations::{GELU_CUBIC, GELU_LINEAR};

impl Symbol {
    fn call(function: &str, arguments: &[Self]) -> Self {
        let arguments = arguments.iter().map(ToString::to_string).collect::<Vec<_>>();
        Self::new(format!("{function}({})", arguments.join(", ")), Binding::Atom, None)
    }

    /// The text without a sign, in parentheses if it binds less tightly than its place asks for.
    fn size(self, place: Binding) -> String {
        if self.binding < place { format!("({})", self.text) } else { self.text.to_owned() }
    }

    fn is(self, number: f64) -> bool {
        self.number == Some(number)
    }

    /// The number, if it is written in digits.
    fn digits(self) -> Option<f64> {
        self.text.parse::<f64>().ok().and(self.number)
    }

    /// The result of a calculation with two numbers, if all are written in few digits.
    fn calculated(self, other: Self, result: impl Fn(f64, f64) -> f64) -> Option<Self> {
        let result = result(self.digits()?, other.digits()?);
        (format!("{result}").len() <= SHORT).then(|| Self::of(result))
    }

    fn power(self, exponent: Self) -> Self {
        if exponent.is(1.0) {
            return self;
        }
        let base = if self.negative { format!("({self})") } else { self.size(Binding::Atom) };
        let sign = if exponent.negative { "-" } else { "" };
        let text = format!("{base}^{sign}{}", exponent.size(Binding::Atom));
        Self::new(text, Binding::Power, None)
    }
}

/// The longest number that is written as it is.
const SHORT: usize = 8;

/// The text of a number that is not negative: a few digits or a fraction, alone or with a known factor, or all digits.
fn number(x: f64) -> (String, Binding) {
    /// Factors of numbers in code: what stands above the line and below it.
    const FACTORS: [(f64, &str, &str); 8] = [
        (1.0, "", ""),
        // 1 / sqrt(pi), 1 / sqrt(2), 1 / sqrt(2 pi), sqrt(2 / pi)
        (0.564_189_583_547_756_3, "", "sqrt(pi)"),
        (1.0 / SQRT_2, "", "sqrt(2)"),
        (0.398_942_280_401_432_7, "", "sqrt(2 * pi)"),
        (0.797_884_560_802_865_4, "sqrt(2 / pi)", ""),
        (1.0 / LN_2, "", "ln(2)"),
        (1.0 / LN_10, "", "ln(10)"),
        // The constants of selu.
        (1.758_099_340_847_376_7, "1.0507009873554805 * 1.6732632423543772", ""),
    ];
    if format!("{x}").len() <= SHORT || !x.is_finite() {
        return (format!("{x}"), Binding::Atom);
    }
    for ((factor, above, below), digits) in FACTORS.into_iter().flat_map(|f| [(f, 1.0), (f, 1e6)]) {
        for denominator in 1..=12 {
            let numerator = x / factor * f64::from(denominator);
            let short = (numerator * digits).round() / digits;
            if (numerator - short).abs() > 4.0 * f64::EPSILON * numerator || numerator > 1e6 {
                continue;
            }
            let above = match (above, short == 1.0) {
                ("", _) => format!("{short}"),
                (above, true) => above.to_owned(),
                (above, false) => format!("{short} * {above}"),
            };
            let text = match (denominator, below) {
                (1, "") => above,
                (1, below) => format!("{above} / {below}"),
                (denominator, "") => format!("{above} / {denominator}"),
                (denominator, below) => format!("{above} / ({denominator} * {below})"),
            };
            return (text, Binding::Product);
        }
    }
    let square = (x * x).round();
    let text = if square.sqrt() == x { format!("sqrt({square})") } else { format!("{x}") };
    (text, Binding::Atom)
}

impl Sealed for Symbol {}

macro_rules! functions {
    ($($f:ident)*) => {$(
        fn $f(self) -> Self {
            Self::call(stringify!($f), &[self])
        }
    )*};
}

impl Float for Symbol {
    const NAME: &'static str = "symbol";
    const ZERO: Self = Self::constant("0", 0.0);
    const ONE: Self = Self::constant("1", 1.0);
    const INFINITY: Self = Self::constant("inf", f64::INFINITY);
    const NAN: Self = Self::constant("nan", f64::NAN);
    const EPSILON: Self = Self::constant("eps", f64::EPSILON);

    fn of(x: f64) -> Self {
        let constants = RUN.with_borrow(|run| run.constants.clone());
        for constant in constants {
            let value = constant.to_f64();
            if x == value {
                return constant;
            } else if x == value - 1.0 {
                return Self { number: Some(x), ..constant - Self::ONE };
            } else if x == 1.0 / value {
                return Self { number: Some(x), ..Self::ONE / constant };
            }
        }
        let (text, binding) = number(x.abs());
        let size = Self::new(text, binding, Some(x.abs()));
        if x < 0.0 { -size } else { size }
    }

    /// # Panics
    /// If the expression is no constant.
    fn to_f64(self) -> f64 {
        self.number.unwrap_or_else(|| panic!("{self} is no constant"))
    }

    functions! {
        abs sqrt exp exp_m1 ln log2 log10 ln_1p sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh sigmoid erf
        erfc next_down floor ceil
    }

    fn mul_add(self, a: Self, b: Self) -> Self {
        self * a + b
    }
    fn silu(self) -> Self {
        self * self.sigmoid()
    }
    fn mish(self) -> Self {
        let positive = if self <= Self::ZERO { Self::ZERO } else { self };
        self * (positive + (-self.abs()).exp().ln_1p()).tanh()
    }
    fn gelu(self) -> Self {
        self * Self::of(0.5) * (self * Self::of(-FRAC_1_SQRT_2)).erfc()
    }
    fn gelu_tanh(self) -> Self {
        let factor = self * self * Self::of(GELU_CUBIC) + Self::of(GELU_LINEAR);
        self * (self * factor).sigmoid()
    }
    fn round_ties_even(self) -> Self {
        Self::call("round", &[self])
    }
    fn powf(self, e: Self) -> Self {
        self.power(e)
    }
    fn powi(self, e: i32) -> Self {
        self.power(Self::of(f64::from(e)))
    }
    fn atan2(self, x: Self) -> Self {
        Self::call("atan2", &[self, x])
    }
    fn hypot(self, other: Self) -> Self {
        Self::call("hypot", &[self, other])
    }
    fn is_nan(self) -> bool {
        self.number.is_some_and(f64::is_nan)
    }
    fn is_finite(self) -> bool {
        self.number.is_none_or(f64::is_finite)
    }

    /// # Panics
    /// Always: a symbol stands for a number in a formula, and tensors hold `f32` or `f64`.
    fn run<'a, P: PerPrecision<'a>>(_: P::Input<Self>) -> P::Output<Self> {
        panic!("a symbol stands for a number in a formula; tensors hold f32 or f64");
    }
}

impl std::ops::Neg for Symbol {
    type Output = Self;
    fn neg(self) -> Self {
        if self.is(0.0) {
            return self;
        }
        let number = self.number.map(|x| -x);
        let binding = self.binding.max(Binding::Product);
        let text = if self.binding == Binding::Sum { self.size(binding).leak() } else { self.text };
        Self { negative: !self.negative, text, binding, number }
    }
}

impl std::ops::Add for Symbol {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        match (self, other) {
            (sum, zero) | (zero, sum) if zero.is(0.0) => sum,
            (a, b) if b.negative => a - -b,
            // Nobody writes -a + b.
            (a, b) if a.negative => b - -a,
            (a, b) => a
                .calculated(b, |a, b| a + b)
                .unwrap_or_else(|| Self::new(format!("{a} + {b}"), Binding::Sum, None)),
        }
    }
}

impl std::ops::Sub for Symbol {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        match (self, other) {
            (a, zero) if zero.is(0.0) => a,
            (zero, b) if zero.is(0.0) => -b,
            (a, b) if b.negative && !a.negative => a + -b,
            (a, b) => a.calculated(b, |a, b| a - b).unwrap_or_else(|| {
                let sign = if b.negative { "+" } else { "-" };
                Self::new(format!("{a} {sign} {}", b.size(Binding::Product)), Binding::Sum, None)
            }),
        }
    }
}

impl std::ops::Mul for Symbol {
    type Output = Self;
    fn mul(self, other: Self) -> Self {
        if self.negative {
            return -(-self * other);
        }
        if other.negative {
            return -(self * -other);
        }
        // Numbers stand first.
        let is_swapped = other.number.is_some() && self.number.is_none();
        let [a, b] = if is_swapped { [other, self] } else { [self, other] };
        if a.is(0.0) || b.is(1.0) {
            return a;
        }
        if b.is(0.0) || a.is(1.0) {
            return b;
        }
        if let Some(number) = a.calculated(b, |a, b| a * b) {
            return number;
        }
        if a.text == b.text {
            return a.power(Self::of(2.0));
        }
        let (a, b) = (a.size(Binding::Product), b.size(Binding::Product));
        let text = match b.strip_prefix("1 / ") {
            Some(denominator) => format!("{a} / {denominator}"),
            None => format!("{a} * {b}"),
        };
        Self::new(text, Binding::Product, None)
    }
}

impl std::ops::Div for Symbol {
    type Output = Self;
    fn div(self, other: Self) -> Self {
        if self.negative {
            return -(-self / other);
        }
        if other.negative {
            return -(self / -other);
        }
        if self.is(0.0) || other.is(1.0) {
            return self;
        }
        self.calculated(other, |a, b| a / b).unwrap_or_else(|| {
            let text = format!("{} / {}", self.size(Binding::Product), other.size(Binding::Power));
            Self::new(text, Binding::Product, None)
        })
    }
}

macro_rules! assigning {
    ($($Trait:ident $method:ident $op:tt;)*) => {$(
        impl std::ops::$Trait for Symbol {
            fn $method(&mut self, other: Self) {
                *self = *self $op other;
            }
        }
    )*};
}

assigning! { AddAssign add_assign +; SubAssign sub_assign -; MulAssign mul_assign *; }

impl std::iter::Sum for Symbol {
    fn sum<I: Iterator<Item = Self>>(terms: I) -> Self {
        terms.fold(Self::ZERO, |sum, term| sum + term)
    }
}

impl Default for Symbol {
    fn default() -> Self {
        Self::ZERO
    }
}
