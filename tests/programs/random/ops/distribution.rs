//! Functions of distributions. Draws are random, so they are not among them.

use serde_json::{Value as Json, json};
use wengert::core::Var;
use wengert::nn::distributions::{Bernoulli, Categorical, Gumbel, Normal, Uniform};
use wengert::{Float, Tensor};

use crate::random::draw::{Draw, Drawn};
use crate::random::program::Settings;

pub(super) const NAMES: &[&str] = &["Normal", "Uniform", "Gumbel", "Bernoulli", "Categorical"];

/// The operands are the parameters, then those of the other distribution, or the value.
pub(super) fn draw(op: &str, d: &mut Draw<'_>) -> Drawn {
    let kinds: &[&str] = match op {
        "Gumbel" => &["log_prob", "entropy"],
        _ => &["log_prob", "log_prob", "entropy", "kl_divergence"],
    };
    let function = d.choose(kinds);
    let x = match op {
        "Categorical" => d
            .fitting(|shape| shape.last().is_some_and(|&classes| classes > 0))
            .unwrap_or_else(|| d.input(&[2, 3])),
        _ => d.of_rank(0, 3),
    };
    let shape = d.shape(x);
    let mut args = parameters(op, x, d);
    let mut classes = Json::Null;
    match (function, op) {
        ("kl_divergence", _) => {
            let other = d.like(&shape);
            args.extend(parameters(op, other, d));
        }
        ("log_prob", "Categorical") => {
            classes = d.indices(&shape[..shape.rank() - 1], shape[shape.rank() - 1]);
        }
        ("log_prob", "Bernoulli") => {
            let outcomes = Tensor::from_fn(shape, |_| f64::from(u8::from(d.one_in(2))));
            args.push(d.input_of(&outcomes));
        }
        ("log_prob", _) => args.push(d.like(&shape)),
        _ => {}
    }
    (args, json!({ "of": function, "index": classes }))
}

fn parameters(op: &str, x: usize, d: &mut Draw<'_>) -> Vec<usize> {
    let shape = d.shape(x);
    match op {
        "Uniform" => {
            let high = d.broadcasting(&shape);
            vec![d.within(x, (-2.0, -0.25)), d.within(high, (0.25, 2.0))]
        }
        "Normal" | "Gumbel" => {
            let scale = d.broadcasting(&shape);
            vec![x, d.within(scale, (0.25, 2.0))]
        }
        _ => vec![x],
    }
}

pub(super) fn run<'t, F: Float>(op: &str, x: &[Var<'t, F>], s: &Settings) -> Option<Var<'t, F>> {
    if !NAMES.contains(&op) {
        return None;
    }
    let last = x[x.len() - 1];
    let normal = |at: usize| Normal::new(x[at], x[at + 1]);
    let uniform = |at: usize| Uniform::new(x[at], x[at + 1]);
    let bernoulli = |at: usize| Bernoulli::new(x[at]);
    let categorical = |at: usize| Categorical::new(x[at]);
    Some(match (op, &*s.text("of")) {
        ("Normal", "log_prob") => normal(0).log_prob(last),
        ("Normal", "entropy") => normal(0).entropy(),
        ("Normal", _) => normal(0).kl_divergence(&normal(2)),
        ("Uniform", "log_prob") => uniform(0).log_prob(last),
        ("Uniform", "entropy") => uniform(0).entropy(),
        ("Uniform", _) => uniform(0).kl_divergence(&uniform(2)),
        ("Bernoulli", "log_prob") => bernoulli(0).log_prob(last),
        ("Bernoulli", "entropy") => bernoulli(0).entropy(),
        ("Bernoulli", _) => bernoulli(0).kl_divergence(&bernoulli(1)),
        ("Categorical", "log_prob") => categorical(0).log_prob(s.indices("index")),
        ("Categorical", "entropy") => categorical(0).entropy(),
        ("Categorical", _) => categorical(0).kl_divergence(&categorical(1)),
        (_, "log_prob") => Gumbel::new(x[0], x[1]).log_prob(last),
        _ => Gumbel::new(x[0], x[1]).entropy(),
    })
}
