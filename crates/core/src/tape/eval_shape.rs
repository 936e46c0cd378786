//! What a model is made of and whether shapes fit, from a tape that infers shapes and computes nothing.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use crate::tape::erased::ErasedOp;
use crate::tape::{Inputs, Kind, Mode, Node, Record};
use crate::{Float, ParamId, Shape, ShapeError, Tape, Tensor, Var};

/// What the run of a model would do, in numbers; see [`eval_shape`].
#[derive(Clone, Debug)]
pub struct ShapeTrace {
    /// The shape that comes out.
    pub output: Shape,
    /// The layers in the order in which they begin; a layer inside of another has a larger depth.
    pub layers: Vec<LayerTrace>,
    /// Of all operations.
    pub multiply_adds: u64,
    /// The numbers of all values that operations leave on the tape.
    pub values: usize,
    /// The numbers that go in: those of all placeholders.
    pub inputs: usize,
}

/// One layer of an [`ShapeTrace`].
#[derive(Clone, Debug)]
pub struct LayerTrace {
    /// What kind of layer: the name that it gives to [`Tape::layer`].
    pub kind: &'static str,
    /// 0 for the outermost.
    pub depth: usize,
    /// The shape that comes out.
    pub output: Shape,
    /// The parameters that its operations read, each once.
    pub params: Vec<ParamId>,
    /// Of its operations.
    pub multiply_adds: u64,
    /// The numbers of the values that its operations leave on the tape.
    pub values: usize,
}

/// Runs `f`, in evaluation, on a tape that infers the shape of each value and computes none: in no time,
/// and whatever the size. Inputs are placeholders.
///
/// ```
/// use wengert_core::{Tensor, Param, eval_shape};
///
/// let weight = Param::new(Tensor::<f32>::zeros([300, 500]));
/// let found = eval_shape(|tape| tape.placeholder([64, 300]).matmul(&weight));
/// assert_eq!(found.map(|found| (found.output, found.multiply_adds)), Ok(([64, 500].into(), 9_600_000)));
///
/// let error = eval_shape(|tape| tape.placeholder([64, 100]).matmul(&weight)).unwrap_err();
/// assert_eq!(error.to_string(), "matmul: [64, 100] x [300, 500] do not chain (100 against 300)");
/// ```
///
/// # Errors
/// The first shape mistake, where a tape that computes would panic. (It travels by unwinding: a program
/// that aborts on panic aborts.)
///
/// # Panics
/// If `f` reads a value.
pub fn eval_shape<F: Float>(
    f: impl for<'t> FnOnce(&'t Tape<F>) -> Var<'t, F>,
) -> Result<ShapeTrace, ShapeError> {
    let tape = Tape::with_mode(Mode { tracking: true, training: false, seed: None });
    tape.record.borrow_mut().outline = Some(Box::default());
    let was = LISTENING.replace(true);
    let run = catch_unwind(AssertUnwindSafe(|| f(&tape).on_tape(&tape)));
    LISTENING.set(was);
    match run {
        Ok(output) => Ok(tape.record.borrow().outlined(output)),
        Err(panic) => match panic.downcast::<ShapeError>() {
            Ok(error) => Err(*error),
            Err(other) => resume_unwind(other),
        },
    }
}

thread_local! {
    static LISTENING: Cell<bool> = const { Cell::new(false) };
}

/// Whether a shape mistake on this thread is awaited.
pub(crate) fn is_listening() -> bool {
    LISTENING.get()
}

/// What a tape finds that infers shapes.
#[derive(Debug, Default)]
pub(crate) struct Inferred {
    /// Of each node.
    pub(crate) shapes: Vec<Shape>,
    multiply_adds: Vec<u64>,
    layers: Vec<Mark>,
    /// Layers that have begun and not ended.
    open: usize,
    inputs: usize,
}

/// A layer, and its nodes.
#[derive(Debug)]
struct Mark {
    kind: &'static str,
    depth: usize,
    first: usize,
    end: usize,
    /// Where it is not the last.
    output: Option<u32>,
}

impl Inferred {
    /// Takes the shape of a leaf from its value. What has none has said its shape beforehand.
    pub(crate) fn leaf<F: Float>(&mut self, id: u32, leaf: &Node<F>) {
        if self.shapes.len() == id as usize {
            self.push(leaf.value.as_ref().map_or(Shape::SCALAR, Tensor::shape), 0);
        }
    }

    fn push(&mut self, shape: Shape, multiply_adds: u64) {
        self.shapes.push(shape);
        self.multiply_adds.push(multiply_adds);
    }
}

impl<F: Float> Record<F> {
    /// The value of the next node, an operation's; where shapes are inferred, none, but a note of its
    /// shape.
    pub(crate) fn value_of(
        &mut self,
        op: &impl ErasedOp<F>,
        inputs: &[u32],
        out: Shape,
    ) -> Option<Tensor<F>> {
        if self.outline.is_none() {
            return Some(op.forward(self.seen(), inputs, out));
        }
        let work = op.multiply_adds(self.seen(), inputs, out);
        self.outline.as_mut()?.push(out, work);
        None
    }

