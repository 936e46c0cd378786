//! The gradient checker: derivatives of any order against finite differences, in double precision.
//!
//! The checker reduces a function `f` of several tensors to scalars. With a fixed projection `p` of the
//! output and fixed directions `v` of the inputs,
//!
//! ```text
//! s_0(x) = <p, f(x)>
//! s_k(x) = <grad s_(k-1)(x), v_k>
//! ```
//!
//! Order `k` of a check compares the gradient of `s_(k-1)` with three other computations of it.

use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};

use crate::diff::differences::{central_difference, slopes, slopes_of_sides};
use crate::diff::mismatch::{Against, Checked, Mismatch};
use crate::op::Value;
use crate::ops::ReduceOps;
use crate::{Float, Gradients, Params, Shape, Tape, Tensor, Var, jvp, seeded, vjp};

/// Checks the first and second derivatives of `f` at `inputs`, along random directions.
///
/// The gradient is compared with finite differences, with the recorded gradient that [`grad`](crate::grad) returns,
/// and with forward mode ([`jvp`]). `f` may return any shape. It runs 16 times for each input, and more often where
/// finite differences with the usual [step](Check::step) disagree. A kink, such as the 0 of `relu`, may be as close
/// as 1e-6; at the kink itself there is no derivative to compare with, and the error says so
/// ([`Against::Kink`]).
///
/// ```
/// use wengert_core::{Tensor, UnaryOps, check_gradients};
///
/// let x = Tensor::from([0.5, -1.0, 2.0]);
/// let checked = check_gradients(|x| x[0].sin() * x[0], &[x])?;
/// assert!(checked.worst < 1.0);
/// # Ok::<(), wengert_core::Mismatch>(())
/// ```
///
/// # Errors
/// Returns the first derivative that disagrees, with its order, its input and both numbers.
pub fn check_gradients(
    f: impl for<'t> Fn(&[Var<'t, f64>]) -> Var<'t, f64>,
    inputs: &[Tensor<f64>],
) -> Result<Checked, Mismatch> {
    Check::new().gradients(f, inputs)
}

/// Checks the first and second derivatives of a loss with respect to the parameters of a model, along
/// random directions.
///
/// `loss` is recorded once, in the model's precision; the checker replays that tape in `f64`, so a model
/// in `f32` is checked to the same tolerance. Frozen and unused parameters are skipped.
///
/// ```
/// use wengert_core::{MatmulOps, Param, ReduceOps, Tensor, UnaryOps, check_model};
///
/// let weight = Param::new(Tensor::<f32>::from([[0.3, -0.7], [1.1, 0.2]]));
/// let x = Tensor::from([[1.0, 2.0], [-0.5, 0.25]]);
/// check_model(&weight, |tape| tape.constant(&x).matmul(&weight).tanh().mean())?;
/// # Ok::<(), wengert_core::Mismatch>(())
/// ```
///
/// # Errors
/// Returns the first derivative that disagrees, with its order, the parameter's name and both numbers.
pub fn check_model<F: Float>(
    model: &impl Params<F>,
    loss: impl for<'t> FnOnce(&'t Tape<F>) -> Var<'t, F>,
) -> Result<Checked, Mismatch> {
    Check::new().model(model, loss)
}

/// Settings of a gradient check. [`check_gradients`] and [`check_model`] use the defaults.
///
/// ```
/// use wengert_core::{Check, ReduceOps, Tensor, UnaryOps};
///
/// let x = Tensor::from([0.5, -1.0, 2.0]);
/// Check::new().order(3).full().gradients(|x| (x[0].sin() * x[0]).sum(), &[x])?;
/// # Ok::<(), wengert_core::Mismatch>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Check {
    order: usize,
    full: bool,
    tolerance: f64,
    step: f64,
    seed: u64,
}

impl Check {
    /// Returns the defaults: orders one and two, along random directions, tolerance 1e-6, step 1e-3.
    pub fn new() -> Self {
        Self { order: 2, full: false, tolerance: 1e-6, step: 1e-3, seed: 0 }
    }

