//! Operations as instructions on slices, for programs.

use crate::Float;
use crate::kernels::add_to;

/// An operation on slices, for inputs of fixed shapes.
///
/// [`Op::instruction`](crate::Op::instruction) makes one when a [`Program`](crate::Program) plans its runs. Whatever
/// follows from the shapes is worked out then, so that a run asks nothing twice. The numbers have the bits of
/// [`Op::forward`](crate::Op::forward) and [`Op::vjp_into`](crate::Op::vjp_into).
pub trait Instruction<F: Float>: Send + Sync {
    /// Computes the value into `y`, whose elements are arbitrary.
    fn forward(&self, x: &[&[F]], y: &mut [F]);

    /// Adds the cotangent of input `i` to `into`; see [`Op::vjp`](crate::Op::vjp).
    fn vjp(&self, i: usize, x: &[&[F]], y: &[F], g: &[F], into: Gathered<'_, F>);
}

/// The cotangent of one input of an [`Instruction`], which gathers contributions.
#[derive(Debug)]
pub struct Gathered<'a, F: Float> {
    sum: &'a mut [F],
    /// Whether a contribution has arrived before.
    arrived: bool,
    scratch: &'a mut [F],
}

impl<'a, F: Float> Gathered<'a, F> {
    /// The number of arrays of the size of the largest operand that the scratch holds.
    pub(crate) const SCRATCH: usize = 5;

    pub(crate) fn new(sum: &'a mut [F], arrived: bool, scratch: &'a mut [F]) -> Self {
        Self { sum, arrived, scratch }
    }

    /// Lets `f` write the contribution. The second argument of `f` is `true` if it must add to the slice, and `false`
    /// if it must overwrite arbitrary values.
    #[inline]
    pub fn write(self, f: impl FnOnce(&mut [F], bool)) {
        f(self.sum, self.arrived);
    }

    /// Lets `f` write the contribution over arbitrary values. It is added if others have arrived.
    #[inline]
    pub fn fill(self, f: impl FnOnce(&mut [F])) {
        self.fill_with_scratch(|out, _| f(out));
    }

    /// [`fill`](Self::fill) with memory for intermediate results: arbitrary numbers, four times as many as the largest
    /// operand has.
    #[inline]
    pub(crate) fn fill_with_scratch(self, f: impl FnOnce(&mut [F], &mut [F])) {
        let (out, scratch, sum) = self.filling();
        f(out, scratch);
        if let Some(sum) = sum {
            add_to(sum, out);
        }
    }

    /// Memory for a contribution, memory for intermediate results, and the sum to which the contribution must be added if
    /// others have arrived.
    fn filling(self) -> (&'a mut [F], &'a mut [F], Option<&'a mut [F]>) {
        let Self { sum, arrived, scratch } = self;
        let (own, scratch) = scratch.split_at_mut(scratch.len() / Self::SCRATCH);
        if arrived { (&mut own[..sum.len()], scratch, Some(sum)) } else { (sum, scratch, None) }
    }
}
