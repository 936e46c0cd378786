//! Whether two recordings of a closure are the same but for the values that a run replaces.

use crate::Float;
use crate::program::recorded::{Recorded, bound_leaves};
use crate::tape::record::{Kind, Node};

impl<F: Float> Recorded<F> {
    /// Checks that a new recording repeats this one.
    ///
    /// # Panics
    /// If it does not; the message names the first node that differs.
    #[track_caller]
    pub(crate) fn check_same(&mut self, again: &Self) {
        let [old, new] = [&self.tape, &again.tape].map(|tape| tape.record.borrow());
        let bound = bound_leaves(&self.repeat, old.nodes.len());
        let nodes = old.nodes.len().max(new.nodes.len());
        let differs = |&id: &usize| match (old.nodes.get(id), new.nodes.get(id)) {
            (Some(a), Some(b)) => {
                let shapes = (self.shapes[id], again.shapes[id]);
                let same_origin = (a.kind, &a.inputs, a.tracked) == (b.kind, &b.inputs, b.tracked);
                !same_origin
                    || shapes.0 != shapes.1
                    || match a.kind {
                        Kind::Op => format!("{:?}", old.op(id)) != format!("{:?}", new.op(id)),
                        Kind::Leaf => !bound[id] && !same_bits(a, b),
                        Kind::Indices(place) => {
                            let is_input =
                                self.repeat.indices.iter().any(|&(input, _)| input == place);
                            !is_input && old.indices[place as usize] != new.indices[place as usize]
                        }
                        Kind::Random(place) => {
                            let draw = |record: &crate::tape::record::Record<F>| {
                                record.randoms[place as usize]
                            };
                            draw(&old) != draw(&new)
                        }
                    }
            }
            _ => true,
        };
        let same_notes = self.repeat == again.repeat
            && (&old.updates, &old.checkpoints, self.output)
                == (&new.updates, &new.checkpoints, again.output);
        let first = (0..nodes).find(differs);
        if first.is_none() && same_notes {
            return;
        }
        let describe =
            |recorded: &Self, record: &crate::tape::record::Record<F>, id: usize| match record
                .nodes
                .get(id)
            {
                None => "nothing".to_owned(),
                Some(Node { kind: Kind::Op, location, .. }) => {
                    format!("{:?} at {location}", record.op(id))
                }
                Some(Node { location, .. }) => {
                    format!("a leaf of shape {:?} at {location}", recorded.shapes[id])
                }
            };
        let change = first.map_or_else(
            || "the inputs or updates are used in another way".to_owned(),
            |id| format!("{}, then {}", describe(self, &old, id), describe(again, &new, id)),
        );
        panic!(
            "program: run {} records another computation than the first: {change}. What changes from run to run must be \
             an input, a parameter or buffer of the model, or drawn by the key",
            self.runs()
        );
    }
}

/// Whether two leaves hold the same numbers, NaN included.
fn same_bits<F: Float>(a: &Node<F>, b: &Node<F>) -> bool {
    let bits = |x: &F| x.to_f64().to_bits();
    match (a.value_if_held(), b.value_if_held()) {
        (Some(a), Some(b)) => a.as_slice().iter().map(bits).eq(b.as_slice().iter().map(bits)),
        _ => false,
    }
}
