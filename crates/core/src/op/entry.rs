//! Entry points of operations: plain functions, so that an operation is compiled once.
//!
//! A generic function is compiled anew in each crate that calls it, and an operation drags its kernels
//! and its derivatives of every order with it. So an operation has four entry points that are not
//! generic: on tensors and on variables, in single and in double precision. `entry_points!` writes
//! them. In a trait they are defaults, compiled where the operation is applied; repeated in the `impl` of
//! an operation they are compiled there, once, and applying the operation is a call.

use std::any::type_name_of_val;
use std::marker::PhantomData;

use smallvec::SmallVec;

use super::{IndexOp, ManyOp, Op, snake_case};
use crate::float::PerPrecision;
pub use crate::tape::erased::{record, record_indexed, record_many};
use crate::tape::record::{IndexVar, Var};
use crate::tensor::indices::Indices;
use crate::{Float, Shape, ShapeError, Tensor};

/// Writes the entry points of an operation: `entry_points!(Op<2>)`, `entry_points!(ManyOp)`,
/// `entry_points!(IndexOp)`.
#[doc(hidden)]
#[macro_export]
macro_rules! entry_points {
    (Op<$N:tt>) => {
        #[doc(hidden)]
        #[track_caller]
        fn compute_f32(self, x: [&$crate::Tensor<f32>; $N]) -> $crate::Tensor<f32> {
            $crate::entry::compute(self, x)
        }
        #[doc(hidden)]
        #[track_caller]
        fn compute_f64(self, x: [&$crate::Tensor<f64>; $N]) -> $crate::Tensor<f64> {
            $crate::entry::compute(self, x)
        }
        #[doc(hidden)]
        #[track_caller]
        fn record_f32<'t>(self, x: [&$crate::Var<'t, f32>; $N]) -> $crate::Var<'t, f32> {
            $crate::entry::record(self, x)
        }
        #[doc(hidden)]
        #[track_caller]
        fn record_f64<'t>(self, x: [&$crate::Var<'t, f64>; $N]) -> $crate::Var<'t, f64> {
            $crate::entry::record(self, x)
        }
    };
    // Of a family of operations, which implements the trait for each of its members.
    (Op<$N:tt> by $Family:ident) => {
        #[track_caller]
        fn compute_f32(self, x: [&$crate::Tensor<f32>; $N]) -> $crate::Tensor<f32> {
            $Family::compute_f32(self, x)
        }
        #[track_caller]
        fn compute_f64(self, x: [&$crate::Tensor<f64>; $N]) -> $crate::Tensor<f64> {
            $Family::compute_f64(self, x)
        }
        #[track_caller]
        fn record_f32<'t>(self, x: [&$crate::Var<'t, f32>; $N]) -> $crate::Var<'t, f32> {
            $Family::record_f32(self, x)
        }
        #[track_caller]
        fn record_f64<'t>(self, x: [&$crate::Var<'t, f64>; $N]) -> $crate::Var<'t, f64> {
            $Family::record_f64(self, x)
        }
    };
    (ManyOp) => {
        #[doc(hidden)]
        #[track_caller]
        fn compute_f32(self, x: &[&$crate::Tensor<f32>]) -> $crate::Tensor<f32> {
            $crate::entry::compute_many(self, x)
        }
        #[doc(hidden)]
        #[track_caller]
        fn compute_f64(self, x: &[&$crate::Tensor<f64>]) -> $crate::Tensor<f64> {
            $crate::entry::compute_many(self, x)
        }
        #[doc(hidden)]
        #[track_caller]
        fn record_f32<'t>(self, x: &[&$crate::Var<'t, f32>]) -> $crate::Var<'t, f32> {
            $crate::entry::record_many(self, x)
        }
        #[doc(hidden)]
        #[track_caller]
        fn record_f64<'t>(self, x: &[&$crate::Var<'t, f64>]) -> $crate::Var<'t, f64> {
            $crate::entry::record_many(self, x)
        }
    };
    (IndexOp) => {
        #[doc(hidden)]
        #[track_caller]
        fn compute_f32(
            self,
            x: &$crate::Tensor<f32>,
            index: &$crate::Indices,
        ) -> $crate::Tensor<f32> {
            $crate::entry::compute_indexed(self, x, index)
        }
        #[doc(hidden)]
        #[track_caller]
        fn compute_f64(
            self,
            x: &$crate::Tensor<f64>,
            index: &$crate::Indices,
        ) -> $crate::Tensor<f64> {
            $crate::entry::compute_indexed(self, x, index)
        }
        #[doc(hidden)]
        #[track_caller]
        fn record_f32<'t>(
            self,
            x: &$crate::Var<'t, f32>,
            index: &$crate::IndexVar<'t, f32>,
        ) -> $crate::Var<'t, f32> {
            $crate::entry::record_indexed(self, x, index)
        }
        #[doc(hidden)]
        #[track_caller]
        fn record_f64<'t>(
            self,
            x: &$crate::Var<'t, f64>,
            index: &$crate::IndexVar<'t, f64>,
        ) -> $crate::Var<'t, f64> {
            $crate::entry::record_indexed(self, x, index)
        }
    };
}

