//! The reduction of losses to one number, and the settings of losses.

use wengert_core::{Float, Operand, ReduceOps, ShapeError, Var};

/// The way in which the losses of elements or examples become one number. Default: their mean.
///
/// ```
/// use wengert_core::{Tensor, evaluate};
/// use wengert_nn::{Loss, Reduction};
///
/// let x = Tensor::<f64>::from([1.0, 3.0]);
/// let loss = |reduction| evaluate(|tape| tape.constant(&x).mse_with(0.0, reduction));
/// assert_eq!(loss(Reduction::Mean).item(), 5.0);
/// assert_eq!(loss(Reduction::Sum).item(), 10.0);
/// assert_eq!(loss(Reduction::None), Tensor::from([1.0, 9.0]));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Reduction {
    /// Their mean; with labels, the mean over the examples that are not ignored.
    #[default]
    Mean,
    /// Their sum.
    Sum,
    /// No reduction: the losses themselves.
    None,
    /// Their sum divided by the extent of axis 0, the number of examples: PyTorch's `batchmean`.
    BatchMean,
}

impl Reduction {
    /// Reduces the losses.
    #[track_caller]
    pub(super) fn apply<'t, F: Float>(self, losses: Var<'t, F>) -> Var<'t, F> {
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

/// Declares the settings of a loss: a struct with PyTorch's names and defaults and a method for each. A
/// [`Reduction`] converts into it.
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
            /// Returns the defaults.
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

            /// Sets how losses become one number. Default: their mean.
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

/// The summand 1e-12 that PyTorch has in divisors, rounded to single precision as there.
pub(super) const TINY: f64 = 1e-12_f32 as f64;

/// Returns the target on the tape of the prediction, to whose shape it must broadcast. If the prediction
/// could broadcast to the target, `[4]` beside `[4, 1]` would make sixteen losses.
#[track_caller]
pub(super) fn target_for<'t, F: Float>(
    loss: &str,
    x: Var<'t, F>,
    target: impl Operand<Var<'t, F>>,
) -> Var<'t, F> {
    let target = target.beside(&x);
    let (prediction, found) = (x.shape(), target.shape());
    match prediction.broadcast(found) {
        Ok(both) if both == prediction => {}
        Ok(both) => {
            let message = format!(
                "target {found:?} does not broadcast to the prediction {prediction:?}, both broadcast to {both:?}"
            );
            ShapeError::new(message).in_operation(loss).raise();
        }
        Err(error) => error.in_operation(loss).raise(),
    }
    target
}
