//! Functions of one and of two numbers.

use serde_json::json;
use wengert::core::Var;
use wengert::{BinaryOps, Float, IndexOps, Tensor, UnaryOps, custom_vjp};

use crate::random::draw::{Draw, Drawn};
use crate::random::program::Settings;

/// Calls the macro given with all functions of one number that have no constant.
macro_rules! plain {
    ($then:ident $($more:tt)*) => {
        $then! { ($($more)*)
            neg square sqrt rsqrt recip exp exp_m1 ln ln_1p log2 log10 sin cos tan asin acos atan sinh cosh tanh asinh
            acosh atanh erf erfc abs sign step floor ceil round sigmoid log_sigmoid softplus softsign relu relu6 selu
            gelu gelu_tanh silu mish hardtanh hardsigmoid hardswish
        }
    };
}

macro_rules! names {
    (($($more:literal)*) $($name:ident)*) => { &[$(stringify!($name),)* $($more),*] };
}

macro_rules! call {
    (($op:ident $x:ident) $($name:ident)*) => {
        match $op { $(stringify!($name) => Some($x.$name()),)* _ => None }
    };
}

pub(super) const UNARY: &[&str] = plain! { names
    "mul_scalar" "add_scalar" "powf" "powi" "clamp" "clamp_min" "clamp_max" "leaky_relu" "elu" "celu"
};

pub(super) const BINARY: &[&str] = &[
    "add",
    "sub",
    "mul",
    "div",
    "maximum",
    "minimum",
    "pow",
    "atan2",
    "hypot",
    "equal",
    "not_equal",
    "less",
    "less_equal",
    "greater",
    "greater_equal",
    "where_cond",
    "masked_fill",
    "custom_vjp",
];

/// An interval in which the function has a finite value, if that is not everywhere.
fn domain(op: &str) -> Option<(f64, f64)> {
    Some(match op {
        "sqrt" | "rsqrt" | "ln" | "log2" | "log10" | "powf" => (0.125, 4.0),
        "ln_1p" => (-0.875, 4.0),
        "asin" | "acos" | "atanh" => (-0.875, 0.875),
        "acosh" => (1.125, 5.0),
        "tan" => (-1.25, 1.25),
        _ => return None,
    })
}

pub(super) fn draw(op: &str, d: &mut Draw<'_>) -> Drawn {
    let x = d.any();
    if BINARY.contains(&op) {
        return binary(op, x, d);
    }
    let x = match domain(op) {
        Some(domain) => d.within(x, domain),
        None => x,
    };
    let low = d.number(-2.0, 1.0);
    let settings = match op {
        "mul_scalar" => json!({ "factor": d.number(-2.0, 2.0) }),
        "add_scalar" => json!({ "summand": d.number(-2.0, 2.0) }),
        "powf" => json!({ "exponent": d.number(-3.0, 4.0) }),
        "powi" => json!({ "exponent": d.between(-3, 4) }),
        "clamp" => json!({ "min": low, "max": low + d.number(0.0, 3.0) }),
        "clamp_min" => json!({ "min": low }),
        "clamp_max" => json!({ "max": low }),
        "leaky_relu" => json!({ "slope": d.number(-0.5, 0.5) }),
        "elu" | "celu" => json!({ "alpha": d.number(0.25, 2.0) }),
        _ => json!({}),
    };
    (vec![x], settings)
}

fn binary(op: &str, x: usize, d: &mut Draw<'_>) -> Drawn {
    let shape = d.shape(x);
    if op == "custom_vjp" {
        return (vec![x, d.like(&shape)], json!({}));
    }
    let x = if op == "pow" { d.within(x, (0.125, 4.0)) } else { x };
    let y = d.broadcasting(&shape);
    match op {
        "where_cond" | "masked_fill" => {
            let mask = Tensor::from_fn(shape, |_| f64::from(u8::from(d.one_in(2))));
            let mask = d.input_of(&mask);
            match op {
                "where_cond" => (vec![mask, x, y], json!({})),
                _ => (vec![x, mask], json!({ "value": d.number(-2.0, 2.0) })),
            }
        }
        _ if d.one_in(2) => (vec![y, x], json!({})),
        _ => (vec![x, y], json!({})),
    }
}

pub(super) fn run<'t, F: Float>(op: &str, x: &[Var<'t, F>], s: &Settings) -> Option<Var<'t, F>> {
    let first = x[0];
    if let Some(y) = plain!(call op first) {
        return Some(y);
    }
    Some(match op {
        "mul_scalar" => first.mul_scalar(s.f64("factor")),
        "add_scalar" => first.add_scalar(s.f64("summand")),
        "powf" => first.powf(s.f64("exponent")),
        "powi" => first.powi(s.i32("exponent")),
        "clamp" => first.clamp(s.f64("min"), s.f64("max")),
        "clamp_min" => first.clamp_min(s.f64("min")),
        "clamp_max" => first.clamp_max(s.f64("max")),
        "leaky_relu" => first.leaky_relu(s.f64("slope")),
        "elu" => first.elu(s.f64("alpha")),
        "celu" => first.celu(s.f64("alpha")),
        "add" => first + x[1],
        "sub" => first - x[1],
        "mul" => first * x[1],
        "div" => first / x[1],
        "maximum" => first.maximum(x[1]),
        "minimum" => first.minimum(x[1]),
        "pow" => first.pow(x[1]),
        "atan2" => first.atan2(x[1]),
        "hypot" => first.hypot(x[1]),
        "equal" => first.equal(x[1]),
        "not_equal" => first.not_equal(x[1]),
        "less" => first.less(x[1]),
        "less_equal" => first.less_equal(x[1]),
        "greater" => first.greater(x[1]),
        "greater_equal" => first.greater_equal(x[1]),
        "where_cond" => first.where_cond(x[1], x[2]),
        "masked_fill" => first.masked_fill(x[1], s.f64("value")),
        // The function `a sin(b)`.
        "custom_vjp" => custom_vjp(
            [first, x[1]],
            first.shape(),
            |[a, b]| a * b.sin(),
            |[a, b], _, g| [g * b.sin(), g * a * b.cos()],
        ),
        _ => return None,
    })
}
