//! Reads settings structs through serde, and inspects them: the names and types of their fields, which
//! of them are required, and their values as TOML.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::asked::{Asked, Fields, Type};
use super::range::InvalidSetting;
use super::refused::Refused;
use super::value::{Data, Entries, Key, Value};

/// A setting under one of its names.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    pub(crate) name: &'static str,
    pub(crate) of: Type,
    /// The required setting that this name provides: itself, or the one that it is an alias of.
    pub(crate) provides: Option<&'static str>,
}

/// Function that asks a type for its settings, drops them, and notes the type of the last.
type Ask = fn(&Value, &mut Type) -> Result<(), Refused>;

/// Reads settings from a table.
pub(crate) fn read<T: DeserializeOwned>(table: &Value) -> Result<T, Refused> {
    ask(table, &mut Type::Open)
}

/// Returns the form of `T`.
pub(crate) fn of<T: DeserializeOwned>() -> Fields {
    form(ask_only::<T>)
}

/// Returns the settings of `T` under all of their names, in order of declaration.
pub(crate) fn describe<T: DeserializeOwned>() -> Vec<Setting> {
    settings_of(ask_only::<T>)
}

/// Returns the field of `T` that has this name, perhaps as an alias.
pub(crate) fn field_of<T: DeserializeOwned>(name: &str) -> Option<&'static str> {
    field_called(name, ask_only::<T>)
}

// Not inlined: serde's code for a struct is large, and needed once.
#[inline(never)]
fn ask<T: DeserializeOwned>(value: &Value, of: &mut Type) -> Result<T, Refused> {
    T::deserialize(Asked { value, of })
}

fn ask_only<T: DeserializeOwned>(value: &Value, of: &mut Type) -> Result<(), Refused> {
    ask::<T>(value, of).map(drop)
}

fn form(ask: Ask) -> Fields {
    let mut of = Type::Open;
    // A struct refuses the sample: the type that it asked for is the answer.
    let _ = ask(&Value::sample(), &mut of);
    match of {
        Type::Table(fields) => fields,
        _ => Fields::Open,
    }
}

fn settings_of(ask: Ask) -> Vec<Setting> {
    let mut required = Vec::new();
    while let (Err(Refused::Missing(name)), _) = offer(&required, ask) {
        if required.contains(&name) {
            // A hand-written `Deserialize` may insist; then nothing more can be learned.
            break;
        }
        required.push(name);
    }
    let setting = |&name: &&'static str| {
        let provides = field_called(name, ask).filter(|field| required.contains(field));
        // Other fields may be missing: the type of this one is noted before that.
        Setting { name, of: offer(&[name], ask).1, provides }
    };
    form(ask).names().iter().map(setting).collect()
}

fn field_called(name: &str, ask: Ask) -> Option<&'static str> {
    // Offered twice, a field is refused under its own name.
    match offer(&[name, name], ask).0 {
        Err(Refused::Duplicate(field)) => Some(field),
        _ => None,
    }
}

/// Offers a table with these keys, each with a sample value. Returns the type of the last.
fn offer(names: &[&str], ask: Ask) -> (Result<(), Refused>, Type) {
    let mut entries = Entries::default();
    for name in names {
        entries.push(Key::new(*name, 0..0), Value::sample());
    }
    let mut of = Type::Open;
    let table = Value { span: 0..0, data: Data::Table(entries) };
    (ask(&table, &mut of), of)
}

/// Returns the settings as a TOML table.
pub(crate) fn settings<T: Serialize + DeserializeOwned>(
    value: &T,
) -> Result<toml::Table, InvalidSetting> {
    if of::<T>() == Fields::Unit {
        return Ok(toml::Table::new());
    }
    toml::Table::try_from(value).map_err(|error| {
        InvalidSetting::new("", format!("the settings cannot be written as TOML: {error}"))
    })
}
