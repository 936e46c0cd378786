//! What serde knows of a settings struct: the names of its fields, and its values as TOML.

use serde::Serialize;
use serde::de::value::Error as Refused;
use serde::de::{DeserializeOwned, Deserializer, Error as _, Visitor};
use serde::forward_to_deserialize_any;

use super::setting::BadSetting;

/// What the settings of a kind look like.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Fields {
    /// A struct with these fields, in the order of their declaration.
    Named(&'static [&'static str]),
    /// A unit struct: nothing to set.
    Unit,
    /// Something else, a map for example; its keys are not known beforehand.
    Open,
}

impl Fields {
    /// The names, where they are known.
    pub(crate) fn names(self) -> &'static [&'static str] {
        match self {
            Fields::Named(names) => names,
            Fields::Unit | Fields::Open => &[],
        }
    }
}

/// Asks `T` to deserialize itself from a source that only listens to what it is asked for.
pub(crate) fn of<T: DeserializeOwned>() -> Fields {
    let mut fields = Fields::Open;
    // The listener always refuses: what it heard is the answer.
    let _ = T::deserialize(Listener(&mut fields));
    fields
}

/// The settings as a TOML table.
pub(crate) fn settings<T: Serialize + DeserializeOwned>(
    value: &T,
) -> Result<toml::Table, BadSetting> {
    if of::<T>() == Fields::Unit {
        return Ok(toml::Table::new());
    }
    toml::Table::try_from(value)
        .map_err(|e| BadSetting::new("", format!("the settings cannot be written as TOML: {e}")))
}

struct Listener<'a>(&'a mut Fields);

impl<'de> Deserializer<'de> for Listener<'_> {
    type Error = Refused;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        names: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Refused> {
        *self.0 = Fields::Named(names);
        Err(Refused::custom("listening"))
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: V,
    ) -> Result<V::Value, Refused> {
        *self.0 = Fields::Unit;
        Err(Refused::custom("listening"))
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Refused> {
        Err(Refused::custom("listening"))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}