    /// Sets the highest order of derivative that is checked. Default: 2.
    pub fn order(self, order: usize) -> Self {
        Self { order, ..self }
    }

    /// Compares every element of every input instead of random directions, so that a mismatch names the element. This
    /// costs four runs for each element and order.
    pub fn full(self) -> Self {
        Self { full: true, ..self }
    }

    /// Sets the allowed difference, relative to the larger of the two numbers and 1. Default: 1e-6.
    pub fn tolerance(self, tolerance: f64) -> Self {
        Self { tolerance, ..self }
    }

    /// Sets the largest step of the finite differences: the distance by which an element moves. Default: 1e-3.
    ///
    /// If this step does not give the gradient, steps down to a millionth of it are tried, and the gradient is
    /// compared with slopes on which two of them agree. A larger one suits functions with large values.
    ///
    /// # Panics
    /// If the step is not above 0 and finite.
    #[track_caller]
    pub fn step(self, step: f64) -> Self {
        assert!(step > 0.0 && step.is_finite(), "step: expected a number above 0, found {step}");
        Self { step, ..self }
    }

    /// Sets the seed of the random directions, and of the random layers in the function. Default: 0.
    pub fn seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// Checks the derivatives of `f` at `inputs` with these settings; see [`check_gradients`].
    ///
    /// # Errors
    /// Returns the first derivative that disagrees.
    pub fn gradients(
        self,
        f: impl for<'t> Fn(&[Var<'t, f64>]) -> Var<'t, f64>,
        inputs: &[Tensor<f64>],
    ) -> Result<Checked, Mismatch> {
        let record = |inputs: &[Tensor<f64>]| {
            let tape = seeded(self.seed).tape();
            let vars = inputs.iter().map(|x| tape.variable(x)).collect::<Vec<_>>();
            let output = f(&vars).on_tape(&tape);
            Recording { inputs: vars.iter().map(|x| x.id).collect(), output, tape }
        };
        self.run(&record, inputs, &|input| format!("input {input}"))
    }

    /// Checks the derivatives of a loss with respect to a model's parameters with these settings; see
    /// [`check_model`].
    ///
    /// # Errors
    /// Returns the first derivative that disagrees.
    pub fn model<F: Float>(
        self,
        model: &impl Params<F>,
        loss: impl for<'t> FnOnce(&'t Tape<F>) -> Var<'t, F>,
    ) -> Result<Checked, Mismatch> {
        let tape = seeded(self.seed).tape();
        let output = loss(&tape).on_tape(&tape);
        let (names, leaves, values) = differentiated_params(model, &tape);
        let record = |values: &[Tensor<f64>]| {
            let replayed = tape.replay(&leaves, |id, node| {
                let param = leaves.iter().position(|&leaf| leaf == id);
                param.map_or_else(|| node.value().cast(), |param| values[param].clone())
            });
            Recording { tape: replayed, inputs: leaves.clone(), output }
        };
        self.run(&record, &values, &|input| names[input].clone())
    }

    /// Compares the gradient with the other ways of computing it, for each order, each input, and each
    /// direction in which that input moves.
    fn run(
        self,
        record: &dyn Fn(&[Tensor<f64>]) -> Recording,
        inputs: &[Tensor<f64>],
        name: &dyn Fn(usize) -> String,
    ) -> Result<Checked, Mismatch> {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        let recording = record(inputs);
        let scalars = Scalars::draw(self.order, recording.output().shape(), inputs, &mut rng);
        let mut checked = Checked { comparisons: 0, worst: 0.0 };
        for order in 1..=self.order {
            let value = |inputs: &[Tensor<f64>]| scalars.record(order - 1, &record(inputs)).item();
            let derivative = Derivative::new(scalars.record(order - 1, &recording), &recording);
            for (input, x) in inputs.iter().enumerate() {
                for (probe, direction) in self.directions(x.shape(), &mut rng).enumerate() {
                    let gradient = derivative.computed(input, &direction);
                    let others = [
                        (Against::RecordedSweep, derivative.recorded(input, &direction)),
                        (Against::ForwardMode, derivative.forward_mode(input, &direction)),
                        self.finite_differences(gradient, &|step| {
                            let mut moved = inputs.to_vec();
                            moved[input] = x + &(&direction * step);
                            value(&moved)
                        }),
                    ];
                    if let Some((against, expected)) = self.compare(gradient, others, &mut checked)
                    {
                        let index = self.full.then(|| x.shape().position(probe));
                        let input = name(input);
                        return Err(Mismatch { order, input, index, gradient, against, expected });
                    }
                }
            }
        }
        Ok(checked)
    }

    /// The directions in which an input moves: the elements one by one, or a few random ones.
    fn directions(self, shape: Shape, rng: &mut ChaCha8Rng) -> impl Iterator<Item = Tensor<f64>> {
        let count = if self.full { shape.numel() } else { RANDOM_DIRECTIONS };
        (0..count).map(move |probe| match self.full {
            true => Tensor::from_fn(shape, |i| if i == probe { 1.0 } else { 0.0 }),
            false => signs(shape, rng),
        })
    }

    /// The slope of `value` at 0, for comparison with a gradient.
    ///
    /// The largest step decides if it confirms the gradient. If not, it may have met a kink or a strong
    /// curvature: then the gradient must be a slope on which two smaller steps agree.
    fn finite_differences(self, gradient: f64, value: &dyn Fn(f64) -> f64) -> (Against, f64) {
        let usual = central_difference(value, self.step);
        if self.agree(gradient, usual) {
            return (Against::FiniteDifferences, usual);
        }
        let slopes = slopes(value, self.step);
        let settled =
            || slopes.windows(2).filter(|pair| self.agree(pair[0], pair[1])).map(|p| p[1]);
        if let Some(slope) = settled().find(|&slope| self.agree(gradient, slope)) {
            return (Against::FiniteDifferences, slope);
        }
        let slope = settled().next_back().unwrap_or(usual);
        // A kink explains the difference if it is large enough: the slope across it is the mean of its sides.
        let [left, right] = slopes_of_sides(value, self.step * 1e-3);
        let kink = (left - right).abs() > (gradient - slope).abs();
        (if kink { Against::Kink { left, right } } else { Against::FiniteDifferences }, slope)
    }

    /// Compares a gradient with the others and counts; returns the first that is too far away.
    fn compare(
        self,
        gradient: f64,
        others: [(Against, f64); 3],
        checked: &mut Checked,
    ) -> Option<(Against, f64)> {
        for (against, expected) in others {
            if !self.agree(gradient, expected) {
                return Some((against, expected));
            }
            checked.comparisons += 1;
            checked.worst = checked.worst.max(self.difference(gradient, expected));
        }
        None
    }

    fn agree(self, a: f64, b: f64) -> bool {
        self.difference(a, b) <= 1.0
    }

    /// The difference of two derivatives, as a fraction of the allowed one; NaN if one of them is NaN.
    fn difference(self, a: f64, b: f64) -> f64 {
        (a - b).abs() / (self.tolerance * a.abs().max(b.abs()).max(1.0))
    }
}

