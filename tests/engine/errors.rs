//! Shape mistakes: the message gives the operation, both shapes and the axis that disagrees; the line is the
//! caller's.

use rand::{SeedableRng, rngs::ChaCha8Rng};
use wengert::ops::{Concat, SliceScatter, StridedSlice};
use wengert::prelude::*;
use wengert::{Float, Op, ShapeError, Value};

use crate::panics::{caught, fails};

fn linear(inputs: usize, outputs: usize) -> Linear {
    Linear::new(inputs, outputs, &mut ChaCha8Rng::seed_from_u64(0))
}

fn zeros(extents: &[usize]) -> Tensor {
    Tensor::zeros(extents)
}

#[test]
#[rustfmt::skip] // A call stands on the line of its `fails!`.
fn operators() {
    let tape = Tape::new();
    let (a, b) = (tape.constant(&zeros(&[2, 3])), tape.constant(&zeros(&[4])));
    fails! { a + b, "add: [2, 3] and [4] do not broadcast: axis -1 differs (3 and 4)" }
    fails! { b - a, "sub: [4] and [2, 3] do not broadcast: axis -1 differs (4 and 3)" }
    fails! { a * &zeros(&[3, 3]), "mul: [2, 3] and [3, 3] do not broadcast: axis -2 differs (2 and 3)" }
    fails! { a / &Param::new(zeros(&[2])), "div: [2, 3] and [2] do not broadcast: axis -1 differs (3 and 2)" }
    fails! { &zeros(&[2]) + a, "add: [2] and [2, 3] do not broadcast: axis -1 differs (2 and 3)" }
    fails! { &Param::new(zeros(&[2])) - a, "sub: [2] and [2, 3] do not broadcast: axis -1 differs (2 and 3)" }
    fails! { zeros(&[2]) * &zeros(&[3]), "mul: [2] and [3] do not broadcast: axis -1 differs (2 and 3)" }
    fails! { a.maximum(b), "maximum: [2, 3] and [4] do not broadcast: axis -1 differs (3 and 4)" }
    fails! { a.minimum(b), "minimum: [2, 3] and [4] do not broadcast: axis -1 differs (3 and 4)" }
    fails! { a.greater_half(b), "greater_half: [2, 3] and [4] do not broadcast: axis -1 differs (3 and 4)" }
}

#[test]
#[rustfmt::skip]
fn matrix_products() {
    let tape = Tape::new();
    let of = |extents: &[usize]| tape.constant(&zeros(extents));
    fails! { of(&[2, 5]).matmul(of(&[2, 3])), "matmul: [2, 5] x [2, 3]: inner dimensions differ (5 and 2)" }
    fails! { zeros(&[2, 5]).matmul(zeros(&[2, 3])), "matmul: [2, 5] x [2, 3]: inner dimensions differ (5 and 2)" }
    fails! { of(&[3]).matmul(of(&[4, 2])), "matmul: [3] x [4, 2]: inner dimensions differ (3 and 4)" }
    fails! { of(&[4, 2]).matmul(of(&[3])), "matmul: [4, 2] x [3]: inner dimensions differ (2 and 3)" }
    fails! { of(&[3]).matmul(of(&[4])), "matmul: [3] x [4]: inner dimensions differ (3 and 4)" }
    fails! { of(&[]).matmul(of(&[2, 2])), "matmul: [] x [2, 2]: a scalar is not a matrix" }
    fails! { of(&[7, 2, 5]).matmul(of(&[4, 3])), "matmul: [7, 2, 5] x [4, 3]: inner dimensions differ (5 and 4)" }
    fails! { of(&[7, 2, 5]).matmul(of(&[6, 5, 3])),
             "matmul: [7, 2, 5] x [6, 5, 3]: batches [7] and [6] do not broadcast: axis -1 differs (7 and 6)" }
    fails! { of(&[2, 5]).matmul_transposed(of(&[3, 4])), "matmul: [2, 5] x [3, 4]: inner dimensions differ (5 and 4)" }
    fails! { of(&[7, 2, 5]).matmul_transposed(of(&[3, 4])), "matmul: [7, 2, 5] x [3, 4]: inner dimensions differ (5 and 4)" }
}

