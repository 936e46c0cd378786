//! The inputs of a program: references at each run, and their recorded form in the closure.

use std::sync::Arc;

use crate::tape::record::{Tape, Var};
use crate::tensor::indices::{Indices, InputNotes};
use crate::{Float, MovementOps, Tensor};

/// Inputs of a [`Program`](crate::Program): a [`Tensor`], [`Indices`], a tuple of inputs, or `()`.
///
/// A run is given references to the values. The closure receives a constant [`Var`] for a tensor, and indices for
/// indices. Their shapes can be read and their numbers cannot.
///
/// Implement it for a struct by way of a tuple:
///
/// ```
/// use wengert_core::{Indices, Input, InputLeaf, InputTape, Tensor, Var};
///
/// struct Batch {
///     pixels: Tensor<f32>,
///     labels: Indices,
/// }
///
/// impl Input<f32> for Batch {
///     type Given<'a> = &'a Batch;
///     type Recorded<'t> = (Var<'t, f32>, Indices);
///
///     fn visit<'a>(batch: &'a Batch, visit: &mut dyn FnMut(InputLeaf<'a, f32>)) {
///         <(Tensor<f32>, Indices)>::visit((&batch.pixels, &batch.labels), visit);
///     }
///
///     fn record<'t>(batch: &Batch, tape: &mut InputTape<'t, f32>) -> Self::Recorded<'t> {
///         <(Tensor<f32>, Indices)>::record((&batch.pixels, &batch.labels), tape)
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an input of a program in precision `{F}`",
    label = "expected `Tensor`, `Indices`, or a tuple of them",
    note = "name the types without a reference: `Program::<Net, (Tensor, Indices)>::new(..)`"
)]
pub trait Input<F: Float = f32> {
    /// Type of what a run is given: references.
    type Given<'a>: Copy
    where
        Self: 'a;
    /// Type of what the closure receives.
    type Recorded<'t>;

    /// Calls `visit` for each tensor and each list of indices.
    fn visit<'a>(given: Self::Given<'a>, visit: &mut dyn FnMut(InputLeaf<'a, F>));

    /// Records the inputs, in the order of [`visit`](Self::visit).
    fn record<'t>(given: Self::Given<'_>, tape: &mut InputTape<'t, F>) -> Self::Recorded<'t>;
}

/// A tensor or indices that a run is given.
#[derive(Clone, Copy, Debug)]
pub enum InputLeaf<'a, F: Float> {
    /// A tensor.
    Tensor(&'a Tensor<F>),
    /// Indices.
    Indices(&'a Indices),
}

/// A stretch of the rows of a batch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rows {
    pub(crate) start: usize,
    pub(crate) len: usize,
}

impl Rows {
    pub(crate) fn of_tensor<F: Float>(self, batch: &Tensor<F>) -> Tensor<F> {
        batch.narrow(0, self.start, self.len)
    }

    pub(crate) fn of_indices(self, batch: &Indices) -> Indices {
        batch.rows(self.start, self.len)
    }
}

/// A tape while the inputs of a program are recorded.
#[derive(Debug)]
pub struct InputTape<'t, F: Float> {
    tape: &'t Tape<F>,
    /// Present if a program records.
    notes: Option<Arc<InputNotes>>,
    /// The rows that are recorded.
    rows: Option<Rows>,
}

impl<'t, F: Float> InputTape<'t, F> {
    pub(crate) fn new(tape: &'t Tape<F>, notes: &Arc<InputNotes>, rows: Option<Rows>) -> Self {
        Self { tape, notes: Some(Arc::clone(notes)), rows }
    }

    /// Records a tensor, as a constant.
    pub fn tensor(&mut self, value: &Tensor<F>) -> Var<'t, F> {
        let var = match self.rows {
            Some(rows) => self.tape.constant(&rows.of_tensor(value)),
            None => self.tape.constant(value),
        };
        self.add(Some(var.id));
        var
    }

    /// Records indices.
    pub fn indices(&mut self, indices: &Indices) -> Indices {
        let number = self.add(None);
        let indices = self.rows.map_or_else(|| indices.clone(), |rows| rows.of_indices(indices));
        match &self.notes {
            Some(notes) => indices.as_input(number, notes),
            None => indices,
        }
    }

    /// Adds an input to those of the program and returns its number.
    fn add(&mut self, leaf: Option<u32>) -> u32 {
        let mut record = self.tape.record.borrow_mut();
        match &mut record.repeat {
            Some(repeat) if self.notes.is_some() => {
                repeat.inputs.push(leaf);
                repeat.inputs.len() as u32 - 1
            }
            _ => 0,
        }
    }
}

/// # Programs
impl<F: Float> Tape<F> {
    /// Records inputs as a [`Program`](crate::Program) does, so that its closure can also be recorded once.
    ///
    /// ```
    /// use wengert_core::{Indices, IndexOps, ReduceOps, Tape, Tensor, evaluate};
    ///
    /// let (x, y) = (Tensor::<f32>::from([[1.0, 2.0], [3.0, 4.0]]), Indices::from([1, 0]));
    /// let sum = evaluate(|tape| {
    ///     let (x, y) = tape.inputs::<(Tensor<f32>, Indices)>((&x, &y));
    ///     x.pick(y).sum()
    /// });
    /// assert_eq!(sum.item(), 5.0);
    /// ```
    pub fn inputs<I: Input<F>>(&self, given: I::Given<'_>) -> I::Recorded<'_> {
        I::record(given, &mut InputTape { tape: self, notes: None, rows: None })
    }
}

impl<F: Float> Input<F> for Tensor<F> {
    type Given<'a> = &'a Self;
    type Recorded<'t> = Var<'t, F>;

    fn visit<'a>(given: &'a Self, visit: &mut dyn FnMut(InputLeaf<'a, F>)) {
        visit(InputLeaf::Tensor(given));
    }
    fn record<'t>(given: &Self, tape: &mut InputTape<'t, F>) -> Var<'t, F> {
        tape.tensor(given)
    }
}

impl<F: Float> Input<F> for Indices {
    type Given<'a> = &'a Self;
    type Recorded<'t> = Self;

    fn visit<'a>(given: &'a Self, visit: &mut dyn FnMut(InputLeaf<'a, F>)) {
        visit(InputLeaf::Indices(given));
    }
    fn record(given: &Self, tape: &mut InputTape<'_, F>) -> Self {
        tape.indices(given)
    }
}

macro_rules! tuples {
    ($([$($I:ident $place:tt)*])*) => {$(
        impl<F: Float, $($I: Input<F>),*> Input<F> for ($($I,)*) {
            type Given<'a> = ($($I::Given<'a>,)*) where Self: 'a;
            type Recorded<'t> = ($($I::Recorded<'t>,)*);

            fn visit<'a>(given: Self::Given<'a>, visit: &mut dyn FnMut(InputLeaf<'a, F>)) {
                $($I::visit(given.$place, visit);)*
            }
            fn record<'t>(
                given: Self::Given<'_>,
                tape: &mut InputTape<'t, F>,
            ) -> Self::Recorded<'t> {
                ($($I::record(given.$place, tape),)*)
            }
        }
    )*};
}

impl<F: Float> Input<F> for () {
    type Given<'a> = ();
    type Recorded<'t> = ();

    fn visit<'a>(_: (), _: &mut dyn FnMut(InputLeaf<'a, F>)) {}
    fn record(_: (), _: &mut InputTape<'_, F>) {}
}

tuples! { [A 0] [A 0 B 1] [A 0 B 1 C 2] [A 0 B 1 C 2 D 3] [A 0 B 1 C 2 D 3 E 4] }
