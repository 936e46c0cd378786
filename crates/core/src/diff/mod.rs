//! Derivatives of any order, anomaly detection, and the gradient checker.

pub(crate) mod anomaly;
pub(crate) mod check;
pub(crate) mod custom;
mod differences;
pub(crate) mod higher_order;
pub(crate) mod mismatch;
mod per_node;
pub(crate) mod profile;
mod profile_text;
mod slices;
pub(crate) mod sweep;
