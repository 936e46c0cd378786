//! A recorded tape, run again on other leaves.

use crate::tape::erased::ErasedOp;
use crate::tape::{Kind, Node};
use crate::{Float, Tape, Tensor};

impl<F: Float> Tape<F> {
    /// Records the operations of this tape once more, in double precision, on other leaves: `leaf`
    /// answers for each leaf that is not indices. The nodes keep their numbers; of the leaves,
    /// `variables` receive gradients.
    pub(crate) fn replay(
        &self,
        variables: &[u32],
        mut leaf: impl FnMut(u32, &Node<F>) -> Tensor<f64>,
    ) -> Tape<f64> {
        let again = Tape::with_mode(self.setting.get());
        let (from, mut guard) = (self.record.borrow(), again.record.borrow_mut());
        let to = &mut *guard;
        to.variables.extend_from_slice(variables);
        to.indices.clone_from(&from.indices);
        to.randoms.clone_from(&from.randoms);
        let key = self.seed().unwrap_or(0);
        for (id, node) in from.nodes.iter().enumerate() {
            let op = from.ops.get(id).and_then(Option::as_deref).map(ErasedOp::in_f64);
            let value = match (&node.kind, &op) {
                (Kind::Indices(_), _) => None,
                (Kind::Random(place), _) => {
                    let noise = from.randoms[*place as usize];
                    Some(noise.draw(node.value().shape(), key, id))
                }
                (Kind::Op, Some(op)) => Some(
                    op.run(to.seen(), &node.inputs).unwrap_or_else(|e| unreachable!("replay: {e}")),
                ),
                _ => Some(leaf(id as u32, node)),
            };
            let (kind, inputs) = (node.kind, node.inputs.clone());
            to.ops.push(op);
            let (tracked, location) = (node.tracked, node.location);
            to.push(Node { value, kind, inputs, tracked, generation: 0, location });
        }
        drop(guard);
        again
    }
}
