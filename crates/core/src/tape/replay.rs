//! A recorded tape run again on other leaves, for the checker.

use crate::tape::record::{Content, Kind, Node, Tape};
use crate::{Float, Tensor};

impl<F: Float> Tape<F> {
    /// Records the operations of this tape again in double precision, on other leaves: `leaf` gives the
    /// value of each leaf that is neither indices nor random. Nodes keep their numbers. The leaves
    /// `variables` receive gradients.
    pub(crate) fn replay(
        &self,
        variables: &[u32],
        mut leaf: impl FnMut(u32, &Node<F>) -> Tensor<f64>,
    ) -> Tape<f64> {
        let again = Tape::with_mode(self.mode.get());
        let (from, mut guard) = (self.record.borrow(), again.record.borrow_mut());
        let to = &mut *guard;
        to.variables.extend_from_slice(variables);
        to.indices.clone_from(&from.indices);
        to.randoms.clone_from(&from.randoms);
        let key = self.seed().unwrap_or(0);
        for (id, node) in from.nodes.iter().enumerate() {
            let Node { kind, tracked, location, .. } = *node;
            let content = match kind {
                Kind::Leaf => Content::Value(leaf(id as u32, node)),
                Kind::Indices(_) => Content::Shape(*node.shape()),
                Kind::Random(place) => {
                    Content::Value(from.randoms[place as usize].numbers(*node.shape(), key))
                }
                // Computed below, when the node is in its place.
                Kind::Op => Content::Released,
            };
            to.ops.push((kind == Kind::Op).then(|| from.op(id).in_f64()));
            let inputs = node.inputs.clone();
            to.push(Node { content, kind, inputs, tracked, generation: 0, location });
            if kind == Kind::Op {
                to.nodes[id].content = Content::Value(to.recompute(id));
            }
        }
        drop(guard);
        again
    }
}
