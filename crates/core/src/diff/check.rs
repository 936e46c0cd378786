//! Gradients held against finite differences, in double precision and at any order.

use std::fmt;

use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};

use crate::op::Value;
use crate::ops::ReduceOps;
use crate::{Float, Leaf, Params, Path, Tape, Tensor, Var, jvp, seeded, vjp};

/// How gradients are checked. `Check::new()` is what [`check_gradients`] and [`check_model`] do.
///
/// ```
/// use wengert_core::{Tensor, Check, UnaryOps, MovementOps, ReduceOps};
///
/// let x = Tensor::from([0.5, -1.0, 2.0]);
/// Check::new().order(3).full().gradients(|x| (x[0].sin() * x[0]).sum(), &[x])?;
/// # Ok::<(), wengert_core::Mismatch>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Check {
    order: usize,
    full: bool,
    projections: usize,
    tolerance: f64,
    seed: u64,
}

/// Checks the derivatives of orders one and two of `f` at these inputs, along random directions. The
/// gradient is held against finite differences, against the sweep that records it, and against forward
/// mode.
///
/// # Errors
/// The first derivative that disagrees: its order, the input, and both numbers.
pub fn check_gradients(
    f: impl for<'t> Fn(&[Var<'t, f64>]) -> Var<'t, f64>,
    inputs: &[Tensor<f64>],
) -> Result<Checked, Mismatch> {
    Check::new().gradients(f, inputs)
}

/// Checks the derivatives of orders one and two of a loss by the parameters of a model, along random
/// directions. The loss is recorded once, in the model's precision; its tape is replayed in f64.
///
/// # Errors
/// The first derivative that disagrees: its order, the parameter's name, and both numbers.
pub fn check_model<F: Float>(
    model: &impl Params<F>,
    loss: impl for<'t> FnOnce(&'t Tape<F>) -> Var<'t, F>,
) -> Result<Checked, Mismatch> {
    Check::new().model(model, loss)
}

/// What a check that found nothing wrong has looked at.
#[derive(Clone, Copy, Debug)]
pub struct Checked {
    /// How many derivatives were compared.
    pub comparisons: usize,
    /// The largest difference, as a part of the tolerance.
    pub worst: f64,
}

/// A derivative that disagrees with finite differences.
#[derive(Clone, Debug)]
pub struct Mismatch {
    /// 1 for the gradient, 2 for the derivative of the gradient, and so on.
    pub order: usize,
    /// `input 0`, or the name of a parameter.
    pub input: String,
    /// The element, in the full mode; a random direction otherwise.
    pub index: Option<Vec<usize>>,
    /// What the tape says.
    pub gradient: f64,
    /// What it was held against.
    pub against: Against,
    /// What that says.
    pub expected: f64,
}

/// What a gradient of the computed sweep is held against.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Against {
    /// Differences of values.
    FiniteDifferences,
    /// The sweep that records the derivative, as [`grad`](crate::grad) does.
    RecordedSweep,
    /// Tangents carried forward, as [`jvp`] does.
    ForwardMode,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { order, input, gradient, expected, .. } = self;
        write!(f, "order {order}, {input} ")?;
        match &self.index {
            Some(index) => write!(f, "at {index:?}")?,
            None => f.write_str("along a random direction")?,
        }
        let against = match self.against {
            Against::FiniteDifferences => "finite differences",
            Against::RecordedSweep => "the recorded sweep",
            Against::ForwardMode => "forward mode",
        };
        write!(f, ": the gradient says {gradient:e}, {against} {expected:e}")
    }
}

impl std::error::Error for Mismatch {}

/// A recorded program: the tape, its inputs and its output.
struct Program {
    tape: Tape<f64>,
    inputs: Vec<u32>,
    output: u32,
}

impl Check {
    /// Orders one and two along random directions.
    pub fn new() -> Self {
        Self { order: 2, full: false, projections: 2, tolerance: 1e-6, seed: 0 }
    }

    /// Checks orders one to `order`.
    pub fn order(self, order: usize) -> Self {
        Self { order, ..self }
    }

    /// Compares each element of each input instead of random directions, so that a mismatch names
    /// it; it costs four runs for each element.
    pub fn full(self) -> Self {
        Self { full: true, ..self }
    }

    /// How far numbers may lie apart, as a part of the larger of their size and one.
    pub fn tolerance(self, tolerance: f64) -> Self {
        Self { tolerance, ..self }
    }

