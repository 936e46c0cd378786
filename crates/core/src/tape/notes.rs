//! Notes of a recording that will run again: the sources of the values that another run replaces.

use std::ops::Range;

use crate::params::param::ParamId;
use crate::tensor::indices::InputNumber;

/// The notes of a recording for a program. Nodes go by number.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct Repeat {
    /// The leaves that are inputs, in the order in which the inputs are visited; `None` for indices.
    pub(crate) inputs: Vec<Option<u32>>,
    /// The lists of indices that are inputs: the place in `Record::indices`.
    pub(crate) indices: Vec<(u32, InputNumber)>,
    /// The leaves of parameters.
    pub(crate) params: Vec<(ParamId, u32)>,
    /// The leaves of buffers.
    pub(crate) buffers: Vec<(ParamId, u32)>,
    /// The leaves that have the value of another node, and that node.
    pub(crate) copies: Vec<(u32, u32)>,
    /// Nodes of temporary recordings, which nothing reads once the copies of their results are made.
    pub(crate) temporaries: Vec<Range<u32>>,
}

impl Repeat {
    /// Whether the list of indices at this place is an input.
    pub(crate) fn is_input(&self, indices: u32) -> bool {
        self.indices.iter().any(|(place, _)| *place == indices)
    }
}
