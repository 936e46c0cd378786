//! Anomaly detection: the first operation whose value or cotangent is NaN or infinite.

use std::fmt;
use std::panic::Location;

use crate::tape::backward::{Sweep, check_scalar};
use crate::tape::record::{Kind, Record};
use crate::{Float, Gradients, Seeded, Tape, Tensor, Var};

/// Computes a loss and its gradients like [`gradients`](crate::gradients), and fails at the first operation
/// that makes a NaN or an infinity out of finite numbers.
///
/// This is for debugging. It keeps all values and inspects each, so it takes more time and memory
/// than [`gradients`](crate::gradients).
///
/// ```
/// use wengert_core::{Param, ReduceOps, Tensor, UnaryOps, gradients_checked};
///
/// let weight = Param::new(Tensor::<f32>::from([4.0, 0.0]));
/// let error = gradients_checked(|tape| tape.param(&weight).ln().sum()).unwrap_err();
/// assert_eq!((&*error.operation, &*error.position), ("ln", &[1][..]));
/// assert!(error.to_string().ends_with("value at [1] is -inf, computed from 0"));
/// ```
///
/// # Errors
/// Returns that operation, with the line that recorded it.
///
/// # Panics
/// If the loss has more than one element.
#[track_caller]
pub fn gradients_checked<F: Float>(
    f: impl for<'t> FnOnce(&'t Tape<F>) -> Var<'t, F>,
) -> Result<(F, Gradients<F>), NotFinite> {
    checked(Tape::new(), f)
}

impl Seeded {
    /// Runs [`gradients_checked`] with this seed for random layers.
    ///
    /// # Errors
    /// Returns the first operation that makes a NaN or an infinity out of finite numbers.
    ///
    /// # Panics
    /// If the loss has more than one element.
    #[track_caller]
    pub fn gradients_checked<F: Float>(
        self,
        f: impl for<'t> FnOnce(&'t Tape<F>) -> Var<'t, F>,
    ) -> Result<(F, Gradients<F>), NotFinite> {
        checked(self.tape(), f)
    }
}

#[track_caller]
fn checked<F: Float>(
    mut tape: Tape<F>,
    f: impl for<'t> FnOnce(&'t Tape<F>) -> Var<'t, F>,
) -> Result<(F, Gradients<F>), NotFinite> {
    let loss = f(&tape);
    check_scalar(loss.shape());
    let (id, value) = (loss.on_tape(&tape), loss.item());
    let record = tape.record.get_mut();
    if let Some(error) = record.first_value_not_finite() {
        return Err(error);
    }
    let mut first = None;
    let mut watch = |at: usize, input: usize, g: &Tensor<F>, cotangent: Option<&Tensor<F>>| {
        if let Some(cotangent) = cotangent
            && first.is_none()
            && g.is_finite()
            && !cotangent.is_finite()
        {
            first = Some((at, input, cotangent.clone()));
        }
    };
    let sweep = Sweep { loss: id, release: false, watch: Some(&mut watch) };
    let gradients = record.backward(sweep);
    match first {
        None => Ok((value, gradients)),
        Some((at, input, cotangent)) => Err(record.not_finite(at, Some(input), &cotangent)),
    }
}

/// The first operation that made a NaN or an infinity out of finite numbers.
///
/// `Debug` prints the same message as `Display`, so `unwrap()` and `fn main() -> Result<..>` show it.
///
/// ```
/// use wengert_core::{Param, Tensor, UnaryOps, gradients_checked};
///
/// // sqrt(0) is finite, its derivative is not.
/// let x = Param::new(Tensor::<f64>::scalar(0.0));
/// let error = gradients_checked(|tape| tape.param(&x).sqrt()).unwrap_err();
/// assert_eq!((&*error.operation, error.cotangent), ("sqrt", Some(0)));
/// assert!(error.to_string().ends_with("cotangent of input 0 at [] is inf, computed from 0"));
/// ```
#[derive(Clone)]
pub struct NotFinite {
    /// Name of the operation.
    pub operation: String,
    /// Line that recorded the operation.
    pub location: Location<'static>,
    /// The input whose cotangent is not finite; `None` if the operation's value is not.
    pub cotangent: Option<usize>,
    /// The NaN or infinity.
    pub number: f64,
    /// Position of the number in the value or cotangent.
    pub position: Vec<usize>,
    /// The operation's inputs, printed: the element at this position where the shapes are equal, the whole
    /// input otherwise.
    pub inputs: Vec<String>,
}

impl fmt::Display for NotFinite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { operation, location, number, position, .. } = self;
        write!(f, "first number that is not finite: {operation} recorded at {location}: ")?;
        match self.cotangent {
            None => write!(f, "value at {position:?}")?,
            Some(input) => write!(f, "cotangent of input {input} at {position:?}")?,
        }
        write!(f, " is {number}, computed from {}", self.inputs.join(" and "))
    }
}

impl fmt::Debug for NotFinite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for NotFinite {}

impl<F: Float> Record<F> {
    /// Finds the first operation with finite inputs and a value that is not finite.
    fn first_value_not_finite(&self) -> Option<NotFinite> {
        let finite =
            |id: u32| self.nodes[id as usize].value_if_held().is_none_or(Tensor::is_finite);
        let at = (0..self.nodes.len()).find(|&at| {
            let node = &self.nodes[at];
            node.kind == Kind::Op && !finite(at as u32) && node.inputs.iter().all(|&id| finite(id))
        })?;
        Some(self.not_finite(at, None, self.nodes[at].value()))
    }

    fn not_finite(&self, at: usize, cotangent: Option<usize>, found: &Tensor<F>) -> NotFinite {
        let node = &self.nodes[at];
        let flat = found.as_slice().iter().position(|x| !x.is_finite()).unwrap_or(0);
        let input = |id: &u32| {
            let x = self.nodes[*id as usize].value_if_held()?;
            let same = x.shape() == found.shape();
            Some(if same { x.as_slice()[flat].to_string() } else { x.to_string() })
        };
        NotFinite {
            operation: self.op(at).name(),
            location: *node.location,
            cotangent,
            number: found.as_slice()[flat].to_f64(),
            position: found.shape().position(flat),
            inputs: node.inputs.iter().filter_map(input).collect(),
        }
    }
}
