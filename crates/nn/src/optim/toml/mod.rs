//! Recipes as TOML: reading, printing, and the JSON schema.
//!
//! A text passes through these files in turn: `overrides` (the text with its overrides), `read` (the
//! recipe), `plans` (its rates, chains and groups), `registry` (the kind's name), `table` (the settings, into the
//! struct of that kind). `rate` reads schedules, `training` their lengths, `settings` those
//! of a rule's settings, `shared` holds the keys that all kinds have
//! in common, `hints` and `synonyms` say what an unknown name is called here, `write` prints, and `schema` describes the
//! grammar to editors. `config_table` reads other tables of a configuration in the same way.

mod config_table;
mod hints;
mod overrides;
mod plans;
mod rate;
mod read;
mod registry;
mod schema;
mod settings;
mod shared;
mod synonyms;
mod table;
mod training;
mod write;

pub use config_table::{ConfigPlace, ConfigTable};
pub(crate) use read::recipe_of_entries;
pub use registry::Registry;
