//! The shapes, parameters and multiply-adds of a model, from a tape that infers shapes and computes no
//! values.

use std::ops::Range;

use crate::error::catch_shape_error;
use crate::params::param::ParamId;
use crate::tape::record::{Content, Inputs, Kind, LayerMark, LayerName, Record, Tape, Var};
use crate::{Float, Shape, ShapeError};

/// Figures of a model's forward pass, computed without running it; see [`eval_shape`].
#[derive(Clone, Debug)]
pub struct ShapeTrace {
    /// Shape of the output.
    pub output: Shape,
    /// Layers in the order in which they begin; a layer inside another has a larger depth.
    pub layers: Vec<LayerTrace>,
    /// Multiply-adds of all operations.
    pub multiply_adds: u64,
    /// Number of elements of all values that operations leave on the tape.
    pub values: usize,
    /// Number of elements of all placeholders.
    pub inputs: usize,
}

/// Figures of one layer in a [`ShapeTrace`].
#[derive(Clone, Debug)]
pub struct LayerTrace {
    /// Kind of the layer: the name given to [`Tape::layer`].
    pub kind: &'static str,
    /// Place in the layer around this one, if a container named it: an index or a field.
    pub place: Option<LayerName>,
    /// Number of layers around this one.
    pub depth: usize,
    /// Shape of the output.
    pub output: Shape,
    /// Parameters that the layer's operations read, each once.
    pub params: Vec<ParamId>,
    /// Multiply-adds of the layer's operations.
    pub multiply_adds: u64,
    /// Number of elements of the values that the layer's operations leave on the tape.
    pub values: usize,
}

/// Runs `f` in evaluation mode on a tape that infers the shape of each value and computes none. The
/// cost does not depend on the sizes. Inputs are placeholders.
///
/// Source: `jax.eval_shape`.
///
/// ```
/// use wengert_core::{MatmulOps, Param, Tensor, eval_shape};
///
/// let weight = Param::new(Tensor::<f32>::zeros([300, 500]));
/// let trace = eval_shape(|tape| tape.placeholder([64, 300]).matmul(&weight)).unwrap();
/// assert_eq!(trace.output, [64, 500].into());
/// assert_eq!(trace.multiply_adds, 9_600_000);
///
/// let mistake = eval_shape(|tape| tape.placeholder([64, 100]).matmul(&weight)).unwrap_err();
/// assert!(mistake.to_string().starts_with("matmul: [64, 100] x [300, 500]"));
/// ```
///
/// # Errors
/// Returns the first shape mistake, at which a tape that computes values would panic. The error travels by unwinding,
/// so a program built with `panic = "abort"` aborts.
///
/// # Panics
/// If `f` reads a value.
pub fn eval_shape<F: Float>(
    f: impl for<'t> FnOnce(&'t Tape<F>) -> Var<'t, F>,
) -> Result<ShapeTrace, ShapeError> {
    let tape = Tape::evaluating();
    tape.record.borrow_mut().trace = Some(Box::default());
    let output = catch_shape_error(|| f(&tape).on_tape(&tape))?;
    Ok(tape.record.borrow().shape_trace(output))
}

impl<F: Float> Record<F> {
    /// Whether this tape infers shapes and computes no values.
    #[inline]
    pub(crate) fn infers(&self) -> bool {
        self.trace.as_ref().is_some_and(|trace| !trace.computes)
    }

    fn shape_trace(&self, output: u32) -> ShapeTrace {
        let trace = self.trace.as_deref().expect("a tape that infers shapes");
        let all = 0..self.nodes.len();
        ShapeTrace {
            output: *self.nodes[output as usize].shape(),
            layers: trace.layers.iter().map(|mark| self.layer_trace(mark)).collect(),
            multiply_adds: self.multiply_adds(all.clone()),
            values: self.values(all),
            inputs: trace.inputs,
        }
    }

    fn layer_trace(&self, mark: &LayerMark) -> LayerTrace {
        let last = mark.nodes.end.saturating_sub(1);
        LayerTrace {
            kind: mark.kind,
            place: mark.place,
            depth: mark.depth,
            output: *self.nodes[mark.output.map_or(last, |id| id as usize)].shape(),
            params: self.params_read(mark.nodes.clone()),
            multiply_adds: self.multiply_adds(mark.nodes.clone()),
            values: self.values(mark.nodes.clone()),
        }
    }

    fn multiply_adds(&self, nodes: Range<usize>) -> u64 {
        let of = |id: usize| {
            let node = &self.nodes[id];
            let (values, _) = self.view().split(&node.inputs);
            self.op(id).multiply_adds(&self.view().shapes(values), *node.shape())
        };
        self.operations(nodes).map(of).sum()
    }

    fn values(&self, nodes: Range<usize>) -> usize {
        self.operations(nodes).map(|id| self.nodes[id].shape().numel()).sum()
    }

    fn operations(&self, nodes: Range<usize>) -> impl Iterator<Item = usize> {
        nodes.filter(|&id| self.nodes[id].kind == Kind::Op)
    }

    /// The parameters that these nodes read.
    fn params_read(&self, nodes: Range<usize>) -> Vec<ParamId> {
        let read = |leaf: u32| self.nodes[nodes.clone()].iter().any(|n| n.inputs.contains(&leaf));
        self.params.iter().filter(|p| p.leaf.is_some_and(read)).map(|p| p.id).collect()
    }
}

/// # Shapes without values
impl<F: Float> Tape<F> {
    /// Adds a leaf that has a shape and no value, for [`eval_shape`].
    ///
    /// # Panics
    /// On a tape that computes values.
    #[track_caller]
    pub fn placeholder(&self, shape: impl Into<Shape>) -> Var<'_, F> {
        let shape = shape.into();
        match &mut self.record.borrow_mut().trace {
            Some(trace) if !trace.computes => trace.inputs += shape.numel(),
            _ => panic!(
                "placeholder: this tape computes values, so a leaf needs one: `tape.constant(&x)`"
            ),
        }
        self.handle(self.push(Content::Shape(shape), Kind::Leaf, Inputs::new(), false))
    }

    /// Whether this tape infers shapes and computes no values.
    pub(crate) fn infers(&self) -> bool {
        self.record.borrow().infers()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Tensor;
    use crate::tape::random::Random;
    use crate::{MatmulOps, MovementOps, Param, ReduceOps, UnaryOps};

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
        assert!(other.downcast_ref::<&str>().unwrap().contains("infers shapes only"));
    }

    #[test]
    #[should_panic(expected = "this tape computes values")]
    fn a_placeholder_has_no_place_on_a_tape_that_computes() {
        Tape::<f32>::new().placeholder([2]);
    }
}
