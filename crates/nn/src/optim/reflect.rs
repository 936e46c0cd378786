//! Inspects a settings struct through serde: the names and types of its fields, which of them are
//! required, and its values as TOML.
//!
//! A struct that derives `Deserialize` asks its deserializer for what it needs. The deserializers
//! here write down what they are asked for.

use std::fmt;

use serde::Serialize;
use serde::de::value::{MapAccessDeserializer, StrDeserializer};
use serde::de::{
    self, DeserializeOwned, DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, SeqAccess,
    Visitor,
};
use serde::forward_to_deserialize_any;

use super::range::InvalidSetting;

/// Form of a settings type.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Fields {
    /// A struct with these fields, in order of declaration. Includes serde aliases.
    Named(&'static [&'static str]),
    /// A unit struct, which has no settings.
    Unit,
    /// Any other type, such as a map, whose keys are unknown beforehand.
    Open,
}

impl Fields {
    /// Returns the names, as far as they are known.
    pub(crate) fn names(self) -> &'static [&'static str] {
        match self {
            Fields::Named(names) => names,
            Fields::Unit | Fields::Open => &[],
        }
    }
}

/// Returns the form of `T`.
pub(crate) fn of<T: DeserializeOwned>() -> Fields {
    let mut fields = Fields::Open;
    // The listener refuses in any case: its notes are the answer.
    let _ = T::deserialize(Listener(&mut fields));
    fields
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

/// Error of the deserializers here.
#[derive(Debug)]
enum Refused {
    /// A required field is missing.
    Missing(&'static str),
    Other,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl std::error::Error for Refused {}

impl de::Error for Refused {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Refused::Other
    }
    fn missing_field(name: &'static str) -> Self {
        Refused::Missing(name)
    }
}

/// Deserializer that notes which form it is asked for, and refuses.
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
        Err(Refused::Other)
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: V,
    ) -> Result<V::Value, Refused> {
        *self.0 = Fields::Unit;
        Err(Refused::Other)
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Refused> {
        Err(Refused::Other)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

/// A setting under one of its names.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    pub(crate) name: &'static str,
    pub(crate) of: Type,
    /// The required setting that this name provides: itself, or the one that it is an alias of.
    pub(crate) provides: Option<&'static str>,
}

/// Type of a setting.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Type {
    Number,
    /// A whole number of at least 0.
    Whole,
    Flag,
    Text,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A list, with its length if that is fixed.
    List(Box<Type>, Option<usize>),
    /// Any other type.
    Open,
}

/// Returns the settings of `T` under all of their names, in order of declaration.
pub(crate) fn describe<T: DeserializeOwned>() -> Vec<Setting> {
    let reads = |names: &[&'static str]| offer::<T>(names, &mut Vec::new());
    let mut required = Vec::new();
    while let Err(Refused::Missing(name)) = reads(&required) {
        if required.contains(&name) {
            // A hand-written `Deserialize` may insist; then nothing more can be learned.
            break;
        }
        required.push(name);
    }
    let setting = |&name: &&'static str| {
        let provides = (0..required.len()).find(|&i| {
            let mut given = required.clone();
            given[i] = name;
            reads(&given).is_ok()
        });
        let mut types = Vec::new();
        // Other fields may be missing: the type of this one is noted before that.
        let _ = offer::<T>(&[name], &mut types);
        let of = types.pop().unwrap_or(Type::Open);
        Setting { name, of, provides: provides.map(|i| required[i]) }
    };
    of::<T>().names().iter().map(setting).collect()
}

/// Deserializes `T` from a table with these keys, each with a sample value of the type that `T` asks
/// for; notes these types.
fn offer<T: DeserializeOwned>(
    names: &[&'static str],
    types: &mut Vec<Type>,
) -> Result<(), Refused> {
    T::deserialize(MapAccessDeserializer::new(Offer { names: names.iter(), types })).map(drop)
}

struct Offer<'a> {
    names: std::slice::Iter<'a, &'static str>,
    types: &'a mut Vec<Type>,
}

impl<'de> MapAccess<'de> for Offer<'_> {
    type Error = Refused;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Refused> {
        self.names.next().map(|name| seed.deserialize((*name).into_deserializer())).transpose()
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Refused> {
        let mut of = Type::Open;
        let value = seed.deserialize(Sample(&mut of));
        self.types.push(of);
        value
    }
}

/// Deserializer that notes which type it is asked for, and answers with a sample.
struct Sample<'a>(&'a mut Type);

/// Methods that note a type and answer with a sample of it.
macro_rules! samples {
    ($($method:ident => $of:ident, $visit:ident($sample:expr);)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
            *self.0 = Type::$of;
            visitor.$visit($sample)
        })*
    };
}

impl<'de> Deserializer<'de> for Sample<'_> {
    type Error = Refused;

    samples! {
        deserialize_bool => Flag, visit_bool(true);
        deserialize_f32 => Number, visit_f64(0.5);
        deserialize_f64 => Number, visit_f64(0.5);
        deserialize_u8 => Whole, visit_u64(1);
        deserialize_u16 => Whole, visit_u64(1);
        deserialize_u32 => Whole, visit_u64(1);
        deserialize_u64 => Whole, visit_u64(1);
        deserialize_str => Text, visit_str("");
        deserialize_string => Text, visit_str("");
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Refused> {
        Err(Refused::Other)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        words: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refused> {
        *self.0 = Type::Word(words);
        visitor.visit_enum(StrDeserializer::new(words.first().copied().unwrap_or("")))
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        let mut of = Type::Open;
        let value = visitor.visit_seq(Items { of: &mut of, left: 1 });
        *self.0 = Type::List(Box::new(of), None);
        value
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, Refused> {
        let mut of = Type::Open;
        let value = visitor.visit_seq(Items { of: &mut of, left: length });
        *self.0 = Type::List(Box::new(of), Some(length));
        value
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        visitor.visit_some(self)
    }

    forward_to_deserialize_any! {
        i8 i16 i32 i64 i128 u128 char bytes byte_buf unit unit_struct newtype_struct tuple_struct
        map struct identifier ignored_any
    }
}

/// Sample elements of a list.
struct Items<'a> {
    of: &'a mut Type,
    left: usize,
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = Refused;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Refused> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        seed.deserialize(Sample(self.of)).map(Some)
    }
}
