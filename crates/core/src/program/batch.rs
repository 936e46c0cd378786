//! Parts of a batch: some rows of every input.

use smallvec::SmallVec;

use crate::program::inputs::{InputLeaf, Rows};
use crate::{Float, Indices, Tensor};

/// The rows of one input.
enum InputRows<F: Float> {
    Tensor(Tensor<F>),
    Indices(Indices),
}

impl<F: Float> InputRows<F> {
    fn of(input: &InputLeaf<'_, F>, rows: Rows) -> Self {
        match input {
            InputLeaf::Tensor(x) => Self::Tensor(rows.of_tensor(x)),
            InputLeaf::Indices(x) => Self::Indices(rows.of_indices(x)),
        }
    }

    fn leaf(&self) -> InputLeaf<'_, F> {
        match self {
            Self::Tensor(x) => InputLeaf::Tensor(x),
            Self::Indices(x) => InputLeaf::Indices(x),
        }
    }
}

/// Calls `run` with these rows of the inputs.
pub(super) fn with_rows<F: Float, R>(
    batch: &[InputLeaf<'_, F>],
    rows: Rows,
    run: impl FnOnce(&[InputLeaf<'_, F>]) -> R,
) -> R {
    let inputs = batch.iter().map(|input| InputRows::of(input, rows)).collect::<SmallVec<[_; 4]>>();
    run(&inputs.iter().map(InputRows::leaf).collect::<SmallVec<[_; 4]>>())
}

/// The number of rows of a batch.
///
/// # Panics
/// If the inputs have no first axis, or differ in its extent.
#[track_caller]
pub(super) fn count_rows<F: Float>(batch: &[InputLeaf<'_, F>], method: &str) -> usize {
    let shape = |input: &InputLeaf<'_, F>| match input {
        InputLeaf::Tensor(x) => x.shape(),
        InputLeaf::Indices(x) => x.shape(),
    };
    let counts = || batch.iter().map(|input| shape(input).first().copied());
    let Some(Some(count)) = counts().next() else {
        panic!("{method}: the inputs have no axis of examples");
    };
    assert!(
        counts().all(|own| own == Some(count)),
        "{method}: the inputs differ in the number of examples: {:?}",
        batch.iter().map(shape).collect::<Vec<_>>()
    );
    count
}
