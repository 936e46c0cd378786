//! Prints the rules of the library as formulas, which `.ci/prove` hands to a computer algebra system.
//!
//! Run: `cargo run -p wengert-bench --bin rules`. A rule is a list of pieces: the decisions of its code, and then the
//! formulas of the value and of the derivatives or cotangents. Derivatives of functions contain the value as `y`.

mod pool;
mod steps;
mod tensors;

use serde_json::{Value as Json, json};
use tensors::{Formulas, Rule, Symbols, rules_of};
use wengert::core::symbol::{Symbol, constants, pieces, with_constants};
use wengert::nn::loss::visit_losses;
use wengert::ops::{self, ConvOptions, Normalize, Pooling, Scalar};
use wengert::{
    BinaryOp, BinaryOps, IndexOps, MatmulOps, MovementOps, ReduceOps, UnaryOp, Value, WindowOps,
};

fn texts<T: ToString>(symbols: &[T]) -> Vec<String> {
    symbols.iter().map(ToString::to_string).collect()
}

/// A function as JSON; `run` returns the value and the derivatives.
fn function(
    op: &impl std::fmt::Debug,
    arguments: &[&str],
    domains: &[(f64, f64)],
    run: impl Fn() -> Vec<Symbol>,
) -> Json {
    let text = format!("{op:?}");
    let constants = constants(op);
    let pieces = with_constants(&constants, || pieces(run));
    let pieces = pieces.iter().map(|(path, results)| {
        json!({
            "when": texts(path),
            "value": results[0].to_string(),
            "derivatives": texts(&results[1..]),
        })
    });
    json!({
        "name": text.split(' ').next(),
        "arguments": arguments,
        "domains": domains,
        "constants": constants.iter().map(|c| (c.to_string(), c.number().into())).collect::<serde_json::Map<_, _>>(),
        "pieces": pieces.collect::<Vec<_>>(),
    })
}

#[derive(Default)]
struct Functions(Vec<Json>);

impl ops::Visitor for Functions {
    fn unary<E: UnaryOp>(&mut self, op: E, domain: (f64, f64), _: &[f64]) {
        let [x, y] = ["x", "y"].map(Symbol::named);
        let run = || vec![op.value(x), op.derivative(&Scalar(x), &Scalar(y)).0];
        self.0.push(function(&op, &["x"], &[domain], run));
    }

    fn binary<B: BinaryOp>(&mut self, op: B, domains: [(f64, f64); 2], _: bool) {
        let [a, b] = ["a", "b"].map(Symbol::named);
        let run = || {
            let derivatives = [0, 1].map(|i| op.derivative(i, &Scalar(a), &Scalar(b)).0);
            [&[op.value(a, b)], &derivatives[..]].concat()
        };
        self.0.push(function(&op, &["a", "b"], &domains, run));
    }
}

/// Applies the operations written by hand to small tensors.
fn operations() {
    let x = |shape: &[usize]| Symbols::named("x", shape);
    let (row, matrix) = (x(&[3]), x(&[2, 3]));
    // Sums and what is like them.
    matrix.sum_axes([1], false);
    matrix.prod_axes([1], true);
    row.max();
    row.logsumexp();
    row.softmax();
    row.log_softmax();
    row.cumsum(0);
    row.cumprod(0);
    row.std(1);
    row.norm(2.0);
    row.norm(3.0);
    Symbols::apply(Normalize { trailing: 1, eps: 0.125 }, [&row]);
    // Movements.
    matrix.transpose(0, 1);
    row.unsqueeze(0).expand([2, 3]);
    row.pad(0, 1, 2, 0.0);
    row.slice_step(0, 0..3, 2);
    row.flip([0]);
    x(&[2, 2]).tril(0);
    Symbols::concat(&[&row, &x(&[2])], 0);
    // Indices and masks.
    matrix.pick([2, 0]);
    matrix.gather(1, wengert::Indices::from([[0, 0], [2, 1]]));
    matrix.index_select(1, [0, 2, 0]);
    x(&[3, 2]).embedding([2, 0, 2], None);
    row.masked_fill(&row, 0.5);
    x(&[2]).where_cond(x(&[2]), x(&[2]));
    // Products.
    let _ = row.clone() + &row - &row;
    x(&[2, 2]).matmul(x(&[2, 2]));
    x(&[2, 2]).matmul_transposed(x(&[2, 2]));
    x(&[1, 2]).linear(x(&[2, 2]), x(&[2]));
    // Windows.
    let options = ConvOptions::new().stride(2).padding(1);
    x(&[1, 1, 4]).conv1d(x(&[2, 1, 3]), options);
    x(&[1, 2, 3]).conv1d(x(&[2, 1, 2]), ConvOptions::new().groups(2));
    x(&[1, 1, 2, 3]).conv2d(x(&[1, 1, 2, 2]), ConvOptions::new());
    x(&[1, 1, 3]).conv1d_with_bias(x(&[1, 1, 2]), x(&[1]), ConvOptions::new());
    x(&[1, 1, 5]).avg_pool1d(Pooling::new(3).stride(2).padding(1));
    x(&[1, 1, 4]).max_pool1d(Pooling::new(2).stride(1));
    x(&[1, 1, 4]).max_pool1d(Pooling::new(3).stride(2).padding(1));
    x(&[1, 1, 2, 2]).max_pool2d([2, 1]);
}

/// The rule of an operation as JSON.
fn operation(rule: &Rule) -> Json {
    let pieces = rule.pieces.iter().map(|(path, Formulas { value, cotangents })| {
        let cotangents = cotangents.iter().map(|c| texts(c)).collect::<Vec<_>>();
        json!({ "when": texts(path), "value": texts(value), "cotangents": cotangents })
    });
    json!({
        "name": rule.operation,
        "inputs": rule.inputs.iter().map(|x| texts(x)).collect::<Vec<_>>(),
        "cotangent": texts(&rule.cotangent),
        "pieces": pieces.collect::<Vec<_>>(),
    })
}

fn main() {
    let mut functions = Functions::default();
    ops::visit_unary(&mut functions);
    ops::visit_binary(&mut functions);
    visit_losses(&mut functions);
    let operations = rules_of(operations).iter().map(operation).collect::<Vec<_>>();
    let all =
        json!({ "functions": functions.0, "operations": operations, "steps": steps::steps() });
    println!("{all}");
}
