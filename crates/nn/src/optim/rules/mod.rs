//! The rules of the library, each family in order of complexity.
//!
//! In the formulas `g` is the update that arrives (the gradient, when the rule comes first), `u`
//! the one that leaves, `p` the parameter, and `t` counts the updates of this parameter from 1.
//! The driver ends with `p <- p - lr u`. Settings carry PyTorch's names and defaults.

mod adam;
mod adaptive;
mod sgd;
mod transforms;

pub use adam::{Adam, Adamax, NAdam, RAdam};
pub use adaptive::{Adadelta, Adagrad, RmsProp};
pub use sgd::{Lion, Sgd};
pub use transforms::{ClipNorm, ClipTensorNorm, ClipValue, Ema, Maximize, WeightDecay};