/// Computes an operation's value from tensors.
#[track_caller]
pub fn compute<F: Float, const N: usize>(op: impl Op<N>, x: [&Tensor<F>; N]) -> Tensor<F> {
    match op.shape(shapes(x)).and_then(|out| forward(&op, x, out)) {
        Ok(value) => value,
        Err(mistake) => raise(mistake, type_name_of_val(&op)),
    }
}

/// Computes the value of an operation of any number of inputs.
#[track_caller]
pub fn compute_many<F: Float>(op: impl ManyOp, x: &[&Tensor<F>]) -> Tensor<F> {
    let shapes = x.iter().map(|x| x.shape()).collect::<SmallVec<[_; 4]>>();
    match op.shape(&shapes).and_then(|out| forward_many(&op, x, out)) {
        Ok(value) => value,
        Err(mistake) => raise(mistake, type_name_of_val(&op)),
    }
}

/// Computes the value of an operation of a tensor and indices.
#[track_caller]
pub fn compute_indexed<F: Float>(op: impl IndexOp, x: &Tensor<F>, index: &Indices) -> Tensor<F> {
    match op.shape(x.shape(), index).and_then(|out| forward_indexed(&op, x, index, out)) {
        Ok(value) => value,
        Err(mistake) => raise(mistake, type_name_of_val(&op)),
    }
}

fn shapes<F: Float, const N: usize>(x: [&Tensor<F>; N]) -> [Shape; N] {
    let mut shapes = [Shape::SCALAR; N];
    for (shape, x) in shapes.iter_mut().zip(x) {
        *shape = x.shape();
    }
    shapes
}

/// An operation's value, whose shape is known to be `out`; an error if it has another.
pub(crate) fn forward<F: Float, const N: usize>(
    op: &impl Op<N>,
    x: [&Tensor<F>; N],
    out: Shape,
) -> Result<Tensor<F>, ShapeError> {
    let value = op.forward(x, out);
    #[cfg(wengert_mutants)]
    let value = crate::mutants::value(op, value);
    of_shape(value, out)
}

/// The value of an operation of any number of inputs; see [`forward`].
pub(crate) fn forward_many<F: Float>(
    op: &impl ManyOp,
    x: &[&Tensor<F>],
    out: Shape,
) -> Result<Tensor<F>, ShapeError> {
    let value = op.forward(x, out);
    #[cfg(wengert_mutants)]
    let value = crate::mutants::value(op, value);
    of_shape(value, out)
}

/// The value of an operation of a tensor and indices; see [`forward`].
pub(crate) fn forward_indexed<F: Float>(
    op: &impl IndexOp,
    x: &Tensor<F>,
    index: &Indices,
    out: Shape,
) -> Result<Tensor<F>, ShapeError> {
    let value = op.forward(x, index, out);
    #[cfg(wengert_mutants)]
    let value = crate::mutants::value(op, value);
    of_shape(value, out)
}

/// A value that `forward` returned, which must have the shape that `shape` returned. Everything else believes
/// that it does.
#[inline]
fn of_shape<F: Float>(value: Tensor<F>, out: Shape) -> Result<Tensor<F>, ShapeError> {
    if value.shape() == out { Ok(value) } else { Err(other_shape(value.shape(), out)) }
}

#[cold]
fn other_shape(found: Shape, out: Shape) -> ShapeError {
    ShapeError::new(format!("`forward` returned shape {found:?}, but `shape` returned {out:?}"))
}

#[cold]
#[track_caller]
fn raise(mistake: ShapeError, path: &str) -> ! {
    mistake.in_operation(&snake_case(path)).raise()
}

/// Job of an [`Op`] on tensors.
pub(crate) struct Compute<O, const N: usize>(PhantomData<O>);

impl<'a, O: Op<N>, const N: usize> PerPrecision<'a> for Compute<O, N> {
    type Input<F: Float> = (O, [&'a Tensor<F>; N]);
    type Output<F: Float> = Tensor<F>;
    fn f32((op, x): Self::Input<f32>) -> Tensor<f32> {
        op.compute_f32(x)
    }
    fn f64((op, x): Self::Input<f64>) -> Tensor<f64> {
        op.compute_f64(x)
    }
}

/// Job of an [`Op`] on variables.
pub(crate) struct Record<'x, O, const N: usize>(PhantomData<(&'x (), O)>);

