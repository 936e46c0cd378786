//! The outcome of restoring a saved state.

use std::fmt;

use wengert_core::Shape;

/// Outcome of restoring a saved state. Anything not listed was restored.
///
/// ```
/// use wengert_core::{Param, Tensor};
/// use wengert_nn::optim::Optimizer;
///
/// let x = Param::new(Tensor::<f64>::from([3.0, -2.0]));
/// let mut optimizer = Optimizer::from_toml("kind = 'momentum'")?;
/// let report = optimizer.restore_lenient(&x, Default::default());
/// assert!(!report.is_complete());
/// assert_eq!(report.missing[2..], ["/sgd.momentum_buffer", "/sgd.count"]);
/// # Ok::<(), wengert_nn::optim::ConfigError>(())
/// ```
#[must_use = "it names what was not restored"]
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LoadReport {
    /// Names that the recipe needs and the saved state lacks: they keep their initial values.
    pub missing: Vec<String>,
    /// Names in the saved state that the recipe or the model does not have: they were ignored.
    pub unexpected: Vec<String>,
    /// Names with another shape than expected, with the expected and the found shape: they keep their
    /// initial values.
    pub shape_mismatch: Vec<(String, Shape, Shape)>,
    /// Numbers that cannot be what their name says, such as a negative count: they keep their initial values.
    pub out_of_range: Vec<(String, f64)>,
}

impl LoadReport {
    /// Returns whether the whole saved state was restored, and nothing was missing.
    pub fn is_complete(&self) -> bool {
        let LoadReport { missing, unexpected, shape_mismatch, out_of_range } = self;
        missing.is_empty()
            && unexpected.is_empty()
            && shape_mismatch.is_empty()
            && out_of_range.is_empty()
    }
}

/// Names of one kind that a message lists.
const LISTED: usize = 8;

/// Prints a line for each kind of difference that there is, and nothing where there is none.
impl fmt::Display for LoadReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mismatch = |(name, expected, found): &(String, Shape, Shape)| {
            format!("{name} is {expected:?} in the model, {found:?} in the state")
        };
        let number = |(name, found): &(String, f64)| format!("{name} is {found:?}");
        line(f, "missing", self.missing.iter().cloned())?;
        line(f, "unexpected", self.unexpected.iter().cloned())?;
        line(f, "shape mismatch", self.shape_mismatch.iter().map(mismatch))?;
        line(f, "out of range", self.out_of_range.iter().map(number))
    }
}

fn line(
    f: &mut fmt::Formatter<'_>,
    what: &str,
    items: impl ExactSizeIterator<Item = String>,
) -> fmt::Result {
    let more = items.len().saturating_sub(LISTED);
    let listed = items.take(LISTED).collect::<Vec<_>>().join(", ");
    match (listed.as_str(), more) {
        ("", _) => Ok(()),
        (_, 0) => write!(f, "\n  {what}: {listed}"),
        (_, more) => write!(f, "\n  {what}: {listed} and {more} more"),
    }
}

/// A saved state that does not fit the optimizer and its model. The optimizer is unchanged.
///
/// ```
/// use wengert_core::{Param, Tensor};
/// use wengert_nn::optim::Optimizer;
///
/// let x = vec![Param::new(Tensor::<f64>::from([3.0, -2.0]))];
/// let plain = Optimizer::from_toml("kind = 'sgd'")?;
/// let mut momentum = Optimizer::from_toml("kind = 'sgd'\nlr = { kind = 'plateau', lr = 1 }")?;
/// let error = momentum.restore(&x, plain.state(&x)).unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "the saved state does not fit the optimizer\n  missing: lr.0, lr.1, lr.2, lr.3"
/// );
/// # Ok::<(), wengert_nn::optim::ConfigError>(())
/// ```
#[derive(Clone, PartialEq)]
pub struct RestoreError(Box<LoadReport>);

impl RestoreError {
    pub(super) fn new(report: LoadReport) -> Self {
        RestoreError(Box::new(report))
    }

    /// Returns all differences.
    pub fn report(&self) -> &LoadReport {
        &self.0
    }
}

impl fmt::Display for RestoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the saved state does not fit the optimizer{}", self.0)
    }
}

/// Prints what `Display` prints: this is what `main` shows when it returns the error.
impl fmt::Debug for RestoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for RestoreError {}
