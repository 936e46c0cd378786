//! Sequences of several lengths in one batch.

use wengert_core::{BinaryOps, Float, IndexOps, Indices, MovementOps, Operand, Tensor, Var};

use super::super::refuse;
use super::{Recurrent, RecurrentCell};

/// A recurrent layer with the lengths of the sequences of a batch, returned by [`Recurrent::with_lengths`].
///
/// Sequence `i` has `lengths[i]` positions; those after them are padding and do not count. Their outputs are 0, and no
/// gradient reaches their inputs, which may hold anything. The last state is that after position `lengths[i] - 1`. The
/// reverse direction begins there. A sequence of length 0 keeps its first state.
///
/// This is PyTorch's
/// [`pack_padded_sequence`](https://docs.pytorch.org/docs/stable/generated/torch.nn.utils.rnn.pack_padded_sequence.html)
/// and its inverse, in any order of the lengths; PyTorch refuses the length 0.
///
/// ```
/// use rand::{SeedableRng, rngs::ChaCha8Rng};
/// use wengert_core::{MovementOps, Tensor, evaluate};
/// use wengert_nn::{Gru, Module};
///
/// let gru = Gru::<f32>::new(3, 4, &mut ChaCha8Rng::seed_from_u64(0));
/// let x = Tensor::ones([2, 5, 3]);
/// let y = evaluate(|tape| gru.with_lengths([5, 2]).forward(tape.constant(&x)));
/// let alone = evaluate(|tape| gru.forward(tape.constant(&x.narrow(0, 1, 1).narrow(1, 0, 2))));
/// assert_eq!(y.narrow(0, 1, 1), alone.pad(1, 0, 3, 0.0));
/// ```
#[derive(Clone, Debug)]
pub struct WithLengths<'a, C, const N: usize, F: Float = f32> {
    layer: &'a Recurrent<C, N, F>,
    lengths: Indices,
}

impl<C: RecurrentCell<N>, const N: usize, F: Float> Recurrent<C, N, F> {
    /// Adds the number of positions of each sequence; those behind them are padding.
    pub fn with_lengths(&self, lengths: impl Into<Indices>) -> WithLengths<'_, C, N, F> {
        WithLengths { layer: self, lengths: lengths.into() }
    }
}

impl<C: RecurrentCell<N>, const N: usize, F: Float> WithLengths<'_, C, N, F> {
    /// Records the outputs, starting from a state of zeros.
    ///
    /// # Panics
    /// As [`forward_from`](Self::forward_from).
    #[track_caller]
    pub fn forward<'t>(&self, x: Var<'t, F>) -> Var<'t, F> {
        let batch = x.shape().first().copied().unwrap_or(0);
        self.forward_from(x, self.layer.zero_state(batch).each_ref()).0
    }

    /// Records the outputs and the state after the last position of each sequence, starting from `state`; see
    /// [`Recurrent::forward_from`].
    ///
    /// # Panics
    /// If the input or the state does not fit the layer, there is not one length for each sequence, or a length exceeds
    /// the positions of the input.
    #[track_caller]
    pub fn forward_from<'t>(
        &self,
        x: Var<'t, F>,
        state: [impl Operand<Var<'t, F>>; N],
    ) -> (Var<'t, F>, [Var<'t, F>; N]) {
        self.layer.run(x, state, Some(&self.lengths))
    }
}

/// Records the mask `[batch, time]`: 1 at the positions of each sequence, 0 at its padding.
#[track_caller]
pub(super) fn mask<'t, F: Float>(name: &str, x: Var<'t, F>, lengths: &Indices) -> Var<'t, F> {
    let (batch, time) = (x.shape()[0], x.shape()[1]);
    if *lengths.shape() != [batch] {
        let found = lengths.shape();
        refuse(
            name,
            x,
            format!("expected lengths [{batch}], one for each sequence, found {found:?}"),
        );
    }
    if let Err(error) = lengths.check_below(time + 1) {
        refuse(name, x, format!("lengths of sequences with {time} positions: {error}"));
    }
    // In operations, so that a program can run again with other lengths.
    let numbers = x.tape().constant(&Tensor::arange(time + 1)).index_select(0, lengths);
    numbers.unsqueeze(1).greater(&Tensor::arange(time))
}
