//! What a thread keeps from one training step for the next: cleared tapes, and lists of gradients.

use std::cell::RefCell;

use crate::storage::of_precision;
use crate::tape::Setting;
use crate::{Array, Float, ParamId, Tape};

struct Workshop<F: Float> {
    tapes: RefCell<Vec<Tape<F>>>,
    lists: RefCell<Vec<ParamList<F>>>,
}

pub(crate) type ParamList<F> = Vec<(ParamId, Array<F>)>;

fn in_workshop<F: Float, R>(f: impl FnOnce(&Workshop<F>) -> R) -> Option<R> {
    thread_local! {
        static WORKSHOPS: (Workshop<f32>, Workshop<f64>) = const { (
            Workshop { tapes: RefCell::new(Vec::new()), lists: RefCell::new(Vec::new()) },
            Workshop { tapes: RefCell::new(Vec::new()), lists: RefCell::new(Vec::new()) },
        ) };
    }
    WORKSHOPS.try_with(|(single, double)| f(of_precision(single, double))).ok()
}

pub(crate) fn borrow_tape<F: Float>(setting: Setting) -> Tape<F> {
    let tape = in_workshop(|workshop| workshop.tapes.borrow_mut().pop()).flatten();
    let tape = tape.unwrap_or_else(|| Tape::with_setting(setting));
    tape.setting.set(setting);
    tape
}

pub(crate) fn return_tape<F: Float>(mut tape: Tape<F>) {
    tape.clear();
    in_workshop(|workshop| workshop.tapes.borrow_mut().push(tape));
}

pub(crate) fn spare_list<F: Float>() -> ParamList<F> {
    in_workshop(|workshop| workshop.lists.borrow_mut().pop()).flatten().unwrap_or_default()
}

/// Keeps the memory of a list of gradients for the next step; a few are enough.
pub(crate) fn return_list<F: Float>(mut list: ParamList<F>) {
    const KEPT: usize = 4;
    list.clear();
    in_workshop(|workshop| {
        let mut lists = workshop.lists.borrow_mut();
        if lists.len() < KEPT && list.capacity() > 0 {
            lists.push(list);
        }
    });
}
