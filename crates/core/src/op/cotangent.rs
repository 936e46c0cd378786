//! The cotangent of an input, where contributions are gathered.

use crate::kernels::add_to;
use crate::shape::Axes;
use crate::{Float, Shape, ShapeError, Tensor};

/// The cotangent of one input, which gathers contributions.
#[derive(Debug)]
pub struct Cotangent<'a, F: Float> {
    shape: Shape,
    gathered: Memory<'a, F>,
}

/// The place of the sum of contributions.
#[derive(Debug)]
enum Memory<'a, F: Float> {
    /// On a tape: nothing until the first contribution arrives.
    New(&'a mut Option<Tensor<F>>),
    /// In a program: memory of this size or none, and whether a contribution has arrived.
    Kept(&'a mut Tensor<F>, &'a mut bool),
}

impl<'a, F: Float> Cotangent<'a, F> {
    pub(crate) fn new(shape: Shape, gathered: &'a mut Option<Tensor<F>>) -> Self {
        Self { shape, gathered: Memory::New(gathered) }
    }

    /// A cotangent that is gathered in `memory`, which may have the wrong size.
    pub(crate) fn kept(shape: Shape, memory: &'a mut Tensor<F>, arrived: &'a mut bool) -> Self {
        Self { shape, gathered: Memory::Kept(memory, arrived) }
    }

    /// Adds a contribution. Axes along which the input was broadcast are summed here, and only here.
    ///
    /// # Panics
    /// If the input does not broadcast to the shape of `g`.
    pub fn add(self, g: Tensor<F>) {
        let from = g.shape();
        let g = if from == self.shape {
            g
        } else {
            check_cotangent(self.shape, from);
            crate::tensor::reduce::sum(&g, Axes::repeated(from, self.shape)).with_shape(self.shape)
        };
        let sum = match self.gathered {
            Memory::New(gathered) => match gathered {
                None => {
                    *gathered = Some(g);
                    return;
                }
                Some(sum) => sum,
            },
            Memory::Kept(sum, arrived) => {
                if !std::mem::replace(arrived, true) {
                    *sum = g;
                    return;
                }
                sum
            }
        };
        add_to(sum.as_mut_slice(), g.as_slice());
    }

    /// Lets `f` write the contribution in row-major order. The second argument of `f` is `true` if
    /// it must add to the slice, and `false` if it must overwrite arbitrary values.
    pub fn write(self, f: impl FnOnce(&mut [F], bool)) {
        let (out, add) = self.sum();
        #[cfg(wengert_mutants)]
        let add = add && !crate::mutants::overwrites();
        f(out, add);
    }

    /// The memory of the sum, and whether contributions have arrived; if not, its numbers are arbitrary.
    #[inline(never)] // As `filling`: it is not compiled for each operation.
    fn sum(self) -> (&'a mut [F], bool) {
        match self.gathered {
            Memory::New(Some(sum)) => (sum.as_mut_slice(), true),
            Memory::New(gathered) => {
                (gathered.insert(Tensor::scratch(self.shape)).as_mut_slice(), false)
            }
            Memory::Kept(sum, arrived) => {
                if std::mem::replace(arrived, true) {
                    (sum.as_mut_slice(), true)
                } else {
                    (sum.overwrite_as(self.shape), false)
                }
            }
        }
    }

    /// Lets `f` add the contribution to a slice, which holds zeros if nothing has arrived. For a contribution to a few
    /// elements.
    pub(crate) fn accumulate(self, f: impl FnOnce(&mut [F])) {
        self.write(|sum, accumulate| {
            if !accumulate {
                sum.fill(F::ZERO);
            }
            f(sum);
        });
    }

    /// Lets `f` write the contribution in row-major order, over arbitrary values. It is added if others have
    /// arrived.
    pub fn fill(self, f: impl FnOnce(&mut [F])) {
        let mut filling = self.filling();
        f(filling.out());
        filling.finish();
    }

    /// The start of [`fill`](Self::fill), whose `f` alone differs from operation to operation.
    fn filling(self) -> Filling<'a, F> {
        let shape = self.shape;
        let (sum, add) = self.sum();
        Filling { sum, own: add.then(|| Tensor::scratch(shape)) }
    }

    /// Returns the shape of the input.
    pub fn shape(&self) -> Shape {
        self.shape
    }
}

/// A contribution that is being written.
struct Filling<'a, F: Float> {
    sum: &'a mut [F],
    /// The contribution, if others have arrived before.
    own: Option<Tensor<F>>,
}

impl<F: Float> Filling<'_, F> {
    fn out(&mut self) -> &mut [F] {
        match &mut self.own {
            Some(own) => own.as_mut_slice(),
            None => self.sum,
        }
    }

    fn finish(self) {
        if let Some(own) = self.own {
            add_to(self.sum, own.as_slice());
        }
    }
}

/// Refuses a cotangent of a shape to which the input does not broadcast. Unwinds with a [`ShapeError`], which the sweep
/// tells together with the operation.
pub(crate) fn check_cotangent(shape: Shape, found: Shape) {
    if !shape.expands_to(found) {
        std::panic::resume_unwind(Box::new(ShapeError::new(format!(
            "a cotangent of shape {found:?} does not sum to {shape:?}"
        ))));
    }
}
