//! The layer that is being recorded: named in the messages of shape mistakes, listed by `eval_shape`.

use crate::tape::record::{LayerMark, LayerName, Tape, Var};
use crate::{Float, ShapeError};

impl<F: Float> Tape<F> {
    /// Names a layer from here until the guard is dropped.
    ///
    /// The message of a shape mistake ends with the names of all open layers, and
    /// [`eval_shape`](crate::eval_shape) lists the layer. Name a layer by its kind; a container names
    /// each part by its place.
    ///
    /// ```should_panic
    /// # use wengert_core::{MovementOps, Tape, Tensor};
    /// let tape = Tape::<f32>::new();
    /// let x = tape.constant(&Tensor::zeros([2, 3]));
    /// let _stack = tape.layer("Stack");
    /// let _first = tape.layer(0);
    /// // Panics with "reshape: [2, 3] to [7] .., in Stack.0".
    /// x.reshape([7]);
    /// ```
    #[must_use = "the layer ends where the guard is dropped"]
    pub fn layer(&self, name: impl Into<LayerName>) -> LayerGuard<'_, F> {
        let name = name.into();
        let record = &mut *self.record.borrow_mut();
        record.layers.push(name);
        let mut mark = None;
        if let (Some(trace), LayerName::Kind(kind)) = (&mut record.trace, name) {
            let start = record.nodes.len();
            mark = Some(trace.layers.len());
            trace.layers.push(LayerMark {
                kind,
                depth: trace.open,
                nodes: start..start,
                output: None,
            });
            trace.open += 1;
        }
        LayerGuard { tape: self, mark }
    }
}

/// Guard of [`Tape::layer`]: the layer ends where the guard is dropped.
#[derive(Debug)]
pub struct LayerGuard<'t, F: Float> {
    tape: &'t Tape<F>,
    /// The place of the layer in the trace.
    mark: Option<usize>,
}

impl<F: Float> LayerGuard<'_, F> {
    /// Declares the output of the layer for [`eval_shape`](crate::eval_shape). Default: the value that
    /// was recorded last.
    pub fn output(&self, y: Var<'_, F>) {
        if let Some(mark) = self.mark
            && let Some(trace) = &mut self.tape.record.borrow_mut().trace
        {
            trace.layers[mark].output = Some(y.id);
        }
    }
}

impl<F: Float> Drop for LayerGuard<'_, F> {
    fn drop(&mut self) {
        let record = &mut *self.tape.record.borrow_mut();
        record.layers.pop();
        if let (Some(mark), Some(trace)) = (self.mark, &mut record.trace) {
            trace.open -= 1;
            trace.layers[mark].nodes.end = record.nodes.len();
        }
    }
}

impl ShapeError {
    /// Adds the layers in which the mistake happened.
    #[cold]
    pub(crate) fn in_layers(self, layers: &[LayerName]) -> Self {
        let names = layers.iter().map(|name| match name {
            LayerName::Kind(kind) => (*kind).to_owned(),
            LayerName::Index(index) => index.to_string(),
        });
        match names.collect::<Vec<_>>().join(".") {
            none if none.is_empty() => self,
            path => Self::new(format!("{self}, in {path}")),
        }
    }
}
