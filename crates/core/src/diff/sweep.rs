//! Reverse and forward mode along a tape, recorded on that tape.
//!
//! Both walk the part of the tape between inputs and outputs, reverse mode from its end and forward mode
//! from its beginning, and sum up one derivative for each node.

use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::diff::per_node::PerNode;
use crate::diff::slices::{Cotangents, slice_of};
use crate::error::rethrow;
use crate::float::PerPrecision;
use crate::op::{Value, check_cotangent};
use crate::ops::{Concat, IndexSelect, Narrow, PlaceSlices, Slice, sum_to};
use crate::tape::erased::{as_indexed, as_many, as_op};
use crate::tape::record::{ErasedOp, Few, IndexVar, Inputs, Kind};
use crate::{Float, Shape, Tape, Tensor, Var};

/// Carries a cotangent of `y` backward. Returns the cotangents of `wrt`, `None` where `y` does not
/// depend on the value.
#[track_caller]
pub(crate) fn reverse_mode<'t, F: Float>(
    y: Var<'t, F>,
    wrt: &[Var<'t, F>],
    cotangent: Var<'t, F>,
) -> Vec<Option<Var<'t, F>>> {
    F::run::<ReverseMode<'_>>((y, wrt, cotangent))
}

/// Carries tangents of `wrt` forward. Returns the tangents of `ys`, `None` where one does not depend on
/// `wrt`.
#[track_caller]
pub(crate) fn forward_mode<'t, F: Float>(
    ys: &[Var<'t, F>],
    wrt: &[Var<'t, F>],
    tangents: &[Var<'t, F>],
) -> Vec<Option<Var<'t, F>>> {
    F::run::<ForwardMode<'_>>((ys, wrt, tangents))
}

/// Reverse mode, compiled once for each precision.
struct ReverseMode<'x>(PhantomData<&'x ()>);

impl<'x, 't: 'x> PerPrecision<'t> for ReverseMode<'x> {
    type Input<F: Float> = (Var<'t, F>, &'x [Var<'t, F>], Var<'t, F>);
    type Output<F: Float> = Vec<Option<Var<'t, F>>>;
    fn f32((y, wrt, cotangent): Self::Input<f32>) -> Self::Output<f32> {
        sweep_backward(y, wrt, cotangent)
    }
    fn f64((y, wrt, cotangent): Self::Input<f64>) -> Self::Output<f64> {
        sweep_backward(y, wrt, cotangent)
    }
}

/// Forward mode, compiled once for each precision.
struct ForwardMode<'x>(PhantomData<&'x ()>);

impl<'x, 't: 'x> PerPrecision<'t> for ForwardMode<'x> {
    type Input<F: Float> = (&'x [Var<'t, F>], &'x [Var<'t, F>], &'x [Var<'t, F>]);
    type Output<F: Float> = Vec<Option<Var<'t, F>>>;
    fn f32((ys, wrt, tangents): Self::Input<f32>) -> Self::Output<f32> {
        sweep_forward(ys, wrt, tangents)
    }
    fn f64((ys, wrt, tangents): Self::Input<f64>) -> Self::Output<f64> {
        sweep_forward(ys, wrt, tangents)
    }
}

#[track_caller]
fn sweep_backward<'t, F: Float>(
    y: Var<'t, F>,
    wrt: &[Var<'t, F>],
    cotangent: Var<'t, F>,
) -> Vec<Option<Var<'t, F>>> {
    let Some(first) = first(wrt) else { return Vec::new() };
    let needed = depends_on(y.tape, wrt, first, y.id);
    let mut cotangents = Cotangents::new(first, y, cotangent);
    for id in (first..=y.id).rev() {
        let Some(g) = cotangents.get(id) else { continue };
        let Some(node) = OpNode::read(y.tape, id) else { continue };
        node.differentiate(|derivative, inputs| {
            for (i, &input) in inputs.iter().enumerate().filter(|(_, input)| needed.get(**input)) {
                match derivative.slice() {
                    Some(slice) => cotangents.add_slice(input, slice, g),
                    None => {
                        let shape = y.tape.handle(input).shape();
                        cotangents.add(input, derivative.cotangent(i, g, shape));
                    }
                }
            }
        });
    }
    wrt.iter().map(|x| cotangents.get(x.id)).collect()
}

