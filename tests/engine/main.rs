//! The core: values, conventions at the edges, derivatives of any order, errors, and repeatability.

mod accuracy;
mod anomaly;
mod broadcast;
mod checker;
mod checkpoints;
mod conventions;
mod conventions_reduce;
mod deferred;
mod discarded;
mod errors;
mod extremes;
mod formula;
mod forward;
mod gradients;
mod handles;
mod higher_order;
mod magnitudes;
mod math;
mod operators;
mod panics;
mod random_calls;
mod repeat;
mod temporary;
mod unwritten;
mod user_operations;
mod values;
