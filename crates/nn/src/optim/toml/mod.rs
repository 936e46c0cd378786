//! Recipes as TOML: reading, printing, and the JSON schema.
//!
//! A text passes through these files in turn: `overrides` (the text with its overrides), `read` (the
//! recipe, its groups and its chains), `registry` (the kind's name), `table` (the settings, into the
//! struct of that kind). `rate` reads schedules, `shared` holds the keys that all kinds have in common,
//! `write` prints, and `schema` describes the grammar to editors.

mod overrides;
mod rate;
mod read;
mod registry;
mod schema;
mod shared;
mod table;
mod write;

pub use registry::Registry;