    /// The key of the random directions.
    pub fn seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// As [`check_gradients`].
    pub fn gradients(
        self,
        f: impl for<'t> Fn(&[Var<'t, f64>]) -> Var<'t, f64>,
        inputs: &[Tensor<f64>],
    ) -> Result<Checked, Mismatch> {
        let run = |inputs: &[Tensor<f64>]| {
            let tape = seeded(self.seed).tape();
            let vars = inputs.iter().map(|x| tape.variable(x)).collect::<Vec<_>>();
            let output = f(&vars).on_tape(&tape);
            Program { inputs: vars.iter().map(|x| x.id).collect(), output, tape }
        };
        self.run(&run, inputs, &|input| format!("input {input}"))
    }

    /// As [`check_model`].
    pub fn model<F: Float>(
        self,
        model: &impl Params<F>,
        loss: impl for<'t> FnOnce(&'t Tape<F>) -> Var<'t, F>,
    ) -> Result<Checked, Mismatch> {
        let recorded = seeded(self.seed).tape();
        let output = loss(&recorded).on_tape(&recorded);
        let (mut leaves, mut names, mut values) = (Vec::new(), Vec::new(), Vec::new());
        model.visit(Path::ROOT, &mut |path, leaf| {
            let Leaf::Param(param) = leaf else { return };
            let record = recorded.record.borrow();
            let known = record.params.iter().find(|known| known.id == param.id());
            if let Some(leaf) = known.and_then(|known| known.leaf)
                && record.nodes[leaf as usize].tracked
            {
                leaves.push(leaf);
                names.push(path.to_string());
                values.push(param.value().cast());
            }
        });
        let run = |values: &[Tensor<f64>]| {
            let tape = recorded.replay(&leaves, |id, node| {
                let input = leaves.iter().position(|&leaf| leaf == id);
                input.map_or_else(|| node.value().cast(), |input| values[input].clone())
            });
            Program { tape, inputs: leaves.clone(), output }
        };
        self.run(&run, &values, &|input| names[input].clone())
    }

    fn run(
        self,
        run: &dyn Fn(&[Tensor<f64>]) -> Program,
        inputs: &[Tensor<f64>],
        name: &dyn Fn(usize) -> String,
    ) -> Result<Checked, Mismatch> {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        let mut signs = |like: &Tensor<f64>| {
            Tensor::from_fn(like.shape(), |_| if rng.random::<bool>() { 1.0 } else { -1.0 })
        };
        // The scalar of order k is the derivative of that of order k - 1 along fixed directions; that
        // of order 0 is a projection of the output.
        let program = run(inputs);
        let projection = {
            let output = program.tape.handle(program.output);
            // Not signs alone: they would cancel where outputs repeat or sum to a constant.
            let jitter = Tensor::from_fn(output.shape(), |i| 1.0 + 0.1 * ((i * 7 % 11) as f64));
            signs(&output.value()) * jitter
        };
        let directions = (1..self.order)
            .map(|_| inputs.iter().map(&mut signs).collect::<Vec<_>>())
            .collect::<Vec<_>>();
        let scalar = |program: &Program, order: usize| {
            let tape = &program.tape;
            let vars = program.inputs.iter().map(|&id| tape.handle(id)).collect::<Vec<_>>();
            let output = tape.handle(program.output);
            let mut scalar = (output * &projection).sum();
            for along in &directions[..order] {
                let one = scalar.constant_like(scalar.shape(), 1.0);
                let gradient = vjp(scalar, &vars, one);
                scalar = gradient
                    .iter()
                    .zip(along)
                    .map(|(g, along)| (*g * along).sum())
                    .fold(scalar * 0.0, |sum, part| sum + part);
            }
            (scalar.id, vars.iter().map(|var| var.id).collect::<Vec<_>>())
        };
        let value = |inputs: &[Tensor<f64>], order: usize| {
            let program = run(inputs);
            let (id, _) = scalar(&program, order);
            program.tape.handle(id).item()
        };
        let mut checked = Checked { comparisons: 0, worst: 0.0 };
        for order in 1..=self.order {
            let (id, vars) = scalar(&program, order - 1);
            let tape = &program.tape;
            let vars = vars.into_iter().map(|id| tape.handle(id)).collect::<Vec<_>>();
            let last = tape.handle(id);
            let computed = last.backward();
            let recorded = vjp(last, &vars, last.constant_like(last.shape(), 1.0));
            for (input, x) in inputs.iter().enumerate() {
                let recorded = recorded[input].value();
                let arrived = computed.of_leaf(vars[input].id);
                let computed = arrived.cloned().unwrap_or_else(|| Tensor::zeros(x.shape()));
                let probes = if self.full { x.numel() } else { self.projections };
                for probe in 0..probes {
                    let direction = if self.full {
                        Tensor::from_fn(x.shape(), |i| f64::from(u8::from(i == probe)))
                    } else {
                        signs(x)
                    };
                    let along =
                        |g: &Tensor<f64>| crate::kernels::dot(g.as_slice(), direction.as_slice());
                    let at = |step: f64| {
                        let mut moved = inputs.to_vec();
                        moved[input] = x + &direction * step;
                        value(&moved, order - 1)
                    };
                    let gradient = along(&computed);
                    let pushed = jvp(last, &vars[input..=input], &[tape.constant(&direction)]);
                    for (against, expected) in [
                        (Against::RecordedSweep, along(&recorded)),
                        (Against::ForwardMode, pushed.item()),
                        (Against::FiniteDifferences, central_difference(at)),
                    ] {
                        let allowed = self.tolerance * gradient.abs().max(expected.abs()).max(1.0);
                        let part = (gradient - expected).abs() / allowed;
                        checked.comparisons += 1;
                        checked.worst = checked.worst.max(part);
                        if part.is_nan() || part > 1.0 {
                            let index = self.full.then(|| x.shape().position(probe));
                            let input = name(input);
                            return Err(Mismatch {
                                order,
                                input,
                                index,
                                gradient,
                                against,
                                expected,
                            });
                        }
                    }
                }
            }
        }
        Ok(checked)
    }
}

