//! The argument of a reshape.

use smallvec::SmallVec;

use crate::error::ShapeError;
use crate::shape::{MAX_RANK, Shape};

/// The argument of [`reshape`](crate::MovementOps::reshape): a shape, or extents of which one may be -1.
///
/// ```
/// use wengert_core::{MovementOps, Shape, Tensor};
///
/// let x = Tensor::<f32>::zeros([2, 6]);
/// let shapes = [x.reshape([3, 4]), x.reshape([-1, 4]), x.reshape(Shape::from([3, 4]))];
/// assert!(shapes.iter().all(|x| *x.shape() == [3, 4]));
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a shape to reshape to",
    note = "write extents (`[2, 3]`, `[-1, 3]`), a slice of `usize`, or a `Shape`; a scalar's is `Shape::SCALAR`"
)]
pub trait ReshapeTo {
    /// Returns the new shape of a tensor of shape `from`. An extent of -1 becomes the one that
    /// holds the remaining elements.
    fn resolve(self, from: Shape) -> Result<Shape, ShapeError>;
}

impl ReshapeTo for Shape {
    fn resolve(self, _: Shape) -> Result<Shape, ShapeError> {
        Ok(self)
    }
}

macro_rules! reshape_to_extents {
    ($([$($generics:tt)*] $Extents:ty;)*) => {$(
        impl<$($generics)*> ReshapeTo for $Extents {
            fn resolve(self, _: Shape) -> Result<Shape, ShapeError> {
                Shape::try_new(self.as_ref())
            }
        }
    )*};
}

reshape_to_extents! {
    [const N: usize] [usize; N];
    [const N: usize] &[usize; N];
    [] &[usize];
}

macro_rules! reshape_to_signed_extents {
    ($($Extent:ty)*) => {$(
        impl<const N: usize> ReshapeTo for [$Extent; N] {
            fn resolve(self, from: Shape) -> Result<Shape, ShapeError> {
                infer(from, &self.map(|extent| extent as isize))
            }
        }
    )*};
}

reshape_to_signed_extents! { i32 isize }

/// The shape with these extents; -1 is replaced by the extent that holds the remaining elements of `from`.
fn infer(from: Shape, extents: &[isize]) -> Result<Shape, ShapeError> {
    let mistake = |what: String| Err(ShapeError::new(format!("{from:?} to {extents:?}: {what}")));
    let (mut known, mut open) = (SmallVec::<[usize; MAX_RANK]>::new(), None);
    for (axis, &extent) in extents.iter().enumerate() {
        match usize::try_from(extent) {
            Ok(extent) => known.push(extent),
            Err(_) if extent != -1 => return mistake(format!("{extent} is not an extent")),
            Err(_) if open.is_some() => return mistake("only one extent may be -1".into()),
            Err(_) => {
                known.push(1);
                open = Some(axis);
            }
        }
    }
    let known = Shape::try_new(&known)?;
    let Some(axis) = open else { return Ok(known) };
    let (numel, rest) = (from.numel(), known.numel());
    if rest == 0 || !numel.is_multiple_of(rest) {
        return mistake(format!("{numel} elements are not a multiple of {rest}"));
    }
    known.with(axis, numel / rest)
}
