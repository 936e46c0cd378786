//! Runs a program by the public interface of the library.

use serde::{Deserialize, Serialize};
use wengert::core::{Tape, Var};
use wengert::{Float, ReduceOps, Shape, Tensor, grad};

use super::ops;
use super::program::{Array, Program};

/// What a program computes.
///
/// The loss is the sum of all outputs, each times fixed weights. The second derivatives are the gradient of the sum of
/// all gradients, each times other fixed weights.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Results {
    /// The values that no operation uses.
    pub(crate) outputs: Vec<Array>,
    /// The gradient of the loss by each input.
    pub(crate) gradients: Vec<Array>,
    /// The same, recorded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) recorded: Vec<Array>,
    /// The gradient by each input of the weighted sum of all gradients.
    #[serde(default)]
    pub(crate) second: Vec<Array>,
}

/// Numbers without a pattern, the same in every language.
fn weights<F: Float>(shape: Shape, key: usize) -> Tensor<F> {
    Tensor::from_fn(shape, |i| F::of(((i + 1) * (key + 3)) as f64 % 1.618 - 0.7))
}

/// The sum of these values times weights.
fn weighted<'t, F: Float>(
    tape: &'t Tape<F>,
    values: impl Iterator<Item = Var<'t, F>>,
    key: usize,
) -> Var<'t, F> {
    let zero = tape.constant(&Tensor::scalar(F::ZERO));
    let term =
        |(i, y): (usize, Var<'t, F>)| (y * tape.constant(&weights(y.shape(), key + i))).sum();
    values.enumerate().map(term).fold(zero, |sum, term| sum + term)
}

/// All values of a program.
pub(super) fn values<'t, F: Float>(tape: &'t Tape<F>, program: &Program) -> Vec<Var<'t, F>> {
    program.nodes.iter().fold(Vec::new(), |mut values, node| {
        values.push(match &*node.op {
            "input" => tape.variable(&node.settings.array().tensor()),
            op => {
                let args = node.args.iter().map(|&i| values[i]).collect::<Vec<_>>();
                ops::run(op, &args, &node.settings)
            }
        });
        values
    })
}

/// Runs a program in precision `F`.
pub(crate) fn run<F: Float>(program: &Program) -> Results {
    let tape = Tape::new();
    let values = values::<F>(&tape, program);
    let inputs = program.inputs().map(|i| values[i]).collect::<Vec<_>>();
    let loss = weighted(&tape, program.outputs().map(|i| values[i]), 0);
    let recorded = grad(loss, &inputs);
    let second = weighted(&tape, recorded.iter().copied(), 7);
    let of_loss = |loss: Var<'_, F>| {
        let grads = loss.backward();
        let of = |x: &Var<'_, F>| match grads.wrt(*x) {
            Some(grad) => Array::of(grad),
            None => Array::of(&Tensor::<F>::zeros(x.shape())),
        };
        inputs.iter().map(of).collect()
    };
    Results {
        outputs: program.outputs().map(|i| Array::of(&values[i].value())).collect(),
        gradients: of_loss(loss),
        recorded: recorded.iter().map(|g| Array::of(&g.value())).collect(),
        second: of_loss(second),
    }
}
