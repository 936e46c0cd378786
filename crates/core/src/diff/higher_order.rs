//! Derivatives that are recorded like anything else, so that they can be differentiated again.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::op::Value;
use crate::ops::MovementOps;
use crate::ops::sum_to;
use crate::tape::backward::{check_scalar, rethrow};
use crate::tape::erased::ErasedOp;
use crate::tape::{Inputs, Kind};
use crate::{Float, Shape, Tape, Tensor, Var};

/// The derivatives of a loss by some values of the same tape. Where the loss does not depend on a
/// value, they are zero.
///
/// # Panics
/// If the loss has more than one element, or if one of the values is a constant.
#[track_caller]
pub fn grad<'t, F: Float>(loss: Var<'t, F>, wrt: &[Var<'t, F>]) -> Vec<Var<'t, F>> {
    check_scalar(loss.shape());
    check_variables("grad", loss.tape, wrt);
    vjp(loss, wrt, loss.constant_like(loss.shape(), 1.0))
}

/// The vector-Jacobian products of `y` by some values of the same tape: each is the transposed
/// Jacobian applied to `cotangent`, which has the shape of `y`.
///
/// # Panics
/// If the cotangent has another shape than `y`, or if one of the values is a constant.
#[track_caller]
pub fn vjp<'t, F: Float>(
    y: Var<'t, F>,
    wrt: &[Var<'t, F>],
    cotangent: Var<'t, F>,
) -> Vec<Var<'t, F>> {
    check_variables("vjp", y.tape, wrt);
    check_shape("vjp", "cotangent", y.shape(), cotangent.shape());
    let gathered = pull_back(y, wrt, cotangent);
    gathered.into_iter().zip(wrt).map(|(g, var)| g.unwrap_or_else(|| zeros(*var))).collect()
}

/// The Jacobian-vector product of `y`: how it changes when the values move along `tangents`, each of
/// the shape of its value. Tangents are carried along the tape in one sweep forward.
///
/// # Panics
/// If the shapes disagree, or if one of the values is a constant.
#[track_caller]
pub fn jvp<'t, F: Float>(y: Var<'t, F>, wrt: &[Var<'t, F>], tangents: &[Var<'t, F>]) -> Var<'t, F> {
    check_variables("jvp", y.tape, wrt);
    check_tangents("jvp", wrt, tangents);
    push_forward(&[y], wrt, tangents)[0]
}

/// The product of the Hessian of a loss with a vector, forward over reverse: how the gradient changes
/// when the values move along `vectors`.
///
/// # Panics
/// As [`grad`] and [`jvp`].
#[track_caller]
pub fn hvp<'t, F: Float>(
    loss: Var<'t, F>,
    wrt: &[Var<'t, F>],
    vectors: &[Var<'t, F>],
) -> Vec<Var<'t, F>> {
    check_tangents("hvp", wrt, vectors);
    push_forward(&grad(loss, wrt), wrt, vectors)
}

/// All derivatives of `y` by `x`, of the shape of `y` followed by that of `x`. One sweep for each
/// element of `y` or of `x`, whichever are fewer.
///
/// # Panics
/// If `x` is a constant, or if the two have more axes together than a shape may have.
#[track_caller]
pub fn jacobian<'t, F: Float>(y: Var<'t, F>, x: Var<'t, F>) -> Var<'t, F> {
    check_variables("jacobian", y.tape, &[x]);
    let (rows, columns) = (y.shape(), x.shape());
    let shape = crate::shape::expect_shape("jacobian", rows.followed_by(&columns));
    if shape.numel() == 0 {
        return y.constant_like(shape, 0.0);
    }
    let unit = |shape: Shape, k| {
        let unit = Tensor::from_fn(shape, |i| if i == k { F::ONE } else { F::ZERO });
        y.tape.constant(&unit)
    };
    let (m, n) = (rows.numel(), columns.numel());
    let matrix = if m <= n {
        let row = |k| vjp(y, &[x], unit(rows, k))[0].reshape([1, n]);
        Var::concat(&(0..m).map(row).collect::<Vec<_>>(), 0)
    } else {
        let column = |k| push_forward(&[y], &[x], &[unit(columns, k)])[0].reshape([m, 1]);
        Var::concat(&(0..n).map(column).collect::<Vec<_>>(), 1)
    };
    matrix.reshape(shape)
}

