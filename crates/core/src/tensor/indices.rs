//! Arrays of positions: labels, tokens, rows to pick.

use std::sync::Arc;

use crate::{Shape, ShapeError};

/// A dense row-major array of positions, such as class labels. Cloning shares the memory.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Indices {
    shape: Shape,
    positions: Arc<[usize]>,
}

impl Indices {
    /// Positions of this shape, in row-major order.
    ///
    /// # Panics
    /// If the shape does not hold exactly as many elements as there are.
    #[track_caller]
    pub fn from_vec(positions: Vec<usize>, shape: impl Into<Shape>) -> Self {
        let shape = shape.into();
        if positions.len() != shape.numel() {
            panic!(
                "Indices: {} positions do not fill {shape:?} ({})",
                positions.len(),
                shape.numel()
            );
        }
        Self { shape, positions: positions.into() }
    }

    /// The extents of the axes.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// The positions in row-major order.
    pub fn as_slice(&self) -> &[usize] {
        &self.positions
    }

    /// An error that names the first position outside `0..bound`, and its place.
    pub fn check_below(&self, bound: usize) -> Result<(), ShapeError> {
        match self.positions.iter().position(|&position| position >= bound) {
            None => Ok(()),
            Some(flat) => {
                let (shape, strides) = (self.shape, self.shape.strides());
                let along = |axis: usize| flat / strides[axis] % shape[axis];
                let place = (0..shape.rank()).map(along).collect::<Vec<_>>();
                let place = match &place[..] {
                    [only] => only.to_string(),
                    _ => format!("{place:?}"),
                };
                let position = self.positions[flat];
                Err(ShapeError::new(format!(
                    "index {position} at place {place} is out of range (0..{bound})"
                )))
            }
        }
    }
}

impl From<Vec<usize>> for Indices {
    fn from(positions: Vec<usize>) -> Self {
        let len = positions.len();
        Self::from_vec(positions, [len])
    }
}

impl From<&[usize]> for Indices {
    fn from(positions: &[usize]) -> Self {
        positions.to_vec().into()
    }
}

impl<const N: usize> From<[usize; N]> for Indices {
    fn from(positions: [usize; N]) -> Self {
        positions.to_vec().into()
    }
}

impl From<&Indices> for Indices {
    fn from(indices: &Indices) -> Self {
        indices.clone()
    }
}
