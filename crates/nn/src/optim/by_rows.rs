//! Updates of the rows that a loss read, where the chain leaves the other rows as they are.

use std::ops::Range;

use wengert_core::{Float, Gradients, Param, Tensor};

use super::body::Body;
use super::chain::{Chain, ChainState};
use super::chunks::CHUNK;
use super::rule::{StepContext, UnreadRows};
use super::transform::Transform;

/// Writes the rows of a parameter that the loss read into `list`, sorted and each once. Returns whether they are known.
pub(super) fn read_rows<F: Float>(
    grads: &Gradients<F>,
    param: &Param<F>,
    list: &mut Vec<usize>,
) -> bool {
    let Some(rows) = grads.rows(param) else { return false };
    list.clear();
    list.extend(rows);
    list.sort_unstable();
    list.dedup();
    true
}

/// Returns why these transforms cannot stand in one chain, if one leaves rows alone that another updates.
pub(super) fn rows_in_dispute(chain: &[Transform]) -> Option<String> {
    let first = |rows| chain.iter().find(|transform| transform.unread_rows() == rows);
    let skips = first(UnreadRows::Skipped)?.kind();
    let reason = if let Some(updates) = first(UnreadRows::Updated) {
        format!("`{}` would update them: leave out one of the two", updates.kind())
    } else {
        // It would need the updates of all rows.
        let clips = chain.iter().skip(1).find(|transform| transform.is_model_wide())?;
        format!("`{}` has to be first in the chain", clips.kind())
    };
    Some(format!("`{skips}` leaves rows alone that a loss did not read; {reason}"))
}

impl<F: Float> Chain<F> {
    /// Returns whether rows that a loss did not read stay as they are.
    pub(super) fn leaves_unread_rows(&self) -> bool {
        let leaves = |body: &Body<F>| match body {
            Body::Elements(rule, _) => rule.unread_rows() != UnreadRows::Updated,
            Body::Tensor(..) => false,
        };
        self.only_pass().is_some() && self.entries.iter().all(|entry| leaves(&entry.body))
    }

    /// Runs the only pass of the chain, over these rows of a parameter: `param -= context.lr * update`.
    pub(super) fn finish_rows(
        &self,
        context: &StepContext,
        rows: &[usize],
        update: &Tensor<F>,
        param: &mut Tensor<F>,
        state: &mut ChainState<F>,
    ) {
        let transforms = self.only_pass().expect("a chain that leaves rows");
        let ChainState { counts, elements, .. } = state;
        let run = self.begin(&transforms, context, counts);
        let sizes = [param.shape()[0], param.numel(), self.chunk];
        let (update, param) = (update.as_slice(), param.as_mut_slice());
        let mut slots = Tensor::zeros([self.width * CHUNK.min(update.len())]);
        each_piece(sizes, rows, |piece, chunk| {
            let slots = &mut slots.as_mut_slice()[..self.width * piece.len()];
            // The slots of a piece lie apart, one in each slot of its chunk.
            let place =
                |slot| chunk.start * self.width + slot * chunk.len() + piece.start - chunk.start;
            for (slot, part) in slots.chunks_exact_mut(piece.len()).enumerate() {
                part.copy_from_slice(&elements[place(slot)..][..piece.len()]);
            }
            run.finish_chunk(&update[piece.clone()], &mut param[piece.clone()], slots);
            for (slot, part) in slots.chunks_exact(piece.len()).enumerate() {
                elements[place(slot)..][..piece.len()].copy_from_slice(part);
            }
        });
    }
}

/// Calls `f` for the elements of these rows of a parameter, piece by piece, with the places of the piece and those of
/// the chunk of state that it lies in. Rows in a sequence share pieces of up to [`CHUNK`] elements.
fn each_piece(
    [n, len, chunk]: [usize; 3],
    mut rows: &[usize],
    mut f: impl FnMut(Range<usize>, Range<usize>),
) {
    if len == 0 {
        return;
    }
    let width = len / n;
    while let Some(&first) = rows.first() {
        let following = rows.windows(2).take_while(|pair| pair[1] == pair[0] + 1).count();
        let (mut start, end) = (first * width, (first + following + 1) * width);
        while start < end {
            let begin = start / chunk * chunk;
            let around = begin..len.min(begin + chunk);
            let piece = start..end.min(around.end).min(start + CHUNK);
            start = piece.end;
            f(piece, around);
        }
        rows = &rows[following + 1..];
    }
}