/// All second derivatives of a loss by `x`, of the shape of `x` twice.
///
/// # Panics
/// As [`grad`] and [`jacobian`].
#[track_caller]
pub fn hessian<'t, F: Float>(loss: Var<'t, F>, x: Var<'t, F>) -> Var<'t, F> {
    jacobian(grad(loss, &[x])[0], x)
}

#[track_caller]
fn check_variables<F: Float>(function: &str, tape: &Tape<F>, wrt: &[Var<'_, F>]) {
    for (place, var) in wrt.iter().enumerate() {
        let tracked = tape.record.borrow().nodes[var.on_tape(tape) as usize].tracked;
        assert!(tracked, "{function}: value {place} is a constant, which has no derivative");
    }
}

#[track_caller]
fn check_tangents<F: Float>(function: &str, wrt: &[Var<'_, F>], tangents: &[Var<'_, F>]) {
    let (values, given) = (wrt.len(), tangents.len());
    assert!(values == given, "{function}: {values} values were handed {given} tangents");
    for (var, tangent) in wrt.iter().zip(tangents) {
        check_shape(function, "tangent", var.shape(), tangent.shape());
    }
}

#[track_caller]
fn check_shape(function: &str, what: &str, shape: Shape, given: Shape) {
    assert!(
        shape == given,
        "{function}: a value of shape {shape:?} was handed a {what} of {given:?}"
    );
}

fn zeros<'t, F: Float>(like: Var<'t, F>) -> Var<'t, F> {
    like.constant_like(like.shape(), 0.0)
}

/// The sweep backward: the cotangents of `wrt` where any arrive.
fn pull_back<'t, F: Float>(
    y: Var<'t, F>,
    wrt: &[Var<'t, F>],
    cotangent: Var<'t, F>,
) -> Vec<Option<Var<'t, F>>> {
    let tape = y.tape;
    let mut gathered = vec![None; wrt.len()];
    // Nothing before the first of `wrt` depends on any of them.
    let first = wrt.iter().map(|var| var.id).min().unwrap_or(0);
    if first > y.id {
        return gathered;
    }
    let place = |id: u32| id.checked_sub(first).map(|place| place as usize);
    let needed = depends_on(tape, wrt, first, y.id);
    let needed = |id: u32| place(id).is_some_and(|place| needed[place]);
    let mut cotangents: Vec<Option<Var<'t, F>>> = vec![None; length(first, y.id)];
    cotangents[(y.id - first) as usize] = Some(cotangent);
    for id in (first..=y.id).rev() {
        let Some(g) = cotangents[(id - first) as usize] else { continue };
        for (gathered, _) in gathered.iter_mut().zip(wrt).filter(|(_, var)| var.id == id) {
            *gathered = Some(g);
        }
        let wanted = |input: &&u32| needed(**input);
        let Some(step) = Step::at(tape, id) else { continue };
        step.run(|op, inputs, y| {
            for (i, input) in inputs.iter().enumerate().filter(|(_, input)| wanted(input)) {
                let shape = tape.handle(*input).shape();
                let pulled = sum_to(&op.vjp(i, y, g), shape);
                let sum = &mut cotangents[(input - first) as usize];
                *sum = Some(sum.map_or(pulled, |sum| sum + pulled));
            }
        });
    }
    gathered
}

