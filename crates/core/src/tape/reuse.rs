//! Memory that a thread keeps from one training step for the next: cleared tapes and lists of gradients.

use std::cell::RefCell;

use crate::params::param::ParamId;
use crate::tape::record::{Mode, Tape};
use crate::tensor::pool::{self, of_precision};
use crate::{Float, Indices, Tensor};

struct Reuse<F: Float> {
    /// Tapes of evaluations and tapes that record derivatives. A tape keeps the boxes of its operations, so each kind
    /// goes on with its own.
    tapes: [RefCell<Vec<Tape<F>>>; 2],
    lists: RefCell<Vec<(ParamList<F>, RowList)>>,
}

/// Gradients of parameters.
pub(crate) type ParamList<F> = Vec<(ParamId, Tensor<F>)>;

/// Indices of the rows that parameters were read at.
pub(crate) type RowList = Vec<(ParamId, Indices)>;

impl<F: Float> Reuse<F> {
    const fn nothing() -> Self {
        Self {
            tapes: [RefCell::new(Vec::new()), RefCell::new(Vec::new())],
            lists: RefCell::new(Vec::new()),
        }
    }

    /// The tapes for this mode.
    fn tapes(&self, mode: Mode) -> &RefCell<Vec<Tape<F>>> {
        &self.tapes[usize::from(mode.tracking)]
    }

    fn empty(&self) {
        // Taken first: a tape gives its memory back while it is dropped.
        drop(self.tapes.each_ref().map(RefCell::take));
        drop(self.lists.take());
    }
}

fn in_reuse<F: Float, R>(f: impl FnOnce(&Reuse<F>) -> R) -> Option<R> {
    thread_local! {
        static REUSE: (Reuse<f32>, Reuse<f64>) = const { (
            Reuse::nothing(),
            Reuse::nothing(),
        ) };
    }
    REUSE.try_with(|(single, double)| f(of_precision(single, double))).ok()
}

pub(crate) fn borrow_tape<F: Float>(mode: Mode) -> Tape<F> {
    let tape = in_reuse(|workshop| workshop.tapes(mode).borrow_mut().pop()).flatten();
    let tape = tape.unwrap_or_else(|| Tape::with_mode(mode));
    tape.mode.set(mode);
    tape
}

pub(crate) fn return_tape<F: Float>(mut tape: Tape<F>) {
    tape.clear();
    pool::end_step::<F>();
    in_reuse(|workshop| workshop.tapes(tape.mode.get()).borrow_mut().push(tape));
}

pub(crate) fn spare_lists<F: Float>() -> (ParamList<F>, RowList) {
    in_reuse(|workshop| workshop.lists.borrow_mut().pop()).flatten().unwrap_or_default()
}

/// Gives back all memory that this thread keeps for reuse: that of dropped tensors, and that of cleared tapes.
///
/// A thread keeps what recent steps needed, so that a steady step allocates nothing. Call this after the last step, or
/// between two models, as `torch.cuda.empty_cache`.
///
/// ```
/// use wengert_core::{Tensor, empty_cache};
///
/// drop(Tensor::<f32>::zeros([1000, 1000]));
/// empty_cache(); // The 4 MB are back with the system.
/// ```
pub fn empty_cache() {
    in_reuse::<f32, _>(Reuse::empty);
    in_reuse::<f64, _>(Reuse::empty);
    pool::empty();
}

/// Keeps the memory of the lists of gradients for the next step; a few are enough.
pub(crate) fn return_lists<F: Float>(mut params: ParamList<F>, mut rows: RowList) {
    const KEPT: usize = 4;
    params.clear();
    rows.clear();
    in_reuse(|workshop| {
        let mut lists = workshop.lists.borrow_mut();
        if lists.len() < KEPT && params.capacity() > 0 {
            lists.push((params, rows));
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tape::random::Random;
    use crate::tape::record::Record;
    use crate::{Buffer, Param, UnaryOps};

    /// The elements that each list has memory for.
    fn capacities(r: &Record<f64>) -> [(&'static str, usize); 11] {
        [
            ("ops", r.ops.capacity()),
            ("nodes", r.nodes.capacity()),
            ("cotangents", r.cotangents.capacity()),
            ("readers", r.readers.capacity()),
            ("variables", r.variables.capacity()),
            ("indices", r.indices.capacity()),
            ("randoms", r.randoms.capacity()),
            ("updates", r.updates.capacity()),
            ("rebound", r.rebound.capacity()),
            ("checkpoints", r.checkpoints.capacity()),
            ("params", r.params.capacity()),
        ]
    }

    #[test]
    fn a_long_recording_leaves_no_memory_behind() {
        /// As many nodes as any tape keeps the memory of.
        const KEPT: usize = 1 << 14;
        let (one, buffer) = (Tensor::scalar(1.0), Buffer::new(Tensor::scalar(0.0)));
        for mode in [Mode::training(Some(0)), Mode::evaluation(Some(0))] {
            let mut tape = Tape::<f64>::with_mode(mode);
            for _ in 0..KEPT + 1 {
                tape.checkpoint(|| tape.constant(&one).neg());
                tape.indices([0]);
                tape.bind(&Param::new(one.clone()), tape.random([], Random::Uniform));
            }
            let x = (0..KEPT + 1).map(|_| tape.variable(&one)).last().expect("a variable");
            (0..KEPT + 1).for_each(|_| tape.update_buffer(&buffer, x));
            tape.constant(&one).neg().value();
            x.neg().backward();
            let lists = capacities(tape.record.get_mut());
            let of_the_other = if mode.tracking { "readers" } else { "checkpoints" };
            assert!(lists.iter().all(|(list, room)| *room > KEPT || *list == of_the_other));
            // Recordings that follow are short.
            (0..60).for_each(|_| tape.clear());
            for (list, room) in capacities(tape.record.get_mut()) {
                assert!(room <= KEPT, "{list} has memory for {room}");
            }
        }
    }
}
