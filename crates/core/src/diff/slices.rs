//! Cotangents of a recorded sweep. Those of a value that is read slice by slice are put together at once.

use std::collections::HashMap;
use std::panic::Location;

use crate::diff::per_node::PerNode;
use crate::op::Value;
use crate::ops::{IndexSelect, Narrow, PadZeros, PlaceSlices, Slice};
use crate::tape::erased::{as_indexed, as_op};
use crate::tape::record::{ErasedOp, IndexVar, Kind};
use crate::{Float, Tape, Var};

/// The cotangents of the nodes of a part of the tape, as far as they are gathered.
pub(super) struct Cotangents<'t, F: Float> {
    tape: &'t Tape<F>,
    sums: PerNode<Option<Var<'t, F>>>,
    /// Cotangents of slices of a node, which are not yet part of its sum.
    slices: HashMap<u32, Vec<SliceCotangent<'t, F>>>,
}

struct SliceCotangent<'t, F: Float> {
    slice: Slice,
    g: Var<'t, F>,
    location: &'static Location<'static>,
}

impl<'t, F: Float> Cotangents<'t, F> {
    /// No cotangents but that of the last node.
    pub(super) fn new(first: u32, y: Var<'t, F>, cotangent: Var<'t, F>) -> Self {
        let mut sums = PerNode::new(first, y.id);
        sums.set(y.id, Some(cotangent));
        Self { tape: y.tape, sums, slices: HashMap::new() }
    }

    pub(super) fn add(&mut self, id: u32, term: Var<'t, F>) {
        self.sums.add(id, term);
    }

    /// Adds the cotangent of a slice.
    pub(super) fn add_slice(&mut self, id: u32, slice: Slice, g: Var<'t, F>) {
        let record = self.tape.record.borrow();
        let location = record.origin.unwrap_or(record.nodes[id as usize].location);
        self.slices.entry(id).or_default().push(SliceCotangent { slice, g, location });
    }

    /// The cotangent of a node, whose readers have all added theirs.
    pub(super) fn get(&mut self, id: u32) -> Option<Var<'t, F>> {
        if let Some(parts) = self.slices.remove(&id) {
            let before = self.tape.record.borrow_mut().origin.replace(parts[0].location);
            let placed = self.place(id, parts);
            self.sums.add(id, placed);
            self.tape.record.borrow_mut().origin = before;
        }
        self.sums.get(id)
    }

    fn place(&self, id: u32, parts: Vec<SliceCotangent<'t, F>>) -> Var<'t, F> {
        let to = self.tape.handle(id).shape();
        if let [SliceCotangent { slice: Slice::Narrow(narrow), g, .. }] = &parts[..] {
            let Narrow { axis, start, .. } = *narrow;
            return Var::apply(PadZeros { axis, start, extent: to[axis] }, [g]);
        }
        let (slices, g): (Vec<_>, Vec<_>) =
            parts.into_iter().map(|part| (part.slice, part.g)).unzip();
        Var::apply_many(PlaceSlices { to, slices }, &g.iter().collect::<Vec<_>>())
    }
}

/// The slice that an operation takes of its input, if that is all it does.
pub(super) fn slice_of<F: Float>(
    op: &dyn ErasedOp<F>,
    index: Option<&IndexVar<'_, F>>,
) -> Option<Slice> {
    if let Some(narrow) = as_op::<F, Narrow, 1>(op) {
        return Some(Slice::Narrow(*narrow));
    }
    let (select, index) = (as_indexed::<F, IndexSelect>(op)?, index?);
    let record = index.tape.record.borrow();
    let Kind::Indices(place) = record.nodes[index.id as usize].kind else { return None };
    // Those of a program's input are others at the next run, so they stay an input of their operation.
    let is_input = record.repeat.as_ref().is_some_and(|repeat| repeat.is_input(place));
    (!is_input).then(|| Slice::Select(*select, record.indices[place as usize].clone()))
}