/// The sweep forward: the tangents of `ys`, zero where they do not depend on `wrt`.
///
/// An operation says how cotangents go backward. That is linear in the cotangent, so that transposing
/// it says how tangents go forward: record it once on a cotangent of zeros, and pull the tangent back
/// through the recording.
fn push_forward<'t, F: Float>(
    ys: &[Var<'t, F>],
    wrt: &[Var<'t, F>],
    tangents: &[Var<'t, F>],
) -> Vec<Var<'t, F>> {
    let (Some(first), Some(last)) =
        (wrt.iter().map(|var| var.id).min(), ys.iter().map(|var| var.id).max())
    else {
        return ys.iter().map(|y| zeros(*y)).collect();
    };
    let tape = wrt[0].tape;
    let mut carried: Vec<Option<Var<'t, F>>> = vec![None; length(first, last)];
    for (var, tangent) in wrt.iter().zip(tangents).filter(|(var, _)| var.id <= last) {
        carried[(var.id - first) as usize] = Some(*tangent);
    }
    let needed = needed_by(tape, ys, first, last);
    for id in (first..=last).filter(|id| needed[(id - first) as usize]) {
        if carried[(id - first) as usize].is_some() {
            continue;
        }
        let tangent =
            |input: u32| carried.get(input.checked_sub(first)? as usize).copied().flatten();
        let Some(step) = Step::at(tape, id).filter(|step| step.tracked) else { continue };
        if step.inputs.iter().all(|&input| tangent(input).is_none()) {
            continue;
        }
        let mut sum: Option<Var<'t, F>> = None;
        step.run(|op, inputs, y| {
            for (i, &input) in inputs.iter().enumerate() {
                let Some(along) = tangent(input) else { continue };
                let g = tape.leaf(Tensor::zeros(y.shape()), true);
                let pulled = sum_to(&op.vjp(i, y, g), along.shape());
                let value = pulled.value();
                assert!(
                    value.as_slice().iter().all(|x| *x == F::ZERO || x.is_nan()),
                    "jvp: the rule of {} is not linear in the cotangent",
                    op.name()
                );
                if let Some(pushed) = pull_back(pulled, &[g], along)[0] {
                    sum = Some(sum.map_or(pushed, |sum| sum + pushed));
                }
            }
        });
        carried[(id - first) as usize] = sum;
    }
    let arrived =
        |y: &Var<'t, F>| y.id.checked_sub(first).and_then(|place| carried[place as usize]);
    ys.iter().map(|y| arrived(y).unwrap_or_else(|| zeros(*y))).collect()
}

/// How many nodes `first..=last` are.
fn length(first: u32, last: u32) -> usize {
    (last.saturating_sub(first) + 1) as usize
}

/// Of the nodes `first..=last`, those that are in `wrt` or depend on them by differentiable steps.
fn depends_on<F: Float>(tape: &Tape<F>, wrt: &[Var<'_, F>], first: u32, last: u32) -> Vec<bool> {
    let record = tape.record.borrow();
    let mut depends = vec![false; length(first, last)];
    for var in wrt.iter().filter(|var| var.id <= last) {
        depends[(var.id - first) as usize] = true;
    }
    for id in first..=last {
        let node = &record.nodes[id as usize];
        let input =
            |input: &u32| input.checked_sub(first).is_some_and(|place| depends[place as usize]);
        let place = (id - first) as usize;
        depends[place] = node.tracked && (depends[place] || node.inputs.iter().any(input));
    }
    depends
}

/// Of the nodes `first..=last`, those from which `ys` are computed.
fn needed_by<F: Float>(tape: &Tape<F>, ys: &[Var<'_, F>], first: u32, last: u32) -> Vec<bool> {
    let record = tape.record.borrow();
    let mut needed = vec![false; length(first, last)];
    for y in ys {
        if let Some(place) = y.id.checked_sub(first) {
            needed[place as usize] = true;
        }
    }
    for id in (first..=last).rev().filter(|id| record.nodes[*id as usize].tracked) {
        if needed[(id - first) as usize] {
            for place in
                record.nodes[id as usize].inputs.iter().filter_map(|i| i.checked_sub(first))
            {
                needed[place as usize] = true;
            }
        }
    }
    needed
}

/// One operation of the tape, to be differentiated.
struct Step<'t, F: Float> {
    y: Var<'t, F>,
    op: Box<dyn ErasedOp<F>>,
    inputs: Inputs,
    tracked: bool,
}

impl<'t, F: Float> Step<'t, F> {
    fn at(tape: &'t Tape<F>, id: u32) -> Option<Self> {
        let mut record = tape.record.borrow_mut();
        if !record.segments.is_empty() {
            // What is recorded now reads these values for as long as the tape lives.
            record.restore(id);
        }
        let node = &record.nodes[id as usize];
        // A box of its own, because the rule records on the tape that the operation stands on.
        (node.kind == Kind::Op).then(|| Self {
            y: Var { tape, id, generation: node.generation },
            op: record.op(id as usize).boxed(),
            inputs: node.inputs.clone(),
            tracked: node.tracked,
        })
    }

    /// Runs `f` with what it records ascribed to the line of the operation, and panics too.
    fn run(&self, f: impl FnOnce(&dyn ErasedOp<F>, &[u32], Var<'t, F>)) {
        let (tape, id) = (self.y.tape, self.y.id as usize);
        let location = tape.record.borrow().nodes[id].location;
        let before = tape.record.borrow_mut().origin.replace(location);
        let outcome = catch_unwind(AssertUnwindSafe(|| f(&*self.op, &self.inputs, self.y)));
        tape.record.borrow_mut().origin = before;
        if let Err(panic) = outcome {
            rethrow(panic, &self.op.name(), location);
        }
    }
}
