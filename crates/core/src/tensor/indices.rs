//! Tensors of indices: labels, tokens, rows to take.

use std::sync::Arc;

use crate::{Shape, ShapeError};

/// A dense, row-major tensor of indices, such as class labels or tokens. Cloning shares the memory.
///
/// Arrays, arrays of arrays, slices and vectors of `usize` convert to it.
///
/// ```
/// use wengert_core::{IndexOps, Indices, Tensor};
///
/// let tokens = Indices::from_vec(vec![0, 2, 1, 1], [2, 2]);
/// let weight = Tensor::<f32>::from([[0.0, 0.5], [1.0, 1.5], [2.0, 2.5]]);
/// assert_eq!(weight.embedding(&tokens, None).shape(), [2, 2, 2].into());
/// ```
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Indices {
    shape: Shape,
    indices: Arc<[usize]>,
}

impl Indices {
    /// Makes indices of this shape from `indices` in row-major order.
    ///
    /// # Panics
    /// If the shape does not hold exactly `indices.len()` elements.
    #[track_caller]
    pub fn from_vec(indices: Vec<usize>, shape: impl Into<Shape>) -> Self {
        let shape = shape.into();
        let (len, numel) = (indices.len(), shape.numel());
        if len != numel {
            panic!("Indices: {shape:?} holds {numel} elements, found {len}");
        }
        Self { shape, indices: indices.into() }
    }

    /// Returns the extents of the axes.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// Returns the indices in row-major order.
    pub fn as_slice(&self) -> &[usize] {
        &self.indices
    }

    /// Checks that all indices are below `bound`; the error gives the first index that is not, and its place.
    pub fn check_below(&self, bound: usize) -> Result<(), ShapeError> {
        // Without an early end, so that the loop vectorises.
        if !self.indices.iter().fold(false, |outside, &index| outside | (index >= bound)) {
            return Ok(());
        }
        match self.indices.iter().position(|&index| index >= bound) {
            None => Ok(()),
            Some(flat) => {
                let (index, place) = (self.indices[flat], self.shape.position(flat));
                let place = match &place[..] {
                    [only] => only.to_string(),
                    _ => format!("{place:?}"),
                };
                Err(ShapeError::new(format!(
                    "index {index} at place {place} is out of range (0..{bound})"
                )))
            }
        }
    }
}

impl From<Vec<usize>> for Indices {
    fn from(indices: Vec<usize>) -> Self {
        let len = indices.len();
        Self::from_vec(indices, [len])
    }
}

impl From<&[usize]> for Indices {
    fn from(indices: &[usize]) -> Self {
        indices.to_vec().into()
    }
}

impl<const N: usize> From<[usize; N]> for Indices {
    fn from(indices: [usize; N]) -> Self {
        indices.to_vec().into()
    }
}

impl<const N: usize> From<&[usize; N]> for Indices {
    fn from(indices: &[usize; N]) -> Self {
        indices.to_vec().into()
    }
}

impl From<&Vec<usize>> for Indices {
    fn from(indices: &Vec<usize>) -> Self {
        indices.clone().into()
    }
}

/// Rows of indices: `[[0], [1]]` has the shape `[2, 1]`.
impl<const N: usize, const M: usize> From<[[usize; M]; N]> for Indices {
    #[track_caller]
    fn from(rows: [[usize; M]; N]) -> Self {
        Self::from_vec(rows.concat(), [N, M])
    }
}

impl From<&Indices> for Indices {
    fn from(indices: &Indices) -> Self {
        indices.clone()
    }
}
