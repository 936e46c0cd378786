//! Outcome of a gradient check: the number of comparisons, or the derivative that disagrees.

use std::fmt;

/// Outcome of a check that found no mismatch.
#[derive(Clone, Copy, Debug)]
pub struct Checked {
    /// Number of derivatives compared.
    pub comparisons: usize,
    /// Largest difference found, as a fraction of the allowed one: at most 1.
    pub worst: f64,
}

/// A derivative that disagrees with another way of computing it.
///
/// `Debug` prints the same message as `Display`, so `unwrap()` and `fn main() -> Result<..>` show it.
///
/// ```
/// use wengert_core::{Tensor, UnaryOps, check_gradients};
///
/// // The gradient of |x| jumps at 0, within reach of the finite differences.
/// let error = check_gradients(|x| x[0].abs(), &[Tensor::scalar(1e-4)]).unwrap_err();
/// assert_eq!((error.order, &*error.input), (1, "input 0"));
/// assert!(error.to_string().starts_with("order 1, input 0 along a random direction: gradient is"));
/// ```
#[derive(Clone)]
pub struct Mismatch {
    /// Order of the derivative: 1 for the gradient, 2 for the derivative of the gradient, and so
    /// on.
    pub order: usize,
    /// Name of the input: `input 0`, or the dotted name of a parameter.
    pub input: String,
    /// Index of the element in a [full](crate::Check::full) check; `None` along a random direction.
    pub index: Option<Vec<usize>>,
    /// The derivative that the first-order sweep computed.
    pub gradient: f64,
    /// The way of computing it that disagrees.
    pub against: Against,
    /// The derivative computed that way.
    pub expected: f64,
}

/// A way of computing a derivative that the gradient is compared with.
///
/// ```
/// # use wengert_core::{Against, Tensor, UnaryOps, check_gradients};
/// let error = check_gradients(|x| x[0].abs(), &[Tensor::scalar(1e-4)]).unwrap_err();
/// assert_eq!(error.against, Against::FiniteDifferences);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Against {
    /// Central differences of values.
    FiniteDifferences,
    /// The recorded sweep of [`grad`](crate::grad).
    RecordedSweep,
    /// Forward mode, [`jvp`](crate::jvp).
    ForwardMode,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { order, input, gradient, expected, .. } = self;
        write!(f, "order {order}, {input} ")?;
        match &self.index {
            Some(index) => write!(f, "at {index:?}")?,
            None => f.write_str("along a random direction")?,
        }
        let against = match self.against {
            Against::FiniteDifferences => "finite differences give",
            Against::RecordedSweep => "the recorded sweep gives",
            Against::ForwardMode => "forward mode gives",
        };
        write!(f, ": gradient is {gradient:e}, {against} {expected:e}")
    }
}

impl fmt::Debug for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Mismatch {}
