//! A recording that will run again with other inputs: what it notes, and what it refuses. Reading a value is refused,
//! because the next run has another.

use std::ops::Range;

use crate::Float;
use crate::params::param::Buffer;
use crate::tape::record::{Content, Kind, Record, Tape, Var};
use crate::tensor::indices::Indices;

/// # Buffers
impl<F: Float> Tape<F> {
    /// Returns the variable of a buffer: a constant with its present value.
    ///
    /// A [`Program`](crate::Program) that runs again reads the buffer again.
    ///
    /// ```
    /// use wengert_core::{Buffer, Tape, Tensor};
    ///
    /// let mean = Buffer::new(Tensor::<f32>::from([0.5, 2.0]));
    /// let tape = Tape::new();
    /// assert_eq!(&tape.buffer(&mean).value(), mean.value());
    /// ```
    #[track_caller]
    pub fn buffer(&self, buffer: &Buffer<F>) -> Var<'_, F> {
        let var = self.leaf(buffer.value().clone(), false);
        if let Some(repeat) = &mut self.record.borrow_mut().repeat {
            repeat.buffers.push((buffer.id(), var.id));
        }
        var
    }

    /// Whether this recording will run again with other values.
    pub(crate) fn repeats(&self) -> bool {
        self.record.borrow().repeat.is_some()
    }

    /// Refuses to hand out a value that the next run replaces.
    #[track_caller]
    pub(crate) fn refuse_reading(&self, function: &str) {
        assert!(
            !self.repeats(),
            "{function}: a program runs this recording again with other values, and would not see what is read \
             here; return it from the closure, or record each step with `gradients`"
        );
    }

    /// Notes indices that are an input. They are plain indices from here on.
    #[track_caller]
    pub(crate) fn note_input(&self, indices: &mut Indices) {
        if !indices.is_input() {
            return;
        }
        let record = &mut *self.record.borrow_mut();
        match &mut record.repeat {
            Some(repeat) => {
                let number = indices.take_input().expect("an input");
                repeat.indices.push((record.indices.len() as u32, number));
            }
            None => indices.refuse_reading(),
        }
    }

    /// Notes that a leaf has the value of another node.
    pub(crate) fn note_copy(&self, leaf: Var<'_, F>, source: u32) {
        if let Some(repeat) = &mut self.record.borrow_mut().repeat {
            repeat.copies.push((leaf.id, source));
        }
    }
}

impl<'t, F: Float> Var<'t, F> {
    /// Starts a variable with this value: derivatives with respect to it may be asked for, and do not flow further
    /// back. Inside a [`Program`](crate::Program) this differentiates with respect to an input.
    ///
    /// ```
    /// use wengert_core::{Tape, Tensor, UnaryOps, grad};
    ///
    /// let tape = Tape::<f64>::new();
    /// let x = tape.constant(&Tensor::scalar(3.0)).to_variable();
    /// assert_eq!(grad(x.square(), &[x])[0].item(), 6.0);
    /// ```
    #[track_caller]
    pub fn to_variable(self) -> Self {
        let value = self.value_once();
        let var = self.tape.variable(&value);
        self.tape.note_copy(var, self.id);
        var
    }
}

impl<F: Float> Record<F> {
    /// Ends a temporary recording that will run again: the nodes stay, but not their values, and no variable
    /// reaches them.
    pub(crate) fn keep_temporary(&mut self, start: usize) {
        let nodes = start as u32..self.nodes.len() as u32;
        self.drop_values(nodes.clone());
        for node in &mut self.nodes[start..] {
            node.generation = u32::MAX;
        }
        if let Some(repeat) = &mut self.repeat {
            repeat.temporaries.push(nodes);
        }
    }

    /// Drops the values of operations.
    pub(crate) fn drop_values(&mut self, nodes: Range<u32>) {
        let nodes = nodes.start as usize..nodes.end as usize;
        for node in self.nodes[nodes].iter_mut().filter(|node| node.kind == Kind::Op) {
            if let Some(value) = node.value_if_held() {
                node.content = Content::Shape(value.shape());
            }
        }
    }
}
