//! The arguments of a run.

use std::sync::Arc;

use crate::program::inputs::{InputLeaf, Rows};
use crate::tape::record::{Mode, Tape};
use crate::tensor::indices::InputNotes;
use crate::{Float, Params, Tensor};

/// Runs the user's closure on a part and returns the number of the result.
type RecordPart<'c, F> = dyn Fn(&Tape<F>, &Arc<InputNotes>, Part) -> u32 + 'c;

/// The arguments of a run of a program.
#[derive(Clone, Copy)]
pub(crate) struct Call<'c, F: Float> {
    pub(crate) mode: Mode,
    pub(crate) model: &'c dyn Params<F>,
    pub(crate) inputs: &'c [InputLeaf<'c, F>],
    pub(crate) part: Part,
    /// The cotangent of the loss.
    pub(crate) cotangent: F,
    pub(crate) record: &'c RecordPart<'c, F>,
}

/// The rows of the batch and the model that a run is for.
#[derive(Clone, Copy, Default)]
pub(crate) struct Part {
    /// The rows that run by themselves.
    pub(crate) rows: Option<Rows>,
    /// The number of the model.
    pub(crate) model: usize,
}

/// The result of a run.
pub(crate) enum Outcome<F: Float> {
    /// The loss, whose gradients were computed.
    Loss(F),
    /// The value of an evaluation.
    Value(Tensor<F>),
}

impl<F: Float> Outcome<F> {
    pub(crate) fn loss(self) -> F {
        match self {
            Self::Loss(loss) => loss,
            Self::Value(value) => value.item(),
        }
    }

    pub(crate) fn value(self) -> Tensor<F> {
        match self {
            Self::Loss(loss) => Tensor::scalar(loss),
            Self::Value(value) => value,
        }
    }
}