impl Default for Check {
    fn default() -> Self {
        Self::new()
    }
}

/// The derivative at 0 by the five-point formula, whose error is of the fourth power of the step;
/// for smooth functions it leaves about eleven digits.
fn central_difference(f: impl Fn(f64) -> f64) -> f64 {
    const STEP: f64 = 1e-3;
    (8.0 * (f(STEP) - f(-STEP)) - (f(2.0 * STEP) - f(-2.0 * STEP))) / (12.0 * STEP)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Op, Param, Shape, ShapeError, UnaryOps};

    /// x^2 with a derivative that is wrong by a thousandth.
    #[derive(Clone, Debug)]
    struct Wrong;
    impl Op<1> for Wrong {
        fn shape(&self, [x]: [Shape; 1]) -> Result<Shape, ShapeError> {
            Ok(x)
        }
        fn forward<F: Float>(&self, [x]: [&Tensor<F>; 1], _: Shape) -> Tensor<F> {
            x.square()
        }
        fn vjp<V: Value>(&self, _: usize, [x]: [&V; 1], _: &V, g: &V) -> V {
            x.clone() * g * 2.002
        }
    }

    #[test]
    fn a_wrong_rule_is_found_and_named() {
        let x = Tensor::from([[0.5, 1.5], [-1.0, 2.0]]);
        let error = Check::new()
            .full()
            .gradients(|x| x[0].apply_op(Wrong), std::slice::from_ref(&x))
            .unwrap_err();
        assert_eq!((error.order, error.index), (1, Some(vec![0, 0])));
        assert!(check_gradients(|x| x[0].apply_op(Wrong), &[x]).is_err());
    }

    #[test]
    fn orders_beyond_two() {
        let x = [Tensor::from([0.3, 0.9]), Tensor::from([[1.2], [0.4]])];
        let checked = Check::new()
            .order(4)
            .tolerance(1e-5)
            .gradients(|x| (x[0].sin() * x[1]).exp() / x[1], &x)
            .unwrap();
        assert_eq!(checked.comparisons, 4 * 2 * 2 * 3);
    }

    #[test]
    fn a_model_in_single_precision_is_checked_in_double() {
        let weight = Param::new(Tensor::<f32>::from([[0.3, -0.7], [1.1, 0.2]]));
        let x = Tensor::from([[1.0, 2.0], [-0.5, 0.25]]);
        check_model(&weight, |tape| tape.constant(&x).matmul(&weight).tanh().mean()).unwrap();
        let error =
            check_model(&weight, |tape| tape.constant(&x).matmul(&weight).apply_op(Wrong).sum());
        assert!(error.unwrap_err().to_string().contains("order 1"));
    }
}
