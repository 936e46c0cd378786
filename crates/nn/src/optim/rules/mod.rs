//! The rules of the library, each family in order of complexity.
//!
//! In the formulas `g` is the incoming update (the gradient, for the first rule of a chain), `u` the
//! outgoing one, `p` the parameter, and `t` the number of updates of this parameter, counted from 1.
//! The optimizer then applies `p <- p - lr u`. Settings have PyTorch's names and defaults.
//!
//! A new rule is a struct in one of these files and a line in the `list` at its top.

mod adam;
mod adan;
mod adaptive;
mod lazy_adam;
mod muon;
mod schedule_free;
mod sgd;
mod transforms;

pub use adam::*;
pub use adan::*;
pub use adaptive::*;
pub use lazy_adam::*;
pub use muon::*;
pub use schedule_free::*;
pub use sgd::*;
pub use transforms::*;

use super::transform::RuleList;

/// Adds all rules to `list`.
pub(crate) fn list<L: RuleList>(list: L) -> L {
    let list = schedule_free::list(muon::list(adan::list(lazy_adam::list(list))));
    adam::list(adaptive::list(sgd::list(transforms::list(list))))
}