#[test]
#[rustfmt::skip]
fn reductions_and_rearrangements() {
    let tape = Tape::new();
    let x = tape.constant(&zeros(&[2, 3]));
    fails! { x.sum_axes(2, false), "sum_axes: axis 2 does not exist in [2, 3]" }
    fails! { x.mean_axes([0, -2], true), "mean_axes: axis -2 of [2, 3] is named twice" }
    fails! { x.max_axes(-3, false), "max_axes: axis -3 does not exist in [2, 3]" }
    fails! { x.narrow(0, 0, 0).max(), "max: [0, 3] has no elements to choose from" }
    fails! { x.narrow(0, 0, 0).min(), "min: [0, 3] has no elements to choose from" }
    fails! { x.narrow(0, 0, 0).min_axes(0, true), "min_axes: [0, 3] has no elements to choose from" }
    fails! { x.reshape([4, 2]), "reshape: [2, 3] to [4, 2]: element counts differ (6 and 8)" }
    fails! { x.expand([2, 4]), "expand: [2, 3] does not broadcast to [2, 4]" }
    fails! { x.permute([0, 2]), "permute: axis 2 does not exist in [2, 3]" }
    fails! { x.permute([0, 0]), "permute: [0, 0] does not name each axis of [2, 3] once" }
    fails! { x.transpose(0, 2), "transpose: axis 2 does not exist in [2, 3]" }
    fails! { x.narrow(1, 2, 2), "narrow: 2..4 is out of range in axis 1 of [2, 3]" }
    fails! { x.apply_op(StridedSlice { axis: 1, start: 3, step: -1, len: 2 }), "strided_slice: 2 indices from 3 by -1 are out of range in axis 1 of [2, 3]" }
    fails! { x.apply_op(SliceScatter { axis: 1, start: 4, step: -1, extent: 4 }), "slice_scatter: [2, 3] from index 4 by -1 does not fit into extent 4 of axis 1" }
    fails! { Var::apply_many(Concat::new(2, &[x.shape()]), &[&x]), "concat: axis 2 does not exist in [2, 3]" }
    fails! { MovementOps::concat(&[x, x.transpose(0, 1)], 0), "concat: [2, 3] and [3, 2] differ in more than axis 0" }
    fails! { tape.constant(&zeros(&[])).log_softmax(), "log_softmax: a scalar has no last axis" }
    fails! { zeros(&[2]).item(), "item: [2] holds 2 elements, expected one" }
    fails! { Tensor::from_vec(vec![0.0; 5], [2, 3]), "from_vec: [2, 3] holds 6 elements, found 5" }
    fails! { Tensor::zeros([1; 9]), "shape: [1, 1, 1, 1, 1, 1, 1, 1, 1] has 9 axes, at most 8 are supported" }
}

