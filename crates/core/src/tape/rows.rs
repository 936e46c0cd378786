//! Parameters of which a tape reads rows by index, and nothing else.

use smallvec::SmallVec;

use crate::Float;
use crate::tape::record::{Kind, Record};

/// Leaves, each with the place of indices in `Record::indices`.
pub(crate) type RowReads = SmallVec<[(u32, u32); 4]>;

impl<F: Float> Record<F> {
    /// The tracked leaves of which operations read nothing but rows, once for each operation that does.
    pub(crate) fn row_reads(&self) -> RowReads {
        let mut reads = RowReads::new();
        if self.indices.is_empty() {
            return reads;
        }
        reads.extend((0..self.nodes.len()).filter_map(|id| self.row_read(id)));
        if reads.is_empty() {
            return reads;
        }
        for (id, node) in self.nodes.iter().enumerate() {
            for &input in &node.inputs {
                let is_leaf = self.nodes[input as usize].kind == Kind::Leaf;
                if is_leaf && self.row_read(id).is_none_or(|(leaf, _)| leaf != input) {
                    reads.retain(|(leaf, _)| *leaf != input);
                }
            }
        }
        reads
    }

    /// The leaf and the indices, if a node reads rows of a tracked leaf.
    fn row_read(&self, id: usize) -> Option<(u32, u32)> {
        let &[leaf, index] = self.nodes[id].inputs.as_slice() else { return None };
        let Kind::Indices(place) = self.nodes[index as usize].kind else { return None };
        let from = &self.nodes[leaf as usize];
        let reads_rows = from.kind == Kind::Leaf && from.tracked && self.op(id).reads_rows();
        reads_rows.then_some((leaf, place))
    }
}
