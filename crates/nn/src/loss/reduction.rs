//! From the losses of elements or examples to one number, and the settings of losses.

use wengert_core::{Float, Operand, ReduceOps, ShapeError, Var};

/// How the losses of the elements, or of the examples, become one number.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Reduction {
    /// Their mean; of labelled examples the mean over those that count.
    #[default]
    Mean,
    /// Their sum.
    Sum,
    /// They stay as they are.
    None,
    /// Their sum over the first extent, the number of examples: PyTorch's `batchmean`.
    BatchMean,
}

impl Reduction {
    #[track_caller]
    pub(super) fn of<'t, F: Float>(self, losses: Var<'t, F>) -> Var<'t, F> {
        match self {
            Self::Mean => losses.mean(),
            Self::Sum => losses.sum(),
            Self::None => losses,
            Self::BatchMean => {
                let examples = losses.shape().first().copied().unwrap_or(1);
                losses.sum() * (examples as f64).recip()
            }
        }
    }
}

/// The settings of a loss: a struct with PyTorch's names and defaults, a method for each, and a
/// [`Reduction`], which may stand in its place.
macro_rules! settings {
    ($(
        $(#[$doc:meta])*
        $Name:ident $(<$F:ident>)? {$(
            $(#[$field_doc:meta])*
            $field:ident: $Field:ty = $default:expr, |$given:ident: $Given:ty| $value:expr;
        )*}
    )*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug)]
        pub struct $Name $(<$F: wengert_core::Float = f32>)? {
            $(pub(super) $field: $Field,)*
            pub(super) reduction: crate::Reduction,
        }

        impl $(<$F: wengert_core::Float>)? $Name $(<$F>)? {
            /// The defaults.
            pub fn new() -> Self {
                Self { $($field: $default,)* reduction: crate::Reduction::Mean }
            }

            $(
                $(#[$field_doc])*
                #[track_caller]
                pub fn $field(self, $given: $Given) -> Self {
                    Self { $field: $value, ..self }
                }
            )*

            /// How losses become one number; at first their mean.
            pub fn reduction(self, reduction: crate::Reduction) -> Self {
                Self { reduction, ..self }
            }
        }

        impl $(<$F: wengert_core::Float>)? Default for $Name $(<$F>)? {
            fn default() -> Self {
                Self::new()
            }
        }

        impl $(<$F: wengert_core::Float>)? From<crate::Reduction> for $Name $(<$F>)? {
            fn from(reduction: crate::Reduction) -> Self {
                Self::new().reduction(reduction)
            }
        }
    )*};
}

pub(super) use settings;

/// PyTorch's 1e-12 in divisors, which is a number of single precision.
pub(super) const TINY: f64 = 1e-12_f32 as f64;

/// The number, if it is above zero; else a panic.
#[track_caller]
pub(super) fn above_zero(what: &str, number: f64) -> f64 {
    assert!(number > 0.0, "{what} must be above 0, not {number}");
    number
}

/// The number, if it is not below zero; else a panic.
#[track_caller]
pub(super) fn not_negative(what: &str, number: f64) -> f64 {
    assert!(number >= 0.0, "{what} must be 0 or above, not {number}");
    number
}

/// What a prediction is held against, on its tape: of its shape, or repeating into it. The other way
/// around `[4]` beside `[4, 1]` would be sixteen losses.
#[track_caller]
pub(super) fn fits<'t, F: Float>(
    loss: &str,
    x: Var<'t, F>,
    target: impl Operand<Var<'t, F>>,
) -> Var<'t, F> {
    let target = target.beside(&x);
    let (own, given) = (x.shape(), target.shape());
    match own.broadcast(given) {
        Ok(both) if both == own => {}
        Ok(both) => {
            let message = format!("a target {given:?} makes {both:?} of the prediction {own:?}");
            ShapeError::new(message).in_operation(loss).raise();
        }
        Err(error) => error.in_operation(loss).raise(),
    }
    target
}
