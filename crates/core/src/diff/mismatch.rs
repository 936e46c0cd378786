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
/// use wengert_core::{Check, Tensor, UnaryOps};
///
/// // The slope of relu jumps at 0.
/// let x = Tensor::from([2.0, 0.0]);
/// let error = Check::new().full().gradients(|x| x[0].relu(), &[x]).unwrap_err();
/// assert_eq!((error.order, &*error.input, error.index.as_deref()), (1, "input 0", Some(&[1][..])));
/// assert!(error.to_string().contains("but the input is at a kink, where the slope goes from"));
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
/// let error = check_gradients(|x| x[0].relu(), &[Tensor::scalar(0.0)]).unwrap_err();
/// assert!(matches!(error.against, Against::Kink { .. }));
/// ```
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Against {
    /// Central differences of values.
    FiniteDifferences,
    /// Central differences of values, at an input where the slope jumps: there is no derivative to
    /// compare with.
    Kink {
        /// Slope before the input, in the direction of the check.
        left: f64,
        /// Slope behind the input.
        right: f64,
    },
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
        write!(f, ": gradient is {gradient:e}, ")?;
        match self.against {
            Against::FiniteDifferences => write!(f, "finite differences give {expected:e}"),
            Against::RecordedSweep => write!(f, "the recorded sweep gives {expected:e}"),
            Against::ForwardMode => write!(f, "forward mode gives {expected:e}"),
            Against::Kink { left, right } => write!(
                f,
                "but the input is at a kink, where the slope goes from {left:.3e} to {right:.3e}; move it away"
            ),
        }
    }
}

impl fmt::Debug for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Mismatch {}