impl Default for Check {
    fn default() -> Self {
        Self::new()
    }
}

/// Random directions along which each input of a check moves, unless the check is full.
const RANDOM_DIRECTIONS: usize = 2;

/// The function under test, recorded at some inputs.
struct Recording {
    tape: Tape<f64>,
    inputs: Vec<u32>,
    output: u32,
}

impl Recording {
    fn inputs(&self) -> Vec<Var<'_, f64>> {
        self.inputs.iter().map(|&id| self.tape.handle(id)).collect()
    }

    fn output(&self) -> Var<'_, f64> {
        self.tape.handle(self.output)
    }
}

/// The scalars `s_0`, `s_1`, .. that stand for the function and its derivatives.
struct Scalars {
    projection: Tensor<f64>,
    directions: Vec<Vec<Tensor<f64>>>,
}

impl Scalars {
    fn draw(orders: usize, output: Shape, inputs: &[Tensor<f64>], rng: &mut ChaCha8Rng) -> Self {
        // Not signs alone: they would cancel where outputs repeat or sum to a constant.
        let jitter = Tensor::from_fn(output, |i| 1.0 + 0.1 * ((i * 7 % 11) as f64));
        let projection = signs(output, rng) * jitter;
        let mut direction = || inputs.iter().map(|x| signs(x.shape(), rng)).collect();
        Self { projection, directions: (1..orders).map(|_| direction()).collect() }
    }

