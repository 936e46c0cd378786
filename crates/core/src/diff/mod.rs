//! Derivatives as values: gradients, derivatives of any order, the search for the first NaN, and the
//! checker.

pub(crate) mod anomaly;
pub(crate) mod check;
pub(crate) mod gradients;
pub(crate) mod higher_order;
