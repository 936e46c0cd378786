//! Tests of the optimizers, in one binary.

use wengert_nn::optim::{ConfigError, Recipe};

mod all_or_nothing;
mod any;
mod chain;
mod config;
mod docs;
mod document;
mod edges;
mod groups;
mod hex;
mod hints;
mod model_wide;
mod mutations;
mod overrides;
mod papers;
mod policy;
mod refused;
mod restore;
mod rows;
mod scheduled;
mod schedules;
mod schema;
mod solvers;
mod state;
mod training;
mod trajectories;

/// Reads a recipe with the kinds of the library.
fn read(text: &str) -> Result<Recipe, ConfigError> {
    text.parse()
}
