//! The layer that is being recorded: named in the messages of shape mistakes, listed by `eval_shape`.

use crate::tape::record::{LayerMark, LayerName, Record, Tape, Var};
use crate::{Float, ShapeError};

/// # Layers
impl<F: Float> Tape<F> {
    /// Names a layer from here until the guard is dropped.
    ///
    /// The message of a shape mistake ends with the place of the layer, as in the names of parameters, and its
    /// kind. [`eval_shape`](crate::eval_shape) lists the layer. A layer names its kind; a container names the place of
    /// each part, an index or a [`LayerName::Field`].
    ///
    /// ```should_panic
    /// # use wengert_core::{MovementOps, Tape, Tensor};
    /// let tape = Tape::<f32>::new();
    /// let x = tape.constant(&Tensor::zeros([2, 3]));
    /// let _stack = tape.layer("Stack");
    /// let _first = tape.layer(0);
    /// let _layer = tape.layer("Reshape");
    /// // Panics with "reshape: [2, 3] to [7] .., in 0 (Reshape)".
    /// x.reshape([7]);
    /// ```
    #[must_use = "the layer ends where the guard is dropped"]
    pub fn layer(&self, name: impl Into<LayerName>) -> LayerGuard<'_, F> {
        let name = name.into();
        let record = &mut *self.record.borrow_mut();
        let place = record.layers.last().copied().filter(|around| !around.is_kind());
        let depth = record.layers.len();
        record.layers.push(name);
        let mut mark = None;
        if let (Some(trace), LayerName::Kind(kind)) = (&mut record.trace, name) {
            let start = record.nodes.len();
            mark = Some(trace.layers.len());
            trace.layers.push(LayerMark {
                kind,
                place,
                depth: trace.open,
                nodes: start..start,
                output: None,
            });
            trace.open += 1;
        }
        LayerGuard { tape: self, depth, mark }
    }

    /// Panics with a shape mistake of the layer that is being recorded, at the caller's line. The message ends with
    /// the place of the layer. Inside [`eval_shape`](crate::eval_shape) the error is returned instead.
    ///
    /// # Panics
    /// Always.
    #[cold]
    #[track_caller]
    pub fn raise(&self, mistake: ShapeError) -> ! {
        let mistake = mistake.in_layers(&self.record.borrow().layers);
        mistake.raise()
    }
}

/// Guard of [`Tape::layer`]: the layer ends where the guard is dropped.
#[derive(Debug)]
pub struct LayerGuard<'t, F: Float> {
    tape: &'t Tape<F>,
    /// The number of layers around this one.
    depth: usize,
    /// The place of the layer in the trace.
    mark: Option<usize>,
}

impl<F: Float> LayerGuard<'_, F> {
    /// Declares the output of the layer for [`eval_shape`](crate::eval_shape). Default: the value that
    /// was recorded last.
    ///
    /// # Panics
    /// If the value is on another tape, or was dropped.
    #[track_caller]
    pub fn output(&self, y: Var<'_, F>) {
        let output = y.on_tape(self.tape);
        if let Some(mark) = self.mark
            && let Some(trace) = &mut self.tape.record.borrow_mut().trace
        {
            trace.layers[mark].output = Some(output);
        }
    }
}

impl<F: Float> Drop for LayerGuard<'_, F> {
    fn drop(&mut self) {
        let record = &mut *self.tape.record.borrow_mut();
        record.layers.truncate(self.depth);
        if let (Some(mark), Some(trace)) = (self.mark, &mut record.trace) {
            trace.open -= 1;
            trace.layers[mark].nodes.end = record.nodes.len();
        }
    }
}

impl<F: Float> Record<F> {
    /// Returns the places of the layers around a node, joined as in the names of parameters, and the kind of the innermost:
    /// `2 Linear`. Empty without a trace.
    pub(crate) fn layer_of(&self, node: usize) -> String {
        let layers = self.trace.as_ref().map_or(&[][..], |trace| &trace.layers);
        let around = || layers.iter().filter(|mark| mark.nodes.contains(&node));
        let places = around().filter_map(|mark| mark.place).map(|place| place.to_string());
        let path = places.collect::<Vec<_>>().join(".");
        match around().next_back() {
            None => path,
            Some(mark) if path.is_empty() => mark.kind.to_owned(),
            Some(mark) => format!("{path} {}", mark.kind),
        }
    }
}

impl LayerName {
    fn is_kind(&self) -> bool {
        matches!(self, Self::Kind(_))
    }
}

impl ShapeError {
    /// Adds where the mistake happened: the place as in the names of parameters, and the kinds of the layers there,
    /// `in 2 (Linear)`. The innermost kind is left out if the message begins with it.
    #[cold]
    pub(crate) fn in_layers(self, layers: &[LayerName]) -> Self {
        let message = self.to_string();
        let operation = message.split(':').next().unwrap_or("");
        let is_known = |name: &LayerName| name.to_string().eq_ignore_ascii_case(operation);
        let layers = match layers {
            [around @ .., own] if is_known(own) => around,
            all => all,
        };
        let joined = |names: &[LayerName], joint: &str| {
            names.iter().map(LayerName::to_string).collect::<Vec<_>>().join(joint)
        };
        let first_kind = layers.iter().rposition(|name| !name.is_kind()).map_or(0, |last| last + 1);
        let (around, kinds) = layers.split_at(first_kind);
        let places: Vec<_> = around.iter().copied().filter(|name| !name.is_kind()).collect();
        let (path, kinds) = (joined(&places, "."), joined(kinds, " > "));
        let place = match (path.is_empty(), kinds.is_empty()) {
            (true, true) => return self,
            (true, false) => kinds,
            (false, true) => path,
            (false, false) => format!("{path} ({kinds})"),
        };
        Self::new(format!("{self}, in {place}"))
    }
}
