//! Tensors of indices: labels, tokens, rows to take.

use std::fmt::{self, Debug};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

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
#[derive(Clone)]
pub struct Indices {
    shape: Shape,
    indices: Arc<[usize]>,
    /// Present while a program records with these indices as an input.
    input: Option<Input>,
}

/// Indices that are an input of a program: the next run has others, so their numbers are not to be read.
#[derive(Clone)]
struct Input {
    number: InputNumber,
    notes: Arc<InputNotes>,
}

/// The number of an input, and the index that was replaced in it by another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct InputNumber {
    pub(crate) input: u32,
    pub(crate) replaced: Option<(usize, usize)>,
}

/// Facts about an input of indices, found by a recording.
#[derive(Debug, Default)]
pub(crate) struct InputNotes {
    /// The bounds that all indices were found to be below.
    bounds: Mutex<Vec<(InputNumber, usize)>>,
    /// Whether an index was found out of range. The recording is about to panic, and may read the numbers.
    failed: AtomicBool,
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
        Self { shape, indices: indices.into(), input: None }
    }

    /// Returns the extents of the axes.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// Returns the indices in row-major order.
    ///
    /// # Panics
    /// If they are an input of a [`Program`](crate::Program) that is being recorded, because another run has other
    /// indices.
    #[track_caller]
    pub fn as_slice(&self) -> &[usize] {
        if self.input.is_some() {
            self.refuse_reading();
        }
        &self.indices
    }

    /// Replaces each index `from` by `to`.
    #[must_use]
    pub fn replaced(&self, from: usize, to: usize) -> Self {
        let indices = self.indices.iter().map(|&i| if i == from { to } else { i }).collect();
        let mut input = self.input.clone();
        if let Some(Input { number, .. }) = &mut input {
            // One replacement can be repeated; after a second one the numbers count as read.
            if number.replaced.replace((from, to)).is_some() {
                self.refuse_reading();
            }
        }
        Self { shape: self.shape, indices, input }
    }

    /// Checks that all indices are below `bound`; the error gives the first index that is not, and its place.
    pub fn check_below(&self, bound: usize) -> Result<(), ShapeError> {
        // Without an early end, so that the loop vectorises.
        if !self.indices.iter().fold(false, |outside, &index| outside | (index >= bound)) {
            if let Some(Input { number, notes }) = &self.input {
                notes.bounds.lock().expect("no panic inside").push((*number, bound));
            }
            return Ok(());
        }
        if let Some(Input { notes, .. }) = &self.input {
            notes.failed.store(true, Ordering::Relaxed);
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

/// As an input of a program.
impl Indices {
    /// One row along the first axis, which stays with extent 1.
    pub(crate) fn rows(&self, start: usize, len: usize) -> Self {
        let width = self.shape[1..].iter().product::<usize>();
        let shape = self.shape.with(0, len).expect("a smaller shape");
        Self::from_vec(self.indices[start * width..][..len * width].to_vec(), shape)
    }

    /// The indices as input number `input` of a recording.
    pub(crate) fn as_input(&self, input: u32, notes: &Arc<InputNotes>) -> Self {
        let number = InputNumber { input, replaced: None };
        Self { input: Some(Input { number, notes: Arc::clone(notes) }), ..self.clone() }
    }

    pub(crate) fn is_input(&self) -> bool {
        self.input.is_some()
    }

    /// Makes the indices plain again.
    pub(crate) fn take_input(&mut self) -> Option<InputNumber> {
        self.input.take().map(|input| input.number)
    }

    #[track_caller]
    pub(crate) fn refuse_reading(&self) {
        let failed = |input: &Input| input.notes.failed.load(Ordering::Relaxed);
        assert!(
            self.input.as_ref().is_none_or(failed),
            "a program runs this recording again with other indices, and would not see what is read here; compute \
             it with operations, or record each step with `gradients`"
        );
    }

    /// The indices of another run in place of an input's.
    pub(crate) fn in_place_of(&self, number: InputNumber) -> Self {
        number.replaced.map_or_else(|| self.clone(), |(from, to)| self.replaced(from, to))
    }
}

impl InputNotes {
    /// Whether a recording with these inputs would find the same.
    pub(crate) fn hold_for(&self, input: impl Fn(u32) -> Option<Indices>) -> bool {
        let bounds = self.bounds.lock().expect("no panic inside");
        !self.failed.load(Ordering::Relaxed)
            && bounds.iter().all(|&(number, bound)| {
                input(number.input)
                    .is_some_and(|x| x.in_place_of(number).check_below(bound).is_ok())
            })
    }
}

impl PartialEq for Indices {
    #[track_caller]
    fn eq(&self, other: &Self) -> bool {
        self.shape == other.shape && self.as_slice() == other.as_slice()
    }
}

impl Eq for Indices {}

impl Debug for Indices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { shape, indices, .. } = self;
        f.debug_struct("Indices").field("shape", shape).field("indices", indices).finish()
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
