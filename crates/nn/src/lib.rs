//! Layers, losses and optimizers on the tape of `wengert-core`.

pub mod optim;