    fn outlined(&self, output: u32) -> ShapeTrace {
        let found = self.outline.as_deref().expect("a tape that infers shapes");
        let is_op = |id: &usize| self.nodes[*id].kind == Kind::Op;
        let values = |ids: std::ops::Range<usize>| {
            ids.filter(is_op).map(|id| found.shapes[id].numel()).sum()
        };
        let layer = |mark: &Mark| LayerTrace {
            kind: mark.kind,
            depth: mark.depth,
            output: found.shapes[mark.output.map_or(mark.end.saturating_sub(1), |id| id as usize)],
            params: self.params_read(mark.first..mark.end),
            multiply_adds: found.multiply_adds[mark.first..mark.end].iter().sum(),
            values: values(mark.first..mark.end),
        };
        ShapeTrace {
            output: found.shapes[output as usize],
            layers: found.layers.iter().map(layer).collect(),
            multiply_adds: found.multiply_adds.iter().sum(),
            values: values(0..self.nodes.len()),
            inputs: found.inputs,
        }
    }

    /// The parameters that these nodes read.
    fn params_read(&self, nodes: std::ops::Range<usize>) -> Vec<ParamId> {
        let read = |leaf: u32| self.nodes[nodes.clone()].iter().any(|n| n.inputs.contains(&leaf));
        self.params.iter().filter(|p| p.leaf.is_some_and(read)).map(|p| p.id).collect()
    }
}

impl<F: Float> Tape<F> {
    /// Marks what is recorded until the guard is dropped as one layer, for [`eval_shape`]; elsewhere it
    /// costs nothing.
    #[must_use = "the layer ends where the guard is dropped"]
    pub fn layer(&self, kind: &'static str) -> LayerGuard<'_, F> {
        let mut mark = None;
        if let Some(found) = &mut self.record.borrow_mut().outline {
            mark = Some(found.layers.len());
            let first = found.shapes.len();
            found.layers.push(Mark { kind, depth: found.open, first, end: first, output: None });
            found.open += 1;
        }
        LayerGuard { tape: self, mark }
    }

    /// A leaf of this shape and without a value, for [`eval_shape`].
    ///
    /// # Panics
    /// On a tape that computes.
    #[track_caller]
    pub fn placeholder(&self, shape: impl Into<Shape>) -> Var<'_, F> {
        let shape = shape.into();
        match &mut self.record.borrow_mut().outline {
            Some(found) => {
                found.push(shape, 0);
                found.inputs += shape.numel();
            }
            None => {
                panic!("placeholder: this tape computes; it wants a value, `tape.constant(&x)`")
            }
        }
        self.handle(self.push(None, Kind::Leaf, Inputs::new(), false))
    }

    /// Whether this tape infers shapes and computes nothing.
    pub(crate) fn infers(&self) -> bool {
        self.record.borrow().outline.is_some()
    }
}

/// What [`Tape::layer`] returns: the layer ends where it is dropped.
#[derive(Debug)]
pub struct LayerGuard<'t, F: Float> {
    tape: &'t Tape<F>,
    mark: Option<usize>,
}

impl<F: Float> LayerGuard<'_, F> {
    /// This is what the layer gives, where that is not what it records last.
    pub fn output(&self, y: Var<'_, F>) {
        if let Some(mark) = self.mark
            && let Some(found) = &mut self.tape.record.borrow_mut().outline
        {
            found.layers[mark].output = Some(y.id);
        }
    }
}

impl<F: Float> Drop for LayerGuard<'_, F> {
    fn drop(&mut self) {
        let Some(mark) = self.mark else { return };
        if let Some(found) = &mut self.tape.record.borrow_mut().outline {
            found.open -= 1;
            found.layers[mark].end = found.shapes.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{MovementOps, Param, Random, ReduceOps, UnaryOps};

    #[test]
    fn layers_nest_and_know_what_they_read() {
        let (a, b) = (Param::new(Tensor::<f64>::ones([3, 4])), Param::new(Tensor::ones([4, 2])));
        let found = eval_shape(|tape| {
            let x = tape.placeholder([5, 3]);
            let _outer = tape.layer("Outer");
            let x = {
                let _inner = tape.layer("Inner");
                x.matmul(&a).relu() * tape.random([5, 4], Random::Uniform)
            };
            tape.temporarily(|| x.matmul(&b).reshape([10]).sum())
        });
        let found = found.unwrap();
        let layers: Vec<_> = found.layers.iter().map(|l| (l.kind, l.depth, l.output)).collect();
        assert_eq!(layers, [("Outer", 0, [].into()), ("Inner", 1, [5, 4].into())]);
        assert_eq!(found.layers[0].params, [a.id(), b.id()]);
        assert_eq!(found.layers[1].params, [a.id()]);
        assert_eq!((found.layers[1].multiply_adds, found.multiply_adds), (60, 100));
        // Three values of 20 numbers; two of 10, and the sum.
        assert_eq!((found.layers[1].values, found.values, found.inputs), (60, 81, 35));
    }

    #[test]
    fn mistakes_are_returned_and_other_panics_go_on() {
        let error = eval_shape(|tape: &Tape<f32>| tape.placeholder([5, 3]).sum_axes(2, false));
        assert!(error.unwrap_err().to_string().contains("axis 2"));
        let error = eval_shape(|tape: &Tape<f32>| tape.placeholder([5, 3]).reshape([4, 4]));
        assert!(error.is_err());
        let other = std::panic::catch_unwind(|| {
            eval_shape(|tape: &Tape<f32>| {
                let x = tape.placeholder([2]);
                tape.constant(&x.sum().value())
            })
        });
        let other = other.unwrap_err();
        assert!(other.downcast_ref::<String>().unwrap().contains("infers shapes only"));
        assert!(!is_listening());
    }

    #[test]
    #[should_panic(expected = "this tape computes")]
    fn a_placeholder_has_no_place_on_a_tape_that_computes() {
        Tape::<f32>::new().placeholder([2]);
    }
}
