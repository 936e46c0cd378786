//! Where the first NaN or infinity was born.

use std::fmt;
use std::panic::Location;

use crate::tape::backward::check_scalar;
use crate::tape::{Kind, Record};
use crate::{Float, Gradients, Seeded, Tape, Tensor, Var};

/// As [`gradients`](crate::gradients), but fails where a value or a cotangent is infinite or NaN although
/// all that it was computed from is finite. Slower, since nothing is released and everything is looked
/// at; for finding out.
///
/// # Errors
/// The first operation at which a number ceased to be finite, with the line that recorded it.
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
    /// As [`gradients_checked`].
    ///
    /// # Errors
    /// As there.
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
    if let Some(born) = record.first_value() {
        return Err(born);
    }
    let mut birth = None;
    let gradients = record.backward(id, false, |at, input, g, pulled| {
        if let Some(pulled) = pulled
            && birth.is_none()
            && g.is_finite()
            && !pulled.is_finite()
        {
            birth = Some((at, input, pulled.clone()));
        }
    });
    match birth {
        None => Ok((value, gradients)),
        Some((at, input, pulled)) => Err(record.not_finite(at, Some(input), &pulled)),
    }
}

/// The first operation at which a number ceased to be finite.
#[derive(Clone, Debug)]
pub struct NotFinite {
    /// The operation's name.
    pub operation: String,
    /// The line that recorded it.
    pub location: Location<'static>,
    /// `None` if the value is not finite; the input whose cotangent is not, otherwise.
    pub cotangent: Option<usize>,
    /// The number.
    pub number: f64,
    /// Its position in the value or cotangent.
    pub position: Vec<usize>,
    /// The inputs: the number at the same position where the shape is the same, all of it otherwise.
    pub inputs: Vec<String>,
}

impl fmt::Display for NotFinite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { operation, location, number, position, .. } = self;
        let born = if number.is_nan() { "NaN" } else { "infinity" };
        write!(f, "{born} born here: {operation} recorded at {location}: ")?;
        match self.cotangent {
            None => write!(f, "the value at {position:?}")?,
            Some(input) => write!(f, "the cotangent of input {input} at {position:?}")?,
        }
        write!(f, " is {number}, from {}", self.inputs.join(" and "))
    }
}

impl std::error::Error for NotFinite {}

impl<F: Float> Record<F> {
    /// The first operation with finite inputs and a value that is not.
    fn first_value(&self) -> Option<NotFinite> {
        let finite = |id: u32| self.nodes[id as usize].value.as_ref().is_none_or(Tensor::is_finite);
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
            let x = self.nodes[*id as usize].value.as_ref()?;
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