#[test]
#[rustfmt::skip]
fn layers_and_losses() {
    let tape = Tape::new();
    let of = |extents: &[usize]| tape.constant(&zeros(extents));
    let (layer, plain) = (linear(4, 3), linear(4, 3).without_bias());
    fails! { layer.forward(of(&[2, 5])), "linear: [2, 5] and weight [3, 4]: inputs differ (5 and 4)" }
    fails! { layer.forward(of(&[6, 2, 5])), "linear: [6, 2, 5] and weight [3, 4]: inputs differ (5 and 4)" }
    fails! { layer.forward(of(&[5])), "linear: [5] and weight [3, 4]: inputs differ (5 and 4)" }
    fails! { plain.forward(of(&[2, 5])), "matmul: [2, 5] x [3, 4]: inner dimensions differ (5 and 4), in Linear" }
    fails! { of(&[2, 4]).linear(&layer.weight, &zeros(&[2])), "linear: weight [3, 4] and bias [2]: outputs differ (3 and 2)" }
    fails! { Linear::from_tensors(zeros(&[3, 4]), Some(zeros(&[4]))), "Linear: bias: expected shape [3], found [4]" }
    fails! { of(&[2, 3]).cross_entropy([1, 3]), "cross_entropy: label 3 of row 1 is not a class; [2, 3] has classes 0..3" }
    fails! { of(&[]).cross_entropy([0]), "cross_entropy: a scalar has no axis of classes" }
    fails! { of(&[2, 3]).cross_entropy([1, 2, 0]), "cross_entropy: [2, 3] needs labels of shape [2], found [3]" }
    fails! { of(&[2, 3]).cross_entropy_with([255, 3], CrossEntropy::new().ignore_index(255)), "cross_entropy: label 3 of row 1 is not a class; [2, 3] has classes 0..3" }
    fails! { of(&[2, 3]).cross_entropy(&zeros(&[3])), "cross_entropy: expected probabilities of shape [2, 3], found [3]" }
    fails! { of(&[2, 3]).cross_entropy_with(&zeros(&[2, 3]), CrossEntropy::new().ignore_index(1)), "cross_entropy: ignore_index needs labels, not probabilities" }
    fails! { of(&[2, 3]).cross_entropy_with([0, 1], CrossEntropy::new().weight(&zeros(&[2]))), "cross_entropy: weight: expected shape [3], found [2]" }
    fails! { CrossEntropy::new().label_smoothing(1.5), "CrossEntropy: label_smoothing must be in 0..=1, not 1.5" }
    fails! { of(&[2, 3]).nll([3, 0]), "nll: label 3 of row 0 is not a class; [2, 3] has classes 0..3" }
    fails! { of(&[]).nll([0]), "nll: a scalar has no axis of classes" }
    fails! { of(&[2, 3]).nll_with([2, 0], Nll::new().weight(&zeros(&[3, 1]))), "nll: weight: expected shape [3], found [3, 1]" }
    fails! { of(&[2, 3]).multi_margin([2, 5]), "multi_margin: label 5 of row 1 is not a class; [2, 3] has classes 0..3" }
    fails! { MultiMargin::new().p(3), "MultiMargin: p must be 1 or 2, not 3" }
    fails! { Huber::new().delta(-1.0), "Huber: delta must be above 0, not -1" }
    fails! { SmoothL1::new().beta(-1.0), "SmoothL1: beta must be 0 or above, not -1" }
    fails! { TripletMargin::new().margin(0.0), "TripletMargin: margin must be above 0, not 0" }
    fails! { TripletMargin::new().p(f64::NAN), "TripletMargin: p must be above 0, not NaN" }
    fails! { GaussianNll::new().eps(0.0), "GaussianNll: eps must be above 0, not 0" }
    fails! { of(&[2, 3]).bce(&zeros(&[2])), "bce: [2, 3] and [2] do not broadcast: axis -1 differs (3 and 2)" }
    fails! { of(&[2, 3]).huber(&zeros(&[2])), "huber: [2, 3] and [2] do not broadcast: axis -1 differs (3 and 2)" }
    fails! { of(&[2, 3]).mse(&zeros(&[2])), "mse: [2, 3] and [2] do not broadcast: axis -1 differs (3 and 2)" }
    fails! { of(&[2, 3]).half_sse(&zeros(&[2])), "half_sse: [2, 3] and [2] do not broadcast: axis -1 differs (3 and 2)" }
    fails! { of(&[2, 3]).bce_with_logits(&zeros(&[2])), "bce_with_logits: [2, 3] and [2] do not broadcast: axis -1 differs (3 and 2)" }
    // Sixteen losses where four are meant.
    fails! { of(&[4, 1]).l1(&zeros(&[4])), "l1: target [4] does not broadcast to the prediction [4, 1], both broadcast to [4, 4]" }
    fails! { Param::new(zeros(&[2])).set(zeros(&[3])), "set: a parameter of shape [2] was handed [3]" }
    fails! { tape.update_buffer(&Buffer::new(zeros(&[2])), of(&[3])), "update_buffer: expected shape [2], found [3]" }
}

/// A user's model.
struct Net {
    hidden: Linear,
}
params! { Net { hidden } }

impl Module for Net {
    fn forward<'t>(&self, x: Var<'t>) -> Var<'t> {
        self.hidden.forward(x).relu() // the line of Net
    }
}

const MISTAKE: &str = "linear: [2, 5] and weight [3, 4]: inputs differ (5 and 4)";

/// The line of `Net::forward` that calls the library.
fn line_of_net() -> u32 {
    let mut lines = include_str!("errors.rs").lines();
    lines.position(|line| line.ends_with("// the line of Net")).expect("the line") as u32 + 1
}

#[test]
fn a_mistake_in_a_model_is_at_the_line_of_the_model() {
    let net = Net { hidden: linear(4, 3) };
    let error = caught(|| drop(evaluate(|tape| net.forward(tape.constant(&zeros(&[2, 5]))))));
    assert_eq!((&*error.message, &*error.file, error.line), (MISTAKE, file!(), line_of_net()));
}

#[test]
fn a_mistake_behind_dyn_is_at_the_line_of_the_model() {
    let net: Box<dyn Module> = Box::new(Net { hidden: linear(4, 3) });
    let error = caught(|| drop(evaluate(|tape| net.forward(tape.constant(&zeros(&[2, 5]))))));
    assert_eq!((&*error.message, &*error.file, error.line), (MISTAKE, file!(), line_of_net()));
}