impl<'x, 't: 'x, O: Op<N>, const N: usize> PerPrecision<'t> for Record<'x, O, N> {
    type Input<F: Float> = (O, [&'x Var<'t, F>; N]);
    type Output<F: Float> = Var<'t, F>;
    fn f32((op, x): Self::Input<f32>) -> Var<'t, f32> {
        op.record_f32(x)
    }
    fn f64((op, x): Self::Input<f64>) -> Var<'t, f64> {
        op.record_f64(x)
    }
}

/// Job of a [`ManyOp`] on tensors.
pub(crate) struct ComputeMany<O>(PhantomData<O>);

impl<'a, O: ManyOp> PerPrecision<'a> for ComputeMany<O> {
    type Input<F: Float> = (O, &'a [&'a Tensor<F>]);
    type Output<F: Float> = Tensor<F>;
    fn f32((op, x): Self::Input<f32>) -> Tensor<f32> {
        op.compute_f32(x)
    }
    fn f64((op, x): Self::Input<f64>) -> Tensor<f64> {
        op.compute_f64(x)
    }
}

/// Job of a [`ManyOp`] on variables.
pub(crate) struct RecordMany<'x, O>(PhantomData<(&'x (), O)>);

impl<'x, 't: 'x, O: ManyOp> PerPrecision<'t> for RecordMany<'x, O> {
    type Input<F: Float> = (O, &'x [&'x Var<'t, F>]);
    type Output<F: Float> = Var<'t, F>;
    fn f32((op, x): Self::Input<f32>) -> Var<'t, f32> {
        op.record_f32(x)
    }
    fn f64((op, x): Self::Input<f64>) -> Var<'t, f64> {
        op.record_f64(x)
    }
}

/// Job of an [`IndexOp`] on tensors.
pub(crate) struct ComputeIndexed<O>(PhantomData<O>);

impl<'a, O: IndexOp> PerPrecision<'a> for ComputeIndexed<O> {
    type Input<F: Float> = (O, &'a Tensor<F>, &'a Indices);
    type Output<F: Float> = Tensor<F>;
    fn f32((op, x, index): Self::Input<f32>) -> Tensor<f32> {
        op.compute_f32(x, index)
    }
    fn f64((op, x, index): Self::Input<f64>) -> Tensor<f64> {
        op.compute_f64(x, index)
    }
}

/// Job of an [`IndexOp`] on variables.
pub(crate) struct RecordIndexed<'x, O>(PhantomData<(&'x (), O)>);

impl<'x, 't: 'x, O: IndexOp> PerPrecision<'t> for RecordIndexed<'x, O> {
    type Input<F: Float> = (O, &'x Var<'t, F>, &'x IndexVar<'t, F>);
    type Output<F: Float> = Var<'t, F>;
    fn f32((op, x, index): Self::Input<f32>) -> Var<'t, f32> {
        op.record_f32(x, index)
    }
    fn f64((op, x, index): Self::Input<f64>) -> Var<'t, f64> {
        op.record_f64(x, index)
    }
}

// The shells, which are all that is compiled in a user's crate.

#[inline]
#[track_caller]
pub(crate) fn on_tensors<F: Float, O: Op<N>, const N: usize>(
    op: O,
    x: [&Tensor<F>; N],
) -> Tensor<F> {
    F::run::<Compute<O, N>>((op, x))
}

#[inline]
#[track_caller]
pub(crate) fn on_variables<'t, F: Float, O: Op<N>, const N: usize>(
    op: O,
    x: [&Var<'t, F>; N],
) -> Var<'t, F> {
    F::run::<Record<'_, O, N>>((op, x))
}

#[inline]
#[track_caller]
pub(crate) fn many_on_tensors<F: Float, O: ManyOp>(op: O, x: &[&Tensor<F>]) -> Tensor<F> {
    F::run::<ComputeMany<O>>((op, x))
}

#[inline]
#[track_caller]
pub(crate) fn many_on_variables<'t, F: Float, O: ManyOp>(op: O, x: &[&Var<'t, F>]) -> Var<'t, F> {
    F::run::<RecordMany<'_, O>>((op, x))
}

#[inline]
#[track_caller]
pub(crate) fn indexed_on_tensors<F: Float, O: IndexOp>(
    op: O,
    x: &Tensor<F>,
    index: &Indices,
) -> Tensor<F> {
    F::run::<ComputeIndexed<O>>((op, x, index))
}

#[inline]
#[track_caller]
pub(crate) fn indexed_on_variables<'t, F: Float, O: IndexOp>(
    op: O,
    x: &Var<'t, F>,
    index: &IndexVar<'t, F>,
) -> Var<'t, F> {
    F::run::<RecordIndexed<'_, O>>((op, x, index))
}