#[track_caller]
fn sweep_forward<'t, F: Float>(
    ys: &[Var<'t, F>],
    wrt: &[Var<'t, F>],
    tangents: &[Var<'t, F>],
) -> Vec<Option<Var<'t, F>>> {
    let (Some(first), Some(last)) = (first(wrt), ys.iter().map(|y| y.id).max()) else {
        return vec![None; ys.len()];
    };
    let tape = wrt[0].tape;
    let needed = needed_by(tape, ys, first, last);
    let mut carried = PerNode::new(first, last);
    for (x, tangent) in wrt.iter().zip(tangents) {
        carried.set(x.id, Some(*tangent));
    }
    for id in first..=last {
        if carried.get(id).is_some() || !needed.get(id) {
            continue;
        }
        let Some(node) = OpNode::read(tape, id).filter(|node| node.tracked) else { continue };
        if node.inputs.iter().all(|&input| carried.get(input).is_none()) {
            continue;
        }
        node.differentiate(|derivative, inputs| {
            if let Some(pushed) = derivative.moves(|i| carried.get(inputs[i])) {
                return carried.set(id, Some(pushed));
            }
            for (i, &input) in inputs.iter().enumerate() {
                if let Some(tangent) = carried.get(input)
                    && let Some(pushed) = derivative.tangent(i, tangent)
                {
                    carried.add(id, pushed);
                }
            }
        });
    }
    ys.iter().map(|y| carried.get(y.id)).collect()
}

/// An operation with its operands and its value. Its derivatives share the list of operands: to make one for each of
/// them would take quadratic time.
struct Derivative<'a, 't, F: Float> {
    op: &'a dyn ErasedOp<F>,
    x: &'a [&'a Var<'t, F>],
    index: Option<&'a IndexVar<'t, F>>,
    y: Var<'t, F>,
}

impl<'t, F: Float> Derivative<'_, 't, F> {
    /// The cotangent of input `i` of this shape, where the operation's output has the cotangent `g`.
    fn cotangent(&self, i: usize, g: Var<'t, F>, shape: Shape) -> Var<'t, F> {
        let found = self.op.vjp(i, self.x, self.index, &self.y, &g);
        check_cotangent(shape, found.shape());
        sum_to(&found, shape)
    }

    /// The slice of its input that is the operation's output, if it is one.
    fn slice(&self) -> Option<Slice> {
        slice_of(self.op, self.index)
    }

    /// The tangent of the output of an operation that moves numbers between large and small values: itself, of the
    /// tangents. Transposed twice as other operations are, a part of a value would take as long as the whole.
    fn moves(&self, tangent: impl Fn(usize) -> Option<Var<'t, F>>) -> Option<Var<'t, F>> {
        let of_input = |(i, x): (usize, &&Var<'t, F>)| {
            tangent(i).unwrap_or_else(|| x.constant_like(x.shape(), 0.0))
        };
        let many = || self.x.iter().enumerate().map(of_input).collect::<Vec<_>>();
        if let Some(narrow) = as_op::<F, Narrow, 1>(self.op) {
            Some(Var::apply(*narrow, [&tangent(0)?]))
        } else if let Some(select) = as_indexed::<F, IndexSelect>(self.op) {
            Some(Var::apply_indexed(*select, &tangent(0)?, self.index?))
        } else if let Some(concat) = as_many::<F, Concat>(self.op) {
            Some(Var::apply_many(concat.clone(), &many().iter().collect::<Vec<_>>()))
        } else if let Some(place) = as_many::<F, PlaceSlices>(self.op) {
            Some(Var::apply_many(place.clone(), &many().iter().collect::<Vec<_>>()))
        } else {
            None
        }
    }

    /// The tangent of the operation's output where input `i` moves along `tangent`.
    ///
    /// The operation gives `g -> g^T J`, which is linear in `g`. Recorded on a `g` of zeros, its own
    /// vector-Jacobian product with `tangent` is `J tangent`.
    fn tangent(&self, i: usize, tangent: Var<'t, F>) -> Option<Var<'t, F>> {
        let g = self.y.tape.leaf(Tensor::zeros(self.y.shape()), true);
        let transposed = self.cotangent(i, g, tangent.shape());
        let linear = transposed.value_once().as_slice().iter().all(|x| *x == F::ZERO || x.is_nan());
        assert!(linear, "jvp: the derivative of {} is not linear in the cotangent", self.op.name());
        sweep_backward(transposed, &[g], tangent)[0]
    }
}

/// Which of the nodes `first..=last` are in `wrt`, or depend on them through differentiable operations.
fn depends_on<F: Float>(
    tape: &Tape<F>,
    wrt: &[Var<'_, F>],
    first: u32,
    last: u32,
) -> PerNode<bool> {
    let record = tape.record.borrow();
    let mut depends = PerNode::new(first, last);
    for x in wrt {
        depends.set(x.id, true);
    }
    for id in first..=last {
        let node = &record.nodes[id as usize];
        let reached = depends.get(id) || node.inputs.iter().any(|&input| depends.get(input));
        depends.set(id, node.tracked && reached);
    }
    depends
}

/// Which of the nodes `first..=last` are in `ys`, or are used to compute them.
fn needed_by<F: Float>(tape: &Tape<F>, ys: &[Var<'_, F>], first: u32, last: u32) -> PerNode<bool> {
    let record = tape.record.borrow();
    let mut needed = PerNode::new(first, last);
    for y in ys {
        needed.set(y.id, true);
    }
    for id in (first..=last).rev() {
        let node = &record.nodes[id as usize];
        if node.tracked && needed.get(id) {
            node.inputs.iter().for_each(|&input| needed.set(input, true));
        }
    }
    needed
}

fn first<F: Float>(vars: &[Var<'_, F>]) -> Option<u32> {
    vars.iter().map(|var| var.id).min()
}

/// An operation of the tape that is to be differentiated.
struct OpNode<'t, F: Float> {
    y: Var<'t, F>,
    op: Box<dyn ErasedOp<F>>,
    inputs: Inputs,
    tracked: bool,
}

impl<'t, F: Float> OpNode<'t, F> {
    /// Reads a node and sees to it that its values are there; `None` if it is a leaf.
    fn read(tape: &'t Tape<F>, id: u32) -> Option<Self> {
        let mut record = tape.record.borrow_mut();
        if !record.checkpoints.is_empty() {
            // The values stay: from now on the tape holds nodes that read them.
            record.restore_and_hold(id);
        }
        let node = &record.nodes[id as usize];
        // A clone of the operation, because its derivative is recorded on the tape that holds it.
        (node.kind == Kind::Op).then(|| Self {
            y: Var { tape, id, generation: node.generation },
            op: record.op(id as usize).boxed(),
            inputs: node.inputs.clone(),
            tracked: node.tracked,
        })
    }

    /// Runs `f`, which records derivatives of this operation. What it records, and any panic, is attributed
    /// to the line that recorded the operation.
    #[track_caller]
    fn differentiate(&self, f: impl FnOnce(&Derivative<'_, 't, F>, &[u32])) {
        let (tape, id) = (self.y.tape, self.y.id as usize);
        let location = tape.record.borrow().nodes[id].location;
        let before = tape.record.borrow_mut().origin.replace(location);
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            let (x, index) = self.y.operands();
            let x = &*x.iter().collect::<Few<_>>();
            f(&Derivative { op: &*self.op, x, index: index.as_ref(), y: self.y }, &self.inputs);
        }));
        tape.record.borrow_mut().origin = before;
        if let Err(panic) = outcome {
            rethrow(panic, "differentiating", &self.op.name(), location);
        }
    }
}