/// The message of a mistake in a sequence, for an input of this shape.
fn mistake_of(net: &Sequential, shape: &[usize]) -> String {
    caught(|| drop(evaluate(|tape| net.forward(tape.constant(&zeros(shape)))))).message
}

#[test]
fn a_mistake_in_a_sequence_has_the_name_of_the_parameter() {
    let inner = || Sequential::new().then(Relu).then(linear(4, 3));
    let net = inner().then(linear(3, 5)).then(inner());
    assert!(net.param("1.weight").is_some() && net.param("3.1.weight").is_some());
    assert_eq!(mistake_of(&net, &[2, 5]), format!("{MISTAKE}, in 1"));
    assert_eq!(mistake_of(&net, &[2, 4]), format!("{MISTAKE}, in 3.1"));
    let net = Sequential::new().then(Relu).then(Residual::new(inner()));
    assert!(net.param("1.body.1.weight").is_some());
    assert_eq!(mistake_of(&net, &[2, 5]), format!("{MISTAKE}, in 1.body.1"));
}

#[test]
fn a_mistake_in_a_sequence_names_the_layer() {
    let rng = &mut ChaCha8Rng::seed_from_u64(0);
    let net = Sequential::new().then(Relu).then(linear(4, 3).without_bias());
    let message = "matmul: [2, 5] x [3, 4]: inner dimensions differ (5 and 4), in 1 (Linear)";
    assert_eq!(mistake_of(&net, &[2, 5]), message);
    let net = Sequential::new().then(BatchNorm1d::new(3));
    let message = "BatchNorm1d: expected input [n, channels] or [n, channels, length] with 3 channels, \
                   found [2, 5], in 0";
    assert_eq!(mistake_of(&net, &[2, 5]), message);
    let net = Sequential::new().then(Lambda::new(|x| x.reshape([7])));
    let message = "reshape: [2, 3] to [7]: element counts differ (6 and 7), in 0 (Lambda)";
    assert_eq!(mistake_of(&net, &[2, 3]), message);
    let net = Sequential::new().then(TransformerBlock::new(4, 2, 8, rng));
    let message =
        "MultiheadAttention: expected input [.., time, 4], found [2, 3, 6], in 0.self_attn";
    assert_eq!(mistake_of(&net, &[2, 3, 6]), message);
    // The tape has no layer open after a mistake.
    let tape = Tape::new();
    let x = tape.constant(&zeros(&[2, 5]));
    caught(|| _ = linear(4, 3).without_bias().forward(x));
    assert_eq!(
        caught(|| _ = x.reshape([7])).message,
        "reshape: [2, 5] to [7]: element counts differ (10 and 7)"
    );
}

/// A layer of the user, whose line is shown as it is.
#[derive(Clone)]
struct Square;
params! { Square {} }

impl Module for Square {
    fn forward<'t>(&self, x: Var<'t>) -> Var<'t> {
        x.matmul(x) // the line of Square
    }
}

#[test]
#[rustfmt::skip]
fn a_mistake_in_a_sequence_is_at_the_line_that_runs_it() {
    let tape = Tape::new();
    let x = tape.constant(&zeros(&[2, 5]));
    let net = Sequential::new().then(Relu).then(Sequential::new().then(linear(4, 3)));
    let message = format!("{MISTAKE}, in 1.0");
    fails! { net.forward(x), message }
    fails! { net.clone().layers()[1].forward(x), format!("{MISTAKE}, in 0") }
    let boxed: Box<dyn Module> = Box::new(linear(4, 3));
    fails! { boxed.forward(x), MISTAKE }
    fails! { EvalMode::new(linear(4, 3)).forward(x), MISTAKE }
    let around = Residual::new(EvalMode::new(net));
    fails! { around.forward(x), format!("{MISTAKE}, in body.1.0") }
    // Inside `eval_shape` the mistake is returned.
    assert!(check_shapes(&around, [2, 5]).unwrap_err().to_string().starts_with(MISTAKE));
    fails! { around.forward(x), format!("{MISTAKE}, in body.1.0") }
    // The line of a user's layer is better than that of the sequence around it.
    let error = caught(|| _ = Sequential::new().then(Square).forward(x));
    let mut lines = include_str!("errors.rs").lines();
    let line = lines.position(|line| line.ends_with("// the line of Square")).unwrap() as u32 + 1;
    assert_eq!((&*error.file, error.line), (file!(), line), "{}", error.message);
}

