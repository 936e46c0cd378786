//! Parameters, which are trained, and buffers, which are kept and not trained.

use std::fmt::{self, Debug};
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::{Float, Operand, Tensor};

/// The identity of a [`Param`] or [`Buffer`], unique in the process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ParamId(NonZeroU64);

impl ParamId {
    fn fresh() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let id = NonZeroU64::new(NEXT.fetch_add(1, Ordering::Relaxed));
        Self(id.expect("fewer than 2^64 parameters"))
    }
}

/// A trained tensor of a model. All uses on one tape share one leaf.
///
/// A clone is another parameter: it starts with the same numbers and has its own identity.
///
/// ```
/// use wengert_core::{Param, ReduceOps, Tensor, UnaryOps, gradients};
///
/// let weight = Param::new(Tensor::<f64>::from([1.0, -2.0]));
/// let (loss, grads) = gradients(|tape| tape.param(&weight).square().sum());
/// assert_eq!(loss, 5.0);
/// assert_eq!(grads.get(&weight).unwrap(), &Tensor::from([2.0, -4.0]));
/// ```
pub struct Param<F: Float> {
    id: ParamId,
    value: Tensor<F>,
    frozen: bool,
}

impl<F: Float> Param<F> {
    /// Creates a parameter that starts with these numbers.
    pub fn new(value: Tensor<F>) -> Self {
        Self { id: ParamId::fresh(), value, frozen: false }
    }

    /// Returns the identity.
    pub fn id(&self) -> ParamId {
        self.id
    }

    /// Returns the numbers.
    pub fn value(&self) -> &Tensor<F> {
        &self.value
    }

    /// Returns the numbers, for writing.
    pub fn value_mut(&mut self) -> &mut Tensor<F> {
        &mut self.value
    }

    /// Replaces the numbers.
    ///
    /// # Panics
    /// If the shape differs.
    #[track_caller]
    pub fn set(&mut self, value: Tensor<F>) {
        let (old, new) = (self.value.shape(), value.shape());
        assert!(old == new, "set: a parameter of shape {old:?} was handed {new:?}");
        self.value = value;
    }

    /// Returns whether the parameter is frozen: a constant on a tape, and skipped by optimizers.
    pub fn is_frozen(&self) -> bool {
        self.frozen
    }

    /// Excludes the parameter from training, or includes it again.
    pub fn set_frozen(&mut self, frozen: bool) {
        self.frozen = frozen;
    }
}

impl<F: Float> Clone for Param<F> {
    fn clone(&self) -> Self {
        Self { id: ParamId::fresh(), value: self.value.clone(), frozen: self.frozen }
    }
}

impl<F: Float> Debug for Param<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Param ")?;
        Debug::fmt(&self.value, f)
    }
}

impl<F: Float> From<Tensor<F>> for Param<F> {
    fn from(value: Tensor<F>) -> Self {
        Self::new(value)
    }
}

/// A tensor that a layer keeps and no optimizer trains, such as a running mean.
///
/// A tape never writes it. `tape.update_buffer(&buffer, var)` records the new value, the gradients carry it, and the
/// optimizer's step stores it. A clone is another buffer.
///
/// ```
/// use wengert_core::{Buffer, Param, Tensor, gradients};
///
/// let (count, weight) = (Buffer::new(Tensor::<f64>::scalar(2.0)), Param::new(Tensor::scalar(5.0)));
/// let (loss, _) = gradients(|tape| {
///     let seen = tape.buffer(&count);
///     tape.update_buffer(&count, seen + 1.0);
///     tape.param(&weight) * seen
/// });
/// assert_eq!(loss, 10.0);
/// ```
pub struct Buffer<F: Float> {
    id: ParamId,
    value: Tensor<F>,
}

impl<F: Float> Buffer<F> {
    /// Creates a buffer that starts with these numbers.
    pub fn new(value: Tensor<F>) -> Self {
        Self { id: ParamId::fresh(), value }
    }

    /// Returns the identity.
    pub fn id(&self) -> ParamId {
        self.id
    }

    /// Returns the numbers.
    pub fn value(&self) -> &Tensor<F> {
        &self.value
    }

    /// Returns the numbers, for writing.
    pub fn value_mut(&mut self) -> &mut Tensor<F> {
        &mut self.value
    }

    /// Replaces the numbers.
    ///
    /// # Panics
    /// If the shape differs.
    #[track_caller]
    pub fn set(&mut self, value: Tensor<F>) {
        let (old, new) = (self.value.shape(), value.shape());
        assert!(old == new, "set: a buffer of shape {old:?} was handed {new:?}");
        self.value = value;
    }
}

impl<F: Float> Clone for Buffer<F> {
    fn clone(&self) -> Self {
        Self::new(self.value.clone())
    }
}

impl<F: Float> Debug for Buffer<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Buffer ")?;
        Debug::fmt(&self.value, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clone_is_another_parameter() {
        let a = Param::new(Tensor::<f64>::ones([1]));
        let b = a.clone();
        assert!(a.id() != b.id() && a.value() == b.value());
    }
}

impl<F: Float> Operand<Tensor<F>> for &Param<F> {
    fn beside(self, _: &Tensor<F>) -> Tensor<F> {
        self.value().clone()
    }
}

crate::ops::left_operators! { [F: Float] &Param<F>, Tensor<F> }