    /// Records `s_k` on the tape of the function.
    fn record<'t>(&self, k: usize, recording: &'t Recording) -> Var<'t, f64> {
        let x = recording.inputs();
        let s_0 = (recording.output() * &self.projection).sum();
        self.directions[..k].iter().fold(s_0, |s, v| {
            let gradient = vjp(s, &x, s.constant_like(s.shape(), 1.0));
            let terms = gradient.iter().zip(v).map(|(g, v)| (*g * v).sum());
            terms.fold(s * 0.0, |sum, term| sum + term)
        })
    }
}

/// The derivative of a scalar along a direction of one input, in each way that a tape has.
struct Derivative<'t> {
    scalar: Var<'t, f64>,
    inputs: Vec<Var<'t, f64>>,
    computed: Gradients<f64>,
    recorded: Vec<Var<'t, f64>>,
}

impl<'t> Derivative<'t> {
    fn new(scalar: Var<'t, f64>, recording: &'t Recording) -> Self {
        let inputs = recording.inputs();
        let computed = scalar.backward();
        let recorded = vjp(scalar, &inputs, scalar.constant_like(scalar.shape(), 1.0));
        Self { scalar, inputs, computed, recorded }
    }

    fn computed(&self, input: usize, direction: &Tensor<f64>) -> f64 {
        self.computed.of_leaf(self.inputs[input].id).map_or(0.0, |g| along(g, direction))
    }

    fn recorded(&self, input: usize, direction: &Tensor<f64>) -> f64 {
        along(&self.recorded[input].value(), direction)
    }

    fn forward_mode(&self, input: usize, direction: &Tensor<f64>) -> f64 {
        let tangent = self.scalar.tape.constant(direction);
        jvp(self.scalar, &[self.inputs[input]], &[tangent]).item()
    }
}

fn along(g: &Tensor<f64>, direction: &Tensor<f64>) -> f64 {
    crate::kernels::dot(g.as_slice(), direction.as_slice())
}

fn signs(shape: Shape, rng: &mut ChaCha8Rng) -> Tensor<f64> {
    Tensor::from_fn(shape, |_| if rng.random::<bool>() { 1.0 } else { -1.0 })
}

/// The parameters of a model that a tape differentiates: their names, leaves and values.
fn differentiated_params<F: Float>(
    model: &impl Params<F>,
    tape: &Tape<F>,
) -> (Vec<String>, Vec<u32>, Vec<Tensor<f64>>) {
    let record = tape.record.borrow();
    let leaf = |id| record.params.iter().find(|param| param.id == id)?.leaf;
    let (mut names, mut leaves, mut values) = (Vec::new(), Vec::new(), Vec::new());
    for (name, param) in model.named_params() {
        if let Some(leaf) = leaf(param.id()).filter(|&leaf| record.nodes[leaf as usize].tracked) {
            names.push(name);
            leaves.push(leaf);
            values.push(param.value().cast());
        }
    }
    (names, leaves, values)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{MatmulOps, Op, Param, Shape, ShapeError, UnaryOps};

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
    fn a_wrong_derivative_is_found_and_named() {
        let x = Tensor::from([[0.5, 1.5], [-1.0, 2.0]]);
        let error = Check::new()
            .full()
            .gradients(|x| x[0].apply_op(Wrong), std::slice::from_ref(&x))
            .unwrap_err();
        assert_eq!((error.order, &error.index), (1, &Some(vec![0, 0])));
        assert_eq!(format!("{error:?}"), error.to_string());
        assert!(error.to_string().starts_with("order 1, input 0 at [0, 0]: gradient is 1.001e0, "));
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