#[test]
#[rustfmt::skip]
fn labels_are_told_from_positions() {
    let message = "cross_entropy: label 9 of row [1, 0] is not a class; [2, 1, 3] has classes 0..3";
    let tape = Tape::new();
    let x = tape.constant(&zeros(&[2, 1, 3]));
    fails! { x.cross_entropy(Indices::from_vec(vec![0, 9], [2, 1])), message }
}

#[test]
#[rustfmt::skip]
fn distances_of_windows_are_checked_where_they_are_set() {
    fails! { ConvOptions::new().stride(0), "ConvOptions: stride must be 1 or above, not [0, 0]" }
    fails! { ConvOptions::new().dilation([1, 0]), "ConvOptions: dilation must be 1 or above, not [1, 0]" }
    fails! { Pooling::new(2).stride([0, 1]), "Pooling: stride must be 1 or above, not [0, 1]" }
}

#[test]
#[rustfmt::skip]
fn two_tapes_do_not_mix() {
    let (one, other) = (Tape::new(), Tape::new());
    let (a, b) = (one.variable(&zeros(&[2, 2])), other.variable(&zeros(&[2, 2])));
    let message = "variables of two tapes do not mix";
    fails! { a + b, message }
    fails! { a.matmul(b), message }
    fails! { a.linear(b, a), message }
    fails! { a.mse(b), message }
    fails! { a.greater_half(b), message }
    fails! { MovementOps::concat(&[a, b], 0), message }
    fails! { grad(a.sum(), &[b]), message }
    fails! { one.update_buffer(&Buffer::new(zeros(&[2, 2])), b), message }
}

#[test]
#[rustfmt::skip]
fn a_loss_is_one_number() {
    let tape = Tape::new();
    let x = tape.variable(&zeros(&[2]));
    let message = "gradients: expected a loss of one element, found shape [2]";
    fails! { gradients(|tape| tape.variable(&zeros(&[2]))), message }
    fails! { gradients_with(|tape| (tape.variable(&zeros(&[2])), 0)), message }
    fails! { seeded(3).gradients(|tape| tape.variable(&zeros(&[2]))), message }
    fails! { x.backward(), message }
    fails! { grad(x, &[x]), message }
    fails! { vjp(x, &[x], x.sum()), "vjp: expected a cotangent of shape [2], found []" }
}

/// The identity, with a faulty derivative.
#[derive(Clone, Debug)]
struct FaultyRule {
    cotangent_of: usize,
}

impl Op<1> for FaultyRule {
    fn shape(&self, [x]: [Shape; 1]) -> Result<Shape, ShapeError> {
        Ok(x)
    }
    fn forward<F: Float>(&self, [x]: [&wengert::Tensor<F>; 1], _: Shape) -> wengert::Tensor<F> {
        x.clone()
    }
    fn vjp<V: Value>(&self, _: usize, [x]: [&V; 1], _: &V, _: &V) -> V {
        assert!(self.cotangent_of > 0, "no derivative of {:?}", x.shape());
        x.constant_like([self.cotangent_of].into(), 1.0)
    }
}

#[test]
fn a_panic_in_the_sweep_names_the_operation_and_its_line() {
    for (cotangent_of, message) in
        [(0, "no derivative of [2]"), (3, "a cotangent of shape [3] does not sum to [2]")]
    {
        let tape = Tape::new();
        let x = tape.variable(&zeros(&[2]));
        let (line, y) = (line!(), x.apply_op(FaultyRule { cotangent_of }).sum());
        let file = file!();
        let source = include_str!("errors.rs").lines().nth(line as usize - 1).expect("the line");
        let column = source.find("apply_op").expect("the call") + 1;
        let expected = format!(
            "{message}\n  while differentiating faulty_rule recorded at {file}:{line}:{column}"
        );
        assert_eq!(caught(|| drop(y.backward())).message, expected);
        assert_eq!(caught(|| drop(grad(y, &[x]))).message, expected);
    }
}

#[test]
fn a_tape_is_as_before_after_a_panic_in_its_sweep() {
    let tape = Tape::new();
    let x = tape.variable(&zeros(&[2]));
    let y = x.apply_op(FaultyRule { cotangent_of: 0 }).sum();
    caught(|| drop(grad(y, &[x])));
    let (line, y) = (line!(), x.apply_op(FaultyRule { cotangent_of: 0 }).sum());
    let message = caught(|| drop(y.backward())).message;
    assert!(message.contains(&format!("{}:{line}:", file!())), "{message}");
}
